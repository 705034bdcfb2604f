"""One dataset's folder: its paths, its lock and its ``data.yaml``, opened by name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from workbench.errors import InvalidNameError, NotFoundError
from workbench.persistence.disk_errors import kind_at
from workbench.persistence.filesystem.dataset_paths import DatasetPaths, dataset_paths
from workbench.persistence.filesystem.migrations import FormatCache, bring_up
from workbench.persistence.models import ImageKey
from workbench.persistence.storage import Storage, Writer
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.stores.layouts import DATASET, place_in_dataset
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.stores.trash import Trash
from workbench.persistence.yolo.data_yaml import DataYaml, DataYamlCache
from workbench.persistence.yolo.names import check_filename, check_split, could_be_image

T = TypeVar("T")


class DatasetFolder:
    """A dataset on disk. Cheap to make: one for each call of a store."""

    __slots__ = ("_formats", "_yamls", "journal", "name", "paths", "storage", "trash")

    def __init__(self, paths: DatasetPaths, yamls: DataYamlCache, formats: FormatCache) -> None:
        self.paths = paths
        self.name = os.path.basename(paths.root)
        self.storage = LocalStorage(paths.root, DATASET)
        self.journal = self.storage.journal
        self.trash = Trash(self.storage, place_in_dataset)
        self._yamls = yamls
        self._formats = formats

    def read(self) -> DataYaml:
        """Return the dataset's ``data.yaml``.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        InvalidDatasetError
            If its ``data.yaml`` cannot be read, or a newer Workbench has written it.
        """
        self._formats.read(self.paths)
        return self._yamls.read(self.paths.data_yaml)

    def consistently(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which only reads; see `Journal.consistently`."""
        return self.journal.consistently(work)

    @contextmanager
    def writing(self) -> Iterator[DataYaml]:
        """Hold the dataset's lock and yield its ``data.yaml``; raises as `read` does."""
        with self.leased() as (yaml, _):
            yield yaml

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """Hold the lease of the dataset's storage, as `writing` does."""
        self.read()
        with self.storage.lease() as writer:
            yaml = self._yamls.read(self.paths.data_yaml)
            bring_up(self.paths, self.journal, self._formats.read(self.paths))
            yield yaml, writer

    def find(self, split: str, filename: str) -> ImageKey:
        """Return a split and the name of an image as it stands on disk, if it is there at all.

        Files that came from a Mac may have their names in Unicode NFD. Everything that makes
        a file writes NFC, and whoever asks for it may use either.

        Raises
        ------
        InvalidNameError
            If there is no such split, or no image has or may have this name.
        """
        check_split(split)
        try:
            composed = check_filename(filename)
        except InvalidNameError:
            # No new file gets such a name, but one that is there must not be out of reach.
            if could_be_image(filename) and os.path.lexists(self.paths.image(split, filename)):
                return split, filename
            raise
        if filename.isascii():
            return split, composed
        forms = (filename, composed, unicodedata.normalize("NFD", filename))
        there = (form for form in forms if os.path.lexists(self.paths.image(split, form)))
        return split, next(there, composed)

    def require_image(self, split: str, filename: str) -> str:
        """Return the path of an image that exists.

        Raises
        ------
        NotFoundError
            If it does not.
        """
        path = self.paths.image(split, filename)
        if not os.path.isfile(path):
            found = f"; found {kind_at(path)}: delete it" if os.path.lexists(path) else ""
            raise NotFoundError(f"{self.name}: no image {filename!r} in {split} ({path}){found}")
        return path


class DatasetRoot(DatasetPlaces):
    """The folder that holds the datasets, shared by the three stores that work in it."""

    def __init__(self, data_dir: Path) -> None:
        self.path = Path(os.path.abspath(data_dir))
        self.yamls = DataYamlCache()
        self.formats = FormatCache()

    def open(self, name: str) -> DatasetFolder:
        """Return the folder of the dataset `name`, which need not exist.

        Raises
        ------
        InvalidNameError
            If `name` cannot be a dataset's name.
        """
        return DatasetFolder(dataset_paths(self.path, name), self.yamls, self.formats)

    def storage(self, name: str) -> Storage:
        """See `DatasetPlaces.storage`."""
        folder = self.open(name)
        folder.read()
        return folder.storage

    @contextmanager
    def changing(self, name: str) -> Iterator[tuple[Storage, Writer]]:
        """See `DatasetPlaces.changing`."""
        folder = self.open(name)
        with folder.leased() as (_, writer):
            yield folder.storage, writer

    def at(self, path: str) -> DatasetFolder:
        """Return a dataset that is somewhere else for now: being built, or in the trash."""
        return DatasetFolder(DatasetPaths(path), DataYamlCache(), FormatCache())
