"""A second file with a file's bytes, sharing their space where the file system can."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import BinaryIO

from workbench.persistence.plain_files import write_all

# _IOW(0x94, 9, int), see ioctl_ficlone(2): both files share their blocks until one is written.
_FICLONE = 0x40049409
_CHUNK = 1 << 20


def clone(original: BinaryIO, target: str, *, sync: bool = False) -> None:
    """Make a new file with the bytes of an open one: by reflink (Btrfs, XFS), else by copying.

    Never by hard link, with which most file systems could save the space as well. What somebody
    writes into one of two links stands in the other: a script that scales the images of a
    working copy with ``cv2.imwrite`` would do so in every frozen version.

    Parameters
    ----------
    original : BinaryIO
        At its start.
    target : str
        Nothing is there.
    sync : bool
        Force its bytes to disk.
    """
    with open(target, "xb", buffering=0) as copy:
        if not _reflink(original, copy):
            while chunk := original.read(_CHUNK):
                write_all(copy.fileno(), chunk)
        if sync:
            os.fsync(copy.fileno())


def _reflink(original: BinaryIO, copy: BinaryIO) -> bool:
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # most file systems cannot
            fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
            return True
    return False
