"""Annotations of large COCO files, which are kept as columns: the same as those of small ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from workbench.datasets.formats import coco_rows
from workbench.datasets.formats.coco_rows import CocoRows, columns_of, parse_large

IMAGES = [{"id": n, "file_name": f"{n}.jpg", "width": 90, "height": 60} for n in range(1, 8)]
CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog, {}] }"}]


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "id": n,
            "image_id": n % 7 + 1,
            "category_id": 3 + 2 * (n % 2),
            "bbox": [n % 40, 2.5, 10, 20 + n % 3],
            "iscrowd": int(n % 11 == 0),
            "segmentation": [[1, 2, 3, 4, 5, 6]] if n % 3 else [],
        }
        for n in range(120)
    ]
    rows[7]["score"] = 0.25
    rows[90]["attributes"] = {"said": 'a "}, {" and ]} in a text'}
    rows[50]["segmentation"] = {"counts": "a}]b", "size": [60, 90]}
    rows[51]["also"] = [{"x": 1}, {"x": 2}]
    return rows


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_rows, "_LARGE", 0)
    monkeypatch.setattr(coco_rows, "_AT_ONCE", 300)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("order", ["iac", "aic", "ica"])
def test_rows_are_those_of_the_whole_file(indent: int | None, order: str) -> None:
    parts = {
        "i": ("images", IMAGES),
        "a": ("annotations", _rows()),
        "c": ("categories", CATEGORIES),
    }
    content = {"info": {"x": [{}, {}]}} | dict(parts[sign] for sign in order)
    found = parse_large(json.dumps(content, indent=indent).encode())
    assert found is not None
    rows = found.pop("annotations")
    assert isinstance(rows, CocoRows)
    assert found == {key: value for key, value in content.items() if key != "annotations"}
    assert [*rows] == _rows()
    assert [rows[number] for number in (119, 0, 60, -1)] == [_rows()[n] for n in (119, 0, 60, -1)]
    assert rows[110:] == _rows()[110:]
    assert len(rows) == 120


def test_columns_are_those_of_all_rows_together() -> None:
    content = {"images": IMAGES, "categories": CATEGORIES, "annotations": _rows()}
    found = parse_large(json.dumps(content).encode())
    whole = columns_of(_rows())
    assert found is not None
    assert whole is not None
    columns = found["annotations"].columns
    for name in ("image_id", "category_id", "sides", "crowd", "shapes"):
        np.testing.assert_array_equal(getattr(columns, name), getattr(whole, name))
    assert columns.extras == whole.extras
    assert columns.extras.keys() == {7, 90}


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, 3, "4"]},
        {"bbox": None},
        {"image_id": "1"},
        {"image_id": 2**70},
        {"category_id": 1.0},
        {"iscrowd": "1"},
    ],
)
def test_a_file_with_one_odd_row_is_read_as_any_other(change: dict[str, Any]) -> None:
    rows = _rows()
    rows[77] |= change
    content = {"images": IMAGES, "categories": CATEGORIES, "annotations": rows}
    assert parse_large(json.dumps(content).encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [1], "categories": [1], "annotations": []}',
        '{"images": [1], "categories": [1], "x": {"annotations": [ROWS]}}',
        '{"images": [1], "categories": [1], "annotations": [ROWS], "annotations": 3}',
        '{"images": [1], "categories": [1], "annotations": [ROWS',
        '{"images": [1], "categories": [1], "annotations": [ROWS]',
        '{"images": [1], "categories": [1], "annotations": [ROWS}',
        '{"images": [1], "categories": [1], "annotations": [ROWS], "x": NaN}',
        '{"images": [1], "categories": [1], "annotations": [ROWS,]}',
        '{"images": [1], "annotations": [ROWS]}',
        '[{"images": [1], "categories": [1], "annotations": [ROWS]}]',
        "{}",
    ],
)
def test_what_is_no_whole_coco_file_is_read_as_any_other(text: str) -> None:
    rows = json.dumps(_rows())[1:-1]
    assert parse_large(text.replace("ROWS", rows).encode()) is None


def test_a_small_file_is_read_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"images": IMAGES, "categories": CATEGORIES, "annotations": _rows()}
    data = json.dumps(content).encode()
    monkeypatch.setattr(coco_rows, "_LARGE", len(data) + 1)
    assert parse_large(data) is None
