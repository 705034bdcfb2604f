"""Where uploads wait on their way in, and archives on their way out."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.stored_json import MALFORMED

_PREFIX = "workbench-api-"
_RECORD = "process.json"
_FILES = "files"
_MOST_RECORD_BYTES = 1000


@contextmanager
def upload_folder() -> Iterator[Path]:
    """Make an empty folder among the system's temporary files, and remove it afterwards.

    Those of servers that were killed are removed before: what they had taken in was not
    acknowledged, and may be as large as a dataset.
    """
    _remove_leftovers(Path(tempfile.gettempdir()))
    place = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        record = json.dumps(ProcessRecord.of_this_process().as_json())
        (place / _RECORD).write_text(record, encoding="utf-8")
        folder = place / _FILES
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _remove_leftovers(temporary: Path) -> None:
    for place in temporary.glob(f"{_PREFIX}*"):
        if _is_own_folder(place) and _is_left(place / _RECORD):
            shutil.rmtree(place, ignore_errors=True)


def _is_own_folder(place: Path) -> bool:
    """Whether it is a folder of this user's: everybody may put things among temporary files."""
    try:
        found = place.lstat()
    except OSError:
        return False
    owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and owned


def _is_left(record: Path) -> bool:
    """Whether the process that a record names is known to have ended."""
    try:
        with record.open("rb") as file:
            process = ProcessRecord.from_json(json.loads(file.read(_MOST_RECORD_BYTES)))
    except (OSError, *MALFORMED):
        return False
    return process.is_here() and process.find() is None
