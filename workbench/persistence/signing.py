"""Words that only this user, on this machine, can have put where they are found.

Caches, runs and sweeps can be copied, shared and sent. What is said there of this machine is
signed with a key that lies in this user's own folder for state and travels with nothing.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import tempfile
from pathlib import Path

from workbench.persistence.own_files import read_own_file, state_dir
from workbench.persistence.scratch import scratch_prefix

_FILE = "signing.key"
_LENGTH = 32
_ONLY_NOW = os.urandom(_LENGTH)
"""Where nothing can be kept: then what this process has signed is good for itself alone."""


def signature(text: str) -> str:
    """Return 64 hexadecimal digits that nobody without the key can find for this text."""
    return hmac.new(_key(), text.encode("utf-8", "surrogateescape"), "sha256").hexdigest()


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
    # Written beside it, so that nobody reads half a key; and of two who do so at once, the first
    # has made it. What one who is killed leaves there is removed by the next.
    prefix = scratch_prefix("key", path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=prefix) as folder:
        draft = Path(folder) / _FILE
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(_LENGTH))
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        except (OSError, NotImplementedError):  # no hard links here: then the last has made it
            draft.replace(path)
