"""Label Studio's own JSON, with all it knows (JSON) or reduced (JSON-MIN), and its table of that.

A task has ``data`` with the picture, and ``annotations`` with a ``result`` for each object, in
percent of the picture as the browser shows it (https://labelstud.io/guide/task_format).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.file_names import extension
from workbench.datasets.formats.items import (
    FRACTIONS,
    POLYGON,
    ROTATED,
    SAYS_LOOKED_AT,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    name_of,
    number,
    point_list,
    size_of,
)
from workbench.datasets.formats.json_text import parse_json
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import first_of, found, read_bytes, read_json
from workbench.errors import ImportFormatError
from workbench.persistence import IMAGE_EXTENSIONS

TITLE = "Label Studio"

_PREFIX = re.compile(r"^[0-9a-f]{4,8}-")
_OF_SHAPES = (
    "rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels"
)  # fmt: skip
_LABELS = (*_OF_SHAPES, "labels")
_SAMPLE = 200
_CHOSEN = ("choices", "taxonomy")
"""What may be said of a shape in place of a label."""

_SAID = (*_CHOSEN, "text", "number", "rating", "datetime")

_SHAPES = (("x", "width"), ("points",), ("x", "radiusX"), ("rle",))
_PLACE = ("x", "y", "width", "height", "points", "radiusX", "radiusY", "rotation")
_TABLES = (".csv", ".tsv")
_TABLE = re.compile(rb"annotation_id|annotator")
_TABLE_CELL = re.compile(rb'\[\{""[a-z_]+"":')
_PICTURE = tuple(IMAGE_EXTENSIONS)


def detect(view: FolderView) -> Detection:
    """Look for JSON lists of tasks."""
    # Storage on a disk gets a file for each annotation, without an extension.
    files = view.matching(
        [".json", ""],
        lambda name: (
            bool(extension(name) or view.head(name, 1) == b"{") and _is_tasks(view.json(name))
        ),
    )
    files += view.matching(_TABLES, lambda name: _is_table(view.head(name)))
    return found(files, "a list of tasks with data and annotations", 0.95)


def _is_table(head: bytes) -> bool:
    first, _, rest = head.partition(b"\n")
    return _TABLE.search(first) is not None and _TABLE_CELL.search(rest) is not None


def _is_tasks(value: Any) -> bool:
    task = _whole(value if isinstance(value, dict) else first_of(value, dict))
    if isinstance(task.get("data"), dict):
        return any(isinstance(task.get(key), list) for key in ("annotations", "completions"))
    if not any(_picture_of(v) for v in task.values()):
        return False
    some = value[:_SAMPLE] if isinstance(value, list) else [task]
    return isinstance(task.get("annotation_id"), int) or any(map(_has_shapes, some))


def _whole(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task with its annotation, also where the file is of the annotation."""
    inner = task.get("task")
    if not isinstance(inner, dict) or not isinstance(task.get("result"), list):
        return task
    annotation = {key: value for key, value in task.items() if key != "task"}
    return {**inner, "annotations": [annotation]}


def _has_shapes(task: Any) -> bool:
    """Whether a reduced task has shapes with labels in one of its lists."""
    if not isinstance(task, dict):
        return False
    items = chain.from_iterable(v for v in task.values() if isinstance(v, list))
    return any(isinstance(item, dict) and not item.keys().isdisjoint(_OF_SHAPES) for item in items)


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read task files; see `workbench.datasets.formats.items`."""
    reading = Reading()
    tables = [name for name in detection.files if extension(name) in _TABLES]
    others = [name for name in detection.files if extension(name) not in _TABLES]
    reading.records = chain(
        read_json(view, others, reading, options, _parse),
        read_bytes(view, tables, reading, options, _table),
    )
    return reading


def _parse(value: Any, name: str) -> Iterator[Record]:
    seen: set[Any] = set()
    # Reduced tasks of a project without shapes say what pictures are, and not what is in them.
    has_shapes = not isinstance(value, list) or any(map(_has_shapes, value))
    for place, task in enumerate(value if isinstance(value, list) else [value], start=1):
        if not isinstance(task, dict):
            continue
        task = _whole(task)
        record = _task(task, name, place)
        record.reviewed = record.reviewed and ("data" in task or has_shapes)
        if "data" not in task and isinstance(key := task.get("id"), int | str):
            # Reduced, it has a task for each who annotated.
            if key in seen:
                further = len(record.boxes) + len(record.problems)
                record.boxes.clear()
                record.problems = [Problem(why.OTHER_VERSION, place)] * further
                record.reviewed = False
            seen.add(key)
        yield record


def _table(data: bytes, name: str) -> Iterator[Record]:
    """Read the reduced form as a table, whose cells hold JSON where there is more than a text."""
    text = decode(data)
    mark = "\t" if "\t" in text.partition("\n")[0] else ","
    rows = csv.DictReader(io.StringIO(text), delimiter=mark)
    tasks = [{key: _cell(value) for key, value in row.items() if key} for row in rows]
    yield from _parse([{"annotation_id": 0, **task} for task in tasks], name)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("["):
        try:
            return parse_json(value.encode(), "a cell")
        except ImportFormatError:
            return value
    return value


def _task(task: dict[str, Any], file: str, place: int) -> Record:
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    record = Record(file, place=place, unit=FRACTIONS, reviewed=False, shown=True)
    known = [*(data or {}).values(), task.get("file_upload")]
    record.picture = next((p for value in known if (p := _picture_of(value))), "")
    folder, slash, base = record.picture.rpartition("/")
    record.also = folder + slash + _PREFIX.sub("", base)
    if data is task:
        lists = [v for key, v in task.items() if isinstance(v, list) and key != "image"]
        record.reviewed = bool(lists) or "annotation_id" in task
        _results([{"value": item} for found in lists for item in found], record)
        return record
    versions = task.get("annotations") or task.get("completions") or []
    if not versions:
        for guess in task.get("predictions") or ():
            results = guess.get("result") if isinstance(guess, dict) else None
            some = [r for r in results or () if isinstance(r, dict)]
            record.problems += [Problem(why.PREDICTED, place) for _ in some]
    kept = [v for v in versions if isinstance(v, dict) and not v.get("was_cancelled")]
    kept.sort(key=lambda version: not version.get("ground_truth"))
    for version in kept[:1]:
        record.reviewed = True
        results = version.get("result")
        _results(results if isinstance(results, list) else [], record)
    for version in kept[1:]:
        results = version.get("result")
        record.problems += [
            Problem(why.OTHER_VERSION, 0) for r in results or () if isinstance(r, dict)
        ]
    return record


def _picture_of(value: Any) -> str:
    """Return the path of a picture that a text leads to; empty if it is none."""
    if not isinstance(value, str):
        return ""
    for fragments in (True, False):  # a name may have the sign that begins a fragment
        parts = urlsplit(value, allow_fragments=fragments)
        path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
        if path.lower().endswith(_PICTURE):
            return path
    return ""


def _results(results: list[Any], record: Record) -> None:
    """Take the shapes; what was only said of the whole picture is no look for things in it."""
    shapes = [
        (position, result)
        for position, result in enumerate(results, start=1)
        if isinstance(result, dict) and isinstance(result.get("value"), dict)
    ]
    labelled = {_key(r) for _, r in shapes if _names(r["value"], _LABELS) is not None}
    chosen = {_key(r): names for _, r in shapes if (names := _names(r["value"], _CHOSEN))}
    for position, result in shapes:
        value = result["value"]
        names = _names(value, _LABELS)
        if names is None:
            bare = any(all(key in value for key in keys) for keys in _SHAPES)
            if not bare or _key(result) in labelled or not value.keys().isdisjoint(_SAID):
                continue  # of the whole picture, or said of a shape that has its own turn
            names = chosen.get(_key(result), [])
        said = (result, value)
        record.size = record.size or next(
            (s for r in said if (s := size_of(r.get("original_width"), r.get("original_height")))),
            None,
        )
        if not names:
            record.problems.append(Problem(why.NO_CATEGORY, position))
            continue
        try:
            label = name_of(names[0])
            box, shape = _box(value, record.size or (1, 1))
        except ValueError as error:
            record.problems.append(Problem(why.BAD_ROW, position, str(error)))
            continue
        extra = {key: result[key] for key in ("score", "meta") if result.get(key)}
        left, top, right, bottom = (side / 100 for side in box)
        record.boxes.append(
            Box(label, left, top, right, bottom, position, shape, None, extra or None)
        )
    if shapes and not record.boxes and not record.problems:
        said_of_it = {str(name).lower() for names in chosen.values() for name in names}
        record.reviewed = not said_of_it.isdisjoint(SAYS_LOOKED_AT)


def _names(value: Mapping[str, Any], keys: tuple[str, ...]) -> list[Any] | None:
    """Return what is said of a shape; None if nothing is."""
    found = next((value[key] for key in keys if isinstance(value.get(key), list)), None)
    if found and isinstance(found[0], list):  # a taxonomy: from the widest to the closest
        return found[0][-1:]
    return found


def _key(result: Mapping[str, Any]) -> Any:
    """Return what results about one shape have in common."""
    key = result.get("id")
    return key if isinstance(key, str) else str({k: result["value"].get(k) for k in _PLACE})


def _box(
    value: dict[str, Any], size: tuple[int, int]
) -> tuple[tuple[float, float, float, float], str]:
    angle = number(value.get("rotation") or 0)
    if "points" in value:
        return point_list(value["points"]), POLYGON
    if "radiusX" in value:
        x, y, across, down = (number(value.get(k)) for k in ("x", "y", "radiusX", "radiusY"))
        if angle:
            across, down = _reach(across, down, angle, size)
        return (x - across, y - down, x + across, y + down), POLYGON
    if "keypointlabels" in value:
        raise ValueError("a point, which has no box")
    if "rle" in value or "format" in value:
        raise ValueError("a brush stroke, which Label Studio alone can unpack; export it as COCO")
    x, y, width, height = (number(value.get(k)) for k in ("x", "y", "width", "height"))
    if not angle:
        return (x, y, x + width, y + height), ""
    return _turned(x, y, width, height, angle, size), ROTATED


def _turned(
    x: float, y: float, width: float, height: float, degrees: float, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Return the box around one that is turned about its upper left corner, in percent.

    It is turned as it is seen, and in a picture that is not square a percent down is not as long as
    one across.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    wide = size[0] / size[1]
    points = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    xs = [x + a * cos - b * sin / wide for a, b in points]
    ys = [y + a * sin * wide + b * cos for a, b in points]
    return min(xs), min(ys), max(xs), max(ys)


def _reach(
    across: float, down: float, degrees: float, size: tuple[int, int]
) -> tuple[float, float]:
    """Return how far an ellipse reaches that is turned about its centre, in percent."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    wide = size[0] / size[1]
    return math.hypot(across * cos, down / wide * sin), math.hypot(across * wide * sin, down * cos)
