"""Blocks of suggestions that a stranger may have written: each oddity is passed over by itself."""

from __future__ import annotations

import json
import struct
import zlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from workbench.persistence.suggestion_blocks import parse_blocks

HEADER: dict[str, Any] = {
    "at": "2026-01-02T03:04:05+00:00",
    "kind": "suggested",
    "source": {"kind": "model", "name": "cups", "digest": "1a2b", "details": {}},
    "images": ["train/a.jpg", "val/b.jpg"],
}
COUNTS, CLASSES, SCORES = (1, 0), (0,), (0.5,)
BOX = (0.5, 0.5, 0.25, 0.5)


def block(
    header: object = None,
    counts: tuple[int, ...] = COUNTS,
    classes: tuple[int, ...] = CLASSES,
    box: tuple[float, ...] = BOX,
    scores: tuple[float, ...] = SCORES,
    magic: bytes = b"WBS1",
) -> bytes:
    """Return a block as the head of the module describes it, whole or odd."""
    text = json.dumps(HEADER if header is None else header).encode()
    body = text + np.array(counts, "<i4").tobytes() + np.array(classes, "<i4").tobytes()
    body += np.array(box, "<f4").tobytes() + np.array(scores, "<f4").tobytes()
    return struct.pack("<4sIII", magic, len(text), len(classes), zlib.crc32(body)) + body


def test_a_block_is_read() -> None:
    (found,) = parse_blocks(block(), "x.wbs")
    assert (found.kind, found.images, found.counts.tolist()) == (
        "suggested",
        ["train/a.jpg", "val/b.jpg"],
        [1, 0],
    )
    assert (found.class_id.tolist(), found.boxes.tolist(), found.score.tolist()) == (
        [0],
        [list(BOX)],
        [0.5],
    )


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (block(magic=b"WBS2"), "does not begin with WBS1"),
        (block(HEADER | {"kind": "eaten"}), "unknown kind 'eaten'"),
        (block(HEADER | {"at": "2026-01-02T03:04:05"}), "a time without time zone"),
        (block(HEADER | {"at": "9999-12-31T23:59:59+00:00"}), "edge of the calendar"),
        (block(HEADER | {"at": "0001-01-01T00:00:00+14:00"}), "edge of the calendar"),
        (block(HEADER | {"at": "yesterday"}), "yesterday"),
        (block(HEADER | {"images": "train/a.jpg"}), "its images are no list"),
        (block(HEADER | {"images": ["train/a.jpg", "../b.jpg"]}), "is no image"),
        (block(HEADER | {"images": ["train/a.jpg"] * 2}), "an image is in it twice"),
        (block(HEADER | {"source": HEADER["source"] | {"name": 7}}), "its source has no name"),
        (block([]), "list indices"),
        (block(counts=(1, 1)), "its images have not 1 boxes together"),
        (block(counts=(2, -1)), "its images have not 1 boxes together"),
        (block(classes=(-1,)), "a class id that cannot be"),
        (block(box=(0.5, 0.5, 1.5, 0.5)), "a box that is not inside its image"),
        (block(box=(0.5, float("nan"), 0.5, 0.5)), "a box that is not inside its image"),
        (block(scores=(2.0,)), "a score that is not in 0..1"),
        (block()[:-1], "cut off"),
        (block()[:9], "cut off"),
        (block()[:-1] + b"\xff", "cut off or damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_odd_block_is_told_and_keeps_none_behind_it_from_being_read(
    odd: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = parse_blocks(block() + odd + block(HEADER | {"kind": "rejected"}), "x.wbs")
    assert [one.kind for one in found] == ["suggested", "rejected"]
    (message,) = caplog.messages
    assert message.startswith(f"x.wbs: passed over the block at byte {len(block())}: ")
    assert reason in message


def test_no_block_is_later_than_what_follows_it() -> None:
    """A clock that was wrong keeps nothing newer from taking the place of what it dated."""
    times = ["2026-01-02", "2096-05-06", "2026-03-04", "2096-01-01"]
    data = b"".join(block(HEADER | {"at": f"{day}T00:00:00+00:00"}) for day in times)
    before = datetime.now(UTC)
    *found, last = [one.at for one in parse_blocks(data, "x.wbs")]
    assert [at.date().isoformat() for at in found] == ["2026-01-02", "2026-03-04", "2026-03-04"]
    assert before <= last <= datetime.now(UTC)
