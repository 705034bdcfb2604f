"""One COCO annotation file: bytes to images, categories and boxes. Touches no disk.

The format is described at https://cocodataset.org/#format-data. ``images`` have an id and a
``file_name``; ``categories`` an id and a ``name``; ``annotations`` the ids of both and a
``bbox`` of ``[x, y, width, height]`` in pixels, the upper left corner first, counted from 0
("box coordinates are measured from the top left image corner and are 0-indexed"). Ids are
arbitrary: the 80 categories of COCO itself are numbered 1 to 90 with gaps.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from workbench.errors import ImportFormatError

Id = int | str
"""Of an image or category. COCO has integers; some tools write them as text."""

CROWDS = "crowds"
NO_BOX = "no box"
NO_CATEGORY = "no category"
NO_IMAGE = "no image"
OUTLINES = "outlines"
KEYPOINTS = "keypoints"
"""What `CocoFile.counts` counts; the first four are annotations that are not among the boxes."""

_NAMED_LIKE_COCO = re.compile(r"instances[_.].*\.json|.*\.coco\.json", re.IGNORECASE)
_IMAGES = re.compile(rb'"images"\s*:\s*\[')
_CATEGORIES = re.compile(rb'"categories"\s*:\s*\[')
_ANNOTATIONS = re.compile(rb'"annotations"\s*:\s*\[')

# So many objects are read between two chances to cancel: some tens of milliseconds.
_TICK = 20_000


# A tuple, because there may be a million of them.
class CocoBox(NamedTuple):
    """The box of one annotation, in pixels, as it stands in the file."""

    category_id: Id
    x: float
    y: float
    width: float
    height: float


class CocoImage(NamedTuple):
    """One image: its name may hold folders; its size is None where the file does not say."""

    id: Id
    file_name: str
    size: tuple[int, int] | None


class CocoCategory(NamedTuple):
    """One category; the texts may be empty."""

    id: Id
    name: str
    supercategory: str


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What an annotation file says.

    Parameters
    ----------
    where : str
        Name of the file.
    images : list of CocoImage
    categories : list of CocoCategory
        By ascending id, each id once.
    boxes : dict of Id to list of CocoBox
        By image. All have finite numbers, and a width and height above 0.
    annotated : bool
        Whether there are annotations, if none; else (``image_info_test2017.json``) nothing
        is said of what the images show.
    counts : Counter of str
        Annotations that were left out or reduced, by the names above.
    """

    where: str
    images: list[CocoImage]
    categories: list[CocoCategory]
    boxes: dict[Id, list[CocoBox]]
    annotated: bool
    counts: Counter[str]


class _Row(NamedTuple):
    """An annotation, reduced to what is needed of it as soon as it has been read."""

    image_id: Id | None
    category_id: Id | None
    box: tuple[float, float, float, float] | None
    crowd: bool
    outlined: bool
    keypoints: bool


def looks_like_coco(name: str, data: bytes) -> bool:
    """Whether a JSON file is, or was before it was damaged, one of detection labels.

    Captions and panoptic segmentations have images and annotations, too, but no boxes of
    single things.
    """
    if b'"segments_info"' in data:
        return False
    if _NAMED_LIKE_COCO.fullmatch(name.rpartition("/")[2]):
        return True
    images = _IMAGES.search(data) is not None
    if b'"image_id"' in data and _ANNOTATIONS.search(data):
        boxes = b'"bbox"' in data or b'"segmentation"' in data
        return boxes and (images or _CATEGORIES.search(data) is not None)
    return images and b'"file_name"' in data


def parse_coco(data: bytes, where: str, tick: Callable[[], None] = lambda: None) -> CocoFile:
    """Read the bytes of an annotation file.

    Parameters
    ----------
    data : bytes
        JSON in UTF-8, with or without byte order mark.
    where : str
        What to call the file in messages.
    tick : callable
        Called now and then; raise from it to cancel.

    Raises
    ------
    ImportFormatError
        If it is no JSON, or not in COCO's form.
    """
    found = _load(data, where, tick)
    if not isinstance(found, dict) or not isinstance(found.get("images"), list):
        keys = ", ".join(map(repr, list(found)[:5])) if isinstance(found, dict) else "none"
        raise ImportFormatError(
            f"{where}: expected COCO's keys 'images', 'annotations' and 'categories', found "
            f"{keys or 'none'}; export it again as COCO, or take the file away to import the "
            f"pictures alone"
        )
    rows = found.get("annotations")
    if rows is not None and not isinstance(rows, list):
        raise ImportFormatError(
            f"{where}: expected a list as 'annotations', found {type(rows).__name__}; export it "
            f"again as COCO"
        )
    images = [image for item in found["images"] if (image := _image(item)) is not None]
    categories = _categories(found.get("categories"))
    boxes, counts = _group(rows or [], {image.id for image in images})
    return CocoFile(where, images, categories, boxes, rows is not None, counts)


def _load(data: bytes, where: str, tick: Callable[[], None]) -> Any:
    number = 0

    def reduce(item: dict[str, Any]) -> Any:
        # Here and not later: outlines are most of a large file, and would fill the memory.
        nonlocal number
        number += 1
        if number % _TICK == 0:
            tick()
        if "image_id" in item and ("bbox" in item or "segmentation" in item):
            return _row(item)
        return item

    tick()
    try:
        return json.loads(data, object_hook=reduce)
    except ValueError as error:  # no JSON, no UTF-8, or a number of 5,000 digits
        problem = str(error)
    except RecursionError:
        problem = "too many levels of lists in lists"
    raise ImportFormatError(
        f"{where}: expected JSON in COCO's form, found it damaged: {problem}; export or download "
        f"it again"
    )


def _row(item: dict[str, Any]) -> _Row:
    outline = item.get("segmentation")
    box = _box(item.get("bbox"))
    return _Row(
        image_id=_id(item["image_id"]),
        category_id=_id(item.get("category_id")),
        box=box if box is not None else _box_around(outline),
        crowd=item.get("iscrowd") in (1, "1"),
        outlined=bool(outline),
        keypoints=bool(item.get("keypoints")),
    )


def _box(value: Any) -> tuple[float, float, float, float] | None:
    """Return a box if it is one that has an area."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    numbers = _numbers(value)
    if numbers is None:
        return None
    x, y, width, height = numbers
    return (x, y, width, height) if width > 0 and height > 0 else None


def _box_around(outline: Any) -> tuple[float, float, float, float] | None:
    """Return the box around polygons, ``[[x1, y1, x2, y2, ...], ...]``; None if there is none.

    Masks (run-length encoded, as crowds have them) come with a box in all files there are.
    """
    if not isinstance(outline, list):
        return None
    if outline and not isinstance(outline[0], list):
        outline = [outline]
    points: list[float] = []
    for polygon in outline:
        numbers = _numbers(polygon) if isinstance(polygon, list) else None
        if numbers is None or len(numbers) % 2:
            return None
        points += numbers
    if not points:
        return None
    left, top = min(points[0::2]), min(points[1::2])
    return _box([left, top, max(points[0::2]) - left, max(points[1::2]) - top])


def _numbers(values: Sequence[Any]) -> list[float] | None:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _id(value: Any) -> Id | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _image(item: Any) -> CocoImage | None:
    """Return an image if it can be found by what is said of it."""
    if not isinstance(item, dict):
        return None
    image_id, name = _id(item.get("id")), item.get("file_name")
    if image_id is None or not isinstance(name, str) or not name:
        return None
    size = _numbers([item.get("width"), item.get("height")])
    if size is None or min(size) <= 0:
        return CocoImage(image_id, name, None)
    return CocoImage(image_id, name, (round(size[0]), round(size[1])))


def _categories(items: Any) -> list[CocoCategory]:
    by_id: dict[Id, CocoCategory] = {}
    for item in items if isinstance(items, list) else []:
        category_id = _id(item.get("id")) if isinstance(item, dict) else None
        if category_id is not None:
            texts = (item.get("name"), item.get("supercategory"))
            name, above = (" ".join(t.split()) if isinstance(t, str) else "" for t in texts)
            by_id.setdefault(category_id, CocoCategory(category_id, name, above))
    return [by_id[key] for key in sorted(by_id, key=ascending)]


def ascending(value: Id) -> tuple[bool, Id]:
    """Sort key of ids: numbers first."""
    return isinstance(value, str), value


def _group(rows: Iterable[Any], images: set[Id]) -> tuple[dict[Id, list[CocoBox]], Counter[str]]:
    """Return the boxes by image, and how many annotations were left out or reduced."""
    boxes: dict[Id, list[CocoBox]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for row in rows:
        if not isinstance(row, _Row):
            counts[NO_BOX] += 1
        elif row.image_id not in images or row.image_id is None:
            counts[NO_IMAGE] += 1
        elif row.crowd:
            counts[CROWDS] += 1
        elif row.category_id is None:
            counts[NO_CATEGORY] += 1
        elif row.box is None:
            counts[NO_BOX] += 1
        else:
            boxes[row.image_id].append(CocoBox(row.category_id, *row.box))
            counts[OUTLINES] += row.outlined
            counts[KEYPOINTS] += row.keypoints
    return dict(boxes), counts
