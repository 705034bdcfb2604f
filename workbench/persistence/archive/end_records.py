"""Find a zip archive's end records, which say where its central directory lies."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ArchiveError
from workbench.persistence.archive.format import (
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    LOCAL_SIGNATURE,
    LOCATOR,
    LOCATOR_SIGNATURE,
    MAX16,
    MAX32,
    refusal,
)

REPACK = "repack the files as a plain zip archive"
FETCH_AGAIN = "copy or download the archive again"
_A_ZIP = "a zip archive"

_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"<": "what looks like a web page or XML",
}


@dataclass(frozen=True, slots=True)
class EndRecord:
    """Where the central directory lies, and how many members it lists."""

    count: int
    size: int
    offset: int


def find_end(file: io.FileIO, archive: Path, length: int) -> EndRecord:
    """Find the end of the central directory: the last record of the file (4.3.16)."""
    tail_length = min(length, END.size + MAX16 + END64.size + LOCATOR.size)
    tail_start = length - tail_length
    tail = read_at(file, archive, tail_start, tail_length)
    signature = END_SIGNATURE.to_bytes(4, "little")
    position = tail.rfind(signature)
    while position >= 0:
        if position + END.size <= len(tail):
            record = END.unpack_from(tail, position)
            # A comment may hold the signature too, but then its length does not fit.
            if position + END.size + record[7] == len(tail):
                break
        position = tail.rfind(signature, 0, position)
    else:
        raise _no_end(file, archive, length, signature in tail)
    _, disk, first_disk, here, count, size, offset, _ = record
    stop = tail_start + position
    # Saturated numbers stand in the zip64 record instead.
    check_one_disk(archive, disk % MAX16, first_disk % MAX16, here != count)
    end = EndRecord(count, size, offset)
    end64 = _find_end64(file, archive, tail, position, stop)
    if end64 is not None:
        wide, stop = end64
        pairs = ((count, wide.count, MAX16), (size, wide.size, MAX32), (offset, wide.offset, MAX32))
        for short, long, saturated in pairs:
            if short not in (saturated, long):
                raise damaged(archive, f"two end records that agree on {long}", f"{short}")
        end = wide
    if end.offset + end.size != stop:
        raise damaged(
            archive,
            f"the central directory to end at offset {stop}",
            f"{end.offset} + {end.size} (bytes are missing, or were put in front)",
        )
    return end


def _find_end64(
    file: io.FileIO, archive: Path, tail: bytes, position: int, stop: int
) -> tuple[EndRecord, int] | None:
    """Return the zip64 end record and its offset, None if the archive has none (4.3.14)."""
    if position < LOCATOR.size:
        return None
    signature, disk, offset, disks = LOCATOR.unpack_from(tail, position - LOCATOR.size)
    if signature != LOCATOR_SIGNATURE:
        return None
    check_one_disk(archive, disk, 0, disks > 1)
    if offset + END64.size > stop - LOCATOR.size:
        raise damaged(archive, "a zip64 end record before its locator", f"offset {offset}")
    record = END64.unpack(read_at(file, archive, offset, END64.size))
    signature, rest, _, _, disk, first_disk, here, count, size, directory = record
    if signature != END64_SIGNATURE or offset + 12 + rest != stop - LOCATOR.size:
        raise damaged(archive, f"a zip64 end record at offset {offset}", "something else")
    check_one_disk(archive, disk, first_disk, here != count)
    return EndRecord(count, size, directory), offset


def check_one_disk(archive: Path, disk: int, first_disk: int, more: bool) -> None:
    """Refuse an archive that was split; numbers count from 0, `more` if others are needed."""
    if disk or first_disk or more:
        raise refusal(
            archive,
            "",
            expected="an archive in one file",
            found="a part of one that was split into several",
            remedy="join the parts (zip -s 0 split.zip --out whole.zip) and import the result",
        )


def _no_end(file: io.FileIO, archive: Path, length: int, trailing: bool) -> ArchiveError:
    """Say as well as can be why the file does not end like a zip archive."""
    head = read_at(file, archive, 0, min(length, 16))
    if length == 0:
        return refusal(archive, "", expected=_A_ZIP, found="an empty file", remedy=FETCH_AGAIN)
    if trailing:
        return damaged(
            archive, "the end record to be the file's last bytes", "it cut off or followed by more"
        )
    if head.startswith(LOCAL_SIGNATURE.to_bytes(4, "little")):
        return damaged(
            archive, "a central directory at the end", f"none in {length} bytes (truncated)"
        )
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return refusal(archive, "", expected=_A_ZIP, found=what, remedy=REPACK)
    return refusal(
        archive,
        "",
        expected=_A_ZIP,
        found="a file that is none",
        remedy="choose another",
    )


def read_at(file: io.FileIO, archive: Path, offset: int, length: int) -> bytes:
    """Return exactly `length` bytes from `offset` on; `ArchiveError` if there are fewer."""
    file.seek(offset)
    data = file.read(length)
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            raise damaged(archive, f"{length} bytes at offset {offset}", f"{len(data)} (truncated)")
        data += more
    return data


def damaged(archive: Path, expected: str, found: str) -> ArchiveError:
    """Word the error for an archive that is damaged as a whole."""
    return refusal(
        archive, "", expected=expected, found=found, remedy=f"it is damaged: {FETCH_AGAIN}"
    )
