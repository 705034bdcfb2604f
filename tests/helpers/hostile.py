"""Files that are small and would cost much: what a stranger could hand over."""

from __future__ import annotations

import struct
import zlib


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, depth: int = 8, before: bytes = b"") -> bytes:
    """A black grey PNG of any size: each row is packed when it is made, so it takes no memory.

    Parameters
    ----------
    depth : int
        Bits for each pixel.
    before : bytes
        Chunks to put in front of the pixels.
    """
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width * depth + 7) // 8)
    pixels = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", head)
        + before
        + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b"")
    )


def progressive_jpeg(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose scans, each over all pixels, say nothing new."""
    frame = struct.pack(">HBHHBBBB", 11, 8, height, width, 1, 1, 0x11, 0)
    quantities = struct.pack(">HB", 67, 0) + bytes([1] * 64)
    # One code of one bit, for the symbol "no more in this block".
    table = struct.pack(">HB16BB", 20, 0x00, 1, *[0] * 15, 0)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 0, 0, 0)
    blocks = -(-width // 8) * -(-height // 8)
    coded = bytes(blocks // 8 + 1)
    return (
        b"\xff\xd8\xff\xdb"
        + quantities
        + b"\xff\xc2"
        + frame
        + b"\xff\xc4"
        + table
        + (scan + coded) * scans
        + b"\xff\xd9"
    )
