"""The browse panel without a page: driven from Python, asserted through raw files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.datasets.query import QueryError
from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    StorageError,
    UnreachableError,
)
from workbench.panels.annotate.model import AnnotateModel
from workbench.panels.browse import BrowsePanel
from workbench.panels.browse.finder import Finder
from workbench.panels.browse.importing import BATCH, batches
from workbench.panels.browse.model import BrowseModel
from workbench.panels.shared.status import StoppedError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource

WIDTH, HEIGHT = 64, 48
PATIENCE_S = 120
"""After so long something never comes; nothing here takes a hundredth of that."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five images of train and one of val: labelled, background, unlabelled and unreadable."""
    root = tmp_path / "data" / "ds"
    for split in ("train", "val", "test"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: red dog\n"
    )
    for split, name in [("train", n) for n in "abcd"] + [("val", "v")]:
        write_picture(root / "images" / split / f"{name}.jpg")
    (root / "images" / "train" / "e.jpg").write_bytes(b"no image at all")
    (root / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.2 0.3\n1 0.25 0.25 0.5 0.5\n")
    (root / "labels" / "train" / "b.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    (root / "labels" / "train" / "c.txt").write_text("")
    return root


def write_picture(file: Path, shade: int = 90) -> None:
    cv2.imwrite(str(file), np.full((HEIGHT, WIDTH, 3), shade, np.uint8))


@pytest.fixture
def stores(root: Path, tmp_path: Path) -> Stores:
    return create_stores(root.parent, tmp_path / "models")


@pytest.fixture
def finder(stores: Stores) -> Finder:
    """Return what the model reads its dataset with, for tests that hold it up."""
    return Finder(stores)


@pytest.fixture
async def model(stores: Stores, finder: Finder) -> AsyncIterator[BrowseModel]:
    made = BrowseModel(stores, finder=finder)
    await made.open("ds")
    yield made
    made.close()


def listed(model: BrowseModel) -> list[str]:
    assert model.listing is not None
    return [f"{s}/{n}" for s, n in model.listing.keys(((0, len(model.listing)),))]


def choose(model: BrowseModel, *places: int) -> None:
    model.select(tuple((place, place + 1) for place in sorted(places)))


def images(root: Path, split: str) -> set[str]:
    return {file.name for file in (root / "images" / split).iterdir()}


async def test_lists_what_matches_and_says_in_words_what_cannot_be_understood(
    model: BrowseModel,
) -> None:
    assert listed(model) == [f"train/{n}.jpg" for n in "abcde"] + ["val/v.jpg"]
    await model.search('class:"red dog" boxes<2')
    assert listed(model) == ["train/b.jpg"]
    assert await model.search("class:rat") is None
    assert "class:rat" in model.problem
    assert "red dog" in model.problem
    assert await model.search("boxes>many") is None
    assert listed(model) == ["train/b.jpg"]  # what was shown stays
    await model.search("unlabelled sort:-name")
    assert model.problem == ""
    assert listed(model) == ["val/v.jpg", "train/e.jpg", "train/d.jpg"]
    await model.search("width>=64")
    assert listed(model) == [f"train/{n}.jpg" for n in "abcd"] + ["val/v.jpg"]
    await model.search("sort:similarity")
    assert sorted(listed(model)) == [f"train/{n}.jpg" for n in "abcde"] + ["val/v.jpg"]


async def test_a_page_has_names_states_boxes_and_pictures(model: BrowseModel) -> None:
    assert model.listing is not None
    page = await model.page(model.listing, [0, 2, 3, 4, 99], side=32)
    (a, picture), (c, _), (d, _), (e, nothing) = page
    assert (a.name, a.split, a.state, a.badge) == ("a.jpg", "train", "labelled", "2 boxes")
    assert a.boxes == [[0, 0.5, 0.5, 0.2, 0.3], [1, 0.25, 0.25, 0.5, 0.5]]
    assert a.counts == [(0, 1), (1, 1)]
    assert (c.state, d.state, e.state) == ("background", "unlabelled", "unreadable")
    assert picture is not None
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (24, 32, 3)
    assert nothing is None
    assert "e.jpg" in e.problem


async def test_every_box_is_an_object_and_a_query_for_a_class_narrows_them(
    model: BrowseModel, root: Path
) -> None:
    await model.show("objects")
    assert model.listing is not None
    assert len(model.listing) == 3
    await model.search('class:"red dog"')
    assert len(model.listing) == 2
    (item, picture), _ = await model.page(model.listing, [0, 1], side=64)
    assert item.label == "red dog"
    assert item.boxes[0][0] == 1
    # The box reaches the image's corner: its margin is on two sides only.
    assert item.boxes[0][1:] == pytest.approx([0.4545, 0.4545, 0.9091, 0.9091], abs=1e-3)
    assert picture is not None
    model.select(((0, 2),))
    await model.reclassify(0)
    assert (root / "labels" / "train" / "a.txt").read_text().split()[5] == "0"
    assert (root / "labels" / "train" / "b.txt").read_text().split()[0] == "0"
    assert len(model.listing) == 0
    await model.undo()
    assert len(model.listing) == 2
    assert model.status.text == "Undone: 2 boxes made 'cat'"
    choose(model, 0)
    await model.delete_boxes()
    assert (root / "labels" / "train" / "a.txt").read_text() == "0 0.5 0.5 0.2 0.3\n"


async def test_moving_and_undoing_by_way_of_the_files(model: BrowseModel, root: Path) -> None:
    choose(model, 0, 3)
    assert model.num_selected == 2
    await model.move("val")
    assert images(root, "val") == {"a.jpg", "d.jpg", "v.jpg"}
    assert (root / "labels" / "val" / "a.txt").is_file()
    assert model.status.text == "2 images moved to val."
    assert model.undo_text == "2 images moved to val"
    await model.undo()
    assert images(root, "val") == {"v.jpg"}
    assert (root / "labels" / "train" / "a.txt").is_file()
    assert model.undo_text == ""


async def test_images_that_are_in_the_split_already_are_not_moved(model: BrowseModel) -> None:
    choose(model, 0, 3)
    with pytest.raises(ValueError, match="all 2 selected are in train: choose another split"):
        await model.move("train")
    assert model.undo_text == ""


async def test_undo_refuses_what_would_destroy_newer_work(model: BrowseModel, root: Path) -> None:
    choose(model, 0)
    await model.move("val")
    write_picture(root / "images" / "train" / "a.jpg", shade=10)
    with pytest.raises(ConflictError, match="nothing was undone"):
        await model.undo()
    assert "a.jpg" in images(root, "val")


async def test_selection_goes_with_the_images_as_the_listing_changes(
    model: BrowseModel, root: Path
) -> None:
    choose(model, 1, 5)
    await model.search("sort:-name")
    assert model.selected() == [("val", "v.jpg"), ("train", "b.jpg")]
    write_picture(root / "images" / "train" / "aa.jpg")
    await model.refresh()
    assert model.selected() == [("val", "v.jpg"), ("train", "b.jpg")]
    await model.search("split:val")
    assert model.selected() == [("val", "v.jpg")]
    await model.show("objects")
    assert model.selection == ()


async def test_delete_restore_background_clear_and_tags(model: BrowseModel, root: Path) -> None:
    choose(model, 0)
    await model.delete()
    assert "a.jpg" not in images(root, "train")
    await model.show("trash")
    assert model.listing is not None
    (item, picture), *_ = await model.page(model.listing, [0], side=64)
    assert (item.name, item.state, item.problem) == ("a.jpg", "deleted", "")
    assert picture is not None
    assert picture.startswith(b"\xff\xd8")
    model.select(((0, 1),))
    await model.restore()
    assert "a.jpg" in images(root, "train")
    assert (root / "labels" / "train" / "a.txt").is_file()
    assert model.undo_text == "1 item restored"
    await model.undo()
    assert "a.jpg" not in images(root, "train")
    model.select(((0, 1),))
    await model.restore()
    await model.show("images")

    choose(model, 0)
    await model.mark_background()
    assert model.status.text == "1 image marked as background, 2 boxes removed."
    await model.undo()

    choose(model, 3)
    await model.mark_background()
    assert model.status.text == "1 image marked as background.", "it had no box"
    assert (root / "labels" / "train" / "d.txt").read_text() == ""
    await model.clear_labels()
    assert not (root / "labels" / "train" / "d.txt").exists()
    await model.tag("odd")
    await model.search("tag:odd")
    assert listed(model) == ["train/d.jpg"]
    assert model.index.tags.keys() == {"odd"}
    model.select(((0, 1),))
    await model.untag("odd")
    assert model.index.tags.get("odd", np.zeros(1)).sum() == 0


async def test_the_trash_shows_what_is_in_it(
    model: BrowseModel, stores: Stores, root: Path
) -> None:
    (root / "labels" / "train" / "nobody.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    await stores.label.delete_orphans("ds", [("train", "nobody.txt")])
    choose(model, 0)
    await model.clear_labels()
    choose(model, 1)
    await model.delete()
    await model.show("trash")
    assert model.listing is not None
    found = await model.page(model.listing, [0, 1, 2], side=64)
    assert [(item.name, item.badge, picture is None) for item, picture in found] == [
        ("b.jpg", "train", False),
        ("a.jpg", "labels only", False),  # a picture of what they belong to
        ("nobody.txt", "labels only", True),
    ]
    assert [item.problem for item, _ in found] == ["", "", ""]
    (root / "images" / "train" / "a.jpg").unlink()
    ((item, picture),) = await model.page(model.listing, [1], side=64)
    assert (item.problem, picture) == ("", None)


async def test_the_trash_is_searched_by_name_and_split(model: BrowseModel) -> None:
    choose(model, 0, 1, 5)
    await model.delete()
    await model.show("trash")

    async def found(query: str) -> list[str]:
        listing = await model.find(query)
        return [listing.item(place).name for place in range(len(listing))]

    assert await found("") == ["v.jpg", "b.jpg", "a.jpg"]
    assert await found("B.J") == ["b.jpg"]
    assert await found("-split:val") == ["b.jpg", "a.jpg"]
    assert await found("split:val or a.jpg") == ["v.jpg", "a.jpg"]
    # What is not known of deleted things says nothing about them.
    assert await found("class:cat boxes>3 unlabelled v") == ["v.jpg"]


async def test_crops_become_a_class_of_their_own(model: BrowseModel, root: Path) -> None:
    label = root / "labels" / "train" / "a.txt"
    before = label.read_bytes()
    await model.show("objects")
    choose(model, 1, 2)
    await model.split_off("puppy")
    assert model.classes == ["cat", "red dog", "puppy"]
    assert label.read_text() == "0 0.5 0.5 0.2 0.3\n2 0.25 0.25 0.5 0.5\n"
    assert (root / "labels" / "train" / "b.txt").read_text().startswith("2 ")
    await model.undo()
    assert model.classes == ["cat", "red dog"]
    assert label.read_bytes() == before


async def test_a_crop_is_judged_by_itself(model: BrowseModel) -> None:
    await model.show("objects")

    async def found(query: str) -> list[tuple[str, str]]:
        listing = await model.find(query)
        items = [listing.item(place) for place in range(len(listing))]
        return [(item.name, item.label) for item in items]

    cat, dog, small = ("a.jpg", "cat"), ("a.jpg", "red dog"), ("b.jpg", "red dog")
    assert await found("") == [cat, dog, small]
    assert await found("class:1") == [dog, small]
    assert await found("class:1 area>0.2") == [dog]
    assert await found("class:0 class:1") == [cat, dog]
    assert await found("-area>0.05") == [small]
    assert await found("sort:area") == [small, cat, dog]
    assert await found("sort:-area b or class:0") == [cat, small]


async def test_copy_the_selection(model: BrowseModel, stores: Stores) -> None:
    choose(model, 0, 1)
    await model.copy_into("few")
    assert (await stores.dataset.get("few")).num_images == {"train": 2, "val": 0, "test": 0}
    with pytest.raises(AlreadyExistsError):
        await model.copy_into("few")
    assert model.work.what == ""


async def test_nothing_selected_is_said(model: BrowseModel) -> None:
    with pytest.raises(ValueError, match="no image is selected"):
        await model.move("val")
    with pytest.raises(ValueError, match="no box is selected"):
        await model.reclassify(0)


async def test_added_files_are_undone_as_one_and_refusals_are_named(
    model: BrowseModel, root: Path, tmp_path: Path
) -> None:
    from workbench.panels.browse.importing import new_files

    folder = tmp_path / "photos" / "deep"
    folder.mkdir(parents=True)
    for number in range(BATCH + 3):
        write_picture(folder / f"n{number:03}.png")
    (folder / "a.jpg").write_bytes((root / "images" / "train" / "a.jpg").read_bytes())
    (folder / "notes.txt").write_text("not an image")
    upload = await model.add_files(new_files(tmp_path / "photos"), "test")
    assert len(upload.added) == len(images(root, "test")) == BATCH + 3
    assert "1 file refused: " in model.status.text
    assert "a.jpg" in model.status.text
    await model.undo()
    assert images(root, "test") == set()
    with pytest.raises(NotFoundError, match="expected images in this folder"):
        new_files(root / "labels")
    with pytest.raises(NotFoundError, match="no such file or folder"):
        new_files(tmp_path / "nowhere")


async def test_frames_of_a_video_are_added(
    model: BrowseModel, stores: Stores, root: Path, tmp_path: Path
) -> None:
    from workbench.panels.browse.importing import new_files

    clip = tmp_path / "my clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (WIDTH, HEIGHT))
    for number in range(7):
        writer.write(np.full((HEIGHT, WIDTH, 3), 30 * number, np.uint8))
    writer.release()
    await model.add_files(new_files(clip, every=3), "val", class_name="cat")
    names = ["my_clip_000000.jpg", "my_clip_000003.jpg", "my_clip_000006.jpg"]
    assert images(root, "val") == {"v.jpg", *names}
    walk = AnnotateModel(stores, "ds", "val")
    await walk.start()
    assert walk.filenames[0] == names[0]
    assert walk.suggested_class(await walk.load(0)) == "cat"
    shade = cv2.imread(str(root / "images" / "val" / names[1])).mean()
    assert shade == pytest.approx(90, abs=4)
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with pytest.raises(NotFoundError, match="found neither"):
        await model.add_files(new_files(tmp_path / "broken.avi"))


async def test_stopping_keeps_what_was_added_and_can_be_undone(
    model: BrowseModel, root: Path, tmp_path: Path
) -> None:
    for number in range(2 * BATCH):
        write_picture(tmp_path / f"n{number:03}.png")
    files = sorted(tmp_path.glob("*.png"))
    model.observe(lambda change: change["new"].what and model.stop(), "work")
    upload = await model.add_files(files, "test")
    assert len(upload.added) == len(images(root, "test")) == BATCH
    await model.undo()
    assert images(root, "test") == set()


class Held:
    """A coroutine function that waits at the door until it is let in."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self.reached, self.let_in = asyncio.Event(), asyncio.Event()

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = await self._held(*args, **kwargs)
        self.reached.set()
        await self.let_in.wait()
        return found


class Page:
    """A page of the panel: what it is sent, and what it says."""

    def __init__(self, panel: BrowsePanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.sent: list[dict[str, Any]] = []
        monkeypatch.setattr(panel.gallery, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.sent.append({**message, "buffers": buffers or []})

    def say(self, kind: str, buffers: list[bytes] | None = None, **message: Any) -> None:
        self.panel.gallery._receive(None, {"kind": kind, "session": "s", **message}, buffers or [])

    async def until(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_S):
            while len([m for m in self.sent if m["kind"] == kind]) < count:
                await asyncio.sleep(0.01)
        return [m for m in self.sent if m["kind"] == kind]

    async def until_state(self, read: Any, expected: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while read() != expected:
                await asyncio.sleep(0.01)


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[BrowsePanel]:
    made = BrowsePanel(stores=stores)
    await made.refresh()
    yield made
    made.close()


@pytest.fixture
def page(panel: BrowsePanel, monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(panel, monkeypatch)


async def test_a_page_is_sent_the_items_that_it_wants(page: Page) -> None:
    listing = page.panel.gallery.listing
    assert (listing["total"], listing["of"], listing["mode"]) == (6, 6, "images")
    page.say("want", id=1, listing=listing["id"], level=128, ranges=[[0, 2], [4, 6]])
    (answer,) = await page.until("items")
    assert (answer["to"], answer["id"], answer["done"]) == ("s", 1, True)
    assert [item["position"] for item in answer["items"]] == [0, 1, 4, 5]
    assert [item.get("buffer") for item in answer["items"]] == [0, 1, None, 2]
    assert all(content[:2] == b"\xff\xd8" for content in answer["buffers"])


async def test_long_answers_come_in_parts_and_stop_when_called_off(
    page: Page, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.browse.pages.MESSAGE_BYTES", 1500)
    for number in range(100):
        write_picture(root / "images" / "test" / f"{number:03}.jpg")
    await page.panel.refresh()
    number = page.panel.gallery.listing["id"]
    making = Held(page.panel.model.page)
    with monkeypatch.context() as patch:
        patch.setattr(page.panel.model, "page", making)
        page.say("want", id=1, listing=number, level=64, ranges=[[6, 106]])
        await making.reached.wait()
    page.say("cancel", id=1)
    making.let_in.set()
    page.say("want", id=2, listing=number, level=64, ranges=[[6, 40]])
    await page.until_state(lambda: page.sent and page.sent[-1]["done"], True)
    assert {message["id"] for message in page.sent} == {2}
    assert len(page.sent) > 1
    second = [item["position"] for m in page.sent for item in m["items"] if m["id"] == 2]
    assert second == list(range(6, 40))
    assert all(sum(map(len, m["buffers"])) <= 1500 for m in page.sent)


async def test_the_first_pictures_come_soon_and_requests_are_answered_in_turn(
    page: Page, root: Path
) -> None:
    for number in range(100):
        write_picture(root / "images" / "test" / f"{number:03}.jpg")
    await page.panel.refresh()
    number = page.panel.gallery.listing["id"]
    page.say("want", id=1, listing=number, level=64, ranges=[[0, 48]])
    page.say("want", id=2, listing=number, level=64, ranges=[[48, 90]])
    done = lambda: [message["id"] for message in page.sent if message["done"]]  # noqa: E731
    await page.until_state(done, [1, 2])
    assert [message["id"] for message in page.sent] == sorted(m["id"] for m in page.sent)
    assert [len(m["items"]) for m in page.sent if m["id"] == 1] == [4, 8, 16, 16, 4]


async def test_pictures_that_do_not_come_are_asked_for_until_they_do(
    page: Page, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A far away place does not answer for one of them; the others are shown, then that one."""
    for number in range(20):
        write_picture(root / "images" / "test" / f"{number:03}.jpg")
    await page.panel.refresh()
    model, number = page.panel.model, page.panel.gallery.listing["id"]
    make, is_back = model.page, asyncio.Event()

    async def without_an_answer(listing: Any, places: Sequence[int], side: int) -> Any:
        if 3 in places and not is_back.is_set():
            raise UnreachableError("3.jpg: expected an answer, found none")
        return await make(listing, places, side)

    monkeypatch.setattr("workbench.panels.browse.pages.AGAIN_S", 0.01)
    monkeypatch.setattr(model, "page", without_an_answer)
    page.say("want", id=1, listing=number, level=64, ranges=[[0, 20]])
    page.say("want", id=2, listing=number, level=64, ranges=[[20, 26]])

    def came(request: int) -> list[int]:
        sent = [m for m in page.sent if m["kind"] == "items" and m["id"] == request]
        return sorted(item["position"] for m in sent for item in m["items"])

    await page.until_state(lambda: came(1), [place for place in range(20) if place != 3])
    await page.until_state(lambda: came(2), [*range(20, 26)])
    assert "expected an answer" in model.status.text
    assert not [m for m in page.sent if m["kind"] == "items" and m["id"] == 1 and m["done"]]
    is_back.set()
    await page.until_state(lambda: came(1), [*range(20)])
    await page.until_state(lambda: model.status.text, "")


async def test_what_cannot_be_answered_is_told_to_the_page(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for ever, and ask for nothing more."""

    async def refuse(*_: Any) -> Any:
        raise StorageError("data: expected credentials, found none")

    monkeypatch.setattr(page.panel.model, "page", refuse)
    listing = page.panel.gallery.listing
    page.say("want", id=1, listing=listing["id"], level=64, ranges=[[0, 2]])
    (answer,) = await page.until("items")
    assert (answer["items"], answer["done"]) == ([], True)
    assert "expected credentials" in answer["problem"]
    await page.until_state(lambda: "expected credentials" in page.panel.model.status.text, True)


async def test_filter_select_move_and_undo_as_a_page_does_it(page: Page, root: Path) -> None:
    gallery = page.panel.gallery
    page.say("complete", seq=7, text="spl", cursor=3)
    (offer,) = await page.until("completions")
    assert (offer["seq"], offer["items"][0]["insert"]) == (7, "split:")
    page.say("query", text="split:trian")
    await page.until_state(lambda: "split:train" in gallery.problem, True)
    page.say("query", text="split:train")
    await page.until_state(lambda: gallery.listing["query"], "split:train")
    assert gallery.problem == ""
    page.say("select", listing=gallery.listing["id"], ranges=[[1, 3]])
    page.say("do", action="move", split="test")
    await page.until_state(lambda: images(root, "test"), {"b.jpg", "c.jpg"})
    await page.until_state(lambda: gallery.undo, "2 images moved to test")
    page.say("do", action="undo")
    await page.until_state(lambda: images(root, "test"), set())
    undone = "Undone: 2 images moved to test"
    await page.until_state(lambda: gallery.status["text"], undone)
    page.say("do", action="dance")
    await page.until_state(lambda: gallery.status["tone"], "problem")
    page.say("select", listing=1, ranges=[[0, 1]])  # of a list that is not shown any more
    page.say("mode", mode="objects")
    await page.until_state(lambda: gallery.listing["mode"], "objects")
    assert gallery.selection["ranges"] == []


async def test_files_come_in_pieces(page: Page, root: Path, stores: Stores) -> None:
    content = (root / "images" / "train" / "a.jpg").read_bytes()
    common = {"batch": 1, "split": "val", "files": 2, "class_name": "cat"}
    half = len(content) // 2
    first = {**common, "index": 0, "name": "new.jpg", "size": len(content)}
    page.say("upload", [content[:half]], **first, offset=0)
    page.say("upload", [content[half:]], **first, offset=half)
    page.say("upload", [b""], **common, index=1, name="x", size=0, offset=0, unreadable=True)
    await page.until("uploaded", 3)
    await page.until_state(lambda: images(root, "val"), {"v.jpg", "new.jpg"})
    assert (root / "images" / "val" / "new.jpg").read_bytes() == content
    (source,) = (await stores.image.sources("ds")).values()
    assert (source.filename, source.class_name) == ("new.jpg", "cat")
    await page.until_state(lambda: page.panel.gallery.status["tone"], "problem")


async def test_what_is_uploaded_together_is_told_and_undone_as_one(
    page: Page, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.shared.uploads.BATCH_BYTES", 1)  # each file goes on
    content = (root / "images" / "train" / "a.jpg").read_bytes()
    names = ["n0.jpg", "a.jpg", "notes.txt", "n1.jpg", "n2.jpg"]
    common = {"batch": 1, "split": "val", "files": len(names), "size": len(content), "offset": 0}
    for index, name in enumerate(names):
        if name == "notes.txt":
            no_image = {"unreadable": True, "why": "is no image", "size": 0}
            page.say("upload", [b""], **{**common, **no_image, "index": index, "name": name})
        else:
            page.say("upload", [content], **common, index=index, name=name)
    gallery = page.panel.gallery
    await page.until_state(lambda: gallery.undo, "3 images added")
    await page.until_state(lambda: images(root, "val"), {"v.jpg", "n0.jpg", "n1.jpg", "n2.jpg"})
    told = "3 images added to val. 2 files refused: "
    await page.until_state(lambda: gallery.status["text"].startswith(told), True)
    first, second = gallery.status["details"]
    assert "an image 'a.jpg' already" in first
    assert second == "notes.txt: is no image"
    assert page.panel.model.undo_texts == ["3 images added"]
    page.say("do", action="undo")
    await page.until_state(lambda: images(root, "val"), {"v.jpg"})


async def test_an_upload_that_was_undone_in_the_middle_goes_on_by_itself(
    model: BrowseModel, root: Path
) -> None:
    content = (root / "images" / "train" / "a.jpg").read_bytes()
    first = await model.add_files([("n0.jpg", content)], "val")
    await model.undo()
    second = await model.add_files([("n1.jpg", content)], "val", before=first)
    assert second.added == [("val", "n1.jpg")]
    third = await model.add_files([], "val", before=second)
    await model.add_files([("n2.jpg", content)], "val", before=third)
    assert model.undo_texts == ["2 images added"]
    await model.undo()
    assert images(root, "val") == {"v.jpg"}


async def test_undoing_many_batches_undoes_all_or_nothing(
    model: BrowseModel, root: Path, tmp_path: Path
) -> None:
    for number in range(BATCH + 1):
        write_picture(tmp_path / f"n{number:03}.png")
    await model.add_files(sorted(tmp_path.glob("*.png")), "test")
    (root / "labels" / "test" / "n000.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(ConflictError, match="nothing was undone"):
        await model.undo()
    assert len(images(root, "test")) == BATCH + 1


async def test_what_changed_outside_is_shown_when_asked_or_stumbled_over(
    page: Page, root: Path
) -> None:
    gallery = page.panel.gallery
    write_picture(root / "images" / "train" / "f.jpg")
    page.say("do", action="refresh")
    await page.until_state(lambda: gallery.listing["total"], 7)
    (root / "images" / "train" / "a.jpg").unlink()
    page.say("select", listing=gallery.listing["id"], ranges=[[0, 2]])
    page.say("do", action="move", split="test")
    await page.until_state(lambda: "a.jpg" in gallery.status["text"], True)
    await page.until_state(lambda: gallery.listing["total"], 6)
    assert images(root, "test") == {"b.jpg"}  # what is as it was chosen is moved


def test_no_more_is_held_at_once_than_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.panels.browse.importing.BATCH_BYTES", 10)
    sizes = [4, 4, 4, 20, 1]
    files = [(f"{number}.jpg", bytes(size)) for number, size in enumerate(sizes)]
    assert [[len(data) for _, data in batch] for batch in batches(files)] == [[4, 4, 4], [20], [1]]
    many = [Path(f"{number}.jpg") for number in range(2 * BATCH + 1)]
    assert [len(batch) for batch in batches(many)] == [BATCH, BATCH, 1]
    assert list(batches([])) == []


async def test_images_open_in_the_annotator_and_there_is_a_way_back(page: Page, root: Path) -> None:
    panel = page.panel
    page.say("open", listing=panel.gallery.listing["id"], position=2)
    await page.until_state(lambda: panel.annotator is not None, True)
    assert panel.annotator is not None
    await page.until_state(
        lambda: panel.annotator.current and panel.annotator.current.filename, "c.jpg"
    )
    assert panel.annotator.model.filenames == [f"{n}.jpg" for n in "abcde"]
    assert panel.gallery.layout.display == "none"
    await panel.back()
    assert panel.annotator is None
    assert panel.gallery.layout.display == ""

    opened = await panel.annotate([("val", "v.jpg"), ("train", "d.jpg")])
    assert opened.model.split == "val"
    assert [value for _, value in panel._split.options] == ["train", "val"]
    await opened.mark_background()
    await panel.back()
    assert (root / "labels" / "val" / "v.txt").read_text() == ""
    assert await panel.search("background") == [("train", "c.jpg"), ("val", "v.jpg")]


async def test_the_panel_from_python(panel: BrowsePanel) -> None:
    assert len(await panel.search("unlabelled")) == 3
    assert await panel.select_all() == 3
    assert panel.model.num_selected == 3
    with pytest.raises(QueryError):
        await panel.search("nonsense:1")
    with pytest.raises(NotFoundError):
        await panel.open("nowhere")


async def test_no_dataset_is_said(tmp_path: Path) -> None:
    made = BrowsePanel(stores=create_stores(tmp_path / "d", tmp_path / "m"))
    async with asyncio.timeout(PATIENCE_S):
        while not made.gallery.status:
            await asyncio.sleep(0.01)
    assert "no dataset" in made.gallery.status["text"]
    made.close()


async def test_what_is_asked_for_while_the_dataset_is_read_again_is_shown(
    model: BrowseModel, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Held(finder.load)
    monkeypatch.setattr(finder, "load", reading)
    choose(model, 0)
    moving = asyncio.create_task(model.move("test"))
    await reading.reached.wait()
    await model.show("objects")
    assert await model.search("class:rat") is None
    await model.search("class:cat")
    reading.let_in.set()
    await moving
    assert model.listing is not None
    assert (model.listing.mode, model.listing.query) == ("objects", "class:cat")
    assert listed(model) == ["test/a.jpg"]  # as it is after the move


async def test_a_listing_that_takes_long_takes_no_place_of_a_newer_one(
    model: BrowseModel, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = Held(finder.find)
    choose(model, 0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(finder, "find", listing)
        moving = asyncio.create_task(model.move("test"))  # its listing comes late
        await listing.reached.wait()
    await model.search("split:test")
    assert listed(model) == ["test/a.jpg", "test/b.jpg"]
    assert model.selected() == []
    choose(model, 1)
    listing.let_in.set()
    await moving
    assert listed(model) == ["test/a.jpg", "test/b.jpg"]
    assert model.selected() == [("test", "b.jpg")]
    await model.search("split:train")
    assert listed(model) == [f"train/{n}.jpg" for n in "cde"]


async def test_what_is_done_is_done_to_what_was_selected_when_it_was_asked_for(
    model: BrowseModel, root: Path
) -> None:
    async with model.at_rest():  # something else is under way
        choose(model, 0)
        moving = asyncio.create_task(model.move("test"))
        await asyncio.sleep(0)
        choose(model, 1)
    await moving
    assert images(root, "test") == {"a.jpg"}
    assert model.selected() == [("train", "b.jpg")]


async def test_looking_through_images_does_not_call_off_that_a_copy_shall_stop(
    model: BrowseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(model, 0, 1)
    told: list[Any] = []

    async def copy(*_args: Any, progress: Any, **_kwargs: Any) -> None:
        told.append(progress)
        progress(1, 2)
        await asyncio.sleep(0)  # its message arrives
        assert model.work.what == "Copying"
        await model.search("split:train")
        assert model.work.what == "Copying"
        model.stop()
        await model.search("split:val")
        progress(2, 2)

    monkeypatch.setattr("workbench.datasets.actions.Actions.copy_into", copy)
    with pytest.raises(StoppedError):
        await model.copy_into("few")
    assert len(told) == 1
    assert model.work.what == ""


async def test_some_images_are_looked_at_and_then_all_again(model: BrowseModel, root: Path) -> None:
    await model.search("split:val")
    await model.narrow([("train", "b.jpg"), ("train", "a.jpg"), ("train", "gone.jpg")], "of a kind")
    assert listed(model) == ["train/b.jpg", "train/a.jpg"]
    assert model.listing is not None
    assert model.listing.only is not None
    assert model.listing.only.words == "of a kind"
    await model.search("class:cat")
    assert listed(model) == ["train/a.jpg"]
    (root / "images" / "train" / "b.jpg").unlink()
    await model.search("")
    await model.refresh()
    assert listed(model) == ["train/a.jpg"]
    await model.widen()
    assert len(listed(model)) == 5
    await model.narrow([("train", "a.jpg")], "of a kind")
    await model.open("ds")
    assert len(listed(model)) == 5


@pytest.fixture
async def slow(stores: Stores, root: Path, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let folders be listed no sooner than this is set, as if there were a million images."""
    monkeypatch.setattr("workbench.panels.browse.model.LARGE", 1)
    for file in root.rglob("*.*"):
        os.utime(file, (1e9, 1e9))  # long before it is read: nobody doubts its time of change
    indexed = BrowseModel(stores)
    await indexed.open("ds")
    indexed.close()
    may_list, scan = asyncio.Event(), stores.image.scan

    async def scan_late(dataset: str) -> Any:
        await may_list.wait()
        return await scan(dataset)

    monkeypatch.setattr(stores.image, "scan", scan_late)
    return may_list


async def until_listed(model: BrowseModel) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while model.listing is None:
            await asyncio.sleep(0.01)


async def test_a_dataset_is_shown_as_it_was_while_its_folders_are_listed(
    stores: Stores, root: Path, slow: asyncio.Event
) -> None:
    write_picture(root / "images" / "train" / "aa.jpg")
    model = BrowseModel(stores)
    opening = asyncio.ensure_future(model.open("ds"))
    await until_listed(model)
    assert "train/aa.jpg" not in listed(model)
    choose(model, 0, 1)
    await model.search("split:train")
    slow.set()
    assert await opening is model.listing
    assert listed(model) == [f"train/{n}.jpg" for n in ("a", "aa", "b", "c", "d", "e")]
    assert model.selected() == [("train", "a.jpg"), ("train", "b.jpg")]
    model.close()


async def test_nothing_is_listed_again_if_nothing_has_changed(
    stores: Stores, slow: asyncio.Event
) -> None:
    model = BrowseModel(stores)
    opening = asyncio.ensure_future(model.open("ds"))
    await until_listed(model)
    shown = model.listing
    slow.set()
    assert await opening is shown
    assert model.listing is shown
    model.close()


async def test_an_action_waits_until_it_is_known_what_is_there(
    stores: Stores, root: Path, slow: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = BrowseModel(stores)
    opening = asyncio.ensure_future(model.open("ds"))
    await until_listed(model)
    move, asked = stores.image.move_many, []

    async def noted(dataset: str, moves: Any, **choices: Any) -> Any:
        asked.append(list(moves))
        return await move(dataset, moves, **choices)

    monkeypatch.setattr(stores.image, "move_many", noted)
    choose(model, 0)
    moving = asyncio.ensure_future(model.move("val"))
    # Nothing lies between the command and the store but turns of this loop.
    for _ in range(20):
        await asyncio.sleep(0)
    assert asked == []
    slow.set()
    await asyncio.gather(opening, moving)
    assert len(asked) == 1
    assert "a.jpg" in images(root, "val")
    model.close()


async def test_what_is_asked_for_may_be_new_since_the_dataset_was_read(
    stores: Stores, slow: asyncio.Event
) -> None:
    await stores.dataset.update_classes("ds", ["cat", "red dog", "bird"])
    refused = []

    class FindThenList(Finder):
        async def find(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super().find(*args, **kwargs)
            except QueryError as error:
                refused.append(str(error))
                raise
            finally:
                slow.set()

    model = BrowseModel(stores, finder=FindThenList(stores))
    await model.open("ds", "-class:bird split:val")
    assert len(refused) == 1
    assert listed(model) == ["val/v.jpg"]
    assert model.problem == ""
    model.close()


# Suggestions


class _Finds(Labeller):
    async def start(self, task: Task) -> SuggestionSource:
        return SuggestionSource("test", "finds")

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        return [[Prediction(0, 0.5, 0.5, 0.25, 0.5, 0.75)] for _ in frames]


class _FindsNothing(Labeller):
    async def start(self, task: Task) -> SuggestionSource:
        return SuggestionSource("test", "nothing")

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        return [[] for _ in frames]


async def test_boxes_are_suggested_on_what_is_selected(
    model: BrowseModel, stores: Stores, root: Path
) -> None:
    await model.find("boxes>0")
    model.select(((0, 2),))
    assert model.num_selected == 2
    chosen = model.selected()
    done = await model.suggest(_Finds())
    assert (done.images, done.boxes) == (2, 2)
    assert model.status.text == (
        "2 boxes suggested on 2 images by test finds. Annotate shows them for review."
    )
    table = await stores.image.suggestions(root.name)
    assert set(table.images) == set(chosen)
    await model.suggest(_Finds())
    assert model.status.text == ("There is no new image for test finds, 2 images looked at before.")
    await model.suggest(_FindsNothing())
    assert model.status.text == (
        "Nothing was found on 2 images by test nothing. "
        "Label more and train again, or let another model look."
    )
    with pytest.raises(NotFoundError, match="no model is active"):
        await model.suggest()
