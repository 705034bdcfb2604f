"""Zip archives built record by record, so that any of them can lie."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field


@dataclass
class RawMember:
    """One member; what is None is what it should be."""

    name: bytes
    data: bytes = b""
    method: int = 0
    flags: int = 0
    mode: int = 0
    disk: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    local_flags: int | None = None
    local_sizes: tuple[int, int, int] | None = None  # CRC-32, packed size, size
    local_extra: bytes = b""
    extra: bytes = b""
    after: bytes = b""
    packed: bytes = field(init=False, default=b"")

    def pack(self) -> bytes:
        """Return the local header and the data, and settle what is None."""
        self.packed = _deflate(self.data) if self.method == 8 else self.data
        self.crc = zlib.crc32(self.data) if self.crc is None else self.crc
        self.size = len(self.data) if self.size is None else self.size
        self.packed_size = len(self.packed) if self.packed_size is None else self.packed_size
        name = self.name if self.local_name is None else self.local_name
        flags = self.flags if self.local_flags is None else self.local_flags
        crc, packed_size, size = self.local_sizes or (self.crc, self.packed_size, self.size)
        header = struct.pack(
            "<4s5H3I2H",
            *(b"PK\x03\x04", 20, flags, self.method, 0, 33, crc, packed_size, size),
            *(len(name), len(self.local_extra)),
        )
        return header + name + self.local_extra + self.packed + self.after

    def central(self, offset: int) -> bytes:
        """Return the record for the central directory."""
        offset = offset if self.offset is None else self.offset
        header = struct.pack(
            "<4s6H3I5H2I",
            *(b"PK\x01\x02", 3 << 8 | 20, 20, self.flags, self.method, 0, 33),
            *(self.crc, self.packed_size, self.size, len(self.name), len(self.extra)),
            *(0, self.disk, 0, self.mode << 16, offset),
        )
        return header + self.name + self.extra


def raw_zip(
    *members: RawMember,
    count: int | None = None,
    disk: int = 0,
    comment: bytes = b"",
    end64: bytes = b"",
    directory_offset: int | None = None,
) -> bytes:
    """Return an archive of `members`; `end64` goes between the directory and the end record."""
    body = directory = b""
    for member in members:
        offset = len(body)
        body += member.pack()
        directory += member.central(offset)
    count = len(members) if count is None else count
    start = len(body) if directory_offset is None else directory_offset
    end = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", disk, disk, count, count, len(directory), start, len(comment)
    )
    return body + directory + end64 + end + comment


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()
