"""Where the datasets are: a storage for each, by name; and what can become of a whole one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.persistence.models import TrashEntry
from workbench.persistence.storage import Storage, Writer
from workbench.persistence.stores.dataset import Dataset

if TYPE_CHECKING:
    from workbench.persistence.archive import Sink


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


@dataclass(frozen=True, slots=True)
class Building:
    """A dataset under construction, which nobody else sees.

    Parameters
    ----------
    dataset : Dataset
        To be read from, by whoever has called `flush`.
    sink : Sink
        What its values are written to, by key, each once.
    flush : callable
        Lets all that was written be there.
    drop_others : callable
        Removes what an attempt before has left, but for these keys.
    """

    dataset: Dataset
    sink: Sink
    flush: Callable[[], None]
    drop_others: Callable[[Collection[str]], None]


class Catalogue(DatasetPlaces):
    """Which datasets there are, and what becomes of a whole one: each change is all or nothing.

    Attributes
    ----------
    folder : Path or None
        The folder that holds them, if one does.
    """

    folder: Path | None = None

    @property
    def is_far(self) -> bool:
        """Whether each look at them is a request to another machine."""
        return False

    @abstractmethod
    def path(self, name: str) -> Path:
        """Return what `DatasetInfo.path` says of a dataset."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all datasets, also of damaged ones, sorted."""

    @abstractmethod
    def stamp(self) -> str:
        """Return what differs after one is made, renamed, deleted or restored."""

    @abstractmethod
    def build(self, name: str, *, token: str = "") -> AbstractContextManager[Building]:
        """Make a dataset: it is there when the block has ended well, and else leaves nothing.

        Parameters
        ----------
        name : str
        token : str, optional
            What nobody else can guess. What a block has made that did not end well is there again
            in the next with the same token; nobody else sees it, and it goes after two days.

        Raises
        ------
        AlreadyExistsError
            If there is one of this name, at the beginning or at the end.
        ReadOnlyError
            If nothing may be made here.
        """

    @abstractmethod
    def rename(self, dataset: Dataset, name: str) -> None:
        """Give a dataset whose lease is held another name.

        Raises
        ------
        AlreadyExistsError
            If there is one of this name.
        """

    @abstractmethod
    def delete(self, dataset: Dataset) -> TrashEntry:
        """Move a dataset whose lease is held to the trash."""

    @abstractmethod
    def list_trash(self) -> list[TrashEntry]:
        """Return what is in the trash, oldest first."""

    @abstractmethod
    def deleted(self, entry_id: str) -> tuple[TrashEntry, Dataset]:
        """Return an entry of the trash, and the dataset to be looked at.

        Raises
        ------
        NotFoundError
            If there is no such entry.
        """

    @abstractmethod
    def restore(self, entry_id: str, name: str) -> None:
        """Bring a deleted dataset back under a name; raises as `deleted` and `rename` do."""

    @abstractmethod
    def purge(self, entry_id: str | None) -> int:
        """Remove one deleted dataset for good, or all of them; return how many."""
