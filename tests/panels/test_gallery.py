"""The gallery widget: the module that the browser gets, and what it refuses of a page."""

from __future__ import annotations

import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.listing import checked_ranges, ranges_of, size_of
from workbench.panels.shared.uploads import (
    IN_MEMORY_BYTES,
    MAX_BATCHES,
    MAX_FILE_BYTES,
    Uploads,
)


class Host:
    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []

    def asked(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        self.heard.append(message)


def test_the_bundle_is_one_module_that_parses(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("no node: install Node.js 20 or newer")
        pytest.skip("no node: install Node.js 20 or newer to run the front end's tests")
    joined = tmp_path / "joined.mjs"
    joined.write_text(str(Gallery._esm), encoding="utf-8")
    script = (
        f"const m = await import({joined.as_uri()!r}); "
        "console.log(Object.keys(m).join(), Object.keys(m.default()).join())"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "default render", done.stderr


def test_unknown_messages_are_shown_and_others_reach_the_host() -> None:
    gallery = Gallery()
    gallery.host = host = Host()
    gallery._receive(None, {"kind": "explode"}, [])
    assert "unknown: 'explode'" in gallery.status["text"]
    gallery._receive(None, {"kind": "stop", "session": "s"}, [])
    assert [message["kind"] for message in host.heard] == ["stop"]
    gallery.close()


def test_ranges_from_a_page_are_checked() -> None:
    assert checked_ranges([[0, 3], [5, 900]], 10) == ((0, 3), (5, 10))
    assert checked_ranges([[20, 30]], 10) == ()
    for bad in ([[3, 3]], [[-1, 2]], [[4, 6], [5, 8]]):
        with pytest.raises(ValueError, match="expected sorted, separate ranges"):
            checked_ranges(bad, 10)
    chosen = ranges_of(np.array([True, True, False, True]))
    assert chosen == ((0, 2), (3, 4))
    assert size_of(chosen) == 3
    assert ranges_of(np.zeros(0, dtype=np.bool_)) == ()


def piece(offset: int, size: int, **more: Any) -> dict[str, Any]:
    common = {"session": "s", "batch": 1, "split": "val", "index": 0, "files": 1, "name": "a.jpg"}
    return {**common, "offset": offset, "size": size, **more}


def test_pieces_become_a_file_and_a_missing_one_is_an_error() -> None:
    uploads = Uploads()
    assert uploads.take(piece(0, 5), b"abc") is None
    with pytest.raises(ValueError, match="expected the bytes from 3 on, found 4"):
        uploads.take(piece(4, 5), b"e")
    arrived = uploads.take(piece(3, 5), b"de")
    assert arrived is not None
    assert (arrived.split, arrived.files, arrived.is_last) == ("val", [("a.jpg", b"abcde")], True)


def test_what_has_come_of_large_files_waits_on_the_disk() -> None:
    uploads = Uploads()
    part = bytes(IN_MEMORY_BYTES)
    tracemalloc.start()
    try:
        for batch in range(MAX_BATCHES):
            for number in range(20):
                offset = number * len(part)
                message = piece(offset, 21 * len(part), session=f"page {batch}")
                assert uploads.take(message, part) is None
        assert tracemalloc.get_traced_memory()[1] < 10 * len(part)
        arrived = uploads.take(piece(20 * len(part), 21 * len(part), session="page 0"), part)
    finally:
        tracemalloc.stop()
        uploads.clear()
    assert arrived is not None
    assert arrived.files == [("a.jpg", part * 21)]


def test_of_too_many_uploads_the_one_that_waited_longest_is_given_up() -> None:
    uploads = Uploads()
    for batch in range(MAX_BATCHES):
        assert uploads.take(piece(0, 9, batch=batch), b"abc") is None
    assert uploads.take(piece(3, 9, batch=0), b"def") is None  # so batch 1 waits longest now
    assert uploads.take(piece(0, 9, batch=MAX_BATCHES), b"abc") is None
    with pytest.raises(ValueError, match="from 0 on, found 3"):
        uploads.take(piece(3, 9, batch=1), b"def")
    assert uploads.take(piece(6, 9, batch=0), b"ghi") is not None
    uploads.clear()


def test_the_file_after_one_with_a_missing_piece_arrives() -> None:
    uploads = Uploads()
    assert uploads.take(piece(0, 9, files=2), b"abc") is None
    with pytest.raises(ValueError, match="found 6"):
        uploads.take(piece(6, 9, files=2), b"ghi")
    arrived = uploads.take(piece(0, 3, files=2, index=1, name="b.jpg"), b"xyz")
    assert arrived is not None
    assert arrived.files == [("b.jpg", b"xyz")]


def test_a_file_larger_than_any_image_is_refused_by_name() -> None:
    uploads = Uploads()
    size = MAX_FILE_BYTES + 1
    assert uploads.take(piece(0, size), b"abc") is None
    arrived = uploads.take(piece(size - 1, size), b"c")
    assert arrived is not None
    assert arrived.refused == "a.jpg: has 256 MB, more than an image may have"


def test_what_the_browser_cannot_read_is_refused_by_name() -> None:
    uploads = Uploads()
    arrived = uploads.take(piece(0, 0, unreadable=True, name="folder"), b"")
    assert arrived is not None
    assert arrived.refused.startswith("folder: the browser cannot read it")
    assert uploads.take(piece(0, 9), b"abc") is None
    uploads.forget("s")
    assert uploads.take(piece(0, 9), b"abc") is None  # begins anew
    uploads.clear()
