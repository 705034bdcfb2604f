"""The way of a weights file to the one that is written again, which alone is ever loaded.

1. The file is copied, and its digest taken on the way: what is judged is what was copied.
2. If it was written again before, by its digest, that is the answer.
3. Else a process reads the copy (`workbench.weights.worker`) and writes it again.
4. A file with code in it is refused, unless somebody on this machine has said yes to these
   bytes. Then, and only in that process, it is loaded with all that it does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidModelError, NotFoundError, SetupError, plain_words
from workbench.own_python import own_python
from workbench.persistence.scratch import scratch_prefix
from workbench.weights import consent
from workbench.weights.archive import MAX_BYTES
from workbench.weights.container import read
from workbench.weights.seal import seal

_BLOCK = 2**20
_SECONDS, _BYTES_A_SECOND = 180, 10 * 2**20  # a process that reads gets so long
_MOST_KEPT = 2 * 2**30
_SECONDS_KEPT = 3600  # what somebody may be reading at this moment
_SUFFIX = ".safetensors"
_TRUSTED = ".trusted"
_REMEDY = "check the path: a training leaves weights/best.pt in its folder"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What came of a weights file.

    Parameters
    ----------
    digest : str
        SHA-256 of the file, in hexadecimal digits.
    path : Path or None
        Of the file that was written again; None if there is code in it and nobody said yes.
    path_digest : str
        SHA-256 of that file; whoever loads it compares.
    suspicious : list of str
        Names in it, as ``module.name``, that a model has no use for.
    facts : dict
        What it says of itself; see `workbench.weights.facts`.
    trusted : bool
        Whether it was loaded with its code.
    """

    digest: str
    path: Path | None
    path_digest: str
    suspicious: list[str]
    facts: dict[str, Any]
    trusted: bool


def rewrite_weights(
    source: Path, cache: Path, environment: Mapping[str, str], *, trust: bool = False
) -> Rewritten:
    """Read a weights file without running it, and write it again.

    Parameters
    ----------
    source : Path
    cache : Path
        Folder for what is written; made if missing. The least used goes when it gets large.
    environment : mapping
        Of the process that reads.
    trust : bool
        Whether somebody says yes to code in it now. Whoever asks writes it down if it worked.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidModelError
        If it is damaged or something else.
    SetupError
        If nothing can be written to `cache`.
    """
    found = _kept(cache, _digest(source))
    if found is not None:
        return found
    with _scratch(cache) as scratch:
        copy = scratch / "weights.pt"
        digest = _copied(source, copy)
        made = scratch / "plain"
        answer = _ask(copy, made, source, environment)
        suspicious, trusted = list(answer["suspicious"]), False
        if suspicious:
            trusted = trust or consent.is_trusted(digest)
            if not trusted:
                return Rewritten(digest, None, "", suspicious, {}, trusted=False)
            made = scratch / "run"
            answer = _ask(copy, made, source, environment, agreed=suspicious)
        content = file_digest(made)
        target = _target(cache, digest, content, trusted=trusted)
        made.replace(target)
    _drop_old(cache, target)
    return Rewritten(digest, target, content, suspicious, answer["facts"], trusted=trusted)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target(cache: Path, digest: str, content: str, *, trusted: bool) -> Path:
    signed = seal(digest, content, trusted=trusted)
    return cache / f"{digest}{_TRUSTED if trusted else ''}.{signed}{_SUFFIX}"


def _kept(cache: Path, digest: str) -> Rewritten | None:
    for path in sorted(cache.glob(f"{digest}.*{_SUFFIX}")):
        trusted = path.name.startswith(f"{digest}{_TRUSTED}.")
        if not path.is_file() or (trusted and not consent.is_trusted(digest)):
            continue
        try:
            contents = read(path, with_numbers=False)
            if path != _target(cache, digest, contents.digest, trusted=trusted):
                continue  # put there by somebody else: left alone, and made anew
            os.utime(path)
        except (InvalidModelError, OSError):  # cut off, or of another release: made anew
            continue
        facts = contents.facts
        return Rewritten(digest, path, contents.digest, facts["agreed"], facts, trusted=trusted)
    return None


@contextlib.contextmanager
def _reading(source: Path) -> Iterator[Any]:
    """Open a weights file. Only plain files: opening a pipe, for example, could wait for ever."""
    if "\0" in str(source):  # which is in no file name
        raise NotFoundError(f"no weights file at {str(source)!r}; {_REMEDY}")
    try:
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(source, os.O_RDONLY | flags)
        try:
            _check_plain(source, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        with os.fdopen(descriptor, "rb") as file:
            yield file
    except NotFoundError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(f"no weights file at {source}; {_REMEDY}") from error
    except OSError as error:
        raise InvalidModelError(
            f"{source}: this file cannot be read ({error.strerror}); let it be yours to read"
        ) from error


def _check_plain(source: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise NotFoundError(f"no weights file at {source}, but a folder; {_REMEDY}")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidModelError(f"{source}: expected a file, found a pipe or a device; {_REMEDY}")
    if status.st_size > MAX_BYTES:
        raise InvalidModelError(
            f"{source}: this file has {status.st_size:,} bytes; weights of at most "
            f"{MAX_BYTES:,} are read"
        )


@contextlib.contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # In the folder itself, so that putting the result in place is a rename.
        prefix = scratch_prefix("reading", cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=prefix) as folder:
            yield Path(folder)
    except OSError as error:
        if isinstance(error, NotFoundError):
            raise
        raise SetupError(
            f"{cache}: weights cannot be written again here ({plain_words(error)}); "
            "make room, or let this "
            "folder be yours to write to"
        ) from error


def _blocks(source: Path) -> Iterator[bytes]:
    with _reading(source) as file:
        while block := file.read(_BLOCK):
            yield block


def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    for block in _blocks(source):
        digest.update(block)
    return digest.hexdigest()


def _copied(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as copy:
        for block in _blocks(source):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()


def _ask(
    copy: Path,
    target: Path,
    source: Path,
    environment: Mapping[str, str],
    *,
    agreed: Sequence[str] = (),
) -> dict[str, Any]:
    """Let a process read the copy; return its answer."""
    job = {
        "source": str(copy),
        "target": str(target),
        "shown": str(source),
        "agreed": list(agreed),
    }
    variables = {**environment, "ULTRALYTICS_SAFE_LOAD": "0" if agreed else "1"}
    variables.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    variables.pop("PYTHONHASHSEED", None)  # with a known one, dicts can be made slow
    patience = _SECONDS + copy.stat().st_size / _BYTES_A_SECOND
    try:
        done = subprocess.run(
            own_python("-m", "workbench.weights.worker", json.dumps(job)),
            cwd=copy.parent,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidModelError(
            f"{source}: reading it takes longer than weights should ({patience:.0f} s); nothing of "
            "it was taken"
        ) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InvalidModelError(
            f"{source}: expected weights of an Ultralytics model; they cannot be read "
            f"({said[-1] if said else f'the process ended with {done.returncode}'})"
        ) from error
    if "error" in answer:
        raise InvalidModelError(answer["error"])
    return answer


def _drop_old(cache: Path, newest: Path) -> None:
    """Remove what was used least, when there is much of it."""
    kept = []
    for path in cache.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            kept.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in kept)
    for used, size, path in sorted(kept):
        if total <= _MOST_KEPT:
            break
        if path != newest and time.time() - used > _SECONDS_KEPT:
            total -= size
            with contextlib.suppress(OSError):
                path.unlink()
    for folder in cache.glob(".reading-*"):  # of earlier releases that were killed
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > 24 * _SECONDS_KEPT:
                shutil.rmtree(folder, ignore_errors=True)
