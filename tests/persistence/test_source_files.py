"""Where images came from, read from files that grow, are cut off or are replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.persistence.sources import ImageSource, SourceRecord, format_sources
from workbench.persistence.storage import Storage
from workbench.persistence.storage.layout import ANYTHING
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.stores import source_log
from workbench.persistence.stores.source_log import SourceReader

START = datetime(2026, 1, 1, tzinfo=UTC)


def _records(first: int, last: int) -> list[SourceRecord]:
    times = {number: START + timedelta(seconds=number) for number in range(first, last)}
    return [
        SourceRecord(at, ImageSource(f"ä{number}.jpg", "train", at, feed="camera"))
        for number, at in times.items()
    ]


def _storage(path: Path) -> Storage:
    return LocalStorage(str(path.parent), ANYTHING)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what was parsed."""
    sizes: list[int] = []
    parse = source_log.parse_sources

    def counting(data: bytes) -> list[SourceRecord]:
        sizes.append(len(data))
        return parse(data)

    monkeypatch.setattr(source_log, "parse_sources", counting)
    return sizes


def test_only_what_is_new_is_parsed(tmp_path: Path, parsed: list[int]) -> None:
    path, reader = tmp_path / "2026-01.jsonl", SourceReader()
    path.write_bytes(format_sources(_records(0, 500)))
    assert reader.records(_storage(path), path.name) == _records(0, 500)
    line = path.stat().st_size // 500
    for last in range(501, 504):
        parsed.clear()
        with path.open("ab") as file:
            file.write(format_sources(_records(last - 1, last)))
        assert reader.records(_storage(path), path.name) == _records(0, last)
        assert sum(parsed) < 4 * line
    parsed.clear()
    assert reader.records(_storage(path), path.name) == _records(0, 503)
    assert sum(parsed) < 2 * line


def test_a_line_that_was_half_there_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path, reader = tmp_path / "2026-01.jsonl", SourceReader()
    whole = format_sources(_records(0, 4))
    seen = []
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        seen.append(reader.records(_storage(path), path.name))
    assert seen[-1] == _records(0, 4)
    assert all(records == _records(0, len(records)) for records in seen)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path, reader = tmp_path / "2026-01.jsonl", SourceReader()
    path.write_bytes(format_sources(_records(0, 9)))
    assert reader.records(_storage(path), path.name) == _records(0, 9)
    path.write_bytes(format_sources(_records(10, 30)))  # the same inode
    assert reader.records(_storage(path), path.name) == _records(10, 30)
    other = tmp_path / "other"
    other.write_bytes(format_sources(_records(10, 30)[:29]))
    other.replace(path)
    assert reader.records(_storage(path), path.name) == _records(10, 30)
    path.write_bytes(format_sources(_records(10, 12)))  # shorter than it was
    assert reader.records(_storage(path), path.name) == _records(10, 12)
    path.write_bytes(b"")
    assert reader.records(_storage(path), path.name) == []


def test_what_is_returned_is_the_callers(tmp_path: Path) -> None:
    path, reader = tmp_path / "2026-01.jsonl", SourceReader()
    path.write_bytes(format_sources(_records(0, 3)))
    mine = reader.records(_storage(path), path.name)
    mine[0] = replace(mine[0], at=START + timedelta(days=1))
    mine.clear()
    assert reader.records(_storage(path), path.name) == _records(0, 3)
