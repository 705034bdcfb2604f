"""One annotation file: bytes to objects to boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.formats.voc_xml import parse_voc, to_annotations
from workbench.errors import ImportFormatError
from workbench.geometry import to_pixels

IDS = {"cat": 0, "dog": 1}


def _object(name: str, *box: object, extra: str = "") -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{extra}<bndbox>{inner}</bndbox></object>"


def _file(*objects: str, head: str = "") -> bytes:
    return f"<annotation>{head}{''.join(objects)}</annotation>".encode()


def _pixels(data: bytes, width: int = 100, height: int = 50, **options: bool) -> list[list[float]]:
    annotations, _ = to_annotations(parse_voc(data), width, height, IDS, **options)
    boxes = to_pixels([annotation.xywh for annotation in annotations], width, height)
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

    assert voc.filename == "1.jpg"
    assert voc.size == (353, 500)
    assert [(item.name, item.box, item.difficult) for item in voc.objects] == [
        ("dog", (48, 24, 95, 37), True),
        ("cat", (8, 12, 35, 49), False),
    ]
    assert voc.problems == ()


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
    ("box", "problem"),
    [
        ((20, 10, 20, 30), "has no area"),
        ((20, 10, 20, 10), "has no area"),
        ((20, 10, 20.0001, 30), "has no area"),
        ((30, 10, 20, 30), "inside out"),
        ((20, 30, 30, 10), "inside out"),
        ((100, 0, 120, 20), "outside the image of 100 x 50"),
        ((-20, 0, 0, 20), "outside the image of 100 x 50"),
    ],
)
def test_boxes_that_are_none_are_left_out_and_named(box: tuple[float, ...], problem: str) -> None:
    voc = parse_voc(_file(_object("dog", *box), _object("cat", 1, 2, 3, 4)))

    annotations, problems = to_annotations(voc, 100, 50, IDS, "a.xml")

    assert [annotation.class_id for annotation in annotations] == [0]
    assert len(problems) == 1
    assert problems[0].startswith("a.xml: object 1 (dog): the box ")
    assert problem in problems[0]


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("<object><name>cat</name></object>", "object 1: (cat) has no bndbox"),
        (_object("", 1, 2, 3, 4), "object 1: has no name"),
        (_object("cat", 1, 2, "wide", 4), "expected a number as xmax, found 'wide'"),
        (_object("cat", 1, "nan", 3, 4), "expected a number as ymin, found 'nan'"),
        (_object("cat", 1, 2, 3, "1e999"), "expected a number as ymax, found '1e999'"),
        (_object("cat", "", 2, 3, 4), "expected a number as xmin, found ''"),
    ],
)
def test_an_object_that_cannot_be_read_leaves_the_others(item: str, problem: str) -> None:
    voc = parse_voc(_file(item, _object("dog", 1, 2, 3, 4)), "a.xml")

    assert [voc_object.name for voc_object in voc.objects] == ["dog"]
    assert len(voc.problems) == 1
    assert voc.problems[0].startswith("a.xml: ")
    assert problem in voc.problems[0]


def test_parts_of_a_person_are_no_objects() -> None:
    head = "<part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>"

    voc = parse_voc(_file(_object("cat", 10, 11, 12, 13, extra=head)))

    assert [(item.name, item.box) for item in voc.objects] == [("cat", (10, 11, 12, 13))]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "GBK", "Shift_JIS", "ISO-8859-1"])
def test_reads_the_encoding_that_the_file_declares(encoding: str) -> None:
    name = "Hündin" if encoding == "ISO-8859-1" else "犬"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + _file(
        _object(name, 1, 2, 3, 4)
    ).decode("utf-8")

    assert [item.name for item in parse_voc(text.encode(encoding)).objects] == [name]


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
    voc = parse_voc(_file(_object("cat", *box)))

    annotations, problems = to_annotations(voc, 100, 50, IDS, one_based=one_based)

    assert len(annotations) + len(problems) == 1
    for annotation in annotations:
        assert 1e-6 < annotation.width <= 1
        assert 1e-6 < annotation.height <= 1
        assert annotation.x - annotation.width / 2 >= -1e-9
        assert annotation.x + annotation.width / 2 <= 1 + 1e-9
        assert annotation.y - annotation.height / 2 >= -1e-9
        assert annotation.y + annotation.height / 2 <= 1 + 1e-9
