"""The zip around weights: one that two readers could read in two ways is read by none."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path

import pytest

from tests.helpers.weights import TOP, end, members, model, packed, program, split, written
from workbench.errors import InvalidModelError
from workbench.weights.archive import WeightsArchive
from workbench.weights.program import MAX_BYTES

GOOD = model()
EVIL = program({"model": 1})


def pickle_in(path: Path) -> bytes:
    with WeightsArchive(path) as archive:
        return archive.pickle(MAX_BYTES)


def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "best.pt", packed(members(GOOD)))
    assert pickle_in(path) == GOOD


def two_directories() -> bytes:
    """The last end record speaks of one pickle; one in its comment of another."""
    first = packed(members(EVIL))
    data, directory, _ = split(packed(members(GOOD)))
    moved = bytearray(directory)
    at = 0
    while at < len(moved):
        name, extra, comment = struct.unpack_from("<HHH", moved, at + 28)
        [offset] = struct.unpack_from("<I", moved, at + 42)
        struct.pack_into("<I", moved, at + 42, offset + len(first))
        at += 46 + name + extra + comment
    start = len(first) + len(data)
    return first + data + bytes(moved) + end(4, len(moved), start)


def with_a_gap() -> bytes:
    data, directory, _ = split(packed(members(GOOD)))
    hidden = EVIL
    return data + hidden + directory + end(4, len(directory), len(data) + len(hidden))


def with_a_local_name_of_its_own() -> bytes:
    return packed(members(GOOD)).replace(b"best/data.pkl", b"best/Data.pkl", 1)


def with_an_extra_field() -> bytes:
    """A zip64 field in the directory, which one reader follows and another does not."""
    data, directory, _ = split(packed(members(GOOD)))
    name = len(f"{TOP}/data.pkl")
    field = struct.pack("<HHQ", 1, 8, 0)
    wide = bytearray(directory[: 46 + name] + field + directory[46 + name :])
    struct.pack_into("<H", wide, 30, len(field))
    return data + bytes(wide) + end(4, len(wide), len(data))


def with_a_wrong_checksum() -> bytes:
    archive = packed(members(GOOD))
    return archive.replace(b"DetectionModel", b"DetectionModeI", 1)


TRICKS = {
    "a pickle in front": (EVIL + packed(members(GOOD)), "."),
    "a name in other letters": (
        packed([*members(GOOD), (f"{TOP}/DATA.PKL", EVIL)]),
        "DATA.PKL",
    ),
    "the same name twice": (packed([*members(GOOD), members(EVIL)[1]]), "byteorder"),
    "two directories": (two_directories(), "in front of 'best/data.pkl'|put in front"),
    "a comment": (packed(members(GOOD))[:-2] + b"\x03\x00abc", "more behind its directory"),
    "something behind it": (packed(members(GOOD)) + b"\0", "end record"),
    "a gap": (with_a_gap(), "behind 'best/version' that belong to nothing"),
    "another local name": (with_a_local_name_of_its_own(), "local header that agrees"),
    "an extra field": (with_an_extra_field(), "more than names and sizes"),
    "a wrong checksum": (with_a_wrong_checksum(), "CRC-32"),
    "compressed members": (packed(members(GOOD), zipfile.ZIP_DEFLATED), "is compressed"),
    "a second folder": (packed([*members(GOOD), ("other/data/1", b"")]), "several folders"),
    "a file of its own": (packed([*members(GOOD), (f"{TOP}/setup.py", b"")]), "setup.py"),
    "no folder": (packed([("data.pkl", GOOD)]), "does not write"),
    "no pickle": (packed(members(GOOD)[1:]), "no pickle"),
    "TorchScript": (packed([*members(GOOD), (f"{TOP}/code/a.py", b"")]), "TorchScript"),
    "another order of bytes": (
        packed([(n, b"big" if n.endswith("order") else c) for n, c in members(GOOD)]),
        "order of bytes",
    ),
    "a path that leads out": (packed([*members(GOOD), (f"{TOP}/../x", b"")]), "leads out"),
    "cut off": (packed(members(GOOD))[:-30], "truncated|cut off"),
    "empty": (b"", "empty file"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "found a file that is none"),
    "a bare pickle": (EVIL, "a pickle by itself|found a file that is none"),
    "an old PyTorch": (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        r"an old PyTorch \(before 1\.6\)",
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_zip_that_could_be_read_otherwise_is_refused(tmp_path: Path, trick: str) -> None:
    content, reason = TRICKS[trick]
    path = written(tmp_path / "w.pt", content)
    with pytest.raises(InvalidModelError, match=rf"w\.pt: expected weights .*(?:{reason}).*get it"):
        pickle_in(path)


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_changed_byte_is_found_or_changes_nothing(tmp_path: Path, place: int) -> None:
    content = bytearray(packed(members(GOOD)))
    content[place % len(content)] ^= 0x41
    path = written(tmp_path / "w.pt", bytes(content))
    try:
        found = pickle_in(path)
    except InvalidModelError:
        return
    assert found == GOOD  # of times and versions, nobody takes notice


def test_a_pickle_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "w.pt", packed(members(GOOD)))
    with (
        WeightsArchive(path) as archive,
        pytest.raises(InvalidModelError, match=r"its pickle.*at most 10 are read"),
    ):
        archive.pickle(10)


@pytest.mark.skipif(os.name == "nt", reason="no pipes with names there")
def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    from workbench.training.weights_check import check_weights

    os.mkfifo(tmp_path / "w.pt")
    with pytest.raises(InvalidModelError, match=r"w\.pt: expected a file, found a pipe"):
        check_weights(tmp_path / "w.pt")
    with pytest.raises(FileNotFoundError, match="but a folder"):
        check_weights(tmp_path)
    with pytest.raises(FileNotFoundError, match="no weights file"):
        check_weights("a name with \0")
