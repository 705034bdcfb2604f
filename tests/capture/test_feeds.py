"""Feeds: their states, their queues, and that the device is released on every way out."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.capture.scripted import PATIENCE, jpeg, picture, wait_until
from workbench.capture.feed import Feed, FeedError
from workbench.capture.frames import FeedState, Frame, Image, Pause
from workbench.capture.generated_feed import GeneratedFeed
from workbench.errors import InvalidFrameError


class Device:
    """A device that can be opened once at a time and must be released."""

    def __init__(self, count: int = 1_000_000) -> None:
        self.count = count
        self.is_open = False
        self.times_opened = 0
        self.hang = threading.Event()
        self.let_go = threading.Event()

    def frames(self) -> Iterator[Image | Pause]:
        assert not self.is_open
        self.is_open = True
        self.times_opened += 1
        try:
            for i in range(self.count):
                if self.hang.is_set():
                    self.let_go.wait()
                yield picture(i % 100)
                yield Pause(0.002)
        finally:
            self.is_open = False


def test_a_feed_of_ones_own_takes_ten_lines() -> None:
    released = []

    def microscope() -> Iterator[Image]:
        try:
            for level in range(5):
                yield np.full((24, 32, 3), level, np.uint8)
        finally:
            released.append(True)

    feed = Feed(microscope, name="microscope", patient=True)
    frames = feed.subscribe()
    feed.start()
    assert [(f.sequence, int(f.image[0, 0, 0])) for f in frames] == [(i, i) for i in range(5)]
    assert feed.state == FeedState("ended")
    assert released == [True]


def test_states_from_start_to_stop() -> None:
    device, seen = Device(), []
    feed = Feed(device.frames, name="device", stall_after=None)
    forget = feed.on_state(lambda state: seen.append(state.status))
    assert feed.state == FeedState("stopped")
    with feed:
        feed.start()  # twice does no harm
        wait_until(lambda: feed.latest is not None and feed.latest.sequence > 3)
        assert feed.frame_rate > 0
        assert device.is_open
    assert not device.is_open
    assert seen == ["opening", "live", "stopped"]
    forget()
    with feed:
        wait_until(lambda: feed.state.status == "live")
        assert feed.latest is not None
    assert device.times_opened == 2
    assert len(seen) == 3


def test_an_error_of_the_device_is_a_state_and_releases_it() -> None:
    released = []

    def broken() -> Iterator[Image]:
        try:
            yield picture()
            raise FeedError("the lens fell off; screw it on")
        finally:
            released.append(True)

    def of_wrong_type() -> Iterator[object]:
        yield np.zeros((4, 4), np.float32)

    feed = Feed(broken, name="broken")
    frames = feed.subscribe()
    feed.start()
    assert [frame.sequence for frame in frames] == [0]
    assert feed.state == FeedState("failed", "the lens fell off; screw it on")
    assert released == [True]
    other = Feed(of_wrong_type, name="wrong")  # type: ignore[arg-type]
    other.start()
    wait_until(lambda: other.state.status == "failed")
    assert "uint8" in other.state.why
    assert list(other.frames()) == []  # a feed that has failed keeps nobody waiting


def test_forgetting_a_feed_releases_the_device() -> None:
    device = Device()
    feed = Feed(device.frames, name="device")
    feed.start()
    wait_until(lambda: device.is_open)
    del feed
    gc.collect()
    wait_until(lambda: not device.is_open, "release on collection")


def test_somebody_who_wants_frames_keeps_the_feed_alive() -> None:
    device = Device()
    feed = Feed(device.frames, name="device")
    feed.start()
    frames = feed.frames()
    del feed
    gc.collect()
    assert frames.get(timeout=PATIENCE) is not None
    assert device.is_open
    frames.close()
    del frames
    gc.collect()
    wait_until(lambda: not device.is_open)


def test_the_end_of_the_interpreter_releases_the_device() -> None:
    script = """
import numpy as np
from workbench.capture.feed import Feed, Pause
def device():
    try:
        while True:
            yield np.zeros((8, 8, 3), np.uint8)
            yield Pause(0.01)
    finally:
        print("released", flush=True)
feed = Feed(device, name="device")
frames = feed.subscribe()
feed.start()
frames.get()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("released\n", "")


def test_a_read_that_hangs_stalls_the_feed_and_does_not_hold_up_stop() -> None:
    device = Device()
    feed = Feed(device.frames, name="device", stall_after=0.1, stalled_why="is it plugged in?")
    with feed:
        wait_until(lambda: feed.state.status == "live")
        device.hang.set()
        wait_until(lambda: feed.state.status == "stalled")
        assert "is it plugged in?" in feed.state.why
    assert feed.state.status == "stopped"  # although the read still hangs
    assert device.is_open
    device.let_go.set()
    wait_until(lambda: not device.is_open, "release when the driver lets go")


def test_a_stalled_feed_that_goes_on_is_live_again() -> None:
    device = Device()
    with Feed(device.frames, name="device", stall_after=0.1) as feed:
        wait_until(lambda: feed.state.status == "live")
        device.hang.set()
        wait_until(lambda: feed.state.status == "stalled")
        device.hang.clear()
        device.let_go.set()
        wait_until(lambda: feed.state == FeedState("live"))


def test_what_an_abandoned_run_still_gives_does_not_reach_the_next() -> None:
    gates = [threading.Event(), threading.Event()]
    runs = iter(range(2))

    def device() -> Iterator[Image]:
        run = next(runs)
        if run == 0:
            gates[0].wait()
        while not gates[1].is_set():
            yield picture(run)
            time.sleep(0.002)

    feed = Feed(device, name="slow to open")
    feed.start()
    thread = feed._thread
    assert thread is not None
    feed._hub.end(FeedState("stopped"))
    frames = feed.subscribe(1000)
    feed.start()
    assert frames.get(PATIENCE) is not None
    gates[0].set()  # the first run opens at last
    thread.join(PATIENCE)
    assert not thread.is_alive()
    later = [frames.get(PATIENCE) for _ in range(5)]
    gates[1].set()
    assert [frame and int(frame.image[1, 1, 0]) for frame in later] == [41] * 5


async def test_previews_skip_and_recordings_do_not() -> None:
    feed = GeneratedFeed(count=40, realtime=False, image_size=32)
    everything = feed.subscribe(capacity=3)
    preview = feed.frames()
    feed.start()
    recorded, shown = [], []
    half = asyncio.Event()

    async def watch() -> None:
        async for frame in preview:
            shown.append(frame.sequence)
            await half.wait()

    watching = asyncio.create_task(watch())
    async for frame in everything:
        recorded.append(frame.sequence)
        if frame.sequence == 20:
            half.set()
        assert len(everything) <= 3
    await watching
    assert recorded == list(range(40))
    assert everything.dropped == 0
    assert shown == sorted(set(shown))
    assert shown[-1] == 39
    assert len(shown) <= 22


def test_a_live_feed_drops_what_finds_no_room_and_counts_it() -> None:
    device = Device(count=50)
    feed = Feed(device.frames, name="device")
    frames = feed.subscribe(capacity=5)
    feed.start()
    wait_until(lambda: frames.ended)
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    assert frames.dropped == 45


def test_one_feed_serves_several_loops_and_threads() -> None:
    feed = GeneratedFeed(count=30, realtime=False, image_size=32)
    subscriptions = [feed.subscribe(capacity=2) for _ in range(4)]
    counts: list[int] = []

    async def with_async_for(index: int) -> int:
        return len([frame async for frame in subscriptions[index]])

    def in_a_loop(index: int) -> None:
        counts.append(asyncio.run(with_async_for(index)))

    threads = [threading.Thread(target=in_a_loop, args=(i,)) for i in range(3)]
    threads.append(threading.Thread(target=lambda: counts.append(len(list(subscriptions[3])))))
    for thread in threads:
        thread.start()
    feed.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert counts == [30] * 4


async def test_cancelling_who_waits_harms_nobody() -> None:
    feed = Feed(Device().frames, name="device")
    frames = feed.subscribe()
    waiting = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with feed:
        assert (await anext(frames)).sequence == 0


def test_nobody_waits_longer_than_asked() -> None:
    frames = Feed(Device().frames, name="device").frames()
    with pytest.raises(TimeoutError):
        frames.get(timeout=0.01)


def test_frames_decode_when_asked() -> None:
    image = picture(10)
    frame = Frame(None, 1.0, 2, encoded=jpeg(image))
    assert frame.pixels is None
    assert np.abs(frame.image.astype(int) - image).mean() < 3
    assert frame.pixels is frame.image
    with pytest.raises(InvalidFrameError, match="frame 3"):
        _ = Frame(None, 1.0, 3, encoded=b"\xff\xd8\xff").image
    with pytest.raises(ValueError, match="neither"):
        Frame(None, 1.0, 3)
