"""The value objects of datasets, and of what is made of a whole one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from workbench.persistence.basic_models import SPLITS


def _no_images() -> dict[str, int]:
    return dict.fromkeys(SPLITS, 0)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What a dataset is called, where it lies and what is in it.

    Parameters
    ----------
    name : str
    path : Path
        Its folder, the one that holds ``data.yaml``.
    classes : list of str
        Class names; the position is the class id.
    num_images : dict of str to int
        Number of images by split.
    created_at, modified_at : datetime or None
        With time zone. The second is the last change of an image, a label or the classes.
    problem : str
        Why the dataset cannot be read, and what to do about it; nothing else is known of it
        then. Empty: all is well.
    colours : list of str
        The colour of each class that has one of its own, such as ``#ff8800``; empty for the
        others, which are drawn in the colour that belongs to their id. Empty if none has one.
    """

    name: str
    path: Path
    classes: list[str]
    num_images: dict[str, int] = field(default_factory=_no_images)
    created_at: datetime | None = None
    modified_at: datetime | None = None
    problem: str = ""
    colours: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportedDataset(DatasetInfo):
    """A dataset that was just imported, with what the import has to report.

    Parameters
    ----------
    notes : list of str
        One sentence for each thing that was dropped, skipped or changed on the way in.
    """

    notes: list[str] = field(default_factory=list)


def with_notes(info: DatasetInfo, notes: Sequence[str]) -> ImportedDataset:
    """Return the facts of a dataset together with what its import has to report."""
    return ImportedDataset(
        name=info.name,
        path=info.path,
        classes=info.classes,
        num_images=info.num_images,
        created_at=info.created_at,
        modified_at=info.modified_at,
        colours=info.colours,
        notes=list(notes),
    )


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What `DatasetStore.import_zip` accepts before it refuses an archive as a bomb.

    Parameters
    ----------
    max_total_bytes : int
        Unpacked size of all members together.
    max_ratio : float
        Unpacked over packed size, judged over the whole archive and for each member
        larger than 1 MB.
    max_members : int
    """

    max_total_bytes: int = 500 * 2**30
    max_ratio: float = 100.0
    max_members: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen view of a dataset in a folder of its own, for a training run.

    Parameters
    ----------
    path : Path
        The folder.
    data_yaml : Path
    num_images, num_labelled : dict of str to int
        By split.
    digest : str
        Of the classes and every label's bytes and image's name, size and split: two
        snapshots with one digest trained on the same labels.
    """

    path: Path
    data_yaml: Path
    num_images: dict[str, int]
    num_labelled: dict[str, int]
    digest: str
