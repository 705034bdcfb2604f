"""Files in this user's own folder for state: what is said on this machine, for this machine.

Nothing there travels with a dataset or a model, so whoever gets a copy is asked again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

# No link in the place of the file, and no wait for whoever holds the other end of a pipe.
_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


def state_dir() -> Path:
    """Return this user's folder for what is to be remembered on this machine."""
    from platformdirs import user_state_path

    return user_state_path("workbench", appauthor=False)


def read_own_file(path: Path, most: int) -> bytes:
    """Return what is in a plain file of our own, of at most so many bytes.

    Raises
    ------
    OSError
        If it cannot be read, is larger, or is no plain file but a link, a pipe or a folder.
    """
    with os.fdopen(_open_plain(path, os.O_RDONLY), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it has more than {most:,} bytes")
    return content


def append_line(path: Path, line: str) -> None:
    """Write a line behind the others, with one write: several processes may do so at once.

    Parameters
    ----------
    path : Path
        Its folder is made if missing.
    line : str
        Without its end.

    Raises
    ------
    OSError
        If it cannot be written, or is no plain file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = _open_plain(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    data = f"{line}\n".encode("utf-8", "replace")
    try:
        length = os.fstat(descriptor).st_size
        if length:
            os.lseek(descriptor, length - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":  # cut off by a full disk or a crash
                data = b"\n" + data
        if os.write(descriptor, data) != len(data):
            raise OSError("no room for the whole line")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_plain(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _CAREFULLY, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no plain file")
    return descriptor
