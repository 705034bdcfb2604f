"""Boxes that lie on each other, against the obvious way to find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.health import boxes
from workbench.geometry import iou, xywh_to_xyxy

SIDES = st.sampled_from([0.0, 0.1, 0.1 + 1e-4, 0.105, 0.2])
BOXES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), SIDES, SIDES, SIDES, SIDES))


@dataclass
class Labels:
    """As much of a table of labels as is looked at."""

    image_index: np.ndarray
    class_id: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.class_id)


@dataclass
class Found:
    labels: Labels


def evidence(rows: list[tuple[float, ...]]) -> Found:
    table = np.array(sorted(rows, key=lambda row: row[0]), dtype=np.float64).reshape(-1, 6)
    return Found(Labels(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:]))


@given(BOXES)
def test_every_pair_is_found_once(rows: list[tuple[float, ...]]) -> None:
    found = evidence(rows)
    image, corners = found.labels.image_index, xywh_to_xyxy(found.labels.boxes)
    overlap = iou(corners, corners)
    expected = [
        (a, b)
        for a in range(len(image))
        for b in range(a + 1, len(image))
        if image[a] == image[b] and overlap[a, b] > boxes.SAME_IOU
    ]
    first, second = boxes._overlapping(found)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_one_row_written_very_often_is_paired_with_its_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(boxes, "CROWD", 3)
    row = (0, 1, 0.5, 0.5, 0.2, 0.2)
    rows = [row, (0, 0, 0.2, 0.2, 0.1, 0.1), row, (0, 1, 0.5, 0.5, 0.2, 0.201), row, (1, *row[1:])]
    first, second = boxes._overlapping(evidence(rows))
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    assert pairs == [(0, 2), (0, 3), (0, 4)]


def test_a_label_file_of_a_hundred_thousand_rows_is_looked_through() -> None:
    random = np.random.default_rng(0)
    places = random.random((50_000, 2))
    distinct = [(0, 0, x, y, 0.001, 0.001) for x, y in places.tolist()]
    first, second = boxes._overlapping(evidence(distinct + [distinct[0]] * 50_000))
    assert (first == 0).sum() >= 50_000
    assert len(first) < 60_000
    assert (second > first).all()
