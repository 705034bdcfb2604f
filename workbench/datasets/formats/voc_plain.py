"""Pascal VOC files as nearly all are, read by one pattern in place of an XML parser.

What the pattern takes is XML of a few known elements in the order in which labelImg, CVAT, Roboflow
and the development kit write them, without entities, comments, namespaces and nesting, so that it
means the same to `voc_xml`. Everything else is left to that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from workbench.datasets.formats.columns import BoxTable, PlainBoxes
from workbench.datasets.formats.items import Record, size_of
from workbench.datasets.formats.voc_xml import is_of_the_challenge, marks_of

# Text that stands for itself: no markup, no entity, no character that XML forbids.
_TEXT = r"[^<&\]\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*"
_HEAD = re.compile(
    r"(?:<\?xml version=\"1\.0\"(?: encoding=\"(?:utf-8|UTF-8)\")?\?>)?\s*"
    r"<annotation(?: verified=\"(?:yes|no)\")?>\s*"
    rf"(?:<folder>{_TEXT}</folder>\s*)?<filename>(?P<name>{_TEXT})</filename>\s*"
    rf"(?:<path>{_TEXT}</path>\s*)?"
    rf"(?:<source>\s*<database>(?P<database>{_TEXT})</database>\s*"
    rf"(?:<annotation>(?P<origin>{_TEXT})</annotation>\s*)?"
    rf"(?:<image>{_TEXT}</image>\s*)?</source>\s*)?"
    r"<size>\s*<width>(?P<width>\d{1,9})</width>\s*<height>(?P<height>\d{1,9})</height>\s*"
    rf"(?:<depth>{_TEXT}</depth>\s*)?</size>\s*(?:<segmented>{_TEXT}</segmented>\s*)?"
)
_MARKS = rf"((?:<(?:pose|truncated|difficult|occluded)>{_TEXT}</\w+>\s*)*)"
# An object is ``<object>``, what stands before its box, the box, and what stands behind it.
_BEFORE = re.compile(rf"\s*<name>({_TEXT})</name>\s*{_MARKS}")
_AFTER = re.compile(rf"\s*{_MARKS}</object>\s*")
_SPACE, _NUMBER = rb"[ \t\r\n]*", rb"-?[0-9]{1,9}(?:\.[0-9]{1,17})?"
_BOX = re.compile(
    rb"%b<xmin>%b</xmin>%b<ymin>%b</ymin>%b<xmax>%b</xmax>%b<ymax>%b</ymax>%b"
    % (*(_SPACE, _NUMBER) * 4, _SPACE)
)
_ALL_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_NUMBERS_ALONE = bytes(c if c in b"0123456789.-" else ord(" ") for c in range(256))
_MARK = re.compile(rf"<(\w+)>({_TEXT})</(\w+)>\s*")
_END = "</annotation>"


class _Found(NamedTuple):
    """One file: its record, still without boxes, and how many there are."""

    record: Record
    boxes: int
    shift: float


class _Kind(NamedTuple):
    """What an object is besides its box: its class, and marks that YOLO has no place for."""

    label: str
    marks: dict[str, object] | None


def plain_records(
    files: Sequence[tuple[str, bytes]], one_based: bool | None
) -> list[Record | None]:
    """Read files; None for those that have to be read as XML.

    Parameters
    ----------
    files : sequence of (str, bytes)
        Names and contents.
    one_based : bool or None
        As for `workbench.datasets.formats.voc_xml.parse_voc`.
    """
    objects = _Objects()
    found = [_found(name, data, one_based, objects) for name, data in files]
    taken = [one for one in found if one is not None]
    if objects.kinds:
        _give_boxes(taken, objects)
    return [None if one is None else one.record for one in found]


def _found(name: str, data: bytes, one_based: bool | None, objects: _Objects) -> _Found | None:
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        return None
    head = _HEAD.match(text)
    if head is None or not text.endswith(_END):
        return None
    count = objects.take(text[head.end() : len(text) - len(_END)].encode())
    if count is None:
        return None
    source = f"{head['database'] or ''} {head['origin'] or ''}"
    shifted = is_of_the_challenge(source) if one_based is None else one_based
    record = Record(name, head["name"].strip())
    record.size = size_of(head["width"], head["height"])
    return _Found(record, count, 1.0 if shifted else 0.0)


class _Objects:
    """The objects of many files: their boxes as text, and what they are besides.

    The same text stands around nearly all boxes, and boxes differ in their digits alone. So a
    pattern is asked once for each text, and once for each box with zeros for digits.
    """

    def __init__(self) -> None:
        self.boxes: list[bytes] = []
        self.kinds: list[int] = []
        self.what: list[_Kind] = []
        self._numbers: dict[tuple[bytes, bytes], int] = {}
        self._shapes: set[bytes] = set()

    def take(self, body: bytes) -> int | None:
        """Take the objects that stand between head and end; return how many, None if unsure."""
        first, *parts = body.split(b"<object>")
        if first:
            return None
        boxes, around = [], []
        for part in parts:
            before, _, rest = part.partition(b"<bndbox>")
            box, _, after = rest.partition(b"</bndbox>")
            boxes.append(box)
            around.append((before, after))
        kinds = [self._kind_of(pair) for pair in around]
        shapes = b"\0".join(boxes).translate(_ALL_ZEROS).split(b"\0") if boxes else []
        if -1 in kinds or len(shapes) != len(boxes):
            return None
        if not all(shape in self._shapes or self._is_box(shape) for shape in set(shapes)):
            return None
        self.boxes += boxes
        self.kinds += kinds
        return len(kinds)

    def _kind_of(self, around: tuple[bytes, bytes]) -> int:
        number = self._numbers.get(around)
        return self._number(*around) if number is None else number

    def _number(self, before: bytes, after: bytes) -> int:
        """Return the place in `what` of an object with these texts; -1 if they are not plain."""
        name, rest = _BEFORE.fullmatch(before.decode()), _AFTER.fullmatch(after.decode())
        marks = _marks_in(name[2] + rest[1]) if name and rest else None
        number = -1
        if name and name[1].strip() and marks is not None:
            number = len(self.what)
            self.what.append(_Kind(" ".join(name[1].split()), marks or None))
        self._numbers[before, after] = number
        return number

    def _is_box(self, shape: bytes) -> bool:
        if _BOX.fullmatch(shape) is None:
            return False
        self._shapes.add(shape)
        return True


def _marks_in(text: str) -> dict[str, object] | None:
    """Return the marks that are kept; None if the text is no marks, each of them once."""
    if not text:
        return {}
    pairs = _MARK.findall(text)
    values = {tag: value for tag, value, _ in pairs}
    if len(values) != len(pairs) or any(tag != closing for tag, _, closing in pairs):
        return None
    return marks_of(lambda tag: values.get(tag, ""))


def _give_boxes(taken: Sequence[_Found], objects: _Objects) -> None:
    numbers = _numbers(b" ".join(objects.boxes).translate(_NUMBERS_ALONE).split()).reshape(-1, 4)
    shifts = np.repeat([one.shift for one in taken], [one.boxes for one in taken])
    numbers[:, :2] -= shifts[:, None]
    labels = [*dict.fromkeys(kind.label for kind in objects.what)]
    kinds = np.array(objects.kinds, dtype=np.int64)
    ids = {label: number for number, label in enumerate(labels)}
    class_id = np.array([ids[kind.label] for kind in objects.what], dtype=np.int64)[kinds]
    marked = np.array([kind.marks is not None for kind in objects.what], dtype=np.bool_)[kinds]
    extras = {
        number: marks
        for number in np.flatnonzero(marked).tolist()
        if (marks := objects.what[objects.kinds[number]].marks)
    }
    table = BoxTable(labels, class_id, numbers, extras=dict[int, Any](extras))
    start = 0
    for one in taken:
        if one.boxes:
            one.record.plain = PlainBoxes(table, start, start + one.boxes)
        start += one.boxes


def _numbers(texts: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """Return decimals as numbers: by a reader of JSON, which takes half of the time."""
    try:
        return np.array(orjson.loads(b"[%b]" % b",".join(texts)), dtype=np.float64)
    except orjson.JSONDecodeError:  # 007 is none
        return np.array([*map(float, texts)])
