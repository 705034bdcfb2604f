"""Datasets in storages side by side: one value says which lies where under which name.

So a dataset is made, renamed, deleted and restored by one small commit, however much is in it, and
wherever nothing can be renamed: in a bucket. A root that holds a ``data.yaml`` and that nothing is
said of is a dataset of the same name, as whoever has copied a folder of datasets there expects.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence.disk_format import FORMAT, MAX_BYTES
from workbench.persistence.models import TrashEntry
from workbench.persistence.rules import trash_entry
from workbench.persistence.similar import instead
from workbench.persistence.storage import Change, Remove, Roots, Storage, Write, Writer
from workbench.persistence.storage.base import UNFINISHED_S
from workbench.persistence.storage.keys import is_plain
from workbench.persistence.storage.looks import side_by_side
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json, time_of
from workbench.persistence.stores.dataset import DATA_YAML, Dataset
from workbench.persistence.stores.formats import FACTS, bring_up, format_in
from workbench.persistence.stores.places import Building, Catalogue
from workbench.persistence.stores.storage_sink import StorageSink
from workbench.persistence.yolo.data_yaml import DataYaml, parse
from workbench.persistence.yolo.names import HIDDEN, check_name

_log = logging.getLogger(__name__)

T = TypeVar("T")

_KNOWN = "datasets.json"
_EXPECTED = "which dataset lies where"
_MOST_BYTES = 1 << 28
_REMOVED_AT_ONCE = 1000


@dataclass(slots=True)
class _Known:
    """What is said of the roots.

    Parameters
    ----------
    datasets : dict of str to str
        Root by name.
    building : dict of str to str
        When somebody has begun to build something, by root.
    trash : dict of str to list
        Name, time of deletion and root, by the id of the entry.
    gone : list of str
        Roots whose contents are to be removed.
    tokens : dict of str to str
        What to know for who wants to go on with what is being built, by root.
    """

    datasets: dict[str, str] = field(default_factory=dict)
    building: dict[str, str] = field(default_factory=dict)
    trash: dict[str, list[str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes, where: str) -> _Known:
        """Read it; a stranger's may name nothing but roots."""
        content = parse_json(data, where, _EXPECTED)
        try:
            known = cls(
                {str(name): str(root) for name, root in content["datasets"].items()},
                {str(root): time_of(at).isoformat() for root, at in content["building"].items()},
                {str(i): [*map(str, said)] for i, said in content["trash"].items()},
                [*map(str, content["gone"])],
                {str(root): str(token) for root, token in content.get("tokens", {}).items()},
            )
            for _, at, _ in known.trash.values():
                time_of(at)
            if not all(is_plain(root) and not root.startswith(".") for root in known.used()):
                raise ValueError("a root that is elsewhere")
            return known
        except InvalidDatasetError:
            raise
        except MALFORMED as error:
            raise malformed(where, _EXPECTED, error) from error

    def used(self) -> set[str]:
        """Return the roots that something is said of."""
        deleted = (root for _, _, root in self.trash.values())
        return {*self.datasets.values(), *self.building, *deleted, *self.gone}


class _OldFormatError(WorkbenchError):
    """It has to be brought to the current format first."""


class _MovedError(WorkbenchError):
    """A dataset lies elsewhere than it did, or nowhere."""


class StoredDataset(Dataset):
    """A dataset whose place is looked up when it is first used. One for each call of a store."""

    __slots__ = ("_catalogue", "_found")

    def __init__(self, name: str, catalogue: StoredCatalogue) -> None:
        self.name = name
        self._catalogue = catalogue
        self._found: Storage | None = None

    @property
    def storage(self) -> Storage:
        """See `Dataset.storage`."""
        if self._found is None:
            self._found = self._catalogue.storage_of(self.name)
        return self._found

    def transact(
        self,
        decide: Callable[[DataYaml], tuple[Sequence[Change], T]],
        *,
        values: Sequence[str] = (),
        heads: Sequence[str] = (),
        done: Callable[[T], None] = lambda _: None,
    ) -> T:
        """See `Dataset.transact`.

        Where the dataset lies is asked together with all else that has to be known: whoever
        renames or deletes it holds its lease.
        """
        is_new = self._found is None
        storage = self._found = self._found or self._catalogue.last_of(self.name)

        def work() -> tuple[Sequence[Change], T]:
            yaml, number = self._read()
            if number != FORMAT:
                raise _OldFormatError
            return decide(yaml)

        def check() -> None:
            if not self._catalogue.is_at(self.name, storage):
                raise _MovedError

        keys = [DATA_YAML, FACTS, *values]
        try:
            result = storage.transact(work, values=keys, heads=heads, checks=[check])
        except _OldFormatError:
            return super().transact(decide, done=done)
        except _MovedError:
            self._found = self._catalogue.storage_of(self.name) if is_new else None
            if self._found is None:
                raise self._catalogue.missing(self.name) from None
            return self.transact(decide, values=values, heads=heads, done=done)
        done(result)
        return result

    def read(self) -> DataYaml:
        """See `Dataset.read`."""
        return self._read()[0]

    def _read(self) -> tuple[DataYaml, int | None]:
        storage = self.storage
        data, facts = storage.read_many([DATA_YAML, FACTS], most=max(MAX_BYTES, 1 << 24))
        number = format_in(facts, self.at(FACTS))
        if data is None:
            raise self._catalogue.missing(self.name)
        if isinstance(data, Exception):
            raise data
        return parse(data, self.at(DATA_YAML)), number

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """See `Dataset.leased`."""
        self.read()
        with self.storage.lease() as writer:
            if self._catalogue.storage_of(self.name).where != self.storage.where:
                raise self._catalogue.missing(self.name)  # renamed or deleted meanwhile
            yaml, number = self._read()
            bring_up(self.storage, writer, number)
            yield yaml, writer


class StoredCatalogue(Catalogue):
    """Datasets in storages side by side.

    Parameters
    ----------
    roots : Roots
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._last: dict[str, Storage] = {}
        self._said: set[str] = set()

    def open(self, name: str) -> StoredDataset:
        """See `DatasetPlaces.open`."""
        return StoredDataset(check_name(name, "dataset name"), self)

    def path(self, name: str) -> Path:
        """See `Catalogue.path`; nothing is there."""
        return Path(f"{self._roots.where}/{name}")

    def names(self) -> list[str]:
        """See `Catalogue.names`."""
        # In this order: what is being built is said before the first of it is there.
        roots = self._roots.names()
        known = self._known()
        used = known.used()
        # Of the others nothing is said: another tool has brought them.
        unsaid = [root for root in roots if root not in used and self._is_one(root)]
        return sorted({*known.datasets, *unsaid})

    @property
    def is_far(self) -> bool:
        """See `Catalogue.is_far`."""
        return self._roots.shared.is_far

    def stamp(self) -> str:
        """See `Catalogue.stamp`."""
        return " ".join([*self._roots.shared.touched([_KNOWN]), self._roots.touched()])

    def missing(self, name: str, known: Collection[str] = ()) -> NotFoundError:
        """Return the error for a dataset that is not there; `known` are the names of some."""
        hint = instead(name, known, all_of_them="list()", none="list() names all that are")
        return NotFoundError(f"dataset {name!r} is not in {self._roots.where}; {hint}")

    def storage_of(self, name: str) -> Storage:
        """Return what a dataset lies in; raises `NotFoundError`."""
        if self._roots.shared.is_far and name not in self._said:
            # Nothing need be said of it: what is said and what is there are asked at once.
            is_one, known = side_by_side(lambda: self._is_one(name), self._known)
            root = self._root_of(known, name, lambda: is_one)
        else:
            known = self._known()
            root = self._root_of(known, name)
        (self._said.add if name in known.datasets else self._said.discard)(name)
        found = self._last[name] = self._roots.at(root)
        return found

    def last_of(self, name: str) -> Storage:
        """Return what it lay in when that was last looked up; raises as `storage_of` does."""
        return self._last.get(name) or self.storage_of(name)

    def is_at(self, name: str, storage: Storage) -> bool:
        """Whether a dataset lies in a storage, if that holds one at all."""
        known = self._known()
        root = known.datasets.get(name, "" if name in known.used() else name)
        return bool(root) and self._roots.at(root).where == storage.where

    @contextmanager
    def build(self, name: str, *, token: str = "") -> Iterator[Building]:
        """See `Catalogue.build`."""
        root = self._begun(name, token)
        try:
            storage = self._roots.at(root)
            with storage.lease() as writer:
                sink = StorageSink(writer)
                yield Building(
                    Dataset(name, storage),
                    sink,
                    sink.flush,
                    lambda keys: _remove_others(storage, writer, keys),
                )
                sink.flush()
            with self._changing() as known:
                self._require_free(known, name)
                del known.building[root]
                known.tokens.pop(root, None)
                known.datasets[name] = root
        except BaseException:
            if not token:
                with suppress(WorkbenchError, OSError), self._changing() as known:
                    known.building.pop(root, None)
                    known.gone.append(root)
                self._sweep()
            raise

    def _begun(self, name: str, token: str) -> str:
        """Take a root in which a dataset is to be built; remove what the dead have left."""
        now = datetime.now(UTC)
        with self._changing() as known:
            self._require_free(known, name)
            for root, at in list(known.building.items()):
                if token and known.tokens.get(root) == token:
                    known.building[root] = now.isoformat()
                    return root
                if time_of(at) < now - timedelta(seconds=UNFINISHED_S):
                    del known.building[root]
                    known.tokens.pop(root, None)
                    known.gone.append(root)
            is_taken = name in known.used() or name in self._roots.names()
            root = f"{name[:40]}-{os.urandom(4).hex()}" if is_taken else name
            known.building[root] = now.isoformat()
            if token:
                known.tokens[root] = token
        self._sweep()
        return root

    def rename(self, dataset: Dataset, name: str) -> None:
        """See `Catalogue.rename`."""
        with self._changing() as known:
            root = self._root_of(known, dataset.name)
            self._require_free(known, name)
            known.datasets.pop(dataset.name, None)
            known.datasets[name] = root

    def delete(self, dataset: Dataset) -> TrashEntry:
        """See `Catalogue.delete`."""
        with self._changing() as known:
            root = self._root_of(known, dataset.name)
            entry = trash_entry("dataset", dataset.name)
            known.datasets.pop(dataset.name, None)
            known.trash[entry.id] = [entry.name, entry.deleted_at.isoformat(), root]
        return entry

    def list_trash(self) -> list[TrashEntry]:
        """See `Catalogue.list_trash`."""
        said = sorted(self._known().trash.items())
        return [_entry(entry_id, name, at) for entry_id, (name, at, _) in said]

    def deleted(self, entry_id: str) -> tuple[TrashEntry, Dataset]:
        """See `Catalogue.deleted`."""
        name, at, root = self._found(self._known(), entry_id)
        return _entry(entry_id, name, at), Dataset(name, self._roots.at(root))

    def restore(self, entry_id: str, name: str) -> None:
        """See `Catalogue.restore`."""
        with self._changing() as known:
            root = self._found(known, entry_id)[2]
            self._require_free(known, name)
            del known.trash[entry_id]
            known.datasets[name] = root

    def purge(self, entry_id: str | None) -> int:
        """See `Catalogue.purge`."""
        with self._changing() as known:
            if entry_id is not None:
                self._found(known, entry_id)
            doomed = [*known.trash] if entry_id is None else [entry_id]
            known.gone += [known.trash.pop(one)[2] for one in doomed]
        self._sweep()
        return len(doomed)

    # --- what is said ------------------------------------------------------------------------

    def _known(self) -> _Known:
        shared = self._roots.shared
        (data,) = shared.read_many([_KNOWN], most=_MOST_BYTES)
        if isinstance(data, Exception):
            raise data
        return _Known() if data is None else _Known.of(data, f"{shared.where}/{_KNOWN}")

    @contextmanager
    def _changing(self) -> Iterator[_Known]:
        """Yield what is said, to be changed: what it is after the block is committed."""
        with self._roots.shared.lease() as writer:
            known = self._known()
            yield known
            writer.commit([Write(_KNOWN, json.dumps(asdict(known)).encode())])

    def _is_one(self, root: str) -> bool:
        try:
            return check_name(root) == root and self._roots.at(root).exists(DATA_YAML)
        except InvalidNameError:
            return False

    def _root_of(self, known: _Known, name: str, is_one: Callable[[], bool] | None = None) -> str:
        root = known.datasets.get(name)
        if root is not None:
            return root
        if name in known.used() or not (is_one or partial(self._is_one, name))():
            raise self.missing(name, known.datasets)
        return name

    def _found(self, known: _Known, entry_id: str) -> list[str]:
        if entry_id not in known.trash:
            raise NotFoundError(
                f"{entry_id!r} is not in the trash of {self._roots.where}: purged or restored? "
                f"list_trash() names what is"
            )
        return known.trash[entry_id]

    def _require_free(self, known: _Known, name: str) -> None:
        try:
            self._root_of(known, name)
        except NotFoundError:
            return
        raise AlreadyExistsError(
            f"dataset {name!r} exists already in {self._roots.where}; choose another name or "
            f"delete it first"
        )

    def _sweep(self) -> None:
        """Remove what nobody needs any more, as far as that can be."""
        try:
            gone = self._known().gone
            for root in gone:
                self._roots.remove(root)
            if gone:
                with self._changing() as known:
                    known.gone = [root for root in known.gone if root not in gone]
        except (WorkbenchError, OSError) as error:
            _log.warning("what was purged from %s is removed later: %s", self._roots.where, error)


def _remove_others(storage: Storage, writer: Writer, keys: Collection[str]) -> None:
    """Remove all that is in a storage but some keys."""
    others, left = list[str](), ["", HIDDEN]
    while left:
        folder = left.pop()
        listing = storage.list(folder)
        below = [f"{folder}/{name}".lstrip("/") for name in listing.names]
        others += [key for key in below if key not in keys]
        left += [f"{folder}/{name}".lstrip("/") for name in listing.folders]
    for start in range(0, len(others), _REMOVED_AT_ONCE):
        writer.commit([Remove(key) for key in others[start : start + _REMOVED_AT_ONCE]])


def _entry(entry_id: str, name: str, at: str) -> TrashEntry:
    return TrashEntry(entry_id, "dataset", name, "", time_of(at))
