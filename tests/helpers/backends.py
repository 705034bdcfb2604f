"""The implementations of the stores that the contract suite runs against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.storage.sqlite_storage import SqliteStorage
from workbench.persistence import ModelStore, Stores, create_memory_stores, create_stores
from workbench.persistence.models import DatasetInfo
from workbench.persistence.opening import stores_over
from workbench.persistence.storage import Storage, Write
from workbench.persistence.storage.bucket import BucketStorage
from workbench.persistence.storage.memory import MemoryRoots
from workbench.persistence.stores.catalogue import StoredCatalogue


@dataclass
class Backend:
    """Stores of one implementation, and how to arrange datasets that the stores did not write.

    Parameters
    ----------
    kind : str
    stores : Stores
    scratch : Path
        A folder for archives and the like, outside of the stores' own.
    data_dir : Path or None
        Where the datasets lie as files, if they do.
    """

    kind: str
    stores: Stores
    scratch: Path
    data_dir: Path | None

    @property
    def tells_times(self) -> bool:
        """Whether its stamps are times, so that it knows when something was last changed."""
        return self.kind != "bucket"

    async def arrange(self, name: str, files: Mapping[str, bytes]) -> DatasetInfo:
        """Make the dataset `name` out of raw files, as another tool would have written them."""
        if self.data_dir is not None:
            for path, data in files.items():
                target = self.data_dir / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        else:
            await self.stores.dataset.create(name)
            self.put(name, files)
        return await self.stores.dataset.get(name)

    def storage(self, name: str) -> Storage:
        """What a dataset lies in."""
        return self.stores.label._places.storage(name)

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Let files be in a dataset that no store has looked at."""
        self.storage(name).commit([Write(path, data) for path, data in files.items()])

    def label_bytes(self, name: str, split: str, stem: str) -> bytes | None:
        """Return what a label file holds, past the stores; None if it is not there."""
        key = f"labels/{split}/{stem}.txt"
        if self.data_dir is None:
            return self.storage(name).read_many([key])[0]
        path = self.data_dir / name / key
        return path.read_bytes() if path.is_file() else None

    def files(self) -> set[str]:
        """Every file of the datasets, relative; lock files are no trace of anything."""
        if self.data_dir is None:
            return set()
        found = (path.relative_to(self.data_dir) for path in self.data_dir.rglob("*"))
        return {str(p) for p in found if p.name != "lock" and (self.data_dir / p).is_file()}


def _filesystem(folder: Path) -> Backend:
    data_dir = folder / "data"
    stores = create_stores(data_dir=data_dir, models_dir=folder / "models")
    return Backend("filesystem", stores, folder, data_dir)


def _memory(folder: Path) -> Backend:
    return Backend("memory", create_memory_stores(), folder, None)


def _bucket(folder: Path) -> Backend:
    from obstore.store import MemoryStore

    return _over("bucket", folder, lambda where: BucketStorage(MemoryStore(), where))


def _sqlite(folder: Path) -> Backend:
    folder.mkdir(exist_ok=True)
    number = count()
    return _over("sqlite", folder, lambda where: SqliteStorage(folder / f"{next(number)}.sqlite"))


def _over(kind: str, folder: Path, make: Callable[[str], Storage]) -> Backend:
    roots = MemoryRoots(kind, make)
    stores = stores_over(StoredCatalogue(roots), ModelStore(make("models")))
    return Backend(kind, stores, folder, None)


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "bucket": _bucket,
    "filesystem": _filesystem,
    "memory": _memory,
    "sqlite": _sqlite,
}


def make_backend(kind: str, folder: Path) -> Backend:
    """Make one of `BACKENDS`; a name that is not there is an error, never a skipped test."""
    if kind not in BACKENDS:
        raise LookupError(
            f"no backend {kind!r} is configured: expected one of {', '.join(BACKENDS)}; "
            "add it to BACKENDS in tests/helpers/backends.py"
        )
    return BACKENDS[kind](folder)
