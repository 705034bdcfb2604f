"""Rows of YOLO label files whose numbers are no centre and sides, or no fractions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import folder, labels, picture
from workbench.datasets.formats.plan import plan_import
from workbench.persistence import Stores

WIDTH, HEIGHT = 640, 480
PICTURE = picture(WIDTH, HEIGHT)
# Left, top, right, bottom in pixels: in the middle, at the borders, small and large.
BOXES = [
    *((64, 48, 128, 96), (320, 240, 640, 480), (0, 0, 96, 72), (500, 300, 520, 316)),
    *((32, 400, 600, 470), (608, 8, 640, 24)),
]
WANTED = [
    ((x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT)
    for x0, y0, x1, y1 in BOXES
]
PER_UNIT = {"pixels": (1.0, 1.0), "fractions": (WIDTH, HEIGHT), "percent": (6.4, 4.8)}


def _row(box: tuple[int, ...], layout: str, unit: str) -> str:
    wide, high = PER_UNIT[unit]
    x0, y0, x1, y1 = box[0] / wide, box[1] / high, box[2] / wide, box[3] / high
    numbers = {
        "centre": ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0),
        "corners": (x0, y0, x1, y1),
        "sides": (x0, y0, x1 - x0, y1 - y0),
    }[layout]
    return "0 " + " ".join(f"{number:.6f}" for number in numbers) + "\n"


def _files(rows: str, second: str = "") -> dict[str, Any]:
    files = {"classes.txt": "cat\n", "images/a.jpg": PICTURE, "labels/a.txt": rows}
    return {**files, "images/b.jpg": PICTURE, "labels/b.txt": second} if second else files


def _are_close(found: list[tuple[float, ...]]) -> bool:
    return len(found) == len(WANTED) and all(
        row[1:] == pytest.approx(box, abs=2e-5) for row, box in zip(found, WANTED, strict=True)
    )


@pytest.mark.parametrize("unit", PER_UNIT)
@pytest.mark.parametrize("layout", ["centre", "corners", "sides"])
async def test_rows_mean_what_keeps_all_boxes_inside(
    layout: str, unit: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "".join(_row(box, layout, unit) for box in BOXES)
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", _files(rows)))
    info = await plan.apply("copy")
    assert _are_close(labels(info)["train/a"])
    told = " ".join(plan.notes)
    assert ("two corners" in told) == (layout == "corners")
    assert ("left top width height" in told) == (layout == "sides")
    assert ("in percent" in told) == (unit == "percent")


async def test_pixels_in_one_file_beside_fractions_in_another(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    corners = "".join(_row(box, "corners", "pixels") for box in BOXES)
    rule = "".join(_row(box, "centre", "fractions") for box in BOXES)
    source = folder(tmp_path / "in", _files(corners, rule))
    info = await (await plan_import(persistence_stores, source)).apply("copy")
    assert all(map(_are_close, labels(info).values()))


async def test_rows_that_make_sense_by_the_rule_are_read_by_it_and_told(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "0 160 120 200 150\n"
    source = folder(tmp_path / "in", _files(rows))
    plan = await plan_import(persistence_stores, source)
    assert "choose rows='corners'" in " ".join(plan.notes)
    chosen = await plan.choose(rows="corners")
    info = await chosen.apply("copy")
    assert labels(info) == {"train/a": [(0.0, 0.28125, 0.28125, 0.0625, 0.0625)]}


async def test_a_few_boxes_over_the_border_do_not_change_what_rows_mean(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "".join(_row(box, "centre", "fractions") for box in BOXES * 4) + "0 0.0 0.3 0.1 0.2\n"
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", _files(rows)))
    assert {reason for _, _, reason in plan.ledger.reasons} == {"clipped", "no split"}


async def test_pictures_whose_boxes_lose_most_of_their_area_are_told(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "".join(_row(box, "centre", "fractions") for box in BOXES * 4) + "0 1.1 0.3 0.4 0.2\n"
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", _files(rows)))
    lost = plan.ledger.some("clipped to less than half")
    assert [entry.picture for entry in lost] == ["images/a.jpg"]


async def test_polygons_stay_what_they_are_beside_rows_of_corners(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "".join(_row(box, "corners", "fractions") for box in BOXES)
    polygon = "0 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\n"
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", _files(rows, polygon)))
    info = await plan.apply("copy")
    assert _are_close(labels(info)["train/a"])
    assert labels(info)["train/b"] == [(0.0, 0.1, 0.1, 0.4, 0.1, 0.4, 0.6, 0.1, 0.6)]


async def test_confidences_behind_corners_are_kept_beside_the_boxes(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "".join(_row(box, "corners", "pixels").strip() + " 0.875\n" for box in BOXES)
    info = await (
        await plan_import(persistence_stores, folder(tmp_path / "in", _files(rows)))
    ).apply("copy")
    assert _are_close(labels(info)["train/a"])
