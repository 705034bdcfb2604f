"""YOLO label files of all shapes: boxes, polygons, rotated boxes, keypoints; and how they go wrong.

One file for each picture, a row for each object: ``class x y width height``, normalised, centre
first (https://docs.ultralytics.com/datasets/detect/); or ``class x1 y1 x2 y2 ...`` (segment and
OBB); or a box with keypoints behind it, as ``kpt_shape`` in ``data.yaml`` says. Rows that the
stores can read are kept as they are. Of others is read what can have only one meaning: commas,
decimal commas, UTF-16, class names in place of ids, pixels, keypoints that nobody announced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from workbench.datasets.changes import counted
from workbench.datasets.formats.class_ids import count_from_one, note_of, offer
from workbench.datasets.formats.class_lists import (
    is_class_list,
    is_other_list,
)
from workbench.datasets.formats.columns import BoxTable, PlainBoxes
from workbench.datasets.formats.encodings import decode
from workbench.datasets.formats.given_splits import given_splits
from workbench.datasets.formats.items import (
    Detection,
    Options,
    Reading,
    Record,
)
from workbench.datasets.formats.pairing import folded_stems, stem_of
from workbench.datasets.formats.score_rows import put_scores_behind
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import in_like_folders, owned_texts
from workbench.datasets.formats.yolo_classes import describe, has_names
from workbench.datasets.formats.yolo_rows import (
    DECIMAL_COMMA,
    NEWLINE,
    PlainFile,
    RowReader,
    is_number,
)
from workbench.errors import ImportFormatError
from workbench.persistence.archive.data_yaml import MAX_CLASSES
from workbench.persistence.archive.directory import fold
from workbench.persistence.yolo.label_table import parse_plain

TITLE = "YOLO"

_TICK = 500
_SAMPLE = 50
_MOST_AT_ONCE = 1 << 24
_ROWS = re.compile(rb"(?:[0-9]{1,4}(?: [0-9]{1,8}(?:\.[0-9]{1,20})?){4,}\n)+")
# ``labels`` of ``labels_old``, and whatever lies above it.
_OLD = re.compile(
    r"(?=((?:.*/)?labels?)[ _.-]?(?:old|bak|backup|before|prev|previous|orig|original|copy)/)",
    re.IGNORECASE,
)
_NO_LABELS = frozenset({"readme", "license", "requirements", "readme.roboflow", "readme.dataset"})
_NO_LABEL_ENDS = tuple(f"{stem}.txt" for stem in _NO_LABELS)


def detect(view: FolderView) -> Detection:
    """Look for text files with rows of numbers, beside pictures or in a folder of their own."""
    owned, others = _label_files(view)
    owned = _without_foreign(view, owned)
    if owned:
        step = max(len(owned) // 200, 1)
        sample = [view.read(name) for name in owned[::step]]
        scores = [score for data in sample if (score := _score(data)) is not None]
        if scores and max(scores) <= 0:
            return Detection()
        sure = sum(score > 0 for score in scores) / len(scores) if scores else 0.5
        if sure < 0.2:
            return Detection()
        rest = [name for name in others if _is_label(view, name)]
        return Detection(
            0.9 * sure + 0.05,
            f"{counted(len(owned), 'text file')} with rows of numbers",
            owned + rest,
        )
    orphans = [name for name in others if _is_label(view, name)]
    if orphans:
        return Detection(0.3, f"{counted(len(orphans), 'text file')} with rows of numbers", orphans)
    if has_names(view):
        return Detection(0.2, "a data.yaml with class names, and no labels yet", [])
    return Detection()


def _label_files(view: FolderView) -> tuple[list[str], list[str]]:
    """Return the text files that are called like pictures, and others that may have labels."""
    lists = given_splits(view).lists
    texts = view.candidates(".txt")
    like_pictures = set(owned_texts(view))
    bases: set[str] = set()
    if len(like_pictures) < len(texts):  # a.jpg.txt is that of a.jpg
        bases = {fold(name[name.rfind("/") + 1 :]) for name in view.pictures}
    owned: list[str] = []
    others: list[str] = []
    for name in texts:
        if name in lists or _is_list(name) or _is_no_label(name):
            continue
        is_owned = name in like_pictures or (bases and fold(stem_of(name)) in bases)
        (owned if is_owned else others).append(name)
    return owned, others


def _without_old(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return label files, and those of folders that are an earlier state of another one's.

    Of a folder such as ``labels_old`` nothing is taken where there is a ``labels`` beside it:
    together they would give pictures the boxes of both.
    """
    if not any(map(_OLD.search, {name[: name.rfind("/") + 1] for name in files})):
        return [*files], []
    current = {name[: place + 1] for name in files for place in _slashes(name)}
    kept: list[str] = []
    old: list[str] = []
    for name in files:
        is_old = any(f"{found[1]}/" in current for found in _OLD.finditer(name))
        (old if is_old else kept).append(name)
    return (kept, old) if kept else (old, [])


def _without_foreign(view: FolderView, files: list[str]) -> list[str]:
    """Return label files without what else there is for each picture: captions, calibration.

    That lies in a folder of its own, beside one of labels for the same pictures, and no line of it
    is a row.
    """
    groups = in_like_folders(files)
    if len(groups) < 2:
        return files
    good: list[list[str]] = []
    foreign: list[list[str]] = []
    for names in groups:
        sample = names[:: max(len(names) // _SAMPLE, 1)]
        scores = [score for name in sample if (score := _score(view.head(name))) is not None]
        (foreign if scores and max(scores) <= 0 else good).append(names)
    labelled = {stem for names in good for stem in folded_stems(names)}
    dropped = {
        name for names in foreign if not labelled.isdisjoint(folded_stems(names)) for name in names
    }
    return [name for name in files if name not in dropped]


def _slashes(name: str) -> list[int]:
    return [place for place, sign in enumerate(name) if sign == "/"]


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read label files; see `workbench.datasets.formats.items`."""
    given = given_splits(view)
    reading = Reading(declared=True, splits=given.splits, notes=list(given.notes), rows=True)
    reading.used |= set(given.lists)
    if given.lists:
        reading.used |= {n for n in view.names if n.rpartition("/")[2].lower() == "obj.data"}
    describe(view, reading)
    keypoints = "kpt_shape" in reading.extra
    files, old = _without_old(detection.files)
    if old:
        reading.notes.append(
            f"{counted(len(old), 'label file lies', 'label files lie')} in a folder that is called "
            f"like an earlier state of another and left out, such as {old[0]!r}; move the other "
            f"folder away to have this one read"
        )
    reading.records = _records(view, files, reading, options, keypoints)
    return reading


def _records(
    view: FolderView, files: Sequence[str], reading: Reading, options: Options, keypoints: bool
) -> Iterator[Record]:
    parser = RowReader(reading.classes, keypoints)
    reading.amend = partial(_amend, reading, parser, len(reading.classes))
    for names, contents in _some_at_a_time(view, files, reading):
        options.tick()
        in_columns = _in_columns(contents, reading.classes)
        for name, data, plain in zip(names, contents, in_columns, strict=True):
            try:
                record = parser.plain(name, plain) if plain else parser.record(data, name)
            except ImportFormatError as error:
                reading.unreadable.append((name, str(error)))
                continue
            reading.used.add(name)
            yield record


def _some_at_a_time(
    view: FolderView, files: Sequence[str], reading: Reading
) -> Iterator[tuple[list[str], list[bytes]]]:
    """Yield names and contents of label files, never many bytes together."""
    names: list[str] = []
    contents: list[bytes] = []
    size = 0
    for name in files:
        try:
            contents.append(view.text(name))
        except ImportFormatError as error:
            reading.unreadable.append((name, str(error)))
            continue
        names.append(name)
        size += len(contents[-1])
        if len(names) == _TICK or size > _MOST_AT_ONCE:
            yield names, contents
            names, contents, size = [], [], 0
    yield names, contents


def _amend(
    reading: Reading, parser: RowReader, named: int, records: list[Record], first_id: str
) -> None:
    """Find out what class ids count from and where scores stand; say what ids have no name."""
    if note := put_scores_behind(records):
        reading.notes.append(note)
    highest = parser.seen.highest
    if parser.seen.from_one(named, first_id):
        count_from_one(records, reading.classes, named)
        reading.notes.append(note_of(named if first_id == "auto" else 0))
        highest -= 1
    elif not named and highest > 0 and not parser.seen.zero and first_id == "auto":
        reading.notes.append(offer(highest))
    # Of rows that begin with a name, the classes have that.
    made_up = [name for name in reading.classes[named:] if name.startswith("class_")]
    if highest >= named and made_up:
        known = len(reading.classes) - len(made_up)
        reading.notes.append(
            f"label files use class ids up to {highest} and "
            f"{counted(known, 'class is', 'classes are')} named: the "
            f"others are called {made_up[0]} and so on; rename them"
        )


def _in_columns(contents: list[bytes], classes: list[str]) -> list[PlainFile | None]:
    """Return the boxes of the files that hold plain rows only; None for others and for no rows.

    Parameters
    ----------
    contents : list of bytes
    classes : list of str
        May grow before the boxes are looked at.
    """
    _, owner, rows = parse_plain(contents, MAX_CLASSES, anywhere=True)
    half = rows[:, 3:5] / 2
    corners = np.concatenate([rows[:, 1:3] - half, rows[:, 1:3] + half], axis=1)
    class_id = rows[:, 0].astype(np.int64)
    table = BoxTable(classes, class_id, corners)
    counts = np.bincount(owner, minlength=len(contents))
    found: list[PlainFile | None] = [None] * len(contents)
    places = np.flatnonzero(counts)
    ends = np.cumsum(counts[places])
    starts = ends - counts[places]
    if len(places):
        least = np.minimum.reduceat(class_id, starts)
        highest = np.maximum.reduceat(class_id, starts)
        columns = (column.tolist() for column in (places, starts, ends, least, highest))
        for place, start, end, low, high in zip(*columns, strict=True):
            found[place] = PlainFile(PlainBoxes(table, start, end, contents[place]), low, high)
    return found


def _score(data: bytes) -> float | None:
    """Return how much of a file is rows of YOLO, -1..1; None if it is empty."""
    if _ROWS.fullmatch(data, 0, 20_000):
        return 1.0
    try:
        text = decode(data[:20_000])
    except ImportFormatError:
        return -1.0
    lines = [line for line in NEWLINE.split(text) if line.strip()][:50]
    if not lines:
        return None
    good = sum(map(_looks_like_row, lines))
    return good / len(lines) if good else -1.0


def _looks_like_row(line: str) -> bool:
    fields = line.replace(",", " ").replace(";", " ").split()
    behind = line.split()[1:]
    if behind and all(map(DECIMAL_COMMA.fullmatch, behind)):
        fields = line.replace(",", ".").split()
    numbers = [field for field in fields if is_number(field)]
    if len(fields) < 4:
        return False  # of a line of commas there is nothing at all
    if not is_number(fields[0]):
        # A class name and fractions; a name and pixels are another tool's.
        tail = fields[-4:] if len(numbers) in (4, 5) else numbers
        return (
            len(numbers) >= 4
            and fields[-len(numbers) :] == numbers
            and all(0 <= float(f) <= 1.5 for f in tail)
        )
    return len(numbers) == len(fields) >= 5 and float(fields[0]) >= 0


def _is_label(view: FolderView, name: str) -> bool:
    return (_score(view.head(name)) or 0) > 0.5


def _is_no_label(name: str) -> bool:
    return name.lower().endswith(_NO_LABEL_ENDS) and stem_of(name).lower() in _NO_LABELS


def _is_list(name: str) -> bool:
    return is_class_list(name) or is_other_list(name)
