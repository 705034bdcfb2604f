"""Label Studio's own JSON, with all it knows (JSON) or reduced (JSON-MIN).

A task has ``data`` with the picture, and ``annotations`` with a ``result`` for each object, in
percent of the picture as the browser shows it (https://labelstud.io/guide/task_format).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    FRACTIONS,
    POLYGON,
    ROTATED,
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
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import first_of, found, read_json
from workbench.persistence import IMAGE_EXTENSIONS

TITLE = "Label Studio"

_PREFIX = re.compile(r"^[0-9a-f]{4,8}-")
_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "labels")
_PICTURE = tuple(IMAGE_EXTENSIONS)


def detect(view: FolderView) -> Detection:
    """Look for JSON lists of tasks."""
    files = view.matching([".json"], lambda name: _is_tasks(view.json(name)))
    return found(files, "a JSON list of tasks with data and annotations", 0.95)


def _is_tasks(value: Any) -> bool:
    task = value if isinstance(value, dict) else first_of(value, dict)
    if isinstance(task.get("data"), dict):
        return any(isinstance(task.get(key), list) for key in ("annotations", "completions"))
    return isinstance(task.get("annotation_id"), int) and any(_picture_of(v) for v in task.values())


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read task files; see `workbench.datasets.formats.items`."""
    reading = Reading()

    def parse(value: Any, name: str) -> Iterator[Record]:
        for place, task in enumerate(value if isinstance(value, list) else [value], start=1):
            if isinstance(task, dict):
                yield _task(task, name, place)

    reading.records = read_json(view, detection.files, reading, options, parse)
    return reading


def _task(task: dict[str, Any], file: str, place: int) -> Record:
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    record = Record(file, place=place, unit=FRACTIONS, reviewed=False, shown=True)
    known = [*(data or {}).values(), task.get("file_upload")]
    record.picture = next((p for value in known if (p := _picture_of(value))), "")
    folder, slash, base = record.picture.rpartition("/")
    record.also = folder + slash + _PREFIX.sub("", base)
    if data is task:
        for key, value in task.items():
            if isinstance(value, list) and key != "image":
                _results([{"value": item} for item in value], record)
                record.reviewed = True
        record.reviewed = record.reviewed or "annotation_id" in task
        return record
    versions = task.get("annotations") or task.get("completions") or []
    if not versions:
        for guess in task.get("predictions") or ():
            results = guess.get("result") if isinstance(guess, dict) else None
            some = [r for r in results or () if isinstance(r, dict)]
            record.problems += [Problem(why.PREDICTED, place) for _ in some]
    kept = [v for v in versions if isinstance(v, dict) and not v.get("was_cancelled")]
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
    parts = urlsplit(value)
    path = parse_qs(parts.query).get("d", [parts.path])[0]
    return unquote(path) if path.lower().endswith(_PICTURE) else ""


def _results(results: list[Any], record: Record) -> None:
    for position, result in enumerate(results, start=1):
        if not isinstance(result, dict) or not isinstance(result.get("value"), dict):
            continue
        value = result["value"]
        names = next((value[key] for key in _LABELS if isinstance(value.get(key), list)), None)
        if names is None:
            continue  # a choice, a text, a relation, or the bare shape of a labelled one
        said = (result, value)
        record.size = record.size or next(
            (s for r in said if (s := size_of(r.get("original_width"), r.get("original_height")))),
            None,
        )
        try:
            label = name_of(names[0] if names else None)
            box, shape = _box(value, record.size or (1, 1))
        except ValueError as error:
            record.problems.append(Problem(why.BAD_ROW, position, str(error)))
            continue
        extra = {key: result[key] for key in ("score", "meta") if result.get(key)}
        left, top, right, bottom = (side / 100 for side in box)
        record.boxes.append(
            Box(label, left, top, right, bottom, position, shape, None, extra or None)
        )


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
