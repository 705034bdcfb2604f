"""What a page of the annotate panel is sent for its filmstrip."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import cv2
import numpy as np
import pytest

from workbench.errors import UnreachableError
from workbench.panels.annotate import AnnotatePanel
from workbench.persistence import create_stores


async def test_the_strip_has_names_states_and_the_pictures_that_the_page_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data" / "ds"
    (root / "images" / "train").mkdir(parents=True)
    (root / "labels" / "train").mkdir(parents=True)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames:\n  0: cat\n")
    for name in "abc":
        pixels = np.full((480, 640, 3), 90, np.uint8)
        cv2.imwrite(str(root / "images" / "train" / f"{name}.png"), pixels)
    (root / "images" / "train" / "b.png").write_bytes(b"no picture")
    (root / "labels" / "train" / "c.txt").write_text("")
    stores = create_stores(root.parent, tmp_path / "models")
    panel = AnnotatePanel("ds", stores=stores)
    sent: asyncio.Queue[tuple[dict[str, Any], list[bytes]]] = asyncio.Queue()

    def take(message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if message["kind"] == "strip":
            sent.put_nowait((message, buffers or []))

    monkeypatch.setattr(panel.canvas, "send", take)

    async def asked(**message: Any) -> tuple[dict[str, Any], list[bytes]]:
        request = {"kind": "strip", "session": "page", "walk": panel.model.walk, **message}
        panel.canvas._receive(panel.canvas, request, [])
        async with asyncio.timeout(10):
            return await sent.get()

    try:
        await panel.show(0)
        message, buffers = await asked(first=0, count=9, have=[])
        assert [(i["name"], i["labelled"], i["buffer"]) for i in message["items"]] == [
            ("a.png", False, 0),
            ("b.png", False, 1),
            ("c.png", True, 2),
        ]
        shapes = [cv2.imdecode(np.frombuffer(b, np.uint8), 1).shape for b in buffers if b]
        assert shapes == [(120, 160, 3), (120, 160, 3)]
        assert buffers[1] == b""
        message, buffers = await asked(first=1, count=2, have=[1])
        assert [(i["index"], i["buffer"]) for i in message["items"]] == [(1, None), (2, 0)]
        assert len(buffers) == 1
        # What does not answer now is no damaged picture: the page asks for it once more.
        with monkeypatch.context() as patched:
            patched.setattr(stores.image, "read_many", AsyncMock(side_effect=UnreachableError("x")))
            message, buffers = await asked(first=0, count=2, have=[0])
        assert [(i["name"], i["buffer"]) for i in message["items"]] == [
            ("a.png", None),
            ("b.png", None),
        ]
        assert buffers == []
        # Of a walk that has ended nothing is said: the next answer is that to the next request.
        request = {"kind": "strip", "session": "page", "walk": -1, "first": 0, "count": 1}
        panel.canvas._receive(panel.canvas, request, [])
        message, _ = await asked(first=2, count=1, have=[2])
        assert [i["index"] for i in message["items"]] == [2]
    finally:
        panel.close()
