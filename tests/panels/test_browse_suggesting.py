"""Who can be asked in Browse to suggest boxes, as a page asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.panels.browse import BrowsePanel, suggesting
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.weights.fetching import MissingFilesError, RemoteFile

WORDS = {"text": "The classes in words", "how": "words", "name": ""}


class Finds(Labeller):
    """Finds one box on each picture; where its file is missing, once it may be fetched."""

    def __init__(self, name: str, fetch: bool = True, folder: Path = Path()) -> None:
        self._name = name
        self._fetch = fetch
        self._folder = folder

    async def start(self, task: Task) -> SuggestionSource:
        if not self._fetch:
            file = RemoteFile("told.pt", "https://weights.example/told.pt", 15_000_000)
            raise MissingFilesError("Looking for words", [file], self._folder)
        return SuggestionSource("test", self._name)

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        return [[Prediction(0, 0.5, 0.5, 0.25, 0.25, 0.5)] for _ in frames]


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup"])
    pixels = np.full((64, 64, 3), 90, np.uint8)
    await made.image.add_many("cups", [NewImage(f"{n}.png", "train", pixels) for n in "ab"])
    return made


@pytest.fixture
async def panel(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BrowsePanel]:
    monkeypatch.setattr(
        suggesting, "ModelLabeller", lambda _, name: Finds(f"model {name or 'active'}")
    )
    monkeypatch.setattr(
        suggesting, "WordLabeller", lambda _, fetch, progress: Finds("words", fetch, tmp_path)
    )
    made = BrowsePanel("cups", stores)
    await made.select_all()
    yield made
    made.close()


async def until(is_true: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.01)


def do(panel: BrowsePanel, action: str, **more: str) -> None:
    panel.gallery._receive(None, {"kind": "do", "session": "page", "action": action, **more}, [])


async def sources(stores: Stores) -> list[str]:
    return [str(one) for one in (await stores.image.suggestions("cups")).sources]


async def test_the_menu_has_the_models_and_follows_them(
    panel: BrowsePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = {"text": "The active model", "how": "model", "name": ""}
    assert panel.gallery.labellers == [active, WORDS]
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"weights")
    for name in ("cups-1", "cups-2"):
        await stores.model.save(name, weights, "yolo11n", "cups", 1, {})
    await stores.model.set_active("cups-2")
    await until(lambda: len(panel.gallery.labellers) == 3)
    await until(lambda: panel.gallery.labellers[0]["text"] == "The active model, cups-2")
    assert panel.gallery.labellers[1:] == [
        {"text": "cups-1", "how": "model", "name": "cups-1"}, WORDS
    ]  # fmt: skip
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    await stores.model.set_active("cups-1")
    await until(lambda: len(panel.gallery.labellers) == 4)
    text = "The same, on the cluster head:8265"
    there = {"text": text, "how": "model", "name": "", "where": "ray"}
    assert panel.gallery.labellers[1] == there


async def test_a_model_that_is_chosen_is_the_one_that_looks(
    panel: BrowsePanel, stores: Stores
) -> None:
    do(panel, "suggest", how="model", name="cups-1")
    await until(lambda: "suggested" in panel.model.status.text)
    assert await sources(stores) == ["test model cups-1"]
    do(panel, "suggest", how="magic")
    await until(lambda: "'magic': expected one of model, words" in panel.model.status.text)


async def test_missing_files_are_named_and_fetched_only_when_that_is_chosen(
    panel: BrowsePanel, stores: Stores, tmp_path: Path
) -> None:
    do(panel, "suggest", how="words")
    await until(lambda: panel.gallery.offer)
    assert panel.gallery.offer["choice"] == "Fetch 1 file (15 MB)"
    text = panel.model.status.text
    assert all(part in text for part in ("told.pt", "weights.example", "15 MB", str(tmp_path)))
    assert await sources(stores) == []
    do(panel, "fetch_files")
    await until(lambda: "suggested" in panel.model.status.text)
    assert await sources(stores) == ["test words"]
    assert panel.gallery.offer == {}
