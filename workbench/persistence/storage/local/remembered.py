"""What was found in a folder, remembered until something in it comes, goes or is renamed.

A folder's times tell that. The clock from which file systems take them makes steps: of some
milliseconds mostly, of two seconds on FAT. So what was found is remembered only of a folder that
was left alone for longer than that before: whatever happens to it later gives it another time.
"""

from __future__ import annotations

import os
import time
from typing import Generic, TypeVar

T = TypeVar("T")

_SETTLED_NS = 3_000_000_000
_SOON_SETTLED_NS = 100_000_000
_MILLISECOND_NS = 1_000_000
_MOST = 256


class Remembered(Generic[T]):
    """Things found in folders, by the paths of these; for all threads of a process."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], T]] = {}

    def get(self, path: str, status: os.stat_result) -> T | None:
        """Return what was found, None if the folder is another one or was changed since.

        Parameters
        ----------
        path : str
        status : os.stat_result
            Of the folder as it is now.
        """
        stamp, found = self._known.get(path, (None, None))
        return found if stamp == _stamp(status) else None

    def keep(self, path: str, status: os.stat_result, found: T) -> None:
        """Remember what was found.

        Parameters
        ----------
        path : str
        status : os.stat_result
            Of the folder *before* it was looked through.
        found : T
        """
        times = status.st_mtime_ns, status.st_ctime_ns
        is_fine = all(ns % _MILLISECOND_NS for ns in times)
        settled_ns = min(_SETTLED_NS, _SOON_SETTLED_NS) if is_fine else _SETTLED_NS
        if time.time_ns() - max(times) > settled_ns:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[path] = _stamp(status), found


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
