"""Names of temporary folders, by which what a killed process has left is found and removed.

A folder among the system's temporary files, or beside a result that is being made, goes with the
process that made it, unless that is killed; and what is in one may be as large as a dataset. So the
name says whose it is: whoever next makes such a folder in the same place removes those of processes
of this machine that are gone.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from workbench.persistence.process_record import ProcessRecord

_NAME = re.compile(r"\.?workbench-[a-z]+-(\d{1,10})-(\d{1,12})-([0-9a-f]{8})-\w+", re.ASCII)


def scratch_prefix(what: str, beside: Path | None = None) -> str:
    """Return how the names of this process's temporary folders begin.

    Parameters
    ----------
    what : str
        What they are for, in small letters, for whoever finds one.
    beside : Path, optional
        The folder in which they are, hidden; default: that of the system's temporary files.
    """
    dot = "" if beside is None else "."
    own = ProcessRecord.of_this_process()
    _remove_left(own.pid, tempfile.gettempdir() if beside is None else os.fspath(beside))
    return f"{dot}workbench-{what}-{own.pid}-{int(own.created)}-{_host()}-"


@functools.cache
def _remove_left(_of_process: int, folder: str) -> None:
    """Remove what is left; looked for once in each process, also in one that was forked."""
    for place in [found for dot in ("", ".") for found in Path(folder).glob(f"{dot}workbench-*")]:
        named = _NAME.fullmatch(place.name)
        if named is None or named[3] != _host() or not _is_own_folder(place):
            continue
        owner = ProcessRecord(int(named[1]), float(named[2]), socket.gethostname())
        if owner.find() is None:
            shutil.rmtree(place, ignore_errors=True)


def _is_own_folder(place: Path) -> bool:
    """Whether it is a folder of this user's: everybody may put things among temporary files."""
    try:
        found = place.lstat()
    except OSError:
        return False
    owned = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and owned


def _host() -> str:
    """Return this machine's name, as short as it is in a name: containers may share a folder."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
