"""Which picture a COCO file means by a ``file_name``, and which split it is about.

Names lead from wherever the tool had the pictures: from the folder beside the file
(``000001.jpg`` for ``train2017/000001.jpg``), from the top (``images/a.jpg``), or from a disk
that is not here (``/home/ann/cups/a.jpg``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from workbench.datasets.formats import coco_notes as say
from workbench.datasets.formats.coco_json import CocoFile, CocoImage
from workbench.persistence.archive.directory import fold
from workbench.persistence.archive.notes import Notes

_SPLIT_WORD = re.compile(
    r"(?<![a-z])(?:(train|training|trainval)|(val|valid|validation|minival)|(test|testing))"
    r"(?:\d{4})?(?![a-z0-9])"
)
_SPLITS = ("train", "val", "test")

# A picture in two files goes to the first of these: what scores are measured on stays whole.
_PRECEDENCE = ("test", "val", "train", None)

_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """What annotation files say of one picture.

    Parameters
    ----------
    split : str
    entries : list of (int, CocoImage)
        Whose boxes count: number of the file, and the image there.
    annotated : bool
        Whether one of these files has annotations at all.
    """

    split: str
    entries: list[tuple[int, CocoImage]]
    annotated: bool


def match_pictures(
    files: Sequence[CocoFile], pictures: Iterable[str], notes: Notes
) -> dict[str, Listed]:
    """Return what files say of each picture that they list and that is there.

    Parameters
    ----------
    files : sequence of CocoFile
        Called by their paths from the top of what is imported.
    pictures : iterable of str
        Paths likewise.
    notes : Notes
        Gets what is odd.
    """
    index = Pictures(pictures)
    by_picture: dict[str, list[tuple[int, CocoImage]]] = defaultdict(list)
    for number, file in enumerate(files):
        found = index.find(file.where, (image.file_name for image in file.images))
        for image in file.images:
            picture = found.get(image.file_name)
            if picture is None:
                notes.add(say.MISSING, image.file_name)
            else:
                by_picture[picture].append((number, image))
    splits = [split_of(file.where) for file in files]
    annotated = [file.annotated for file in files]
    listed = {}
    for picture, entries in by_picture.items():
        if len({number for number, _ in entries}) > 1:
            notes.add(say.SEVERAL, picture)
        some = [entry for entry in entries if annotated[entry[0]]] or entries
        told = min((splits[number] for number, _ in some), key=_PRECEDENCE.index)
        split = told or split_of_folder(picture.rpartition("/")[0])
        if split is None:
            notes.add(say.NO_SPLIT, picture)
        chosen = [entry for entry in some if splits[entry[0]] == told]
        listed[picture] = Listed(split or "train", chosen, annotated[chosen[0][0]])
    return listed


def split_of(where: str) -> str | None:
    """Return the split that an annotation file's own name tells, else its folders."""
    folder, _, base = where.rpartition("/")
    match = _SPLIT_WORD.search(base.rpartition(".")[0].lower())
    return _split_in(match) or split_of_folder(folder)


def split_of_folder(folder: str) -> str | None:
    """Return the split that the nearest folder tells that tells one."""
    parts = reversed(folder.lower().split("/"))
    return next((split for p in parts if (split := _split_in(_SPLIT_WORD.fullmatch(p)))), None)


def _split_in(match: re.Match[str] | None) -> str | None:
    return _SPLITS[match.lastindex - 1] if match and match.lastindex else None


class Pictures:
    """Finds pictures by the names that COCO files have for them.

    Parameters
    ----------
    names : iterable of str
        Of all pictures: paths with forward slashes from the top of what is imported.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_path = {fold(name): name for name in names}
        self._by_end: dict[int, dict[str, list[str]]] = {}

    def find(self, where: str, file_names: Iterable[str]) -> dict[str, str]:
        """Return the picture for each name in a file that leads to one.

        What lies where it should is taken as it is. A name that leads there only without
        its folders, or to somewhere else, counts if no other name leads to the same picture.

        Parameters
        ----------
        where : str
            The annotation file.
        file_names : iterable of str
        """
        places = [fold(place) for place in _places(where)]
        split = split_of(where)
        found: dict[str, str] = {}
        guessed: dict[str, list[str]] = defaultdict(list)
        for file_name in dict.fromkeys(file_names):
            ends = [*_ends(file_name)]
            picture = self._at(places, ends[0]) if ends else None
            if picture is not None:
                found[file_name] = picture
            elif ends and (guess := self._guess(places, ends, split)) is not None:
                guessed[guess].append(file_name)
        taken = set(found.values())
        for picture, names in guessed.items():
            if picture not in taken and len(names) == 1:
                found[names[0]] = picture
        return found

    def _at(self, places: list[str], end: str) -> str | None:
        for place in places:
            picture = self._by_path.get(place + end)
            if picture is not None:
                return picture
        return None

    def _guess(self, places: list[str], ends: list[str], split: str | None) -> str | None:
        elsewhere = self._ending(ends[0])
        if split is not None:
            elsewhere = [
                name
                for name in elsewhere
                if split_of_folder(name.rpartition("/")[0]) in (None, split)
            ]
        if len(elsewhere) == 1:
            return elsewhere[0]
        if elsewhere:
            return None
        return next((p for end in ends[1:] if (p := self._at(places, end)) is not None), None)

    def _ending(self, end: str) -> list[str]:
        """Return the pictures whose path ends so, however deep they lie."""
        depth = end.count("/") + 1
        if depth not in self._by_end:
            index: dict[str, list[str]] = defaultdict(list)
            for path, name in self._by_path.items():
                index["/".join(path.rsplit("/", depth)[-depth:])].append(name)
            self._by_end[depth] = index
        return self._by_end[depth].get(end, [])


def _ends(file_name: str) -> Iterator[str]:
    """Yield a path as it stands, then without its first folder, and so on."""
    plain = file_name.replace("\\", "/")
    for text in (plain, unquote(plain)) if "%" in plain else (plain,):
        parts = [part for part in fold(text).split("/") if part not in ("", ".", "..")]
        for begin in range(len(parts)):
            yield "/".join(parts[begin:])


def _places(where: str) -> Iterator[str]:
    """Yield the folders where an annotation file's pictures may be, the likeliest first."""
    folder, _, base = where.rpartition("/")
    split = split_of(where)
    # instances_train2017.json is about train2017.
    names = [base.rpartition(".")[0].partition("_")[2], *_FOLDERS.get(split or "", ())]
    own = [name for name in names if name]
    above = [folder, folder.rpartition("/")[0]] if folder else [""]
    for home in (f"{place}/" if place else "" for place in above):
        for name in own:
            yield f"{home}images/{name}/"
            yield f"{home}{name}/images/"
            yield f"{home}{name}/"
        yield f"{home}images/"
        yield f"{home}data/"
        yield home
