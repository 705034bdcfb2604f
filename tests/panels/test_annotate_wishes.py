"""What a page asks to have found: in words, or what is like boxes; and files that are missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.file_server import Server
from tests.helpers.told_models import save_encoder, save_told, save_vocabulary
from workbench.datasets.dataset import Dataset
from workbench.labelling import remote_files
from workbench.panels.annotate import AnnotatePanel
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import NewImage
from workbench.training.environment import import_ultralytics
from workbench.weights.fetching import RemoteFile

YOLOE = "yoloe-11s-seg.pt"
SYMBOL = {"class_id": 1, "xyxy": [10, 10, 34, 34]}


def picture(*places: tuple[int, int]) -> np.ndarray:
    import cv2

    coarse = np.random.default_rng(3).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    look = cv2.resize(coarse, (24, 24), interpolation=cv2.INTER_LINEAR)
    frame = np.random.default_rng(0).integers(90, 110, (96, 128, 3), dtype=np.uint8)
    for x, y in places:
        frame[y : y + 24, x : x + 24] = look
    return frame


@pytest.fixture
async def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("plan", ["door", "lamp"])
    images = [
        NewImage("a.png", "train", picture((10, 10), (60, 40))),
        NewImage("b.png", "train", picture((90, 20))),
        NewImage("c.png", "val", picture((30, 60))),
    ]
    await made.image.add_many("plan", images)
    return made


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[AnnotatePanel]:
    made = AnnotatePanel("plan", stores=stores)
    await made.show(0)
    yield made
    made.close()


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(120):  # networks are made and traced, on busy machines slowly
        while not is_so():
            await asyncio.sleep(0.01)


async def ask(panel: AnnotatePanel, message: dict[str, Any]) -> None:
    """Ask as a page does, and wait until it is done."""
    work: list[str] = []

    def note(change: dict[str, Any]) -> None:
        work.append(change["new"])

    panel.canvas.observe(note, "work")
    panel.canvas._receive(panel.canvas, {"session": "page"} | message, [])
    await until(lambda: work and not work[-1])
    panel.canvas.unobserve(note, "work")


async def waiting(stores: Stores) -> dict[tuple[str, str], list[tuple[int, int, int]]]:
    """Class and left upper corner of what waits, by image."""
    table = await Dataset(stores, "plan").suggestions()
    found: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for key in {key for keys in table.looked_at.values() for key in keys}:
        rows = [
            (
                one.class_id,
                round((one.x - one.width / 2) * 128),
                round((one.y - one.height / 2) * 96),
            )
            for one in table.of(*key)
        ]
        found[key] = sorted(rows)
    return found


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("image", {("train", "a.png"): [(1, 10, 10), (1, 60, 40)]}),
        (
            "walk",
            {
                ("train", "a.png"): [(1, 10, 10), (1, 60, 40)],
                ("train", "b.png"): [(1, 90, 20)],
            },
        ),
        (
            "dataset",
            {
                ("train", "a.png"): [(1, 10, 10), (1, 60, 40)],
                ("train", "b.png"): [(1, 90, 20)],
                ("val", "c.png"): [(1, 30, 60)],
            },
        ),
    ],
)
async def test_what_has_the_same_pixels_as_a_box_waits_for_review(
    panel: AnnotatePanel, stores: Stores, where: str, expected: dict[tuple[str, str], Any]
) -> None:
    assert panel.current is not None
    wish = {"kind": "suggest", "how": "pixels", "where": where, "key": panel.current.key}
    await ask(panel, wish | {"boxes": [SYMBOL]})
    assert await waiting(stores) == expected
    assert panel.canvas.notice == ""
    await ask(panel, wish | {"boxes": [SYMBOL]})  # again: found anew, not twice
    assert await waiting(stores) == expected


@pytest.mark.long
async def test_missing_files_are_offered_fetched_on_a_click_and_used(
    panel: AnnotatePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    save_told("YOLOESegModel", "yoloe-11n-seg.yaml", made / YOLOE)
    names = [YOLOE, "mobileclip_blt.ts", remote_files.VOCABULARY.name]
    save_encoder(made / names[1])
    save_vocabulary(made / names[2])
    server = Server()
    try:
        local = {name: RemoteFile(name, f"{server.url}/{name}", 5_000_000) for name in names}
        monkeypatch.setitem(remote_files.PROMPTED, YOLOE, local[YOLOE])
        monkeypatch.setitem(remote_files.ENCODERS, "mobileclip:blt", local[names[1]])
        monkeypatch.setattr(remote_files, "VOCABULARY", local[names[2]])
        await ask(panel, {"kind": "suggest", "how": "words"})
        offer = panel.canvas.offer
        assert all(name in offer["text"] for name in names)
        assert "127.0.0.1" in offer["text"]
        assert str(remote_files.folder()) in offer["text"]
        assert offer["choice"] == "Fetch 3 files (15 MB)"
        assert server.asked == []
        for name in names[:2]:
            server.serve(f"/{name}", (made / name).read_bytes())
        server.answers[f"/{names[2]}"] = lambda request: request.send_error(404)
        await ask(panel, {"kind": "fetch"})
        await until(lambda: "404" in panel.canvas.notice)
        assert panel.canvas.offer == {}
        panel.canvas.notice = ""
        await ask(panel, {"kind": "suggest", "how": "words"})
        assert panel.canvas.offer["choice"] == "Fetch 1 file (5 MB)"
        server.serve(f"/{names[2]}", (made / names[2]).read_bytes())
        await ask(panel, {"kind": "fetch"})
        table = await Dataset(stores, "plan").suggestions()
        assert [source.kind for source in table.sources] == ["prompts"]
        assert [len(keys) for keys in table.looked_at.values()] == [2]  # of the walk
    finally:
        server.close()


async def test_a_download_is_stopped_from_the_page(
    panel: AnnotatePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    try:
        content = bytes(3_000_000)
        server.serve_half("/w", content)
        file = RemoteFile(YOLOE, f"{server.url}/w", len(content))
        monkeypatch.setitem(remote_files.PROMPTED, YOLOE, file)
        assert panel.current is not None
        wish = {"kind": "suggest", "how": "similar", "where": "walk", "key": panel.current.key}
        await ask(panel, wish | {"boxes": [SYMBOL]})
        panel.canvas._receive(panel.canvas, {"session": "page", "kind": "fetch"}, [])
        await until(lambda: panel.canvas.work == "Fetching: 1 of 3 MB")
        panel.canvas._receive(panel.canvas, {"session": "page", "kind": "suggest"}, [])
        await asyncio.sleep(0.05)
        server.go_on.set()
        await until(lambda: not panel.canvas.work)
        assert list(remote_files.folder().iterdir()) == []
        assert panel.canvas.notice == ""
    finally:
        server.close()


async def test_a_wish_that_cannot_be_is_told(panel: AnnotatePanel) -> None:
    await ask(panel, {"kind": "suggest", "how": "similar", "where": "walk"})
    assert "Draw a box first" in panel.canvas.notice
    panel.canvas._receive(panel.canvas, {"kind": "suggest", "how": "magic"}, [])
    await until(lambda: "'magic'" in panel.canvas.notice)


async def test_a_box_around_what_is_pointed_at(
    panel: AnnotatePanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing weights are offered; then a click is answered, and `T` asks the same network."""
    import torch

    import_ultralytics()
    from ultralytics.models.sam.build import build_mobile_sam

    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(panel.canvas, "send", lambda message, **_: sent.append(message))
    assert panel.current is not None
    click = {"kind": "click", "session": "page", "key": panel.current.key, "point": [22, 22]}
    panel.canvas._receive(panel.canvas, click, [])
    await until(lambda: panel.canvas.offer)
    assert "mobile_sam.pt (about 41 MB, from github.com)" in panel.canvas.offer["text"]
    torch.manual_seed(0)
    torch.save(build_mobile_sam().state_dict(), tmp_path / "made.pt")
    server = Server()
    try:
        server.serve("/w", (tmp_path / "made.pt").read_bytes())
        file = RemoteFile("mobile_sam.pt", f"{server.url}/w", 1)
        monkeypatch.setitem(remote_files.CLICKED, "mobile_sam.pt", file)
        await ask(panel, {"kind": "fetch"})
    finally:
        server.close()
    panel.canvas._receive(panel.canvas, click, [])
    await until(lambda: any(one["kind"] == "clicked" for one in sent))
    [answer] = [one for one in sent if one["kind"] == "clicked"]
    # Random weights take the whole picture for the thing.
    assert (answer["to"], answer["key"]) == ("page", panel.current.key)
    assert answer["xyxy"] == pytest.approx([0, 0, 128, 96], abs=1)
    assert panel.model.clicking.is_loaded
    loose = {"kind": "tighten", "ids": [7], "boxes": [[1, 1, 120, 90]]}
    panel.canvas._receive(panel.canvas, click | loose, [])
    await until(lambda: any(one["kind"] == "tightened" for one in sent))
    [drawn] = [one for one in sent if one["kind"] == "tightened"]
    assert drawn["boxes"][0] == pytest.approx([0, 0, 128, 96], abs=1)
    await panel.show(1)  # the network looks at it ahead, and nothing is in the way
    assert panel.canvas.notice == ""
