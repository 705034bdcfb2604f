"""Who can be asked in Browse to suggest boxes, as a page asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.labelling import Example
from workbench.panels.browse import BrowsePanel
from workbench.panels.browse.prompt_lines import mapping_of, prompts_of
from workbench.panels.shared import looking
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.training.runner import TrainingRunner
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


def said(examples: Sequence[Example]) -> list[tuple[list[float], list[int]]]:
    return [(one.boxes.ravel().tolist(), list(one.class_ids)) for one in examples]


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
        looking,
        "ModelLabeller",
        lambda _, name, mapping: Finds(f"model {name or 'active'}{mapping or ''}"),
    )
    monkeypatch.setattr(
        looking, "WordLabeller", lambda _, fetch, progress: Finds("words", fetch, tmp_path)
    )
    monkeypatch.setattr(
        looking,
        "SimilarLabeller",
        lambda _, examples, fetch, progress: Finds(f"like {said(examples)}"),
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
    await until(lambda: "'magic': expected one of model, weights" in panel.model.status.text)


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


async def test_weights_on_disk_look_with_their_classes(
    panel: BrowsePanel, stores: Stores, tmp_path: Path
) -> None:
    do(panel, "suggest", how="weights", name=f"'{tmp_path}/a b.pt'", text="mug = cup, dog =")
    await until(lambda: "suggested" in panel.model.status.text)
    mapping = "{'mug': 'cup', 'dog': None}"
    assert await sources(stores) == [f"test model {tmp_path}/a b.pt{mapping}"]
    do(panel, "suggest", how="weights")
    await until(lambda: "expected the path of a weights file" in panel.model.status.text)


async def test_what_is_not_labelled_is_suggested_on_and_shown(
    panel: BrowsePanel, stores: Stores
) -> None:
    await stores.label.save("cups", "train", "a.png", [])
    done = await panel.suggest(Finds("own"))
    assert (done.images, done.boxes) == (1, 1)
    assert panel.model.listing is not None
    assert [panel.model.listing.mode, len(panel.model.listing)] == ["suggested", 1]


async def test_words_are_kept_with_the_dataset(panel: BrowsePanel, stores: Stores) -> None:
    assert panel.gallery.words == {}
    do(panel, "suggest", how="words", text="cup: a cup,  a   mug ,")
    await until(lambda: panel.gallery.offer)  # weights are missing; what was typed is not lost
    assert await stores.dataset.get_prompts("cups") == {0: ["a cup", "a mug"]}
    assert panel.gallery.words == {"0": ["a cup", "a mug"]}
    do(panel, "suggest", how="words", text="cup: cup\nmug: a mug")
    await until(lambda: "line 2, 'mug: a mug': expected the name" in panel.model.status.text)


async def test_what_is_like_selected_boxes_is_looked_for(
    panel: BrowsePanel, stores: Stores
) -> None:
    do(panel, "suggest", how="similar", images="all")
    await until(lambda: "no box is selected" in panel.model.status.text)
    await stores.label.save("cups", "train", "a.png", [Annotation(0, 0.5, 0.5, 0.25, 0.5)])
    await panel.refresh()
    await panel.model.show("objects")
    await panel.select_all()
    do(panel, "suggest", how="similar", images="unlabelled")
    await until(lambda: "suggested" in panel.model.status.text)
    assert await sources(stores) == ["test like [([24.0, 16.0, 40.0, 48.0], [0])]"]
    looked_at = (await stores.image.suggestions("cups")).looked_at
    assert [*looked_at.values()] == [{("train", "b.png")}]


async def test_what_was_taught_is_offered_where_lessons_can_be_known(
    stores: Stores, tmp_path: Path
) -> None:
    panel = BrowsePanel("cups", stores, runner=TrainingRunner(stores, tmp_path / "runs"))
    try:
        await panel.select_all()
        assert "taught" in [one["how"] for one in panel.gallery.labellers]
        do(panel, "suggest", how="taught")
        await until(lambda: "Nothing was taught on cups yet" in panel.model.status.text)
    finally:
        panel.close()


def test_what_is_typed_is_read() -> None:
    classes = ["cup", "cup: red", "a_b"]
    text = "cup: red: a red cup\n\n cup: mug, \na_b: a b"
    assert prompts_of(text, classes) == {1: ["a red cup"], 0: ["mug"]}
    with pytest.raises(ValueError, match="line 2: expected one line for cup"):
        prompts_of("cup: a\ncup: b", classes)
    assert mapping_of(" kitty = cat, dog =,") == {"kitty": "cat", "dog": None}
    with pytest.raises(ValueError, match="'cat': expected a class of the model, ="):
        mapping_of("cat")
