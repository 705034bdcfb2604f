"""Class ids that count from 1, in label files, lists and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, folder, labels
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ImportFormatError
from workbench.persistence import Stores

NAMES = {"classes.txt": "cat\ndog\n", "images/a.jpg": PICTURE}
ROW = "{} 0.25 0.35 0.3 0.5\n"
FIRST_AND_SECOND = {"train/a": [(0.0, *BOX), (1.0, *BOX)]}

KINDS: dict[str, dict[str, Any]] = {
    "plain rows": {"labels/a.txt": ROW.format(1) + ROW.format(2)},
    "rows with commas": {"labels/a.txt": "1,.25,.35,.3,.5\n2,.25,.35,.3,.5\n"},
    "a list": {"list.txt": "images/a.jpg 20,10,80,60,1 20,10,80,60,2\n"},
    "a table": {
        "t.csv": "filename,xmin,ymin,xmax,ymax,class_id\na.jpg,20,10,80,60,1\na.jpg,20,10,80,60,2\n"
    },
    "a table without a header": {"t.csv": "a.jpg,20,10,80,60,1\na.jpg,20,10,80,60,2\n"},
}


@pytest.mark.parametrize("kind", KINDS)
async def test_ids_beyond_the_names_that_leave_0_out_count_from_1(
    kind: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", NAMES | KINDS[kind])
    plan = await plan_import(persistence_stores, source)
    assert "counted from 1" in " ".join(plan.notes)
    assert plan.source_classes == {"cat": 1, "dog": 1}
    info = await plan.apply()
    assert info.classes == ["cat", "dog"]
    assert labels(info) == FIRST_AND_SECOND


async def test_ids_that_could_count_from_either_are_taken_as_yolo_has_them_and_can_be_chosen(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", NAMES | {"labels/a.txt": ROW.format(1)})
    plan = await plan_import(persistence_stores, source)
    assert plan.boxes_by_class() == {"cat": 0, "dog": 1}
    chosen = await plan.choose(first_id="1")
    assert chosen.boxes_by_class() == {"cat": 1, "dog": 0}
    assert (await chosen.apply()).classes == ["cat", "dog"]


async def test_what_was_found_out_can_be_chosen_otherwise(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", NAMES | KINDS["plain rows"])
    plan = await (await plan_import(persistence_stores, source)).choose(first_id="0")
    assert plan.boxes_by_class() == {"cat": 0, "dog": 1, "class_2": 1}


async def test_without_names_it_is_offered(tmp_path: Path, persistence_stores: Stores) -> None:
    files = {"images/a.jpg": PICTURE, **KINDS["plain rows"]}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert "choose first_id='1'" in " ".join(plan.notes)
    info = await (await plan.choose(first_id="1")).apply()
    assert info.classes == ["class_1", "class_2"]
    assert labels(info) == FIRST_AND_SECOND


async def test_an_id_of_0_does_not_count_from_1(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "set", NAMES | {"labels/a.txt": ROW.format(0)})
    with pytest.raises(ImportFormatError, match="first_id"):
        await plan_import(persistence_stores, source, first_id="1")
