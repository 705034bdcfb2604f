"""Logs are read in pieces, from either end: whatever stands in one, memory has a bound."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

from workbench.persistence.stored_json import lines_of
from workbench.persistence.stores import logs


def _forwards(file: io.BytesIO) -> list[bytes]:
    return [line for _, piece in logs.pieces(file) for line in lines_of(piece)]


def _backwards(file: io.BytesIO) -> list[bytes]:
    return [*logs.lines_newest_first(file)][::-1]


READERS = [_forwards, _backwards]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines cross the borders of blocks, and some be too long."""
    monkeypatch.setattr(logs, "_BLOCK", 64)
    monkeypatch.setattr(logs, "MOST_LINE", 500)


@pytest.mark.parametrize("read", READERS)
def test_lines_are_whole_and_in_order_wherever_the_blocks_end(
    read: Callable[[io.BytesIO], list[bytes]],
) -> None:
    chance = random.Random(3)
    for _ in range(300):
        lengths = [chance.choice([0, 1, 39, 40, 63, 64, 65, 128, 450]) for _ in range(12)]
        lines = [bytes([97 + n]) * length for n, length in enumerate(lengths)]
        data = b"\n".join(lines)
        wanted = [line for line in lines if len(line) >= 40]
        assert read(io.BytesIO(data)) == wanted
        assert read(io.BytesIO(b"\n" + data + b"\n")) == wanted


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_line_without_end_is_left_out_and_the_others_are_read(
    read: Callable[[io.BytesIO], list[bytes]], where: int
) -> None:
    lines = [b"a" * 100, b"b" * 100]
    lines.insert(where, b"x" * 5000)
    assert read(io.BytesIO(b"\n".join(lines))) == [b"a" * 100, b"b" * 100]


def test_each_piece_says_where_it_ends() -> None:
    data = b"\n".join([b"a" * 100, b"x" * 5000, b"b" * 30, b"c" * 70])
    for place, piece in logs.pieces(io.BytesIO(data)):
        assert data[:place].endswith(piece)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("what", [b"\n", b"x"])
def test_millions_of_nothing_take_no_memory(
    read: Callable[[io.BytesIO], Iterable[bytes]], what: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_BLOCK", 1 << 16)
    file = io.BytesIO(what * 3_000_000)
    tracemalloc.start()
    try:
        assert read(file) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
