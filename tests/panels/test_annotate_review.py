"""Suggestions under review, without a page: what is offered, what an edit decides, what is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.datasets.dataset import Dataset
from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.panels.annotate import AnnotatePanel
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource, new_block

MODEL = SuggestionSource("model", "cups-1", "ab" * 32)
LEFT = Prediction(0, 0.25, 0.5, 0.25, 0.5, 0.75)
RIGHT = Prediction(1, 0.75, 0.5, 0.25, 0.5, 0.125)
A, B = ("train", "a.png"), ("train", "b.png")
NAMES = ("a.png", "b.png", "c.png")


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    pixels = np.full((64, 64, 3), 90, np.uint8)
    await made.image.add_many("cups", [NewImage(name, "train", pixels) for name in NAMES])
    unknown = Prediction(7, 0.5, 0.5, 0.1, 0.1, 1.0)
    block = new_block(MODEL, {A: [LEFT, RIGHT, unknown], B: [RIGHT], ("train", "c.png"): []})
    await made.image.add_suggestions("cups", [block])
    return made


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[AnnotatePanel]:
    made = AnnotatePanel("cups", stores=stores)
    yield made
    made.close()


class Page:
    """A page that answers as `session.mjs` does: whole states, and what does not wait any more."""

    def __init__(self, panel: AnnotatePanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.frame: dict[str, Any] = {}
        self.answers: list[dict[str, Any]] = []
        self._seq = 0
        monkeypatch.setattr(panel.canvas, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: Any = None) -> None:
        if message["kind"] == "frame" and message["show"]:
            self.frame = message["frame"] | {"to_review": message["to_review"]}
        self.answers.append(message)

    async def open(self, index: int) -> dict[str, Any]:
        await self.panel.show(index)
        return self.frame

    async def edit(
        self, what: str, boxes: list[Any], proposals: list[Any], *, labelled: bool = True
    ) -> dict[str, Any]:
        """Say that these are the boxes now; return the answer."""
        self._seq += 1
        gone = [row for row in self.frame["proposals"] if row not in proposals]
        message = {
            "kind": "edit", "session": "page", "seq": self._seq, "key": self.frame["key"],
            "revision": self.frame["revision"], "boxes": boxes, "proposals": proposals,
            "gone": gone, "what": what, "labelled": labelled,
        }  # fmt: skip
        self.panel.canvas._receive(self.panel.canvas, message, [])
        async with asyncio.timeout(10):
            while True:
                for answer in self.answers:
                    if answer["kind"] in {"saved", "not_saved"} and answer["seq"] == self._seq:
                        if answer["kind"] == "saved":
                            self.frame["revision"] = answer["revision"]
                        return answer
                await asyncio.sleep(0.005)

    async def trail(self) -> dict[str, Any]:
        message = {"kind": "want_trail", "session": "page", "key": self.frame["key"]}
        self.panel.canvas._receive(self.panel.canvas, message, [])
        async with asyncio.timeout(10):
            while True:
                for answer in self.answers:
                    if answer["kind"] == "trail":
                        return answer
                await asyncio.sleep(0.005)


@pytest.fixture
def page(panel: AnnotatePanel, monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(panel, monkeypatch)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {"class_id": row["class_id"], "xyxy": row["xyxy"]}


async def test_an_edit_is_kept_in_one_go_with_what_it_rejects(
    stores: Stores, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = await page.open(0)
    left, _ = frame["proposals"]
    monkeypatch.setattr(stores.image, "add_suggestions", None)
    assert (await page.edit("accept", [plain(left)], []))["kind"] == "saved"
    table = await stores.image.suggestions("cups")
    assert [len(table.of(*A, rejected=rejected)) for rejected in (True, False)] == [2, 1]


async def again(stores: Stores, index: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a new panel, after a restart, shows of an image."""
    fresh = AnnotatePanel("cups", stores=stores)
    try:
        return await Page(fresh, monkeypatch).open(index)
    finally:
        fresh.close()


async def test_suggestions_are_shown_with_score_and_source(page: Page, stores: Stores) -> None:
    frame = await page.open(0)
    assert frame["proposals"] == [
        {"class_id": 0, "xyxy": [8, 16, 24, 48], "score": 0.75, "source": "model cups-1 (abababab)",
         "source_id": MODEL.id},
        {"class_id": 1, "xyxy": [40, 16, 56, 48], "score": 0.125,
         "source": "model cups-1 (abababab)", "source_id": MODEL.id},
    ]  # fmt: skip
    assert frame["to_review"] == 1  # b.png has nothing at or above the threshold of 0.25
    page.panel.canvas.threshold = 0.1
    assert (await page.open(1))["to_review"] == 2
    # A class can have one of its own, in place of that.
    page.panel.canvas.class_thresholds = {"spoon": 0.2}
    assert (await page.open(0))["to_review"] == 1
    page.panel.canvas.threshold = 0.9
    page.panel.canvas.class_thresholds = {"spoon": 0.1}
    assert (await page.open(1))["to_review"] == 2
    assert (await page.open(2))["proposals"] == []


async def test_accepting_is_an_edit_that_names_the_source(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    answer = await page.edit("accept", [plain(first)], [second])
    assert (answer["kind"], answer["to_review"]) == ("saved", 0)
    assert await stores.label.load("cups", *A) == [Annotation(0, *LEFT.xywh)]
    [edit] = await stores.label.history("cups", *A)
    assert edit.what == "accept (model cups-1 (abababab))"
    frame = await again(stores, 0, monkeypatch)
    assert [row["score"] for row in frame["proposals"]] == [0.125]
    await stores.label.revert("cups", edit.id)
    assert len((await again(stores, 0, monkeypatch))["proposals"]) == 2


async def test_fixing_is_accepting(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    fixed = {"class_id": 1, "xyxy": [8, 16, 30, 48]}
    await page.edit("resize", [fixed], [second])
    far = {"class_id": 0, "xyxy": [0, 0, 9, 9]}  # nobody could tell that it was the suggestion
    await page.edit("resize", [fixed, far], [])
    assert (await again(stores, 0, monkeypatch))["proposals"] == []
    edits = await stores.label.history("cups", *A)
    assert [edit.what for edit in edits] == ["resize (model cups-1 (abababab))", "resize"]
    assert first["score"] == 0.75


async def test_rejecting_is_remembered_and_can_be_undone(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    await page.edit("reject", [], [first], labelled=False)
    assert not (await stores.label.get("cups", *A)).revision
    table = await Dataset(stores, "cups").suggestions()
    assert [one.box.class_id for one in table.rejected[A]] == [1]
    assert (await again(stores, 0, monkeypatch))["proposals"] == [first]
    await page.edit("undo", [], [first, second], labelled=False)
    assert (await Dataset(stores, "cups").suggestions()).rejected == {}
    assert len((await again(stores, 0, monkeypatch))["proposals"]) == 2


async def test_a_rejected_neighbour_of_a_label_stays_rejected(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = Prediction(0, 0.3125, 0.5, 0.25, 0.5, 0.5)  # overlaps LEFT by 0.6
    await stores.image.add_suggestions("cups", [new_block(MODEL, {A: [LEFT, near]})])
    first, second = (await page.open(0))["proposals"]
    await page.edit("accept", [plain(first)], [second])
    await page.edit("reject", [plain(first)], [])
    assert (await again(stores, 0, monkeypatch))["proposals"] == []


async def test_an_edit_of_a_page_that_knows_less_rejects_nothing(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    other = SuggestionSource("prompts", "world")
    await stores.image.add_suggestions("cups", [new_block(other, {A: [RIGHT]})])
    await page.edit("accept", [plain(first)], [])
    frame = await again(stores, 0, monkeypatch)
    assert [row["source"] for row in frame["proposals"]] == ["prompts world"]
    assert second["class_id"] == 1


async def test_an_edit_that_comes_twice_decides_once(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    await page.edit("accept", [plain(first)], [])
    page.frame["revision"] = ""  # the answer got lost, and the kernel died in between
    answer = await page.edit("accept", [plain(first)], [])
    assert answer["kind"] == "saved"
    assert len(await stores.label.history("cups", *A)) == 1
    assert len((await Dataset(stores, "cups").suggestions()).rejected[A]) == 1
    assert (await again(stores, 0, monkeypatch))["proposals"] == []
    assert second["class_id"] == 1


async def test_two_pages_do_not_fight(page: Page, stores: Stores) -> None:
    first, second = (await page.open(0))["proposals"]
    await stores.label.save("cups", *A, [Annotation(1, 0.5, 0.5, 0.1, 0.1)])  # the other page
    answer = await page.edit("accept all", [plain(first), plain(second)], [])
    assert answer["kind"] == "not_saved"
    assert await stores.label.load("cups", *A) == [Annotation(1, 0.5, 0.5, 0.1, 0.1)]
    assert (await Dataset(stores, "cups").suggestions()).rejected == {}


async def test_undo_of_earlier_sessions_brings_suggestions_back(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    await page.edit("accept", [plain(first)], [second])
    await page.edit("reject", [plain(first)], [])
    fresh = AnnotatePanel("cups", stores=stores)
    other = Page(fresh, monkeypatch)
    try:
        assert (await other.open(0))["rejected"] == 1
        trail = await other.trail()
    finally:
        fresh.close()
    assert trail["past"] == [None, [plain(first)]]
    assert trail["past_proposals"] == [[first, second], [second]]
    assert trail["boxes"] == [plain(first)]


async def test_only_what_waits_is_walked(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await page.open(0))["proposals"]
    await page.edit("accept", [plain(first)], [second])
    panel = AnnotatePanel("cups", stores=stores, only="suggested")
    try:
        await panel.show(0)
        assert panel.model.filenames == ["a.png", "b.png"]
        await page.edit("reject", [plain(first)], [])
        await panel.model.start()
        assert panel.model.filenames == ["b.png"]
    finally:
        panel.close()


async def test_a_queue_says_why_an_image_stands_where_it_does(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await page.open(0))["reason"] == ""  # of no queue
    await page.panel.open("cups", only="teaching")
    queue = await Dataset(stores, "cups").review_queue("train", order="teaching")
    assert [one.key for one in queue] == [A, B]
    shown = [(await page.open(index))["reason"] for index in range(2)]
    assert shown == [one.reason for one in queue]
    assert all(shown)
    await page.edit("accept all", [plain(row) for row in page.frame["proposals"]], [])
    assert (await page.open(1))["reason"] == ""  # labelled: nobody asks any more


@pytest.mark.parametrize("only", ["suggested", "teaching"])
async def test_a_walk_that_waits_for_suggestions_begins_when_there_are_some(
    persistence_stores: Stores, only: str
) -> None:
    await persistence_stores.dataset.create("bare", ["cup"])
    pixels = np.full((64, 64, 3), 90, np.uint8)
    await persistence_stores.image.save("bare", "train", "a.png", pixels)
    panel = AnnotatePanel("bare", stores=persistence_stores, only=only)
    try:
        async with asyncio.timeout(20):
            while panel.model.walk == 0:
                await asyncio.sleep(0.01)
        assert panel.model.total == 0
        assert "No suggested boxes wait here" in panel.canvas.why_empty
        await persistence_stores.image.add_suggestions("bare", [new_block(MODEL, {A: [LEFT]})])
        async with asyncio.timeout(20):
            while panel.model.picture is None:
                await asyncio.sleep(0.01)
        assert panel.model.filenames == ["a.png"]
    finally:
        panel.close()


async def test_suggestions_that_come_while_the_panel_is_open_are_shown(
    page: Page, stores: Stores
) -> None:
    await page.open(0)
    await stores.image.add_suggestions("cups", [new_block(MODEL, {B: [LEFT]})])
    assert [row["score"] for row in (await page.open(1))["proposals"]] == [0.75]


def told(page: Page) -> list[dict[str, Any]]:
    """What the page was told of suggestions of others."""
    return [answer for answer in page.answers if answer["kind"] == "suggested"]


async def heard(page: Page, count: int) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while len(told(page)) < count:
            await asyncio.sleep(0.01)
    return told(page)[count - 1]


async def test_what_another_program_suggests_is_told_without_opening_the_image_again(
    page: Page, stores: Stores, tmp_path: Path
) -> None:
    await page.open(0)
    frames = len(page.answers)
    elsewhere = create_stores(tmp_path / "data", tmp_path / "models")
    other = SuggestionSource("model", "cups-2", "cd" * 32)
    await elsewhere.image.add_suggestions("cups", [new_block(other, {A: [RIGHT]})])
    message = await heard(page, 1)
    assert message["key"] == page.frame["key"]
    assert [(row["score"], row["source_id"]) for row in message["proposals"]] == [
        (0.75, MODEL.id), (0.125, MODEL.id), (0.125, other.id)
    ]  # fmt: skip
    assert (message["to_review"], message["rejected"]) == (1, [])
    assert {answer["kind"] for answer in page.answers[frames:]} == {"suggested"}


async def test_suggestions_keep_their_classes_while_these_change_their_order(
    page: Page, stores: Stores
) -> None:
    shown = await page.open(0)
    assert [row["class_id"] for row in shown["proposals"]] == [0, 1]
    await stores.dataset.rewrite_classes("cups", ["spoon", "cup"], {0: 1, 1: 0})
    await page.panel.refresh()
    message = await heard(page, 1)
    assert [row["class_id"] for row in message["proposals"]] == [1, 0]
    page.frame["proposals"] = message["proposals"]
    await page.edit("accept all", [plain(row) for row in message["proposals"]], [])
    assert [one.class_id for one in await stores.label.load("cups", *A)] == [1, 0]


async def test_the_page_is_told_also_of_what_labels_cover_and_of_what_was_rejected(
    page: Page, stores: Stores
) -> None:
    first, second = (await page.open(0))["proposals"]
    await page.edit("accept", [plain(first)], [second])
    await page.edit("reject", [plain(first)], [])
    message = await heard(page, 1)
    assert message["proposals"] == [first], "undo of accepting leads back to it"
    assert message["rejected"] == [second]


async def test_an_evaluation_of_what_suggests_offers_its_thresholds(
    page: Page, stores: Stores
) -> None:
    canvas = page.panel.canvas
    found = {"model": "cups-1", "split": "val", "images": 40, "scores": {"cup": 0.5, "gone": 0.25}}
    key = f"thresholds-{MODEL.digest[:40]}.json"
    await page.open(2)
    await stores.dataset.save_cache("cups", key, json.dumps(found).encode())
    await page.open(0)
    async with asyncio.timeout(10):
        while not canvas.best_thresholds:
            await asyncio.sleep(0.01)
    assert canvas.best_thresholds == {"cup": 0.5}  # there is no class "gone" any more
    assert canvas.best_from == "cups-1 on val, 40 images"
    await page.open(2)  # where nothing waits
    async with asyncio.timeout(10):
        while canvas.best_thresholds:
            await asyncio.sleep(0.01)


class Slow(Labeller):
    """Finds one box on each picture, once it is let; before, it may load for a while."""

    def __init__(self) -> None:
        self.is_loading = asyncio.Event()
        self.is_loaded = asyncio.Event()
        self.is_loaded.set()
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.looked = 0

    async def start(self, task: Task) -> SuggestionSource:
        self.is_loading.set()
        await self.is_loaded.wait()
        return SuggestionSource("test", "slow")

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        self.begun.set()
        await self.go_on.wait()
        self.looked += len(frames)
        return [[Prediction(0, 0.5, 0.5, 0.25, 0.25, 0.5)] for _ in frames]


async def test_boxes_are_suggested_on_what_nobody_has_labelled(page: Page, stores: Stores) -> None:
    await stores.label.save("cups", *A, [])
    await page.panel.model.start()
    await page.open(2)
    labeller = Slow()
    labeller.is_loaded.clear()
    under_way = asyncio.ensure_future(page.panel.suggest(labeller))
    async with asyncio.timeout(10):
        await labeller.is_loading.wait()
    assert page.panel.canvas.work == "Looking for boxes: 0 of 2", "also while the model is loaded"
    labeller.is_loaded.set()
    async with asyncio.timeout(10):
        await labeller.begun.wait()
    assert page.panel.canvas.work == "Looking for boxes: 0 of 2"
    with pytest.raises(RuntimeError, match="already"):
        await page.panel.suggest(labeller)
    labeller.go_on.set()
    done = await under_way
    assert done is not None
    assert (done.images, done.boxes, page.panel.canvas.work) == (2, 2, "")
    assert [row["source"] for row in page.frame["proposals"]] == ["test slow"]  # of the open image
    assert await stores.label.load("cups", *A) == []


async def test_looking_can_be_stopped_from_the_page(page: Page, stores: Stores) -> None:
    await page.open(0)
    labeller = Slow()
    under_way = asyncio.ensure_future(page.panel.suggest(labeller))
    async with asyncio.timeout(10):
        await labeller.begun.wait()
    page.panel.canvas._receive(page.panel.canvas, {"kind": "suggest", "session": "page"}, [])
    await asyncio.sleep(0.05)
    labeller.go_on.set()
    assert await under_way is None
    assert len((await Dataset(stores, "cups").suggestions()).looked_at) == 2  # what was found stays


async def test_without_a_model_the_page_is_told(page: Page) -> None:
    await page.open(0)
    page.panel.canvas._receive(page.panel.canvas, {"kind": "suggest", "session": "page"}, [])
    async with asyncio.timeout(10):
        while "no model is active" not in page.panel.canvas.notice:
            await asyncio.sleep(0.005)
    assert page.panel.canvas.work == ""


async def test_what_a_label_covers_of_another_source_is_not_rejected(
    page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SuggestionSource("prompts", "world")
    await stores.image.add_suggestions("cups", [new_block(other, {A: [LEFT]})])
    first, second, _same = (await page.open(0))["proposals"]
    await page.edit("accept", [plain(first)], [second])
    assert (await Dataset(stores, "cups").suggestions()).rejected == {}
    assert (await again(stores, 0, monkeypatch))["proposals"] == [second]
    await stores.label.delete("cups", *A)
    assert len((await again(stores, 0, monkeypatch))["proposals"]) == 3
