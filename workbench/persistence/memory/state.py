"""What the in-memory stores share: the datasets and models of one `create_memory_stores`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.history import Record
from workbench.persistence.models import SPLITS, DatasetInfo, TrashEntry
from workbench.persistence.stamps import Stamp
from workbench.persistence.storage import Remove, Write, Writer
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores import history_log, suggestion_log, trash
from workbench.persistence.stores.dataset import DATA_YAML, image_key
from workbench.persistence.stores.dataset import Dataset as StoredDataset
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.stores.side_data import (
    prompts_written,
    read_prompts,
    read_tags,
    tags_written,
)
from workbench.persistence.stores.version_files import VERSIONS
from workbench.persistence.tags import Tags
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import check_name

Key = tuple[str, str]
"""Split, and file name of an image or stem of a label."""

NOWHERE = Path("/memory")
"""Parent of the paths that the value objects carry; nothing is there."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An encoded image and the time at which it was stored."""

    data: bytes
    modified_at: float


T = TypeVar("T")


class Images(MutableMapping[Key, StoredImage]):
    """The images of a dataset by split and name; they lie in its storage, as all else does."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def __getitem__(self, key: Key) -> StoredImage:
        path = image_key(*key)
        head = self._storage.head(path)
        if head is None:
            raise KeyError(key)
        return StoredImage(self._storage.read(path), int(head.stamp) / 1e9)

    def __contains__(self, key: object) -> bool:
        match key:
            case (str(split), str(filename)):
                return self._storage.head(image_key(split, filename)) is not None
        return False

    def __setitem__(self, key: Key, image: StoredImage) -> None:
        self._storage.commit([Write(image_key(*key), image.data)])

    def __delitem__(self, key: Key) -> None:
        if key not in self:
            raise KeyError(key)
        self._storage.commit([Remove(image_key(*key))])

    def __iter__(self) -> Iterator[Key]:
        for split in SPLITS:
            for name in self._storage.names(f"images/{split}"):
                yield split, name

    def __len__(self) -> int:
        return sum(1 for _ in self)


class LabelFiles(MutableMapping[Key, bytes]):
    """The bytes of the label files of a dataset, by split and stem."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def __getitem__(self, key: Key) -> bytes:
        (data,) = self._storage.read_many([_label(key)])
        if not isinstance(data, bytes):
            raise KeyError(key)
        return data

    def __setitem__(self, key: Key, data: bytes) -> None:
        self._storage.commit([Write(_label(key), data)])

    def __delitem__(self, key: Key) -> None:
        if key not in self:
            raise KeyError(key)
        self._storage.commit([Remove(_label(key))])

    def __iter__(self) -> Iterator[Key]:
        for split in SPLITS:
            for name in self._storage.names(f"labels/{split}"):
                yield split, name.removesuffix(".txt")

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _label(key: Key) -> str:
    split, name = key
    return f"labels/{split}/{name}.txt"


class Dataset(StoredDataset):
    """One dataset, in a storage of its own, under the keys that it would have on a disk."""

    __slots__ = (*("cache", "created_at", "images", "labels", "lock", "modified_at"),)
    storage: MemoryStorage

    def __init__(self, yaml: DataYaml) -> None:
        super().__init__("", MemoryStorage())
        self.yaml = yaml
        self.created_at = self.modified_at = datetime.now(UTC)
        self.lock: threading.RLock = threading.RLock()
        self.images = Images(self.storage)
        self.labels = LabelFiles(self.storage)

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Dataset.consistently`."""
        with self.lock:
            return super().consistently(work)

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """See `Dataset.leased`."""
        with self.lock, super().leased() as held:
            before = self.storage.last_stamp
            yield held
            if self.storage.last_stamp != before:
                self.modified_at = datetime.now(UTC)

    def called(self, name: str) -> None:
        """Give it a name."""
        self.name = name
        self.storage.where = str(NOWHERE / name)

    @property
    def yaml(self) -> DataYaml:
        """What ``data.yaml`` says."""
        return self.read()

    @yaml.setter
    def yaml(self, yaml: DataYaml) -> None:
        self.storage.commit([Write(DATA_YAML, yaml.to_bytes())])

    @property
    def prompts(self) -> dict[int, list[str]]:
        """Prompts by class id."""
        return read_prompts(self.storage)

    @prompts.setter
    def prompts(self, prompts: dict[int, list[str]]) -> None:
        self.storage.commit([prompts_written(prompts)])

    @property
    def tags(self) -> dict[str, list[str]]:
        """File names by tag."""
        return read_tags(self.storage)

    @tags.setter
    def tags(self, tags: Tags) -> None:
        self.storage.commit([tags_written(tags)])

    def note(self, records: Iterable[Record]) -> None:
        """Append to the history."""
        self.storage.commit(history_log.noted(self.storage, records))

    def image(self, name: str, split: str, filename: str) -> StoredImage:
        """Return an image that exists, or raise `NotFoundError`."""
        image = self.images.get((split, filename))
        if image is None:
            raise NotFoundError(f"{name}: no image {filename!r} in {split}")
        return image

    def stamp(self) -> Stamp:
        """Return a stamp that differs after each change; to look at everything is cheap here."""
        return Stamp(
            images=self._listed("images")
            + _digest(*sorted(self.storage.list(trash.TRASH).folders)),
            labels=self._listed("labels"),
            classes=_digest(self.yaml),
            tags=_digest(self.tags),
            versions=_digest(*sorted(self.storage.names(VERSIONS))),
            suggestions=suggestion_log.revision(self.storage),
        )

    def _listed(self, kind: str) -> str:
        found = [self.storage.list(f"{kind}/{split}") for split in SPLITS]
        return _digest(
            *(sorted(zip(some.names, some.stamps.tolist(), strict=True)) for some in found)
        )

    def names(self, split: str) -> list[str]:
        """Return the names of a split's images, sorted."""
        return self.image_names(split)

    def info(self, name: str) -> DatasetInfo:
        """Return what the dataset holds."""
        return DatasetInfo(
            name=name,
            path=NOWHERE / name,
            classes=list(self.yaml.classes),
            num_images={split: len(self.names(split)) for split in SPLITS},
            created_at=self.created_at,
            modified_at=self.modified_at,
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
            with self.datasets[name].lock:
                yield name, self.datasets[name]

    @contextmanager
    def writing(self, name: str) -> Iterator[tuple[str, Dataset]]:
        """Yield a dataset to change; its time of change is noted if the block ends well."""
        with self.reading(name) as (name, dataset):
            yield name, dataset
            dataset.modified_at = datetime.now(UTC)

    def open(self, name: str) -> Dataset:
        """See `DatasetPlaces.open`; here it does exist."""
        with self.reading(name) as (_, dataset):
            return dataset

    def require_free(self, name: str) -> None:
        """Make sure that no dataset has this name."""
        if name in self.datasets:
            raise AlreadyExistsError(f"dataset {name!r} exists already; choose another name")
