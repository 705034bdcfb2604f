"""When the parts of a dataset were last changed, by a few calls of stat."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from workbench.errors import NotFoundError
from workbench.persistence.filesystem.dataset_paths import DatasetPaths
from workbench.persistence.models import SPLITS
from workbench.persistence.stamps import Stamp
from workbench.persistence.yolo.names import HIDDEN

T = TypeVar("T")

_MOST_FILES = 1000
"""More than this are not looked at in a folder that holds one for each source."""

CLOCK_STEP_S = 0.02
"""The clock from which file systems take the time of a change makes steps of 1 to 10 ms.

Two changes within one step have the same time. So a time that is younger than this is not
taken before it is older: else the second of them would never be noticed.
"""
_PATIENCE = 10
"""So often a younger time is waited for; where somebody writes all the time, it is taken."""


class Times:
    """Collects the times of files, and how young the youngest is.

    Attributes
    ----------
    youngest_ns : int
    """

    def __init__(self) -> None:
        self.youngest_ns = 0

    def of(self, paths: Iterable[str], *, follow: bool = True) -> str:
        """Return what identifies the present state of some files or folders, as one text."""
        return " ".join(self._one(path, follow) for path in paths)

    def of_files_in(self, folder: str) -> str:
        """Return the same of a folder's few files, which get longer where they are."""
        try:
            if os.path.islink(folder):
                return "-"  # somebody else's: it is not followed
            with os.scandir(folder) as entries:
                paths = sorted(entry.path for entry in islice(entries, _MOST_FILES))
        except OSError:
            return "-"
        return self.of(paths, follow=False)

    def _one(self, path: str, follow: bool) -> str:
        try:
            status = os.stat(path, follow_symlinks=follow)
        except OSError:
            return "-"
        self.youngest_ns = max(self.youngest_ns, status.st_mtime_ns)
        return f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}"


def dataset_stamp(paths: DatasetPaths) -> Stamp:
    """Return the stamp of a dataset.

    Every change that Workbench makes is a rename, which its folder tells; so do those of other
    programs that add, remove, rename or replace files.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    """

    def look(times: Times) -> Stamp:
        return Stamp(
            images=times.of(paths.images(split) for split in SPLITS)
            + times.of([paths.trash], follow=False),
            labels=times.of(paths.labels(split) for split in SPLITS),
            classes=times.of([paths.data_yaml]),
            tags=times.of([paths.tags], follow=False),
            versions=times.of([paths.versions], follow=False),
            suggestions=times.of_files_in(paths.suggestions),
        )

    if not os.path.isfile(paths.data_yaml):
        raise NotFoundError(f"{paths.root} is not there: deleted or renamed meanwhile?")
    return _settled(look)


def folders_stamp(root: str) -> str:
    """Return the stamp of a folder of datasets: what is in it, and in its trash."""
    return _settled(
        lambda times: times.of([root]) + times.of([f"{root}/{HIDDEN}/trash"], follow=False)
    )


def _settled(look: Callable[[Times], T]) -> T:
    """Return what a look has found whose times are older than a step of the clock."""
    for _ in range(_PATIENCE):
        times = Times()
        found = look(times)
        age_s = (time.time_ns() - times.youngest_ns) / 1e9
        # A time in the future (another machine's clock) is as good as an old one.
        if not 0 <= age_s < CLOCK_STEP_S:
            break
        time.sleep(CLOCK_STEP_S)
    return found
