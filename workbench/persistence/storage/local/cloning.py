"""A second file with a file's bytes, sharing their space where the file system can."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from workbench.persistence.plain_files import write_all

# _IOW(0x94, 9, int), see ioctl_ficlone(2): both files share their blocks until one is written.
_FICLONE = 0x40049409
_CHUNK = 1 << 20


class Cloner:
    """Clones files: by reflink (Btrfs, XFS, bcachefs), else by copying.

    Never by hard link, with which most file systems could save the space as well. What
    somebody writes into one of two links stands in the other: a script that scales the
    images of a working copy with ``cv2.imwrite`` would do so in every frozen version.
    """

    def __init__(self) -> None:
        self._reflinks = sys.platform == "linux"

    def copy(self, original: BinaryIO, target: str, *, sync: bool = False) -> None:
        """Make a new file at `target`, where nothing is, with the bytes of an open one."""
        with open(target, "xb", buffering=0) as copy:
            if not self._reflink(original, copy):
                while chunk := original.read(_CHUNK):
                    write_all(copy.fileno(), chunk)
            if sync:
                os.fsync(copy.fileno())

    def _reflink(self, original: BinaryIO, copy: BinaryIO) -> bool:
        if self._reflinks:
            import fcntl

            try:
                fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
            except OSError:
                # Most file systems cannot clone; one that cannot now is not asked again.
                self._reflinks = False
        return self._reflinks
