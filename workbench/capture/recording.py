"""A recording that runs, and the counts of all recordings of a controller."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from workbench.capture.events import ImageSaved
from workbench.capture.feed import Feed
from workbench.capture.frames import Frame
from workbench.capture.hub import Subscription
from workbench.capture.names import image_name
from workbench.capture.settings import CaptureSettings
from workbench.capture.similarity import Thumbnail, difference, sharpness, thumbnail
from workbench.capture.triggers import Wants
from workbench.errors import InvalidFrameError


@dataclass(frozen=True, slots=True)
class Chosen:
    """A frame that shall become an image.

    Parameters
    ----------
    frame : Frame
    filename : str
    sharpness : float
    """

    frame: Frame
    filename: str
    sharpness: float


class Skipped(Enum):
    """Why a frame does not become an image."""

    NOT_DUE = auto()
    SIMILAR = auto()
    DAMAGED = auto()


@dataclass(slots=True, eq=False)
class Recording:
    """One burst under way, from its countdown to its last image on disk."""

    settings: CaptureSettings
    feed: Feed
    burst: str
    wants: Wants
    until: int | None
    starts_at: float
    is_shot: bool
    split: str = ""
    subscription: Subscription | None = None
    told: int | None = None
    taken: int = 0
    saved: int = 0
    last_kept: Thumbnail | None = None
    finished: bool = False

    @property
    def full(self) -> bool:
        """Whether it has as many frames as were asked for."""
        return self.until is not None and self.taken >= self.until

    @property
    def seconds_left(self) -> int:
        """Whole seconds of the countdown that are left."""
        return max(0, math.ceil(self.starts_at - time.monotonic()))

    @property
    def can_go_on(self) -> bool:
        """Whether there is something to do for it now."""
        if self.finished:
            return True
        if self.subscription is not None:
            return len(self.subscription) > 0 or self.subscription.ended
        return self.seconds_left != self.told

    def choose(self, frame: Frame) -> Chosen | Skipped:
        """Give a frame its name if its moment has come and it shows something new."""
        if self.full:
            return Skipped.NOT_DUE
        try:
            small = thumbnail(frame)
            if not self.wants(frame, small):
                return Skipped.NOT_DUE
            if self._is_known(small):
                return Skipped.SIMILAR
            sharp = sharpness(frame)
        except InvalidFrameError:
            return Skipped.DAMAGED
        self.last_kept = small
        self.taken += 1
        return Chosen(frame, image_name(self.burst, self.taken, self.settings.extension), sharp)

    def _is_known(self, small: Thumbnail) -> bool:
        if self.last_kept is None:
            return False
        return difference(small, self.last_kept) < self.settings.min_difference


@dataclass(slots=True)
class Tally:
    """What has come out so far."""

    by_split: Counter[str] = field(default_factory=Counter)
    by_class: Counter[str] = field(default_factory=Counter)
    in_dataset: Counter[str] = field(default_factory=Counter)
    saved: int = 0
    similar: int = 0
    blurred: int = 0
    damaged: int = 0
    dropped: int = 0

    def count(self, image: ImageSaved, sign: int) -> None:
        """Count an image that was saved (1) or taken back (-1)."""
        split = image.info.split
        self.saved += sign
        self.by_split[split] += sign
        self.in_dataset[split] += sign
        self.blurred += sign * image.blurred
        if image.class_name:
            self.by_class[image.class_name] += sign
