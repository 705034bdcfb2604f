"""Datasets under construction: built in a hidden folder, then renamed into place as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from workbench.errors import AlreadyExistsError, InvalidDatasetError
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import (
    move_durably,
    remove_file,
    remove_tree,
    temporary_name,
)
from workbench.persistence.storage.local.lock import exclusive, making
from workbench.persistence.storage.local.syncing import synced
from workbench.persistence.yolo.names import HIDDEN, HIDDEN_FILES, HIDDEN_FOLDERS

_STAGING = f"{HIDDEN}/staging"


class Staging:
    """The hidden folder beside the datasets in which new ones are built.

    Each one under construction has a lock file that its builder holds. A builder that
    died holds nothing, so the next one can tell its leftovers and removes them.
    """

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._folder = f"{data_dir}/{_STAGING}"

    @contextmanager
    def build(self, target: str) -> Iterator[str]:
        """Yield an empty folder that becomes `target` when the block ends well.

        Parameters
        ----------
        target : str
            Path of the dataset to make.

        Raises
        ------
        AlreadyExistsError
            If `target` exists, at the beginning or at the end.
        ReadOnlyError
            If nothing may be made there.
        InvalidDatasetError
            If the hidden folder beside the datasets, or the lock in it, is a link.
        """
        require_free(target)
        with self.locked():
            self._sweep()
        folder = temporary_name(self._folder)
        with making(self._data_dir), exclusive(f"{folder}.lock"):
            try:
                os.mkdir(folder)
                with synced(folder):
                    yield folder
                self.place(folder, target)
            finally:
                # What cannot be removed now is removed by the next to build something.
                with suppress(OSError):
                    remove_tree(folder)
                    remove_file(f"{folder}.lock")

    def place(self, folder: str, target: str) -> None:
        """Rename a complete dataset to where it shall be, unless something is there already."""
        with self.locked():
            require_free(target)
            with making(self._data_dir):
                move_durably(folder, target)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude others who make, rename, delete or purge whole datasets."""
        with ExitStack() as held:
            with making(self._data_dir):
                os.makedirs(self._data_dir, exist_ok=True)
                lock = f"{HIDDEN}/lock"
                held.enter_context(
                    exclusive(
                        f"{self._data_dir}/{lock}",
                        reach=lambda: inside.opened(self._data_dir, lock, make=True),
                    )
                )
                inside.put_in_order(self._data_dir, HIDDEN, HIDDEN_FOLDERS, HIDDEN_FILES)
                with inside.opened(self._data_dir, f"{_STAGING}/.probe", make=True):
                    pass
            yield

    def _sweep(self) -> None:
        for name in inside.names(self._data_dir, _STAGING):
            if not name.endswith(".lock"):
                continue
            try:
                with exclusive(f"{self._folder}/{name}", wait=False):
                    inside.remove(self._data_dir, f"{_STAGING}/{name.removesuffix('.lock')}")
                    inside.remove(self._data_dir, f"{_STAGING}/{name}")
            except (BlockingIOError, InvalidDatasetError):
                continue


def require_free(target: str) -> None:
    """Make sure that no dataset, nor anything else, is at `target`."""
    if os.path.lexists(target):
        raise AlreadyExistsError(
            f"dataset {os.path.basename(target)!r}: {target} exists already; "
            f"choose another name or delete it first"
        )
