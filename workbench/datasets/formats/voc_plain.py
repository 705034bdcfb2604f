"""Pascal VOC files as nearly all are, read by one pattern in place of an XML parser.

What the pattern takes is XML of a few known elements in the order in which labelImg, CVAT, Roboflow
and the development kit write them, without entities, comments, namespaces and nesting, so that it
means the same to `voc_xml`. Everything else is left to that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

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
_NUMBER = r"(-?\d{1,9}(?:\.\d{1,17})?)"
_OBJECT = re.compile(
    rf"(<object>\s*<name>({_TEXT})</name>\s*{_MARKS}"
    rf"<bndbox>\s*<xmin>{_NUMBER}</xmin>\s*<ymin>{_NUMBER}</ymin>\s*"
    rf"<xmax>{_NUMBER}</xmax>\s*<ymax>{_NUMBER}</ymax>\s*</bndbox>\s*{_MARKS}</object>\s*)"
)
_MARK = re.compile(rf"<(\w+)>({_TEXT})</(\w+)>\s*")
_END = "</annotation>"

_Object = tuple[str, str, str, str, str, str, str, str]


class _Found(NamedTuple):
    """One file: its record, still without boxes, and what its objects say."""

    record: Record
    objects: list[_Object]
    shift: float


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
    marks = _Marks()
    found = [_found(name, data, one_based, marks) for name, data in files]
    taken = [one for one in found if one is not None]
    objects = [each for one in taken for each in one.objects]
    if objects:
        _give_boxes(taken, objects, marks)
    return [None if one is None else one.record for one in found]


def _found(name: str, data: bytes, one_based: bool | None, marks: _Marks) -> _Found | None:
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        return None
    head = _HEAD.match(text)
    if head is None or not text.endswith(_END):
        return None
    begin, end = head.end(), len(text) - len(_END)
    objects = _OBJECT.findall(text, begin, end)
    # Objects that fill all of the space between head and end have nothing else between them.
    if sum(len(each[0]) for each in objects) != end - begin:
        return None
    if not all(map(str.strip, {each[1] for each in objects})):
        return None
    if not all(map(marks.known, {each[2] + each[7] for each in objects})):
        return None
    source = f"{head['database'] or ''} {head['origin'] or ''}"
    shifted = is_of_the_challenge(source) if one_based is None else one_based
    record = Record(name, head["name"].strip())
    record.size = size_of(head["width"], head["height"])
    return _Found(record, objects, 1.0 if shifted else 0.0)


class _Marks:
    """What objects have beside their boxes, by its text, which is mostly the same."""

    def __init__(self) -> None:
        self._by_text: dict[str, dict[str, object] | None] = {"": {}}

    def known(self, text: str) -> bool:
        """Whether a text is marks, each of them once."""
        if text not in self._by_text:
            self._by_text[text] = self._read(text)
        return self._by_text[text] is not None

    def of(self, text: str) -> dict[str, object] | None:
        """Return the marks of a known text; None if there are none."""
        return self._by_text[text] or None

    def say_something(self) -> bool:
        """Whether any text so far holds marks that are kept."""
        return any(self._by_text.values())

    @staticmethod
    def _read(text: str) -> dict[str, object] | None:
        pairs = _MARK.findall(text)
        values = {tag: value for tag, value, _ in pairs}
        if len(values) != len(pairs) or any(tag != closing for tag, _, closing in pairs):
            return None
        return marks_of(lambda tag: values.get(tag, ""))


def _give_boxes(taken: Sequence[_Found], objects: Sequence[_Object], marks: _Marks) -> None:
    flat = map(float, chain.from_iterable(each[3:7] for each in objects))
    numbers = np.fromiter(flat, dtype=np.float64, count=4 * len(objects)).reshape(-1, 4)
    counts = [len(one.objects) for one in taken]
    shifts = np.repeat([one.shift for one in taken], counts)
    numbers[:, :2] -= shifts[:, None]
    ids: dict[str, int] = {}
    labels: list[str] = []
    by_name: dict[str, int] = {}
    for each in objects:
        if each[1] not in ids:
            label = " ".join(each[1].split())
            if label not in by_name:
                by_name[label] = len(labels)
                labels.append(label)
            ids[each[1]] = by_name[label]
    class_id = np.array([ids[each[1]] for each in objects], dtype=np.int64)
    extras = {
        number: found
        for number, each in enumerate(objects if marks.say_something() else ())
        if (found := marks.of(each[2] + each[7]))
    }
    table = BoxTable(labels, class_id, numbers, extras=dict[int, Any](extras))
    start = 0
    for one, count in zip(taken, counts, strict=True):
        if count:
            one.record.plain = PlainBoxes(table, start, start + count)
        start += count
