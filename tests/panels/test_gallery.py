"""The gallery widget: the module that the browser gets, and what it refuses of a page."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.listing import checked_ranges, ranges_of, size_of
from workbench.panels.shared.uploads import Uploads


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


def test_what_the_browser_cannot_read_is_refused_by_name() -> None:
    uploads = Uploads()
    arrived = uploads.take(piece(0, 0, unreadable=True, name="folder"), b"")
    assert arrived is not None
    assert arrived.refused.startswith("folder: the browser cannot read it")
    assert uploads.take(piece(0, 9), b"abc") is None
    uploads.forget("s")
    assert uploads.take(piece(0, 9), b"abc") is None  # begins anew
