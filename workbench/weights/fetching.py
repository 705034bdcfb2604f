"""Files that are fetched from the network, and only because somebody has said so just now.

1. Where the page of a release tells size and digest of its files, these are asked for first.
2. The bytes go into a file without a name, and their digest is taken on the way.
3. Only if length and digest are as they should be, the file gets its name: at every moment it
   is there as a whole or not at all, whatever breaks off, and nothing is left of the attempt.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench.errors import FetchError, NotFoundError
from workbench.persistence.models import Progress, no_progress
from workbench.persistence.storage.local.new_file import new_file

_BLOCK = 2**20
_SECONDS = 30.0
"""Without a byte, after which a connection counts as broken."""
_MOST_BYTES = 4 * 2**30
_MOST_OF_A_LISTING = 16 * 2**20
_DIGEST = "sha256:"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be fetched.

    Parameters
    ----------
    name : str
        What it is called on this disk.
    url : str
    about : int
        Bytes, roughly: for a person who is asked.
    digest : str
        SHA-256 in hexadecimal digits; empty if it is not known beforehand.
    release : str
        Address of the JSON of a release on GitHub, which tells size and digest of its files;
        empty if there is none.
    size : int or None
        Bytes, exactly.
    """

    name: str
    url: str
    about: int
    digest: str = ""
    release: str = ""
    size: int | None = None

    @property
    def host(self) -> str:
        """Where it comes from, for people."""
        return urlsplit(self.url).hostname or self.url

    def __str__(self) -> str:
        """Return it for people: which file, how large, from where."""
        return f"{self.name} (about {self.about / 1e6:,.0f} MB, from {self.host})"


class MissingFilesError(NotFoundError):
    """Files are needed that are not on this disk, and nobody has said that they may be fetched.

    Parameters
    ----------
    what : str
        What needs them.
    files : sequence of RemoteFile
    folder : Path
        Where they are looked for.

    Attributes
    ----------
    files : list of RemoteFile
    folder : Path
    need : str
        What needs them and which, as a sentence for people.
    size : int
        Bytes of all of them, roughly.
    """

    def __init__(self, what: str, files: Sequence[RemoteFile], folder: Path) -> None:
        self.files = list(files)
        self.folder = folder
        self.size = sum(file.about for file in files)
        names = [str(file) for file in files]
        wanted = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        self.need = f"{what} needs {wanted}."
        super().__init__(
            f"{self.need} Expected in {folder}, found nothing there, and nothing is fetched unless "
            "you say so (fetch=True). You can also put the files there yourself"
        )


def missing(files: Sequence[RemoteFile], folder: Path) -> list[RemoteFile]:
    """Return those of some files that are not in a folder."""
    return [file for file in files if not (folder / file.name).is_file()]


async def fetch_all(
    files: Sequence[RemoteFile], folder: Path, progress: Progress = no_progress
) -> list[Path]:
    """Fetch files one after the other; those that are there already are left as they are.

    Cancel the task to break it off: no part of a file stays.

    Parameters
    ----------
    files : sequence of RemoteFile
    folder : Path
        Made if missing.
    progress : callable
        Told ``(done, total)`` in bytes, of the file that is on its way.

    Raises
    ------
    FetchError
        If a file cannot be fetched, or is another than it should be.
    """
    is_cancelled = threading.Event()

    def tell(done: int, total: int) -> None:
        if is_cancelled.is_set():
            raise _CancelledError
        progress(done, total)

    for file in missing(files, folder):
        work = asyncio.ensure_future(asyncio.to_thread(_fetch_told, file, folder, tell))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            is_cancelled.set()
            await asyncio.wait([work])  # until the thread has let go of the file
            if not work.cancelled():
                work.exception()
            raise
    return [folder / file.name for file in files]


def fetch(file: RemoteFile, folder: Path, progress: Progress = no_progress) -> Path:
    """Fetch one file, replacing what has its name; blocks until it is there.

    Parameters
    ----------
    progress : callable
        Told ``(done, total)`` in bytes, total 0 if that is not known; raise from it to cancel.

    Raises
    ------
    FetchError
        If it cannot be fetched, or is another than it should be. What was there stays.
    """
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(_with_release(file), target, progress)
    except (OSError, HTTPException) as error:
        if isinstance(error, FetchError):
            raise
        raise FetchError(
            f"{file.name} could not be fetched from {file.url} ({_reason(error)}); nothing was "
            f"kept. Try again, or put the file at {target} yourself"
        ) from error
    return target


class _CancelledError(Exception):
    """Nobody waits any more."""


def _fetch_told(file: RemoteFile, folder: Path, progress: Progress) -> None:
    try:
        fetch(file, folder, progress)
    except _CancelledError:
        return


def _write(file: RemoteFile, target: Path, progress: Progress) -> None:
    digest = hashlib.sha256()
    with _opened(file.url) as answer, new_file(target) as descriptor:
        total = _length(answer)
        _check_room(file, total, target)
        done = 0
        progress(done, total or 0)
        while block := answer.read(_BLOCK):
            done += len(block)
            if done > (total or _MOST_BYTES):
                raise _other(file, f"more than {total or _MOST_BYTES:,} bytes", target)
            digest.update(block)
            _write_all(descriptor, block)
            progress(done, total or 0)
        if total is not None and done != total:
            raise _other(file, f"{done:,} of {total:,} bytes, then the connection ended", target)
        if not done:
            raise _other(file, "an empty file", target)
        if file.size is not None and done != file.size:
            raise _other(file, f"{done:,} bytes where its release says {file.size:,}", target)
        if file.digest and digest.hexdigest() != file.digest:
            raise _other(file, f"the SHA-256 {digest.hexdigest()}, not {file.digest}", target)


def _with_release(file: RemoteFile) -> RemoteFile:
    """Return a file with the size and digest that its release tells, as far as it does."""
    if not file.release or file.digest:
        return file
    with _opened(file.release) as answer:
        data = answer.read(_MOST_OF_A_LISTING + 1)
    try:
        assets = json.loads(data)["assets"]
        [facts] = [asset for asset in assets if asset["name"] == file.name]
        size, digest = int(facts["size"]), str(facts.get("digest") or "")
    except (ValueError, LookupError, TypeError) as error:
        raise FetchError(
            f"{file.name}: expected its size and digest at {file.release}, found something else; "
            "nothing was fetched"
        ) from error
    known = digest.removeprefix(_DIGEST) if digest.startswith(_DIGEST) else ""
    return replace(file, size=size, digest=known)


def _opened(url: str) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "workbench"})
    try:
        answer = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    # A way that began encrypted ends so: nobody on it can slip in another file.
    if urlsplit(url).scheme == "https" and urlsplit(answer.url).scheme != "https":
        answer.close()
        raise FetchError(f"{url} leads to {answer.url}, which is not encrypted; nothing was taken")
    return answer


def _length(answer: Any) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _check_room(file: RemoteFile, total: int | None, target: Path) -> None:
    if total is None:
        return
    if total > _MOST_BYTES:
        raise _other(file, f"{total:,} bytes (at most {_MOST_BYTES:,} are taken)", target)
    free = shutil.disk_usage(target.parent).free
    if total > free:
        raise FetchError(
            f"{file.name} has {total:,} bytes, and {target.parent} has room for {free:,}; nothing "
            "was fetched. Make room"
        )


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _other(file: RemoteFile, found: str, target: Path) -> FetchError:
    return FetchError(
        f"{file.name}: {file.url} gave {found}; nothing was kept. Try again, or put the file at "
        f"{target} yourself"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the answer was {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
