"""The feed on which a browser's camera is built."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from tests.capture.scripted import jpeg, picture, wait_until
from workbench.capture.frames import FeedState
from workbench.capture.push_feed import PushFeed
from workbench.errors import InvalidFrameError


def test_a_preview_is_acknowledged_at_once_and_a_recording_when_it_is_taken() -> None:
    acknowledged: list[int] = []
    feed = PushFeed(window=3, acknowledge=acknowledged.append)
    assert not feed.push(picture())  # nobody has started it
    feed.start()
    assert feed.state.status == "opening"
    with feed.frames() as preview:
        assert feed.push(picture(), sequence=10)
        assert acknowledged == [10]
        assert feed.state == FeedState("live")
        recording, another = feed.subscribe(), feed.subscribe()
        assert [feed.push(picture(), sequence=i) for i in (11, 12, 13, 14)] == [True] * 3 + [False]
        assert (acknowledged, feed.unacknowledged, feed.refused) == ([10], 3, 1)
        assert [frame.sequence for frame in recording.take(2)] == [11, 12]
        assert acknowledged == [10]  # one recording has not seen them
        another.take(1)
        assert acknowledged == [10, 11]
        another.close()
        assert acknowledged == [10, 11, 12]
        assert feed.push(picture(), sequence=15)
        assert recording.dropped == 0
        feed.stop()
        assert [frame.sequence for frame in recording] == [13, 15]
        assert acknowledged == [10, 11, 12, 13, 15]
        assert preview.get() is not None
        assert preview.get() is None


def test_a_jpeg_stays_as_it_is() -> None:
    feed = PushFeed()
    feed.start()
    data = jpeg(picture())
    assert feed.push(memoryview(data), time=12.5, sequence=0)
    assert feed.latest is not None
    assert (feed.latest.encoded, feed.latest.time, feed.latest.pixels) == (data, 12.5, None)
    with pytest.raises(InvalidFrameError, match="expected a JPEG"):
        feed.push(b"\x89PNG")
    with pytest.raises(InvalidFrameError, match="uint8"):
        feed.push(np.zeros((2, 2, 3)))  # type: ignore[arg-type]
    assert feed.unacknowledged == 0
    feed.stop()


def test_frames_out_of_order_are_refused() -> None:
    feed = PushFeed()
    feed.start()
    assert feed.push(picture(), sequence=5)
    assert not feed.push(picture(), sequence=5)
    assert not feed.push(picture(), sequence=4)
    assert feed.push(picture())
    assert feed.latest is not None
    assert feed.latest.sequence == 6
    feed.stop()
    assert not feed.push(picture())
    feed.start()
    assert feed.push(picture(), sequence=0)
    feed.stop()


def test_silence_is_a_stall_and_the_sender_may_say_why() -> None:
    feed = PushFeed(stall_after=0.05)
    seen: list[FeedState] = []
    feed.on_state(seen.append)
    feed.start()
    feed.push(picture())
    wait_until(lambda: feed.state.status == "stalled")
    assert "page still open" in feed.state.why
    seen.clear()
    feed.push(picture())
    assert seen[0] == FeedState("live")
    feed.stall("the tab is in the background; bring it to the front")
    assert feed.state == FeedState("stalled", "the tab is in the background; bring it to the front")
    frames = feed.frames()
    feed.end()
    assert feed.state == FeedState("ended")
    assert list(frames) == []


def test_a_failure_before_the_first_frame_is_told() -> None:
    feed = PushFeed()
    feed.fail("permission denied: allow the camera in the address bar")
    assert feed.state.status == "failed"
    assert "address bar" in feed.state.why
    feed.start()
    assert feed.state.status == "opening"
    feed.stop()


def test_a_forgotten_feed_goes() -> None:
    feed = PushFeed()
    feed.start()
    feed.push(picture())
    gone = weakref.ref(feed)
    del feed
    gc.collect()
    assert gone() is None
