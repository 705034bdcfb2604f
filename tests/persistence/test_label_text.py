"""Label text: what was written is read back, what cannot be read says where."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from workbench.errors import InvalidBoxError, LabelFormatError
from workbench.persistence.models import Annotation
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import (
    ParsedLabels,
    clean_annotations,
    format_labels,
    parse_labels,
)

CLASSES = 12

# --- strategies ---------------------------------------------------------------------------


@st.composite
def valid_boxes(draw: st.DrawFn) -> Annotation:
    """A box inside the image, from 1e-6 of it to all of it, also flush with its border."""
    spans = []
    for _ in range(2):
        width = draw(st.floats(1e-6, 1))
        start = draw(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0])))
        spans.append(((1 - width) * start + width / 2, width))
    (x, width), (y, height) = spans
    return Annotation(draw(st.integers(0, CLASSES - 1)), x, y, width, height)


@st.composite
def any_boxes(draw: st.DrawFn) -> Annotation:
    """A box anywhere near the image, or nonsense."""
    number = st.one_of(
        st.floats(-2, 3), st.floats(), st.sampled_from([0.0, 1.0, 1e-8, 5e-9, -0.0, 1e308])
    )
    return Annotation(
        draw(st.integers(-1, CLASSES)), draw(number), draw(number), draw(number), draw(number)
    )


def _decimal(low: float, high: float) -> st.SearchStrategy[str]:
    return st.builds(
        lambda value, style: style.format(value),
        st.floats(low, high, allow_nan=False),
        st.sampled_from(["{:.8f}", "{:.6f}", "{:.4f}", "{}", "{:.17g}", "{:e}", "+{:.3f}"]),
    )


# The odd, the borderline and the wrong, each of which a fast reader may take for good.
ODD_NUMBERS = """
0 1 1. .5 0.5 1e-9 0.00000001 1.0000001 1.00000011 1.01 -0 -0.0 00.5 0.5.5 . .. 5 9.999 10 1e400
nan inf 0x1 1_0 0,5 ٠ ½ - + e 0.5f \ufeff0.5
"""

coordinate = st.one_of(
    _decimal(0, 1),
    _decimal(-0.2, 1.3),
    st.sampled_from([*ODD_NUMBERS.split(), "", "9" * 400]),
)
class_field = st.one_of(
    st.integers(0, CLASSES - 1).map(str),
    st.sampled_from(["0", "11", "12", "3.0", "3.5", "-1", "-0", "+2", "1e0", "01", "x", "", "1e99"])
    | st.just("9" * 30),
)
plain_row = st.builds(lambda a: format_labels([a]).decode().rstrip("\n"), valid_boxes())
row = st.one_of(
    plain_row,
    plain_row,
    st.builds(
        lambda c, values, gap, lead, trail: lead + gap.join([c, *values]) + trail,
        class_field,
        st.lists(coordinate, max_size=9) | st.lists(_decimal(0.2, 0.8), min_size=4, max_size=4),
        st.sampled_from([" ", " ", " ", "  ", "\t", ", ", "\u00a0", "\x0b", "\x0c"]),
        st.sampled_from(["", "", "", " ", "\t", "#"]),
        st.sampled_from(["", "", "", " ", "\r", ";"]),
    ),
    st.sampled_from(["", " ", "\r", "\t", "# comment", "\x00", ".", "0", "0 "]),
)
label_file = st.one_of(
    st.builds(
        lambda bom, rows, newline, end: bom + (newline.join(rows) + end).encode(),
        st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]),
        st.lists(row, max_size=4),
        st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\x1e", "\u2028"]),
        st.sampled_from(["", "\n", "\n\n", " ", "\n "]),
    ),
    st.lists(plain_row, max_size=4).map(lambda rows: "".join(f"{r}\n" for r in rows).encode()),
    st.binary(max_size=60),
    st.text("0123456789. \n-e\r\t", max_size=40).map(str.encode),
)


# --- round trips --------------------------------------------------------------------------


@given(st.lists(valid_boxes(), max_size=8))
def test_every_valid_box_survives_save_and_load(boxes: list[Annotation]) -> None:
    cleaned = clean_annotations(boxes, CLASSES, "a.jpg")
    parsed = parse_labels(format_labels(cleaned), "a.txt", CLASSES)
    assert parsed == ParsedLabels(cleaned, 0)
    assert [a.class_id for a in parsed.annotations] == [a.class_id for a in boxes]
    for before, after in zip(boxes, parsed.annotations, strict=True):
        # Eight decimals: half a unit in the last of them, and clipping of what sticks out.
        assert np.allclose(before.xywh, after.xywh, rtol=0, atol=1e-8)


@given(
    st.integers(2, 8192).flatmap(
        lambda size: st.tuples(
            st.just(size), st.integers(0, size - 1), st.integers(1, size)
        ).filter(lambda t: t[1] + t[2] <= t[0])
    )
)
@example((8192, 8191, 1))
@example((7680, 0, 7680))
def test_a_pixel_box_comes_back_to_well_under_half_a_pixel(span: tuple[int, int, int]) -> None:
    size, start, length = span
    box = Annotation(0, (start + length / 2) / size, 0.5, length / size, 0.5)
    (cleaned,) = clean_annotations([box], 1, "a.jpg")
    (loaded,) = parse_labels(format_labels([cleaned]), "a.txt", 1).annotations
    left = (loaded.x - loaded.width / 2) * size
    right = (loaded.x + loaded.width / 2) * size
    assert abs(left - start) < 0.001
    assert abs(right - (start + length)) < 0.001


@given(st.lists(valid_boxes(), max_size=8))
def test_the_text_is_what_other_tools_expect(boxes: list[Annotation]) -> None:
    text = format_labels(clean_annotations(boxes, CLASSES, "a.jpg")).decode("ascii")
    lines = text.splitlines(keepends=True)
    assert len(lines) == len(boxes)
    for line in lines:
        assert re.fullmatch(r"\d+( [01]\.\d{8}){4}\n", line)
        assert all(0 <= float(value) <= 1 for value in line.split()[1:])


@given(label_file)
def test_what_could_be_loaded_is_stable_from_the_first_save_on(data: bytes) -> None:
    try:
        first = parse_labels(data, "a.txt", CLASSES)
    except LabelFormatError:
        assume(False)
    saved = format_labels(clean_annotations(first.annotations, CLASSES, "a.jpg"))
    second = parse_labels(saved, "a.txt", CLASSES)
    assert second.other_rows == 0
    assert len(second.annotations) == len(first.annotations)
    for before, after in zip(first.annotations, second.annotations, strict=True):
        assert before.class_id == after.class_id
        assert np.allclose(before.xywh, after.xywh, rtol=0, atol=2e-8)
    again = format_labels(clean_annotations(second.annotations, CLASSES, "a.jpg"))
    assert again == saved


@given(st.lists(any_boxes(), max_size=4))
@example([Annotation(0, 1e308, 0.0, 1.6e308, 1.0)])
@example([Annotation(0, 0.5, 0.5, 1e308, 1e308)])
def test_boxes_are_cleaned_or_refused(boxes: list[Annotation]) -> None:
    try:
        cleaned = clean_annotations(boxes, CLASSES, "a.jpg")
    except InvalidBoxError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert re.match(r"a\.jpg: box \d+ ", message)
        return
    assert len(cleaned) == len(boxes)
    assert parse_labels(format_labels(cleaned), "a.txt", CLASSES) == ParsedLabels(cleaned, 0)
    for box in cleaned:
        assert box.x - box.width / 2 + 1e-7 >= 0
        assert box.x + box.width / 2 <= 1 + 1e-7
        assert box.width > 0
        assert box.height > 0


def _parsed_or_error(data: bytes, path: Path) -> ParsedLabels | LabelFormatError:
    try:
        return parse_labels(data, path, CLASSES)
    except LabelFormatError as error:
        return error


# --- files from elsewhere -----------------------------------------------------------------


@given(label_file)
def test_every_file_is_read_whole_or_says_where_it_cannot(data: bytes) -> None:
    path = Path("labels") / "a.txt"
    parsed = _parsed_or_error(data, path)
    if isinstance(parsed, LabelFormatError):
        lines = data.count(b"\n") + data.count(b"\r") + 1
        assert str(parsed.path) == str(path)
        assert 0 <= parsed.line <= lines
        assert str(parsed).startswith(str(path))
        assert parsed.problem
        return
    # No row is lost in silence: whatever Python calls a line is a box, or is blank.
    text = data.decode("utf-8-sig")
    rows = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    assert len(parsed.annotations) == len(rows)
    assert 0 <= parsed.other_rows <= len(rows)
    for box in parsed.annotations:
        assert 0 <= box.class_id < CLASSES
        assert box.width > 0
        assert box.height > 0


def _one(row: str, **options: bool) -> ParsedLabels:
    return parse_labels(row.encode(), "a.txt", 3, **options)


@pytest.mark.parametrize(
    "text",
    [
        "1 0.5 0.5 0.2 0.4",
        "1 0.5 0.5 0.2 0.4\n",
        "1 0.5 0.5 0.2 0.4\r\n",
        "\n\n1\t0.5 0.5  0.2\t0.4 \n\n",
        "\ufeff1 0.5 0.5 0.2 0.4",
        "1.0 .5 5e-1 +0.2 0.40",
    ],
)
def test_readings_that_lose_nothing(text: str) -> None:
    assert _one(text) == ParsedLabels([Annotation(1, 0.5, 0.5, 0.2, 0.4)], 0)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(newline: str) -> None:
    # Three rows of five fields are fifteen fields, which must not be taken for a polygon.
    text = newline.join(f"{i} 0.5 0.5 0.2 0.4" for i in range(3))
    assert _one(text) == ParsedLabels([Annotation(i, 0.5, 0.5, 0.2, 0.4) for i in range(3)], 0)


def test_a_confidence_and_a_polygon_give_their_box() -> None:
    assert _one("1 0.5 0.5 0.2 0.4 0.97") == ParsedLabels([Annotation(1, 0.5, 0.5, 0.2, 0.4)], 1)
    parsed = _one("2 0.1 0.2 0.5 0.3 0.25 0.75")
    assert parsed.other_rows == 1
    assert np.allclose(parsed.annotations[0].xywh, (0.3, 0.475, 0.4, 0.55), rtol=0, atol=1e-12)


def test_keypoints_give_their_box_where_the_dataset_has_keypoints() -> None:
    row = "0 0.5 0.5 0.2 0.4 0.1 0.1 2 0.9 0.9 2"
    assert _one(row, keypoints=True) == ParsedLabels([Annotation(0, 0.5, 0.5, 0.2, 0.4)], 1)
    assert _one(row).annotations != [Annotation(0, 0.5, 0.5, 0.2, 0.4)]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("0 0.5 0.5 0.2", 1, "5 columns"),
        ("0 0.5 0.5 0.2 0.2\n\n0 0.5", 3, "5 columns"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", 1, "columns"),
        ("3 0.5 0.5 0.2 0.2", 1, "class id 3"),
        ("-1 0.5 0.5 0.2 0.2", 1, "class id"),
        ("1.5 0.5 0.5 0.2 0.2", 1, "class id"),
        ("cat 0.5 0.5 0.2 0.2", 1, "'cat'"),
        ("0,0.5,0.5,0.2,0.2", 1, "spaces"),
        ("0 0.5 0.5 nan 0.2", 1, "nan"),
        ("0 0.5 inf 0.2 0.2", 1, "inf"),
        ("0 0.5 0.5 0.2 0", 1, "no area"),
        ("0 0.5 0.5 -0.2 0.2", 1, "no area"),
        ("0 1.5 0.5 0.2 0.2", 1, "outside"),
        ("0 320 240 50 50", 1, "pixels"),
        ("0 0.5 0.5 0.2 1_0", 1, "1_0"),
        ("0 0.5 0.5 0.2 ٠", 1, "number"),
    ],
)
def test_errors_name_the_line_and_what_is_wrong(text: str, line: int, words: str) -> None:
    with pytest.raises(LabelFormatError, match=re.escape(words)) as caught:
        _one(text)
    assert (caught.value.line, caught.value.path) == (line, "a.txt")


def test_other_encodings_are_named() -> None:
    with pytest.raises(LabelFormatError, match="UTF-16"):
        parse_labels("0 0.5 0.5 0.2 0.2".encode("utf-16"), "a.txt", 3)
    with pytest.raises(LabelFormatError, match=r"a\.txt, line 2: .*0xff"):
        parse_labels(b"0 0.5 0.5 0.2 0.2\n\xff\xd8", "a.txt", 3)


# --- the bulk reader ----------------------------------------------------------------------


@given(st.lists(label_file, max_size=8), st.booleans())
@example([], False)
@example([b""], False)
@example([b"", b"\n", b"\n\n", b" ", b"\n "], False)
@example([b"0 0.5 0.5 0.2 0.2", b"0 0.5 0.5 0.2 0.2"], False)
@example([b"0 0.5 0.5 0.2 0.2 ", b" 0 0.5 0.5 0.2 0.2"], False)
@example([b"0 0.5 0.5", b"0.2 0.2"], False)
@example([b"x", b"0 0.5 0.5 0.2 0.2\n", b"0 0.5 0.5 0.2 0.2\n12 0.5 0.5 0.2 0.2\n"], False)
@example([b". . . . .", b"0 . 0.5 0.2 0.2", b"0 0.5 0.5 0.2 ."], False)
@example([b"1.0 1. .5 0.2 0.2", b"1.5 0.5 0.5 0.2 0.2"], False)
@example([b"0 1..5 0.5 0.2 0.2", b"0 0.5 0.5 0.2 1.2.3"], True)
@example([b"0 1.00000011 0.5 0.2 0.2", b"0 0.5 0.5 1.00000011 1.00000031"], True)
@example([b"9" * 400 + b" 0.5 0.5 0.2 0.2", b"0 " + b"9" * 400 + b" 0.5 0.2 0.2"], False)
def test_reading_many_files_agrees_with_reading_each(files: list[bytes], keypoints: bool) -> None:
    paths = [f"labels/train/{i}.txt" for i in range(len(files))]
    columns = parse_many(files, paths, CLASSES, keypoints=keypoints)
    boxes: list[tuple[int, Annotation]] = []
    problems: list[str] = []
    for position, (data, path) in enumerate(zip(files, paths, strict=True)):
        try:
            parsed = parse_labels(data, path, CLASSES, keypoints=keypoints)
        except LabelFormatError as error:
            problems.append(str(error))
        else:
            boxes += [(position, annotation) for annotation in parsed.annotations]
    found = [
        (position, Annotation(class_id, *values))
        for position, class_id, values in zip(
            columns.file_index.tolist(),
            columns.class_id.tolist(),
            columns.boxes.tolist(),
            strict=True,
        )
    ]
    assert found == boxes
    assert [str(problem) for problem in columns.problems] == problems
    assert columns.boxes.shape == (len(boxes), 4)
