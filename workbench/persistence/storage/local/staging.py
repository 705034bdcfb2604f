"""Datasets under construction: built in a hidden folder, then renamed into place as a whole."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from workbench.errors import AlreadyExistsError, InvalidDatasetError
from workbench.persistence.storage.base import UNFINISHED_S
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
_GOES_ON = "goes-on-"


class Staging:
    """The hidden folder beside the datasets in which new ones are built.

    Each one under construction has a lock file that its builder holds. A builder that
    died holds nothing, so the next one can tell its leftovers and removes them.
    """

    def __init__(self, data_dir: str) -> None:
        self._data_dir = data_dir
        self._folder = f"{data_dir}/{_STAGING}"

    @contextmanager
    def build(self, target: str, token: str = "") -> Iterator[str]:
        """Yield an empty folder that becomes `target` when the block ends well.

        Parameters
        ----------
        target : str
            Path of the dataset to make.
        token : str, optional
            What nobody else can guess. The folder stays for two days if the block does not end
            well, and the next block with this token gets it, with what is in it.

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
        folder = f"{self._folder}/{_GOES_ON}{token}" if token else temporary_name(self._folder)
        with making(self._data_dir), exclusive(f"{folder}.lock"):
            is_left = bool(token)
            try:
                if not (token and os.path.isdir(folder)):
                    require_free(target)  # whoever held the lock may have made it
                    os.mkdir(folder)
                with synced(folder):
                    yield folder
                self.place(folder, target)
                is_left = False
            finally:
                # What cannot be removed now is removed by the next to build something.
                if not is_left:
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
            if not name.endswith(".lock") or self._goes_on(name):
                continue
            try:
                with exclusive(f"{self._folder}/{name}", wait=False):
                    inside.remove(self._data_dir, f"{_STAGING}/{name.removesuffix('.lock')}")
                    inside.remove(self._data_dir, f"{_STAGING}/{name}")
            except (BlockingIOError, InvalidDatasetError):
                continue

    def _goes_on(self, name: str) -> bool:
        """Whether somebody may still go on with what was left there."""
        if not name.startswith(_GOES_ON):
            return False
        with suppress(OSError):
            return time.time() - os.lstat(f"{self._folder}/{name}").st_mtime < UNFINISHED_S
        return False


def require_free(target: str) -> None:
    """Make sure that no dataset, nor anything else, is at `target`."""
    if os.path.lexists(target):
        raise AlreadyExistsError(
            f"dataset {os.path.basename(target)!r}: {target} exists already; "
            f"choose another name or delete it first"
        )
