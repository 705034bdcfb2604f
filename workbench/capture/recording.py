"""One burst under way, and what has come out of all of them."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field

from workbench.capture.events import ImageSaved
from workbench.capture.feed import Feed
from workbench.capture.hub import Subscription
from workbench.capture.settings import CaptureSettings
from workbench.capture.similarity import Thumbnail
from workbench.capture.triggers import Wants


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
