"""KITTI's tracking benchmark: ``label_02/0003.txt`` with the boxes of all frames of a sequence.

::

    0 2 Pedestrian 0 0 -1.58 20.0 10.0 80.0 60.0 1.6 ...    17 columns, 18 with a score

Frame and track come first, then the columns of ``label_2``; frame 0 of sequence 0003 is
``image_02/0003/000000.png`` (https://www.cvlibs.net/datasets/kitti/eval_tracking.php).
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.datasets.changes import counted
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.items import Box, Detection, Options, Problem, Reading, Record
from workbench.datasets.formats.pairing import stem_of
from workbench.datasets.formats.rows import IgnoredError, kitti
from workbench.datasets.formats.view import FolderView
from workbench.datasets.formats.walking import found, read_text, rows_match

TITLE = "KITTI tracking"

_COLUMNS = (17, 18)
_AHEAD = 2  # frame and track


def detect(view: FolderView) -> Detection:
    """Look for text files of such rows, each called like a folder of pictures."""
    folders = {_sequence(name) for name in view.pictures}
    named = [name for name in view.candidates(".txt") if stem_of(name) in folders]
    files = rows_match(view, named, _is_good, 0.8)
    return found(files, f"{counted(len(files), 'sequence')} with rows of {TITLE}", 0.95)


def _is_good(line: str) -> bool:
    fields = line.split()
    return (
        len(fields) in _COLUMNS
        and fields[0].isdecimal()
        and fields[1].removeprefix("-").isdecimal()
        and not fields[2].replace(".", "").isdecimal()
    )


def read(view: FolderView, detection: Detection, options: Options) -> Reading:
    """Read sequences; see `workbench.datasets.formats.items`."""
    reading = Reading()
    pictures = _pictures(view)

    def parse(lines: list[str], name: str) -> Iterator[Record]:
        records = {
            frame: Record(name, picture, place=frame + 1, reviewed=False)
            for frame, picture in pictures.get(stem_of(name), {}).items()
        }
        for line, text in enumerate(lines, start=1):
            if text.strip():
                _row(text, line, name, records)
        yield from records.values()

    reading.records = read_text(view, detection.files, reading, options, parse)
    return reading


def _row(text: str, line: int, name: str, records: dict[int, Record]) -> None:
    fields = text.split()
    frame = int(fields[0]) if fields[0].isdecimal() and len(fields[0]) < 10 else 0
    missing = f"{stem_of(name)}/{frame:06d}"
    record = records.setdefault(frame, Record(name, missing, place=line))
    try:
        if not _is_good(text):
            raise ValueError(f"expected a frame, a track and 15 columns, found {len(fields)}")
        box = kitti.parse(" ".join(fields[_AHEAD:]), line)
    except IgnoredError:
        record.problems.append(Problem(why.IGNORED, line))
    except ValueError as error:
        record.problems.append(Problem(why.BAD_ROW, line, str(error)))
    else:
        if box is not None:
            record.boxes.append(_tracked(box, int(fields[1])))


def _tracked(box: Box, track: int) -> Box:
    return box._replace(extra={**(box.extra or {}), "track_id": track})


def _pictures(view: FolderView) -> dict[str, dict[int, str]]:
    """Return pictures by their sequence and the number of their frame."""
    result: dict[str, dict[int, str]] = {}
    for name in view.pictures:
        stem = stem_of(name)
        if stem.isdecimal() and len(stem) < 10:
            result.setdefault(_sequence(name), {})[int(stem)] = name
    return result


def _sequence(picture: str) -> str:
    """Return the name of the folder that a picture lies in."""
    return picture.rpartition("/")[0].rpartition("/")[2]
