"""Pascal VOC folders, of the challenge and of the tools that write its form.

::

    VOC2007/
        Annotations/     000001.xml ...                     one file for each image
        JPEGImages/      000001.jpg ...                     ``images`` is accepted, too
        ImageSets/Main/  train.txt val.txt test.txt trainval.txt    names without extension

    pictures/            a.jpg a.xml b.jpg b.xml ...        labelImg: side by side

    export/              Roboflow: side by side in folders called like the splits
        train/           a.jpg a.xml ...
        valid/           b.jpg b.xml ...

An annotation belongs to the image of the same name, whatever its ``<filename>`` says. What
is wrong with one file or object is reported and the rest goes on.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workbench.datasets.formats.naming import require_free
from workbench.datasets.formats.voc_shape import find_shape, is_xml
from workbench.datasets.formats.voc_splits import read_splits
from workbench.datasets.formats.voc_xml import VocFile, parse_voc, to_annotations
from workbench.datasets.importing import Detection, Notes
from workbench.errors import (
    ImportFormatError,
    InvalidFrameError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import IMAGE_EXTENSIONS, DataStores
from workbench.persistence.filesystem.paths import check_filename
from workbench.persistence.image_bounds import header_of
from workbench.persistence.image_header import TURNED
from workbench.persistence.models import (
    Annotation,
    ImportedDataset,
    NewImage,
    Progress,
    no_progress,
    with_notes,
)
from workbench.persistence.rules import image_size


def detect(folder: Path | str) -> Detection:
    """Say whether a folder is in Pascal VOC form, by looking at its first annotation."""
    try:
        shape = find_shape(folder)
        first = min(path for place in shape.annotations for path in place.iterdir() if is_xml(path))
        found = parse_voc(first.read_bytes(), str(first))
    except (ImportFormatError, NotFoundError) as error:
        return Detection(0.0, str(error))
    if not found.objects:
        return Detection(0.6, f"{first} is a VOC annotation, but has no object that can be read")
    lists = (shape.root / "ImageSets" / "Main").is_dir()
    return Detection(
        1.0 if lists else 0.9, f"{shape.root} has VOC annotations and images" + " and lists" * lists
    )


def find_root(folder: Path | str) -> Path:
    """Return the folder that holds the dataset: `folder`, or one at most two levels below.

    Raises
    ------
    NotFoundError
        If `folder` is not there.
    ImportFormatError
        If there is none, or more than one to choose from.
    """
    return find_shape(folder).root


async def import_voc(
    stores: DataStores,
    folder: Path | str,
    name: str,
    *,
    classes: Sequence[str] | None = None,
    splits: Mapping[str, float] | None = None,
    seed: int = 0,
    one_based: bool | None = None,
    progress: Progress = no_progress,
) -> ImportedDataset:
    """Make a dataset from a Pascal VOC folder: images byte for byte, boxes as YOLO labels.

    Parameters
    ----------
    stores : DataStores
    folder : Path or str
        Holds ``Annotations`` and ``JPEGImages``, itself or in a folder in it.
    name : str
        Of the dataset to make.
    classes : sequence of str, optional
        Which objects to take, in the order of their class ids; others are left out and
        counted. Default: all names that occur, sorted.
    splits : mapping of str to float, optional
        Shares of the splits, instead of what ``ImageSets`` says. Default without
        ``ImageSets``: 70 % train, 20 % val, 10 % test.
    seed : int
        Of the random split.
    one_based : bool, optional
        Whether coordinates count from 1; default: each file's origin tells, see
        `workbench.datasets.formats.voc_xml`.
    progress : callable
        Told ``(done, total)`` after each image.

    Returns
    -------
    ImportedDataset
        Its `notes` name all that was left out or changed. Images without an annotation
        file, or with one that cannot be read, are imported without labels.

    Raises
    ------
    NotFoundError
        If `folder` is not there.
    ImportFormatError
        If it is not in VOC form, or not a single image can be imported.
    AlreadyExistsError
        If the name is taken.
    """
    await require_free(stores, name)
    importer = await asyncio.to_thread(_Importer, Path(folder), classes, one_based)
    assigned = await asyncio.to_thread(importer.assign, splits, seed)
    info = await stores.dataset.create_from(
        name,
        importer.classes,
        importer.images(assigned),
        progress=progress,
        total=len(assigned),
    )
    return with_notes(info, importer.notes())


class _Importer:
    """One walk through a VOC folder. Blocks; reads one file at a time."""

    def __init__(self, folder: Path, classes: Sequence[str] | None, one_based: bool | None) -> None:
        self._shape = find_shape(folder)
        self._root = self._shape.root
        self._one_based = one_based
        self._notes = Notes()
        self._other_classes: dict[str, int] = defaultdict(int)
        self._difficult = 0
        key, places = self._shape.key, self._shape.annotations
        self._xml = {key(p): p for place in places for p in _files(place) if is_xml(p)}
        self._images = self._pick_images()
        self.classes = list(classes) if classes is not None else self._all_classes()

    def assign(self, ratios: Mapping[str, float] | None, seed: int) -> dict[str, str]:
        """Return the split of each image that there is, by what it and its labels share."""
        if self._shape.splits and ratios is None:
            return {key: self._shape.splits[key.partition("/")[0]] for key in self._images}
        sets = self._root / "ImageSets" / "Main"
        return read_splits(sets, sorted(self._images), ratios, seed, self._notes)

    def images(self, assigned: Mapping[str, str]) -> Iterator[NewImage]:
        """Yield the images with their boxes."""
        count = 0
        for stem, path in sorted(self._images.items()):
            try:
                data = path.read_bytes()
                size = image_size(data, self._shown(path))
            except (OSError, InvalidFrameError) as error:
                self._notes.add("damaged images left out", f"{error}; the image is left out")
                continue
            count += 1
            yield NewImage(path.name, assigned[stem], data, self._labels(stem, data, size))
        if not count:
            raise ImportFormatError(f"{self._root}: expected images, found none that can be read")

    def notes(self) -> list[str]:
        """Return what there is to report, once all images have been taken."""
        for name, count in sorted(self._other_classes.items()):
            self._notes.add(
                "classes left out",
                f"{count} objects of class {name!r} were left out: it is not among the classes "
                f"that were asked for",
            )
        if self._difficult:
            self._notes.add(
                "difficult objects",
                f"{self._difficult} objects that are marked difficult were imported like the "
                f"others: YOLO has no such mark",
            )
        return self._notes.as_list()

    def _labels(self, stem: str, data: bytes, size: tuple[int, int]) -> list[Annotation] | None:
        xml = self._xml.get(stem)
        if xml is None:
            self._notes.add(
                "images without an annotation",
                f"{self._shown(self._images[stem])}: has no annotation file; imported unlabelled",
            )
            return None
        where = self._shown(xml)
        try:
            voc = parse_voc(xml.read_bytes(), where)
        except (OSError, ImportFormatError) as error:
            self._notes.add(
                "annotations that cannot be read", f"{error}; its image is imported unlabelled"
            )
            return None
        if not self._check_size(voc, data, size, where):
            return None
        class_ids = {name: class_id for class_id, name in enumerate(self.classes)}
        annotations, problems = to_annotations(
            voc, *size, class_ids, where, one_based=self._one_based
        )
        for sentence in (*voc.problems, *problems):
            self._notes.add("objects left out", sentence)
        for item in voc.objects:
            if item.name not in class_ids:
                self._other_classes[item.name] += 1
            self._difficult += item.difficult and item.name in class_ids
        return annotations

    def _check_size(self, voc: VocFile, data: bytes, size: tuple[int, int], where: str) -> bool:
        """Report a size that is not the image's; return whether the boxes can be trusted."""
        if voc.size is None or voc.size == size:
            return True
        said = "{} x {}".format(*voc.size)
        found = "{} x {}".format(*size)
        if voc.size == size[::-1] and _is_turned(data):
            self._notes.add(
                "annotations of unrotated pictures",
                f"{where}: its boxes are for {said}, the picture before its EXIF rotation, which "
                f"shows it as {found}; imported unlabelled",
            )
            return False
        self._notes.add(
            "sizes that are wrong",
            f"{where}: says {said} pixels, the image has {found}; its boxes were taken as pixels "
            f"of the image, have a look at them",
        )
        return True

    def _pick_images(self) -> dict[str, Path]:
        """Return one image for each stem, and report those that cannot be taken."""
        by_stem: dict[str, list[Path]] = defaultdict(list)
        present = set()
        for path in (path for place in self._shape.images for path in _files(place)):
            if path.parent in self._shape.annotations and _is_text(path):
                continue
            present.add(self._shape.key(path))
            if path.suffix.lower() not in IMAGE_EXTENSIONS:
                self._notes.add(
                    "files that are no images",
                    f"{self._shown(path)}: expected one of the extensions "
                    f"{', '.join(sorted(IMAGE_EXTENSIONS))}; left out",
                )
                continue
            try:
                check_filename(path.name)
            except InvalidNameError as error:
                self._notes.add("names that cannot be", f"{error}; the image is left out")
                continue
            # Names that differ in case or in Unicode's form only are one on some disks.
            key = unicodedata.normalize("NFC", self._shape.key(path)).casefold()
            by_stem[key].append(path)
        picked = {self._shape.key(path): path for path in map(self._pick, by_stem.values()) if path}
        if not picked:
            raise ImportFormatError(f"{self._root}: expected images, found none")
        for stem, xml in self._xml.items():
            if stem not in present:  # else it was reported why the image is not taken
                self._notes.add(
                    "annotations without an image",
                    f"{self._shown(xml)}: there is no image called {stem}; left out",
                )
        return picked

    def _pick(self, paths: list[Path]) -> Path | None:
        """Return the one of several images with one name that the annotation means, if any."""
        if len(paths) == 1:
            return paths[0]
        named = set()
        for path in paths:
            xml = self._xml.get(self._shape.key(path))
            if xml:
                try:
                    named.add(parse_voc(xml.read_bytes()).filename)
                except (OSError, ImportFormatError):
                    continue  # reported when its labels are read
        chosen = [path for path in paths if path.name in named]
        taken = chosen[0] if len(chosen) == 1 else None
        self._notes.add(
            "images that share a name",
            f"{', '.join(self._shown(path) for path in paths)}: would share one label file; "
            + (f"only {taken.name} is imported" if taken else "none of them is imported")
            + ", rename them to have all",
        )
        return taken

    def _all_classes(self) -> list[str]:
        names: set[str] = set()
        for stem in self._images.keys() & self._xml.keys():
            try:
                names.update(item.name for item in parse_voc(self._xml[stem].read_bytes()).objects)
            except (OSError, ImportFormatError):
                continue  # reported when its labels are read
        by_spelling: dict[str, list[str]] = defaultdict(list)
        for name in sorted(names):
            by_spelling[name.casefold()].append(name)
        for spellings in by_spelling.values():
            if len(spellings) > 1:
                self._notes.add(
                    "classes that differ in case only",
                    f"the classes {', '.join(spellings)} differ in upper and lower case only and "
                    f"stay apart; merge them if they are one",
                )
        return sorted(names)

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder, without those that systems hide in it."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file() and entry.name[0] != "."]
    return [folder / name for name in sorted(names)]


def _is_text(path: Path) -> bool:
    # Annotations, lists and notes lie beside the images here.
    return path.suffix.lower() in {".xml", ".txt", ".json", ".csv", ".md", ".yaml"}


def _is_turned(data: bytes) -> bool:
    """Whether an image is shown with rows and columns exchanged (EXIF 2.3, 4.6.4)."""
    return header_of(data, "image").orientation in TURNED
