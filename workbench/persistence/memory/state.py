"""What the in-memory stores share: the datasets and models of one `create_memory_stores`."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.history import Record, new_edit
from workbench.persistence.models import SPLITS, DatasetInfo, ImageInfo, TrashEntry
from workbench.persistence.rules import no_same_stem
from workbench.persistence.stamps import Stamp
from workbench.persistence.storage import Storage, Writer
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores import history_log, suggestion_log
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.stores.side_data import read_tags, tags_written
from workbench.persistence.tags import Tags
from workbench.persistence.version_models import VersionInfo
from workbench.persistence.versions import Contents
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import check_name, stem

Key = tuple[str, str]
"""Split, and file name of an image or stem of a label."""

NOWHERE = Path("/memory")
"""Parent of the paths that the value objects carry; nothing is there."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An encoded image and the time at which it was stored."""

    data: bytes
    modified_at: float


class LabelFiles(dict[Key, bytes]):
    """Label files' bytes, and when each was written.

    Attributes
    ----------
    modified_ns : dict
        Nanoseconds since the epoch, by the same key; no two alike, however coarse the clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.modified_ns: dict[Key, int] = {}
        self._last = 0

    def __setitem__(self, key: Key, data: bytes) -> None:
        self._last = max(time.time_ns(), self._last + 1)
        self.modified_ns[key] = self._last
        super().__setitem__(key, data)


@dataclass(slots=True)
class Dataset:
    """One dataset. Label files are kept as bytes, so that both implementations read them alike."""

    classes: list[str]
    created_at: datetime
    modified_at: datetime
    extra: dict[str, object] = field(default_factory=dict)
    prompts: dict[int, list[str]] = field(default_factory=dict)
    images: dict[Key, StoredImage] = field(default_factory=dict)
    labels: LabelFiles = field(default_factory=LabelFiles)
    rewrites: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, tuple[VersionInfo, Contents]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    cache: dict[str, bytes] = field(default_factory=dict)
    trash: dict[str, tuple[TrashEntry, StoredImage | None, bytes | None]] = field(
        default_factory=dict
    )
    storage: MemoryStorage = field(default_factory=MemoryStorage)
    # What came in the place of a replaced image: its name and the digest of its bytes.
    replaced: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def yaml(self) -> DataYaml:
        """What ``data.yaml`` would say."""
        return DataYaml(self.classes, self.extra)

    @property
    def tags(self) -> dict[str, list[str]]:
        """File names by tag."""
        return read_tags(self.storage)

    @tags.setter
    def tags(self, tags: Tags) -> None:
        self.storage.commit([tags_written(tags)])

    @property
    def history(self) -> list[Record]:
        """What has changed in the labels, oldest first, with the class ids of the time."""
        return history_log.read_as_written(self.storage)

    def note(self, records: Iterable[Record]) -> None:
        """Append to the history."""
        self.storage.commit(history_log.noted(self.storage, records))

    def set_labels(self, split: str, filename: str, data: bytes | None, what: str = "") -> None:
        """Replace an image's label file (None removes it) and note it in the history."""
        key = split, stem(filename)
        old = self.labels.get(key)
        if data is None:
            self.labels.pop(key, None)
        else:
            self.labels[key] = data
        if data != old:
            self.note([new_edit(split, filename, old, data, what)])

    def require_image(self, name: str, split: str, filename: str) -> StoredImage:
        """Return an image that exists, or raise `NotFoundError`."""
        image = self.images.get((split, filename))
        if image is None:
            raise NotFoundError(f"{name}: no image {filename!r} in {split}")
        return image

    def require_free(self, name: str, split: str, filename: str) -> None:
        """Make sure that an image may get this name."""
        if (split, filename) in self.images:
            raise AlreadyExistsError(f"{name}: {split} has an image {filename!r} already")
        self.require_free_stem(split, filename)

    def require_free_stem(self, split: str, filename: str) -> None:
        """Make sure that no other image would share the label file of `filename`."""
        for other_split, other in self.images:
            if other_split == split and other != filename and stem(other) == stem(filename):
                raise no_same_stem(filename, other, split)

    def stamp(self) -> Stamp:
        """Return a stamp that differs after each change; to look at everything is cheap here."""
        return Stamp(
            images=_digest(
                *sorted((key, image.modified_at) for key, image in self.images.items()),
                *sorted(self.trash),
            ),
            labels=_digest(*sorted(self.labels.modified_ns[key] for key in self.labels)),
            classes=_digest(self.classes, self.extra),
            tags=_digest(self.tags),
            versions=_digest(*self.versions),
            suggestions=suggestion_log.revision(self.storage),
        )

    def names(self, split: str) -> list[str]:
        """Return the names of a split's images, sorted."""
        return sorted(filename for where, filename in self.images if where == split)

    def info(self, name: str) -> DatasetInfo:
        """Return what the dataset holds."""
        return DatasetInfo(
            name=name,
            path=NOWHERE / name,
            classes=list(self.classes),
            num_images={split: len(self.names(split)) for split in SPLITS},
            created_at=self.created_at,
            modified_at=self.modified_at,
        )

    def image_info(self, name: str, split: str, filename: str) -> ImageInfo:
        """Return an image's facts as a listing has them, without width and height."""
        image = self.require_image(name, split, filename)
        return ImageInfo(
            filename=filename,
            split=split,
            path=NOWHERE / name / "images" / split / filename,
            size_bytes=len(image.data),
            has_labels=(split, stem(filename)) in self.labels,
            modified_at=image.modified_at,
        )


def _digest(*values: object) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class State(DatasetPlaces):
    """All datasets of one set of stores, with the lock that guards them."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    trash: dict[str, tuple[TrashEntry, Dataset]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def reading(self, name: str) -> Iterator[tuple[str, Dataset]]:
        """Yield a dataset and its name as it is stored; raises `NotFoundError`."""
        name = check_name(name, "dataset name")
        with self.lock:
            if name not in self.datasets:
                raise NotFoundError(f"dataset {name!r} is not in memory")
            yield name, self.datasets[name]

    @contextmanager
    def writing(self, name: str) -> Iterator[tuple[str, Dataset]]:
        """Yield a dataset to change; its time of change is noted if the block ends well."""
        with self.reading(name) as (name, dataset):
            yield name, dataset
            dataset.modified_at = datetime.now(UTC)

    def storage(self, name: str) -> Storage:
        """See `DatasetPlaces.storage`."""
        with self.reading(name) as (_, dataset):
            return dataset.storage

    @contextmanager
    def changing(self, name: str) -> Iterator[tuple[Storage, Writer]]:
        """See `DatasetPlaces.changing`."""
        with self.writing(name) as (_, dataset), dataset.storage.lease() as writer:
            yield dataset.storage, writer

    def require_free(self, name: str) -> None:
        """Make sure that no dataset has this name."""
        if name in self.datasets:
            raise AlreadyExistsError(f"dataset {name!r} exists already; choose another name")
