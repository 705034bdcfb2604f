"""Let calls of the operating system fail, one chosen by its number or all from it on.

Calls are seen by an audit hook (see PEP 578), which Python asks before it makes them and which
may raise in their place; ``os.write``, ``os.fsync`` and ``os.sendfile``, which it does not ask
for, are wrapped. What the code sees is what it would see of a disk that is full, read-only or
broken, or of a process that has no file handles left.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
NAMES = frozenset({"os.rename", "os.link", "os.mkdir"})
CHANGES = NAMES | {"os.remove", "os.rmdir", "os.truncate", "open to write"}
READS = frozenset({"open to read", "os.listdir", "os.scandir"})
BYTES = frozenset({"write", "sendfile", "fsync"})
CALLS = CHANGES | READS | BYTES | {"fsync of a folder"}

LASTING: dict[int, frozenset[str]] = {
    errno.ENOSPC: NAMES | BYTES | {"open to write"},
    errno.EACCES: CHANGES,
    errno.EMFILE: READS | {"open to write"},
    errno.EIO: BYTES | {"fsync of a folder"},
}
"""Which calls fail one after the other while a disk is full, read-only or broken, or there
are no file handles left. Any one call may fail in any way."""

_ALIKE = {errno.EDQUOT: LASTING[errno.ENOSPC], errno.EROFS: LASTING[errno.EACCES]}


def could_strike(error: int, lasting: bool) -> frozenset[str]:
    """Return the kinds of calls that an error strikes, once or while it lasts."""
    return (LASTING | _ALIKE)[error] if lasting else CALLS


@dataclass
class FailingCalls:
    """Counts calls below a folder and lets some of them fail.

    Parameters
    ----------
    folder : str
        Calls on paths elsewhere go through: Python imports modules, too.
    error : int
        One of `LASTING`, or EDQUOT or EROFS.
    first : int
        The number of the call to fail, counted from 1; 0 lets none fail.
    lasting : bool
        Whether all later calls fail as well.
    relative : bool
        Whether calls on names relative to an open folder, wherever that is, count as well.
    """

    folder: str
    error: int
    first: int = 0
    lasting: bool = False
    relative: bool = True
    calls: int = 0
    struck: bool = False
    kinds: list[str] = field(default_factory=list)

    def happens(self, call: str, path: Any) -> None:
        """Count a call that is about to happen, or raise in its place."""
        if call not in could_strike(self.error, self.lasting):
            return
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str):
            counts = path.startswith(self.folder) if path.startswith("/") else self.relative
            if not counts:
                return
        self.calls += 1
        self.kinds.append(call)
        if self.calls == self.first or (self.lasting and 0 < self.first < self.calls):
            self.struck = True
            raise OSError(self.error, os.strerror(self.error), path)


_active: FailingCalls | None = None
_installed = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _active is None:
        return
    if event == "open":
        flags = arguments[2]
        writes = isinstance(flags, int) and flags & WRITES
        _active.happens("open to write" if writes else "open to read", arguments[0])
    elif event.startswith("os."):
        _active.happens(event, arguments[0])


def _wrapped(call: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(descriptor: int, *arguments: Any) -> Any:
        if _active is not None:
            folder = call == "fsync" and stat.S_ISDIR(os.fstat(descriptor).st_mode)
            _active.happens(f"{call} of a folder" if folder else call, descriptor)
        return real(descriptor, *arguments)

    return wrapper


@contextmanager
def failing(calls: FailingCalls) -> Iterator[FailingCalls]:
    """Let calls of this process fail while the block runs."""
    global _active, _installed
    if not _installed:
        sys.addaudithook(_hook)  # it cannot be removed again, so it is there once
        _installed = True
    real = {name: getattr(os, name) for name in ("write", "fsync", "sendfile") if hasattr(os, name)}
    for name, function in real.items():
        setattr(os, name, _wrapped(name, function))
    _active = calls
    try:
        yield calls
    finally:
        _active = None
        for name, function in real.items():
            setattr(os, name, function)
