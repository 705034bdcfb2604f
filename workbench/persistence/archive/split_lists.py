"""What a dataset says of itself about its splits, where its folders do not tell.

Three files do: ``data.yaml`` (``train:``, ``val:``, ``test:``, each a folder, a text file with
one image a line, or a list of these: https://docs.ultralytics.com/datasets/detect/),
Darknet's ``obj.data`` (``train = ...``, ``valid = ...``; CVAT writes it), and ``train.txt``
beside ``val.txt``. Their paths were right on the machine where they were written; here the
longest end of a path that leads to an image or a folder of images counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from workbench.persistence.archive.data_yaml import parse_split_paths
from workbench.persistence.archive.directory import fold
from workbench.persistence.counting import counted
from workbench.persistence.models import SPLITS

Read = Callable[[str], bytes]
"""Returns the contents of a member."""

_LISTS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_ENTRY = re.compile(r"^\s*(train|valid|val|test)\s*=\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GivenSplits:
    """Splits that a file gives to images.

    Parameters
    ----------
    splits : dict of str to str
        By member; only images that the file names.
    home : str
        Folder of the file, with a slash behind unless it is the top.
    lists : frozenset of str
        Members that are lists of images.
    notes : list of str
    """

    splits: dict[str, str] = field(default_factory=dict)
    home: str = ""
    lists: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)


def find_splits(names: Sequence[str], images: Sequence[str], read: Read) -> GivenSplits:
    """Return the splits that a dataset's own files give to its images, if there are any.

    Parameters
    ----------
    names, images : sequence of str
        All members, and those that are images.
    read : callable
        Gets names of small text files only.
    """
    for candidates, paths_of in (
        (_yamls(names), parse_split_paths),
        ([n for n in names if _base(n).lower() == "obj.data"], _darknet_paths),
    ):
        outermost = min((name.count("/") for name in candidates), default=0)
        described = [
            (name, paths)
            for name in candidates
            if name.count("/") == outermost and (paths := paths_of(read(name)))
        ]
        if len(described) == 1:
            name, paths = described[0]
            if all(found == [f"/images/{split}"] for split, found in paths.items()):
                return GivenSplits()  # the usual folders, whose names say which split they are
            found = _Tree(names, images, read).assign(name, paths)
            if found.splits:
                return found
    return _bare_lists(names, images, read)


def _bare_lists(names: Sequence[str], images: Sequence[str], read: Read) -> GivenSplits:
    """Darknet's oldest form: ``train.txt`` and ``val.txt``, and nothing that names them."""
    texts = {name.lower(): name for name in names if name.lower().endswith(".txt")}
    trains = [n for n in texts if n.endswith("train.txt") and _base(n) == "train.txt"]
    owned = {fold(image[: image.rfind(".")]) + ".txt" for image in images} if trains else set()
    for train in sorted(trains, key=lambda n: n.count("/")):
        home = train[: -len("train.txt")]
        paths = {
            split: [
                texts[f"{home}{word}.txt"][len(home) :]
                for word in words
                if f"{home}{word}.txt" in texts and f"{home}{word}.txt" not in owned
            ]
            for split, words in _LISTS.items()
        }
        if sum(map(bool, paths.values())) > 1:
            return _Tree(names, images, read).assign(texts[train], paths)
    return GivenSplits()


def _yamls(names: Sequence[str]) -> list[str]:
    yamls = [n for n in names if n.lower().endswith((".yaml", ".yml")) and not _is_hidden(n)]
    known = [n for n in yamls if _base(n).lower().rpartition(".")[0] in ("data", "dataset")]
    return known or yamls


def _darknet_paths(text: bytes) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for key, value in _ENTRY.findall(text.decode("utf-8", "replace")):
        paths.setdefault("val" if key.startswith("val") else key, []).append(value)
    return paths


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or "/." in name


class _Tree:
    """Finds what paths from another machine mean among the members."""

    def __init__(self, names: Sequence[str], images: Sequence[str], read: Read) -> None:
        self._read = read
        self._names, self._all = names, images
        in_folder: dict[str, list[str]] = {}
        for image in images:
            in_folder.setdefault(image[: max(image.rfind("/"), 0)], []).append(image)
        self._below: dict[str, list[str]] = {}
        for folder, inside in in_folder.items():
            above = fold(folder)
            while True:
                self._below.setdefault(above, []).extend(inside)
                if not above:
                    break
                above = above.rpartition("/")[0]
        self._by_name: dict[str, set[str]] = {}
        self._lists: set[str] = set()
        self._missing: list[str] = []

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {fold(name): name for name in self._names if name.lower().endswith(".txt")}

    @cached_property
    def _images(self) -> dict[str, str]:
        return {fold(name): name for name in self._all}

    def assign(self, name: str, paths: dict[str, list[str]]) -> GivenSplits:
        """Return the splits that the file `name` gives by `paths`."""
        home = name[: len(name) - len(_base(name))]
        found = {
            split: {image for path in paths.get(split, ()) for image in self._find(path, home)}
            for split in SPLITS
        }
        train, val, test = (found[split] for split in SPLITS)
        notes = []
        if train and not train - val - test:
            # Otherwise there would be nothing to train on: val or test is only there because a tool
            # asks for it.
            val, test = val - train, test - train
            notes.append(
                f"{name} names the same images for train and for another split: they went to train"
            )
        elif overlap := len(train & (val | test)):
            notes.append(
                f"{name} names {counted(overlap, 'image')} for train and for another split as "
                f"well, "
                f"which did not go to train"
            )
        splits = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
        splits |= dict.fromkeys(val, "val")
        if self._missing:
            notes.append(
                f"{counted(len(self._missing), 'image is', 'images are')} named in {name} and not "
                f"there, such as "
                f"{self._missing[0]!r}"
            )
        return GivenSplits(splits, home, frozenset(self._lists), notes)

    def _find(self, path: str, home: str) -> Iterable[str]:
        parts = _parts(path)
        if parts and parts[-1].lower().endswith(".txt"):
            for place in _places(parts, home):
                if place in self._texts:
                    return self._listed(self._texts[place])
            return ()
        for place in _places(parts, home):
            if place in self._below:
                return self._below[place]
        return ()

    def _listed(self, name: str) -> Iterable[str]:
        """Return the images that a text file lists, one a line."""
        self._lists.add(name)
        home = name[: len(name) - len(_base(name))]
        for line in self._read(name).decode("utf-8-sig", "replace").splitlines():
            if line.strip():
                image = self._image(line, home)
                if image is None:
                    self._missing.append(line.strip())
                else:
                    yield image

    def _image(self, line: str, home: str) -> str | None:
        """Return the image that a line of a list means.

        Some lists have the label file behind the image, names without their folders, or without
        their extensions, too.
        """
        for text in dict.fromkeys((line.strip(), re.split(r"[\s,;]", line.strip(), maxsplit=1)[0])):
            parts = _parts(text)
            if not parts:
                continue
            found = next((self._images[p] for p in _places(parts, home) if p in self._images), None)
            if found is not None:
                return found
            if not self._by_name:
                for key, image in self._images.items():
                    base = _base(key)
                    self._by_name.setdefault(base, set()).add(image)
                    self._by_name.setdefault(base.rpartition(".")[0], set()).add(image)
            named = self._by_name.get(fold(parts[-1]), set())
            if len(named) == 1:
                return next(iter(named))
        return None


def _parts(path: str) -> list[str]:
    parts = path.strip().replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..")]


def _places(parts: Sequence[str], home: str) -> Iterable[str]:
    """Yield where a path may lead, its longest end first."""
    if not parts:
        yield fold(home.rstrip("/"))
    for start in range(len(parts)):
        end = list(parts[start:])
        if start and end[0].lower() == "images" and len(end) == 1:
            return  # the folder of all splits is not what the lost part of the path meant
        yield fold(home + "/".join(end))
        if home:
            yield fold("/".join(end))
