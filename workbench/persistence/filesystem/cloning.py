"""A second name for a file's bytes, sharing their space where that is safe."""

from __future__ import annotations

import errno
import os
import shutil
import sys

from workbench.persistence.filesystem.atomic import remove_file, rename, temporary_name

# _IOW(0x94, 9, int), see ioctl_ficlone(2): both files share their blocks until one is written.
_FICLONE = 0x40049409
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})
_JPEG = (".jpg", ".jpeg")
_JPEG_END = b"\xff\xd9"


class Cloner:
    """Clones files: by reflink, else by hard link where that is safe, else by copying.

    Parameters
    ----------
    temporary_folder : str
        Where a clone is made before it gets its name, on the same file system.

    Notes
    -----
    Our own writes always replace a file and never write into it. Other programs may write
    through a hard link, so whoever relies on a clone compares its hash first. Files that
    Ultralytics is known to rewrite in place, and what is behind symbolic links, are copied.
    """

    def __init__(self, temporary_folder: str) -> None:
        self._temporary_folder = temporary_folder
        self._reflinks = sys.platform == "linux"
        self._links = True

    def clone(self, source: str, target: str) -> None:
        """Let there be a file at `target`, replacing one that is there, with `source`'s bytes."""
        temporary = temporary_name(self._temporary_folder)
        try:
            if not (self._reflink(source, temporary) or self._link(source, temporary)):
                shutil.copyfile(source, temporary)
            rename(temporary, target)
        finally:
            # Renaming one of two links of a file onto the other does nothing, see rename(2).
            remove_file(temporary)

    def _reflink(self, source: str, target: str) -> bool:
        if not self._reflinks:
            return False
        import fcntl

        with open(source, "rb") as original, open(target, "xb") as copy:
            try:
                fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
            except OSError:
                # Most file systems cannot; if this one cannot now, it will not for the next.
                self._reflinks = False
        if not self._reflinks:
            remove_file(target)
        return self._reflinks

    def _link(self, source: str, target: str) -> bool:
        if not self._links or os.path.islink(source) or would_be_rewritten(source, source):
            return False
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            self._links = error.errno == errno.EMLINK
            return False
        return True


def would_be_rewritten(path: str, name: str) -> bool:
    """Whether Ultralytics would rewrite this file in place: a JPEG with more than an image.

    Parameters
    ----------
    path : str
    name : str
        What the file is, or will be, called.
    """
    if not name.lower().endswith(_JPEG):
        return False
    with open(path, "rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_JPEG_END)))
        return file.read() != _JPEG_END
