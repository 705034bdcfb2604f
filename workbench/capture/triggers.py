"""When to take a picture while recording: at a rate, at intervals, or when something moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.capture.frames import Frame
from workbench.capture.similarity import Thumbnail, difference

Wants = Callable[[Frame, Thumbnail], bool]
"""Asked for each frame in turn: whether its moment has come."""

_FOLLOW = 0.2
"""How fast the background follows the frames, so that slow changes of light are no motion."""


@dataclass(frozen=True, slots=True)
class Every:
    """At a rate, measured by the frames' own times; for bursts and time lapses.

    Parameters
    ----------
    seconds : float
        From one picture to the next; 0: every frame.
    """

    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"seconds: expected 0 or more, found {self.seconds}")

    @classmethod
    def rate(cls, per_second: float) -> Every:
        """Return the trigger for so many pictures a second."""
        if not per_second > 0:
            raise ValueError(f"rate: expected more than 0 pictures a second, found {per_second}")
        return cls(1 / per_second)

    def begin(self) -> Wants:
        """Return the question to ask for each frame of a recording."""
        period = self.seconds
        due: float | None = None
        previous = 0.0

        def wants(frame: Frame, thumbnail: Thumbnail) -> bool:
            nonlocal due, previous
            spacing, previous = frame.time - previous, frame.time
            # On the beat, so that the rate is met in the long run. After a gap, or where
            # somebody wound the video back, a new beat begins.
            if due is None or not due - 1.5 * period <= frame.time <= due + period:
                due = frame.time
            # No camera is exact: the frame that is nearest to the beat, not the first after it.
            if frame.time < due - min(max(spacing, 0.0), period) / 2:
                return False
            due += period
            return True

        return wants


@dataclass(frozen=True, slots=True)
class Motion:
    """When the picture differs from what was there before.

    Parameters
    ----------
    threshold : float
        Mean difference of grey values, 0..255, from which on something counts as moving.
    seconds : float
        From one picture to the next, at least.
    """

    threshold: float = 4.0
    seconds: float = 0.5

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"threshold: expected more than 0, found {self.threshold}")
        if not self.seconds >= 0:
            raise ValueError(f"seconds: expected 0 or more, found {self.seconds}")

    def begin(self) -> Wants:
        """Return the question to ask for each frame of a recording."""
        background: Thumbnail | None = None
        last = float("-inf")

        def wants(frame: Frame, thumbnail: Thumbnail) -> bool:
            nonlocal background, last
            if background is None:
                background = thumbnail
                return False
            moved = difference(thumbnail, background) >= self.threshold
            background = background + _FOLLOW * (thumbnail - background)
            if not moved or frame.time < last + self.seconds:
                return False
            last = frame.time
            return True

        return wants


Trigger = Every | Motion
