"""A really trained model beside a capture: boxes over the preview, boxes that are saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.models import add_model, spread_weights
from tests.helpers.training import CLASSES, Trained, shapes, trained_once
from workbench.capture.settings import CaptureSettings
from workbench.labelling.predictor import Predictor
from workbench.panels.capture import CapturePanel
from workbench.panels.capture.options import CaptureOptions
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Prediction

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    trained: Trained = trained_once(request.config, folder)
    return spread_weights(trained, folder / "sees.pt")


@pytest.fixture
async def stores(tmp_path: Path, weights: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    # The classes in another order than the model has them, and one more.
    await made.dataset.create("toys", ["cup", *reversed(CLASSES)])
    await add_model(made, "sees", weights)
    return made


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[CapturePanel]:
    made = CapturePanel("toys", stores, settings=CaptureSettings(min_difference=0))
    yield made
    await made.aclose()


@pytest.fixture
def frame() -> bytes:
    """A picture with something on it, as a page sends it."""
    [image] = shapes(1, 0)
    assert isinstance(image.content, np.ndarray)
    return bytes(cv2.imencode(".jpg", image.content, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


class Page:
    """A page with a camera."""

    def __init__(self, panel: CapturePanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.boxes: list[list[list[Any]]] = []
        self.sequence = 0
        monkeypatch.setattr(panel.view, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: Any = ()) -> None:
        if message["kind"] == "boxes":
            self.boxes.append(message["rows"])

    def say(self, kind: str, *buffers: bytes, **message: Any) -> None:
        host = self.panel.view.host
        assert host is not None
        host.asked({"kind": kind, "session": "p1", **message}, buffers)

    def send(self, frame: bytes, **more: Any) -> None:
        self.say("frame", frame, seq=self.sequence, time=self.sequence / 30, **more)
        self.sequence += 1


@pytest.fixture
async def page(panel: CapturePanel, monkeypatch: pytest.MonkeyPatch) -> Page:
    made = Page(panel, monkeypatch)
    made.say("camera", on=True, name="front camera")
    await until(lambda: panel.model.feed_state.status == "opening")
    return made


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def expected(stores: Stores, frame: bytes, confidence: float) -> list[Prediction]:
    """What the model finds on the frame, asked without a panel."""
    image = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
    predictor = Predictor(stores, device="cpu")
    try:
        return await predictor.predict(image, confidence)
    finally:
        predictor.close()


def rows(found: list[Prediction]) -> list[list[Any]]:
    """As a page draws them: the dataset's class ids are the reverse of the model's."""
    ids = {0: 2, 1: 1}
    return [[*p.xywh, CLASSES[p.class_id], round(p.confidence, 3), ids[p.class_id]] for p in found]


async def test_boxes_of_the_model_are_drawn_over_the_preview(
    page: Page, panel: CapturePanel, stores: Stores, frame: bytes
) -> None:
    page.say("set", name="show_boxes", value=True)
    await until(lambda: panel.view.settings["show_boxes"] and panel.view.model == "sees")
    await until(lambda: panel.model._looking._detector is not None)
    page.send(frame)
    await until(lambda: any(page.boxes))
    found = await expected(stores, frame, 0.25)
    assert page.boxes[-1] == rows(found)
    # A threshold between the boxes leaves the unsure ones out.
    middle = found[len(found) // 2].confidence
    page.boxes.clear()
    before = panel.model._looking._detector
    page.say("set", name="confidence", value=middle)
    await until(lambda: panel.model._looking._detector not in (None, before))
    page.send(frame)
    await until(lambda: any(page.boxes))
    surer = await expected(stores, frame, middle)
    assert page.boxes[-1] == rows(surer)
    assert 0 < len(surer) < len(found)
    page.say("set", name="show_boxes", value=False)
    await until(lambda: page.boxes[-1] == [])


@pytest.mark.parametrize("how", ["labels", "predictions"])
async def test_what_is_detected_is_saved_with_the_picture(
    page: Page, panel: CapturePanel, stores: Stores, frame: bytes, how: str
) -> None:
    page.say("set", name="detections", value=how)
    await until(lambda: panel.settings.detections == how and panel.model._controller.predict)
    page.send(frame, shoot=True)
    await until(lambda: panel.model.status.saved == 1)
    found = await expected(stores, frame, 0.25)
    ids = {0: 2, 1: 1}
    [saved] = panel.model.recent
    [source] = (await stores.image.sources("toys")).values()
    if how == "labels":
        labels = await stores.label.load("toys", "train", saved.info.filename)
        assert len(labels) == saved.num_boxes == len(found) > 0
        for label, one in zip(labels, found, strict=True):
            assert label.class_id == ids[one.class_id]
            assert label.xywh == pytest.approx(one.xywh, abs=1e-6)
        assert source.predictions == []
    else:
        assert not await stores.label.exists("toys", "train", saved.info.filename)
        assert [(p.class_id, p.confidence) for p in source.predictions] == [
            (ids[one.class_id], pytest.approx(one.confidence)) for one in found
        ]


async def test_a_capture_without_a_model_says_what_to_do(
    page: Page, panel: CapturePanel, stores: Stores
) -> None:
    await stores.model.delete("sees")
    page.say("set", name="show_boxes", value=True)
    await until(lambda: panel.view.notice.get("tone") == "problem")
    assert "active" in panel.view.notice["text"]
    assert panel.options.show_boxes is False
    assert panel.view.settings["show_boxes"] is False


def test_confidence_must_be_possible() -> None:
    for bad in (0, -1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="confidence"):
            CaptureOptions(confidence=bad)
