"""Which clusters somebody on this machine has sent a run to.

A run's folder may come from a stranger, and names the cluster that it runs on. Nothing is sent to
one, and none is asked anything, that nobody here has named by themselves.
"""

from __future__ import annotations

from workbench.errors import SetupError, plain_words
from workbench.persistence.own_files import append_line, read_own_file, state_dir

_FILE = "clusters.txt"
_MAX_BYTES = 2**20


def is_own_cluster(url: str) -> bool:
    """Whether somebody on this machine has named a cluster."""
    try:
        return url in read_own_file(state_dir() / _FILE, _MAX_BYTES).decode(errors="replace").split(
            "\n"
        )
    except OSError:  # as if nobody had: to name it again mends it
        return False


def note_own_cluster(url: str) -> None:
    """Remember that somebody on this machine has named a cluster.

    Raises
    ------
    SetupError
        If it cannot be written down.
    """
    if is_own_cluster(url):
        return
    path = state_dir() / _FILE
    try:
        append_line(path, url)
    except OSError as error:
        raise SetupError(
            f"{path}: the cluster that you named cannot be written down ({plain_words(error)}); "
            "let this folder "
            "be yours to write to"
        ) from error
