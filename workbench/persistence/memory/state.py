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
from workbench.persistence.history import Record, new_edit
from workbench.persistence.models import SPLITS, DatasetInfo, ImageInfo, TrashEntry
from workbench.persistence.rules import no_same_stem
from workbench.persistence.stamps import Stamp
from workbench.persistence.storage import Change, Move, Remove, Write, Writer
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores import history_log, suggestion_log, trash
from workbench.persistence.stores.dataset import DATA_YAML, image_key, label_key
from workbench.persistence.stores.dataset import Dataset as StoredDataset
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.stores.side_data import (
    prompts_written,
    read_prompts,
    read_tags,
    tags_written,
)
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


T = TypeVar("T")

Deleted = tuple[TrashEntry, StoredImage | None, bytes | None]
"""A trash entry with the image and the labels in it."""


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


class Trashed(MutableMapping[str, Deleted]):
    """What was deleted: by the ids of its entries."""

    def __init__(self, there: trash.Trash) -> None:
        self._trash = there

    def __getitem__(self, entry_id: str) -> Deleted:
        found = self._find(entry_id)
        image, labels = None, None
        for name, original in found.files:
            data = self._trash.storage.read(f"{found.folder}/{name}")
            if original.startswith("images/"):
                image = StoredImage(data, 0.0)
            else:
                labels = data
        return found.entry, image, labels

    def _find(self, entry_id: str) -> trash.Trashed:
        try:
            return trash.find(self._trash, entry_id)
        except NotFoundError:
            raise KeyError(entry_id) from None

    def __setitem__(self, entry_id: str, deleted: Deleted) -> None:
        entry, image, labels = deleted
        folder = f"{trash.TRASH}/{entry_id}"
        kept = []
        if image is not None:
            kept.append((image_key(entry.split, entry.name), image.data))
        if labels is not None:
            kept.append((label_key(entry.split, entry.name), labels))
        files = [(f"{number}-file", original) for number, (original, _) in enumerate(kept)]
        content = trash.Trashed(entry, folder, files).to_bytes()
        self._trash.storage.commit(
            [
                Remove(folder),
                Write(f"{folder}/entry.json", content),
                *(Write(f"{folder}/{number}-file", data) for number, (_, data) in enumerate(kept)),
            ]
        )

    def __delitem__(self, entry_id: str) -> None:
        self._trash.storage.commit([Remove(self._find(entry_id).folder)])

    def __iter__(self) -> Iterator[str]:
        return iter([found.entry.id for found in trash.list_entries(self._trash)])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Dataset(StoredDataset):
    """One dataset, in a storage of its own, under the keys that it would have on a disk."""

    __slots__ = (
        *("cache", "created_at", "images", "labels", "lock", "modified_at", "objects"),
        *("deleted", "replaced", "rewrites", "versions"),
    )
    storage: MemoryStorage

    def __init__(self, yaml: DataYaml) -> None:
        super().__init__("", MemoryStorage())
        self.yaml = yaml
        self.created_at = self.modified_at = datetime.now(UTC)
        self.lock: threading.RLock = threading.RLock()
        self.images = Images(self.storage)
        self.labels = LabelFiles(self.storage)
        self.deleted = Trashed(self.trash)
        self.rewrites: dict[str, bytes] = {}
        self.versions: dict[str, tuple[VersionInfo, Contents]] = {}
        self.objects: dict[str, bytes] = {}
        # What came in the place of a replaced image: its name and the digest of its bytes.
        self.replaced: dict[str, tuple[str, str]] = {}

    def consistently(self, work: Callable[[], T]) -> T:
        """See `Dataset.consistently`."""
        with self.lock:
            return super().consistently(work)

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """See `Dataset.leased`."""
        with self.lock, super().leased() as held:
            yield held
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

    def carry(self, source: Key, target: Key) -> None:
        """Give an image, with its labels, another split or name."""
        if source == target:
            return
        changes: list[Change] = [Move(image_key(*source), image_key(*target))]
        if (source[0], stem(source[1])) in self.labels:
            changes.append(Move(label_key(*source), label_key(*target)))
        self.storage.commit(changes)

    def image(self, name: str, split: str, filename: str) -> StoredImage:
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
            images=self._listed("images") + _digest(*sorted(self.deleted)),
            labels=self._listed("labels"),
            classes=_digest(self.yaml),
            tags=_digest(self.tags),
            versions=_digest(*self.versions),
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

    def image_info(self, name: str, split: str, filename: str) -> ImageInfo:
        """Return an image's facts as a listing has them, without width and height."""
        image = self.image(name, split, filename)
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
