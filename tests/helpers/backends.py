"""The implementations of the stores that the contract suite runs against."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.helpers.archives import write_zip
from workbench.persistence import Stores, create_memory_stores, create_stores
from workbench.persistence.memory.datasets import MemoryDatasetStore
from workbench.persistence.models import DatasetInfo


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

    async def arrange(self, name: str, files: Mapping[str, bytes]) -> DatasetInfo:
        """Make the dataset `name` out of raw files, as another tool would have written them.

        Files become a folder. Memory takes an archive of them, then its label bytes as they
        are, because an import repairs what it can.
        """
        if self.data_dir is not None:
            for path, data in files.items():
                target = self.data_dir / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        else:
            archive = self.scratch / f"arranged-{next(_serial)}.zip"
            await self.stores.dataset.import_zip(write_zip(archive, files), name=name)
            assert isinstance(self.stores.dataset, MemoryDatasetStore)
            dataset = self.stores.dataset._state.datasets[name]
            dataset.classes[:] = yaml.safe_load(files["data.yaml"])["names"]
            for path, data in files.items():
                kind, _, rest = path.partition("/")
                if kind == "labels":
                    split, _, label = rest.partition("/")
                    assert (split, label.removesuffix(".txt")) in dataset.labels
                    dataset.labels[split, label.removesuffix(".txt")] = data
        return await self.stores.dataset.get(name)

    def files(self) -> set[str]:
        """Every file of the datasets, relative; lock files are no trace of anything."""
        if self.data_dir is None:
            return set()
        found = (path.relative_to(self.data_dir) for path in self.data_dir.rglob("*"))
        return {str(p) for p in found if p.name != "lock" and (self.data_dir / p).is_file()}


_serial = itertools.count()


def _filesystem(folder: Path) -> Backend:
    data_dir = folder / "data"
    stores = create_stores(data_dir=data_dir, models_dir=folder / "models")
    return Backend("filesystem", stores, folder, data_dir)


def _memory(folder: Path) -> Backend:
    return Backend("memory", create_memory_stores(), folder, None)


BACKENDS: dict[str, Callable[[Path], Backend]] = {"filesystem": _filesystem, "memory": _memory}


def make_backend(kind: str, folder: Path) -> Backend:
    """Make one of `BACKENDS`; a name that is not there is an error, never a skipped test."""
    if kind not in BACKENDS:
        raise LookupError(
            f"no backend {kind!r} is configured: expected one of {', '.join(BACKENDS)}; "
            "add it to BACKENDS in tests/helpers/backends.py"
        )
    return BACKENDS[kind](folder)
