"""One dataset's folder: its paths, its lock and its ``data.yaml``, opened by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.persistence.filesystem.dataset_paths import DatasetPaths, dataset_paths
from workbench.persistence.filesystem.migrations import FormatCache, bring_up
from workbench.persistence.storage import Writer
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.stores.dataset import Dataset
from workbench.persistence.stores.layouts import DATASET
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.yolo.data_yaml import DataYaml, DataYamlCache


class DatasetFolder(Dataset):
    """A dataset on disk. Cheap to make: one for each call of a store."""

    __slots__ = ("_formats", "_yamls", "journal", "paths")

    def __init__(self, paths: DatasetPaths, yamls: DataYamlCache, formats: FormatCache) -> None:
        storage = LocalStorage(paths.root, DATASET)
        super().__init__(os.path.basename(paths.root), storage)
        self.paths = paths
        self.journal = storage.journal
        self._yamls = yamls
        self._formats = formats

    def read(self) -> DataYaml:
        """See `Dataset.read`."""
        self._formats.read(self.paths)
        return self._yamls.read(self.paths.data_yaml)

    @contextmanager
    def writing(self) -> Iterator[DataYaml]:
        """Hold the dataset's lock and yield its ``data.yaml``; raises as `read` does."""
        with self.leased() as (yaml, _):
            yield yaml

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """See `Dataset.leased`."""
        self.read()
        with self.storage.lease() as writer:
            yaml = self._yamls.read(self.paths.data_yaml)
            bring_up(self.paths, self.journal, self._formats.read(self.paths))
            yield yaml, writer

    def image_path(self, split: str, filename: str) -> str:
        """Return the path of an image that exists; raises as `require_image` does."""
        return self.paths.at(self.require_image(split, filename))


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

    def at(self, path: str) -> DatasetFolder:
        """Return a dataset that is somewhere else for now: being built, or in the trash."""
        return DatasetFolder(DatasetPaths(path), DataYamlCache(), FormatCache())
