"""What is refused before anything is written, and what is found out while reading."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archive.raw import RawMember, raw_zip
from workbench.errors import ArchiveError, NotFoundError
from workbench.persistence.archive import Archive, write_zip
from workbench.persistence.models import ArchiveLimits

A = RawMember
GOOD = b"0 0.5 0.5 0.25 0.25\n"


def _open(path: Path, data: bytes, limits: ArchiveLimits | None = None) -> list[str]:
    path.write_bytes(data)
    with Archive.open(path, limits) as archive:
        return [member.name for member in archive.members if not member.ignored]


def _read(path: Path, data: bytes) -> dict[str, bytes]:
    """Read everything twice, in both ways, which must agree."""
    path.write_bytes(data)
    with Archive.open(path) as archive:
        whole = {member.name: archive.read(member) for member in archive.members}
        pieces = {member.name: b"".join(archive.chunks(member)) for member in archive.members}
    assert whole == pieces
    return whole


# --- refused when opened -------------------------------------------------------------------


def _locator(offset: int, disks: int = 1) -> bytes:
    return struct.pack("<4sIQI", b"PK\x06\x07", 0, offset, disks)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "parent": (lambda: raw_zip(A(b"../a.jpg")), r"'\.\./a\.jpg'.*leads out of the folder"),
    "parent inside": (lambda: raw_zip(A(b"images/../../a.jpg")), r"leads out of the folder"),
    "parent at the end": (lambda: raw_zip(A(b"images/..")), r"leads out of the folder"),
    "parent in litter": (lambda: raw_zip(A(b"__MACOSX/../../a")), r"leads out of the folder"),
    "absolute": (lambda: raw_zip(A(b"/etc/passwd")), r"absolute path"),
    "drive": (lambda: raw_zip(A(b"C:/a.jpg")), r"drive letter"),
    "drive without a slash": (lambda: raw_zip(A(b"c:a.jpg")), r"drive letter"),
    "backslashes out": (lambda: raw_zip(A(b"images\\..\\..\\a.jpg")), r"leads out.*repack"),
    "network path": (lambda: raw_zip(A(b"\\\\host\\a.jpg")), r"absolute path"),
    "both slashes": (lambda: raw_zip(A(b"x/a.jpg"), A(b"x\\a.jpg")), r"'x/a\.jpg' as well"),
    "zero byte": (lambda: raw_zip(A(b"a.jpg\x00.txt")), r"control character"),
    "line break": (lambda: raw_zip(A(b"a\n.jpg")), r"control character"),
    "empty name": (lambda: raw_zip(A(b"")), r"empty name"),
    "dot": (lambda: raw_zip(A(b".")), r"empty name"),
    "not UTF-8": (lambda: raw_zip(A(b"\xff.jpg", flags=0x800)), r"a name in UTF-8"),
    "link": (lambda: raw_zip(A(b"l.jpg", b"/etc", mode=0o120777)), r"symbolic link.*repack"),
    "device": (lambda: raw_zip(A(b"d.jpg", mode=stat.S_IFCHR | 0o666)), r"special file"),
    "pipe": (lambda: raw_zip(A(b"p.jpg", mode=stat.S_IFIFO | 0o666)), r"special file"),
    "folder without a slash": (lambda: raw_zip(A(b"f.jpg", mode=0o40755)), r"special file"),
    "same name twice": (lambda: raw_zip(A(b"a.jpg"), A(b"a.jpg")), r"'a\.jpg' as well"),
    "short name twice": (lambda: raw_zip(A(b"a"), A(b"a")), r"'a' as well"),
    "case": (lambda: raw_zip(A(b"a.jpg"), A(b"A.jpg")), r"'A\.jpg'.*'a\.jpg' as well.*rename"),
    "folder's case": (lambda: raw_zip(A(b"x/a.jpg"), A(b"X/a.jpg")), r"as well"),
    "same after clean-up": (lambda: raw_zip(A(b"x/a.jpg"), A(b"x/./a.jpg")), r"as well"),
    "Unicode form": (
        lambda: raw_zip(A("é.jpg".encode()), A("e\u0301.jpg".encode())),
        r"Unicode form.*as well",
    ),
    "encrypted": (lambda: raw_zip(A(b"a.jpg", flags=1)), r"encrypted.*without"),
    "strongly encrypted": (lambda: raw_zip(A(b"a.jpg", flags=0x40)), r"encrypted"),
    "bzip2": (lambda: raw_zip(A(b"a.jpg", method=12)), r"method 12 \(bzip2\).*repack"),
    "LZMA": (lambda: raw_zip(A(b"a.jpg", method=14)), r"LZMA.*repack"),
    "unknown method": (lambda: raw_zip(A(b"a.jpg", method=77)), r"77 \(unknown\).*repack"),
    "split": (lambda: raw_zip(A(b"a.jpg"), disk=1), r"split into several.*join"),
    "member elsewhere": (lambda: raw_zip(A(b"a.jpg", disk=2)), r"split into several"),
    "split with zip64": (
        lambda: raw_zip(A(b"a.jpg"), end64=_locator(0, disks=2)),
        r"split into several",
    ),
    "sizes differ": (lambda: raw_zip(A(b"a.jpg", b"abc", size=5)), r"5 bytes, found 3.*damaged"),
    "folder with contents": (lambda: raw_zip(A(b"images/", b"abc")), r"images/.*damaged"),
    "overlap": (
        lambda: raw_zip(A(b"a.jpg", b"x" * 99), A(b"b.jpg", b"y" * 99, offset=0)),
        r"overlapping",
    ),
    "into the directory": (
        lambda: raw_zip(A(b"a.jpg", b"abc", packed_size=500, size=500)),
        r"overlapping",
    ),
    "behind the directory": (lambda: raw_zip(A(b"a.jpg", offset=10_000)), r"overlapping"),
    "too few members": (lambda: raw_zip(A(b"a.jpg"), A(b"b.jpg"), count=1), r"damaged"),
    "too many members": (lambda: raw_zip(A(b"a.jpg"), count=2), r"2 members, found 1.*damaged"),
    "bytes in front": (lambda: b"#!/bin/sh\n" + raw_zip(A(b"a.jpg")), r"put in front"),
    "bytes missing": (lambda: raw_zip(A(b"a.jpg", b"x" * 99))[50:], r"bytes are missing"),
    "bytes behind": (lambda: raw_zip(A(b"a.jpg")) + b"\n", r"last bytes.*damaged"),
    "directory elsewhere": (lambda: raw_zip(A(b"a.jpg"), directory_offset=7), r"damaged"),
    "garbled directory": (
        lambda: raw_zip(A(b"a.jpg")).replace(b"PK\x01\x02", b"PK\x01\x07"),
        r"member 1 of 1.*damaged",
    ),
    "huge directory": (
        lambda: raw_zip(A(b"a.jpg", extra=b"x" * 65_000), A(b"b.jpg", extra=b"x" * 65_000)),
        r"2 members in the central directory",
    ),
    "no 64-bit sizes": (
        lambda: raw_zip(A(b"a.jpg", packed_size=2**32 - 1, size=2**32 - 1)),
        r"64-bit sizes",
    ),
    "zip64 record missing": (lambda: raw_zip(A(b"a.jpg"), end64=_locator(10_000)), r"zip64"),
    "zip64 record garbled": (
        lambda: raw_zip(A(b"a.jpg"), end64=bytes(56) + _locator(31 + 4 + 51)),
        r"zip64",
    ),
    "truncated": (lambda: raw_zip(A(b"a.jpg", b"x" * 999))[:500], r"truncated.*again"),
    "cut at the end": (lambda: raw_zip(A(b"a.jpg"))[:-3], r"cut off.*again"),
    "empty": (lambda: b"", r"an empty file"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(50), r"a gzip file.*repack"),
    "7-Zip": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(50), r"a 7-Zip archive.*repack"),
    "web page": (lambda: b"<!doctype html><title>404</title>", r"a web page"),
    "anything": (lambda: b"hello world, hello world", r"found a file that is none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_when_it_is_opened(tmp_path: Path, case: str) -> None:
    build, message = REFUSED[case]
    with pytest.raises(ArchiveError, match=r"(?s)in\.zip.*" + message):
        _open(tmp_path / "in.zip", build())


def test_the_end_records_must_agree(tmp_path: Path) -> None:
    member = A(b"a.jpg")
    good = raw_zip(member)
    directory = len(member.pack())
    stop = len(good) - 22

    def with_end64(count: int, size: int, offset: int) -> bytes:
        record = (44, 45, 45, 0, 0, count, count, size, offset)
        end64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", *record)
        return raw_zip(A(b"a.jpg"), end64=end64 + _locator(stop))

    path = tmp_path / "in.zip"
    assert _open(path, with_end64(1, stop - directory, directory)) == ["a.jpg"]
    for numbers in ((2, stop - directory, directory), (1, stop - directory + 1, directory - 1)):
        with pytest.raises(ArchiveError, match="two end records that agree"):
            _open(path, with_end64(*numbers))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ArchiveLimits(max_members=1), r"at most 1 members, found 2.*max_members"),
        (
            ArchiveLimits(max_total_bytes=2_999_999),
            r"at most 2999999 bytes.*3000000.*max_total_bytes",
        ),
        (ArchiveLimits(max_ratio=300), r"at most 300 times.*max_ratio"),
    ],
)
def test_limits(tmp_path: Path, limits: ArchiveLimits, message: str) -> None:
    data = raw_zip(A(b"a.bmp", bytes(2_000_000), method=8), A(b"b.bmp", bytes(1_000_000), method=8))
    with pytest.raises(ArchiveError, match=message):
        _open(tmp_path / "in.zip", data, limits)
    raised = ArchiveLimits(max_members=2, max_total_bytes=3_000_000, max_ratio=2000)
    assert _open(tmp_path / "in.zip", data, raised) == ["a.bmp", "b.bmp"]


def test_one_bomb_among_honest_members(tmp_path: Path) -> None:
    filler = A(b"a.jpg", bytes(3_000_000))
    data = raw_zip(filler, A(b"bomb.bmp", bytes(2_000_000), method=8))
    with pytest.raises(ArchiveError, match=r"member 'bomb\.bmp'.*max_ratio"):
        _open(tmp_path / "in.zip", data, ArchiveLimits(max_ratio=100))


def test_small_members_may_deflate_well(tmp_path: Path) -> None:
    assert _open(tmp_path / "in.zip", raw_zip(A(b"a.txt", bytes(900_000), method=8))) == ["a.txt"]


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.zip"):
        Archive.open(tmp_path / "gone.zip")
    with pytest.raises(ArchiveError, match="a folder"):
        Archive.open(tmp_path)


# --- accepted ------------------------------------------------------------------------------


def test_names_as_many_programs_write_them(tmp_path: Path) -> None:
    data = raw_zip(
        A("größe.jpg".encode(), flags=0x800),
        A("猫.jpg".encode()),  # UTF-8 that does not say so, as macOS and zip write it
        A(b"\x81ber.jpg"),  # code page 437
        A(b"./images//a.jpg"),
    )
    names = ["größe.jpg", "猫.jpg", "über.jpg", "images/a.jpg"]
    assert _open(tmp_path / "in.zip", data) == names


def test_folders_and_litter_are_ignored(tmp_path: Path) -> None:
    data = raw_zip(
        A(b"images/", mode=0o40755),
        A(b"./"),
        A(b"images/a.jpg", b"a", mode=0o100644),
        A(b"__MACOSX/images/._a.jpg", b"x"),
        A(b"images/.DS_Store", b"x"),
        A(b"images/Thumbs.db", b"x"),
    )
    assert _open(tmp_path / "in.zip", data) == ["images/a.jpg"]


def test_a_comment_may_look_like_an_end_record(tmp_path: Path) -> None:
    comment = b"PK\x05\x06" + bytes(30)
    assert _open(tmp_path / "in.zip", raw_zip(A(b"a.jpg"), comment=comment)) == ["a.jpg"]


def test_members_need_not_lie_in_the_directory_s_order(tmp_path: Path) -> None:
    first, second = A(b"a.jpg", b"aa"), A(b"b.jpg", b"bbb")
    body = first.pack() + second.pack()
    directory = second.central(len(first.pack())) + first.central(0)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), len(body), 0)
    assert _read(tmp_path / "in.zip", body + directory + end) == {"a.jpg": b"aa", "b.jpg": b"bbb"}


def test_stored_and_deflated_members_with_and_without_descriptors(tmp_path: Path) -> None:
    descriptor = b"PK\x07\x08" + bytes(12)
    big = b"".join(b"%d " % i for i in range(700_000))
    data = raw_zip(
        A(b"a.jpg", GOOD * 9),
        A(b"b.jpg", GOOD * 9, method=8),
        A(b"c.jpg", GOOD * 9, method=8, flags=8, local_sizes=(0, 0, 0), after=descriptor),
        A(b"d.jpg", b"", method=8),
        A(b"e.jpg", big, method=8),
        A(b"f.jpg", big, local_extra=b"UT\x05\x00\x03abcd"),
    )
    expected = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), GOOD * 9)
    expected |= {"d.jpg": b"", "e.jpg": big, "f.jpg": big}
    assert _read(tmp_path / "in.zip", data) == expected


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_zipfile_writes_to_a_pipe(tmp_path: Path, method: int) -> None:
    """Python cannot go back in a pipe and writes descriptors instead of sizes."""

    class Pipe:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

        def flush(self) -> None:
            pass

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[call-overload]
        archive.writestr("a.jpg", GOOD * 50)
        with archive.open("b.jpg", "w", force_zip64=True) as member:
            member.write(GOOD * 50)
    assert _read(tmp_path / "in.zip", pipe.data) == {"a.jpg": GOOD * 50, "b.jpg": GOOD * 50}


# --- found out while reading ---------------------------------------------------------------

DAMAGED: dict[str, tuple[RawMember, str]] = {
    "CRC of stored contents": (A(b"a.jpg", GOOD, crc=1), r"CRC-32 00000001, found CRC-32"),
    "CRC of deflated contents": (A(b"a.jpg", GOOD, method=8, crc=1), r"CRC-32 00000001"),
    "longer than promised": (A(b"a.jpg", GOOD * 9, method=8, size=10), r"10 bytes, found more"),
    "shorter than promised": (
        A(b"a.jpg", GOOD, method=8, size=500),
        rf"500 bytes, found {len(GOOD)}",
    ),
    "deflated contents cut": (
        A(b"a.jpg", bytes(range(256)), method=8, packed_size=100),
        r"deflated contents of 100 bytes",
    ),
    "deflated contents continued": (
        A(b"a.jpg", GOOD, method=8, packed_size=100, after=bytes(100)),
        r"deflated contents of 100 bytes",
    ),
    "another name": (A(b"a.jpg", GOOD, local_name=b"b.jpg"), r"local header"),
    "a longer name": (A(b"a.jpg", GOOD, local_name=b"a.jpg2"), r"local header"),
    "other sizes": (A(b"a.jpg", GOOD, local_sizes=(0, 3, 3)), r"local header"),
    "encrypted after all": (A(b"a.jpg", GOOD, local_flags=1), r"local header"),
    "no header there": (
        A(b"a.jpg", b"", offset=35, after=bytes(50)),
        r"local header",
    ),
    "data pushed into what follows": (
        A(b"a.jpg", packed_size=20, size=20, local_extra=bytes(15), after=bytes(5)),
        r"overlapping",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_found_out_while_reading(tmp_path: Path, case: str) -> None:
    member, message = DAMAGED[case]
    after = A(b"z.jpg", b"z")
    (tmp_path / "in.zip").write_bytes(raw_zip(member, after))
    with Archive.open(tmp_path / "in.zip") as archive:
        damaged = next(m for m in archive.members if m.name == "a.jpg")
        with pytest.raises(ArchiveError, match=rf"in\.zip, member 'a\.jpg'.*{message}.*damaged"):
            archive.read(damaged)
        with pytest.raises(ArchiveError, match=message):
            list(archive.chunks(damaged))


def test_garbage_instead_of_deflated_contents(tmp_path: Path) -> None:
    data = raw_zip(A(b"a.jpg", GOOD, method=8))
    start = 30 + 5
    (tmp_path / "in.zip").write_bytes(data[:start] + b"\xff\xff" + data[start + 2 :])
    with Archive.open(tmp_path / "in.zip") as archive:
        with pytest.raises(ArchiveError, match="deflated contents"):
            archive.read(archive.members[0])
        with pytest.raises(ArchiveError, match="deflated contents"):
            list(archive.chunks(archive.members[0]))


def test_chunks_of_a_bomb_stop_at_the_promised_size(tmp_path: Path) -> None:
    """50 MB that claim to be 3 MB."""
    data = raw_zip(A(b"a.bmp", bytes(50_000_000), method=8, size=3_000_000))
    (tmp_path / "in.zip").write_bytes(data)
    seen: list[int] = []
    with Archive.open(tmp_path / "in.zip") as archive:
        sizes = map(len, archive.chunks(archive.members[0]))
        with pytest.raises(ArchiveError, match="3000000 bytes, found more"):
            seen.extend(sizes)
    assert 0 < sum(seen) <= 3_000_000


def test_an_archive_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "in.zip", [(f"{i}.jpg", bytes(600_000)) for i in range(5)])
    with Archive.open(path) as archive:
        archive.read(archive.members[0])
        with path.open("r+b") as file:
            file.truncate(1_500_000)
        with pytest.raises(ArchiveError, match="truncated"):
            [archive.read(member) for member in archive.members]
