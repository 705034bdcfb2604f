"""What a capture controller tells: its status, and what just happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.persistence.models import ImageInfo


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """Everything there is to show at one moment.

    Parameters
    ----------
    recording : bool
        Whether frames are being taken, or will be when the countdown is over.
    saving : bool
        Whether something is under way: a recording, or frames that wait to be saved.
    burst : str
        The burst that is being recorded, or was last.
    split, class_name : str
        Of that burst.
    saved : int
        Images of this session that are on disk.
    undone : int
        Images that were moved to the trash and can be brought back.
    by_split, by_class : mapping of str to int
        The same, by split, and by the class that was named (those with none are left out).
    in_dataset : mapping of str to int
        Images in the dataset by split, those included.
    similar : int
        Frames that were skipped because they looked like the one before.
    blurred : int
        Saved images that are flagged as blurred.
    damaged : int
        Frames that turned out to be no image.
    dropped : int
        Frames that came faster than they could be saved, and were let go at the preview.
    waiting, capacity : int
        Frames in the queue, and how many fit.
    failure : str
        Why capture has stopped, with the remedy; empty while all is well.
    """

    recording: bool = False
    saving: bool = False
    burst: str = ""
    split: str = ""
    class_name: str = ""
    saved: int = 0
    undone: int = 0
    by_split: Mapping[str, int] = field(default_factory=dict)
    by_class: Mapping[str, int] = field(default_factory=dict)
    in_dataset: Mapping[str, int] = field(default_factory=dict)
    similar: int = 0
    blurred: int = 0
    damaged: int = 0
    dropped: int = 0
    waiting: int = 0
    capacity: int = 1
    failure: str = ""

    @property
    def slow(self) -> bool:
        """Whether the disk is slower than the feed: frames pile up."""
        return self.waiting * 2 > self.capacity


@dataclass(frozen=True, slots=True)
class Countdown:
    """So many whole seconds are left; 0: now."""

    seconds: int


@dataclass(frozen=True, slots=True)
class BurstBegan:
    """A recording takes frames from now on."""

    burst: str
    split: str


@dataclass(frozen=True, slots=True)
class BurstEnded:
    """A recording is over and its frames are saved."""

    burst: str
    saved: int


@dataclass(frozen=True, slots=True)
class ImageSaved:
    """An image is on disk, durably.

    Parameters
    ----------
    info : ImageInfo
    burst : str
    sequence : int
        Of the frame in its feed.
    captured_at : float
        Time of the frame, in seconds since the epoch.
    sharpness : float
        See `workbench.capture.similarity.sharpness`.
    blurred : bool
        Whether that is below the limit.
    class_name : str
        What was said to be on it; may be empty.
    num_boxes : int
        Boxes that a model found and that were saved as labels.
    """

    info: ImageInfo
    burst: str
    sequence: int
    captured_at: float
    sharpness: float
    blurred: bool
    class_name: str = ""
    num_boxes: int = 0


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The numbers have changed; sent after the other events, at most once for each batch."""

    status: CaptureStatus


@dataclass(frozen=True, slots=True)
class CaptureFailed:
    """Capture has stopped; everything that was told as saved is intact."""

    message: str


CaptureEvent = Countdown | BurstBegan | BurstEnded | ImageSaved | StatusChanged | CaptureFailed
