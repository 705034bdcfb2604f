"""Read a zip archive's central directory, and refuse everything that is not beyond doubt.

Where two programs could read one archive in different ways (bytes before or behind it,
records that contradict each other, names that meet on some file systems), it is refused.
"""

from __future__ import annotations

import io
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ArchiveError
from workbench.persistence.archive.format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DEFLATED,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    EXTRA,
    EXTRA_ZIP64,
    FLAG_ENCRYPTED,
    FLAG_MASKED,
    FLAG_PATCH,
    FLAG_STRONG_ENCRYPTION,
    FLAG_UTF8,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR,
    LOCATOR_SIGNATURE,
    MAX16,
    MAX32,
    STORED,
    refusal,
)

REPACK = "repack the files as a plain zip archive"
FETCH_AGAIN = "copy or download the archive again"
_SPEC_NAME = "a zip archive"

# A name, its extra field and comment. Real ones need about 150 bytes; without a bound, a
# crafted directory could ask for as much memory as the archive is long.
_MEAN_RECORD_BYTES = 2048

_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"<": "what looks like a web page or XML",
}
_METHODS = {1: "shrink", 6: "implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard"}
_METHODS |= {95: "xz", 98: "PPMd"}
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Anything that `_plain_name` has to look at closely: the rest, nearly all, is plain.
_UNUSUAL = re.compile(r"[\\\x00-\x1f\x7f]|^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)")


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive.

    Parameters
    ----------
    name : str
        With forward slashes and without empty or ``.`` parts.
    raw_name : bytes
        As the archive has it.
    method : int
        `STORED` or `DEFLATED`.
    crc : int
        CRC-32 of the contents.
    packed_size, size : int
        Bytes in the archive and unpacked.
    offset : int
        Of the local header.
    end : int
        Where the next member or the central directory begins.
    ignored : bool
        Folders, and what operating systems leave behind (``__MACOSX/``, ``.DS_Store``,
        ``Thumbs.db``).
    """

    name: str
    raw_name: bytes
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int
    end: int
    ignored: bool


@dataclass(frozen=True, slots=True)
class _End:
    """Where the central directory lies, and how many members it lists."""

    count: int
    size: int
    offset: int


def read_directory(file: io.FileIO, archive: Path, max_members: int) -> list[Member]:
    """Return the members in the order in which they lie in the archive.

    Raises
    ------
    ArchiveError
        If the archive is damaged, is no zip archive, or holds what this module refuses.
    """
    length = file.seek(0, io.SEEK_END)
    end = _find_end(file, archive, length)
    if end.count > max_members:
        raise refusal(
            archive,
            "",
            expected=f"at most {max_members} members",
            found=f"{end.count}",
            remedy="if that is right, pass limits=ArchiveLimits(max_members=...)",
        )
    if end.size > end.count * _MEAN_RECORD_BYTES + MAX16:
        raise _damaged(
            archive, f"{end.count} members in the central directory", f"{end.size} bytes of it"
        )
    members = _parse(read_at(file, archive, end.offset, end.size), archive, end)
    _check_names_differ(members, archive)
    return members


def read_at(file: io.FileIO, archive: Path, offset: int, length: int) -> bytes:
    """Return exactly `length` bytes from `offset` on; `ArchiveError` if there are fewer."""
    file.seek(offset)
    data = file.read(length)
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            raise _damaged(
                archive, f"{length} bytes at offset {offset}", f"{len(data)} (truncated)"
            )
        data += more
    return data


def zip64_values(extra: bytes, wanted: int) -> tuple[int, ...] | None:
    """Return the first `wanted` 64-bit numbers of the zip64 extra field, None if not there."""
    position = 0
    while position + EXTRA.size <= len(extra):
        kind, length = EXTRA.unpack_from(extra, position)
        position += EXTRA.size
        if kind == EXTRA_ZIP64:
            if length < 8 * wanted or position + length > len(extra):
                return None
            field = memoryview(extra)[position : position + 8 * wanted]
            return tuple(
                int.from_bytes(field[start : start + 8], "little")
                for start in range(0, 8 * wanted, 8)
            )
        position += length
    return None


def _damaged(archive: Path, expected: str, found: str) -> ArchiveError:
    return refusal(
        archive, "", expected=expected, found=found, remedy=f"it is damaged: {FETCH_AGAIN}"
    )


def _find_end(file: io.FileIO, archive: Path, length: int) -> _End:
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
    _check_one_disk(archive, disk % MAX16, first_disk % MAX16, here != count)
    end = _End(count, size, offset)
    end64 = _find_end64(file, archive, tail, position, stop)
    if end64 is not None:
        wide, stop = end64
        pairs = ((count, wide.count, MAX16), (size, wide.size, MAX32), (offset, wide.offset, MAX32))
        for short, long, saturated in pairs:
            if short not in (saturated, long):
                raise _damaged(archive, f"two end records that agree on {long}", f"{short}")
        end = wide
    if end.offset + end.size != stop:
        raise _damaged(
            archive,
            f"the central directory to end at offset {stop}",
            f"{end.offset} + {end.size} (bytes are missing, or were put in front)",
        )
    return end


def _find_end64(
    file: io.FileIO, archive: Path, tail: bytes, position: int, stop: int
) -> tuple[_End, int] | None:
    """Return the zip64 end record and its offset, None if the archive has none (4.3.14)."""
    if position < LOCATOR.size:
        return None
    signature, disk, offset, disks = LOCATOR.unpack_from(tail, position - LOCATOR.size)
    if signature != LOCATOR_SIGNATURE:
        return None
    _check_one_disk(archive, disk, 0, disks > 1)
    if offset + END64.size > stop - LOCATOR.size:
        raise _damaged(archive, "a zip64 end record before its locator", f"offset {offset}")
    record = END64.unpack(read_at(file, archive, offset, END64.size))
    signature, rest, _, _, disk, first_disk, here, count, size, directory = record
    if signature != END64_SIGNATURE or offset + 12 + rest != stop - LOCATOR.size:
        raise _damaged(archive, f"a zip64 end record at offset {offset}", "something else")
    _check_one_disk(archive, disk, first_disk, here != count)
    return _End(count, size, directory), offset


def _check_one_disk(archive: Path, disk: int, first_disk: int, more: bool) -> None:
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
        return refusal(archive, "", expected=_SPEC_NAME, found="an empty file", remedy=FETCH_AGAIN)
    if trailing:
        return _damaged(
            archive, "the end record to be the file's last bytes", "it cut off or followed by more"
        )
    if head.startswith(LOCAL_SIGNATURE.to_bytes(4, "little")):
        return _damaged(
            archive, "a central directory at the end", f"none in {length} bytes (truncated)"
        )
    for magic, what in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return refusal(archive, "", expected=_SPEC_NAME, found=what, remedy=REPACK)
    return refusal(
        archive,
        "",
        expected=_SPEC_NAME,
        found=f"a file that starts with {head!r}",
        remedy="choose a zip archive",
    )


def _parse(directory: bytes, archive: Path, end: _End) -> list[Member]:
    """Read the records of the central directory (4.3.12)."""
    found: list[tuple[int, bytes, str, int, int, int, int, bool]] = []
    position = 0
    for number in range(1, end.count + 1):
        start = position + CENTRAL.size
        if start > len(directory):
            raise _damaged(archive, f"{end.count} members", f"{number - 1}")
        record = CENTRAL.unpack_from(directory, position)
        signature, _, _, flags, method, _, crc, packed, size = record[:9]
        name_length, extra_length, comment_length, disk, _, mode, offset = record[9:]
        raw = directory[start : start + name_length]
        extra_start = start + name_length
        position = extra_start + extra_length + comment_length
        if signature != CENTRAL_SIGNATURE or position > len(directory):
            raise _damaged(archive, f"member {number} of {end.count}", "something else")
        name = _decode(raw, flags, archive)
        if MAX32 in (packed, size, offset):
            extra = directory[extra_start : extra_start + extra_length]
            size, packed, offset = _widen(extra, size, packed, offset, archive, name)
        _check_one_disk(archive, disk % MAX16, 0, False)
        is_folder = name.endswith("/")
        _check_kind(archive, name, flags, method, mode >> 16, is_folder)
        if (method == STORED and packed != size) or (is_folder and size):
            raise _member_damaged(archive, name, f"{size} bytes", f"{packed} of contents")
        plain = _plain_name(archive, name)
        ignored = is_folder or _is_litter(plain)
        found.append((offset, raw, plain, method, crc, packed, size, ignored))
    if position != len(directory):
        raise _damaged(archive, f"{position} bytes of directory", f"{len(directory)}")
    found.sort(key=lambda entry: entry[0])
    return _place(found, archive, end.offset)


def _place(
    found: list[tuple[int, bytes, str, int, int, int, int, bool]], archive: Path, directory: int
) -> list[Member]:
    """Make members of the records, in archive order, and see that none lies in another."""
    members = []
    ends = [*(entry[0] for entry in found), directory][1:]
    for (offset, raw, name, method, crc, packed, size, ignored), end in zip(
        found, ends, strict=True
    ):
        if offset + LOCAL.size + len(raw) + packed > end:
            raise _member_damaged(
                archive, name, f"it to end before offset {end}", "it overlapping what follows"
            )
        members.append(Member(name, raw, method, crc, packed, size, offset, end, ignored))
    return members


def _member_damaged(archive: Path, member: str, expected: str, found: str) -> ArchiveError:
    return refusal(
        archive, member, expected=expected, found=found, remedy=f"it is damaged: {FETCH_AGAIN}"
    )


def _widen(
    extra: bytes, size: int, packed: int, offset: int, archive: Path, name: str
) -> tuple[int, int, int]:
    """Replace saturated numbers by those of the zip64 extra field, which come in this order."""
    numbers = [size, packed, offset]
    saturated = [index for index, number in enumerate(numbers) if number == MAX32]
    values = zip64_values(extra, len(saturated))
    if values is None:
        raise _member_damaged(archive, name, "64-bit sizes in a zip64 field", "none")
    for index, value in zip(saturated, values, strict=True):
        numbers[index] = value
    return numbers[0], numbers[1], numbers[2]


def _decode(raw: bytes, flags: int, archive: Path) -> str:
    """Decode a name (appendix D). Many programs write UTF-8 without saying so."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if flags & FLAG_UTF8:
            raise refusal(
                archive,
                raw.decode("latin-1"),
                expected="a name in UTF-8",
                found=repr(raw),
                remedy=f"rename the file, or {REPACK}",
            ) from error
        return raw.decode("cp437")


def _check_kind(
    archive: Path, name: str, flags: int, method: int, mode: int, is_folder: bool
) -> None:
    if flags & (FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED):
        raise refusal(
            archive,
            name,
            expected="contents that anybody can read",
            found="an encrypted member",
            remedy="unpack it with its password and repack it without one",
        )
    if method not in (STORED, DEFLATED) or flags & FLAG_PATCH:
        raise refusal(
            archive,
            name,
            expected="a member that is stored or deflated",
            found=f"compression method {method} ({_METHODS.get(method, 'unknown')})",
            remedy=f"{REPACK} (zip -r)",
        )
    # The upper half holds the Unix mode where a program set it at all.
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not is_folder):
        raise refusal(
            archive,
            name,
            expected="regular files only",
            found="a symbolic link" if stat.S_ISLNK(mode) else f"a special file (mode {mode:o})",
            remedy="repack the archive with the files themselves instead of links",
        )


def _plain_name(archive: Path, name: str) -> str:
    """Return a name without empty and ``.`` parts, after refusing what could lead elsewhere."""
    if not _UNUSUAL.search(name):
        return name
    parts = name.split("/")
    if "\\" in name:
        problem = "a backslash, which is a separator for some programs"
    elif ".." in parts:
        problem = "a path that leads out of the folder ('..')"
    elif name.startswith("/"):
        problem = "an absolute path"
    elif _DRIVE.match(name):
        problem = "a path with a drive letter"
    elif _CONTROL.search(name):
        problem = "a control character"
    else:
        plain = "/".join(part for part in parts if part not in ("", "."))
        if plain or name.endswith("/"):
            return plain
        problem = "an empty name"
    raise refusal(
        archive,
        name,
        expected="a relative path with forward slashes",
        found=problem,
        remedy=f"{REPACK}, and trust its contents only if you know who made it",
    )


def _is_litter(name: str) -> bool:
    last = name.rpartition("/")[2]
    return name.startswith("__MACOSX/") or last in (".DS_Store", "Thumbs.db", "desktop.ini")


def _check_names_differ(members: list[Member], archive: Path) -> None:
    """Refuse names that would be one file on some system (case, Unicode composition)."""
    seen: dict[str, str] = {}
    for member in members:
        if member.ignored:
            continue
        name = member.name
        key = fold(name)
        if key in seen:
            raise refusal(
                archive,
                name,
                expected="names that differ by more than case or Unicode form",
                found=f"{seen[key]!r} as well",
                remedy="rename one of the two and repack",
            )
        seen[key] = name


def fold(name: str) -> str:
    """Return what names have in common that some file systems take for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
