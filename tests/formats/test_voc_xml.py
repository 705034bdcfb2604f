"""One annotation file: bytes to objects to boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.formats.frames import place
from workbench.datasets.formats.items import Record
from workbench.datasets.formats.voc_xml import parse_voc
from workbench.errors import ImportFormatError
from workbench.geometry import to_pixels
from workbench.persistence.image_header import ImageHeader


def _object(name: str, *box: object, extra: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{extra}<bndbox>{inner}</bndbox></object>"


def _file(*objects: str, head: str = "") -> bytes:
    return f"<annotation>{head}{''.join(objects)}</annotation>".encode()


def _pixels(data: bytes, width: int = 100, height: int = 50, **options: bool) -> list[list[float]]:
    placed = place([parse_voc(data, **options)], [ImageHeader(width, height)])
    boxes = to_pixels(placed.boxes[placed.kept], width, height)
    return [[round(value, 9) for value in box] for box in boxes.tolist()]


def test_reads_what_the_development_kit_describes() -> None:
    voc = parse_voc(
        _file(
            _object("dog", 48, 24, 95, 37, extra="<difficult>1</difficult>"),
            _object("cat", 8, 12, 35, 49, extra="<difficult>0</difficult>"),
            head="<filename> 1.jpg </filename>"
            "<size><width>353</width><height>500</height><depth>3</depth></size>",
        )
    )

    assert voc.picture == "1.jpg"
    assert voc.size == (353, 500)
    assert [(box.label, box[1:5], box.extra) for box in voc.boxes] == [
        ("dog", (48, 24, 95, 37), {"difficult": True}),
        ("cat", (8, 12, 35, 49), None),
    ]
    assert voc.problems == []


def test_corners_of_other_tools_are_taken_as_they_are() -> None:
    assert _pixels(_file(_object("cat", 0, 10.5, 100, 50))) == [[0, 10.5, 100, 50]]


@pytest.mark.parametrize(
    "source",
    [
        "<source><database>The VOC2007 Database</database></source>",
        "<source><annotation>PASCAL VOC2012</annotation></source>",
    ],
)
def test_the_challenge_counts_pixels_from_one(source: str) -> None:
    whole_image, one_pixel = _object("cat", 1, 1, 100, 50), _object("dog", 7, 9, 7, 9)

    assert _pixels(_file(whole_image, one_pixel, head=source)) == [[0, 0, 100, 50], [6, 8, 7, 9]]


def test_the_caller_may_say_how_pixels_count() -> None:
    data = _file(_object("cat", 11, 21, 30, 40))

    assert _pixels(data, one_based=True) == [[10, 20, 30, 40]]
    assert _pixels(data, one_based=False) == [[11, 21, 30, 40]]


def test_boxes_are_cut_off_at_the_border() -> None:
    assert _pixels(_file(_object("cat", -5, -5, 130, 20))) == [[0, 0, 100, 20]]


@pytest.mark.parametrize(
    "box",
    [
        (20, 10, 20, 30),
        (20, 10, 20, 10),
        (20, 10, 20.0001, 30),
        (100, 0, 120, 20),
        (-20, 0, 0, 20),
    ],
)
def test_boxes_that_are_none_are_left_out(box: tuple[float, ...]) -> None:
    assert _pixels(_file(_object("dog", *box), _object("cat", 1, 2, 3, 4))) == [[1, 2, 3, 4]]


@pytest.mark.parametrize("box", [(30, 10, 20, 30), (20, 30, 30, 10), (30, 30, 20, 10)])
def test_swapped_corners_are_put_right(box: tuple[float, ...]) -> None:
    assert _pixels(_file(_object("dog", *box))) == [[20, 10, 30, 30]]


def test_rotated_boxes_and_outlines_give_the_box_around_them() -> None:
    rotated = (
        "<object><name>ship</name><robndbox><cx>50</cx><cy>25</cy><w>20</w><h>10</h>"
        "<angle>1.5707963267948966</angle></robndbox></object>"
    )
    numbered = (
        "<object><name>tree</name><polygon><x1>5</x1><y1>6</y1><x2>15</x2><y2>8</y2><x3>9</x3>"
        "<y3>16</y3></polygon></object>"
    )
    points = (
        "<object><name>tree</name><polygon><pt><x>5</x><y>6</y></pt><pt><x>15</x><y>16</y></pt>"
        "</polygon></object>"
    )
    assert _pixels(_file(rotated, numbered, points)) == [
        [45, 15, 55, 35],
        [5, 6, 15, 16],
        [5, 6, 15, 16],
    ]


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("<object><name>cat</name></object>", "(cat) has no bndbox"),
        (_object("", 1, 2, 3, 4), "has no name"),
        (_object("cat", 1, 2, "wide", 4), "expected a number as xmax, found 'wide'"),
        (_object("cat", 1, "nan", 3, 4), "expected a number as ymin, found 'nan'"),
        (_object("cat", 1, 2, 3, "1e999"), "expected a number as ymax, found '1e999'"),
        (_object("cat", "", 2, 3, 4), "expected a number as xmin, found ''"),
    ],
)
def test_an_object_that_cannot_be_read_leaves_the_others(item: str, problem: str) -> None:
    voc = parse_voc(_file(item, _object("dog", 1, 2, 3, 4)), "a.xml")

    assert [box.label for box in voc.boxes] == ["dog"]
    assert [(found.place, problem in found.detail) for found in voc.problems] == [(1, True)]


def test_parts_of_a_person_are_no_objects() -> None:
    head = "<part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>"

    voc = parse_voc(_file(_object("cat", 10, 11, 12, 13, extra=head)))

    assert [(box.label, box[1:5]) for box in voc.boxes] == [("cat", (10, 11, 12, 13))]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "GBK", "Shift_JIS", "ISO-8859-1"])
def test_reads_the_encoding_that_the_file_declares(encoding: str) -> None:
    name = "Hündin" if encoding == "ISO-8859-1" else "犬"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + _file(
        _object(name, 1, 2, 3, 4)
    ).decode("utf-8")

    assert [box.label for box in parse_voc(text.encode(encoding)).boxes] == [name]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "expected XML"),
        (b"<annotation><object></annotation>", "expected XML"),
        (b"<html></html>", "expected <annotation>, found <html>"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "klingon"),
        (b'<?xml version="1.0" encoding="GBK"?><annotation>\xff\xff</annotation>', "encoding"),
        (b'<?xml version="1.0" encoding="utf-8"?><annotation>\xff</annotation>', "expected XML"),
    ],
)
def test_a_file_that_is_no_annotation_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(ImportFormatError, match=r"a\.xml") as caught:
        parse_voc(data, "a.xml")

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;&a;">',
        '<!ENTITY b SYSTEM "file:///etc/passwd">',
    ],
)
def test_entities_are_refused(declaration: str) -> None:
    data = f"<!DOCTYPE x [{declaration}]><annotation><filename>&b;</filename></annotation>"

    with pytest.raises(ImportFormatError, match=r"a\.xml.*entities"):
        parse_voc(data.encode(), "a.xml")


@pytest.mark.parametrize("size", ["", "<size/>", "<size><width>0</width><height>0</height></size>"])
def test_a_size_that_is_not_there_is_none(size: str) -> None:
    assert parse_voc(_file(head=size)).size is None


@given(st.binary(max_size=200))
def test_no_bytes_get_past_the_reader_as_anything_else(data: bytes) -> None:
    for content in (data, b"<annotation>" + data + b"</annotation>"):
        try:
            voc = parse_voc(content)
        except ImportFormatError:
            continue
        assert voc.size is None or min(voc.size) > 0


_COORDINATE = st.one_of(
    st.integers(-50, 250), st.floats(-1e9, 1e9), st.sampled_from([0.0, 100.0, 1e-9, 99.999999])
)


@given(st.tuples(_COORDINATE, _COORDINATE, _COORDINATE, _COORDINATE), st.booleans())
def test_every_box_is_valid_or_reported(box: tuple[float, ...], one_based: bool) -> None:
    voc = parse_voc(_file(_object("cat", *box)), one_based=one_based)
    placed = place([voc, Record("b.xml")], [ImageHeader(100, 50), ImageHeader(9, 9)])

    assert len(placed.boxes) + len(voc.problems) == 1
    for x, y, width, height in placed.boxes[placed.kept].tolist():
        assert 1e-6 < width <= 1
        assert 1e-6 < height <= 1
        assert x - width / 2 >= -1e-9
        assert x + width / 2 <= 1 + 1e-9
        assert y - height / 2 >= -1e-9
        assert y + height / 2 <= 1 + 1e-9
