"""Errors of the operating system become errors of ours: this is the one place that does it.

Below, code lets an `OSError` pass unless it knows better. At the doors of the stores, and of
what reads and writes for imports, exports and runs, it becomes an error of ours that names
the dataset, the file, what was found and what to do.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar, cast

from workbench.errors import (
    InvalidNameError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    WorkbenchError,
    plain_words,
)

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says when nothing more fits."""

LEADS_NOWHERE = frozenset(
    {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG}
)
"""What looking at a file says that was removed meanwhile, or is a link that leads nowhere."""

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_MOVE_AWAY = "move it away or delete it, then try again"
_WORDS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("room on the disk", "make room there, then try again"),
    errno.EDQUOT: ("room within your quota", "make room there or get more, then try again"),
    errno.EFBIG: ("a file as large as the disk takes", "use another file system"),
    errno.EROFS: ("a disk that may be written to", "mount it so, or copy the data elsewhere"),
    errno.EACCES: ("permission to do this", "ask whoever owns it, or copy the data elsewhere"),
    errno.EPERM: ("permission to do this", "ask whoever owns it, or copy the data elsewhere"),
    errno.EIO: ("a sound disk", "copy what you need to another one, and have this one checked"),
    errno.EMFILE: ("a free file handle", "restart the kernel, or raise the limit (ulimit -n)"),
    errno.ENFILE: ("a free file handle", "end programs that hold very many files open"),
    errno.ENOMEM: ("free memory", "end programs that hold much of it, then try again"),
    errno.ENOENT: ("a file or folder that is there", "it was removed or renamed; look again"),
    errno.ELOOP: ("a file or folder", "delete the link, or let it lead to a file"),
    errno.ENOTDIR: ("a folder", _MOVE_AWAY),
    errno.EISDIR: ("a file", _MOVE_AWAY),
    errno.ENXIO: ("a file", _MOVE_AWAY),
    errno.ENOTEMPTY: ("an empty place", _MOVE_AWAY),
    errno.EEXIST: ("a free place", _MOVE_AWAY),
    errno.ENAMETOOLONG: ("a name as short as the disk takes", "choose a shorter one"),
}
_OTHERWISE = ("that the disk does as it is told", "see to the disk, then try again")
_SUBJECTS = ("dataset", "name", "split", "from_split", "filename", "entry_id", "version")


def as_ours(error: OSError, where: str) -> WorkbenchError:
    """Return what an error of the operating system means, in an error of ours.

    Parameters
    ----------
    error : OSError
    where : str
        The dataset, the file: what was worked on. The message begins with it.
    """
    if isinstance(error, WorkbenchError):
        return error
    code = error.errno or 0
    expected, remedy = _WORDS.get(code, _OTHERWISE)
    named = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    at = f" ({', '.join(map(os.fsdecode, named))})" if named else ""
    kind: type[WorkbenchError] = StorageError
    if code in _FORBIDDEN:
        kind = ReadOnlyError
    elif code == errno.ENOENT:
        kind = NotFoundError
    ours = kind(
        f"{where or 'the disk'}: expected {expected}, found: {plain_words(error)}{at}; {remedy}"
    )
    # Callers that free space for a last message, or answer a client, look at the number.
    ours.errno = code  # type: ignore[attr-defined]
    return ours


def kind_at(path: str) -> str:
    """Return in words what lies somewhere: ``"a pipe"``; of a link, where it leads."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return "something else"
    nowhere = "" if os.path.exists(path) else " that leads nowhere"
    kinds = {
        stat.S_IFLNK: f"a link{nowhere}",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFREG: "a file",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


@contextmanager
def in_our_words(where: str) -> Iterator[None]:
    """Let what the operating system refuses in the block leave it as an error of ours.

    Parameters
    ----------
    where : str
        As for `as_ours`.

    Raises
    ------
    StorageError, ReadOnlyError, NotFoundError
        All of them are an `OSError`, too.
    InvalidNameError
        If a name holds what no file system takes.
    """
    try:
        yield
    except WorkbenchError:
        raise
    except OSError as error:
        # Without a number it is a caller's own, such as an `InterruptedError` that stops the work.
        if error.errno is None:
            raise
        raise as_ours(error, where) from error
    except UnicodeEncodeError as error:  # half of a pair of surrogates
        raise InvalidNameError(
            f"{where}: expected names that can be written to the disk, found "
            f"{error.object[:200]!r}; choose another name"
        ) from error


def speaks_plainly(door: type[T]) -> type[T]:
    """Decorate a class that people call: each public method raises errors `in_our_words`."""
    for name, method in inspect.getmembers(door, inspect.isfunction):
        is_static = isinstance(inspect.getattr_static(door, name), staticmethod)
        if not (name.startswith("_") or is_static):
            setattr(door, name, plainly(method))
    return door


def plainly(function: F) -> F:
    """Decorate a function, coroutine or asynchronous generator: it raises errors `in_our_words`."""
    signature = inspect.signature(function)

    @contextmanager
    def words(args: Any, options: Any) -> Iterator[None]:
        try:
            yield
        except WorkbenchError:
            raise
        except (OSError, UnicodeEncodeError):
            # Said below, where what was worked on is found out: only if something went wrong.
            with in_our_words(_subject(signature, args, options)):
                raise

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with words(args, options):
            return function(*args, **options)

    @functools.wraps(function)
    async def call_later(*args: Any, **options: Any) -> Any:
        with words(args, options):
            return await function(*args, **options)

    @functools.wraps(function)
    async def iterate(*args: Any, **options: Any) -> Any:
        with words(args, options):
            async with aclosing(function(*args, **options)) as items:
                async for item in items:
                    yield item

    if inspect.isasyncgenfunction(function):
        return cast(F, iterate)
    return cast(F, call_later if inspect.iscoroutinefunction(function) else call)


def _subject(signature: inspect.Signature, args: Any, options: Any) -> str:
    """Return what a call was about: what it names, else that of its settings, else itself."""
    given = signature.bind_partial(*args, **options).arguments
    named = [given[name] for name in _SUBJECTS if isinstance(given.get(name), str)]
    for whose, what in (("config", "dataset"), ("self", "id")):
        if not named and isinstance(found := getattr(given.get(whose), what, None), str):
            named = [found]
    return "/".join(named)
