"""Records of the zip format that writing and reading share, and how a refusal is worded.

Source: PKWARE's "APPNOTE.TXT - .ZIP File Format Specification", version 6.3.10; the
section is named at each record. All numbers are little-endian.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path

from workbench.errors import ArchiveError

# 4.3.7: signature, version needed, flags, method, time and date, CRC-32, packed size,
# size, length of the name, length of the extra field.
LOCAL = struct.Struct("<IHHHIIIIHH")
LOCAL_SIGNATURE = 0x04034B50

# 4.3.12: signature, version made by, version needed, flags, method, time and date, CRC-32,
# packed size, size, lengths of name, extra field and comment, first disk, internal
# attributes, external attributes, offset of the local header.
CENTRAL = struct.Struct("<IHHHHIIIIHHHHHII")
CENTRAL_SIGNATURE = 0x02014B50

# 4.3.16: signature, this disk, disk of the directory, members on this disk, members,
# size and offset of the directory, length of the comment.
END = struct.Struct("<IHHHHIIH")
END_SIGNATURE = 0x06054B50

# 4.3.14: signature, size of the rest of the record, version made by, version needed, this
# disk, disk of the directory, members on this disk, members, size and offset of the
# directory.
END64 = struct.Struct("<IQHHIIQQQQ")
END64_SIGNATURE = 0x06064B50

# 4.3.15: signature, disk of the zip64 end record, its offset, number of disks.
LOCATOR = struct.Struct("<IIQI")
LOCATOR_SIGNATURE = 0x07064B50

EXTRA = struct.Struct("<HH")  # 4.5.1: id, length of the data that follows
EXTRA_ZIP64 = 0x0001  # 4.5.3

STORED = 0
DEFLATED = 8

FLAG_ENCRYPTED = 0x0001
FLAG_DESCRIPTOR = 0x0008  # CRC and sizes follow the data instead of standing in the local header
FLAG_PATCH = 0x0020
FLAG_STRONG_ENCRYPTION = 0x0040
FLAG_UTF8 = 0x0800
FLAG_MASKED = 0x2000

MAX16 = 0xFFFF
MAX32 = 0xFFFFFFFF

LARGE_BYTES = 8 * 2**20
"""Members up to this size pass through memory in one piece, larger ones in blocks."""

BLOCK_BYTES = 2**20

MOST_LEVELS = 100
"""Folders in one another. No dataset has so many, and what goes down them must come to an end."""

_SHOWN = 200


def dos_time(seconds: float) -> int:
    """Return a time, in seconds since the epoch, as MS-DOS date and time (4.4.6), local zone.

    The format spans 1980 to 2107 in steps of two seconds; times beyond are moved to its ends.
    """
    try:
        year, month, day, hour, minute, second = time.localtime(seconds)[:6]
    except (OverflowError, ValueError, OSError):  # beyond what the C library can express
        year, month, day, hour, minute, second = 1980, 1, 1, 0, 0, 0
    if year < 1980:
        year, month, day, hour, minute, second = 1980, 1, 1, 0, 0, 0
    elif year > 2107:
        year, month, day, hour, minute, second = 2107, 12, 31, 23, 59, 58
    # A leap second would be 30 in a field that ends at 29.
    packed_time = hour << 11 | minute << 5 | min(second, 59) >> 1
    return ((year - 1980) << 9 | month << 5 | day) << 16 | packed_time


def refusal(
    archive: Path | str, member: str, *, expected: str, found: str, remedy: str
) -> ArchiveError:
    """Word the error for an archive that is not imported.

    Parameters
    ----------
    archive : Path or str
    member : str
        Name of the member at fault; ``""`` if the archive as a whole is.
    expected, found, remedy : str
        Parts of the sentence, without full stops.
    """
    shown = f"{member[:_SHOWN]!r}..." if len(member) > _SHOWN else repr(member)
    where = f"{archive}, member {shown}" if member else str(archive)
    return ArchiveError(f"{where}: expected {expected}, found {found}; {remedy}")
