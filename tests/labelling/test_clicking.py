"""MobileSAM's architecture with random weights: read safely, put together as Ultralytics does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import InvalidModelError
from workbench.labelling import remote_files
from workbench.labelling.clicking import Clicker, Clicking, _enclosing
from workbench.training.environment import import_ultralytics


def picture(width: int = 256, height: int = 256) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 8))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that takes everything for the thing: its last layers were set so."""
    import_ultralytics()
    import torch
    from ultralytics.models.sam.build import build_mobile_sam

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("sam") / "mobile_sam.pt"
    torch.save(build_mobile_sam().state_dict(), path)
    return path


@pytest.fixture
def clicking(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clicking]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remote_files.folder().mkdir(parents=True)
    made = Clicking("cpu")
    assert made.weights is None
    shutil.copy(weights, remote_files.folder())
    yield made
    made.close()


def test_pictures_are_seen_and_clicks_answered_as_ultralytics_does(weights: Path) -> None:
    import torch
    from ultralytics.models.sam import Predictor
    from ultralytics.models.sam.build import build_mobile_sam

    frame = picture()  # square: on others Ultralytics pads with grey, and SAM was trained with none
    clicker = Clicker(weights, "cpu")
    seen = clicker.look(frame)
    theirs = build_mobile_sam()
    theirs.load_state_dict(torch.load(weights, weights_only=True))
    overrides = {"imgsz": 1024, "device": "cpu", "save": False, "verbose": False}
    predictor = Predictor(overrides=overrides)
    predictor.setup_model(theirs.eval(), verbose=False)
    predictor.set_image(frame)
    assert torch.allclose(predictor.features, seen, atol=1e-4)

    # Whatever random weights make of it: the same masks, and so the same boxes around them.
    boxes, points = np.array([[10.0, 10, 100, 100], [50, 60, 200, 220]]), np.array([[120.0, 130]])
    ones = torch.ones((1, 1), dtype=torch.int32)
    by_boxes = {"bboxes": torch.tensor(boxes * 4, dtype=torch.float32)}
    at = torch.tensor(points * 4, dtype=torch.float32)[:, None]
    for found, prompt in (
        (clicker.around(frame, seen, boxes=boxes), by_boxes),
        (clicker.around(frame, seen, points=points), {"points": at, "labels": ones}),
    ):
        with torch.inference_mode():
            masks, _ = predictor._inference_features(predictor.features, **prompt)
        large = torch.nn.functional.interpolate(masks[:, None], (1024, 1024), mode="bilinear")
        expected = [_enclosing(mask.numpy()) / 4 for mask in large[:, 0] > 0]
        assert np.allclose(found, expected, atol=0.3, equal_nan=True)


async def test_boxes_of_a_panel(clicking: Clicking) -> None:
    frame = picture(120, 90)
    assert not clicking.is_loaded
    await clicking.look_ahead("a", frame)
    assert clicking.is_loaded
    small = [[10.0, 10, 30, 30]]
    # What random weights find is the whole picture: nothing that the box was around.
    assert (await clicking.tightened("a", frame, small)).tolist() == small
    assert (await clicking.tightened("a", frame, [])).shape == (0, 4)
    box = await clicking.at("a", frame, (60, 40))
    assert box is None or (box[0] < box[2] <= 120.5 and box[1] < box[3] <= 90.5)


def test_other_files_are_refused(tmp_path: Path) -> None:
    import_ultralytics()
    import torch

    other = tmp_path / "mobile_sam.pt"
    torch.save({"some.weight": torch.zeros(3)}, other)
    with pytest.raises(InvalidModelError, match="expected the tensors of mobile_sam"):
        Clicker(other, "cpu")
    torch.save({"some.weight": torch.zeros(3), "more": print}, other)
    with pytest.raises(InvalidModelError):
        Clicker(other, "cpu")


def test_what_encloses_a_mask() -> None:
    mask = np.zeros((10, 12), bool)
    assert np.isnan(_enclosing(mask)).all()
    mask[2:5, 3:9] = True
    assert _enclosing(mask).tolist() == [3, 2, 9, 5]
