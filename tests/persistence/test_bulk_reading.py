"""What the quick ways through 100,000 files share with the slow ones: the results."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import LabelFormatError
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.storage.local.open_folder import OpenFolder
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import is_plain, parse_labels

CLASSES = 120
OPEN_FILES = Path("/proc/self/fd")

# Equally many decimals in every coordinate, as one program writes them.
rows = st.integers(1, 16).flatmap(
    lambda decimals: st.lists(
        st.tuples(
            st.integers(0, CLASSES - 1),
            *[st.floats(0.3, 0.7).map(lambda value, d=decimals: f"{value:.{d}f}")] * 2,
            *[st.floats(0.1, 0.6).map(lambda value, d=decimals: f"{value:.{d}f}")] * 2,
        ),
        max_size=30,
    )
)


@given(st.lists(rows, min_size=1, max_size=5), st.booleans())
def test_numbers_read_together_are_the_nearest_floats(
    files: list[list[tuple[int, str, str, str, str]]], leading_zero: bool
) -> None:
    texts = [
        "".join(f"{'0' * leading_zero}{row[0]} {' '.join(row[1:])}\n" for row in file)
        for file in files
    ]
    table = parse_many([text.encode() for text in texts], ["x.txt"] * len(texts), CLASSES)
    assert table.problems == []
    assert table.class_id.tolist() == [row[0] for file in files for row in file]
    expected = [[float(value) for value in row[1:]] for file in files for row in file]
    np.testing.assert_array_equal(table.boxes, np.array(expected).reshape(-1, 4))
    owners = [position for position, file in enumerate(files) for _ in file]
    assert table.file_index.tolist() == owners


def test_rows_over_the_border_are_cut_off_together_as_one_by_one() -> None:
    good, over = b"0 0.500000 0.500000 0.250000 0.250000\n", b"1 0.900001 0.500000 0.200000 0.1\n"
    far, outside = b"0 25.5 0.500000 0.250000 0.250000\n", b"0 1.500000 0.5 0.250000 0.250000\n"
    files = [good, over, good + over, far, good + outside, over + over, b""]
    table = parse_many(files, [f"{n}.txt" for n in range(len(files))], CLASSES)
    errors, index, boxes = [], [], []
    for number, data in enumerate(files):
        try:
            found = parse_labels(data, f"{number}.txt", CLASSES).annotations
        except LabelFormatError as error:
            errors.append(str(error))
            continue
        index += [number] * len(found)
        boxes += [a.xywh for a in found]
    assert [str(problem) for problem in table.problems] == errors
    assert len(errors) == 2
    assert table.file_index.tolist() == index
    np.testing.assert_array_equal(table.boxes, np.array(boxes))
    assert table.boxes[1].tolist() != [0.900001, 0.5, 0.2, 0.1]


numbers = st.one_of(
    st.sampled_from(["0.5", "0.25000000", "1.0", "1", "0", ".5", "-0.1", "1e-1", "2.5", "nan", ""]),
    st.sampled_from(["0.0", "0.00000000", "0.00000001", "0.000000001", "0.99999999"]),
)
lines = st.tuples(st.sampled_from(["0", "7", "119", "120", "007", "x", "1.0"]), *[numbers] * 4)


@given(
    st.lists(lines.map(" ".join), max_size=4),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.booleans(),
)
def test_a_file_called_plain_loses_nothing_as_boxes(
    file: list[str], newline: str, ended: bool
) -> None:
    data = newline.join([*file, ""] if ended else file).encode()
    if is_plain(data, CLASSES):
        parsed = parse_labels(data, "x.txt", CLASSES)
        assert parsed.other_rows == 0
        assert len(parsed.annotations) == len(file)


SPACES = st.sampled_from([" ", "  ", "\t", " \t"])
NUMBERS = st.sampled_from(
    ["0.5", ".5", "1.", "0.25", "1", "00.5", "5e-1", ".", "-0.1", "0.30000001"]
)
ODD_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["0", "01", "119", "120", "1.0"]),
        st.lists(st.tuples(SPACES, NUMBERS), min_size=3, max_size=6),
        st.sampled_from(["\n", "\r\n", " \n", "\n\n", "\r", ""]),
    ),
    max_size=4,
)


@given(st.lists(ODD_ROWS, min_size=1, max_size=3))
def test_rows_with_any_spaces_and_spellings_are_read_together_as_one_by_one(
    files: list[list[tuple[str, list[tuple[str, str]], str]]],
) -> None:
    contents = [
        "".join(
            f"{class_id}{''.join(map(''.join, numbers))}{end}" for class_id, numbers, end in file
        ).encode()
        for file in files
    ]
    table = parse_many(contents, ["x.txt"] * len(files), CLASSES)
    problems, boxes = [], []
    for place, data in enumerate(contents):
        try:
            found = parse_labels(data, "x.txt", CLASSES).annotations
        except LabelFormatError as error:
            problems.append(str(error))
        else:
            boxes += [(place, a.class_id, *a.xywh) for a in found]
    columns = (table.file_index.tolist(), table.class_id.tolist(), *table.boxes.T.tolist())
    assert [*zip(*columns, strict=True)] == boxes
    assert [str(problem) for problem in table.problems] == problems


def test_what_we_write_is_called_plain_and_unknown_classes_are_not() -> None:
    row = b" 0.50000000 0.50000000 0.25000000 0.25000000\n"
    assert is_plain(b"", 1)
    assert is_plain(b"0" + row + b"119" + row, CLASSES)
    assert not is_plain(b"0" + row + b"120" + row, CLASSES)
    with pytest.raises(LabelFormatError):
        parse_labels(b"120" + row, "x.txt", CLASSES)


def test_an_open_folder_reads_whole_files_and_nothing_for_missing_ones(tmp_path: Path) -> None:
    large = bytes(range(256)) * 100
    (tmp_path / "large.txt").write_bytes(large)
    (tmp_path / "exact.txt").write_bytes(large[:8192])
    (tmp_path / "empty.txt").write_bytes(b"")
    names = ["large.txt", "gone.txt", "exact.txt", "empty.txt"]
    with OpenFolder(str(tmp_path)) as folder:
        assert folder.read_all(names) == [large, b"", large[:8192], b""]
        with folder.scan() as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries}
    assert sizes == {"large.txt": len(large), "exact.txt": 8192, "empty.txt": 0}


def test_an_open_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), OpenFolder(str(tmp_path / "gone")):
        pass


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs /proc to count descriptors")
def test_an_open_folder_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    before = len(list(OPEN_FILES.iterdir()))
    for _ in range(3):
        with OpenFolder(str(tmp_path)) as folder:
            folder.read_all(["a.txt", "gone.txt"])
    assert len(list(OPEN_FILES.iterdir())) == before


def test_the_collector_pauses_until_the_last_thread_is_done() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with paused_collector():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with paused_collector():
        assert not gc.isenabled()
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with pytest.raises(KeyError), paused_collector():
            raise KeyError
        assert not gc.isenabled()
    finally:
        gc.enable()
