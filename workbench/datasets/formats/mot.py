"""MOTChallenge: ``seq/gt/gt.txt`` with a row for each box of each frame of ``seq/img1``.

``frame, id, left, top, width, height, confidence, class, visibility``, of which what is behind the
height may be left out; a confidence of 0 marks what is not to be evaluated. A sequence without
truth has ``det/det.txt``, whose confidence is a detector's score
(https://motchallenge.net/instructions/).
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
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
from workbench.datasets.formats.walking import found, head_lines, read_text, text_of

TITLE = "MOTChallenge"

_TRUTH, _DETECTED = "gt", "det"

_CLASSES = (
    *("pedestrian", "person_on_vehicle", "car", "bicycle", "motorbike", "non_mot_vehicle"),
    *("static_person", "distractor", "occluder", "occluder_on_ground", "occluder_full"),
    *("reflection", "crowd"),
)  # fmt: skip


def detect(view: FolderView) -> Detection:
    """Look for ``gt.txt``, or else ``det.txt``, in folders of these names or beside pictures."""
    lists: dict[str, dict[str, str]] = {}
    for name in view.candidates(".txt"):
        if (kind := stem_of(name).lower()) in (_TRUTH, _DETECTED) and _is_mot(view, name):
            lists.setdefault(_home(name), {})[kind] = name
    files = [kinds.get(_TRUTH, kinds.get(_DETECTED, "")) for kinds in lists.values()]
    of_what = sorted({f"{stem_of(name).lower()}.txt" for name in files})
    return found(files, f"{counted(len(files), 'sequence')} with {' or '.join(of_what)}", 0.95)


def _home(name: str) -> str:
    """Return the folder of a list's sequence."""
    return name.rpartition("/")[0].rpartition("/")[0]


def _is_mot(view: FolderView, name: str) -> bool:
    lines = head_lines(view, name)
    return bool(lines) and all(
        6 <= len(values := line.split(",")) <= 10 and values[0].strip().isdigit() for line in lines
    )


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read sequences; see `workbench.datasets.formats.items`."""
    reading = Reading(classes=[])
    numbered = _numbered(view)
    labels = _labels(view, reading)

    def parse(lines: list[str], name: str) -> Iterator[Record]:
        frames = _as_counted(numbered.get(_home(name), {}), lines)
        records: dict[int, Record] = {
            frame: Record(name, picture, place=max(frame, 1), reviewed=False)
            for frame, picture in frames.items()
        }
        for line, text in enumerate(lines, start=1):
            if text.strip():
                _row(text, line, name, records, labels)
        yield from records.values()

    reading.records = read_text(view, detection.files, reading, options, parse)
    homes = {_home(name) for name in detection.files}
    for name in view.names:
        base = name.rpartition("/")[2].lower()
        if base == "seqinfo.ini":
            reading.used.add(name)
        elif base == "det.txt" and _home(name) in homes and name not in detection.files:
            reading.used.add(name)
            reading.notes.append(f"{name} was left out: a detector's boxes, beside the true ones")
    return reading


def _as_counted(pictures: dict[int, str], lines: list[str]) -> dict[int, str]:
    """Return the pictures of a sequence by the numbers that its rows have.

    Rows count frames from 1. CVAT and others call the first picture ``frame_000000``.
    """
    if sorted(pictures) != list(range(len(pictures))):
        return pictures
    first = {line.partition(",")[0].strip() for line in lines}
    from_zero = any(text.isdigit() and int(text) == 0 for text in first)
    return pictures if from_zero else {n + 1: name for n, name in pictures.items()}


def _row(text: str, line: int, name: str, records: dict[int, Record], labels: list[str]) -> None:
    try:
        values = [number(value) for value in text.split(",")]
        frame, track, x, y, width, height = values[:6]
    except ValueError as error:
        first = next(iter(records.values()), None) or records.setdefault(0, Record(name, place=1))
        first.problems.append(Problem(why.BAD_ROW, line, str(error)))
        return
    record = records.setdefault(int(frame), Record(name, f"img1/{int(frame):06d}", place=line))
    kind = int(values[7]) if len(values) > 7 else 1
    is_detected = stem_of(name).lower() == _DETECTED
    if len(values) > 6 and values[6] == 0 and not is_detected:
        record.problems.append(Problem(why.IGNORED, line))
        return
    label = (
        labels[kind - 1]
        if 1 <= kind <= len(labels)
        else "pedestrian"
        if kind < 1
        else f"class_{kind}"
    )
    extra: dict[str, object] = {"track_id": int(track)} if track >= 0 else {}
    if is_detected and len(values) > 6:
        extra["score"] = values[6]
    if len(values) > 8 and 0 <= values[8] < 1:
        extra["visibility"] = values[8]
    # Pixels count from 1 here.
    box = (x - 1, y - 1, x - 1 + width, y - 1 + height)
    record.boxes.append(Box(label, *box, line, "", None, extra))


def _numbered(view: FolderView) -> dict[str, dict[int, str]]:
    """Return pictures by the folder of their sequence and their number."""
    found_here: dict[str, dict[int, str]] = {}
    for picture in view.pictures:
        digits = "".join(c for c in stem_of(picture) if c.isdigit())
        if digits:
            # From the folder of the list, which is beside that of the pictures.
            found_here.setdefault(_home(picture), {})[int(digits[-9:])] = picture
    return found_here


def _labels(view: FolderView, reading: Reading) -> list[str]:
    for name in view.names:
        if name.rpartition("/")[2].lower() == "labels.txt":
            reading.used.add(name)
            return [line.strip() for line in text_of(view, name).splitlines() if line.strip()]
    return list(_CLASSES)
