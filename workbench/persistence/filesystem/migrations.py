"""How a dataset's hidden folder comes from an older format to the current one.

A new format needs three things:

1. `workbench.persistence.disk_format.FORMAT` grows by one.
2. `MIGRATIONS` gets a function under the number of the format that it starts from. It adds
   its changes to a transaction and writes nothing by itself.
3. What reads the hidden folder goes on reading the older formats: reading never writes, and
   a dataset may lie where nobody may write.

A dataset is migrated when it is first written to, under its lock, one transaction for each
step. A crash leaves it at one format or the next, and the next writer goes on from there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.errors import InvalidDatasetError
from workbench.persistence.disk_format import FORMAT, MAX_BYTES, format_of, newer_problem
from workbench.persistence.filesystem.dataset_paths import DatasetPaths
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.journal import Journal, Transaction
from workbench.persistence.stored_json import malformed

_log = logging.getLogger(__name__)

Migration = Callable[[DatasetPaths, Transaction], None]

MIGRATIONS: Mapping[int, Migration] = {}
"""What leads from a format to the next one, by the number that it starts from."""


class FormatCache:
    """The formats of datasets; one is read again when its file's time, size or inode changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], int]] = {}

    def read(self, paths: DatasetPaths) -> int | None:
        """Return the format that a dataset names, None if it names none.

        Raises
        ------
        InvalidDatasetError
            If a newer Workbench has written it.
        """
        try:
            status = os.lstat(paths.facts)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(paths.facts)
            if known is not None and known[0] == stamp:
                return known[1]
            found = format_of(inside.read(paths.root, paths.below(paths.facts), most=MAX_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except InvalidDatasetError as error:
            # Not ours, whatever it is: the first writer sets it aside and writes its own.
            _log.warning("left unread: %s", error)
            return None
        problem = newer_problem(found)
        if problem is not None:
            expected, seen, remedy = problem
            raise InvalidDatasetError(f"{paths.facts}: expected {expected}, found {seen}; {remedy}")
        self._known[paths.facts] = (stamp, found)
        return found


def facts_bytes(created_at: datetime) -> bytes:
    """Return the ``dataset.json`` of a dataset of the current format."""
    return json.dumps({"format": FORMAT, "created_at": created_at.isoformat()}).encode()


def bring_up(
    paths: DatasetPaths,
    journal: Journal,
    found: int | None,
    *,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    current: int = FORMAT,
) -> None:
    """Bring a dataset to the current format. Needs the lock.

    Parameters
    ----------
    paths : DatasetPaths
    journal : Journal
        The dataset's own.
    found : int, optional
        The format that it names, as `FormatCache.read` returns it.
    migrations, current
        For tests of a format that there is not yet.
    """
    if found is None:
        # Made by hand or by another tool: from now on it also knows when it was made.
        made = datetime.fromtimestamp(os.stat(paths.data_yaml).st_mtime, UTC)
        journal.write(paths.facts, facts_bytes(made))
        return
    for number in range(found, current):
        with journal.transaction() as change:
            migrations[number](paths, change)
            facts = {**_facts(paths), "format": number + 1}
            change.write(paths.facts, json.dumps(facts).encode())
        _log.info("%s: migrated from format %d to %d", paths.root, number, number + 1)


def _facts(paths: DatasetPaths) -> dict[str, Any]:
    expected = "the facts of a dataset"
    content = inside.read_json(paths.root, paths.below(paths.facts), expected)
    if not isinstance(content, dict):
        raise malformed(paths.facts, expected, type(content).__name__)
    return content
