"""Where the datasets are: a storage for each, by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from workbench.persistence.storage import Storage, Writer


class DatasetPlaces(ABC):
    """What a store over the storage contract needs to know of the datasets."""

    @abstractmethod
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

    @abstractmethod
    def changing(self, name: str) -> AbstractContextManager[tuple[Storage, Writer]]:
        """Hold the lease of a dataset for a block; raises as `storage` and `Storage.lease` do."""
