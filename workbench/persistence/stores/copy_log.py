"""What a copy that takes long has done already, noted on this machine: an interrupted one goes on.

Nothing here is believed: what is noted as copied is read again where it was written, and compared.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_path

from workbench.persistence.storage.base import UNFINISHED_S, Mark
from workbench.persistence.stored_json import MALFORMED

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Copied:
    """A value that was copied.

    Parameters
    ----------
    mark : Mark
        Of the value where it came from.
    digest : bytes
        SHA-256 of its bytes.
    """

    mark: Mark
    digest: bytes


class CopyLog:
    """The notes of one copy. A disk that takes none costs only that it cannot be gone on with.

    Parameters
    ----------
    source, target : str
        What is copied, and where to.
    """

    def __init__(self, source: str, target: str) -> None:
        folder = user_cache_path("workbench", appauthor=False) / "copies"
        name = sha256(f"{source}\n{target}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self._path = folder / f"{name}.jsonl"

    def begin(self) -> str:
        """Return what this copy is called, which nobody else can guess; the same until it ends."""
        self._remove_old()
        lines = self._lines()
        if lines:
            return lines[0]
        token = os.urandom(8).hex()
        self._append([token])
        return token

    def copied(self) -> dict[str, Copied]:
        """Return what was noted, by key."""
        found: dict[str, Copied] = {}
        for line in self._lines()[1:]:
            try:
                key, size, stamp, which, digest = json.loads(line)
                found[str(key)] = Copied((int(size), stamp, int(which)), bytes.fromhex(digest))
            except MALFORMED:  # cut off in the middle
                continue
        return found

    def note(self, copied: Mapping[str, Copied]) -> None:
        """Note what was copied."""
        self._append([json.dumps([k, *one.mark, one.digest.hex()]) for k, one in copied.items()])

    def end(self) -> None:
        """Forget all of it: the copy is done, or there is nothing to go on with."""
        self._path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            return []

    def _append(self, lines: list[str]) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            _log.info("an interrupted copy will begin anew: %s", error)

    def _remove_old(self) -> None:
        for path in self._path.parent.glob("*.jsonl"):
            if _age_s(path) > UNFINISHED_S:
                path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
