"""Pause, step and seek in video files and folders of pictures."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """What the player of a file has to do next.

    Parameters
    ----------
    position : int or None
        Go to this frame first.
    show : bool
        Whether to show a frame now; False while halted.
    exactly : bool
        Whether the user asked for just this frame, so that no sampling may skip it.
    """

    position: int | None
    show: bool
    exactly: bool


class Playback:
    """What the user wants of a player, kept apart from the feed that the user holds.

    Any thread may give orders; the thread that plays asks for them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused = False
        self._steps = 0
        self._seek: int | None = None
        self._position = -1

    @property
    def position(self) -> int:
        """Number of the frame that was shown last, from 0; -1 before the first."""
        return self._position

    @property
    def paused(self) -> bool:
        """Whether playing is halted."""
        return self._paused

    def pause(self) -> None:
        """Halt at the frame that is shown."""
        with self._lock:
            self._paused = True

    def play(self) -> None:
        """Go on."""
        with self._lock:
            self._paused, self._steps = False, 0

    def step(self, frames: int = 1) -> None:
        """Halt, and show the frame that is so many after (or before, if negative) this one."""
        with self._lock:
            self._paused = True
            if frames > 0 and self._seek is None:
                self._steps += frames
            else:
                base = self._position if self._seek is None else self._seek
                self._seek, self._steps = max(0, base + frames), 1

    def seek(self, frame: int) -> None:
        """Go to a frame and show it, also while halted."""
        if frame < 0:
            raise ValueError(f"seek: expected a position from 0 on, found {frame}")
        with self._lock:
            self._seek, self._steps = frame, 1

    def rewind(self) -> None:
        """Begin at the first frame if the last run came to its end and nobody sought since."""
        with self._lock:
            if self._seek is None:
                self._position = -1

    def next_order(self) -> Order:
        """Return what to do, and count it as done."""
        with self._lock:
            position, self._seek = self._seek, None
            exactly = self._steps > 0
            if exactly:
                self._steps -= 1
            return Order(position, exactly or not self._paused, exactly)

    def shown(self, position: int) -> None:
        """Note which frame was shown."""
        self._position = position
