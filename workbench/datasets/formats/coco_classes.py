"""Class ids for the categories of COCO files, whose own ids are arbitrary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from workbench.datasets.changes import counted

Id = int | str
"""Of an image or category. COCO has integers; some tools write them as text."""


class Category(NamedTuple):
    """One category; the texts may be empty."""

    id: Id
    name: str
    supercategory: str


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What an annotation file holds.

    Parameters
    ----------
    where : str
        Name of the file.
    images : list
    annotations : sequence
        As they stand there.
    categories : list of Category
        By ascending id, each id once.
    annotated : bool
        Whether there are annotations, if none; else (``image_info_test2017.json``) nothing
        is said of what the images show.
    used : set of Id
        Categories that annotations are of.
    shown : bool
        Whether its tool measures pictures as they are shown, whatever size it writes down.
    """

    where: str
    images: list[Any]
    categories: list[Category]
    annotations: Sequence[Any]
    annotated: bool
    used: set[Id]
    shown: bool = False


def by_ids(found: Any, key: str) -> Any:
    """Return objects that stand under their ids as a list, with the id in each that lacks it.

    Parameters
    ----------
    found : object
        Anything but a mapping of objects, or of lists of objects, is returned as it is.
    key : str
        What the ids are.
    """
    if not isinstance(found, dict) or not found:
        return found
    rows = []
    for name, value in found.items():
        some = value if isinstance(value, list) else [value]
        if not all(isinstance(row, dict) for row in some):
            return found
        rows += [row if key in row else {**row, key: name} for row in some]
    return rows


def ascending(value: Id) -> tuple[bool, Id]:
    """Sort key of ids: numbers first."""
    return isinstance(value, str), value


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a dataset.

    Parameters
    ----------
    names : list of str
    ids : list of dict of Id to int
        For each file, class ids by category id.
    notes : list of str
        What was left out or made up.
    """

    names: list[str]
    ids: list[dict[Id, int]]
    notes: list[str]


def number_classes(files: Sequence[CocoFile]) -> Classes:
    """Give the categories of all files class ids from 0, by ascending category id.

    Categories of different files are one class if their names are the same. The second
    category of a name in one file is a class of its own, with a number behind its name.
    """
    used = [file.used for file in files]
    described = [_all_described(file, ids) for file, ids in zip(files, used, strict=True)]
    notes = _made_up(files, described)
    groups = _groups(described, used)
    if groups:
        notes.append(
            f"{_some(sorted(groups))} only stand above other categories and have no boxes: left "
            f"out of the classes"
        )
    keys: dict[tuple[str, int], Id] = {}
    file_keys: list[dict[Id, tuple[str, int]]] = []
    for categories in described:
        seen: Counter[str] = Counter()
        mine: dict[Id, tuple[str, int]] = {}
        for category in categories:
            if category.name in groups:
                continue
            seen[category.name] += 1
            key = category.name, seen[category.name]
            mine[category.id] = key
            keys.setdefault(key, category.id)
        file_keys.append(mine)
    order = sorted(keys, key=lambda key: ascending(keys[key]))
    names = _distinct(order, notes)
    position = {key: class_id for class_id, key in enumerate(order)}
    ids = [{i: position[key] for i, key in mine.items()} for mine in file_keys]
    return Classes(names, ids, notes)


def _all_described(file: CocoFile, used: set[Id]) -> list[Category]:
    """Return all categories of a file, also those that it uses without describing them."""
    by_id = {category.id: category for category in file.categories}
    for category_id in used:
        by_id.setdefault(category_id, Category(category_id, "", ""))
    named = (c if c.name else c._replace(name=f"class_{c.id}") for c in by_id.values())
    return sorted(named, key=lambda category: ascending(category.id))


def _made_up(files: Sequence[CocoFile], described: Sequence[Sequence[Category]]) -> list[str]:
    notes = []
    for file, categories in zip(files, described, strict=True):
        names = {category.id: category.name for category in file.categories}
        made_up = [category.name for category in categories if not names.get(category.id)]
        if made_up:
            notes.append(
                f"{file.where} does not name {counted(len(made_up), 'category', 'categories')}, "
                f"called {_some(made_up)} here; rename what has no name"
            )
    return notes


def _groups(described: Sequence[Sequence[Category]], used: Sequence[set[Id]]) -> set[str]:
    """Return categories that are no classes but stand above some.

    Roboflow writes its project's name as category 0, with "none" as what stands above it.
    """
    above = {c.supercategory for categories in described for c in categories}
    in_use = {
        category.name
        for categories, ids in zip(described, used, strict=True)
        for category in categories
        if category.id in ids
    }
    return {
        category.name
        for categories in described
        for category in categories
        if category.supercategory.lower() == "none"
        and category.name not in in_use
        and (category.name in above or (category.id == 0 and above - {category.supercategory}))
    }


def _distinct(order: Sequence[tuple[str, int]], notes: list[str]) -> list[str]:
    """Return a name for each class, all of which differ."""
    taken = {name for name, number in order if number == 1}
    names = []
    for name, number in order:
        new = name
        if number > 1:
            new = next(new for i in count(number) if (new := f"{name}_{i}") not in taken)
            taken.add(new)
            notes.append(f"several categories are called {name!r}; one is the class {new!r} now")
        names.append(new)
    return names


def _some(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(map(repr, names[:limit])) + " and others" * (len(names) > limit)
