"""Datasets that a page of the browser sends to the home page, or takes from it."""

from __future__ import annotations

import asyncio
import io
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.pictures import jpeg
from workbench.panels.home import HomePanel
from workbench.persistence import Stores, create_stores

ROW = "0 0.5 0.5 0.25 0.25\n"


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(tmp_path / "data", tmp_path / "models")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class Page:
    """A page of the home panel: what it says, and what it is told."""

    def __init__(self, panel: HomePanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.told: asyncio.Queue[tuple[dict[str, Any], list[bytes]]] = asyncio.Queue()
        monkeypatch.setattr(panel.view, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if message.get("to") == "page":
            self.told.put_nowait((message, buffers or []))

    def say(self, kind: str, *buffers: bytes, **more: Any) -> None:
        self.panel._receive(self.panel.view, {"kind": kind, "session": "page", **more}, buffers)

    async def hears(self) -> tuple[dict[str, Any], list[bytes]]:
        async with asyncio.timeout(20):
            return await self.told.get()

    async def until_kind(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while self.panel.view.page.get("kind") != kind:
                await asyncio.sleep(0.02)
        return dict(self.panel.view.page)

    async def sends(self, files: dict[str, bytes], piece: int = 1000) -> None:
        """Send files piece by piece, as `createUploader` does."""
        for index, (path, content) in enumerate(files.items()):
            for offset in range(0, max(len(content), 1), piece):
                part = content[offset : offset + piece]
                self.say(
                    "arrive", part, batch=1, index=index, files=len(files), name=Path(path).name,
                    path=path, size=len(content), offset=offset,
                )  # fmt: skip
                message, _ = await self.hears()
                assert message == {"kind": "arrived", "to": "page", "batch": 1}


@pytest.fixture
async def page(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Page]:
    panel = HomePanel(stores)
    await panel.refresh()
    yield Page(panel, monkeypatch)
    panel.close()


async def until(page: Page, text: str) -> None:
    """Wait until the page's line says something."""
    async with asyncio.timeout(20):
        while text not in page.panel.view.status.get("text", ""):
            await asyncio.sleep(0.02)


def _zip(files: dict[str, bytes | str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


async def test_a_zip_of_the_browser_becomes_a_dataset(
    page: Page, tmp_path: Path, scratch: Path
) -> None:
    archive = _zip(
        {
            "data.yaml": "train: images/train\nval: images/val\nnames: [cup]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": ROW,
        }
    )
    await page.sends({"export.zip": archive})
    assert (await page.until_kind("plan"))["name"] == "export"
    root = tmp_path / "data" / "export"
    assert not root.exists()
    page.say("import", action="apply")
    await page.until_kind("account")
    assert (root / "images" / "train" / "a.jpg").read_bytes() == jpeg(1)
    assert (root / "labels" / "train" / "a.txt").read_text().split() == ROW.split()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["one.jpg"], "one"),
        (["one.jpg", "two.jpg"], "pictures"),
        (["in/one.jpg", "in/two.jpg"], "in"),
    ],
)
async def test_pictures_of_the_browser_become_a_dataset(
    page: Page, tmp_path: Path, names: list[str], called: str
) -> None:
    await page.sends({name: jpeg(number) for number, name in enumerate(names)})
    assert (await page.until_kind("plan"))["name"] == called
    page.say("import", action="apply")
    await page.until_kind("account")
    found = sorted(file.name for file in (tmp_path / "data" / called).rglob("*.jpg"))
    assert found == sorted(Path(name).name for name in names)


async def test_what_cannot_be_brought_in_is_told_without_the_temporary_folder(
    page: Page, tmp_path: Path, scratch: Path
) -> None:
    await page.sends({"export.zip": b"no archive at all"})
    shown = await page.until_kind("error")
    assert "export.zip" in shown["text"]
    assert str(scratch) not in shown["text"]
    page.say("import", action="close")
    async with asyncio.timeout(20):
        while list(scratch.iterdir()):
            await asyncio.sleep(0.02)
    assert not (tmp_path / "data" / "export").exists()


async def test_a_dataset_is_downloaded_piece_by_piece_and_comes_in_again_the_same(
    page: Page, stores: Stores, tmp_path: Path, scratch: Path
) -> None:
    root = tmp_path / "data" / "cups"
    for name, content in {
        "data.yaml": b"train: images/train\nval: images/val\nnames: [cup]\n",
        "images/train/a.jpg": jpeg(1),
        "images/train/b.jpg": jpeg(2) + bytes(2**20),
        "labels/train/a.txt": ROW.encode(),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    page.say("download", name="cups")
    message, _ = await page.hears()
    assert (message["kind"], message["name"]) == ("packed", "cups.zip")
    whole = b""
    while not whole or len(whole) < message["total"]:
        page.say("fetch", start=len(whole))
        message, [piece] = await page.hears()
        whole += piece
    assert len(whole) > 2**20, "more than one piece"
    await until(page, "cups.zip was sent to your browser")
    assert list(scratch.iterdir()) == []
    (tmp_path / "taken.zip").write_bytes(whole)
    await stores.dataset.import_zip(tmp_path / "taken.zip", name="again")
    again = tmp_path / "data" / "again"
    for name in ("images/train/a.jpg", "images/train/b.jpg", "labels/train/a.txt"):
        assert (again / name).read_bytes() == (root / name).read_bytes()
    page.say("fetch", start=0)  # it is over
    message, _ = await page.hears()
    assert message["kind"] == "no_piece"
    await until(page, "press Download again")
