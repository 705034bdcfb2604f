"""From frames to images on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.capture.scripted import Recorder, jpeg, picture, wait_until, wait_until_recording
from workbench.capture.controller import CaptureController
from workbench.capture.detection import Detections, LiveDetector
from workbench.capture.events import BurstBegan, BurstEnded, Countdown, ImageSaved, StatusChanged
from workbench.capture.frames import Image
from workbench.capture.generated_feed import GeneratedFeed
from workbench.capture.names import burst_of
from workbench.capture.push_feed import PushFeed
from workbench.capture.settings import CaptureSettings
from workbench.capture.triggers import Every, Motion
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.models import Annotation, Prediction

ALL = CaptureSettings(min_difference=0)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_shot_is_what_was_seen(
    stores: Stores, push: PushFeed, images: Path, recorder: Recorder
) -> None:
    bgr = np.zeros((48, 64, 3), np.uint8)
    bgr[:, :21], bgr[:, 21:42], bgr[:, 42:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    settings = CaptureSettings(class_name="Cup", extension=".png")
    with CaptureController(stores, push, "cups", settings=settings, listener=recorder) as capture:
        push.push(bgr, time=1.7e9, sequence=7)
        burst = capture.shoot()
        assert capture.flush(20)
    [name] = files(images / "train")
    assert name == f"{burst}_000001.png"
    assert name.startswith("Cup_20")
    # Blue, green and red, as an independent reader sees them.
    stored = cv2.imread(str(images / "train" / name))
    assert (stored == bgr).all()
    [saved] = recorder.of(ImageSaved)
    assert (saved.info.filename, saved.sequence, saved.burst) == (name, 7, burst)
    status = recorder.events[-1].status
    assert (status.saved, status.by_class, status.by_split) == (1, {"Cup": 1}, {"train": 1})
    assert recorder.threads == {"capture"}
    source = asyncio.run(stores.image.sources("cups"))["train", name]
    assert (source.class_name, source.feed, source.sequence) == ("Cup", "browser camera", 7)
    assert source.captured_at.timestamp() == 1.7e9


def test_a_shot_before_the_first_frame_takes_that(
    stores: Stores, push: PushFeed, images: Path
) -> None:
    with CaptureController(stores, push, "cups") as capture:
        capture.shoot()
        assert not capture.flush(0.05)
        push.push(picture())
        assert capture.flush(20)
        assert len(files(images / "train")) == 1
        assert capture.status.saved == 1
        push.stop()
        push.start()
        capture.shoot()  # nothing comes any more; closing must not wait for it
    assert len(files(images / "train")) == 1


def test_a_jpeg_from_outside_is_stored_byte_for_byte(
    stores: Stores, push: PushFeed, images: Path
) -> None:
    data = [jpeg(picture(30 * i)) for i in range(4)]
    with CaptureController(stores, push, "cups", settings=ALL) as capture:
        push.push(picture())
        burst = capture.record()
        wait_until(lambda: capture.status.burst == burst)
        wait_until_recording(capture)
        for one in data:
            assert push.push(one)
        capture.finish()
        assert capture.flush(20)
    assert [path.read_bytes() for path in sorted((images / "train").iterdir())] == data
    assert push.unacknowledged == 0


def test_a_burst_is_in_order_and_nothing_that_is_counted_is_missing(
    stores: Stores, images: Path, recorder: Recorder
) -> None:
    feed = GeneratedFeed(count=60, realtime=False, image_size=64)
    with CaptureController(
        stores, feed, "cups", settings=ALL, listener=recorder, queue=5
    ) as capture:
        burst = capture.record()
        with pytest.raises(RuntimeError, match="under way"):
            capture.record()
        wait_until_recording(capture)
        feed.start()
        assert capture.flush(30)
        assert not capture.status.recording
    began, ended = recorder.of(StatusChanged)[0], recorder.of(StatusChanged)[-1]
    assert (began.status.saving, ended.status.saving) == (True, False)
    saved = recorder.of(ImageSaved)
    assert [one.sequence for one in saved] == list(range(60))
    assert [one.info.filename for one in saved] == files(images / "train")
    assert {burst_of(one.info.filename) for one in saved} == {burst}
    assert recorder.of(BurstBegan) == [BurstBegan(burst, "train")]
    assert recorder.of(BurstEnded) == [BurstEnded(burst, 60)]
    assert capture.status.dropped == 0
    assert all(e.status.waiting <= 5 for e in recorder.of(StatusChanged))


def test_what_finds_no_room_is_dropped_and_not_counted(
    stores: Stores, push: PushFeed, images: Path
) -> None:
    gate = asyncio.Event()  # never waited on: only the flag is used

    async def slow(image: Image) -> list[Prediction]:
        while not gate.is_set():
            await asyncio.sleep(0.005)
        return []

    settings = CaptureSettings(min_difference=0, detections="predictions")
    capture = CaptureController(stores, push, "cups", settings=settings, predict=slow, queue=4)
    push.push(picture())
    capture.record()
    wait_until_recording(capture)
    push.push(picture(), sequence=100)
    wait_until(lambda: capture.status.waiting == 0)  # the writer is busy with it
    for i in range(10):
        push.push(picture(i), sequence=101 + i)
    status = capture.status
    assert (status.waiting, status.dropped, status.slow, status.saved) == (4, 6, True, 0)
    gate.set()
    capture.close()
    assert capture.status.saved == len(files(images / "train")) == 5
    assert capture.status.dropped == 6


def test_until_so_many(stores: Stores, images: Path) -> None:
    feed = GeneratedFeed(realtime=False, image_size=64)
    with CaptureController(stores, feed, "cups", settings=ALL) as capture, feed:
        capture.record(until=23)
        assert capture.flush(30)
        assert len(files(images / "train")) == capture.status.saved == 23
        assert feed.state.status == "live"
        with pytest.raises(ValueError, match="until"):
            capture.record(until=0)


def record(
    stores: Stores, push: PushFeed, frames: list[tuple[float, int]], **how: object
) -> CaptureController:
    settings = how.pop("settings", ALL)
    capture = CaptureController(stores, push, "cups", settings=settings, queue=1000)  # type: ignore[arg-type]
    capture.record(**how)  # type: ignore[arg-type]
    wait_until_recording(capture)
    for time, grey in frames:
        assert push.push(picture(grey), time=time)
    capture.finish()
    assert capture.flush(20)
    return capture


def test_interval_and_motion(stores: Stores, push: PushFeed) -> None:
    minute = [(1.7e9 + i / 2, i % 50) for i in range(120)]
    capture = record(stores, push, minute, trigger=Every(10))
    assert [one.captured_at - 1.7e9 for one in capture.recent] == [0, 10, 20, 30, 40, 50]
    moved = [(1.7e9 + i, 80 if i in (10, 30) else 0) for i in range(40)]
    capture = record(stores, push, moved, trigger=Motion(threshold=30))
    assert [one.captured_at - 1.7e9 for one in capture.recent] == [10, 30]


def test_the_same_again_is_skipped_and_blurred_is_flagged(stores: Stores, push: PushFeed) -> None:
    frames = [(float(i), grey) for i, grey in enumerate([0, 0, 1, 0, 30, 30, 30, 0])]
    capture = record(stores, push, frames, settings=CaptureSettings(min_difference=5))
    assert [one.captured_at for one in capture.recent] == [0, 4, 7]
    assert (capture.status.similar, capture.status.blurred) == (5, 0)
    push.push(cv2.GaussianBlur(picture(), (0, 0), 15))
    capture.shoot()
    assert capture.flush(20)
    assert capture.recent[-1].blurred
    assert capture.status.blurred == 1


def test_a_damaged_frame_is_left_out(stores: Stores, push: PushFeed) -> None:
    with CaptureController(stores, push, "cups", settings=ALL) as capture:
        capture.record()
        wait_until_recording(capture)
        for content in (jpeg(picture()), b"\xff\xd8\xff damaged", jpeg(picture(9))):
            push.push(content)
        capture.finish()
        assert capture.flush(20)
        assert (capture.status.saved, capture.status.damaged, capture.status.failure) == (2, 1, "")


def test_bursts_never_straddle_splits(stores: Stores, images: Path) -> None:
    feed = GeneratedFeed(realtime=False, image_size=64)
    settings = CaptureSettings(split={"train": 0.75, "val": 0.25}, min_difference=0)
    with CaptureController(stores, feed, "cups", settings=settings) as capture, feed:
        for _ in range(8):
            capture.record(until=3)
            assert capture.flush(20)
        splits = {split: files(images / split) for split in ("train", "val", "test")}
        assert {split: len(names) for split, names in splits.items()} == {
            "train": 18,
            "val": 6,
            "test": 0,
        }
        bursts = {split: {burst_of(name) for name in names} for split, names in splits.items()}
        assert not bursts["train"] & bursts["val"]
        assert capture.status.in_dataset == {"train": 18, "val": 6, "test": 0}


class Clock:
    """A clock that stands until a test puts it on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def put_on(self, capture: CaptureController, seconds: float) -> None:
        with capture._changed:
            self.now += seconds
            capture._changed.notify_all()


def test_a_countdown_counts_down_and_can_be_called_off(
    stores: Stores, push: PushFeed, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("workbench.capture.recording.time", clock)
    monkeypatch.setattr("workbench.capture.controller.time", clock)
    monkeypatch.setattr("workbench.capture.worker.time", clock)
    with CaptureController(stores, push, "cups", listener=recorder) as capture:
        push.push(picture(0), sequence=1)
        capture.shoot(countdown=1.2)
        wait_until(lambda: Countdown(2) in recorder.events)
        clock.put_on(capture, 0.5)
        wait_until(lambda: Countdown(1) in recorder.events)
        push.push(picture(50), sequence=2)
        clock.put_on(capture, 1.0)
        assert capture.flush(20)
        assert recorder.of(Countdown) == [Countdown(2), Countdown(1), Countdown(0)]
        assert [one.sequence for one in capture.recent] == [2]  # what is seen when it is over
        capture.record(countdown=100)
        assert capture.status.recording
        capture.finish()
        assert capture.flush(20)
        assert capture.status.saved == 1
    with pytest.raises(RuntimeError, match="closed"):
        capture.shoot()


async def test_undo_and_redo(stores: Stores, push: PushFeed, images: Path) -> None:
    frames = [(float(i), 20 * i) for i in range(4)]
    capture = await asyncio.to_thread(
        record, stores, push, frames, settings=CaptureSettings(class_name="cup", min_difference=0)
    )
    names = files(images / "train")
    assert [one.info.filename for one in await capture.undo(2)] == names[2:]
    assert files(images / "train") == names[:2]
    assert (capture.status.saved, capture.status.by_class) == (2, {"cup": 2})
    back = await capture.redo()
    assert back is not None
    assert back.info.filename == names[2]
    # Somebody else deletes one of them: undo leaves it alone and takes the rest.
    await stores.image.delete("cups", "train", names[1])
    assert [one.info.filename for one in await capture.undo_burst()] == [names[0], names[2]]
    assert files(images / "train") == []
    assert await capture.undo() == []
    assert len(await stores.image.list_trash("cups")) == 4


async def test_what_a_model_finds_becomes_labels_or_something_to_review(
    stores: Stores, push: PushFeed
) -> None:
    box = Prediction(1, 0.5, 0.5, 0.25, 0.5, 0.75)

    async def predict(image: Image) -> list[Prediction]:
        return [box] if image[1, 1, 0] > 60 else []

    capture = CaptureController(stores, push, "cups", predict=predict)

    async def shoot(grey: int, how: str) -> str:
        capture.settings = CaptureSettings(detections=how)  # type: ignore[arg-type]
        push.push(picture(grey))
        capture.shoot()
        assert await asyncio.to_thread(capture.flush, 20)
        return capture.recent[-1].info.filename

    labelled, nothing = await shoot(50, "labels"), await shoot(0, "labels")
    proposed, off = await shoot(50, "predictions"), await shoot(50, "off")
    plain = Annotation(1, 0.5, 0.5, 0.25, 0.5)
    assert await stores.label.load("cups", "train", labelled) == [plain]
    assert await stores.label.exists("cups", "train", nothing)  # reviewed: there is nothing
    assert not await stores.label.exists("cups", "train", proposed)
    sources = await stores.image.sources("cups")
    assert sources["train", proposed].predictions == [box]
    assert sources["train", off].predictions == []
    with pytest.raises(ValueError, match="needs a model"):
        CaptureController(
            stores, push, "cups", settings=CaptureSettings(detections="labels")
        ).shoot()


def test_live_detections_look_at_the_newest_frame_only() -> None:
    feed = PushFeed(window=1000)
    feed.start()
    gate, seen = asyncio.Event(), []

    async def predict(image: Image) -> list[Prediction]:
        while not gate.is_set():
            await asyncio.sleep(0.005)
        if image[1, 1, 0] > 130:
            raise RuntimeError("out of memory")
        return []

    detector = LiveDetector(feed, predict, seen.append)
    push_one = [feed.push(picture(0))]
    wait_until(lambda: len(detector._frames) == 0)
    push_one += [feed.push(picture(i)) for i in range(1, 9)]
    assert all(push_one)  # never held up
    gate.set()
    wait_until(lambda: len(seen) == 2)
    assert seen == [Detections(0, []), Detections(8, [])]
    feed.push(picture(99))
    wait_until(lambda: len(seen) == 3)
    assert seen[2].failure == "out of memory"
    detector._thread.join(5)
    assert not detector._thread.is_alive()
    feed.stop()


async def test_any_store_will_do_and_a_listener_that_fails_costs_no_picture(
    push: PushFeed, caplog: pytest.LogCaptureFixture
) -> None:
    stores = create_memory_stores()
    await stores.dataset.create("cups")

    def broken(event: object) -> None:
        raise ValueError("the view is gone")

    capture = CaptureController(stores, push, "cups", listener=broken)
    push.push(picture())
    capture.shoot()
    assert await asyncio.to_thread(capture.flush, 20)
    assert len(await stores.image.list("cups")) == 1
    assert "the view is gone" in caplog.text
