"""Datasets of other libraries in memory, and whether these read what we read.

supervision and datumaro are no dependencies: what needs them is skipped where they are missing.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, images, labels, picture, voc
from tests.formats.making import voc_object as thing
from workbench import import_dataset
from workbench.datasets.formats.objects import (
    from_coco,
    from_supervision,
    to_coco,
    to_supervision,
)
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ImportFormatError
from workbench.persistence import Stores

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

ROW = "0 0.25000000 0.35000000 0.30000000 0.50000000\n"
PETS = {
    "data.yaml": "train: images/train\nval: images/val\nnames: [cat, dog]\n",
    "images/train/a.jpg": PICTURE,
    "images/train/empty.jpg": picture(64, 48),
    "images/train/unseen.jpg": picture(33, 44),
    "images/val/b.jpg": PICTURE,
    "labels/train/a.txt": ROW + "1 0.50000000 0.50000000 0.25000000 0.25000000\n",
    "labels/train/empty.txt": "",
    "labels/val/b.txt": ROW,
}


def _supervision() -> Any:
    if importlib.util.find_spec("supervision") is None:
        pytest.skip("supervision is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("supervision")


async def test_a_coco_object_there_and_back(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "data" / "pets", PETS)
    made = await to_coco(persistence_stores, "pets", where="split:train")
    assert [made.loadCats(n)[0]["name"] for n in made.getCatIds()] == ["cat", "dog"]
    assert made.loadAnns(made.getAnnIds())[0]["bbox"] == [20, 10, 60, 50]

    again = await from_coco(persistence_stores, made, source / "images" / "train", "again")

    assert again.classes == ["cat", "dog"]
    assert images(again) == ["train/a.jpg", "train/empty.jpg", "train/unseen.jpg"]
    assert labels(again) == {
        "train/a": [(0.0, *BOX), (1.0, 0.5, 0.5, 0.25, 0.25)],
        "train/empty": [],
    }


async def test_what_a_coco_file_says_does_as_well(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in", {"a.jpg": PICTURE, "other.json": coco({"bbox": [1, 2, 3, 4]})})
    made = await from_coco(persistence_stores, coco({"bbox": [20, 10, 60, 50]}), source, "pets")
    assert labels(made) == {"train/a": [(0.0, *BOX)]}
    assert sorted(path.name for path in source.iterdir()) == ["a.jpg", "other.json"]


async def test_a_supervision_dataset_there_and_back(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    _supervision()
    folder(tmp_path / "data" / "pets", PETS)
    found = await to_supervision(persistence_stores, "pets")
    assert (found.classes, len(found)) == (["cat", "dog"], 3)
    again = await from_supervision(persistence_stores, found, "again")
    assert again.classes == ["cat", "dog"]
    rows = {name.rpartition("/")[2].rpartition("_")[2]: r for name, r in labels(again).items()}
    assert rows == {
        "a": [(0.0, *BOX), (1.0, 0.5, 0.5, 0.25, 0.25)],
        "b": [(0.0, *BOX)],
        "empty": [],
    }


async def test_without_supervision_the_message_names_it(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(ImportFormatError, match="pip install supervision"):
        await to_supervision(persistence_stores, "pets")


class _Found:
    """What supervision's `Detections` have, as far as it is read."""

    def __init__(self, boxes: list[list[float]], classes: list[int]) -> None:
        self.xyxy = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        self.class_id = np.array(classes, dtype=int)
        self.confidence = np.full(len(boxes), 0.5)
        self.tracker_id = None

    def __len__(self) -> int:
        return len(self.xyxy)


class _Set:
    """What its `DetectionDataset` has."""

    def __init__(self, annotations: dict[str, _Found]) -> None:
        self.classes = ["cat", "dog"]
        self.annotations = annotations
        self.image_paths = list(annotations)


async def test_pictures_of_several_folders_keep_apart(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in", {"x/a.jpg": PICTURE, "y/a.jpg": picture(100, 200, 6)})
    boxes = {"x/a.jpg": [20, 10, 80, 60], "y/a.jpg": [40, 20, 160, 80]}
    found = _Set({str(source / n): _Found([b], [n == "y/a.jpg"]) for n, b in boxes.items()})
    made = await from_supervision(persistence_stores, found, "pets")
    assert labels(made) == {
        "train/0_x_a": [(0.0, *BOX)],
        "train/1_y_a": [(1.0, 0.5, 0.5, 0.6, 0.6)],
    }


async def test_pictures_in_memory_only_are_refused(persistence_stores: Stores) -> None:
    found = _Set({"a.jpg": _Found([], [])})
    with pytest.raises(ImportFormatError, match="as_yolo"):
        await from_supervision(persistence_stores, found, "pets")


# The same files, read by others


async def _corners(stores: Stores, source: Path) -> dict[str, list[list[float]]]:
    plan = await plan_import(stores, source)
    await plan.apply("theirs")
    made = await to_coco(stores, "theirs")
    result: dict[str, list[list[float]]] = {i["file_name"]: [] for i in made.imgs.values()}
    for row in made.anns.values():
        x, y, width, height = row["bbox"]
        result[made.imgs[row["image_id"]]["file_name"]].append([x, y, x + width, y + height])
    return result


def _theirs(dataset: Any) -> dict[str, list[list[float]]]:
    return {
        Path(path).name: dataset.annotations[path].xyxy.tolist() for path in dataset.image_paths
    }


def _agree(one: dict[str, list[list[float]]], other: dict[str, list[list[float]]]) -> None:
    assert one.keys() == other.keys()
    for name, boxes in one.items():
        assert np.allclose(sorted(boxes), sorted(other[name]), atol=0.01), name


async def test_yolo_as_supervision_reads_it(tmp_path: Path, persistence_stores: Stores) -> None:
    supervision = _supervision()
    source = folder(tmp_path / "in", {k: v for k, v in PETS.items() if "unseen" not in k})
    theirs = supervision.DetectionDataset.from_yolo(
        str(source / "images/train"), str(source / "labels/train"), str(source / "data.yaml")
    )
    mine = await _corners(persistence_stores, source)
    del mine["b.jpg"]  # it reads one split at a time
    _agree(mine, _theirs(theirs))


async def test_voc_as_supervision_reads_it_but_for_the_first_pixel(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    supervision = _supervision()
    files = {
        "images/a.jpg": PICTURE,
        "xml/a.xml": voc(thing("cat") + thing("dog", (1, 1, 200, 100))),
    }
    source = folder(tmp_path / "in", files)
    theirs = supervision.DetectionDataset.from_pascal_voc(
        str(source / "images"), str(source / "xml")
    )
    # It counts pixels from 1 in every file, as the challenge does; we only where a file says that
    # it is the challenge's, since other tools write what was drawn.
    await import_dataset(persistence_stores, source, "counted", one_based=True)
    made = await to_coco(persistence_stores, "counted")
    mine = [[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in made.anns.values())]
    found = _theirs(theirs)["a.jpg"]
    assert [[x0, y0] for x0, y0, _, _ in sorted(found)] == [
        [x0, y0] for x0, y0, _, _ in sorted(mine)
    ]


async def test_coco_as_pycocotools_reads_it(tmp_path: Path, persistence_stores: Stores) -> None:
    from pycocotools import mask as masks

    outline = {"segmentation": [[20, 10, 80, 10, 80, 60, 20, 60]], "bbox": [20, 10, 60, 50]}
    packed = masks.frPyObjects([[20, 10, 80, 10, 80, 60, 20, 60]], 100, 200)[0]
    packed["counts"] = packed["counts"].decode()
    files = {"a.jpg": PICTURE, "coco.json": coco(outline, {"segmentation": packed})}
    mine = await _corners(persistence_stores, folder(tmp_path / "in", files))
    x, y, width, height = masks.toBbox(packed).tolist()
    assert sorted(mine["a.jpg"]) == sorted([[20, 10, 80, 60], [x, y, x + width, y + height]])
