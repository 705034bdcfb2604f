"""Pascal VOC XML, of the challenge and of the tools that write its form.

::

    VOC2007/
        Annotations/     000001.xml ...                     one file for each image
        JPEGImages/      000001.jpg ...
        ImageSets/Main/  train.txt val.txt test.txt trainval.txt    names without extension

    labelmap.txt         the classes in their order, as CVAT and we write it

    pictures/            a.jpg a.xml b.jpg b.xml ...        labelImg: side by side
    train/ valid/        a.jpg a.xml ...                    Roboflow

An annotation belongs to the image of the same name, whatever its ``<filename>`` says, wherever
the two lie; ``<filename>`` decides between ``a.jpg`` and ``a.png``. What is wrong with one file
or object is counted and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from workbench.datasets.changes import counted
from workbench.datasets.formats.class_lists import from_labelmap
from workbench.datasets.formats.items import Detection, Options, Reading, Record
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.voc_lists import read_lists
from workbench.datasets.formats.voc_plain import plain_records
from workbench.datasets.formats.voc_xml import parse_voc
from workbench.errors import ImportFormatError

TITLE = "Pascal VOC"

_ROOT = re.compile(rb"<(?:\w+:)?annotation[\s>/]", re.IGNORECASE)
_TICK = 500


def detect(view: FolderView) -> Detection:
    """Look for XML files that begin with ``<annotation>``."""
    files = view.matching([".xml"], lambda name: _is_voc(view, name))
    if not files:
        return Detection()
    return Detection(0.95, f"{counted(len(files), 'XML file')} with <annotation>", files)


def _is_voc(view: FolderView, name: str) -> bool:
    head = view.head(name)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode()
    return _ROOT.search(head) is not None


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read annotation files; see `workbench.datasets.formats.items`."""
    splits, notes, lists = read_lists(view)
    reading = Reading(splits=splits, notes=notes, used=lists)
    from_labelmap(view, reading)
    reading.records = _records(view, detection.files, reading, options)
    return reading


def _records(
    view: FolderView, files: Sequence[str], reading: Reading, options: Options
) -> Iterator[Record]:
    for start in range(0, len(files), _TICK):
        options.tick()
        contents = []
        for name in files[start : start + _TICK]:
            try:
                contents.append((name, view.text(name)))
            except ImportFormatError as error:
                reading.unreadable.append((name, str(error)))
        in_columns = plain_records(contents, options.one_based)
        for (name, data), plain in zip(contents, in_columns, strict=True):
            try:
                record = plain or parse_voc(data, name, one_based=options.one_based)
            except ImportFormatError as error:
                reading.unreadable.append((name, str(error)))
                continue
            reading.used.add(name)
            yield record
