"""The value objects of versions: what one is, and how two of them differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from workbench.persistence.models import ImageKey, ImageMove

KEPT_AUTOMATIC = 20
"""So many of the versions that restoring makes by itself are kept, the newest."""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A named, immutable state of a dataset.

    Parameters
    ----------
    name : str
    created_at : datetime
        With time zone.
    note : str
        What whoever made it had to say.
    automatic : bool
        Whether it was made by itself, before another version was restored. Only the newest
        of these are kept, see `VersionStore.keep_version`.
    classes : list of str
    num_images, num_labelled : dict of str to int
        By split.
    digest : str
        Of the classes and of the bytes of all images and labels: two versions with one
        digest are the same data.
    serial : int
        Counts up from one version to the next, whatever the clock says; 0 for those that were
        made before versions were counted.
    """

    name: str
    created_at: datetime
    note: str
    automatic: bool
    classes: list[str]
    num_images: dict[str, int]
    num_labelled: dict[str, int]
    digest: str
    serial: int = 0


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """How many boxes of an image one state has and the other has not.

    A box that was moved or got another class counts as one removed and one added. Both
    counts are 0 where an unlabelled image became background, or the reverse, and where the
    label file differs in something else than its boxes.
    """

    split: str
    filename: str
    boxes_added: int
    boxes_removed: int


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """What is different in the second of two states of a dataset.

    Parameters
    ----------
    classes : (list of str, list of str)
        Of the first and of the second.
    added, removed, changed : list of (str, str)
        Images, as ``(split, filename)``; a changed one has other bytes.
    moved : list of ImageMove
        Images of the same bytes that are in another split.
    labels : list of LabelDifference
        For images that both have.
    unreadable : list of (str, str)
        Images whose label files differ and cannot be read.
    renamed : dict of str to str
        New name of each class that was renamed; that alone changes no boxes.
    """

    classes: tuple[list[str], list[str]]
    added: list[ImageKey]
    removed: list[ImageKey]
    changed: list[ImageKey]
    moved: list[ImageMove]
    labels: list[LabelDifference]
    unreadable: list[ImageKey] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def boxes_added(self) -> int:
        """Boxes that images which both have got."""
        return sum(difference.boxes_added for difference in self.labels)

    @property
    def boxes_removed(self) -> int:
        """Boxes that images which both have lost."""
        return sum(difference.boxes_removed for difference in self.labels)

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return self.classes[0] != self.classes[1] or any(
            (self.added, self.removed, self.changed, self.moved, self.labels, self.unreadable)
        )
