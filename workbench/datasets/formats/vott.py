"""Microsoft VoTT: JSON of one asset each, or of all in one export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.file_names import extension, hidden
from workbench.datasets.formats.items import (
    POLYGON,
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
from workbench.datasets.formats.walking import found, read_json
from workbench.errors import ImportFormatError
from workbench.persistence.stored_json import MALFORMED

TITLE = "VoTT"


def detect(view: FolderView) -> Detection:
    """Look for JSON files with assets and regions."""
    files = view.matching([".json"], lambda name: bool(_assets(view.json(name))))
    return found(files, "JSON files with assets and regions", 0.95)


def _assets(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        return []
    inside = value.get("assets")
    items = list(inside.values()) if isinstance(inside, dict) else [value]
    return [i for i in items if isinstance(i, dict) and isinstance(i.get("asset"), dict)
            and isinstance(i.get("regions"), list)]  # fmt: skip


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read assets; see `workbench.datasets.formats.items`."""
    reading = Reading()

    def parse(value: Any, name: str) -> Iterator[Record]:
        _add_tags(value, reading)
        yield from _parse(value, name)

    reading.records = read_json(view, detection.files, reading, options, parse)
    for name in view.names:
        if extension(name) == ".vott" and not hidden(name):
            try:
                _add_tags(parse_json(view.read(name), name), reading)
            except ImportFormatError:
                continue  # the assets say all but the order of the classes
            reading.used.add(name)
    return reading


def _add_tags(project: Any, reading: Reading) -> None:
    """Take the classes in the order of the project."""
    tags = project.get("tags") if isinstance(project, dict) else None
    names = [tag.get("name") for tag in tags or () if isinstance(tag, dict)]
    texts = [" ".join(name.split()) for name in names if isinstance(name, str)]
    reading.classes += [n for n in dict.fromkeys(texts) if n and n not in reading.classes]
    reading.declared = reading.declared or bool(texts)


def _parse(value: Any, name: str) -> Iterator[Record]:
    for place, item in enumerate(_assets(value), start=1):
        asset = item["asset"]
        path = str(asset.get("name") or asset.get("path") or "")
        size = asset.get("size") if isinstance(asset.get("size"), dict) else {}
        # 0 and 1: nobody has looked at it, or marked nothing in it.
        record = Record(name, path, place=place, reviewed=asset.get("state") not in (0, 1))
        record.size = size_of(size.get("width"), size.get("height"))
        for position, region in enumerate(item["regions"], start=1):
            try:
                box, shape = _box(region)
                tags = region.get("tags")
                label = name_of(tags[0] if isinstance(tags, list) and tags else None)
            except MALFORMED as error:
                record.problems.append(Problem(why.BAD_ROW, position, str(error)))
                continue
            record.boxes.append(Box(label, *box, position, shape))
        yield record


def _box(region: dict[str, Any]) -> tuple[tuple[float, float, float, float], str]:
    shape = "" if region.get("type", "RECTANGLE") == "RECTANGLE" else POLYGON
    around = region.get("boundingBox")
    if isinstance(around, dict):
        left, top, width, height = (
            number(around.get(k)) for k in ("left", "top", "width", "height")
        )
        return (left, top, left + width, top + height), shape
    return point_list(region.get("points")), shape
