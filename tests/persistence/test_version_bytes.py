"""Versions as bytes: what was kept comes back, also from files that earlier programs wrote."""

from __future__ import annotations

import io
import json
import zlib
from datetime import UTC, datetime

import pytest

from workbench.errors import InvalidDatasetError
from workbench.persistence.history import format_records, new_edit, parse_records
from workbench.persistence.stores.logs import MOST_LINE
from workbench.persistence.version_bytes import from_bytes, shas_of, to_bytes
from workbench.persistence.versions import Contents, Entry
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import MAX_BYTES

LABELS = {
    "none": None,
    "empty": b"",
    "usual": b"0 0.5 0.5 0.2 0.2\n",
    "returns": b"\r" * 100_000,
    "quotes": b'"\\' * 1000,
    "bytes": bytes(range(256)) * 400,
    "like the end": b"]}\n]}\n" * 3,
    "like a mark": b'}, "images": [\n',
    "no ASCII": "0 0.5 0.5 0.2 0.2 # Größe\n".encode(),
}


def contents() -> Contents:
    images = {
        ("train", f"{name}.jpg"): Entry(f"{number:064x}", number, label)
        for number, (name, label) in enumerate(LABELS.items())
    }
    trash = {f"trash/1/labels/train/{n}.txt": label for n, label in LABELS.items() if label}
    yaml = DataYaml(["cat", "dog"], {"kpt_shape": [4, 2], "author": "Å"})
    return Contents(yaml, {0: ["a cat"]}, {"night": ["usual.jpg"]}, images, trash)


def written(held: Contents) -> bytes:
    return to_bytes(held.info("v", "a note", automatic=False, serial=3), held)


def body_of(data: bytes) -> bytes:
    return zlib.decompress(data.partition(b"\n")[2])


def with_body(data: bytes, body: bytes) -> bytes:
    return data.partition(b"\n")[0] + b"\n" + zlib.compress(body)


@pytest.mark.parametrize("trash", [True, False])
@pytest.mark.parametrize("images", [True, False])
def test_what_is_kept_comes_back(trash: bool, images: bool) -> None:
    held = contents()
    if not trash:
        held.trash.clear()
    if not images:
        held.images.clear()
    info, found = from_bytes(written(held), "v.version")
    assert found == held
    assert list(found.images) == list(held.images)
    assert (info.name, info.note, info.serial) == ("v", "a note", 3)
    assert shas_of(io.BytesIO(written(held)), "v.version") == {
        entry.sha256 for entry in held.images.values()
    }


def test_earlier_programs_read_it_and_wrote_it_on_one_line() -> None:
    held = contents()
    data = written(held)
    on_one_line = with_body(data, json.dumps(json.loads(body_of(data))).encode())
    assert b"\n" not in body_of(on_one_line)
    assert from_bytes(on_one_line, "v.version") == from_bytes(data, "v.version")
    assert shas_of(io.BytesIO(on_one_line), "v.version") == shas_of(io.BytesIO(data), "v.version")


def test_no_line_is_much_longer_than_a_label_file() -> None:
    lines = body_of(written(contents())).split(b"\n")
    longest = max(len(label) for label in LABELS.values() if label)
    assert max(map(len, lines)) < longest * 4 / 3 + 500
    assert len(lines) > 2 * len(LABELS)


@pytest.mark.parametrize("cut", range(12))
def test_one_that_is_cut_off_is_none(cut: int) -> None:
    data = written(contents())
    lines = body_of(data).split(b"\n")
    keep = len(lines) * cut // 12
    with pytest.raises(InvalidDatasetError, match=r"v\.version: expected a version"):
        from_bytes(with_body(data, b"\n".join(lines[:keep])), "v.version")
    with pytest.raises(InvalidDatasetError, match=r"v\.version: expected a version"):
        from_bytes(data[: len(data) * (cut + 1) // 13], "v.version")


@pytest.mark.parametrize("behind", [b"\n", b"\n[]", b"\n" * 100_000])
def test_what_stands_behind_the_end_is_no_version(behind: bytes) -> None:
    data = written(contents())
    with pytest.raises(InvalidDatasetError, match="behind its end"):
        from_bytes(with_body(data, body_of(data) + behind), "v.version")


def test_an_edit_of_any_label_files_can_be_read_again() -> None:
    longest = [b"\0" * MAX_BYTES, b"\xff" * MAX_BYTES, b"\r" * MAX_BYTES, b"0 1 1 1 1\n" * 800_000]
    for before, after in zip(longest, [None, *longest], strict=False):
        edit = new_edit("train", "a.jpg", before, after, "restore version")
        line = format_records([edit])
        assert len(line) < MOST_LINE
        assert parse_records(line) == [edit]


def test_a_short_edit_stays_text_that_people_can_read() -> None:
    edit = new_edit("train", "a.jpg", "0 1 1 1 1 # Größe\n".encode(), b"\xff\0")
    assert "Größe".encode() in format_records([edit])
    (found,) = parse_records(format_records([edit]))
    assert found == edit
    assert found.at <= datetime.now(UTC)
