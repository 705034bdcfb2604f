"""COCO JSON, of the challenge and of the tools that write its form.

::

    annotations/instances_train2017.json    train2017/x.jpg     COCO; also images/train2017/
    annotations/instances_default.json      images/a/x.jpg      CVAT
    train/_annotations.coco.json            train/x.jpg         Roboflow; valid/, test/
    result.json                             images/x.jpg        Label Studio
    labels.json                             data/x.jpg          FiftyOne
    any.json                                x.jpg               one file beside the pictures

The format is described at https://cocodataset.org/#format-data. ``images`` have an id and a
``file_name``; ``categories`` an id and a ``name``; ``annotations`` the ids of both and a
``bbox`` of ``[x, y, width, height]`` in pixels, the upper left corner first, counted from 0.
Ids are arbitrary: the 80 categories of COCO itself are numbered 1 to 90 with gaps. Of captions
and panoptic segmentations, and of keypoints beside boxes of the same pictures, nothing is taken.

A picture that a file lists without annotations is one that shows nothing; one that no file lists
is not labelled yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.coco_boxes import FAR, around, box_of, drawn_backwards
from workbench.datasets.formats.coco_classes import (
    Category,
    CocoFile,
    Id,
    ascending,
    by_ids,
    number_classes,
)
from workbench.datasets.formats.coco_rows import SHAPES, CocoRows, columns_of, extra_of
from workbench.datasets.formats.columns import BoxTable, PlainBoxes
from workbench.datasets.formats.items import (
    CROWD,
    KEYPOINTS,
    MASK,
    POLYGON,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    number,
    size_of,
)
from workbench.datasets.formats.rle import rle_box
from workbench.datasets.formats.view import FolderView
from workbench.datasets.judging import both
from workbench.errors import ImportFormatError

TITLE = "COCO"

SHOWN = "supervision"
"""Contributor of a file whose boxes are of pictures as they are shown, after EXIF rotation."""

_NAMED_LIKE_COCO = re.compile(r"instances[_.].*\.json|.*\.coco\.json", re.IGNORECASE)
_WAS_COCO = re.compile(rb'"(?:images|annotations)"\s*:\s*\[')
_WHOLE = re.compile(r"\s*\+?(-?[0-9]{1,18})(?:\.0{1,9})?\s*")
_TICK = 20_000
_SAMPLE = 200
_MANY, _FEW = 2000, 5
_NAMES = ("file_name", "filename", "path", "coco_url", "url", "flickr_url")


def detect(view: FolderView) -> Detection:
    """Look for JSON files with images, annotations and categories."""
    files = view.matching([".json"], lambda name: _is_coco(view, name))
    plain = [name for name in files if not _is_special(name)]
    files = plain or files
    if not files:
        return Detection()
    return Detection(0.95, f"{files[0]} has images and boxes in COCO's form", files)


def _is_coco(view: FolderView, name: str) -> bool:
    named = _NAMED_LIKE_COCO.fullmatch(name.rpartition("/")[2]) is not None
    try:
        found = view.json(name)
    except ImportFormatError:
        head = view.head(name, 2**20)
        boxes = b'"image_id"' in head and (b'"bbox"' in head or b'"segmentation"' in head)
        return b'"segments_info"' not in head and (
            named or (boxes and _WAS_COCO.search(head) is not None)
        )
    if not isinstance(found, dict):
        return named
    images, rows = by_ids(found.get("images"), "id"), by_ids(found.get("annotations"), "image_id")
    listed = isinstance(rows, list | CocoRows)
    some = [r for r in rows[:_SAMPLE] if isinstance(r, dict)] if listed else []
    if any("segments_info" in row for row in some):
        return False
    if named:
        return True
    if not isinstance(images, list):
        return bool(some) and "categories" in found and _has_boxes(some)
    if some:
        return _has_boxes(some)
    return any(isinstance(i, dict) and "file_name" in i for i in images[:_SAMPLE])


def _has_boxes(rows: list[dict[str, Any]]) -> bool:
    return any("image_id" in row and ("bbox" in row or "segmentation" in row) for row in rows)


def _is_special(name: str) -> bool:
    # Their boxes are those of the instances, of persons alone, or of no single things.
    return name.rpartition("/")[2].lower().startswith(("person_keypoints", "stuff_"))


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`.

    Raises
    ------
    ImportFormatError
        If all are damaged, or not in COCO's form.
    """
    files: list[CocoFile] = []
    unreadable: list[tuple[str, str]] = []
    for name in detection.files:
        options.tick()
        try:
            files.append(parse(view.json(name), name, f"{view.path}, "))
        except ImportFormatError as error:
            if len(unreadable) + 1 == len(detection.files):
                raise  # of none there is anything to be read
            unreadable.append((name, str(error).removeprefix(f"{view.path}, ")))
    classes = number_classes(files)
    used = set(detection.files) - {name for name, _ in unreadable}
    reading = Reading(classes=classes.names, declared=True, used=used, unreadable=unreadable)
    reading.notes = classes.notes

    def records() -> Iterator[Record]:
        for file, ids in zip(files, classes.ids, strict=True):
            named = {key: classes.names[class_id] for key, class_id in ids.items()}
            yield from _records(file, named, reading, options)

    reading.records = records()
    return reading


def parse(found: Any, where: str, above: str = "") -> CocoFile:
    """Return an annotation file, with its keys checked.

    Raises
    ------
    ImportFormatError
        If it is not in COCO's form.
    """
    images = by_ids(found.get("images"), "id") if isinstance(found, dict) else None
    if not isinstance(images, list):
        keys = ", ".join(map(repr, list(found)[:5])) if isinstance(found, dict) else "none"
        raise ImportFormatError(
            f"{above}{where}: expected COCO's keys 'images', 'annotations' and 'categories', found "
            f"{keys or 'none'}; export it again as COCO, or take the file away to import the "
            f"pictures alone"
        )
    rows = by_ids(found.get("annotations"), "image_id")
    if rows is not None and not isinstance(rows, list | CocoRows):
        raise ImportFormatError(
            f"{above}{where}: expected a list as 'annotations', found {type(rows).__name__}; "
            f"export it again as COCO"
        )
    categories = _categories(found.get("categories"))
    if isinstance(rows, list):
        rows = _with_ids(rows, categories)
    return CocoFile(
        where,
        images,
        categories,
        rows or [],
        rows is not None,
        _used(rows or []),
        _contributor(found) in ("Label Studio", SHOWN),
    )


def _with_ids(rows: list[Any], categories: Sequence[Category]) -> list[Any]:
    """Return annotations with the ids of categories where some tool has written their names."""
    ids = {category.id for category in categories}
    called = {one.name: one.id for one in categories if one.name and one.name not in ids}
    if not any(isinstance(row, dict) and isinstance(row.get("category_id"), str) for row in rows):
        return rows
    return [
        {**row, "category_id": called[name]}
        if isinstance(row, dict)
        and isinstance(text := row.get("category_id"), str)
        and (name := " ".join(text.split())) in called
        else row
        for row in rows
    ]


def _used(rows: Sequence[Any]) -> set[Id]:
    """Return the categories that annotations are of."""
    if isinstance(rows, CocoRows):
        return {*rows.columns.category_id.tolist()}
    ids = [row.get("category_id") for row in rows if isinstance(row, dict)]
    unlike = ids if {*map(type, ids)} - {int} else {*ids}
    return {key for value in unlike if (key := _id(value)) is not None}


def _contributor(found: dict[str, Any]) -> str:
    info = found.get("info")
    return str(info.get("contributor", "")) if isinstance(info, dict) else ""


def _categories(items: Any) -> list[Category]:
    by_id: dict[Id, Category] = {}
    if isinstance(items, dict):
        named = {key: {"name": v} if isinstance(v, str) else v for key, v in items.items()}
        items = by_ids(named, "id")
    for item in items if isinstance(items, list) else []:
        category_id = _id(item.get("id")) if isinstance(item, dict) else None
        if category_id is not None:
            texts = (item.get("name"), item.get("supercategory"))
            name, above = (" ".join(t.split()) if isinstance(t, str) else "" for t in texts)
            by_id.setdefault(category_id, Category(category_id, name, above))
    return [by_id[key] for key in sorted(by_id, key=ascending)]


def _records(
    file: CocoFile, names: Mapping[Id, str], reading: Reading, options: Options
) -> Iterator[Record]:
    """Yield what a file says of each picture, in the order of its images."""
    records: dict[Id, Record] = {}
    shared: dict[Id, list[Record]] = {}
    for place, item in enumerate(file.images, start=1):
        if not isinstance(item, dict):
            continue
        image_id = _id(item.get("id"))
        name = next((item[key] for key in _NAMES if item.get(key)), None)
        if image_id is None or not isinstance(name, str | int) or isinstance(name, bool):
            continue
        record = Record(
            file.where, str(name), place=place, reviewed=file.annotated, shown=file.shown
        )
        record.size = size_of(item.get("width"), item.get("height"))
        if (before := records.get(image_id)) is not None and before.picture != record.picture:
            # Two files were joined without new ids: what is said of this one may mean either.
            shared.setdefault(image_id, [before]).append(record)
        records[image_id] = record
    by_corners = _has_corners(file, records)
    if by_corners:
        reading.notes.append(
            f"{file.where} has corners (x1, y1, x2, y2) as 'bbox' where COCO has width and height: "
            f"read as such, since many would reach out of their pictures otherwise"
        )
    rest = range(len(file.annotations)) if by_corners else _take_plain(file, names, records)
    named = _by_name(records) if rest else {}
    for index in rest:
        row, place = file.annotations[index], index + 1
        if place % _TICK == 0:
            options.tick()
        if by_corners and isinstance(row, dict):
            row = row | {"bbox": _as_sides(row.get("bbox"))}
        _take(row, place, file, names, records, named, reading)
    if file.annotations and not any(r.found or r.problems for r in records.values()):
        for record in records.values():
            record.reviewed = False  # what it says is of no picture that it lists
    for image_id, some in shared.items():
        _leave_ambiguous(records.pop(image_id), some)
        yield from some
    yield from records.values()


def _leave_ambiguous(record: Record, some: Sequence[Record]) -> None:
    """Leave what was said of one of several pictures that have the same id."""
    left = [Problem(why.AMBIGUOUS, box.place) for box in record.found]
    for one in some:
        one.plain, one.boxes, one.reviewed = None, [], False
    record.problems += left


def _take_plain(
    file: CocoFile, names: Mapping[Id, str], records: Mapping[Id, Record]
) -> Sequence[int]:
    """Take the pictures whose annotations are all in good order; return which annotations remain.

    All numbers are looked at together, in columns. An annotation is in good order if its ids are
    whole numbers that are known, its box is four numbers with an area, and it is no crowd.
    """
    rows = file.annotations
    everything = range(len(rows))
    columns = rows.columns if isinstance(rows, CocoRows) else columns_of(rows)
    if columns is None or not records:
        return everything  # one by one
    numbers = {key: number for number, key in enumerate(records)}
    labels = {key: number for number, key in enumerate(names)}
    owner = _places(numbers, columns.image_id)
    class_id = _places(labels, columns.category_id)
    good = (owner >= 0) & (class_id >= 0) & ~columns.crowd
    # What is not a number falls out of the comparisons.
    sides = columns.sides
    near = abs(sides) < FAR
    good &= both(near[:, :2]) & both(near[:, 2:]) & both(sides[:, 2:] > 0)
    bad = np.zeros(len(records), dtype=np.bool_)
    bad[owner[~good & (owner >= 0)]] = True
    chosen = np.flatnonzero(good & ~bad[owner])
    chosen = chosen[np.argsort(owner[chosen], kind="stable")]
    if not len(chosen):
        return everything
    corners = sides[chosen]
    corners[:, 2:] += corners[:, :2]
    extras = columns.extras
    if extras:
        numbered = enumerate(chosen.tolist())
        extras = {place: extras[number] for place, number in numbered if number in extras}
    table = BoxTable(
        *(list(names.values()), class_id[chosen], corners, chosen + 1),
        *(columns.shapes[chosen], SHAPES, extras),
    )
    ends = np.cumsum(np.bincount(owner[chosen], minlength=len(records))).tolist()
    for record, start, end in zip(records.values(), [0, *ends], ends, strict=False):
        if end > start:
            record.plain = PlainBoxes(table, start, end)
    left = np.ones(len(rows), dtype=np.bool_)
    left[chosen] = False
    remaining: list[int] = np.flatnonzero(left).tolist()
    return remaining


def _places(numbers: Mapping[Id, int], keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of each key; -1 for one that is unknown."""
    found = map(numbers.get, keys.tolist(), repeat(-1))
    return np.fromiter(found, dtype=np.int64, count=len(keys))


def _has_corners(file: CocoFile, records: Mapping[Id, Record]) -> bool:
    """Whether boxes make sense as two corners only: all do, and many not as a corner and sides."""
    over = total = 0
    for row in file.annotations[:_MANY]:
        box = row.get("bbox") if isinstance(row, dict) else None
        image_id = _id(row.get("image_id")) if box else None
        record = records.get(image_id) if image_id is not None else None
        if record is None or record.size is None or not isinstance(box, list) or len(box) != 4:
            continue
        try:
            x, y, right, bottom = map(number, box)
        except ValueError:
            continue
        width, height = record.size
        if not (x < right <= width + 1 and y < bottom <= height + 1):
            return False
        total += 1
        over += x + right > width + 1 or y + bottom > height + 1
    return total >= _FEW and over * _FEW >= total


def _by_name(records: Mapping[Id, Record]) -> dict[str, Record | None]:
    """Return the pictures by what annotations may call them in place of COCO's ids.

    Names with and without extension; None for one that several pictures have.
    """
    found: dict[str, Record | None] = {}
    for record in records.values():
        base = record.picture.rpartition("/")[2]
        for name in {base, base.rpartition(".")[0]}:
            found[name] = None if name in found else record
    return found


def _as_sides(box: Any) -> Any:
    try:
        x, y, right, bottom = map(number, box)
    except (TypeError, ValueError):
        return box
    return [x, y, right - x, bottom - y]


def _take(
    row: Any,
    place: int,
    file: CocoFile,
    names: Mapping[Id, str],
    records: Mapping[Id, Record],
    named: Mapping[str, Record | None],
    reading: Reading,
) -> None:
    if not isinstance(row, dict):
        reading.problems.append((file.where, Problem(why.NO_BOX, place)))
        return
    image_id = _id(row.get("image_id"))
    record = records.get(image_id) if image_id is not None else None
    if record is None and isinstance(name := row.get("image_id"), str):  # "000001" is one, too
        record = named.get(name.rpartition("/")[2])
    if record is None:
        reading.problems.append((file.where, Problem(why.NO_IMAGE, place)))
        return
    crowd = row.get("iscrowd") in (1, "1", True)
    category = _id(row.get("category_id"))
    if category not in names or category is None:
        record.problems.append(Problem(why.CROWDS if crowd else why.NO_CATEGORY, place))
        return
    outline = row.get("segmentation")
    try:
        box, shape = box_of(row.get("bbox")), ""
        if box is None and not outline:
            box = drawn_backwards(row.get("bbox"))
        if box is None:
            box = rle_box(outline) if isinstance(outline, dict) else around(outline)
            shape = MASK if isinstance(outline, dict) else ""
        shape = shape or (POLYGON if outline and isinstance(outline, list) else "")
        shape = CROWD if crowd else shape or (KEYPOINTS if row.get("keypoints") else "")
    except ValueError as error:
        reason = why.CROWDS if crowd else why.NO_BOX
        record.problems.append(Problem(reason, place, str(error)))
        return
    left, top, right, bottom = box
    record.boxes.append(
        Box(names[category], left, top, right, bottom, place, shape, None, extra_of(row))
    )


def _id(value: Any) -> Id | None:
    if type(value) is int:
        return value
    if isinstance(value, str):
        whole = _WHOLE.fullmatch(value)
        return int(whole[1]) if whole else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
