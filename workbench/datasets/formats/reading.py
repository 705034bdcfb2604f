"""The one loop of all imports: read, pair, frame, count. Writes nothing.

1. A format's reader turns its files into records: what they say of each picture.
2. Each record finds its picture; what finds none is counted.
3. The header of every picture is read: its size and EXIF rotation, or that it is none.
4. All boxes are brought into the frame of the picture as it is shown, in columns.
5. What several files say of one picture is put together, and every picture gets its split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.choices import Choices
from workbench.datasets.formats.codecs import kind_of_picture
from workbench.datasets.formats.columns import Ids, PlainBoxes, PlainRows, Row, Rows, count_plain
from workbench.datasets.formats.frames import Flags, Placed, place
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
from workbench.datasets.formats.pairing import Pictures, split_of, split_of_folder
from workbench.datasets.formats.row_meaning import RowChoice
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError, InvalidFrameError
from workbench.persistence.archive.directory import fold
from workbench.persistence.archive.split_words import split_word
from workbench.persistence.image_bounds import header_of
from workbench.persistence.image_header import ImageHeader, read_header
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


_RowsOf = dict[tuple[int, str], PlainRows | list[Row | None]]


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
    """

    name: str
    split: str | None
    rows: Rows | None
    raw: bytes | None
    size: tuple[int, int]
    given: str = ""

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
        self.pairing: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()

    def run(self) -> list[Picture]:
        records = self._read()
        for file, problem in self._reading.problems:
            self._ledger.found[ANNOTATIONS] += 1
            self._leave(problem.reason, Record(file), problem.place, detail=problem.detail)
        by_picture = self._pair(records)
        names = self._ledger_pictures(by_picture)
        headers = self._headers(names)
        for name in [*by_picture]:
            if name not in headers:
                for record in by_picture.pop(name):
                    self._leave_all(why.DAMAGED_PICTURE, record, name)
        told = {name: self._choose(name, found) for name, found in by_picture.items()}
        rows = self._place(by_picture, headers)
        return [self._picture(name, headers[name], told, by_picture, rows) for name in headers]

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

    # Pairing

    def _pair(self, records: Iterable[Record]) -> dict[str, list[Record]]:
        pictures = Pictures(self._view.pictures)
        listed: dict[str, list[Record]] = defaultdict(list)
        found: dict[str, list[Record]] = defaultdict(list)
        alone: list[Record] = []
        for record in records:
            if record.place:
                listed[record.file].append(record)
                continue
            named = pictures.like(record.file, record.picture)
            if len(named) > 1 and record.raw is None:
                for name in named:
                    self._note(PICTURES, "noted", why.SHARED_NAME, record, name)
                self._leave_all(why.AMBIGUOUS, record, "")
            elif named:
                self.pairing["name and folder"] += 1
                for name in named:  # YOLO: pictures that differ in their extension share labels
                    found[name].append(record)
                for _ in named[1:]:
                    self._ledger.found[ANNOTATIONS] += len(record.found) + len(record.problems)
            else:
                alone.append(record)
        nearly = pictures.nearly((record.file for record in alone), found.keys()) if alone else {}
        for record in alone:
            picture = nearly.get(record.file)
            if picture is None:
                self._leave_all(why.NO_PICTURE, record, record.picture)
                continue
            self.pairing["nearly the same name"] += 1
            self._note(PICTURES, "noted", why.NEARLY, record, picture)
            found[picture].append(record)
        for file, some in listed.items():
            paths = pictures.find(file, (record.picture for record in some))
            missing = [r for r in some if r.also and r.picture not in paths]
            others = pictures.find(file, (record.also for record in missing))
            taken = set(paths.values())
            paths |= {r.picture: p for r in missing if (p := others.get(r.also)) not in taken and p}
            in_splits = _in_their_splits(pictures, file, some, paths)
            for record in some:
                path = paths.get(record.picture) or in_splits.get((record.split, record.picture))
                if path is None:
                    self._note(PICTURES, "noted", why.MISSING, record, record.picture)
                    self._leave_all(why.NO_PICTURE, record, record.picture)
                else:
                    self.pairing["path in the file"] += 1
                    found[path].append(record)
        return found

    def _ledger_pictures(self, by_picture: dict[str, list[Record]]) -> list[str]:
        """Return the pictures to take, without masks of others."""
        self._ledger.found[PICTURES] += len(self._view.pictures)
        folders = {name[: max(name.rfind("/"), 0)] for name in by_picture}
        rest: dict[str, list[str]] = defaultdict(list)
        for name in self._view.pictures:
            if name not in by_picture and (folder := name.rpartition("/")[0]) not in folders:
                rest[folder].append(name)
        stems = {_bare(name) for name in by_picture} if rest else set()
        masks = {
            name
            for names in rest.values()
            if by_picture and all(_bare(name) in stems for name in names)
            for name in names
        }
        for name in sorted(masks):
            self._ledger.add(Entry(PICTURES, "left", why.MASK_FOLDER, name, 0, name))
        names = [name for name in self._view.pictures if name not in masks]
        if self._choices.unlabelled == "leave":
            for name in names:
                if name not in by_picture:
                    self._ledger.add(Entry(PICTURES, "left", why.UNLABELLED_LEFT, name, 0, name))
            names = [name for name in names if name in by_picture]
        return names

    def _headers(self, names: Sequence[str]) -> dict[str, ImageHeader]:
        headers = {}
        for number, name in enumerate(names):
            if number % _TICK == 0:
                self._progress(0, len(names))
            try:
                headers[name] = header = self._header(name)
                if header.bits > 8:
                    self._ledger.add(Entry(PICTURES, "noted", why.DEEP, name, 0, name))
                if header.pages > 1:
                    self._ledger.add(Entry(PICTURES, "noted", why.PAGES, name, 0, name))
            except (InvalidFrameError, ArchiveError) as error:
                reason, detail = why.DAMAGED, str(error)
                head = self._view.head(name, 512)
                kind = kind_of_picture(head)
                head = head.lstrip().lower()
                if kind in ("HEIC", "AVIF", "JPEG 2000"):
                    reason, detail = why.NO_CODEC, f"it is {kind}, whatever it is called"
                elif head.startswith(
                    (b"<!doctype", b"<html", b"<?xml", b"{", b"version https://git-lfs")
                ):
                    reason, detail = why.NOT_A_PICTURE, "text, as a failed download leaves it"
                elif not head:
                    detail = "the file is empty"
                self._ledger.add(Entry(PICTURES, "left", reason, name, 0, name, "", detail))
        return headers

    def _header(self, name: str) -> ImageHeader:
        header = read_header(self._view.head(name))
        if header is not None:
            return header
        return header_of(self._view.read(name), name)

    # Putting together

    def _choose(self, name: str, records: list[Record]) -> tuple[str | None, list[Record]]:
        """Return the split of a picture, and those of its records that count."""
        given = self._reading.splits.get(name)
        if len(records) == 1:
            told = _told(records[0])
            return given or told or split_of_folder(name.rpartition("/")[0]), records
        if len({record.file for record in records}) > 1:
            self._note(PICTURES, "noted", why.SEVERAL, records[0], name)
        # A file that lists a picture without a box says less of it than one that has some.
        with_boxes = [r for r in records if r.found or r.problems]
        some = with_boxes or [r for r in records if r.reviewed] or records
        splits = [_told(record) for record in some]
        told = min(splits, key=_PRECEDENCE.index)
        chosen = [record for record, split in zip(some, splits, strict=True) if split == told]
        for record in records:
            if record not in chosen:
                self._leave_all(why.TWICE, record, name)
        return given or told or split_of_folder(name.rpartition("/")[0]), chosen

    def _place(
        self, by_picture: dict[str, list[Record]], headers: dict[str, ImageHeader]
    ) -> _RowsOf:
        """Return the rows of each record and picture; None for boxes that are left."""
        pairs = [(name, record) for name, found in by_picture.items() for record in found]
        records = [record for _, record in pairs]
        placed = place(records, [headers[name] for name, _ in pairs], self._row_choice())
        kept = placed.kept
        repairs = [
            (why.SWAPPED, placed.swapped),
            (why.FRACTIONS, placed.fractions),
            (why.PIXELS, placed.pixels),
            (why.CLIPPED, placed.clipped),
        ]
        changed = placed.clipped | placed.pixels
        if placed.meant is not None:
            meant = placed.meant
            repairs += [
                (why.CORNER_ROWS, meant.corners),
                (why.SIDES_ROWS, meant.sides),
                (why.PERCENT, meant.percent),
            ]
            changed |= meant.corners | meant.sides | meant.percent
            self._reading.notes += meant.notes
        ends = np.cumsum([len(record.found) for record in records], dtype=np.int64)
        # Whether there is more to say of a record than where its boxes are.
        sums = np.append(0, np.cumsum(changed | ~kept))
        odd = ((np.diff(sums[np.append(0, ends)]) > 0) | placed.turned).tolist()
        rows: _RowsOf = {}
        start = 0
        for (name, record), end, turned, is_odd in zip(
            pairs, ends.tolist(), placed.turned.tolist(), odd, strict=True
        ):
            if is_odd:
                record.raw = None
            if record.plain is not None and not is_odd:
                rows[id(record), name] = PlainRows(record.plain, placed.boxes, start)
            else:
                part = slice(start, end)
                rows[id(record), name] = [
                    Row(box.label, x, y, w, h, None if moved or turned else box.rest, box.extra)
                    if good
                    else None
                    for box, good, moved, (x, y, w, h) in zip(
                        record.found,
                        kept[part].tolist(),
                        changed[part].tolist(),
                        placed.boxes[part].tolist(),
                        strict=True,
                    )
                ]
            start = end
        self._note_frames(pairs, placed)
        self._note_repairs(pairs, ends, repairs)
        return rows

    def _note_frames(self, pairs: list[tuple[str, Record]], placed: Placed) -> None:
        """Note of which records all boxes were put right, and which nothing tells for sure."""
        of_boxes = (
            (placed.turned, why.TURNED, "repaired"),
            (placed.rescaled, why.RESCALED, "repaired"),
            (placed.shown, why.SHOWN, "noted"),
        )
        of_pictures = (
            (placed.odd_size, why.SIZES),
            (placed.mirrored, why.MIRRORED),
            (placed.halved, why.HALVED),
        )
        told = placed.turned | placed.rescaled | placed.shown
        told = told | placed.odd_size | placed.mirrored | placed.halved
        for index in told.nonzero()[0].tolist():
            name, record = pairs[index]
            for flags, reason, outcome in of_boxes:
                if flags[index]:
                    for box in record.found:
                        self._note(ANNOTATIONS, outcome, reason, record, name, box.place)
            for flags, reason in of_pictures:
                if flags[index]:
                    self._note(PICTURES, "noted", reason, record, name)

    def _row_choice(self) -> RowChoice | None:
        """Return what was chosen about rows; None where the format leaves no doubt."""
        if not self._reading.rows:
            return None
        return RowChoice(self._choices.rows, self._choices.units)

    def _note_repairs(
        self, pairs: list[tuple[str, Record]], ends: Ids, repairs: list[tuple[str, Flags]]
    ) -> None:
        for reason, flags in repairs:
            for number in flags.nonzero()[0].tolist():
                index = int(np.searchsorted(ends, number, side="right"))
                name, record = pairs[index]
                box = record.found[number - int(ends[index])]  # counted from the last one
                self._note(ANNOTATIONS, "repaired", reason, record, name, box.place)

    def _picture(
        self,
        name: str,
        header: ImageHeader,
        told: dict[str, tuple[str | None, list[Record]]],
        by_picture: dict[str, list[Record]],
        rows: _RowsOf,
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
                self._leave_all(why.TOO_MANY, record, name)
            self._note(PICTURES, "noted", why.ALL_LEFT, records[0], name)
            return Picture(name, split, None, None, header.shown)
        if plain := self._all_plain(records, rows, name):
            self._ledger.taken[ANNOTATIONS] += len(plain)
            self._note_shapes(records[0], name)
            return Picture(name, split, plain, records[0].raw, header.shown)
        taken: list[Row] = []
        seen: dict[tuple[object, ...], str] = {}
        total = 0
        for record in records:
            total += len(record.found) + len(record.problems)
            for problem in record.problems:
                self._leave(problem.reason, record, problem.place, name, problem.detail, split)
            for repair in record.repairs:
                self._note(ANNOTATIONS, "repaired", repair.reason, record, name, repair.place)
            for box, row in zip(record.found, rows[id(record), name], strict=True):
                if row is None:
                    text = ", ".join(f"{value:g}" for value in box[1:5])
                    self._leave(why.OUTSIDE, record, box.place, name, text, split)
                    continue
                wanted = self._label(box, record, name, split)
                if wanted is None:
                    continue
                key = (wanted, *row[1:5])
                if seen.setdefault(key, record.file) != record.file:
                    self._leave(why.TWICE, record, box.place, name, "", split)
                    continue
                taken.append(row._replace(label=wanted) if wanted != row.label else row)
                if box.shape:
                    outcome = "repaired" if box.shape == CROWD else "noted"
                    self._note(ANNOTATIONS, outcome, _SHAPES[box.shape], record, name, box.place)
        self._ledger.taken[ANNOTATIONS] += len(taken)
        whole = len(records) == 1 and not records[0].problems and len(taken) == total
        raw = records[0].raw if whole and not records[0].repairs else None
        if taken or (not total and any(record.reviewed for record in records)):
            return Picture(name, split, taken, raw, header.shown)
        reason = why.ALL_LEFT if total else why.NOT_ANNOTATED
        self._note(PICTURES, "noted", reason, records[0], name)
        return Picture(name, split, None, None, header.shown)

    def _all_plain(self, records: list[Record], rows: _RowsOf, name: str) -> Rows:
        """Return the rows of a picture whose boxes are all taken as they are; else none."""
        record = records[0]
        found = rows[id(record), name]
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
            self._leave(why.CLASS_LEFT, record, box.place, name, box.label, split)
        elif box.shape in (POLYGON, ROTATED, MASK, "row") and self._choices.polygons == "leave":
            self._leave(why.POLYGON_LEFT, record, box.place, name, "", split)
            return None
        return wanted

    # Counting

    def _leave(
        self,
        reason: str,
        record: Record,
        position: int,
        picture: str = "",
        detail: str = "",
        split: str | None = None,
    ) -> None:
        self._ledger.add(
            Entry(ANNOTATIONS, "left", reason, record.file, position, picture, split or "", detail)
        )

    def _leave_all(self, reason: str, record: Record, picture: str) -> None:
        places = [box.place for box in record.found] + [p.place for p in record.problems]
        for position in places:
            self._leave(reason, record, position, picture)

    def _note(
        self, unit: str, outcome: str, reason: str, record: Record, picture: str, position: int = 0
    ) -> None:
        self._ledger.add(Entry(unit, outcome, reason, record.file, position, picture))


def _in_their_splits(
    pictures: Pictures, file: str, records: Iterable[Record], known: Container[str]
) -> dict[tuple[str | None, str], str]:
    """Return the pictures of names that mean one in each split, by split and name."""
    names: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.split and record.picture not in known:
            names[record.split].append(record.picture)
    return {
        (said, name): picture
        for said, some in names.items()
        if (split := split_word(said)) is not None
        for name, picture in pictures.find(file, some, split).items()
    }


def _told(record: Record) -> str | None:
    if record.split:
        return split_word(record.split)
    if record.place:
        return split_of(record.file)
    return split_of_folder(record.file.rpartition("/")[0])


def _bare(name: str) -> str:
    return fold(name.rpartition("/")[2].rpartition(".")[0])
