"""Trying a model on pictures, videos and cameras, without a page: real feeds, a real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.models import add_model, make_found, spread_weights
from tests.helpers.training import Trained, shapes, trained_once
from tests.panels.test_models import until
from workbench.capture.feed import Feed, Pause
from workbench.errors import NotFoundError
from workbench.panels.models import ModelsPanel
from workbench.panels.models.live_trial import LEAST_CONFIDENCE
from workbench.persistence import Stores
from workbench.persistence.models import Prediction

FRAMES = 400
"""More than any model looks at before a test is over with it."""


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_once(request.config, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def weights(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spread_weights(trained, tmp_path_factory.mktemp("weights") / "tiny.pt")


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    image = next(iter(shapes(1, 0)))
    assert isinstance(image.content, np.ndarray)
    return image.content


@pytest.fixture
async def panel(persistence_stores: Stores, weights: Path) -> AsyncIterator[ModelsPanel]:
    await add_model(persistence_stores, "older", weights)
    await add_model(persistence_stores, "newer", weights)
    made = ModelsPanel(persistence_stores)
    await made.refresh()
    yield made
    made.close()


class Page:
    """What a page is told, and the messages that it would send."""

    def __init__(self, panel: ModelsPanel, session: str = "page") -> None:
        self.panel = panel
        self.session = session
        self.told: list[dict[str, Any]] = []
        self.pictures: list[bytes] = []
        panel.trial.trial.send = self._take  # type: ignore[method-assign]

    def _take(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        if message.get("to") in (None, self.session):
            self.told.append(message)
            self.pictures += buffers
        if message["kind"] == "preview":  # painted at once
            self.say("seen", id=message["id"])

    def say(self, kind: str, *buffers: bytes, **rest: Any) -> None:
        message = {"kind": kind, "session": self.session, **rest}
        self.panel.trial.trial._receive(None, message, buffers)

    def boxes(self, by: str = "newer") -> list[list[Any]]:
        """The last boxes that were told of a model; empty: none."""
        told = [m["rows"] for m in self.told if m["kind"] == "boxes" and m["by"] == by]
        return told[-1] if told else []

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["kind"] == kind]


class Device:
    """A camera that counts how often it is open."""

    def __init__(self, frame: np.ndarray) -> None:
        self.frame = frame
        self.is_open = False

    def __call__(self) -> Iterator[np.ndarray | Pause]:
        self.is_open = True
        try:
            while True:
                yield self.frame
                yield Pause(0.02)
        finally:
            self.is_open = False


@pytest.fixture
def device(frame: np.ndarray) -> Device:
    return Device(frame)


async def expected(panel: ModelsPanel, frame: np.ndarray) -> list[Prediction]:
    return await panel._predictor.predict(frame, LEAST_CONFIDENCE, model="newer")


def confidences(rows: list[list[Any]]) -> list[float]:
    return [row[5] for row in rows]


async def test_a_picture_of_a_dataset_goes_to_the_page_with_all_boxes(
    panel: ModelsPanel, persistence_stores: Stores
) -> None:
    await make_found(persistence_stores, 2)
    await panel.refresh()
    page = Page(panel)
    page.say("shown")
    trial = panel.trial
    assert (trial.dataset.value, trial.image.value) == ("found", "image_00.png")
    trial.run.click()
    await until(page.boxes)
    image = await persistence_stores.image.load("found", "val", "image_00.png")
    found = await expected(panel, image)
    assert confidences(page.boxes()) == [round(box.confidence, 4) for box in found]
    assert {row[4] for row in page.boxes()} <= {"square", "disc"}
    np.testing.assert_allclose(page.boxes()[0][:4], found[0].xywh)
    shown = cv2.imdecode(np.frombuffer(page.pictures[-1], np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == image.shape
    other = Page(panel, "other")
    other.say("shown")
    await until(other.boxes)  # a page that is opened later sees the same


async def test_an_uploaded_picture_is_tried_and_what_is_none_is_refused(
    panel: ModelsPanel, frame: np.ndarray
) -> None:
    page = Page(panel)
    page.say("shown")
    data = cv2.imencode(".png", frame)[1].tobytes()
    piece = {"batch": 1, "split": "", "index": 0, "files": 1, "name": "mine.png"}
    page.say("upload", data, **piece, size=len(data), offset=0)
    await until(page.boxes)
    assert page.heard("uploaded") == [{"kind": "uploaded", "to": "page", "batch": 1}]
    np.testing.assert_array_equal(panel.model.tried, frame)
    page.say("upload", b"no image", **(piece | {"name": "note.txt"}), size=8, offset=0)
    await until(lambda: panel.status.tone == "problem")
    assert "note.txt" in panel.status.text
    with pytest.raises(NotFoundError):
        await panel.model.try_bytes("gone", data, "mine.png")


async def test_a_video_plays_while_the_model_looks_and_stop_ends_it(
    panel: ModelsPanel, frame: np.ndarray, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, frame.shape[1::-1])
    for _ in range(FRAMES):
        writer.write(frame)
    writer.release()
    page = Page(panel)
    page.say("shown")
    page.say("source", source="video", place=str(clip))
    await until(page.boxes)
    await until(lambda: page.heard("preview"))
    await until(lambda: "player" in panel.trial.trial.feed)
    shown = panel.trial.trial.feed
    assert (shown["kind"], shown["place"], shown["player"]["length"]) == (
        "video",
        str(clip),
        FRAMES,
    )
    page.say("play", act="pause")
    await until(lambda: panel.trial.trial.feed["player"]["paused"])
    page.say("play", act="seek", value=FRAMES - 5)
    await until(lambda: panel.trial.trial.feed["player"]["position"] == FRAMES - 5)
    page.say("stop")
    await until(lambda: panel.trial.trial.feed["status"] == "stopped")
    assert page.boxes("") == []
    assert not panel.model.live.is_on


async def test_a_camera_is_released_by_stop_by_hiding_and_by_closing(
    panel: ModelsPanel, device: Device
) -> None:
    live = panel.model.live
    page = Page(panel)
    page.say("shown")
    await live.use(Feed(device, name="desk"))
    await until(page.boxes)
    assert device.is_open
    page.say("stop")
    await until(lambda: not live.is_on)
    assert not device.is_open
    await live.use(Feed(device, name="desk"))
    await until(lambda: device.is_open)
    page.say("hidden")
    await until(lambda: not live.is_on)
    assert not device.is_open
    await live.use(Feed(device, name="desk"))
    await until(lambda: device.is_open)
    panel.close()
    assert not device.is_open


async def test_a_second_source_takes_the_place_of_the_first(
    panel: ModelsPanel, device: Device, frame: np.ndarray
) -> None:
    live, second = panel.model.live, Device(frame)
    feeds = [Feed(one, name="one") for one in (device, second)]
    await asyncio.gather(*(live.use(feed) for feed in feeds))
    await until(lambda: live.seen is not None)
    assert (device.is_open, second.is_open) == (False, True)
    await live.stop()
    assert not second.is_open


async def test_another_model_takes_over_while_the_camera_runs(
    panel: ModelsPanel, device: Device
) -> None:
    page = Page(panel)
    page.say("shown")
    await panel.model.live.use(Feed(device, name="desk"))
    await until(lambda: page.boxes("newer"))
    panel.table.chosen = "older"
    await until(lambda: page.boxes("older"))
    assert device.is_open


async def test_the_camera_of_a_page_is_looked_at_and_every_frame_acknowledged(
    panel: ModelsPanel, frame: np.ndarray
) -> None:
    page = Page(panel)
    page.say("shown")
    page.say("camera", on=True, name="front")
    await until(lambda: panel.model.live.is_on)
    jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
    for number in range(3):
        page.say("frame", jpeg, seq=number, time=1000.0 + number)
    await until(page.boxes)
    assert [message["seq"] for message in page.heard("ack")] == [0, 1, 2]
    assert not page.heard("preview")  # it sees its camera by itself
    page.say("frame", b"no jpeg", seq=3, time=1003.0)
    await until(lambda: panel.status.tone == "problem")
    other = Page(panel, "other")
    other.say("shown")
    other.say("camera", on=True, name="back")
    await until(lambda: panel.model.live.feed is not None and panel.model.live.feed.name == "back")
    other.say("camera", on=False)
    await until(lambda: not panel.model.live.is_on)


async def test_nothing_is_started_without_a_model(persistence_stores: Stores) -> None:
    panel = ModelsPanel(persistence_stores)
    await panel.refresh()
    page = Page(panel)
    page.say("camera", on=True, name="front")
    await until(lambda: page.heard("halt"))
    assert "Choose a model first" in panel.status.text
    assert panel.model.live.feed is None
    panel.close()


async def test_a_model_that_fails_releases_the_camera_and_says_why(
    panel: ModelsPanel, device: Device, persistence_stores: Stores
) -> None:
    panel.follower.close()  # else it may hear of it first, and try the other model
    await persistence_stores.model.delete("newer")
    await panel.model.live.use(Feed(device, name="desk"))
    await until(lambda: not panel.model.live.is_on)
    assert not device.is_open
    await until(lambda: panel.status.tone == "problem")
    assert "newer has failed" in panel.status.text
