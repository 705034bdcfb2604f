"""Datasets as folders below one folder of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import InvalidDatasetError
from workbench.persistence.archive import FolderSink
from workbench.persistence.disk_format import MAX_BYTES
from workbench.persistence.links import require_distinct_splits
from workbench.persistence.models import SPLITS, TrashEntry
from workbench.persistence.storage import Writer
from workbench.persistence.storage.local import LocalStorage, inside
from workbench.persistence.storage.local.atomic import move_durably, opened_folder, replace_file
from workbench.persistence.storage.local.lock import making
from workbench.persistence.storage.local.staging import Staging
from workbench.persistence.stores import trash
from workbench.persistence.stores.dataset import DATA_YAML, Dataset
from workbench.persistence.stores.formats import FACTS, bring_up, format_in
from workbench.persistence.stores.layouts import DATASET, DATASETS, place_in_models
from workbench.persistence.stores.places import Building, Catalogue
from workbench.persistence.stores.trash import GONE, TRASH, Trashed
from workbench.persistence.yolo.data_yaml import DataYaml, DataYamlCache
from workbench.persistence.yolo.names import HIDDEN, check_name

_log = logging.getLogger(__name__)
_KINDS = frozenset({"dataset"})


class FormatCache:
    """The formats of datasets; one is read again when its file's time, size or inode changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], int]] = {}

    def read(self, root: str) -> int | None:
        """Return the format that a dataset names; raises as `format_in` does."""
        path = f"{root}/{FACTS}"
        try:
            status = os.lstat(path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            found = format_in(_read(root), path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if found is not None:
            self._known[path] = (stamp, found)
        return found


def _read(root: str) -> bytes | Exception:
    try:
        return inside.read(root, FACTS, most=MAX_BYTES)
    except InvalidDatasetError as error:
        return error


class DatasetFolder(Dataset):
    """A dataset on disk. Cheap to make: one for each call of a store."""

    __slots__ = ("_formats", "_yamls", "root")

    def __init__(self, root: str, yamls: DataYamlCache, formats: FormatCache) -> None:
        super().__init__(os.path.basename(root), LocalStorage(root, DATASET))
        self.root = root
        self._yamls = yamls
        self._formats = formats

    def read(self) -> DataYaml:
        """See `Dataset.read`."""
        self._formats.read(self.root)
        require_distinct_splits(self.root)
        return self._yamls.read(f"{self.root}/{DATA_YAML}")

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """See `Dataset.leased`."""
        self.read()
        with self.storage.lease() as writer:
            yaml = self._yamls.read(f"{self.root}/{DATA_YAML}")
            bring_up(self.storage, writer, self._formats.read(self.root))
            yield yaml, writer


class DatasetRoot(Catalogue):
    """The folder that holds the datasets: its folders with a ``data.yaml``, by their names.

    Parameters
    ----------
    data_dir : Path
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder: Path = Path(os.path.abspath(data_dir))
        self._root = str(self.folder)
        self._yamls = DataYamlCache()
        self._formats = FormatCache()
        self._staging = Staging(self._root)
        # A dataset is a folder here as a model is among the models.
        self._trash = trash.Trash(LocalStorage(self._root, DATASETS), place_in_models)

    def open(self, name: str) -> DatasetFolder:
        """See `DatasetPlaces.open`."""
        return DatasetFolder(self._place(name), self._yamls, self._formats)

    def _place(self, name: str) -> str:
        return f"{self._root}/{check_name(name, 'dataset name')}"

    def _at(self, path: str) -> DatasetFolder:
        """Return a dataset that is somewhere else for now: being built, or in the trash."""
        return DatasetFolder(path, DataYamlCache(), FormatCache())

    def path(self, name: str) -> Path:
        """See `Catalogue.path`."""
        return self.folder / name

    def names(self) -> list[str]:
        """See `Catalogue.names`; a ``data.yaml`` of whatever kind counts."""
        return sorted(
            name
            for name in os.listdir(self._root)
            if not name.startswith(".") and os.path.lexists(f"{self._root}/{name}/{DATA_YAML}")
        )

    def stamp(self) -> str:
        """See `Catalogue.stamp`."""
        return " ".join(self._trash.storage.touched(["", TRASH]))

    @contextmanager
    def build(self, name: str, *, token: str = "") -> Iterator[Building]:
        """See `Catalogue.build`."""
        with self._staging.build(self._place(name), token) as folder:

            def drop_others(keys: Collection[str]) -> None:
                for around, _, files in os.walk(folder):
                    for path in (os.path.join(around, file) for file in files):
                        if os.path.relpath(path, folder).replace(os.sep, "/") not in keys:
                            os.unlink(path)

            for split in SPLITS:
                os.makedirs(f"{folder}/images/{split}", exist_ok=True)
                os.makedirs(f"{folder}/labels/{split}", exist_ok=True)
            os.makedirs(f"{folder}/{HIDDEN}/tmp", exist_ok=True)
            sink = FolderSink(Path(folder))
            yield Building(self._at(folder), sink, lambda: None, drop_others)

    def rename(self, dataset: Dataset, name: str) -> None:
        """See `Catalogue.rename`."""
        self._staging.place(f"{self._root}/{dataset.name}", self._place(name))

    def delete(self, dataset: Dataset) -> TrashEntry:
        """See `Catalogue.delete`."""
        with self._staging.locked(), making(self._root):
            trashed = trash.new_entry(self._trash, "dataset", dataset.name, [dataset.name])
            place = f"{self._root}/{trashed.folder}"
            try:
                os.makedirs(place)
                replace_file(f"{place}/entry.json", trashed.to_bytes(), place)
                move_durably(f"{self._root}/{dataset.name}", f"{place}/{trashed.files[0][0]}")
            except BaseException:
                self._sweep()  # an entry without its dataset is none
                raise
        return trashed.entry

    def list_trash(self) -> list[TrashEntry]:
        """See `Catalogue.list_trash`."""
        return [trashed.entry for trashed in trash.list_entries(self._trash)]

    def deleted(self, entry_id: str) -> tuple[TrashEntry, Dataset]:
        """See `Catalogue.deleted`."""
        found = trash.find(self._trash, entry_id)
        return found.entry, self._at(self._kept(found))

    def _kept(self, found: Trashed) -> str:
        return f"{self._root}/{found.folder}/{found.files[0][0]}"

    def restore(self, entry_id: str, name: str) -> None:
        """See `Catalogue.restore`."""
        found = trash.find(self._trash, entry_id)
        self._staging.place(self._kept(found), self._place(name))
        self._sweep()

    def purge(self, entry_id: str | None) -> int:
        """See `Catalogue.purge`."""
        with self._staging.locked(), making(self._root):
            doomed = trash.doomed(self._trash, entry_id, _KINDS)
            self._discard(doomed)
        return len(doomed)

    def _discard(self, entries: Sequence[Trashed]) -> None:
        """Remove entries for good, where no transaction can do it: all, or none."""
        # Renamed first, so that no crash leaves an entry with only some of its files.
        done = list[str]()
        with opened_folder(f"{self._root}/{TRASH}") as folder:
            try:
                for trashed in entries:
                    inside.rename(self._root, trashed.folder, f"{trashed.folder}{GONE}")
                    done.append(trashed.folder)
                folder.sync()
            except BaseException:
                for name in done:
                    inside.rename(self._root, f"{name}{GONE}", name)
                raise
        self._sweep()

    def _sweep(self) -> None:
        """Remove what is left of entries that were purged or restored, as far as that can be."""
        try:
            for key in trash.leftovers(self._trash):
                inside.remove(self._root, key)
        except OSError as error:
            _log.warning("what was purged from %s is removed later: %s", self._root, error)
