"""How a dataset's hidden folder comes from an older format to the current one.

A new format needs three things:

1. `workbench.persistence.disk_format.FORMAT` grows by one.
2. `MIGRATIONS` gets a function under the number of the format that it starts from. It returns
   its changes and writes nothing by itself.
3. What reads the hidden folder goes on reading the older formats: reading never writes, and
   a dataset may lie where nobody may write.

A dataset is migrated when it is first written to, under its lease, one commit for each
step. A crash leaves it at one format or the next, and the next writer goes on from there.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from workbench.errors import InvalidDatasetError
from workbench.persistence.disk_format import FORMAT, format_of, newer_problem
from workbench.persistence.storage import Change, Storage, Write, Writer
from workbench.persistence.stored_json import malformed, parse_json
from workbench.persistence.stores.dataset import DATA_YAML
from workbench.persistence.yolo.names import HIDDEN

_log = logging.getLogger(__name__)

FACTS = f"{HIDDEN}/dataset.json"
"""Key of the format and of when the dataset was made."""

Migration = Callable[[Storage], Sequence[Change]]

MIGRATIONS: Mapping[int, Migration] = {}
"""What leads from a format to the next one, by the number that it starts from."""

EXPECTED = "the facts of a dataset"


def format_in(data: bytes | Exception | None, where: str) -> int | None:
    """Return the format that a dataset names, None if it names none.

    Parameters
    ----------
    data : bytes, Exception or None
        What was read under `FACTS`.
    where : str

    Raises
    ------
    InvalidDatasetError
        If a newer Workbench has written it.
    """
    if isinstance(data, InvalidDatasetError):
        # Not ours, whatever it is: the first writer sets it aside and writes its own.
        _log.warning("left unread: %s", data)
        return None
    if isinstance(data, Exception):
        raise data
    if data is None:
        return None
    found = format_of(data)
    problem = newer_problem(found)
    if problem is not None:
        expected, seen, remedy = problem
        raise InvalidDatasetError(f"{where}: expected {expected}, found {seen}; {remedy}")
    return found


def facts_bytes(created_at: datetime) -> bytes:
    """Return the ``dataset.json`` of a dataset of the current format."""
    return json.dumps({"format": FORMAT, "created_at": created_at.isoformat()}).encode()


def time_of_change(storage: Storage, keys: Sequence[str]) -> datetime | None:
    """Return when values, or what lies in folders, were last changed, where that is known."""
    changed = storage.changed_ns(keys)
    return datetime.fromtimestamp(changed / 1e9, UTC) if changed else None


def bring_up(
    storage: Storage,
    writer: Writer,
    found: int | None,
    *,
    migrations: Mapping[int, Migration] = MIGRATIONS,
    current: int = FORMAT,
) -> None:
    """Bring a dataset to the current format. Needs the lease.

    Parameters
    ----------
    storage : Storage
    writer : Writer
    found : int, optional
        The format that it names, as `format_in` returns it.
    migrations, current
        For tests of a format that there is not yet.
    """
    if found is None:
        # Made by hand or by another tool: from now on it also knows when it was made.
        made = time_of_change(storage, [DATA_YAML]) or datetime.now(UTC)
        writer.commit([Write(FACTS, facts_bytes(made))])
        return
    for number in range(found, current):
        facts = {**_facts(storage), "format": number + 1}
        written = Write(FACTS, json.dumps(facts).encode())
        writer.commit([*migrations[number](storage), written])
        _log.info("%s: migrated from format %d to %d", storage.where, number, number + 1)


def _facts(storage: Storage) -> dict[str, Any]:
    where = f"{storage.where}/{FACTS}"
    content = parse_json(storage.read(FACTS), where, EXPECTED)
    if not isinstance(content, dict):
        raise malformed(where, EXPECTED, type(content).__name__)
    return content
