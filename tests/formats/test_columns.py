"""Boxes in columns are the boxes that a look at each one by one gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.making import folder, picture
from workbench import plan_import
from workbench.datasets.formats import coco, yolo
from workbench.datasets.formats.columns import (
    BoxTable,
    PlainBoxes,
    PlainRows,
    Row,
    count_labels,
)
from workbench.datasets.formats.items import Options, Reading, Record
from workbench.datasets.formats.row_text import label_texts
from workbench.datasets.formats.voc_plain import plain_records
from workbench.datasets.formats.voc_xml import parse_voc
from workbench.persistence import create_stores

HEAD = "<filename>a.jpg</filename><size><width>64</width><height>48</height></size>"
BOX = "<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>-4</ymax></bndbox>"
MARKS = "<pose>left</pose><truncated>1</truncated><difficult>0</difficult>"
OBJECT = f"<object><name>red  cat</name>{MARKS}{BOX}</object>"

PLAIN = {
    "one": f"<annotation>{HEAD}{OBJECT}</annotation>",
    "none": f"<annotation>{HEAD}</annotation>",
    "declared": f'<?xml version="1.0" encoding="utf-8"?>\n<annotation>{HEAD}\n</annotation>\n',
    "marks behind": f"<annotation>{HEAD}<object><name>é</name>{BOX}{MARKS}</object></annotation>",
    "spaces": re.sub("><", ">\r\n\t<", f"<annotation>{HEAD}{OBJECT}{OBJECT}</annotation>"),
    "zeros": f"<annotation>{HEAD}{OBJECT}{OBJECT.replace('>1<', '>007<')}</annotation>",
    "challenge": "<annotation><filename>a.jpg</filename><source><database>The VOC2007 Database"
    "</database><annotation>PASCAL VOC2007</annotation><image>flickr</image></source>"
    f"<size><width>64</width><height>48</height></size>{OBJECT}</annotation>",
}
OTHER = {
    "entity": PLAIN["one"].replace("red  cat", "a&amp;b"),
    "comment": PLAIN["one"].replace(OBJECT, f"<!-- {OBJECT} -->{OBJECT}"),
    "part": PLAIN["one"].replace("</object>", f"<part><name>head</name>{BOX}</part></object>"),
    "twice": PLAIN["one"].replace(BOX, f"{BOX}<difficult>1</difficult>"),
    "other closing": PLAIN["one"].replace("</pose>", "</difficult>"),
    "no name": PLAIN["one"].replace("red  cat", " "),
    "word": PLAIN["one"].replace("2.5", "two"),
    "no number": PLAIN["one"].replace("2.5", ""),
    "two numbers": PLAIN["one"].replace("2.5", "2 5"),
    "other tag": PLAIN["one"].replace("xmin>", "x1min>"),
    "between": PLAIN["one"].replace("<object>", "<owner>me</owner><object>"),
    "cut": PLAIN["one"][:-20],
    "polygon": PLAIN["one"].replace("bndbox", "robndbox"),
    "cp1252": PLAIN["marks behind"].encode("cp1252"),
    "data": PLAIN["one"].replace("red  cat", "<![CDATA[cat]]>"),
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("one_based", [None, True, False])
def test_a_plain_voc_file_is_read_as_its_xml_says(kind: str, one_based: bool | None) -> None:
    data = PLAIN[kind].encode()
    (record,) = plain_records([("a.xml", data)], one_based)
    assert record is not None
    expected = parse_voc(data, "a.xml", one_based=one_based)
    assert list(record.found) == expected.boxes
    assert (record.picture, record.size) == (expected.picture, expected.size)


@pytest.mark.parametrize("kind", OTHER)
def test_any_other_voc_file_is_left_to_the_xml_parser(kind: str) -> None:
    found = OTHER[kind]
    data = found if isinstance(found, bytes) else found.encode()
    plain = PLAIN["one"].encode()
    records = plain_records([("a.xml", plain), ("b.xml", data), ("c.xml", plain)], None)
    assert [record is None for record in records] == [False, True, False]
    assert records[2] is not None
    assert list(records[2].found) == parse_voc(plain, "c.xml").boxes


def test_plain_yolo_files_are_read_row_by_row_as_others_are() -> None:
    texts = [b"0 0.5 0.5 0.25 0.125\n2 0.1 0.2 0.05 0.0625\n", b"", b"1 0.25 0.5 0.5 1\n"]
    names = ["cat", "dog", "hen"]
    columns = yolo._in_columns(texts, names)
    assert [boxes is None for boxes in columns] == [False, True, False]
    for text, found in zip(texts, columns, strict=True):
        expected = yolo.RowReader(names).record(text, "a.txt").boxes
        assert list(found.boxes if found else ()) == expected


def test_plain_yolo_files_tell_which_ids_they_use() -> None:
    texts = [b"", b"2 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n", b"", b"0 0.5 0.5 0.5 0.5\n"]
    found = [file and (file.least, file.highest) for file in yolo._in_columns(texts, ["a"])]
    assert found == [None, (1, 2), None, (0, 0)]


def test_boxes_are_counted_by_class_in_columns_and_in_lists() -> None:
    table = BoxTable(["cat", "dog"], np.array([0, 1, 1, 0, 1]), np.zeros((5, 4)))
    other = BoxTable(["hen", "cat"], np.array([1]), np.zeros((1, 4)))
    parts = [(table, 0, 2), (table, 2, 3), (table, 4, 5), (other, 0, 1)]
    plain = [PlainRows(PlainBoxes(*part), np.zeros((6, 4)), 0) for part in parts]
    pictures = [*plain, None, [Row("cow", 0.5, 0.5, 0.1, 0.1), Row("cat", 0.5, 0.5, 0.1, 0.1)], []]
    assert count_labels(pictures) == {"cat": 3, "dog": 3, "cow": 1}


def test_each_row_that_is_odd_keeps_its_file_out_of_the_columns() -> None:
    good = b"0 0.5 0.5 0.25 0.125\n"
    odd = [b"0 0.5 0.5 0.0 0.1\n", b"0.5 0.5 0.5 0.5 0.5\n", good[:-1]]
    odd += [b"0 0.5 0.5 0.1\n", b"-1 0.5 0.5 0.1 0.1\n", b"0 nan 0.5 0.1 0.1\n", b"0,0.5,0.5,1,1\n"]
    for rows in odd:
        assert yolo._in_columns([good, good + rows, good], [])[1] is None


@given(
    st.lists(st.tuples(st.integers(0, 1200), *(st.floats(0, 1) for _ in range(4))), max_size=12),
    st.lists(st.integers(0, 4), max_size=4),
)
def test_rows_out_of_columns_are_those_of_one_by_one(
    rows: list[tuple[int, float, float, float, float]], cuts: list[int]
) -> None:
    counts = [min(cut, len(rows) // (len(cuts) or 1)) for cut in cuts]
    counts.append(len(rows) - sum(counts))
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    boxes = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 4)
    texts = list(label_texts(ids, boxes, np.array(counts, dtype=np.int64)))
    assert [text.count(b"\n") for text in texts] == counts
    lines = b"".join(texts).decode().splitlines()
    for line, (class_id, *numbers) in zip(lines, rows, strict=True):
        assert re.fullmatch(r"\d+( \d\.\d{8}){4}", line)
        first, *rest = line.split()
        assert int(first) == class_id
        assert [float(text) for text in rest] == pytest.approx(numbers, abs=5.1e-9)


def test_rows_that_need_a_sign_or_more_digits_are_written_too() -> None:
    boxes = np.array([[-0.5, 0.5, 12.25, 1.0]])
    (text,) = label_texts(np.array([3]), boxes, np.array([1]))
    assert text == b"3 -0.50000000 0.50000000 12.25000000 1.00000000\n"


def annotation(number: int, image: object = 1, **changes: object) -> dict[str, object]:
    """Return an annotation of COCO."""
    row = {"id": number, "image_id": image, "category_id": 7, "bbox": [1, 2.5, 30, 20]}
    return {**row, **changes}


def records_of(rows: list[dict[str, object]]) -> list[Record]:
    """Return the records of a COCO file of two pictures."""
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "categories": [{"id": 7, "name": "cat"}],
        "annotations": rows,
    }
    file = coco.parse(content, "a.json")
    return list(coco._records(file, {7: "cat"}, Reading(), Options()))


@pytest.mark.parametrize(
    "odd",
    [{"bbox": [1, 2, 0, 3]}, {"bbox": [1, 2, float("nan"), 3]}, {"bbox": [1, 2, 1e16, 3]},
     {"iscrowd": 1}, {"category_id": 8}],
)  # fmt: skip
def test_one_odd_annotation_of_coco_keeps_its_picture_out_of_the_columns(
    odd: dict[str, object],
) -> None:
    first, second = records_of([annotation(1), annotation(2, 2), annotation(3, **odd)])
    assert first.plain is None
    assert [box.place for box in first.boxes] + [p.place for p in first.problems] in ([1, 3],)
    assert isinstance(second.plain, PlainBoxes)
    assert [(b.label, *b[1:6]) for b in second.found] == [("cat", 1, 2.5, 31, 22.5, 2)]


@pytest.mark.parametrize(
    "odd",
    [{"bbox": ["1", 2, 3, 4]}, {"bbox": None}, {"bbox": [1, 2, 3]}, {"image_id": "1"},
     {"iscrowd": "0"}, {"bbox": [10**400, 1, 2, 3]}, {"bbox": [True, 1, 2, 3]}],
)  # fmt: skip
def test_annotations_of_coco_of_other_types_are_all_read_one_by_one(odd: dict[str, object]) -> None:
    first, second = records_of([annotation(1), annotation(2, 2), annotation(3, **odd)])
    assert first.plain is None
    assert second.plain is None
    assert len(first.boxes) + len(first.problems) == 2


def test_what_boxes_of_coco_carry_stays_with_them_in_columns() -> None:
    outline = {"segmentation": [[1, 1, 9, 9, 1, 9]]}
    rows = [annotation(1, 2, score=0.5), annotation(2, **outline), annotation(3, keypoints=[1])]
    first, second = records_of(rows)
    assert [(b.place, b.shape, b.extra) for b in first.found] == [
        (2, "polygon", None),
        (3, "keypoints", None),
    ]
    assert [(b.place, b.shape, b.extra) for b in second.found] == [(1, "", {"score": 0.5})]


async def test_boxes_in_columns_are_counted_once_in_each_split(tmp_path: Path) -> None:
    rows = "0 0.5 0.5 0.25 0.125\n" * 2
    files: dict[str, bytes | str] = {"data.yaml": json.dumps({"names": ["cat"]})}
    for name in ("train/a", "train/b", "val/c"):
        files |= {f"images/{name}.jpg": picture(), f"labels/{name}.txt": rows}
    source = folder(tmp_path / "in", files)
    stores = create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")
    plan = await plan_import(stores, source, "cats")
    by_split = plan.ledger.by_split
    assert {split: by_split["annotations", split] for split in ("train", "val")} == {
        "train": 4,
        "val": 2,
    }
    assert plan.boxes_by_class() == {"cat": 6}
    plan.close()
