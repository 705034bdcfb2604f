"""Where the datasets are: a storage for each, by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.persistence.storage import Storage, Writer
from workbench.persistence.stores.dataset import Dataset


class DatasetPlaces(ABC):
    """What a store over the storage contract needs to know of the datasets."""

    @abstractmethod
    def open(self, name: str) -> Dataset:
        """Return a dataset, which need not exist: what reads it says so.

        Raises
        ------
        InvalidNameError
            If no dataset can have this name.
        """

    def storage(self, name: str) -> Storage:
        """Return the storage of a dataset, to be read from.

        Raises
        ------
        InvalidNameError
            If no dataset can have this name.
        NotFoundError
            If there is none of this name.
        InvalidDatasetError
            If it cannot be read, or a newer Workbench has written it.
        """
        dataset = self.open(name)
        dataset.read()
        return dataset.storage

    @contextmanager
    def changing(self, name: str) -> Iterator[tuple[Storage, Writer]]:
        """Hold the lease of a dataset for a block; raises as `storage` and `Storage.lease` do."""
        dataset = self.open(name)
        with dataset.leased() as (_, writer):
            yield dataset.storage, writer
