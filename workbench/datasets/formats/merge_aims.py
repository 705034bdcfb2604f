"""What happens to which pictures when something comes into a dataset that exists."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.columns import Row, Rows, count_labels
from workbench.datasets.formats.contents import Contents, leave, leave_boxes
from workbench.datasets.formats.ledger import ANNOTATIONS, PICTURES, Entry, Ledger
from workbench.datasets.formats.reading import Picture
from workbench.errors import ImportFormatError
from workbench.persistence.archive.directory import fold
from workbench.persistence.models import SPLITS, Annotation, ImageKey
from workbench.persistence.yolo.names import stem

_EXISTING = ("keep", "add", "replace")
_NEW = ("add", "leave")
_SAME = 2e-6
"""How far the numbers of two boxes that are one may differ: labels have six decimals or more."""
_CELLS = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """The dataset that is added to, with its classes before, and the choices about it."""

    dataset: str
    classes: list[str]
    existing: str
    new: str

    def __post_init__(self) -> None:
        for text, allowed in ((self.existing, _EXISTING), (self.new, _NEW)):
            if text not in allowed:
                raise ImportFormatError(f"expected one of {', '.join(allowed)}, found {text!r}")


@dataclass(slots=True)
class Aims:
    """What happens to which pictures.

    Parameters
    ----------
    found : dict of str to (str, str)
        Those that are there, by their names in the source.
    classes : list of str
        Of the dataset afterwards.
    labels : dict of (str, str) to list of Annotation
        For pictures that are there, all that they will have.
    new : dict of str to (str, str)
        New pictures, by their names in the source.
    replaced : dict of str to (str, str)
        New pictures that take the place of others with the same name.
    same : dict of str to (str, str)
        Pictures that are there with the same labels.
    contradicted : dict of str to (str, str)
        Pictures that are there with other labels.
    rows : dict of str to sequence of Row
        The boxes that come in, by the picture in the source.
    """

    found: dict[str, ImageKey]
    classes: list[str] = field(default_factory=list)
    labels: dict[ImageKey, list[Annotation]] = field(default_factory=dict)
    new: dict[str, ImageKey] = field(default_factory=dict)
    replaced: dict[str, ImageKey] = field(default_factory=dict)
    same: dict[str, ImageKey] = field(default_factory=dict)
    contradicted: dict[str, ImageKey] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=dict)

    def key_of(self, name: str) -> ImageKey | None:
        """Return where a picture of the source is afterwards; None: it does not come in."""
        return self.new.get(name) or self.found.get(name) or self.replaced.get(name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many images, labels and boxes come into which split."""
        result = {split: {"images": 0, "labelled": 0, "boxes": 0} for split in SPLITS}
        for split, _ in [*self.new.values(), *self.replaced.values()]:
            result[split]["images"] += 1
        for name, rows in self.rows.items():
            key = self.key_of(name)
            if key is not None:
                result[key[0]]["labelled"] += 1
                result[key[0]]["boxes"] += len(rows)
        return result


def aims_of(
    contents: Contents,
    target: Target,
    found: dict[str, ImageKey],
    present: Mapping[ImageKey, list[Annotation] | None],
    clashes: str,
) -> Aims:
    """Decide about every picture, and count what is left.

    Parameters
    ----------
    contents : Contents
        Its ledger says afterwards what comes of it here.
    target : Target
    found : dict of str to (str, str)
        The pictures of the source that are there.
    present : mapping of (str, str) to list of Annotation or None
        All pictures of the dataset, with the boxes of those that the source has labels for; None:
        it is not labelled.
    clashes : str
        See `Choices.clashes`.
    """
    aims = Aims(found)
    others = [picture for picture in contents.pictures if picture.name not in found]
    _aim_others(aims, contents, target, others, present, clashes)
    for picture in others:
        if picture.rows is not None and (picture.name in aims.new or picture.name in aims.replaced):
            aims.rows[picture.name] = picture.rows
    labelled = [p for p in contents.pictures if p.name in found and p.rows is not None]
    # Of what is kept nothing comes in, so that it brings no classes either.
    asked = [p for p in labelled if target.existing != "keep" or present[found[p.name]] is None]
    used = set(count_labels([*aims.rows.values(), *(picture.rows for picture in asked)]))
    aims.classes = target.classes + [
        name for name in contents.classes if name in used - set(target.classes)
    ]
    ids = {name: class_id for class_id, name in enumerate(aims.classes)}
    for name, key in aims.replaced.items():
        if name in aims.rows:
            aims.labels[key] = annotations_of(aims.rows[name], ids)
    _aim_labels(aims, contents.ledger, target, labelled, present)
    for split, numbers in aims.counts().items():
        contents.ledger.by_split[PICTURES, split] = numbers["images"]
        contents.ledger.by_split[ANNOTATIONS, split] = numbers["boxes"]
    return aims


def _aim_others(
    aims: Aims,
    contents: Contents,
    target: Target,
    pictures: Sequence[Picture],
    present: Iterable[ImageKey],
    clashes: str,
) -> None:
    """Say where pictures go that are not there."""
    if target.new == "leave":
        leave(contents.ledger, pictures, why.NOT_HERE)
        return
    owners = {(split, fold(stem(filename))): (split, filename) for split, filename in present}
    taken = set(owners)
    left: list[Picture] = []
    for picture in pictures:
        _, split, filename = contents.targets[picture.name].split("/")
        place = split, fold(stem(filename))
        if place not in taken or clashes == "rename":
            aims.new[picture.name] = _free(split, filename, taken)
        elif clashes == "replace" and place in owners:
            aims.replaced[picture.name] = owners.pop(place)
        else:
            left.append(picture)
    leave(contents.ledger, left, why.NAME_TAKEN)


def _aim_labels(
    aims: Aims,
    ledger: Ledger,
    target: Target,
    pictures: Sequence[Picture],
    present: Mapping[ImageKey, list[Annotation] | None],
) -> None:
    """Say what labels pictures get that are there."""
    ids = {name: class_id for class_id, name in enumerate(aims.classes)}
    same: list[Picture] = []
    kept: list[Picture] = []
    for picture in pictures:
        key, rows = aims.found[picture.name], picture.rows or []
        old = present[key]
        if old is None:
            aims.labels[key], aims.rows[picture.name] = annotations_of(rows, ids), rows
            continue
        is_there = _are_there(rows, ids, old)
        if all(is_there) and len(rows) == len(old):
            aims.same[picture.name] = key
            same.append(picture)
            continue
        aims.contradicted[picture.name] = key
        if target.existing == "replace":
            aims.labels[key], aims.rows[picture.name] = annotations_of(rows, ids), rows
        elif target.existing == "keep":
            kept.append(picture)
        else:
            new = [row for row, known in zip(rows, is_there, strict=True) if not known]
            leave_boxes(ledger, picture, why.THERE_ALREADY, is_there)
            if new:
                aims.labels[key] = old + annotations_of(new, ids)
                aims.rows[picture.name] = new
    leave(ledger, same, why.THERE_ALREADY, whole=False)
    leave(ledger, kept, why.LABELLED_ALREADY, whole=False)


def leave_there(contents: Contents, names: Collection[str]) -> None:
    """Count pictures that are there as left, whatever becomes of their labels."""
    ledger = contents.ledger
    for picture in contents.pictures:
        if picture.name in names:
            ledger.add(Entry(PICTURES, "left", why.PICTURE_THERE, picture.name, 0, picture.name))
            ledger.taken[PICTURES] -= 1
    ledger.withdraw(names, lambda key: key[0] == PICTURES and key[2] in why.OF_COMING)


def _are_there(
    rows: Iterable[Row], ids: Mapping[str, int], there: Sequence[Annotation]
) -> list[bool]:
    """Return whether each box is among those that are there."""
    cells: dict[_Cell, list[Annotation]] = {}
    for box in there:
        cells.setdefault(_cell(box.class_id, box.x, box.y), []).append(box)
    result = []
    for row in rows:
        # A class that would be new is of no box that is there.
        number, x, y = _cell(ids.get(row.label, -1), row.x, row.y)
        near = ((number, x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1))
        result.append(any(_is_one(row, box) for cell in near for box in cells.get(cell, ())))
    return result


_Cell = tuple[int, int, int]


def _cell(class_id: int, x: float, y: float) -> _Cell:
    return class_id, int(x * _CELLS), int(y * _CELLS)


def _is_one(row: Row, box: Annotation) -> bool:
    return all(abs(a - b) <= _SAME for a, b in zip(row[1:5], box.xywh, strict=True))


def _free(split: str, filename: str, taken: set[tuple[str, str]]) -> ImageKey:
    """Return a key whose label file no other picture has, and keep it."""
    base, suffix = stem(filename), filename[len(stem(filename)) :]
    name, number = filename, 2
    while (split, fold(stem(name))) in taken:
        name = f"{base}_{number}{suffix}"
        number += 1
    taken.add((split, fold(stem(name))))
    return split, name


def annotations_of(rows: Collection[Row], ids: Mapping[str, int]) -> list[Annotation]:
    """Return rows as boxes with the ids of their classes."""
    return [Annotation(ids[r.label], r.x, r.y, r.width, r.height) for r in rows]
