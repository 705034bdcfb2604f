"""The archives that are written, read by programs that are not ours."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from workbench.errors import ArchiveError, ConflictError, NotFoundError
from workbench.persistence.archive import Archive, write_zip
from workbench.persistence.archive.format import LARGE_BYTES
from workbench.persistence.storage.local import new_file


class StoppedError(Exception):
    """Raised from progress, as a user who cancels does."""


def _contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _our_contents(path: Path) -> dict[str, bytes]:
    with Archive.open(path) as archive:
        return {member.name: archive.read(member) for member in archive.members}


def test_files_and_bytes_are_read_back_by_zipfile(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(bytes(range(256)) * 40)
    entries = {
        "data.yaml": b"names: [cat]\n",
        "images/train/a.jpg": picture,
        "images/train/größe ☃ 猫.jpg": str(picture),
        "labels/train/empty.txt": b"",
    }
    archive = write_zip(tmp_path / "out.zip", entries.items())
    assert archive == tmp_path / "out.zip"
    expected = {
        "data.yaml": b"names: [cat]\n",
        "images/train/a.jpg": picture.read_bytes(),
        "images/train/größe ☃ 猫.jpg": picture.read_bytes(),
        "labels/train/empty.txt": b"",
    }
    assert _contents(archive) == _our_contents(archive) == expected
    with zipfile.ZipFile(archive) as opened:
        assert list(opened.namelist()) == list(expected)
        for info in opened.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.compress_size == info.file_size == len(expected[info.filename])
            assert stat.S_ISREG(info.external_attr >> 16)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="no unzip on this machine")
def test_unzip_finds_no_fault(tmp_path: Path) -> None:
    entries = [(f"images/train/ü{i}.jpg", os.urandom(i)) for i in range(50)]
    archive = write_zip(tmp_path / "out.zip", entries, zip64_limit=2000)
    done = subprocess.run(["unzip", "-t", archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout


def test_an_empty_archive_is_an_archive(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "out.zip", [])
    assert _contents(archive) == _our_contents(archive) == {}


def test_times_are_those_of_the_files(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"x")
    moments = {
        "now": (2024, 5, 17, 13, 45, 58),
        "before the format's first year": (1971, 1, 2, 3, 4, 5),
        "after its last": (2140, 1, 1, 0, 0, 0),
    }
    read = {}
    for what, moment in moments.items():
        seconds = time.mktime((*moment, 0, 0, -1))
        os.utime(picture, (seconds, seconds))
        archive = write_zip(tmp_path / "out.zip", [("a.jpg", picture)])
        with zipfile.ZipFile(archive) as opened:
            read[what] = opened.getinfo("a.jpg").date_time
    assert read == {
        "now": (2024, 5, 17, 13, 45, 58),
        "before the format's first year": (1980, 1, 1, 0, 0, 0),
        "after its last": (2107, 12, 31, 23, 59, 58),
    }


@pytest.mark.parametrize("extra", [0, 1, LARGE_BYTES // 2])
def test_a_large_file_is_streamed(tmp_path: Path, extra: int) -> None:
    video = tmp_path / "large.tif"
    video.write_bytes(os.urandom(1 << 16) * ((LARGE_BYTES >> 16) + 1) + b"e" * extra)
    entries = [("a.txt", b"before"), ("large.tif", video), ("z.txt", b"behind")]
    archive = write_zip(tmp_path / "out.zip", entries)
    expected = {"a.txt": b"before", "large.tif": video.read_bytes(), "z.txt": b"behind"}
    assert _contents(archive) == _our_contents(archive) == expected


def test_more_members_than_16_bits_can_count(tmp_path: Path) -> None:
    names = [f"labels/train/{i}.txt" for i in range(66_000)]
    archive = write_zip(tmp_path / "out.zip", ((name, b"") for name in names))
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == names
    with Archive.open(archive) as ours:
        assert [member.name for member in ours.members] == names


def test_exactly_as_many_members_as_16_bits_can_count(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "out.zip", ((f"{i}", b"") for i in range(65_535)))
    with zipfile.ZipFile(archive) as opened:
        assert len(opened.namelist()) == 65_535
    with Archive.open(archive) as ours:
        assert len(ours.members) == 65_535


@pytest.mark.parametrize("limit", [1, 100, 5_000, 9 * 2**20])
def test_64_bit_sizes_and_offsets(tmp_path: Path, limit: int) -> None:
    """With the limit lowered, the records that archives beyond 4 GiB need are really written."""
    large = tmp_path / "large.tif"
    large.write_bytes(os.urandom(10 * 2**20))
    entries = {"a.jpg": b"a" * 50, "b.jpg": b"b" * 5_000, "large.tif": large, "c.jpg": b"c"}
    archive = write_zip(tmp_path / "out.zip", entries.items(), zip64_limit=limit)
    expected = {**entries, "large.tif": large.read_bytes()}
    assert _contents(archive) == _our_contents(archive) == expected
    assert b"PK\x06\x06" in archive.read_bytes()[-200:]


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.tif"
    large.write_bytes(os.urandom(LARGE_BYTES + 2 * 2**20))
    head = large.read_bytes()[: 3 * 2**20]
    cut: list[int] = []

    def shrink(done: int, total: int) -> None:
        if not cut:
            os.truncate(large, len(head))
            cut.append(done)

    entries = [("large.tif", large), ("z.txt", b"behind")]
    archive = write_zip(tmp_path / "out.zip", entries, progress=shrink, zip64_limit=2**20)
    expected = {"large.tif": head, "z.txt": b"behind"}
    assert _contents(archive) == _our_contents(archive) == expected


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.tif"
    large.write_bytes(os.urandom(LARGE_BYTES + 1))
    before = large.read_bytes()

    def grow(done: int, total: int) -> None:
        with large.open("ab") as file:
            file.write(b"more")

    archive = write_zip(tmp_path / "out.zip", [("large.tif", large)], progress=grow)
    assert _contents(archive) == {"large.tif": before}


def test_a_file_that_vanished_stops_the_export(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.zip").write_bytes(b"older")
    entries = [("a.txt", b"a"), ("b.jpg", tmp_path / "gone.jpg")]
    with pytest.raises(ConflictError, match=r"gone\.jpg.*export again"):
        write_zip(out / "old.zip", entries)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"old.zip": b"older"}


def test_progress_counts_entries(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    entries = [(f"{i}.txt", b"x") for i in range(3)]
    write_zip(
        tmp_path / "out.zip",
        entries,
        progress=lambda done, all_: seen.append((done, all_)),
        total=3,
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_large_file_can_be_cancelled_midway(tmp_path: Path) -> None:
    large = tmp_path / "large.tif"
    large.write_bytes(bytes(LARGE_BYTES + 1))
    out = tmp_path / "out"
    out.mkdir()
    (out / "x.zip").write_bytes(b"older")

    def stop(done: int, total: int) -> None:
        assert done == 0
        raise StoppedError

    with pytest.raises(StoppedError):
        write_zip(out / "x.zip", [("large.tif", large)], progress=stop)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"x.zip": b"older"}


def test_an_older_archive_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    archive.write_bytes(b"older")
    seen: list[bytes] = []
    write_zip(
        archive, [("a.txt", b"a")], progress=lambda done, total: seen.append(archive.read_bytes())
    )
    assert seen == [b"older"]
    assert _contents(archive) == {"a.txt": b"a"}
    assert list(tmp_path.iterdir()) == [archive]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no-such-folder.*make the folder"):
        write_zip(tmp_path / "no-such-folder" / "x.zip", [])


def test_names_that_no_archive_can_hold(tmp_path: Path) -> None:
    for name in ("\udcff.jpg", "n" * 70_000):
        with pytest.raises(ArchiveError, match=r"x\.zip, member"):
            write_zip(tmp_path / "x.zip", [(name, b"")])
    assert list(tmp_path.iterdir()) == []


def test_the_archive_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", [])
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(archive.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("unnamed", [True, False])
def test_a_killed_export_leaves_nothing_for_ever(tmp_path: Path, unnamed: bool) -> None:
    """Nothing at all, or, where a file needs a name, nothing after the next export."""
    script = f"""
import os, signal, sys
from pathlib import Path
from workbench.persistence.archive import write_zip
if not {unnamed}:
    from workbench.persistence.storage.local import new_file
    new_file._UNNAMED = 0
write_zip(Path(sys.argv[1]), [("a.txt", b"a")], progress=lambda *_: os.kill(os.getpid(), 9))
"""
    killed = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "x.zip"], check=False, timeout=120
    )
    assert killed.returncode == -9
    if not (unnamed and hasattr(os, "O_TMPFILE")):
        assert len(list(tmp_path.iterdir())) == 1
    write_zip(tmp_path / "y.zip", [("a.txt", b"a")])
    assert [path.name for path in tmp_path.iterdir()] == ["y.zip"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_what_another_process_is_writing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_file, "_UNNAMED", 0)
    seen: list[list[str]] = []

    def write_another(done: int, total: int) -> None:
        write_zip(tmp_path / "other.zip", [])
        seen.append(sorted(path.suffix for path in tmp_path.iterdir()))

    write_zip(tmp_path / "x.zip", [("a.txt", b"a")], progress=write_another)
    assert seen == [[".tmp", ".zip"]]
    assert _contents(tmp_path / "x.zip") == {"a.txt": b"a"}
