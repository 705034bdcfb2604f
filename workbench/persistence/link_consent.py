"""Which links that lead out of a dataset somebody on this machine has called their own.

What is kept is the dataset's folder and the folders that its links lead to. A dataset from a
stranger that comes to lie in the same place later can reach nothing beyond those; a copy of the
dataset elsewhere, or on another machine, is asked for again.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import SetupError, plain_words
from workbench.persistence.own_files import append_line, read_own_file, state_dir

_log = logging.getLogger(__name__)

_FILE = "trusted-links.jsonl"
_MAX_BYTES = 16 * 2**20


def trusted_folders(real_root: str) -> frozenset[str]:
    """Return the folders outside of a dataset to which its links may lead.

    Parameters
    ----------
    real_root : str
        The dataset's folder, through no link.
    """
    path = state_dir() / _FILE
    try:
        status = path.lstat()
        found = _read(path, (status.st_mtime_ns, status.st_size, status.st_ino))
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        # As if nobody had said yes: then the answer is no, with a way to say it again.
        _log.warning("%s: whose links are trusted cannot be read: %s", path, error)
        return frozenset()
    return found.get(real_root, frozenset())


def trust(real_root: str, folders: Iterable[str]) -> None:
    """Remember to which folders the links of a dataset may lead, besides those of before.

    Raises
    ------
    SetupError
        If it cannot be written down.
    """
    _note(real_root, sorted(folders))


def distrust(real_root: str, *, but: Iterable[str] = ()) -> None:
    """Forget what was said of a dataset's links, but for those to some folders.

    Raises
    ------
    SetupError
        If it cannot be written down.
    """
    _note(real_root, None, sorted(but))


def _note(real_root: str, folders: Sequence[str] | None, but: Sequence[str] | None = None) -> None:
    path = state_dir() / _FILE
    said = {"dataset": real_root, "folders": folders, "at": f"{datetime.now(UTC):%Y-%m-%d}"}
    if but:
        said["but"] = but  # on the same line: either both are said, or nothing
    try:
        append_line(path, json.dumps(said))
    except OSError as error:
        raise SetupError(
            f"{path}: what you said of the links cannot be written down ({plain_words(error)}); "
            "let this folder "
            "be yours to write to"
        ) from error


@functools.lru_cache(maxsize=1)
def _read(path: Path, _stamp: tuple[int, int, int]) -> dict[str, frozenset[str]]:
    """Return folders by dataset; what is no line of ours says nothing."""
    found: dict[str, frozenset[str]] = {}
    for line in read_own_file(path, _MAX_BYTES).split(b"\n"):
        try:
            said = json.loads(line)
            dataset, folders, but = said["dataset"], said["folders"], said.get("but", [])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
        if not isinstance(dataset, str) or not isinstance(folders, list | None):
            continue
        if folders is None:
            found[dataset] = _plain(but)
        else:
            found[dataset] = found.get(dataset, frozenset()) | _plain(folders)
    return found


def _plain(folders: object) -> frozenset[str]:
    if not isinstance(folders, list):
        return frozenset()
    return frozenset(f for f in folders if isinstance(f, str) and os.path.isabs(f))
