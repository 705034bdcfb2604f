"""To which weights somebody on this machine has said yes, by the digest of their bytes.

The list lies in the user's own folder for state, where nothing of it travels with a model:
whoever gets a copy of a models folder, or makes one up, is asked again.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import SetupError

_FILE = "trusted-weights.txt"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def state_dir() -> Path:
    """Return this user's folder for what is to be remembered on this machine."""
    from platformdirs import user_state_path

    return user_state_path("workbench", appauthor=False)


def is_trusted(digest: str) -> bool:
    """Whether somebody here has said yes to the code in the weights of this SHA-256."""
    try:
        lines = (state_dir() / _FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return False
    return any(line.split(" ", 1)[0] == digest for line in lines)


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
        # One write at the end of the file: several processes may do so at once.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(folder / _FILE, flags, 0o600)
        try:
            os.write(descriptor, line.encode("utf-8", "replace"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SetupError(
            f"{folder / _FILE}: your yes to these weights cannot be written down ({error}); let "
            "this folder be yours to write to"
        ) from error
