"""The one loop of all imports: read, pair, frame, count. Writes nothing.

1. A format's reader turns its files into records: what they say of each picture.
2. Each record finds its picture; what finds none is counted.
3. The header of every picture is read: its size and EXIF rotation, or that it is none.
4. All boxes are brought into the frame of the picture as it is shown, in columns.
5. What several files say of one picture is put together, and every picture gets its split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.choices import Choices
from workbench.datasets.formats.columns import PlainBoxes, PlainRows, Row, Rows, count_plain
from workbench.datasets.formats.finding import (
    RecordsOf,
    find_pictures,
    pictures_to_take,
    split_told,
)
from workbench.datasets.formats.headers import headers_of
from workbench.datasets.formats.items import (
    CROWD,
    KEYPOINTS,
    MASK,
    POLYGON,
    ROTATED,
    Box,
    Problem,
    Reading,
    Record,
)
from workbench.datasets.formats.ledger import ANNOTATIONS, PICTURES, Entry, Ledger
from workbench.datasets.formats.noting import Noter
from workbench.datasets.formats.pairing import is_own_folder, split_of_folder
from workbench.datasets.formats.placing import PlacedRows, place_all
from workbench.datasets.formats.view import FolderView
from workbench.persistence.image_header import ImageHeader
from workbench.persistence.yolo.label_text import MAX_ROWS

_TICK = 500

# A picture in two files goes to the first of these: what scores are measured on stays whole.
_PRECEDENCE = ("test", "val", "train", None)

_SHAPES = {
    POLYGON: why.OUTLINES,
    ROTATED: why.ROTATED,
    MASK: why.MASKS,
    KEYPOINTS: why.KEYPOINTS,
    CROWD: why.CROWDS_TAKEN,
    "row": why.ROWS,
}


@dataclass(slots=True)
class Picture:
    """One picture that comes in.

    Parameters
    ----------
    name : str
        Its file.
    split : str or None
        None: nothing tells.
    rows : sequence of Row or None
        None: not labelled. Empty: reviewed, nothing in it.
    raw : bytes or None
        The label file, where it can be kept byte for byte.
    size : (int, int)
        As it is shown.
    given : str
        The split before the one that was chosen in its place.
    repaired : collection of int
        Which of the rows were put right.
    """

    name: str
    split: str | None
    rows: Rows | None
    raw: bytes | None
    size: tuple[int, int]
    given: str = ""
    repaired: Collection[int] = ()

    @property
    def num_boxes(self) -> int:
        """How many boxes it comes in with."""
        return 0 if self.rows is None else len(self.rows)


@dataclass(slots=True)
class Taken:
    """What the loop has found.

    Parameters
    ----------
    pictures : list of Picture
    reading : Reading
    ledger : Ledger
    pairing : Counter of str
        How many pictures were found by which rule.
    labels : Counter of str
        How many boxes of each class were read, by the name that it has in the source.
    """

    pictures: list[Picture]
    reading: Reading
    ledger: Ledger
    pairing: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)


def take(
    view: FolderView,
    reading: Reading,
    choices: Choices,
    ledger: Ledger,
    progress: Callable[[int, int], None],
) -> Taken:
    """Walk once through everything that there is."""
    loop = _Loop(view, reading, choices, ledger, progress)
    pictures = loop.run()
    return Taken(pictures, reading, ledger, loop.pairing, loop.labels)


class _TakenRows(NamedTuple):
    """The rows of a picture that are taken, and which of them were put right."""

    rows: list[Row]
    repaired: list[int]


class _Loop:
    def __init__(
        self,
        view: FolderView,
        reading: Reading,
        choices: Choices,
        ledger: Ledger,
        progress: Callable[[int, int], None],
    ) -> None:
        self._view = view
        self._reading = reading
        self._choices = choices
        self._ledger = ledger
        self._progress = progress
        self._noter = Noter(ledger)
        self._placed = PlacedRows()
        self.pairing: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()

    def run(self) -> list[Picture]:
        records = self._read()
        for file, problem in self._reading.problems:
            self._ledger.found[ANNOTATIONS] += 1
            self._noter.leave(problem.reason, Record(file), problem.place, detail=problem.detail)
        by_picture = find_pictures(self._view, records, self._ledger, self.pairing)
        unlabelled = self._choices.unlabelled != "leave"
        names = pictures_to_take(self._view, by_picture, self._ledger, unlabelled=unlabelled)
        headers = headers_of(self._view, names, self._ledger, self._progress)
        for name in [*by_picture]:
            if name not in headers:
                for record in by_picture.pop(name):
                    self._noter.leave_all(why.DAMAGED_PICTURE, record, name)
        told = {name: self._choose(name, found) for name, found in by_picture.items()}
        self._placed = place_all(by_picture, headers, self._reading, self._choices)
        return [self._picture(name, headers[name], told, by_picture) for name in headers]

    # Reading

    def _read(self) -> list[Record]:
        total = len(self._view.pictures)
        records: list[Record] = []
        in_columns: list[PlainBoxes] = []
        for number, record in enumerate(self._reading.records):
            if number % _TICK == 0:
                self._progress(0, total)
            records.append(record)
        self._ledger.found[ANNOTATIONS] += sum([len(r.found) + len(r.problems) for r in records])
        if self._reading.amend is not None:
            self._reading.amend(records, self._choices.first_id)
        for record in records:
            if record.plain is None:
                self.labels.update([box.label for box in record.boxes])
            else:
                in_columns.append(record.plain)
        self.labels.update(count_plain(in_columns))
        self._view.forget()  # the rest needs memory, too
        self._crowds(records)
        return records

    def _crowds(self, records: Sequence[Record]) -> None:
        """Leave crowds out, but not where a file has nothing else."""
        keep = self._choices.crowds
        # Columns hold no crowds.
        if keep == "take" or not any(b.shape == CROWD for r in records for b in r.boxes):
            return
        others = {r.file for r in records for b in r.found if b.shape != CROWD}
        for record in records:
            if keep == "auto" and record.file not in others:
                continue
            if record.plain is None:
                record.problems += [Problem(why.CROWDS, b.place) for b in record.drop(CROWD)]

    # Putting together

    def _choose(self, name: str, records: list[Record]) -> tuple[str | None, list[Record]]:
        """Return the split of a picture, and those of its records that count."""
        given = self._reading.splits.get(name)
        if len(records) == 1:
            told = split_told(records[0])
            return given or told or split_of_folder(name.rpartition("/")[0]), records
        records = self._of_own_folder(name, records)
        if len({record.file for record in records}) > 1:
            self._noter.picture(why.SEVERAL, records[0], name)
        # A file that lists a picture without a box says less of it than one that has some.
        with_boxes = [r for r in records if r.found or r.problems]
        some = with_boxes or [r for r in records if r.reviewed] or records
        splits = [split_told(record) for record in some]
        told = min(splits, key=_PRECEDENCE.index)
        chosen = [record for record, split in zip(some, splits, strict=True) if split == told]
        for record in records:
            if record not in chosen:
                self._noter.leave_all(why.TWICE, record, name)
        return given or told or split_of_folder(name.rpartition("/")[0]), chosen

    def _of_own_folder(self, name: str, records: list[Record]) -> list[Record]:
        """Return what is said of a picture without its files in further folders of labels.

        These are another shape of the same objects, or what a model found: both together would
        double the boxes.
        """
        folder = name[: max(name.rfind("/"), 0)]
        own = [
            record
            for record in records
            if record.found
            and not record.place
            and is_own_folder(record.file[: max(record.file.rfind("/"), 0)], folder)
        ]
        others = [r for r in records if not r.place and r not in own] if own else []
        for record in others:
            self._noter.leave_all(why.OTHER_FOLDER, record, name)
        return [record for record in records if record not in others]

    def _picture(
        self,
        name: str,
        header: ImageHeader,
        told: dict[str, tuple[str | None, list[Record]]],
        by_picture: RecordsOf,
    ) -> Picture:
        self._ledger.taken[PICTURES] += 1
        if name not in by_picture:
            if self._reading.used:
                self._ledger.add(Entry(PICTURES, "noted", why.UNLISTED, name, 0, name))
            split = self._reading.splits.get(name) or split_of_folder(name.rpartition("/")[0])
            return Picture(name, split, None, None, header.shown)
        split, records = told[name]
        if sum([len(record.found) for record in records]) > MAX_ROWS:
            for record in records:
                self._noter.leave_all(why.TOO_MANY, record, name)
            self._noter.picture(why.ALL_LEFT, records[0], name)
            return Picture(name, split, None, None, header.shown)
        if plain := self._all_plain(records, name):
            self._note_shapes(records[0], name)
            repaired = self._note_plain(records[0], name)
            self._count(len(plain), len(repaired))
            return Picture(name, split, plain, records[0].raw, header.shown, repaired=repaired)
        taken = self._rows_of(records, name, split)
        self._count(len(taken.rows), len(taken.repaired))
        total = sum([len(record.found) + len(record.problems) for record in records])
        whole = len(records) == 1 and not records[0].problems and len(taken.rows) == total
        raw = records[0].raw if whole and not records[0].repairs else None
        if taken.rows or (not total and any(record.reviewed for record in records)):
            return Picture(name, split, taken.rows, raw, header.shown, repaired=taken.repaired)
        self._noter.picture(why.ALL_LEFT if total else why.NOT_ANNOTATED, records[0], name)
        return Picture(name, split, None, None, header.shown)

    def _count(self, taken: int, repaired: int) -> None:
        self._ledger.taken[ANNOTATIONS] += taken
        self._ledger.put_right[ANNOTATIONS] += repaired

    def _rows_of(self, records: list[Record], name: str, split: str | None) -> _TakenRows:
        """Return the rows of a picture that are taken, and count the others."""
        taken = _TakenRows([], [])
        seen: dict[tuple[object, ...], str] = {}
        for record in records:
            before = len(taken.rows)
            for problem in record.problems:
                self._noter.leave(
                    problem.reason, record, problem.place, name, problem.detail, split
                )
            repairs = self._placed.repairs(record, name)
            marks = self._placed.marks(record, name)
            by_reader: dict[int, list[str]] = {}
            for repair in record.repairs:
                by_reader.setdefault(repair.place, []).append(repair.reason)
            rows = self._placed.of(record, name)
            for number, (box, row) in enumerate(zip(record.found, rows, strict=True)):
                if row is None:
                    text = ", ".join(f"{value:g}" for value in box[1:5])
                    self._noter.leave(why.OUTSIDE, record, box.place, name, text, split)
                    continue
                wanted = self._label(box, record, name, split)
                if wanted is None:
                    continue
                key = (wanted, *row[1:5])
                if seen.setdefault(key, record.file) != record.file:
                    self._noter.leave(why.TWICE, record, box.place, name, "", split)
                    continue
                taken.rows.append(row._replace(label=wanted) if wanted != row.label else row)
                said = [*marks, *(("repaired", reason) for reason in repairs.get(number, ()))]
                said += [("repaired", reason) for reason in by_reader.pop(box.place, ())]
                if box.shape:
                    said.append(("repaired" if box.shape == CROWD else "noted", _SHAPES[box.shape]))
                for outcome, reason in said:
                    self._noter.box(outcome, reason, record, name, box.place)
                if any(outcome == "repaired" for outcome, _ in said):
                    taken.repaired.append(len(taken.rows) - 1)
            if len(taken.rows) > before:
                for reason in self._placed.notes(record, name):
                    self._noter.picture(reason, record, name)
        return taken

    def _note_plain(self, record: Record, name: str) -> Collection[int]:
        """Note what was put right of boxes that are all taken; return which were."""
        if self._placed.is_silent(record, name):
            return ()
        for reason in self._placed.notes(record, name):
            self._noter.picture(reason, record, name)
        repairs, marks = self._placed.repairs(record, name), self._placed.marks(record, name)
        if not (repairs or marks):
            return ()
        places = [box.place for box in record.found]
        for number, place in enumerate(places):
            for outcome, reason in marks:
                self._noter.box(outcome, reason, record, name, place)
            for reason in repairs.get(number, ()):
                self._noter.box("repaired", reason, record, name, place)
        all_of_them = any(outcome == "repaired" for outcome, _ in marks)
        return range(len(places)) if all_of_them else sorted(repairs)

    def _all_plain(self, records: list[Record], name: str) -> Rows:
        """Return the rows of a picture whose boxes are all taken as they are; else none."""
        record = records[0]
        found = self._placed.of(record, name)
        if len(records) > 1 or record.problems or record.repairs or self._choices.classes:
            return []
        if isinstance(found, PlainRows):
            return [] if self._choices.polygons == "leave" and found.source.shapes() else found
        if any(box.shape for box in record.found):
            return []
        taken = [row for row in found if row is not None]
        return taken if len(taken) == len(found) else []

    def _note_shapes(self, record: Record, name: str) -> None:
        """Note what boxes in columns are more than boxes."""
        plain = record.plain
        if plain is None or plain.table.shapes is None:
            return
        own = plain.table.shapes[plain.start : plain.stop].tobytes()
        for number in set(own):
            shape = plain.table.shape_names[number]
            if not shape:
                continue
            entry = Entry(ANNOTATIONS, "noted", _SHAPES[shape], record.file, 0, name)
            if not self._ledger.has_room(entry):
                self._ledger.add(entry, own.count(number))
                continue
            places = plain.places()
            if own.count(number) < len(own):
                places = [p for p, n in zip(places, own, strict=True) if n == number]
            self._ledger.add_all(entry, places)

    def _label(self, box: Box, record: Record, name: str, split: str | None) -> str | None:
        """Return the class that a box gets; None if it is left out."""
        wanted = self._choices.class_of(box.label)
        if wanted is None:
            self._noter.leave(why.CLASS_LEFT, record, box.place, name, box.label, split)
        elif box.shape in (POLYGON, ROTATED, MASK, "row") and self._choices.polygons == "leave":
            self._noter.leave(why.POLYGON_LEFT, record, box.place, name, "", split)
            return None
        return wanted
