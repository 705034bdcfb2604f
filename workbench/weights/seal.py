"""Whether a file in the cache of rewritten weights is the one that this machine has put there.

The cache can be copied, shared and restored from elsewhere, and what is in it is loaded. So
the name of each file says of which weights it was made and what is in it, signed with a key that
lies in this user's own folder for state. A file that somebody else put there, or put in the
place of another, has another name than it should have.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import tempfile
from pathlib import Path

from workbench.persistence.own_files import read_own_file, state_dir

_FILE = "rewritten-weights.key"
_LENGTH = 32
_ONLY_NOW = os.urandom(_LENGTH)
"""Where nothing can be kept: then what this process has written is good for itself alone."""


def seal(source: str, content: str, *, trusted: bool) -> str:
    """Return what the name of a file in the cache has to say.

    Parameters
    ----------
    source, content : str
        SHA-256 of the weights that it was made of, and of itself, in hexadecimal digits.
    trusted : bool
        Whether the weights were loaded with their code.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    said = f"{source} {content} {'trusted' if trusted else 'plain'}"
    return hmac.new(_key(), said.encode(), "sha256").hexdigest()


def _key() -> bytes:
    path = state_dir() / _FILE
    with contextlib.suppress(OSError):
        if not path.exists():
            _make(path)
        key = read_own_file(path, _LENGTH)
        if len(key) == _LENGTH:
            return key
    return _ONLY_NOW


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written beside it, so that nobody reads half a key. mkstemp lets nobody else read it.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{_FILE}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_LENGTH))
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
