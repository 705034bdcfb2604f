"""Imports and Health judge boxes alike: they count the same, and nothing is found twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.formats.making import HEIGHT, PICTURE, WIDTH, coco, folder, voc, voc_object
from workbench import Dataset, import_dataset
from workbench.datasets.judging import judge
from workbench.persistence import Stores

KINDS = ("box-out-of-range", "box-over-border", "zero-area")
ROWS = {
    "fine": "0 0.5 0.5 0.2 0.2",
    "rounded": "0 0.0995 0.5 0.2 0.2",
    "over the border": "0 0.05 0.5 0.2 0.2",
    "over the border with its centre": "0 1.05 0.5 0.3 0.2",
    "with its centre just outside": "0 1.005 0.5 0.3 0.2",
    "outside": "0 1.5 0.5 0.2 0.2",
    "just outside": "0 1.0045 0.5 0.001 0.2",
    "without a width": "0 0.5 0.5 0 0.2",
    "thinner than any pixel": "0 0.5 0.5 0.2 0.00001",
    "without a height": "0 0.5 0.5 0.2 0.000000001",
}


async def _found(stores: Stores, name: str) -> dict[str, int]:
    report = await Dataset(stores, name).health()
    return {f.kind: len(f.boxes) for f in report.findings if f.kind in KINDS}


async def test_health_and_an_import_count_the_same_in_the_same_files(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        "data.yaml": "train: images/train\nval: images/val\nnames: [cat]\n",
        "images/train/a.jpg": PICTURE,
        "labels/train/a.txt": "".join(f"{row}\n" for row in ROWS.values()),
    }
    folder(tmp_path / "data" / "raw", files)
    for split in ("val", "test"):
        for kind in ("images", "labels"):
            (tmp_path / "data" / "raw" / kind / split).mkdir(parents=True)
    found = await _found(persistence_stores, "raw")
    assert found == {"box-out-of-range": 2, "box-over-border": 3, "zero-area": 3}

    info = await import_dataset(persistence_stores, folder(tmp_path / "in", files), "clean")
    counts = {(o, r): n for (u, o, r), n in info.ledger.reasons.items() if u == "annotations"}
    assert counts == {("left", "outside"): 5, ("repaired", "clipped"): 3}
    assert sum(counts.values()) == sum(found.values())
    assert await _found(persistence_stores, "clean") == {}


@pytest.mark.parametrize("kind", ["coco", "voc"])
async def test_health_finds_no_such_box_in_what_was_imported(
    tmp_path: Path, persistence_stores: Stores, kind: str
) -> None:
    boxes = [
        (10.0, 10.0, 30.0, 30.0),
        (-5.0, 10.0, 30.0, 30.0),
        (10.0, 10.0, WIDTH + 1.0, HEIGHT + 1.0),
        (WIDTH + 5.0, 10.0, WIDTH + 50.0, 30.0),
        (10.0, 10.0, 10.0, 30.0),
    ]
    if kind == "coco":
        items = [{"bbox": [x, y, x2 - x, y2 - y]} for x, y, x2, y2 in boxes]
        files = {"a.jpg": PICTURE, "boxes.json": json.dumps(coco(*items))}
    else:
        files = {"a.jpg": PICTURE, "a.xml": voc("".join(voc_object("cat", b) for b in boxes))}
    info = await import_dataset(persistence_stores, folder(tmp_path / "in", files), "made")
    assert info.ledger.found["annotations"] == 5
    assert info.ledger.left("annotations") == 2
    assert await _found(persistence_stores, "made") == {}


def test_each_box_has_one_fault_at_most() -> None:
    rng = np.random.default_rng(3)
    boxes = rng.uniform(-0.5, 1.5, (4000, 4))
    boxes[::7, 2:] = 0
    found = judge(boxes, np.full((4000, 2), 100.0))
    together = found.empty.astype(int) + found.outside + found.over
    assert together.max() == 1
    assert (found.kept == ~(found.empty | found.outside)).all()
    assert found.empty.any()
    assert found.outside.any()
    assert found.over.any()
