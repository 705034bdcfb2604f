"""Read a zip archive's central directory, and refuse everything that is ambiguous.

Where two programs could read one archive in different ways (bytes before or behind it,
records that contradict each other, names that meet on some file systems), it is refused.
"""

from __future__ import annotations

import io
import re
import stat
import unicodedata
from pathlib import Path
from typing import NamedTuple

from workbench.errors import ArchiveError
from workbench.persistence.archive.end_records import (
    FETCH_AGAIN,
    REPACK,
    EndRecord,
    check_one_disk,
    damaged,
    find_end,
    read_at,
)
from workbench.persistence.archive.format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DEFLATED,
    EXTRA,
    EXTRA_ZIP64,
    FLAG_ENCRYPTED,
    FLAG_MASKED,
    FLAG_PATCH,
    FLAG_STRONG_ENCRYPTION,
    FLAG_UTF8,
    LOCAL,
    MAX16,
    MAX32,
    MOST_LEVELS,
    STORED,
    refusal,
)

# A name, its extra field and comment. Real ones need about 150 bytes; without a bound, a
# crafted directory could ask for as much memory as the archive is long.
_MEAN_RECORD_BYTES = 2048

_METHODS = {1: "shrink", 6: "implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard"}
_METHODS |= {95: "xz", 98: "PPMd"}
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Names that `plain_name` need not look at closely, which are nearly all.
_PLAIN = re.compile(r"[\w\-][\w\-. ]*(?:/[\w\-][\w\-. ]*)*")
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")


# A tuple, because a frozen dataclass takes four times as long to make, and there are
# hundreds of thousands.
class Member(NamedTuple):
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


def read_directory(file: io.FileIO, archive: Path, max_members: int) -> list[Member]:
    """Return the members in the order in which they lie in the archive.

    Raises
    ------
    ArchiveError
        If the archive is damaged, is no zip archive, or holds what this module refuses.
    """
    length = file.seek(0, io.SEEK_END)
    end = find_end(file, archive, length)
    if end.count > max_members:
        raise refusal(
            archive,
            "",
            expected=f"at most {max_members} members",
            found=f"{end.count}",
            remedy="if that is right, pass limits=ArchiveLimits(max_members=...)",
        )
    if end.size > end.count * _MEAN_RECORD_BYTES + MAX16:
        raise damaged(
            archive, f"{end.count} members in the central directory", f"{end.size} bytes of it"
        )
    members = _parse(read_at(file, archive, end.offset, end.size), archive, end)
    _check_names_differ(members, archive)
    return members


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


def _parse(directory: bytes, archive: Path, end: EndRecord) -> list[Member]:
    """Read the records of the central directory (4.3.12)."""
    found: list[tuple[int, bytes, str, int, int, int, int, bool]] = []
    sound: set[tuple[int, int, int, int, bool]] = set()
    position = 0
    for number in range(1, end.count + 1):
        start = position + CENTRAL.size
        if start > len(directory):
            raise damaged(archive, f"{end.count} members", f"{number - 1}")
        fields = CENTRAL.unpack_from(directory, position)
        signature, _, _, flags, method, _, crc, packed, size = fields[:9]
        name_length, extra_length, comment_length, disk, _, attributes, offset = fields[9:]
        raw = directory[start : start + name_length]
        extra_start = start + name_length
        position = extra_start + extra_length + comment_length
        if signature != CENTRAL_SIGNATURE or position > len(directory):
            raise damaged(archive, f"member {number} of {end.count}", "something else")
        # Some packers on Windows write its own separator; no image may have one in its name.
        name = _decode(raw, flags, archive)
        if "\\" in name:
            name = name.replace("\\", "/")
        if packed == MAX32 or size == MAX32 or offset == MAX32:
            extra = directory[extra_start : extra_start + extra_length]
            size, packed, offset = _widen(extra, size, packed, offset, archive, name)
        is_folder = name.endswith("/")
        kind = (flags, method, attributes, disk, is_folder)
        if kind not in sound:
            check_one_disk(archive, disk % MAX16, 0, False)
            _check_kind(archive, name, flags, method, attributes >> 16, is_folder)
            sound.add(kind)
        if (method == STORED and packed != size) or (is_folder and size):
            raise _member_damaged(archive, name, f"{size} bytes", f"{packed} of contents")
        plain = plain_name(archive, name)
        ignored = is_folder or is_litter(plain)
        found.append((offset, raw, plain, method, crc, packed, size, ignored))
    if position != len(directory):
        raise damaged(archive, f"{position} bytes of directory", f"{len(directory)}")
    found.sort(key=lambda entry: entry[0])
    return _place(found, archive, end.offset)


def _place(
    found: list[tuple[int, bytes, str, int, int, int, int, bool]], archive: Path, directory: int
) -> list[Member]:
    """Make members of the records, in archive order, and see that none lies in another."""
    members = []
    new = tuple.__new__  # without the call of the class: there may be 100,000
    ends = [*(entry[0] for entry in found), directory][1:]
    for (offset, raw, name, method, crc, packed, size, ignored), end in zip(
        found, ends, strict=True
    ):
        if offset + LOCAL.size + len(raw) + packed > end:
            raise _member_damaged(
                archive, name, f"it to end before offset {end}", "it overlapping what follows"
            )
        facts = (name, raw, method, crc, packed, size, offset, end, ignored)
        members.append(new(Member, facts))
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


def plain_name(archive: Path, name: str) -> str:
    """Return a name without empty and ``.`` parts, after refusing what could lead elsewhere."""
    is_deep = name.count("/") > MOST_LEVELS
    if not is_deep and _PLAIN.fullmatch(name):
        return name
    if is_deep:
        raise refusal(
            archive,
            name,
            expected=f"at most {MOST_LEVELS} folders in one another",
            found=f"{name.count('/')}",
            remedy="repack it with the images in fewer folders",
        )
    parts = name.split("/")
    if ".." in parts:
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


def is_litter(name: str) -> bool:
    """Whether a file is what an operating system leaves behind."""
    if name.endswith(_LITTER):
        return name.rpartition("/")[2] in _LITTER
    return name.startswith("__MACOSX/")


def _check_names_differ(members: list[Member], archive: Path) -> None:
    """Refuse names that would be one file on some system (case, Unicode composition)."""
    names = [member.name for member in members if not member.ignored]
    if len({fold(name) for name in names}) == len(names):
        return
    seen: dict[str, str] = {}
    for name in names:
        if fold(name) in seen:
            raise refusal(
                archive,
                name,
                expected="names that differ by more than case or Unicode form",
                found=f"{seen[fold(name)]!r} as well",
                remedy="rename one of the two and repack",
            )
        seen[fold(name)] = name


def fold(name: str) -> str:
    """Return what names have in common that some file systems take for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
