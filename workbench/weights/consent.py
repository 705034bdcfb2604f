"""To which weights somebody on this machine has said yes, by the digest of their bytes.

The list lies in the user's own folder for state, where nothing of it travels with a model:
whoever gets a copy of a models folder, or makes one up, is asked again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from workbench.errors import SetupError, plain_words
from workbench.persistence.own_files import append_line, read_own_file, state_dir

_FILE = "trusted-weights.txt"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 16 * 2**20


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
            f"read ({plain_words(error)}); "
            "move away what is there, and say yes again where you are asked"
        ) from error
    lines = content.decode("utf-8", "replace").splitlines()
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
    path = state_dir() / _FILE
    try:
        append_line(path, " ".join(f"{digest} {when} {what}".split()))
    except OSError as error:
        raise SetupError(
            f"{path}: your yes to these weights cannot be written down ({plain_words(error)}); let "
            "this folder be yours to write to"
        ) from error
