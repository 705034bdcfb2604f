"""The detector that comes with the samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.shipped_weights import facts_of
from workbench.geometry import iou, xywh_to_xyxy
from workbench.labelling.predictor import Predictor
from workbench.persistence import create_stores
from workbench.persistence.models import Annotation
from workbench.samples import CLASSES, DETECTOR, scenes
from workbench.training.weights_check import import_weights


def test_it_is_small_and_holds_no_code_and_no_folder_of_who_made_it() -> None:
    facts = facts_of(DETECTOR)
    assert facts["class_names"] == list(CLASSES)
    assert facts["base_model"] == "yolo11n.yaml"
    assert facts["image_size"] == 160
    assert facts["metrics"]["metrics/mAP50(B)"] > 0.95


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
