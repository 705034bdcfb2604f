"""A second file with a file's bytes, sharing their space where the file system can."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress

from workbench.persistence.storage.local.atomic import remove_file, rename, temporary_name

# _IOW(0x94, 9, int), see ioctl_ficlone(2): both files share their blocks until one is written.
_FICLONE = 0x40049409


class Cloner:
    """Clones files: by reflink (Btrfs, XFS, bcachefs), else by copying.

    Never by hard link, with which most file systems could save the space as well. What
    somebody writes into one of two links stands in the other: a script that scales the
    images of a working copy with ``cv2.imwrite`` would do so in every frozen version.

    Parameters
    ----------
    temporary_folder : str
        Where a clone is made before it gets its name, on the same file system.
    """

    def __init__(self, temporary_folder: str) -> None:
        self._temporary_folder = temporary_folder
        self._reflinks = sys.platform == "linux"

    def clone(self, source: str, target: str) -> None:
        """Make a file at `target` with the bytes of `source`; it replaces one that is there."""
        temporary = temporary_name(self._temporary_folder)
        try:
            self.copy(source, temporary)
            rename(temporary, target)
        except BaseException:
            with suppress(OSError):
                remove_file(temporary)
            raise

    def copy(self, source: str, target: str) -> None:
        """Make a new file at `target`, where nothing is, with the bytes of `source`."""
        if not self._reflink(source, target):
            shutil.copyfile(source, target)

    def _reflink(self, source: str, target: str) -> bool:
        if not self._reflinks:
            return False
        import fcntl

        with open(source, "rb") as original, open(target, "xb") as copy:
            try:
                fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
            except OSError:
                # Most file systems cannot clone; one that cannot now is not asked again.
                self._reflinks = False
        if not self._reflinks:
            remove_file(target)
        return self._reflinks
