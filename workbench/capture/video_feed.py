"""A video file as a feed: play, pause, step, seek, and sample."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from workbench.capture.feed import Feed, FeedError
from workbench.capture.frames import Frame, Pause
from workbench.capture.playback import Playback
from workbench.capture.similarity import Thumbnail, difference, thumbnail
from workbench.errors import NotFoundError

_HALTED = Pause(0.02)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video to take while it plays.

    Parameters
    ----------
    every : int
        Each so many frames, one.
    per_second : float or None
        So many frames for each second of the video.
    scene_change : float or None
        Only frames whose thumbnail differs from the last taken one by at least this mean
        grey value, 0..255; 20 finds cuts, 5 also slow changes. The first is always taken.
    """

    every: int = 1
    per_second: float | None = None
    scene_change: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: expected 1 or more, found {self.every}")
        if self.per_second is not None and not self.per_second > 0:
            raise ValueError(f"per_second: expected more than 0, found {self.per_second}")
        if self.every > 1 and self.per_second is not None:
            raise ValueError("expected every or per_second, found both")


ALL_FRAMES = Sampling()


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What the header of a video says.

    Parameters
    ----------
    path : Path
    width, height : int
        Pixels.
    fps : float
    frame_count : int
        0 where the file does not say.
    """

    path: Path
    width: int
    height: int
    fps: float
    frame_count: int

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frame_count / self.fps


class VideoFeed(Feed):
    """The frames of a video file.

    Nothing of it is lost: a consumer that is slower than the file holds it up. The sequence
    number of a frame is its number in the file, from 0; its time is when the feed was
    started plus its place in the video.

    Parameters
    ----------
    path : Path or str
    sampling : Sampling
        Which frames to give while it plays; stepping and seeking show any frame.
    realtime : bool
        Whether to play at the video's own speed, or as fast as consumers take the frames.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FeedError
        If OpenCV cannot read it.
    """

    def __init__(
        self, path: Path | str, *, sampling: Sampling = ALL_FRAMES, realtime: bool = True
    ) -> None:
        self.facts = video_facts(path)
        self.playback = Playback()
        super().__init__(
            partial(_frames, self.facts, sampling, realtime, self.playback),
            name=self.facts.path.name,
            patient=True,
            stall_after=None,
        )

    def seek(self, seconds: float) -> None:
        """Go to a place in the video; a feed that is not running starts there next."""
        self.playback.seek(round(seconds * self.facts.fps))


def video_facts(path: Path | str) -> VideoFacts:
    """Read the header of a video file; raises as `VideoFeed` does."""
    import cv2

    path = Path(path).expanduser()
    capture = _open(path)
    try:
        fps = capture.get(cv2.CAP_PROP_FPS)
        return VideoFacts(
            path,
            width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            fps=fps if fps > 0 else 25.0,
            frame_count=max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
        )
    finally:
        capture.release()


def _open(path: Path) -> Any:
    import cv2

    if not path.is_file():
        raise NotFoundError(f"{path}: no such video file; check the path")
    capture = cv2.VideoCapture(str(path), cv2.CAP_ANY)
    if not capture.isOpened():
        capture.release()
        raise FeedError(
            f"{path}: this is no video that OpenCV {cv2.__version__} can read; convert it, for "
            "instance with `ffmpeg -i in out.mp4`"
        )
    return capture


def _frames(
    facts: VideoFacts, sampling: Sampling, realtime: bool, playback: Playback
) -> Iterator[Frame | Pause]:
    import cv2

    capture = _open(facts.path)
    try:
        started, sampler, pace = time.time(), _Sampler(sampling, facts.fps), _Pace()
        playback.rewind()
        index = 0
        while True:
            order = playback.next_order()
            if order.position is not None:
                index = order.position
                capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            if not order.show:
                pace.restart()
                yield _HALTED
                continue
            if not capture.grab():
                return
            number, index = index, index + 1
            # Finding and skipping a frame costs far less than converting it.
            if not order.exactly and not sampler.wants(number):
                continue
            good, image = capture.retrieve()
            seconds = number / facts.fps
            frame = Frame(image, started + seconds, number) if good else None
            if frame is None or (not order.exactly and not sampler.wants_scene(frame)):
                continue
            if realtime and (wait := pace.wait_for(seconds)) > 0:
                yield Pause(wait)
            playback.shown(number)
            yield frame
    finally:
        capture.release()


class _Sampler:
    """Decides frame by frame, in the order of the file."""

    def __init__(self, sampling: Sampling, fps: float) -> None:
        self._sampling = sampling
        self._fps = fps
        self._last_slot: int | None = None
        self._last_scene: Thumbnail | None = None

    def wants(self, number: int) -> bool:
        """Whether a frame's turn has come, by its number."""
        if self._sampling.per_second is None:
            return number % self._sampling.every == 0
        # The first frame of each slot of time: exact in the long run for any pair of rates.
        slot = int((number + 1e-6) * self._sampling.per_second / self._fps)
        if slot == self._last_slot:
            return False
        self._last_slot = slot
        return True

    def wants_scene(self, frame: Frame) -> bool:
        """Whether a frame shows something new."""
        if self._sampling.scene_change is None:
            return True
        now = thumbnail(frame)
        if (
            self._last_scene is not None
            and difference(now, self._last_scene) < self._sampling.scene_change
        ):
            return False
        self._last_scene = now
        return True


class _Pace:
    """Holds frames back until their time has come."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0

    def restart(self) -> None:
        """Show the next frame at once."""
        self._offset = None

    def wait_for(self, seconds: float) -> float:
        """Return how long to wait for the frame at this place of the video."""
        now = time.monotonic()
        # After a jump, or where consumers held us up for long, count from here.
        if self._offset is None or not 0 <= seconds - self._last < 1 or now - self._due() > 1:
            self._offset = now - seconds
        self._last = seconds
        return max(0.0, self._due() - now)

    def _due(self) -> float:
        assert self._offset is not None
        return self._offset + self._last
