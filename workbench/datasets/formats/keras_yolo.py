"""Lists of keras-yolo3 and its heirs: ``path x1,y1,x2,y2,class x1,y1,x2,y2,class ...``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.class_ids import IdsSeen, count_from_one, note_of, offer
from workbench.datasets.formats.class_lists import is_class_list
from workbench.datasets.formats.items import (
    Box,
    Detection,
    Options,
    Problem,
    Reading,
    Record,
    number,
)
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, owned_texts, read_text, rows_match, text_of
from workbench.errors import ImportFormatError
from workbench.persistence.archive import parse_class_list

TITLE = "keras-yolo"

_LINE = re.compile(r"(?P<path>.+?\.\w{3,4})(?P<boxes>(?:\s+-?[\d.]+(?:,-?[\d.]+){3},[^\s,]+)*)\s*")
_CLASS_LISTS = ("classes", "_classes", "class", "voc_classes", "model_classes")


def detect(view: FolderView) -> Detection:
    """Look for lists of pictures with boxes behind them."""
    own = set(owned_texts(view))  # of one picture each, and there may be very many
    files = [
        name
        for name in view.candidates(".txt")
        if name not in own
        and rows_match(view, [name], lambda line: _LINE.fullmatch(line) is not None)
        and rows_match(view, [name], _has_box, 0.05)
    ]
    return found(files, f"{counted(len(files), 'list')} of pictures with boxes behind them")


def _has_box(line: str) -> bool:
    match = _LINE.fullmatch(line)
    return match is not None and bool(match["boxes"].strip())


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read lists; see `workbench.datasets.formats.items`."""
    reading = Reading(declared=True)
    for name in view.names:
        plain = stem_of(name).lower() in _CLASS_LISTS and name.lower().endswith(".txt")
        if plain or is_class_list(name):
            reading.used.add(name)
            names, notes = parse_class_list(text_of(view, name).encode(), f"{view.path}, {name}")
            if reading.classes and names != reading.classes:
                raise ImportFormatError(
                    f"{view.path}, {name}: expected the same classes as in the other list, found "
                    f"others; remove the wrong one"
                )
            reading.classes, reading.notes = names, reading.notes + notes

    seen, named = IdsSeen(), len(reading.classes)

    def parse(lines: list[str], name: str) -> Iterator[Record]:
        for line, text in enumerate(lines, start=1):
            if text.strip():
                yield _record(text, name, line, reading.classes, seen)

    def amend(records: list[Record], first_id: str) -> None:
        if seen.from_one(named, first_id):
            count_from_one(records, reading.classes, named)
            reading.notes.append(note_of(named if first_id == "auto" else 0))
        elif not named and seen.highest > 0 and not seen.zero and first_id == "auto":
            reading.notes.append(offer(seen.highest))

    reading.amend = amend

    reading.records = read_text(view, detection.files, reading, options, parse)
    return reading


def _class_id(text: str, classes: list[str]) -> float:
    """Return the id of a class, which some lists name in place of it."""
    try:
        return number(text)
    except ValueError:
        if text not in classes:
            classes.append(text)
        return classes.index(text)


def _record(text: str, file: str, line: int, classes: list[str], seen: IdsSeen) -> Record:
    match = _LINE.fullmatch(text)
    if match is None:
        record = Record(file, text.split()[0], place=line)
        record.problems.append(Problem(why.BAD_ROW, line, text[:60]))
        return record
    record = Record(file, match["path"], place=line)
    for part in match["boxes"].split():
        try:
            *sides, kind = part.split(",")
            left, top, right, bottom = map(number, sides)
            class_id = _class_id(kind, classes)
            if class_id < 0 or class_id != int(class_id) or class_id >= 10_000:
                raise ValueError(f"expected a class id, found {class_id:g}")
        except ValueError as error:
            record.problems.append(Problem(why.BAD_ROW, line, str(error)))
            continue
        while class_id >= len(classes):
            classes.append(f"class_{len(classes)}")
        seen.add(int(class_id))
        record.boxes.append(Box(classes[int(class_id)], left, top, right, bottom, line))
    return record
