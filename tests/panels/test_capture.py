"""The capture panel without a page: driven from Python and by messages, asserted on raw files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.capture.scripted import jpeg, picture, takes_frames
from workbench.capture.generated_feed import GeneratedFeed
from workbench.capture.settings import CaptureSettings
from workbench.capture.triggers import Every, Motion
from workbench.capture.video_feed import VideoFeed
from workbench.errors import NotFoundError
from workbench.panels.capture import CapturePanel
from workbench.panels.capture.display import IDLE_RATE, Throttled
from workbench.panels.capture.model import CaptureError
from workbench.panels.capture.options import CaptureOptions, changed
from workbench.panels.live.browser_feed import BrowserFeed
from workbench.panels.live.sources import make_feed
from workbench.persistence import Stores, create_stores
from workbench.samples.video import write_video


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    return made


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "data/cups/images"


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[CapturePanel]:
    made = CapturePanel("cups", stores, settings=CaptureSettings(min_difference=0))
    yield made
    await made.aclose()


class Page:
    """A page with a camera: what it is sent, and what it says."""

    def __init__(self, panel: CapturePanel, monkeypatch: pytest.MonkeyPatch, name: str = "p1"):
        self.panel = panel
        self.name = name
        self.sent: list[dict[str, Any]] = []
        self.sequence = 0
        monkeypatch.setattr(panel.view, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: Any = ()) -> None:
        self.sent.append({**message, "buffers": [bytes(b) for b in buffers]})

    def say(self, kind: str, *buffers: bytes, **message: Any) -> None:
        self.panel.view.host.asked({"kind": kind, "session": self.name, **message}, buffers)

    def frame(self, grey: int = 0, **more: Any) -> int:
        number, self.sequence = self.sequence, self.sequence + 1
        self.say("frame", jpeg(picture(grey)), seq=number, time=1000 + number / 30, **more)
        return number

    def acknowledged(self) -> list[int]:
        return [number for message in self.of("ack") for number in message["seqs"]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["kind"] == kind]


@pytest.fixture
async def page(panel: CapturePanel, monkeypatch: pytest.MonkeyPatch) -> Page:
    made = Page(panel, monkeypatch)
    made.say("hello")
    made.say("camera", on=True, name="front camera")
    await until(lambda: panel.model.feed_state.status == "opening")
    return made


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_shot_is_the_frame_that_came_with_it(
    page: Page, panel: CapturePanel, images: Path
) -> None:
    page.frame(0)
    page.frame(90, shoot=True)
    await until(lambda: panel.view.status["saved"] == 1)
    (file,) = files(images / "train")
    assert file.read_bytes() == jpeg(picture(90))
    assert panel.view.status["in_dataset"] == {"train": 1, "val": 0, "test": 0}


async def test_what_was_missing_is_not_said_any_more_once_it_is_there(
    panel: CapturePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(panel, monkeypatch)
    page.say("hello")
    page.say("press", held=False, shoot=True)
    await until(lambda: panel.view.notice.get("tone") == "problem")
    assert panel.view.notice["text"].startswith("No frames come from ")
    page.say("camera", on=True, name="front camera")
    await until(lambda: not panel.view.notice["text"])
    page.frame(90, shoot=True)
    await until(lambda: panel.view.status["saved"] == 1)
    page.say("undo")
    await until(lambda: panel.view.status["undone"] == 1)
    assert panel.view.status["saved"] == 0
    page.say("redo")
    await until(lambda: panel.view.status["saved"] == 1)
    assert panel.view.status["undone"] == 0


async def test_every_frame_is_acknowledged_once(page: Page, panel: CapturePanel) -> None:
    sent = [page.frame(i) for i in range(5)]
    page.say("frame", jpeg(picture()), seq=2, time=1000.0)  # an old one, refused
    await until(lambda: len(page.acknowledged()) == 6)
    assert sorted(page.acknowledged()) == sorted([*sent, 2])


async def test_several_frames_come_in_one_message(
    page: Page, panel: CapturePanel, images: Path
) -> None:
    contents = [jpeg(picture(grey)) for grey in (0, 40, 80)]
    facts = [{"seq": number, "time": 1000 + number / 30} for number in range(3)]
    facts[1]["shoot"] = True
    page.say("frames", contents[0], b"no picture", contents[2], frames=facts)
    page.say("frames", contents[1], frames=[{"seq": 3, "time": 1001.0, "shoot": True}])
    await until(lambda: panel.model.status.saved == 1)
    assert [file.read_bytes() for file in files(images / "train")] == [contents[1]]
    await until(lambda: sorted(page.acknowledged()) == [0, 1, 2, 3])  # the damaged one too
    await until(lambda: "expected a JPEG" in panel.view.notice.get("text", ""))


async def test_news_come_at_once_and_then_together() -> None:
    told: list[int] = []
    tell = Throttled(0.001, lambda: told.append(len(told)))
    for _ in range(5):
        tell()
    assert told == [0]
    await until(lambda: told == [0, 1])
    tell()
    await until(lambda: told == [0, 1, 2])


async def test_burst_lasts_from_press_to_release(
    page: Page, panel: CapturePanel, images: Path
) -> None:
    panel.options = CaptureOptions(rate=0)
    page.say("press", held=True, shoot=False)
    await until(lambda: panel.view.status["recording"])
    assert panel.view.rate == 0  # all frames are wanted now
    controller = panel.model._controller
    assert controller is not None
    await until(lambda: takes_frames(controller))
    for grey in range(4):
        await until(lambda: panel.model.feed.unacknowledged == 0)
        page.frame(grey * 20)
        await until(lambda n=grey: panel.model.status.saved == n + 1)
    page.say("release")
    await until(lambda: not panel.view.status["recording"])
    assert len(files(images / "train")) == 4
    assert panel.view.rate == IDLE_RATE
    page.frame(200)
    assert len(files(images / "train")) == 4


async def test_page_that_goes_away_ends_the_recording(
    page: Page, panel: CapturePanel, images: Path
) -> None:
    panel.options = CaptureOptions(mode="burst", rate=0)
    page.say("press", held=False)
    await until(lambda: panel.view.status["recording"])
    page.frame()
    page.say("bye")
    await until(lambda: panel.model.feed_state.status == "failed")
    await until(lambda: not panel.view.status["recording"])
    assert "closed" in panel.view.feed["why"]


async def test_other_page_takes_over(
    page: Page, panel: CapturePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.view.host.asked({"kind": "camera", "session": "p2", "on": True, "name": "phone"}, ())
    await until(lambda: page.of("owner"))
    assert page.of("owner")[0]["to"] == "p1"
    page.frame()
    await until(lambda: page.of("ack"))  # refused, but not left without an answer
    assert panel.model.feed.latest is None


async def test_camera_that_fails_says_why(page: Page, panel: CapturePanel) -> None:
    page.say("camera", on=False, failed=True, why="The camera is in use.")
    await until(lambda: panel.view.feed["status"] == "failed")
    assert panel.view.feed["why"] == "The camera is in use."
    page.say("press", held=False, shoot=True)
    await until(lambda: panel.view.notice.get("tone") == "problem")
    assert "The camera is in use" in panel.view.notice["text"]


async def test_strip_shows_the_last_pictures_newest_first(
    page: Page, panel: CapturePanel, images: Path
) -> None:
    for number in range(2):
        page.frame(number * 60, shoot=True)
        await until(lambda n=number: panel.model.status.saved == n + 1)

    def pictured() -> list[dict[str, Any]]:
        items = [item for message in page.of("strip") for item in message["items"]]
        return [item for item in items if item["buffer"] is not None]

    await until(lambda: len({item["id"] for item in pictured()}) == 2)
    newest, oldest = page.of("strip")[-1]["ids"]
    names = {item["id"]: item["name"] for item in pictured()}
    assert [names[oldest], names[newest]] == [file.name for file in files(images / "train")]
    page.say("remove", id=oldest)
    await until(lambda: len(files(images / "train")) == 1)
    assert files(images / "train")[0].name == names[newest]


async def test_settings_come_from_the_page(page: Page, panel: CapturePanel) -> None:
    page.say("set", name="split", value={"train": 0.5, "val": 0.5})
    page.say("set", name="until", value=7)
    page.say("set", name="rate", value="abc")
    await until(lambda: panel.view.notice.get("text"))
    assert panel.settings.split == {"train": 0.5, "val": 0.5}
    assert panel.options.until == 7
    assert "rate" in panel.view.notice["text"]
    assert panel.view.settings["split"] == {"train": 0.5, "val": 0.5}


async def test_record_from_python(stores: Stores, images: Path) -> None:
    feed = GeneratedFeed(realtime=False, count=60, image_size=(64, 48))
    panel = CapturePanel("cups", stores, feed, settings=CaptureSettings("val", min_difference=0))
    saved = await panel.record(Every(), until=6)
    assert [one.info.filename for one in saved] == [file.name for file in files(images / "val")]
    assert len(saved) == 6
    await panel.undo()
    assert len(files(images / "val")) == 5
    await panel.redo()
    assert len(files(images / "val")) == 6
    await panel.aclose()
    assert feed.state.status in ("stopped", "ended")


@pytest.mark.parametrize(("there", "door"), [("cups", "(cups)"), ("", "workbench new")])
async def test_a_dataset_that_is_not_there_is_told_and_another_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, door: str
) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    if there:
        await stores.dataset.create(there, ["cup"])
    panel = CapturePanel("nope", stores)
    page = Page(panel, monkeypatch)
    page.say("hello")
    await until(lambda: panel.view.notice.get("text"))
    assert panel.view.notice["text"].startswith("There is no dataset 'nope'.")
    assert door in panel.view.notice["text"]
    assert panel.view.datasets == ([there] if there else [])
    what = {"batch": 1, "index": 0, "files": 1, "name": "a.jpg", "offset": 0, "split": "train"}
    page.say("upload", jpeg(picture()), size=len(jpeg(picture())), **what)
    await until(lambda: "nothing was saved" in panel.view.notice["text"])
    # When it is made after all, the panel goes on with it.
    await stores.dataset.create("nope", ["cup"])
    await until(lambda: panel.view.settings["dataset"] == "nope")
    page.say("upload", jpeg(picture()), size=len(jpeg(picture())), **{**what, "batch": 2})
    await until(lambda: files(tmp_path / "data/nope/images/train"))
    await panel.aclose()


async def test_film_is_recorded_from_its_first_frame_also_again(
    stores: Stores, tmp_path: Path
) -> None:
    feed = VideoFeed(write_video(tmp_path / "clip.avi", seconds=1), realtime=False)
    panel = CapturePanel("cups", stores, feed, settings=CaptureSettings(min_difference=0))
    for _ in range(2):
        saved = await panel.record(Every())
        assert [one.sequence for one in saved] == list(range(15))
    await panel.aclose()


async def test_preview_waits_for_the_page(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = GeneratedFeed(image_size=(64, 48), fps=100)
    panel = CapturePanel("cups", stores, feed)
    monkeypatch.setattr("workbench.panels.live.preview.PAGE_PATIENCE_S", 3600.0)
    page = Page(panel, monkeypatch)
    page.say("hello")
    page.say("start")
    await until(lambda: page.of("preview"))
    begun = feed.latest.sequence
    await until(lambda: feed.latest.sequence > begun + 20)
    assert len(page.of("preview")) == 1
    page.say("seen", id=0)
    await until(lambda: len(page.of("preview")) == 2)
    await panel.aclose()


async def test_folder_that_is_gone_stops_a_recording(stores: Stores, tmp_path: Path) -> None:
    panel = CapturePanel("cups", stores, GeneratedFeed(realtime=False, image_size=(64, 48)))
    await panel.record(until=2)
    (tmp_path / "data/cups").rename(tmp_path / "gone")
    with pytest.raises(CaptureError, match="2 images of this session are saved"):
        await panel.record(until=2)
    assert len(files(tmp_path / "gone/images/train")) == 2
    await panel.aclose()


async def test_source_is_chosen_by_what_is_typed(
    page: Page, panel: CapturePanel, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "clip.avi", seconds=1, image_size=(64, 48))
    page.say("source", source="video", place=str(video))
    await until(lambda: panel.view.feed.get("player"))
    assert panel.view.feed["kind"] == "video"
    assert panel.view.feed["player"]["length"] == 15
    page.say("play", act="pause")
    await until(lambda: panel.view.feed["player"]["paused"])


def test_source_that_cannot_be_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"nothing\.avi"):
        make_feed("video", str(tmp_path / "nothing.avi"))
    with pytest.raises(ValueError, match="rtsp://"):
        make_feed("stream", "camera1")
    with pytest.raises(ValueError, match="path of the folder"):
        make_feed("folder", "")


def test_options_become_triggers() -> None:
    assert CaptureOptions(rate=4).trigger == Every(0.25)
    assert CaptureOptions(rate=0).trigger == Every()
    assert CaptureOptions("interval", every=3).trigger == Every(3)
    assert CaptureOptions("motion", motion=6).trigger == Motion(6)
    assert CaptureOptions("hand", until=9).limit is None
    assert CaptureOptions("burst", until=9).limit == 9
    with pytest.raises(ValueError, match="mode"):
        CaptureOptions("often")
    with pytest.raises(ValueError, match="no setting"):
        changed(CaptureSettings(), CaptureOptions(), "colour", 1)


def test_clock_of_the_page_may_be_wrong() -> None:
    feed = BrowserFeed(lambda session, sequence: None)
    feed.own("p1")
    taken = []
    with feed.subscribe() as frames:
        for number, page_time in enumerate((5.0, 5.1, 5.3)):
            assert feed.take("p1", number, page_time, jpeg(picture()))
            taken += frames.take()
    spacing = [round(b.time - a.time, 3) for a, b in pairwise(taken)]
    assert spacing == [0.1, 0.2]
    feed.stop()
