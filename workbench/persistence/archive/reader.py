"""Read zip archives strictly and in one sequential pass.

What the central directory tells is checked when the archive is opened, before anybody has
written a byte: see `workbench.persistence.archive.directory`. What only the members
themselves tell (local headers, CRC-32, real sizes) is checked as each is read, because a
pass over all of them in advance would read a large archive twice.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from workbench.errors import ArchiveError, NotFoundError
from workbench.persistence.archive.directory import Member, read_directory, zip64_values
from workbench.persistence.archive.end_records import FETCH_AGAIN, read_at
from workbench.persistence.archive.folder import opened_file
from workbench.persistence.archive.format import (
    BLOCK_BYTES,
    DEFLATED,
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    LOCAL,
    LOCAL_SIGNATURE,
    MAX32,
    refusal,
)
from workbench.persistence.models import ArchiveLimits

__all__ = ["Archive", "Member"]

_RATIO_FROM_BYTES = 1_000_000


class Archive:
    """An open archive whose directory has been found sound; a context manager.

    Quickest when members are read in the order of `members`. Not for several threads.
    """

    def __init__(self, file: io.FileIO, path: Path, members: list[Member]) -> None:
        self.path = path
        self.members = members
        self._file = file
        self._block = b""
        self._block_start = 0
        self._length = file.seek(0, io.SEEK_END)

    @classmethod
    def open(cls, path: Path | str, limits: ArchiveLimits | None = None) -> Self:
        """Open an archive and check all that its central directory tells.

        Raises
        ------
        NotFoundError
            If there is no such file.
        ArchiveError
            If it is no zip archive, is damaged, encrypted, split or packed in an unusual
            way, has a member that is no regular file or whose name leads elsewhere or
            meets another's, or unpacks to more than `limits` allow.
        """
        path = Path(path)
        try:
            file = io.FileIO(path, opener=opened_file)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"{path}: expected a zip archive, found no such file; check the path"
            ) from error
        except IsADirectoryError as error:
            raise refusal(
                path, "", expected="a zip archive", found="a folder", remedy="choose a file"
            ) from error
        except OSError as error:
            raise refusal(
                *(path, ""),
                expected="a zip archive that can be read",
                found=error.strerror or str(error),
                remedy="see to it, or choose another file",
            ) from error
        try:
            limits = limits or ArchiveLimits()
            members = read_directory(file, path, limits.max_members)
            _check_limits(members, path, limits)
            return cls(file, path, members)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(self, member: Member) -> int:
        """Compare a member's local header (4.3.7) with the directory; return its data's offset."""
        raw = member.raw_name
        at = self._at(member, member.offset, LOCAL.size + len(raw))
        signature, _, flags, method, _, crc, packed, size, name_length, extra_length = (
            LOCAL.unpack_from(self._block, at)
        )
        start: int = member.offset + LOCAL.size + name_length + extra_length
        if (
            signature != LOCAL_SIGNATURE
            or method != member.method
            or flags & FLAG_ENCRYPTED
            or name_length != len(raw)
            or not self._block.startswith(raw, at + LOCAL.size)
        ):
            raise self._damaged(member, "a local header that agrees with the directory", "another")
        if start + member.packed_size > member.end:
            raise self._damaged(
                member, f"it to end before offset {member.end}", "it overlapping what follows"
            )
        if not flags & FLAG_DESCRIPTOR:
            if MAX32 in (packed, size):
                size, packed = self._local_zip64(member, size, packed, start - extra_length, start)
            if (crc, packed, size) != (member.crc, member.packed_size, member.size):
                raise self._damaged(
                    member, "a local header with the directory's sizes and CRC-32", "others"
                )
        return start

    def _local_zip64(
        self, member: Member, size: int, packed: int, start: int, stop: int
    ) -> tuple[int, int]:
        at = self._at(member, start, stop - start)
        extra = self._block[at : at + stop - start]
        values = list(zip64_values(extra, (size == MAX32) + (packed == MAX32)) or ())
        if size == MAX32 and values:
            size = values.pop(0)
        if packed == MAX32 and values:
            packed = values.pop(0)
        return size, packed

    def read(self, member: Member) -> bytes:
        """Return a member's contents, sizes and CRC-32 checked; for members that fit in memory.

        Raises
        ------
        ArchiveError
            If the member is damaged.
        """
        length = member.packed_size
        at = self._at(member, self.check(member), length)
        data = self._block[at : at + length]
        if member.method == DEFLATED:
            data = self._inflate(member, data)
        crc = zlib.crc32(data)
        if crc != member.crc or len(data) != member.size:
            self._check_contents(member, len(data), crc)
        return data

    def head(self, member: Member, length: int) -> bytes:
        """Return the beginning of a member's contents, of which nothing can be checked."""
        if member.method == DEFLATED:
            return next(self.chunks(member), b"")[:length]
        length = min(length, member.packed_size)
        at = self._at(member, self.check(member), length)
        return self._block[at : at + length]

    def ends(self, member: Member, length: int, last: int) -> tuple[bytes, bytes]:
        """Return the beginning and at least the last bytes of a member; nothing is checked."""
        if member.method == DEFLATED:
            # What is packed has to be unpacked from its beginning.
            chunks = self.chunks(member)
            head = tail = next(chunks, b"")
            try:
                for chunk in chunks:
                    tail = tail[-last:] + chunk
            except ArchiveError:  # whoever takes the member is told
                tail = b""
            return head[:length], tail
        start = self.check(member)
        size = member.packed_size
        at = self._at(member, start, min(length, size))
        head = self._block[at : at + length][:size]
        if size <= length:
            return head, head
        at = start + size - last - self._block_start
        if at + last <= len(self._block):
            return head, self._block[at : at + last]
        # Without the block, in which the next member begins or soon will.
        return head, read_at(self._file, self.path, start + size - last, last)

    def _inflate(self, member: Member, packed: bytes) -> bytes:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        # One byte more than the directory says is enough to know that it is wrong.
        data = self._unpack(member, unpacker, packed, member.size + 1)
        if len(data) <= member.size and (not unpacker.eof or unpacker.unused_data):
            raise self._wrong_length(member)
        return data

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield a member's contents in blocks, for members of any size.

        Sizes are enforced on the way, the CRC-32 after the last block: what was yielded
        is sound only if the iteration ends without an error.

        Raises
        ------
        ArchiveError
            If the member is damaged.
        """
        blocks = self._packed_blocks(member, self.check(member))
        if member.method == DEFLATED:
            blocks = self._inflate_blocks(member, blocks)
        size = crc = 0
        for block in blocks:
            size += len(block)
            if size > member.size:
                break
            crc = zlib.crc32(block, crc)
            yield block
        self._check_contents(member, size, crc)

    def _packed_blocks(self, member: Member, start: int) -> Iterator[bytes]:
        stop = start + member.packed_size
        for offset in range(start, stop, BLOCK_BYTES):
            yield read_at(self._file, self.path, offset, min(BLOCK_BYTES, stop - offset))

    def _inflate_blocks(self, member: Member, blocks: Iterator[bytes]) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        for packed in blocks:
            rest = packed
            while rest and not unpacker.eof:
                yield self._unpack(member, unpacker, rest, BLOCK_BYTES)
                rest = unpacker.unconsumed_tail
            if unpacker.eof:
                break
        # Contents may be pending although all that was packed has been taken in.
        while not unpacker.eof and (data := self._unpack(member, unpacker, b"", BLOCK_BYTES)):
            yield data
        if not unpacker.eof or unpacker.unused_data or next(blocks, b""):
            raise self._wrong_length(member)

    def _unpack(
        self, member: Member, unpacker: zlib._Decompress, packed: bytes, most: int
    ) -> bytes:
        try:
            return unpacker.decompress(packed, most)
        except zlib.error as error:
            raise self._damaged(member, "deflated contents", str(error)) from error

    def _wrong_length(self, member: Member) -> ArchiveError:
        return self._damaged(
            member, f"deflated contents of {member.packed_size} bytes", "another length"
        )

    def _check_contents(self, member: Member, size: int, crc: int) -> None:
        if size != member.size:
            more = size > member.size
            raise self._damaged(
                member, f"{member.size} bytes", f"{'more than that' if more else f'{size}'}"
            )
        if crc != member.crc:
            raise self._damaged(
                member, f"contents with CRC-32 {member.crc:08x}", f"CRC-32 {crc:08x}"
            )

    def _at(self, member: Member, offset: int, length: int) -> int:
        """Make sure that bytes of the archive are in the block; return their place in it."""
        place = offset - self._block_start
        if place < 0 or place + length > len(self._block):
            if offset + length > self._length:
                raise self._damaged(member, f"{length} bytes at {offset}", "the end (truncated)")
            ahead = min(max(length, BLOCK_BYTES), self._length - offset)
            self._block = read_at(self._file, self.path, offset, ahead)
            self._block_start = offset
            place = 0
        return place

    def _damaged(self, member: Member, expected: str, found: str) -> ArchiveError:
        return refusal(
            self.path,
            member.name,
            expected=expected,
            found=found,
            remedy=f"it is damaged: {FETCH_AGAIN}",
        )


def _check_limits(members: list[Member], path: Path, limits: ArchiveLimits) -> None:
    """Refuse what would fill the disk, going by what the directory promises."""
    size = sum(member.size for member in members)
    packed = sum(member.packed_size for member in members)
    if size > limits.max_total_bytes:
        raise refusal(
            path,
            "",
            expected=f"at most {limits.max_total_bytes} bytes when unpacked",
            found=f"{size}",
            remedy="if that is right, pass limits=ArchiveLimits(max_total_bytes=...)",
        )
    large = [(m.name, m.size, m.packed_size) for m in members if m.size > _RATIO_FROM_BYTES]
    for name, unpacked, kept in (("", size, packed), *large):
        if unpacked > _RATIO_FROM_BYTES and unpacked > limits.max_ratio * max(kept, 1):
            raise refusal(
                path,
                name,
                expected=f"at most {limits.max_ratio:g} times its size when unpacked",
                found=f"{unpacked} bytes out of {kept}, {unpacked / max(kept, 1):.0f} times",
                remedy="if that is right, pass limits=ArchiveLimits(max_ratio=...)",
            )
