"""Write zip archives in one sequential pass: stored members, real sizes and CRCs, zip64.

Python's `zipfile` spends most of its time on objects and on seeking back to every header.
A small file's size and CRC-32 are known once its bytes are read, so its header can be
written first; only files above `LARGE_BYTES` have their headers completed afterwards.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from workbench.errors import AlreadyExistsError, ArchiveError, ConflictError, NotFoundError
from workbench.persistence.archive.format import (
    BLOCK_BYTES,
    CENTRAL,
    CENTRAL_SIGNATURE,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    EXTRA,
    EXTRA_ZIP64,
    FLAG_UTF8,
    LARGE_BYTES,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR,
    LOCATOR_SIGNATURE,
    MAX16,
    MAX32,
    STORED,
    dos_time,
)
from workbench.persistence.models import SPLITS, Progress, no_progress
from workbench.persistence.plain_files import write_all
from workbench.persistence.storage.local.lock import making
from workbench.persistence.storage.local.new_file import new_file

_PAIR = struct.Struct("<QQ")
_SINGLE = struct.Struct("<Q")
_TIMES = 4096
_VERSION = 20
_VERSION_ZIP64 = 45
_MADE_ON_UNIX = 3 << 8
_REGULAR_FILE = (stat.S_IFREG | 0o644) << 16
_BINARY: Final[int] = getattr(os, "O_BINARY", 0)  # Windows translates line ends without it
# Through no link, which may have been put there since the entries were chosen; a pipe is not
# waited for.
_READ: Final[int] = (
    os.O_RDONLY | _BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
)


def archive_path(output: Path, name: str) -> Path:
    """Return where an archive goes: `output` if that ends in ``.zip``, else into that folder.

    The folder is made if it is not there.

    Raises
    ------
    ReadOnlyError
        If it cannot be made.
    """
    if output.suffix.lower() == ".zip" and not output.is_dir():
        return output
    with making(str(output), "choose another folder for the archive"):
        output.mkdir(parents=True, exist_ok=True)
    return output / f"{name}.zip"


def require_free(output: Path, *, overwrite: bool) -> None:
    """Refuse to replace what is there, unless that was asked for.

    Raises
    ------
    AlreadyExistsError
        If there is something of this name.
    """
    if overwrite or not os.path.lexists(output):
        return
    raise AlreadyExistsError(
        f"{output} is there already and was left as it is: choose another name, delete it, or "
        f"pass overwrite=True to replace it"
    )


def write_zip(
    output: Path,
    entries: Iterable[tuple[str, Path | str | bytes]],
    *,
    progress: Progress = no_progress,
    total: int = 0,
    zip64_limit: int = MAX32,
    most_bytes: Callable[[str], int] | None = None,
) -> Path:
    """Write a zip archive; `output` changes only when the new one is complete and on disk.

    Members are stored, not deflated: pictures do not get smaller, and label files are a
    hundredth of a dataset. Memory holds the central directory (some 80 bytes for each
    member) and never more than one block of contents.

    Parameters
    ----------
    output : Path
        The archive, in a folder that exists. One of this name is replaced.
    entries : iterable of (str, Path or str or bytes)
        Distinct member names with forward slashes, and for each the path of a file (a string
        is the quickest) or the contents.
        Consumed once. A file has the length it had when it was opened; if it grows
        meanwhile, the rest is left out, if it shrinks, it ends early: what the archive
        says of it is true either way.
    progress : callable
        Called after each member, and after each block of a large one.
    total : int
        Number of entries, if known, for `progress`.
    zip64_limit : int
        Sizes and offsets from this on are written in the 64-bit form. Tests lower it.
    most_bytes : callable, optional
        Takes a member's name and returns how large its file may be; default: as large as it is.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    NotFoundError
        If the folder of `output` does not exist.
    ReadOnlyError
        If nothing may be written there.
    ConflictError
        If a file of `entries` is not there any more.
    ArchiveError
        If a name cannot be written as UTF-8 or is too long for the format, or a file is larger
        than it may be.
    """
    output = Path(output)
    if not output.parent.is_dir():
        raise NotFoundError(
            f"{output}: expected an existing folder for the archive, found none at "
            f"{output.parent}; make the folder or choose another"
        )
    with (
        making(str(output.parent), "choose another folder for the archive"),
        new_file(output) as descriptor,
        _Behind(descriptor) as target,
    ):
        writer = _Writer(target, output, zip64_limit, most_bytes)
        done = 0

        def tick() -> None:
            progress(done, total)

        for name, source in entries:
            if isinstance(source, bytes):
                writer.add_bytes(name, source, writer.dos_time(int(time.time())))
            else:
                writer.add_file(name, source, tick)
            done += 1
            tick()
        writer.finish()
    return output


def empty_splits(names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return entries for the folders of images that ``data.yaml`` names and that would be missing.

    Ultralytics refuses a dataset whose folder for ``val`` is not there, even an empty one.
    """
    used = {name.split("/")[1] for name in names if name.startswith("images/")}
    return [(f"images/{split}/", b"") for split in SPLITS if split not in used]


class _Behind:
    """Writes to a file in a thread, a block at a time, while the next one is made."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="workbench-zip")
        self._going_on: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()  # nobody closes the file under its hands

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write at the end, as soon as what was to be written before is; raises what that did."""
        self.wait()
        self._going_on = self._thread.submit(self._write, pieces)

    def _write(self, pieces: Sequence[bytes]) -> None:
        write_all(self._descriptor, b"".join(pieces))

    def write_at(self, place: int, data: bytes) -> None:
        """Write over what is at a place, and go on at the end."""
        self.wait()
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        os.lseek(self._descriptor, place, os.SEEK_SET)
        write_all(self._descriptor, data)
        os.lseek(self._descriptor, end, os.SEEK_SET)

    def wait(self) -> None:
        """Wait for what was to be written; raises what that did."""
        if self._going_on is not None:
            going_on, self._going_on = self._going_on, None
            going_on.result()


class _Writer:
    """The archive's bytes on their way to a file: pending blocks and the growing directory."""

    def __init__(
        self,
        target: _Behind,
        output: Path,
        zip64_limit: int,
        most_bytes: Callable[[str], int] | None,
    ) -> None:
        self._most_bytes = most_bytes
        self._target = target
        self._output = output
        self._limit = zip64_limit
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._offset = 0
        self._central = bytearray()
        self._count = 0
        self.dos_time = lru_cache(_TIMES)(dos_time)  # many files were made within one second

    def add_file(self, name: str, path: Path | str, tick: Callable[[], None]) -> None:
        """Add a file as it is now; `tick` is called between the blocks of a large one."""
        try:
            source = os.open(path, _READ)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
            raise ConflictError(
                f"{path}: expected a file for the archive {self._output}, found none: it was "
                f"removed or renamed meanwhile; export again"
            ) from error
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise ArchiveError(
                    f"{path}: expected a file for the archive {self._output}, found a folder or "
                    f"a device; move it away and export again"
                )
            size = status.st_size
            if self._most_bytes is not None and size > (most := self._most_bytes(name)):
                raise self._too_large(path, most, size)
            modified = self.dos_time(int(status.st_mtime))
            if size > LARGE_BYTES:
                self._add_large(name, source, size, modified, tick)
                return
            data = os.read(source, size)
            if len(data) < size:
                data += _read_up_to(source, size - len(data))
            self.add_bytes(name, data, modified)
        finally:
            os.close(source)

    def _too_large(self, path: Path | str, most: int, size: int) -> ArchiveError:
        return ArchiveError(
            f"{path}: expected a file of at most {most:,} bytes for the archive "
            f"{self._output}, found {size:,}; correct it or move it away, and export again"
        )

    def add_bytes(self, name: str, data: bytes, modified: int) -> None:
        """Add a member whose contents are at hand."""
        raw = self._encode(name)
        crc, size = zlib.crc32(data), len(data)
        self._record(raw, modified, crc, size, self._offset)
        self._write(_local_header(raw, modified, crc, size, size >= self._limit), data)

    def _add_large(
        self, name: str, source: int, size: int, modified: int, tick: Callable[[], None]
    ) -> None:
        raw = self._encode(name)
        start = self._offset
        # No more than `size` is read, so whether the sizes need 64 bits is known by now.
        wide = size >= self._limit
        self._write(_local_header(raw, modified, 0, 0, wide))
        written = crc = 0
        while block := os.read(source, min(BLOCK_BYTES, size - written)):
            crc = zlib.crc32(block, crc)
            written += len(block)
            self._write(block)
            tick()
        self._flush()
        self._target.write_at(start, _local_header(raw, modified, crc, written, wide))
        self._record(raw, modified, crc, written, start)

    def finish(self) -> None:
        """Write the central directory and the end records."""
        offset, size, count = self._offset, len(self._central), self._count
        self._write(bytes(self._central))
        if count >= MAX16 or size >= self._limit or offset >= self._limit:
            end64 = self._offset
            rest = END64.size - 12  # the record's own size field does not count itself
            version = _VERSION_ZIP64
            self._write(
                END64.pack(
                    *(END64_SIGNATURE, rest, _MADE_ON_UNIX | version, version, 0, 0),
                    *(count, count, size, offset),
                )
            )
            self._write(LOCATOR.pack(LOCATOR_SIGNATURE, 0, end64, 1))
        count = min(count, MAX16)
        size = size if size < self._limit else MAX32
        offset = offset if offset < self._limit else MAX32
        self._write(END.pack(END_SIGNATURE, 0, 0, count, count, size, offset, 0))
        self._flush()
        self._target.wait()

    def _encode(self, name: str) -> bytes:
        try:
            raw = name.encode()
        except UnicodeEncodeError as error:
            raise ArchiveError(
                f"{self._output}, member {name!r}: expected a name in Unicode, found bytes that "
                f"are no UTF-8; rename the file"
            ) from error
        if len(raw) > MAX16:
            raise ArchiveError(
                f"{self._output}, member {name[:80]!r}...: expected a name of at most {MAX16} "
                f"bytes, found {len(raw)}; use a shorter one"
            )
        return raw

    def _record(self, raw: bytes, modified: int, crc: int, size: int, offset: int) -> None:
        """Add a member to the central directory."""
        extra = b""
        version = _VERSION
        short_size, short_offset = size, offset
        if size >= self._limit or offset >= self._limit:
            version = _VERSION_ZIP64
            wide = b""
            if size >= self._limit:
                wide, short_size = _PAIR.pack(size, size), MAX32
            if offset >= self._limit:
                wide, short_offset = wide + _SINGLE.pack(offset), MAX32
            extra = EXTRA.pack(EXTRA_ZIP64, len(wide)) + wide
        fixed = CENTRAL.pack(
            CENTRAL_SIGNATURE,
            _MADE_ON_UNIX | version,
            version,
            FLAG_UTF8,
            STORED,
            modified,
            crc,
            short_size,
            short_size,
            len(raw),
            len(extra),
            0,
            0,
            0,
            _REGULAR_FILE,
            short_offset,
        )
        self._central += fixed + raw + extra
        self._count += 1

    def _write(self, *pieces: bytes) -> None:
        self._pending += pieces
        size = sum(map(len, pieces))
        self._pending_bytes += size
        self._offset += size
        if self._pending_bytes >= BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._target.write(self._pending)
        self._pending, self._pending_bytes = [], 0


def _local_header(raw: bytes, modified: int, crc: int, size: int, wide: bool) -> bytes:
    """Return a member's local header; the length depends on `raw` and `wide` only."""
    if not wide:
        fixed = LOCAL.pack(
            LOCAL_SIGNATURE, _VERSION, FLAG_UTF8, STORED, modified, crc, size, size, len(raw), 0
        )
        return fixed + raw
    extra = EXTRA.pack(EXTRA_ZIP64, _PAIR.size) + _PAIR.pack(size, size)
    return (
        LOCAL.pack(
            *(LOCAL_SIGNATURE, _VERSION_ZIP64, FLAG_UTF8, STORED, modified, crc, MAX32, MAX32),
            *(len(raw), len(extra)),
        )
        + raw
        + extra
    )


def _read_up_to(source: int, size: int) -> bytes:
    """Return the next `size` bytes of a file, fewer if it shrank since it was measured."""
    data = os.read(source, size)
    while len(data) < size and (more := os.read(source, size - len(data))):
        data += more
    return data
