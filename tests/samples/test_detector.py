"""The detector that comes with the samples."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from workbench.geometry import iou, xywh_to_xyxy
from workbench.labelling.predictor import Predictor
from workbench.persistence import create_stores
from workbench.persistence.models import Annotation
from workbench.samples import CLASSES, DETECTOR, scenes
from workbench.training.weights_check import import_weights, rewritten_weights

MOST_BYTES = 6_000_000


def test_it_is_small_and_holds_no_code_and_no_folder_of_who_made_it() -> None:
    assert DETECTOR.stat().st_size < MOST_BYTES
    found = rewritten_weights(DETECTOR)
    assert found.suspicious == []
    assert found.facts["class_names"] == list(CLASSES)
    assert found.facts["base_model"] == "yolo11n.yaml"
    assert found.facts["image_size"] == 160
    assert found.facts["metrics"]["metrics/mAP50(B)"] > 0.95
    with zipfile.ZipFile(DETECTOR) as archive:
        (pickle,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        text = archive.read(pickle)
    assert re.findall(rb"/(?:tmp|home|work|Users|root)\b[^\x00-\x1f]*", text) == []


@pytest.mark.long
async def test_it_finds_shapes_that_it_has_never_seen(tmp_path: Path) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await import_weights(stores, DETECTOR, "shapes")
    await stores.model.set_active("shapes")
    predictor = Predictor(stores)
    try:
        met: list[bool] = []
        for scene in scenes(12, image_size=160, seed=0):
            found = await predictor.predict(scene.frame, confidence=0.25)
            met += [any(_is_met(box, other) for other in found) for box in scene.annotations]
    finally:
        predictor.close()
    assert sum(met) / len(met) > 0.85


def _is_met(box: Annotation, other: Annotation) -> bool:
    ((overlap,),) = iou(xywh_to_xyxy([_place(box)]), xywh_to_xyxy([_place(other)]))
    return box.class_id == other.class_id and overlap >= 0.5


def _place(box: Annotation) -> tuple[float, ...]:
    return box.x, box.y, box.width, box.height
