"""Video files and folders as feeds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.capture.scripted import jpeg, picture, wait_until
from workbench.capture.feed import Feed, FeedError
from workbench.capture.folder_feed import FolderFeed
from workbench.capture.video_feed import Sampling, VideoFeed
from workbench.errors import NotFoundError


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames at 10 per second; the grey level tells the number, and jumps at 20."""
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(40):
        level = 2 * number + (100 if number >= 20 else 0)
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


def numbers(feed: Feed) -> list[int]:
    frames = feed.subscribe()
    feed.start()
    return [frame.sequence for frame in frames]


def test_all_frames_in_order_with_their_times(video: Path) -> None:
    feed = VideoFeed(video, realtime=False)
    assert (feed.facts.width, feed.facts.height, feed.facts.fps) == (64, 48, 10)
    assert (feed.facts.frame_count, feed.facts.seconds) == (40, 4)
    frames = feed.subscribe(capacity=2)
    feed.start()
    seen = list(frames)
    assert [frame.sequence for frame in seen] == list(range(40))
    assert [frame.image.mean() for frame in seen] == pytest.approx(
        [2 * i + (100 if i >= 20 else 0) for i in range(40)], abs=1.5
    )
    assert seen[30].time - seen[0].time == pytest.approx(3.0)
    assert feed.state.status == "ended"


def test_sampling(video: Path) -> None:
    def sampled(sampling: Sampling) -> list[int]:
        return numbers(VideoFeed(video, sampling=sampling, realtime=False))

    assert sampled(Sampling(every=7)) == [0, 7, 14, 21, 28, 35]
    assert sampled(Sampling(per_second=2)) == [0, 5, 10, 15, 20, 25, 30, 35]
    assert len(sampled(Sampling(per_second=3))) == 12
    assert sampled(Sampling(per_second=50)) == list(range(40))
    assert sampled(Sampling(scene_change=50)) == [0, 20]
    assert sampled(Sampling(every=3, scene_change=50)) == [0, 21]
    for bad in ({"every": 0}, {"per_second": 0}, {"every": 2, "per_second": 1}):
        with pytest.raises(ValueError, match="expected"):
            Sampling(**bad)


def test_halt_step_and_seek(video: Path) -> None:
    feed = VideoFeed(video, sampling=Sampling(every=5), realtime=False)
    feed.playback.pause()
    feed.seek(1.2)
    frames = feed.subscribe()
    with feed:

        def next_number() -> int:
            frame = frames.get(10)
            assert frame is not None
            # What is seen is what the number says, also after a jump.
            level = 2 * frame.sequence + (100 if frame.sequence >= 20 else 0)
            assert abs(frame.image.mean() - level) < 2
            return frame.sequence

        assert next_number() == 12
        feed.playback.step()
        assert next_number() == 13  # sampling is for playing
        feed.playback.step(-4)
        assert next_number() == 9
        feed.seek(3.7)
        assert next_number() == 37
        feed.playback.step(-100)
        assert next_number() == 0
        wait_until(lambda: feed.playback.position == 0)
        assert len(frames) == 0
        feed.playback.play()
        assert [frame.sequence for frame in frames] == [5, 10, 15, 20, 25, 30, 35]


def test_at_its_own_speed_it_is_not_faster(video: Path) -> None:
    feed = VideoFeed(video, sampling=Sampling(every=4))
    frames = feed.subscribe()
    feed.start()
    list(frames)
    assert 0 < feed.frame_rate <= 2.6  # 10 a second, each fourth; never too fast


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"clip\.mp4: no such video"):
        VideoFeed(tmp_path / "clip.mp4")
    (tmp_path / "clip.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(FeedError, match=r"clip\.mp4.*convert it"):
        VideoFeed(tmp_path / "clip.mp4")


def test_a_folder_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = jpeg(picture(3))
    (tmp_path / "b.jpg").write_bytes(data)
    (tmp_path / "c.jpg").write_bytes(b"")
    (tmp_path / "d.txt").write_text("no image")
    cv2.imwrite(str(tmp_path / "a.png"), picture(1))
    cv2.imwrite(str(tmp_path / "e.png"), picture(9))
    (tmp_path / "f.png").write_bytes(b"damaged")
    feed = FolderFeed(tmp_path)
    frames = feed.subscribe()
    feed.start()
    a, b, c, e = frames
    assert [f.sequence for f in (a, b, c, e)] == [0, 1, 2, 3]
    assert (a.image == picture(1)).all()
    assert a.encoded is None
    assert b.encoded == data
    assert "f.png" in caplog.text
    assert numbers(FolderFeed(tmp_path, every=3)) == [0, 3]
    seeking = FolderFeed(tmp_path)
    seeking.seek(3)
    assert numbers(seeking) == [3]
    with pytest.raises(NotFoundError, match="no such folder"):
        FolderFeed(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="no images"):
        FolderFeed(tmp_path / "empty")
