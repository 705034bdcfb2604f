"""To which weights somebody on this machine has said yes, by the digest of their bytes.

The list lies in the user's own folder for state, where nothing of it travels with a model:
whoever gets a copy of a models folder, or makes one up, is asked again.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import SetupError

_FILE = "trusted-weights.txt"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 16 * 2**20
# No link in the place of the file, and no wait for whoever holds the other end of a pipe.
_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


def state_dir() -> Path:
    """Return this user's folder for what is to be remembered on this machine."""
    from platformdirs import user_state_path

    return user_state_path("workbench", appauthor=False)


def is_trusted(digest: str) -> bool:
    """Whether somebody here has said yes to the code in the weights of this SHA-256."""
    path = state_dir() / _FILE
    try:
        content = read_own_file(path, _MAX_BYTES)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SetupError(
            f"{path}: expected the list of weights to which you have said yes, and it cannot be "
            f"read ({error}); move away what is there, and say yes again where you are asked"
        ) from error
    lines = content.decode("utf-8", "replace").splitlines()
    return any(line.split(" ", 1)[0] == digest for line in lines)


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


def _open_plain(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _CAREFULLY, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no plain file")
    return descriptor


def trust(digest: str, what: str) -> None:
    """Remember a yes.

    Parameters
    ----------
    digest : str
        SHA-256 of the weights, in hexadecimal digits.
    what : str
        For a person who looks at the list: which file it was.

    Raises
    ------
    SetupError
        If it cannot be written down.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"expected a SHA-256 in hexadecimal digits, found {digest!r}")
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    line = " ".join(f"{digest} {when} {what}".split()) + "\n"
    folder = state_dir()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _open_plain(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            _append(descriptor, line.encode("utf-8", "replace"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SetupError(
            f"{folder / _FILE}: your yes to these weights cannot be written down ({error}); let "
            "this folder be yours to write to"
        ) from error


def _append(descriptor: int, line: bytes) -> None:
    """Write a line behind the others, with one write: several processes may do so at once."""
    length = os.fstat(descriptor).st_size
    if length:
        os.lseek(descriptor, length - 1, os.SEEK_SET)
        if os.read(descriptor, 1) != b"\n":  # cut off by a full disk or a crash
            line = b"\n" + line
    if os.write(descriptor, line) != len(line):
        raise OSError("no room for the whole line")
    os.fsync(descriptor)
