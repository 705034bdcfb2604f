"""CVAT for images 1.1 and CVAT for video 1.1: one XML file for a task.

``<image name width height>`` holds shapes; ``<track label>`` holds a shape for each frame, whose
picture is called ``frame_000012`` (https://docs.cvat.ai/docs/manual/advanced/xml_format/).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import (
    KEYPOINTS,
    MASK,
    POLYGON,
    ROTATED,
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    corners,
    name_of,
    number,
    rotated_around,
    size_of,
)
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.voc_xml import parse_xml
from workbench.datasets.formats.walking import found, read_bytes
from workbench.persistence.archive.directory import fold

TITLE = "CVAT"

_FRAME = re.compile(r"(?:frame|img|image)?[_ -]?(\d{1,9})", re.IGNORECASE)
_ROOT = re.compile(rb"<annotations[\s>]")
_SHAPES = ("box", "polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton")
_CUBOID = tuple(
    f"{axis}{side}{n}" for side in ("tl", "bl", "tr", "br") for n in "12" for axis in "xy"
)


def detect(view: FolderView) -> Detection:
    """Look for XML files that begin with ``<annotations>`` and hold images or tracks."""
    files = view.matching([".xml"], lambda name: _is_cvat(view, name))
    return found(files, "an XML file with <annotations> of images or tracks", 0.95)


def _is_cvat(view: FolderView, name: str) -> bool:
    return _ROOT.search(view.head(name)) is not None and any(
        tag in view.head(name, 2**20) for tag in (b"<image ", b"<track ")
    )


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`."""
    reading = Reading(declared=True)
    numbered = _numbered(view)

    def parse(data: bytes, name: str) -> Iterator[Record]:
        root = parse_xml(data, name)
        for label in root.findall("meta//labels/label"):
            text = " ".join((label.findtext("name") or "").split())
            # The points of a skeleton are labels, too, below that of the skeleton.
            if text and label.find("parent") is None and text not in reading.classes:
                reading.classes.append(text)
        place = 0
        for place, image in enumerate(root.findall("image"), start=1):
            yield _image(image, name, place)
        if root.find("track") is not None:  # else each of many files would look at all pictures
            yield from _tracks(root, name, place, _frames_of(name, numbered))

    reading.records = read_bytes(view, detection.files, reading, options, parse)
    return reading


def _image(image: Element, file: str, place: int) -> Record:
    record = Record(file, image.get("name", ""), place=place, split=image.get("subset"))
    record.size = size_of(image.get("width"), image.get("height"))
    # Who has sorted whole pictures has not said that there is nothing in them.
    record.reviewed = image.find("tag") is None
    for position, element in enumerate((e for e in image if e.tag in _SHAPES), start=1):
        _add(record, element, element.get("label"), position, {})
    return record


def _tracks(root: Element, file: str, place: int, numbered: dict[int, str]) -> Iterator[Record]:
    size = root.find("meta//original_size")
    stated = None if size is None else size_of(size.findtext("width"), size.findtext("height"))
    frames: dict[int, Record] = defaultdict(lambda: Record(file, size=stated))
    there = sorted(numbered)
    position = 0
    for track in root.findall("track"):
        last: tuple[int, Box] | None = None
        for element in (e for e in track if e.tag in _SHAPES):
            position += 1
            frame = _frame(element)
            if element.get("outside") == "1":
                # The thing has left the picture, and was there until then.
                if last is not None:
                    _between(*last, frame, last[1], frames, there)
                last = None
                continue
            extra: dict[str, Any] = {"track_id": track.get("id", "")}
            before = len(frames[frame].boxes)
            _add(frames[frame], element, track.get("label"), position, extra)
            found = frames[frame].boxes[before:]
            if last is not None and found:
                _between(*last, frame, found[0], frames, there)
            last = (frame, found[0]) if found else None
    for count, (frame, record) in enumerate(sorted(frames.items()), start=place + 1):
        record.picture, record.place = f"frame_{frame:06d}", count
        record.also = numbered.get(frame, "")
        yield record


def _frame(element: Element) -> int:
    try:
        return int(number(element.get("frame")))
    except ValueError:
        return -1


def _between(
    start: int, first: Box, end: int, second: Box, frames: dict[int, Record], there: Sequence[int]
) -> None:
    """Add the boxes of the frames between two that are written down, as CVAT shows them.

    Only of frames whose pictures are there: of a video some are mostly taken.
    """
    for frame in there[bisect_right(there, start) : bisect_left(there, end)]:
        share = (frame - start) / (end - start)
        x0, y0, x1, y1 = (a + (b - a) * share for a, b in zip(first[1:5], second[1:5], strict=True))
        extra = {**(first.extra or {}), "interpolated": True}
        box = Box(first.label, x0, y0, x1, y1, first.place, first.shape, None, extra)
        frames[frame].boxes.append(box)


def _numbered(view: FolderView) -> dict[int, list[str]]:
    """Return the pictures that are called by a number, as frames of a video are."""
    found: dict[int, list[str]] = defaultdict(list)
    for name in view.pictures:
        match = _FRAME.fullmatch(stem_of(name))
        if match:
            found[int(match[1])].append(name)
    return found


def _frames_of(file: str, numbered: Mapping[int, list[str]]) -> dict[int, str]:
    """Return the frames of the video that a file is about: of several, that in its folder.

    Or in a folder that is called like the file.
    """
    home, own = file.rpartition("/")[0], fold(stem_of(file))
    found: dict[int, str] = {}
    for frame, names in numbered.items():
        beside = [name for name in names if home and name.startswith(f"{home}/")]
        called = [name for name in names if own in fold(name).split("/")[:-1]]
        some = next((s for s in (called, beside, names) if len(s) == 1), None)
        if some:
            found[frame] = some[0]
    return found


def _add(
    record: Record, element: Element, label: str | None, position: int, extra: dict[str, Any]
) -> None:
    try:
        name = name_of(label)
        box, shape = _box(element)
    except ValueError as error:
        record.problems.append(Problem(why.BAD_ROW, position, f"{element.tag}: {error}"))
        return
    if element.get("occluded") == "1":
        extra["occluded"] = True
    attributes = {a.get("name", ""): (a.text or "").strip() for a in element.findall("attribute")}
    if attributes:
        extra["attributes"] = attributes
    record.boxes.append(Box(name, *box, position, shape, None, extra or None))


def _box(element: Element) -> tuple[tuple[float, float, float, float], str]:
    if element.tag == "box":
        left, top, right, bottom = (
            number(element.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")
        )
        angle = number(element.get("rotation") or 0)
        if angle:
            return rotated_around(left, top, right, bottom, angle), ROTATED
        return (left, top, right, bottom), ""
    if element.tag == "mask":
        left, top, width, height = (
            number(element.get(k)) for k in ("left", "top", "width", "height")
        )
        return (left, top, left + width, top + height), MASK
    if element.tag == "ellipse":
        x, y, across, down = (number(element.get(k)) for k in ("cx", "cy", "rx", "ry"))
        return (x - across, y - down, x + across, y + down), POLYGON
    if element.tag == "cuboid":
        return corners(number(element.get(key)) for key in _CUBOID), POLYGON
    if element.tag == "skeleton":
        points = ";".join(p.get("points", "") for p in element if p.get("outside") != "1")
        return _points(points), KEYPOINTS
    return _points(element.get("points", "")), KEYPOINTS if element.tag == "points" else POLYGON


def _points(text: str) -> tuple[float, float, float, float]:
    return corners(number(v) for v in text.replace(";", ",").split(",") if v.strip())
