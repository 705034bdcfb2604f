"""Where the images and annotations of a Pascal VOC folder are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ImportFormatError, NotFoundError
from workbench.persistence import IMAGE_EXTENSIONS

_IMAGE_FOLDERS = ("jpegimages", "images")
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the files of a VOC folder are.

    Parameters
    ----------
    root : Path
    annotations, images : tuple of Path
        Folders.
    splits : dict of str to str
        Split by the name of a folder of images, where folders tell.
    """

    root: Path
    annotations: tuple[Path, ...]
    images: tuple[Path, ...]
    splits: Mapping[str, str]

    def key(self, path: Path) -> str:
        """Return what an image and its annotation have in common."""
        return f"{path.parent.name}/{path.stem}" if self.splits else path.stem


def find_shape(folder: Path | str) -> Shape:
    """Find the dataset in a folder; raises as `workbench.datasets.formats.voc.find_root` does."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: expected a folder in Pascal VOC form, found none")
    level = [folder]
    for _ in range(3):
        shapes = [shape for shape in map(_shape_of, level) if shape is not None]
        if len(shapes) > 1:
            raise ImportFormatError(
                f"{folder}: holds {len(shapes)} VOC folders "
                f"({', '.join(shape.root.name for shape in shapes[:5])}); name one of them"
            )
        if shapes:
            return shapes[0]
        level = [below for above in level for below in _folders(above)]
    raise ImportFormatError(
        f"{folder}: expected a folder Annotations with .xml files and a folder JPEGImages beside "
        f"it, or .xml files beside images, found neither"
    )


def _shape_of(root: Path) -> Shape | None:
    folders = {path.name.casefold(): path for path in _folders(root)}
    annotations, images = folders.get("annotations"), _image_folder(root)
    if annotations and images and _has(annotations, is_xml):
        return Shape(root, (annotations,), (images,), {})
    if _has(root, is_xml) and _has(root, _is_image):
        return Shape(root, (root,), (root,), {})
    splits = {path.name: _SPLITS[name] for name, path in folders.items() if name in _SPLITS}
    places = tuple(root / name for name in splits)
    if any(_has(place, is_xml) and _has(place, _is_image) for place in places):
        return Shape(root, places, places, splits)
    return None


def _image_folder(root: Path) -> Path | None:
    found = {path.name.casefold(): path for path in _folders(root)}
    return next((found[name] for name in _IMAGE_FOLDERS if name in found), None)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without hidden ones."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    return [folder / name for name in sorted(names)]


def _has(folder: Path, wanted: Callable[[Path], bool]) -> bool:
    with os.scandir(folder) as entries:
        return any(wanted(Path(entry.name)) for entry in entries)


def is_xml(path: Path) -> bool:
    """Whether a file may be an annotation."""
    return path.suffix.lower() == ".xml" and not path.name.startswith(".")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_EXTENSIONS and not path.name.startswith(".")
