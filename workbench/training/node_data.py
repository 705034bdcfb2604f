"""The data of a run on its node, where each file is fetched once, however many runs need it.

The frozen view of the dataset lies in the run's folder, which the nodes share. Reading it there in
each epoch of each run would go over the network each time. So before a run is sent, the digest of
each of its files is noted in its folder; and a node keeps files under their digest in a cache of
its own, of which a run gets a view. What another run, or another version of the dataset, has
brought there is not fetched again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.persistence.plain_files import files_below
from workbench.persistence.run_folder import RunFolder, free_space
from workbench.persistence.scratch import scratch_prefix
from workbench.training.environment import cache_dir
from workbench.weights.rewriting import file_digest

VARIABLE: Final = "WORKBENCH_RUN_DATA"
"""Environment variable of a process that trains on a node: where its view of the data is."""
MOST_BYTES = 50_000_000_000
"""Bytes of the cache of a node; what was not used for longest goes first."""

_NOTE = "contents.json"
_DIGEST = re.compile("[0-9a-f]{64}", re.ASCII)
_ROOM_LEFT = 2**30
_READ_BYTES = 2**20
_AT_ONCE = 8  # a shared folder answers late, not slowly
_MADE_AGAIN = (".cache", ".npy")  # by training, and never to be taken from elsewhere
_STARTS_JPEG, _ENDS_JPEG = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class NodeData:
    """Where the data of a run are on its node.

    Parameters
    ----------
    path : Path
    files, bytes : int
        So many had to be fetched.
    """

    path: Path
    files: int = 0
    bytes: int = 0


def note_contents(folder: RunFolder) -> None:
    """Note the digest of each file of a run's data in its folder."""
    names = [name for name, _ in _files(folder.data_dir)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = pool.map(lambda name: file_digest(folder.data_dir / name), names)
        folder.write_note(_NOTE, dict(zip(names, digests, strict=True)))


def bring(folder: RunFolder) -> NodeData:
    """Return a view of a run's data on this node's own disk, for this process and as long as it is.

    Where there is no room for it, the data are used where they are.
    """
    digests = folder.read_note(_NOTE) or {}
    cache = _Cache(cache_dir() / "cluster-data")
    files = [*_files(folder.data_dir)]
    wanted = sum(size for name, size in files if not cache.has(_known(digests, name)))
    try:
        if free_space(cache.folder) < wanted + _ROOM_LEFT:
            print(f"no room for the run's data in {cache.folder}: they are read where they lie")
            return NodeData(folder.data_dir)
        view = cache.view()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            fetched = [*pool.map(
                lambda name: cache.put(
                    folder.data_dir / name, _known(digests, name), view / name
                ),
                [name for name, _ in files],
            )]  # fmt: skip
        if any(fetched):
            cache.shrink(MOST_BYTES)
    except OSError as error:
        print(f"the run's data cannot be kept in {cache.folder} ({error}): they are read in place")
        return NodeData(folder.data_dir)
    return NodeData(view, sum(size > 0 for size in fetched), sum(fetched))


def data_of(folder: RunFolder) -> Path:
    """Return where this process has the data of its run: in the run's folder, or in a view."""
    found = os.environ.get(VARIABLE, "")
    return Path(found) if found else folder.data_dir


def let_go(folder: RunFolder) -> None:
    """Remove the view of this process, if it has one; the cache keeps what was in it."""
    view = data_of(folder)
    if view != folder.data_dir:
        shutil.rmtree(view, ignore_errors=True)


class _Cache:
    """Files by their digest, for all runs of this user on this machine.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def view(self) -> Path:
        """Return a new folder for this process; those of processes that are gone are removed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prefix = scratch_prefix("view", self.folder)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder))

    def has(self, digest: str) -> bool:
        """Whether a file is here."""
        return bool(digest) and self._place(digest).is_file()

    def put(self, source: Path, digest: str, target: Path) -> int:
        """Put a file into a view; return the bytes that were fetched for it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        kept = self._place(digest) if digest else None
        if kept is not None:
            with suppress(FileNotFoundError):
                os.utime(kept)  # it is in use
                _share(kept, target)
                return 0
        size, found = _copy(source, target)
        if kept is not None and found == digest:  # else somebody has written into the original
            kept.parent.mkdir(exist_ok=True)
            _share(target, kept)
        return size

    def shrink(self, most_bytes: int) -> None:
        """Remove what was not used for longest, until all is no more than so many bytes."""
        files = []
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            files += [(found.st_mtime, found.st_size, path) for path, found in _regular(folder)]
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _place(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest


def _share(source: Path, target: Path) -> None:
    """Give a file a second name; a copy instead where that may not be.

    Ultralytics writes into JPEGs that go on behind their end mark, or have none. That must reach
    no other run.
    """
    with source.open("rb") as file:
        head = file.read(2)
        file.seek(max(os.fstat(file.fileno()).st_size - 2, 0))
        is_written_into = head == _STARTS_JPEG and file.read(2) != _ENDS_JPEG
    try:
        if not is_written_into:
            os.link(source, target)
            return
    except FileExistsError:  # another process was here
        return
    except OSError:  # the disk has no second names
        pass
    part = target.with_name(f".{os.urandom(8).hex()}")
    shutil.copyfile(source, part)
    part.replace(target)


def _copy(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file; return its size and its digest."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_READ_BYTES):
            digest.update(block)
            writing.write(block)
            size += len(block)
    return size, digest.hexdigest()


def _known(digests: Mapping[str, object], name: str) -> str:
    """Return the digest that is noted of a file; empty if none is: the note may be anybody's."""
    found = str(digests.get(name, ""))
    return found if _DIGEST.fullmatch(found) else ""


def _files(data: Path) -> Iterator[tuple[str, int]]:
    """Yield the names below a run's data, with their sizes."""
    for path, found in _regular(data):
        if not path.name.endswith(_MADE_AGAIN):
            yield path.relative_to(data).as_posix(), found.st_size


def _regular(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files below a folder; no links, which lead anywhere."""
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield path, found
