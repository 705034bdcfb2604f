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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from workbench.errors import ArchiveError, InvalidNameError
from workbench.persistence.archive import notes as say
from workbench.persistence.archive.directory import fold
from workbench.persistence.archive.split_lists import GivenSplits
from workbench.persistence.archive.split_words import split_word
from workbench.persistence.counting import counted
from workbench.persistence.models import SPLITS
from workbench.persistence.yolo.names import HIDDEN, IMAGE_EXTENSIONS, check_name, portable_name

# What folders of pictures inside a split are called, which says nothing of the pictures.
_PLAIN_FOLDERS = frozenset({"data", "img", "imgs", "image", "image_2", "jpegimages", "pictures"})
_KEPT_FOLDERS = ("history/", "imports/", "sources/", "suggestions/")
_KEPT_METADATA = frozenset({"dataset.json", "prompts.json", "tags.json"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each member goes.

    Parameters
    ----------
    targets : dict of str to str
        Path in our layout (``images/train/x.jpg``, ``labels/train/x.txt``,
        ``.workbench/prompts.json``) by member; whoever is not in it is not stored.
    copies : dict of str to list of str
        Further places of label files that several images share.
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
    clashes : dict of str to str
        Images that got another name, and for each the one whose name it would have had.
    """

    targets: dict[str, str]
    copies: dict[str, list[str]]
    data_yaml: str | None
    other_yamls: list[str]
    class_lists: list[str]
    num_images: dict[str, int]
    num_labels: dict[str, int]
    notes: list[str]
    clashes: dict[str, str]


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


def images_of(names: Sequence[str]) -> list[str]:
    """Return those of `names` that are images and not hidden."""
    return [n for n in names if _extension(n) in IMAGE_EXTENSIONS and not _is_hidden(n)]


def plan_layout(names: Sequence[str], given: GivenSplits | None = None) -> Layout:
    """Decide what each member of an archive is and where it goes.

    Parameters
    ----------
    names : sequence of str
        Relative paths with forward slashes, as `Archive.open` lets them pass.
    given : GivenSplits, optional
        What the dataset says of its splits; folders tell the rest.

    Raises
    ------
    ArchiveError
        If there are no images, or more than one dataset.
    """
    given = given or GivenSplits()
    images = images_of(names)
    texts: dict[str, list[str]] = {}
    for name in names if len(images) < len(names) else ():
        if _extension(name) == ".txt" and name not in given.lists:
            texts.setdefault(fold(name), []).append(name)
    if not images:
        raise ArchiveError(_no_images([name for name in names if not _is_hidden(name)]))
    places = _understand_folders({image.rpartition("/")[0] for image in images})
    if given.splits:
        root = tuple(part for part in given.home.split("/") if part)
    else:
        root = _the_root(places)
    notes = say.Notes()
    plan = _Plan(texts, given.splits, root, notes)
    for image in images:
        folder, _, name = image.rpartition("/")
        place = places[folder]
        if place is None and image in given.splits:
            path = tuple(folder.split("/"))
            place = _Place(root, None, (), _label_folders(path, (*path, "labels")))
        if place is not None:
            plan.add_image(image, name, place)
    metadata = _metadata(names, root)
    targets = plan.targets | metadata
    rest = [name for name in names if name not in targets]
    data_yaml, other_yamls = _find_yamls(rest, root)
    class_lists = _find_class_lists(rest, root)
    described = {data_yaml, *other_yamls, *class_lists, *given.lists}
    for name in rest:
        if name not in described:
            kind = (
                say.HIDDEN_FILE
                if _is_hidden(name)
                else say.DROPPED.get(_extension(name), say.OTHER)
            )
            notes.add(kind, name)
    return Layout(
        targets,
        plan.copies,
        data_yaml,
        other_yamls,
        class_lists,
        plan.num_images,
        plan.num_labels,
        given.notes + notes.sentences(),
        plan.clashes,
    )


class _Plan:
    """The images that have a place so far, with their labels."""

    def __init__(
        self,
        texts: Mapping[str, list[str]],
        splits: Mapping[str, str],
        root: tuple[str, ...],
        notes: say.Notes,
    ) -> None:
        self.targets: dict[str, str] = {}
        self.copies: dict[str, list[str]] = {}
        self.clashes: dict[str, str] = {}
        self.num_images = dict.fromkeys(SPLITS, 0)
        self.num_labels = dict.fromkeys(SPLITS, 0)
        self._notes = notes
        self._texts = texts
        self._splits = splits
        self._depth = len(root)
        self._owners: dict[str, str] = {}

    def add_image(self, image: str, name: str, place: _Place) -> None:
        """Give an image, `name` without its folder, and its label file their places."""
        split = self._splits.get(image) or place.split
        if split is None:
            split = "train"
            self._notes.add(say.NO_SPLIT, image)
        filename = self._free(image, self._filename(image, name, place), split)
        self.targets[image] = f"images/{split}/{filename}"
        self.num_images[split] += 1
        self._add_label(name[: name.rfind(".")], _label(split, filename), split, place)

    def _add_label(self, stem: str, label: str, split: str, place: _Place) -> None:
        if not self._texts:
            return
        text = f"{fold(stem)}.txt"
        for folder in place.label_folders:
            members = self._texts.get(folder + text)
            if members is None:
                continue
            # Where the case of letters tells files apart, that of the image decides.
            same = [m for m in members if m.rpartition("/")[2].startswith(f"{stem}.")]
            member = (same or members)[0]
            if member in self.targets:
                self.copies.setdefault(member, []).append(label)
                self._notes.add(say.SHARED, member)
            else:
                self.targets[member] = label
            self.num_labels[split] += 1
            return

    def _filename(self, image: str, name: str, place: _Place) -> str:
        if place.below:
            self._notes.add(say.FLATTENED, image)
            name = "_".join((*place.below, name))
        try:
            return check_name(name, "image name")
        except InvalidNameError:
            portable = portable_name(name)
            self._notes.add(say.UNPORTABLE, f"{image!r} is {portable!r} now")
            return portable

    def _free(self, image: str, filename: str, split: str) -> str:
        """Return a name whose label file no other image of the split has; keep it."""
        owner = self._owners.setdefault(fold(_label(split, filename)), image)
        if owner is image:
            return filename
        self.clashes[image] = owner
        folders = _folders(image, self._depth)
        for new in _other_names(
            filename, [] if folders == _folders(owner, self._depth) else folders
        ):
            label = fold(_label(split, new))
            if self._owners.setdefault(label, image) is image:
                break
        self._notes.add(say.RENAMED, f"{image!r} is {new!r} now, because of {owner!r}")
        return new


def _label(split: str, filename: str) -> str:
    return f"labels/{split}/{filename[: filename.rfind('.')]}.txt"


def _folders(image: str, depth: int) -> list[str]:
    """Return the folders of an image below the root that say something of it."""
    return [folder for folder in image.split("/")[depth:-1] if folder.lower() != "images"]


def _other_names(filename: str, folders: Sequence[str]) -> Iterator[str]:
    """Yield names for an image whose own is taken: with its folders, its extension, a number."""
    stem, _, extension = filename.rpartition(".")
    if folders and not filename.startswith(f"{folders[-1]}_"):
        yield portable_name("_".join((*folders, filename)))
    yield portable_name(f"{stem}_{extension.lower()}.{extension}")
    for number in count(2):
        # In front: the end of a long name may be cut off, and with it what tells names apart.
        yield portable_name(f"{number}_{filename}")


def _is_hidden(name: str) -> bool:
    return name[0] == "." or "/." in name


def _extension(name: str) -> str:
    """Return what `os.path.splitext` does, in lower case; it is called for every member."""
    last = name[name.rfind("/") + 1 :]
    dot = last.rfind(".")
    return last[dot:].lower() if dot > 0 else ""


def _understand_folders(folders: set[str]) -> dict[str, _Place | None]:
    """Find out what each folder that has images means; None for one that means nothing."""
    parts = {folder: tuple(folder.split("/")) if folder else () for folder in folders}
    if any(part.lower() == "images" for path in parts.values() for part in path):
        return {folder: _place_by_images_folder(path) for folder, path in parts.items()}
    common = _common_prefix(list(parts.values()))
    if not any(split_word(path[len(common)]) for path in parts.values() if len(path) > len(common)):
        if not (common and split_word(common[-1])):
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
    if after and (split := split_word(after[0])):
        return _Place(before, split, after[1:], labels)
    if before and (split := split_word(before[-1])):
        return _Place(before[:-1], split, after, labels)
    return _Place(before, None, after, labels)


def _place_by_split_folder(path: tuple[str, ...], root: tuple[str, ...]) -> _Place | None:
    below = path[len(root) :]
    split = split_word(below[0]) if below else None
    if split is None:
        return None
    inner = below[2:] if below[1:2] and below[1].lower() in _PLAIN_FOLDERS else below[1:]
    return _Place(root, split, inner, _label_folders(path, (*path, "labels")))


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
            f"{second!r}; import one of them alone"
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
    found = (
        f"{counted(len(names), 'other file')}, such as {names[0]!r}" if names else "no files at all"
    )
    if any(_extension(name) == ".zip" for name in names):
        remedy = "if the dataset is in an archive inside this one, unpack that and import it"
    elif any(say.DROPPED.get(_extension(name)) == say.NO_CODEC for name in names):
        remedy = "convert the images to JPEG or PNG"
    elif labels := sum(_extension(name) == ".txt" for name in names):
        others = counted(len(names) - labels, "other")
        found = f"{counted(labels, 'text file')}, such as labels are, and {others}"
        remedy = (
            "export the dataset again with its images (in CVAT: tick 'Save images'), or put them "
            "into images/train, images/val and images/test"
        )
    elif any(_extension(name) in (".json", ".xml") for name in names):
        remedy = "if these are labels, export them again together with their images"
    else:
        remedy = "put them into images/train, images/val and images/test"
    return f"expected images ({extensions}), found {found}; {remedy}"
