"""Understand how other tools lay out a dataset: from member names to a plan, without a disk.

Shapes that occur (``top/`` stands for any folders above, or none)::

    top/images/train/x.jpg   top/labels/train/x.txt     Ultralytics, CVAT, Workbench
    top/train/images/x.jpg   top/train/labels/x.txt     Roboflow
    top/images/x.jpg         top/labels/x.txt           Label Studio; no splits
    top/train/x.jpg          top/train/x.txt            Darknet; labels beside the images
    top/x.jpg                top/x.txt                  labelImg; no splits
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import ArchiveError, InvalidNameError
from workbench.persistence.archive.directory import fold
from workbench.persistence.filesystem.paths import HIDDEN, check_name
from workbench.persistence.image_store import IMAGE_EXTENSIONS
from workbench.persistence.models import SPLITS

_SPLIT = re.compile(
    r"(?:obj_)?(?:(train|training)|(val|valid|validation)|(test|testing))(?:_data|\d{4})?"
)
_KEPT_FOLDERS = ("history/", "sources/")
_KEPT_METADATA = frozenset({"dataset.json", "prompts.json", "tags.json"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each member goes.

    Parameters
    ----------
    targets : dict of str to str
        Path in our layout (``images/train/x.jpg``, ``labels/train/x.txt``,
        ``.workbench/prompts.json``) by member; whoever is not in it is not stored.
    data_yaml : str or None
        The member that describes the dataset.
    other_yamls : list of str
        Where there is none: members that do if they have ``names``.
    class_lists : list of str
        Members with one class name a line, for where no YAML has names.
    num_images, num_labels : dict of str to int
        By split.
    notes : list of str
        What was dropped or renamed, one sentence for each kind.
    """

    targets: dict[str, str]
    data_yaml: str | None
    other_yamls: list[str]
    class_lists: list[str]
    num_images: dict[str, int]
    num_labels: dict[str, int]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """What the folder of an image means.

    Parameters
    ----------
    root : tuple of str
        Folders above the dataset.
    split : str or None
    below : tuple of str
        Subfolders inside the split.
    label_folders : tuple of str
        Where label files may be, the proper place first; as `fold` gives them, and each
        with a slash behind unless it is the top.
    """

    root: tuple[str, ...]
    split: str | None
    below: tuple[str, ...]
    label_folders: tuple[str, ...]


class _Notes:
    """Counts things of one kind, with the first as an example."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, example: str) -> None:
        count, first = self._found.get(kind, (0, example))
        self._found[kind] = (count + 1, first)

    def sentences(self) -> list[str]:
        return [
            kind.format(count=count, example=repr(example))
            for kind, (count, example) in self._found.items()
        ]


_CACHE = "{count} cache files of training tools were dropped, such as {example}"
_ARRAY = "{count} NumPy files were dropped, such as {example}: training would read them as images"
_PICKLE = "{count} pickle files were dropped, such as {example}: opening one can run code"
_TEXT = "{count} label or other text files that belong to no image were dropped, such as {example}"
_OUTSIDE = "{count} images outside the dataset's image folders were dropped, such as {example}"
_NO_CODEC = "{count} images of unsupported formats were dropped, such as {example}: convert to PNG"
_FOREIGN = "{count} XML or JSON files (labels of another format?) were dropped, such as {example}"
_HIDDEN_FILE = "{count} hidden files were dropped, such as {example}"
_OTHER = "{count} other files were dropped, such as {example}"
_NO_SPLIT = "{count} images lie in no split and went to train, such as {example}"
_FLATTENED = "{count} images in subfolders carry the folder in their name now, such as {example}"

_DROPPED = {
    ".cache": _CACHE,
    **dict.fromkeys((".npy", ".npz"), _ARRAY),
    **dict.fromkeys((".pkl", ".pickle"), _PICKLE),
    ".txt": _TEXT,
    **dict.fromkeys(IMAGE_EXTENSIONS, _OUTSIDE),
    **dict.fromkeys((".gif", ".heic", ".heif", ".avif", ".dng", ".jp2", ".svg"), _NO_CODEC),
    **dict.fromkeys((".xml", ".json"), _FOREIGN),
}


def plan_layout(names: Sequence[str]) -> Layout:
    """Decide what each member of an archive is and where it goes.

    Parameters
    ----------
    names : sequence of str
        Relative paths with forward slashes, as `Archive.open` lets them pass.

    Raises
    ------
    ArchiveError
        If there are no images, more than one dataset, an image name that cannot be
        stored, or two images of one split that would share a name or a label file.
    """
    images: list[str] = []
    texts: dict[str, str] = {}
    for name in names:
        extension = _extension(name)
        if extension in IMAGE_EXTENSIONS:
            if not _is_hidden(name):
                images.append(name)
        elif extension == ".txt":
            texts[fold(name)] = name
    if not images:
        raise ArchiveError(_no_images([name for name in names if not _is_hidden(name)]))
    places = _understand_folders({image.rpartition("/")[0] for image in images})
    root = _the_root(places)
    notes = _Notes()
    plan = _Plan(texts, notes)
    for image in images:
        folder, _, name = image.rpartition("/")
        place = places[folder]
        if place is not None:
            plan.add_image(image, name, place)
    metadata = _metadata(names, root)
    targets = plan.targets | metadata
    rest = [name for name in names if name not in targets]
    data_yaml, other_yamls = _find_yamls(rest, root)
    class_lists = _find_class_lists(rest, root)
    described = {data_yaml, *other_yamls, *class_lists}
    for name in rest:
        if name not in described:
            kind = _HIDDEN_FILE if _is_hidden(name) else _DROPPED.get(_extension(name), _OTHER)
            notes.add(kind, name)
    return Layout(
        targets,
        data_yaml,
        other_yamls,
        class_lists,
        plan.num_images,
        plan.num_labels,
        notes.sentences(),
    )


class _Plan:
    """The images that have a place so far, with their labels."""

    def __init__(self, texts: dict[str, str], notes: _Notes) -> None:
        self.targets: dict[str, str] = {}
        self.num_images = dict.fromkeys(SPLITS, 0)
        self.num_labels = dict.fromkeys(SPLITS, 0)
        self._notes = notes
        self._texts = texts
        self._owners: dict[str, str] = {}

    def add_image(self, image: str, name: str, place: _Place) -> None:
        """Give an image, `name` without its folder, and its label file their places."""
        split = place.split
        if split is None:
            split = "train"
            self._notes.add(_NO_SPLIT, image)
        filename = self._filename(image, name, place)
        label = f"labels/{split}/{filename[: filename.rfind('.')]}.txt"
        owner = self._owners.setdefault(fold(label), image)
        if owner is not image:
            raise ArchiveError(
                f"member {image!r}: expected a label file of its own, found that {owner!r} "
                f"would use {label} as well; rename one of the two images (and its label file) "
                f"and repack"
            )
        self.targets[image] = f"images/{split}/{filename}"
        self.num_images[split] += 1
        text = fold(name[: name.rfind(".")]) + ".txt"
        for folder in place.label_folders:
            member = self._texts.get(folder + text)
            if member is not None:
                self.targets[member] = label
                self.num_labels[split] += 1
                break

    def _filename(self, image: str, name: str, place: _Place) -> str:
        if place.below:
            self._notes.add(_FLATTENED, image)
            name = "_".join((*place.below, name))
        try:
            return check_name(name, "image name")
        except InvalidNameError as error:
            raise ArchiveError(f"member {image!r}: {error} and repack") from error


def _is_hidden(name: str) -> bool:
    return name[0] == "." or "/." in name


def _extension(name: str) -> str:
    """Return what `os.path.splitext` does, in lower case; it is called for every member."""
    last = name[name.rfind("/") + 1 :]
    dot = last.rfind(".")
    return last[dot:].lower() if dot > 0 else ""


def _split_of(folder: str) -> str | None:
    match = _SPLIT.fullmatch(folder.lower())
    return SPLITS[match.lastindex - 1] if match and match.lastindex else None


def _understand_folders(folders: set[str]) -> dict[str, _Place | None]:
    """Find out what each folder that has images means; None for one that means nothing."""
    parts = {folder: tuple(folder.split("/")) if folder else () for folder in folders}
    if any(part.lower() == "images" for path in parts.values() for part in path):
        return {folder: _place_by_images_folder(path) for folder, path in parts.items()}
    common = _common_prefix(list(parts.values()))
    if not any(_split_of(path[len(common)]) for path in parts.values() if len(path) > len(common)):
        if not (common and _split_of(common[-1])):
            return {
                folder: _Place(common, None, path[len(common) :], _label_folders(path))
                for folder, path in parts.items()
            }
        common = common[:-1]
    return {folder: _place_by_split_folder(path, common) for folder, path in parts.items()}


def _place_by_images_folder(path: tuple[str, ...]) -> _Place | None:
    """Read ``images/train`` or ``train/images``; the last ``images`` counts, as in Ultralytics."""
    at = next((i for i in reversed(range(len(path))) if path[i].lower() == "images"), None)
    if at is None:
        return None
    before, after = path[:at], path[at + 1 :]
    labels = _label_folders((*before, "labels", *after), path)
    if after and (split := _split_of(after[0])):
        return _Place(before, split, after[1:], labels)
    if before and (split := _split_of(before[-1])):
        return _Place(before[:-1], split, after, labels)
    return _Place(before, None, after, labels)


def _place_by_split_folder(path: tuple[str, ...], root: tuple[str, ...]) -> _Place | None:
    below = path[len(root) :]
    split = _split_of(below[0]) if below else None
    if split is None:
        return None
    return _Place(root, split, below[1:], _label_folders(path, (*path, "labels")))


def _label_folders(*paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("".join(f"{fold(part)}/" for part in path) for path in paths)


def _common_prefix(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    # Folders between the least and the greatest path begin with whatever these two share.
    least, greatest = min(paths), max(paths)
    for depth, (one, other) in enumerate(zip(least, greatest, strict=False)):
        if one != other:
            return least[:depth]
    return least


def _the_root(places: dict[str, _Place | None]) -> tuple[str, ...]:
    roots = {place.root for place in places.values() if place is not None}
    if len(roots) > 1:
        first, second = ("/".join(root) or "." for root in sorted(roots)[:2])
        raise ArchiveError(
            f"expected one dataset, found images of {len(roots)}, in the folders {first!r} and "
            f"{second!r}; repack one of them alone"
        )
    return roots.pop()


def _metadata(names: Sequence[str], root: tuple[str, ...]) -> dict[str, str]:
    """Return where our own metadata goes, by member."""
    prefix = "/".join((*root, HIDDEN)) + "/"
    kept = {}
    for name in names:
        if name.startswith(prefix):
            below = name[len(prefix) :]
            if below in _KEPT_METADATA or (below.startswith(_KEPT_FOLDERS) and _is_portable(below)):
                kept[name] = f"{HIDDEN}/{below}"
    return kept


def _is_portable(path: str) -> bool:
    try:
        return all(check_name(part) == part for part in path.split("/"))
    except InvalidNameError:
        return False


def _nearest(names: Sequence[str], root: tuple[str, ...]) -> list[str]:
    """Return those of `names` in `root`, or in the nearest folder above that has any."""
    for depth in range(len(root), -1, -1):
        folder = "/".join(root[:depth])
        found = [name for name in names if os.path.dirname(name) == folder]
        if found:
            return found
    return []


def _find_yamls(names: Sequence[str], root: tuple[str, ...]) -> tuple[str | None, list[str]]:
    yamls = [name for name in names if _extension(name) in (".yaml", ".yml")]
    for known in ("data", "dataset"):
        same = [n for n in yamls if os.path.splitext(os.path.basename(n))[0].lower() == known]
        found = _nearest(same, root)
        if found:
            return found[0], []
    return None, yamls


def _find_class_lists(names: Sequence[str], root: tuple[str, ...]) -> list[str]:
    lists = [
        name
        for name in names
        if os.path.basename(name).lower() == "classes.txt" or _extension(name) == ".names"
    ]
    return _nearest(lists, root) or lists


def _no_images(names: Sequence[str]) -> str:
    extensions = ", ".join(sorted(IMAGE_EXTENSIONS))
    found = f"{len(names)} other files, such as {names[0]!r}" if names else "no files at all"
    if any(_extension(name) == ".zip" for name in names):
        remedy = "if the dataset is in an archive inside this one, unpack that and import it"
    elif any(_DROPPED.get(_extension(name)) == _NO_CODEC for name in names):
        remedy = "convert the images to JPEG or PNG"
    else:
        remedy = "put them into images/train, images/val and images/test"
    return f"expected images ({extensions}), found {found}; {remedy}"
