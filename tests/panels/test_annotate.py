"""The annotate panel without a page: driven from Python, asserted through raw files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from workbench.errors import ConflictError, LossySaveError, NotFoundError
from workbench.panels.annotate import AnnotatePanel
from workbench.panels.annotate.messages import CanvasBox, Edit
from workbench.panels.annotate.model import AnnotateModel
from workbench.panels.annotate.picture import Picture
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, Prediction

WIDTH, HEIGHT = 64, 48
BOX = Annotation(1, 0.5, 0.5, 0.25, 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of four images written by hand; the first has one box."""
    root = tmp_path / "data" / "ds"
    for split in ("train", "val", "test"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"
    )
    for name in "abcd":
        pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        cv2.imwrite(str(root / "images" / "train" / f"{name}.png"), pixels)
    label(root, "a").write_text("0 0.12345678 0.5 0.2 0.3\n")
    return root


@pytest.fixture
def stores(folder: Path, tmp_path: Path) -> Stores:
    return create_stores(folder.parent, tmp_path / "models")


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[AnnotatePanel]:
    made = AnnotatePanel("ds", stores=stores)
    yield made
    made.close()


@pytest.fixture
async def model(stores: Stores) -> AnnotateModel:
    made = AnnotateModel(stores, "ds")
    await made.start()
    return made


def label(root: Path, name: str) -> Path:
    return root / "labels" / "train" / f"{name}.txt"


def rows(file: Path) -> list[list[float]]:
    return [[float(value) for value in line.split()] for line in file.read_text().splitlines()]


class Page:
    """A page of the panel: what it is sent, and what it says."""

    def __init__(self, panel: AnnotatePanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.sent: list[dict[str, Any]] = []
        monkeypatch.setattr(panel.canvas, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.sent.append({**message, "bytes": buffers[0] if buffers else None})

    def say(self, kind: str, **message: Any) -> None:
        everything = {"kind": kind, "session": "page", **message}
        self.panel.canvas._receive(self.panel.canvas, everything, [])

    async def hears(self, kind: str, where: Callable[[dict[str, Any]], bool] = bool) -> Any:
        """The next message of this kind; messages before it are dropped."""
        async with asyncio.timeout(10):
            while True:
                while self.sent:
                    message = self.sent.pop(0)
                    if message["kind"] == kind and where(message):
                        return message
                await asyncio.sleep(0.005)

    def edit(self, frame: dict[str, Any], *boxes: Any, **fields: Any) -> None:
        found = [{"class_id": cls, "xyxy": list(xyxy)} for cls, xyxy in boxes]
        self.say("edit", **{"key": frame["key"], "revision": frame["revision"], "boxes": found,
                            "what": "draw", "seq": 1, **fields})  # fmt: skip


@pytest.fixture
def page(panel: AnnotatePanel, monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(panel, monkeypatch)


# Driven from Python


async def test_what_others_change_does_not_lead_back_from_an_image_asked_for_meanwhile(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = AnnotateModel.load
    asked = asyncio.Event()

    async def slow(self: AnnotateModel, index: int, **how: Any) -> Picture:
        asked.set()
        await asyncio.sleep(0.2 if index else 0)
        return await load(self, index, **how)

    panel = AnnotatePanel("ds", stores=stores)
    try:
        first = await panel.show(0)
        await stores.label.save("ds", "train", first.filename, [])
        monkeypatch.setattr(AnnotateModel, "load", slow)
        going = asyncio.ensure_future(panel.show(1))
        await asked.wait()
        await panel._pages.show_again()  # as after the news of that
        await going
        assert panel.current is not None
        assert panel.current.index == 1
    finally:
        panel.close()


async def test_walks_the_split(panel: AnnotatePanel) -> None:
    opened = await panel.show(0)
    assert (opened.filename, opened.width, opened.height) == ("a.png", WIDTH, HEIGHT)
    assert panel.annotations == [Annotation(0, 0.12345678, 0.5, 0.2, 0.3)]
    assert (await panel.next()).filename == "b.png"
    assert (await panel.previous()).filename == "a.png"
    assert panel.current is not None
    assert panel.current.filename == "a.png"
    with pytest.raises(IndexError, match="4 images"):
        await panel.show(4)
    with pytest.raises(IndexError):
        await panel.previous()


async def test_saves_what_it_is_given(panel: AnnotatePanel, folder: Path) -> None:
    await panel.show(1)
    await panel.save([BOX])
    assert rows(label(folder, "b")) == [[1, 0.5, 0.5, 0.25, 0.5]]
    assert panel.annotations == [BOX]
    assert panel.status.state == "saved"
    assert panel.model.labelled == 2


async def test_background_is_an_empty_file(panel: AnnotatePanel, folder: Path) -> None:
    await panel.show(2)
    assert not label(folder, "c").exists()
    await panel.mark_background()
    assert label(folder, "c").read_text() == ""
    assert await panel.next_unlabelled() is not None
    assert panel.current is not None
    assert panel.current.filename == "d.png"


async def test_next_unlabelled_goes_round_and_ends(panel: AnnotatePanel) -> None:
    for expected in ("b.png", "c.png", "d.png"):
        picture = await panel.next_unlabelled()
        assert picture is not None
        assert picture.filename == expected
        await panel.save([])
    assert await panel.next_unlabelled() is None


async def test_saving_over_a_change_by_others_is_a_conflict(
    panel: AnnotatePanel, folder: Path
) -> None:
    await panel.show(0)
    label(folder, "a").write_text("1 0.5 0.5 0.1 0.1\n")
    with pytest.raises(ConflictError):
        await panel.save([BOX])
    assert rows(label(folder, "a")) == [[1, 0.5, 0.5, 0.1, 0.1]]
    assert panel.status.state == "not saved"
    assert "a.png" in panel.status.why


async def test_an_image_that_is_gone_does_not_end_the_walk(
    panel: AnnotatePanel, folder: Path
) -> None:
    await panel.show(0)
    (folder / "images" / "train" / "b.png").unlink()
    gone = await panel.next()
    assert "b.png is no longer there" in gone.problem
    assert not gone.editable
    assert (await panel.next()).filename == "c.png"


async def test_a_damaged_image_does_not_end_the_walk(panel: AnnotatePanel, folder: Path) -> None:
    (folder / "images" / "train" / "b.png").write_bytes(b"no picture at all")
    damaged = await panel.show(1)
    assert "b.png cannot be shown" in damaged.problem
    assert not damaged.editable
    assert (await panel.next()).problem == ""


async def test_an_unreadable_label_file_is_reported_and_kept(
    panel: AnnotatePanel, folder: Path
) -> None:
    label(folder, "b").write_text("what is this\n")
    picture = await panel.show(1)
    assert "b.txt, line 1" in picture.problem
    assert picture.content
    with pytest.raises(LossySaveError):
        await panel.save([BOX])
    assert label(folder, "b").read_text() == "what is this\n"


async def test_walks_the_images_it_is_given(stores: Stores) -> None:
    model = AnnotateModel(stores, "ds", images=["c.png", "a.png"])
    await model.start()
    assert model.filenames == ["c.png", "a.png"]
    assert (model.total, model.labelled) == (2, 1)


async def test_an_image_to_walk_that_is_not_there_is_named(stores: Stores) -> None:
    model = AnnotateModel(stores, "ds", images=["a.png", "x.png"])
    with pytest.raises(NotFoundError, match=r"no image x\.png"):
        await model.start()


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("unlabelled", ["b.png", "c.png", "d.png"]),
        ("labelled", ["a.png"]),
        ("class:cat", ["a.png"]),
        ("class:dog", []),
        ("recent", []),
    ],
)
async def test_walks_a_filter(stores: Stores, only: str, expected: list[str]) -> None:
    model = AnnotateModel(stores, "ds", only=only)
    await model.start()
    assert model.filenames == expected


def test_an_unknown_filter_is_refused(stores: Stores) -> None:
    with pytest.raises(ValueError, match="unlabelled"):
        AnnotateModel(stores, "ds", only="odd")


async def test_a_class_that_does_not_exist_is_shown_and_raised(stores: Stores) -> None:
    panel = AnnotatePanel("ds", stores=stores, only="class:cow")
    with pytest.raises(NotFoundError, match="no class 'cow'; its classes are cat, dog"):
        await panel.show(0)
    assert "cat, dog" in panel.canvas.notice
    panel.close()


async def test_a_missing_dataset_is_shown_and_raised(stores: Stores) -> None:
    panel = AnnotatePanel("nowhere", stores=stores)
    with pytest.raises(NotFoundError, match="nowhere"):
        await panel.show(0)
    assert panel.canvas.notice.startswith(
        "There is no dataset 'nowhere'. Choose one that is there (ds)"
    )
    assert "workbench new" in panel.canvas.notice
    panel.close()


async def test_a_dataset_that_is_made_later_is_shown(
    stores: Stores, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = AnnotatePanel("later", stores=stores)
    with pytest.raises(NotFoundError):
        await panel.show(0)
    Page(panel, monkeypatch)
    folder.rename(folder.parent / "later")
    await panel.refresh()
    assert panel.current is not None
    assert panel.current.filename == "a.png"
    assert panel.canvas.notice == ""
    panel.close()


async def test_of_several_opened_at_once_the_last_is_shown(panel: AnnotatePanel) -> None:
    await asyncio.gather(*(panel.show(index) for index in (0, 3, 1, 2)))
    assert panel.current is not None
    assert panel.current.filename == "c.png"


async def test_images_that_browsers_cannot_decode_are_sent_as_jpeg(
    model: AnnotateModel, folder: Path
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    cv2.imwrite(str(folder / "images" / "train" / "e.tiff"), pixels)
    await model.start()
    picture = await model.load(4)
    assert picture.filename == "e.tiff"
    assert picture.content[:2] == b"\xff\xd8"
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)


async def test_a_huge_image_is_sent_reduced_and_keeps_its_coordinates(
    model: AnnotateModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.annotate.picture.MAX_PIXELS", WIDTH * HEIGHT // 4)
    picture = await model.load(0)
    sent = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    assert sent is not None
    assert sent.shape[:2] == (HEIGHT // 2, WIDTH // 2)
    assert (picture.width, picture.height) == (WIDTH, HEIGHT)


# Boxes in pixels


async def test_boxes_that_nobody_moved_keep_their_digits(
    model: AnnotateModel, folder: Path
) -> None:
    picture = await model.open(0)
    [there] = picture.pixel_boxes().tolist()
    boxes = (CanvasBox(0, tuple(there)), CanvasBox(1, (16, 12, 32, 36)))
    await model.take(Edit(picture.key, picture.labels.revision, boxes, session="page"))
    first, second = label(folder, "a").read_text().splitlines()
    assert [float(v) for v in first.split()] == [0, 0.12345678, 0.5, 0.2, 0.3]
    assert [float(v) for v in second.split()] == [1, 0.375, 0.5, 0.25, 0.5]


async def test_an_edit_lands_on_the_image_it_was_made_on(
    model: AnnotateModel, folder: Path
) -> None:
    first = await model.open(1)
    await model.open(2)
    await model.take(Edit(first.key, "", (CanvasBox(0, (0, 0, 32, 24)),), session="page"))
    assert rows(label(folder, "b")) == [[0, 0.25, 0.25, 0.5, 0.5]]
    assert not label(folder, "c").exists()


async def test_a_repeated_edit_is_no_conflict(model: AnnotateModel, folder: Path) -> None:
    picture = await model.open(1)
    edit = Edit(picture.key, "", (CanvasBox(0, (1, 2, 33, 27)),), session="page")
    saved = await model.take(edit)
    again = await model.take(edit)
    assert again.revision == saved.revision


async def test_an_edit_of_another_dataset_is_refused(model: AnnotateModel) -> None:
    with pytest.raises(NotFoundError, match="not an image of ds/train"):
        await model.save("/elsewhere/train/a.png", "", [BOX])


# Driven by a page


async def test_a_page_that_says_hello_gets_image_boxes_and_place(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(0)
    page.sent.clear()
    page.say("hello")
    message = await page.hears("frame")
    frame = message["frame"]
    assert message["bytes"] == (folder / "images" / "train" / "a.png").read_bytes()
    assert (message["to"], message["total"], message["labelled"]) == ("page", 4, 1)
    assert (frame["name"], frame["width"], frame["height"]) == ("a.png", WIDTH, HEIGHT)
    left = (0.12345678 - 0.1) * WIDTH
    assert frame["boxes"][0]["xyxy"][0] == pytest.approx(left, abs=1e-9)
    assert (await page.hears("scope"))["scope"] == panel.model.scope


async def test_an_edit_is_saved_and_acknowledged(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(1)
    frame = (await page.hears("frame", lambda m: m["frame"]["name"] == "b.png"))["frame"]
    page.edit(frame, (1, (16, 12, 32, 36)), seq=7)
    answer = await page.hears("saved")
    assert (answer["session"], answer["seq"], answer["key"]) == ("page", 7, frame["key"])
    assert rows(label(folder, "b")) == [[1, 0.375, 0.5, 0.25, 0.5]]
    page.edit(frame, revision=answer["revision"], seq=8)
    assert (await page.hears("saved"))["seq"] == 8
    assert label(folder, "b").read_text() == ""


async def test_a_conflict_shows_both_and_the_user_may_insist(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(0)
    frame = (await page.hears("frame"))["frame"]
    label(folder, "a").write_text("1 0.5 0.5 0.5 0.5\n")
    page.edit(frame, (0, (0, 0, 32, 24)))
    refusal = await page.hears("not_saved")
    assert rows(label(folder, "a")) == [[1, 0.5, 0.5, 0.5, 0.5]]
    assert refusal["boxes"] == [{"class_id": 1, "xyxy": [16, 12, 48, 36]}]
    assert [choice["choice"] for choice in refusal["choices"]] == ["mine", "theirs"]
    assert panel.status.state == "not saved"
    page.edit(frame, (0, (0, 0, 32, 24)), revision=refusal["revision"], agreed=True, seq=2)
    await page.hears("saved")
    assert rows(label(folder, "a")) == [[0, 0.25, 0.25, 0.5, 0.5]]
    assert panel.status.state == "saved"


async def test_taking_theirs_gives_the_files_boxes(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(0)
    frame = (await page.hears("frame"))["frame"]
    label(folder, "a").write_text("1 0.5 0.5 0.5 0.5\n")
    page.edit(frame, (0, (0, 0, 32, 24)))
    await page.hears("not_saved")
    page.say("want", key=frame["key"])
    answer = await page.hears("frame")
    assert [box["class_id"] for box in answer["frame"]["boxes"]] == [1]
    assert panel.status.state == "saved"


async def test_polygons_are_not_destroyed_without_asking(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    polygon = "0 0.1 0.1 0.4 0.1 0.4 0.4 0.1 0.4\n"
    label(folder, "a").write_text(polygon)
    await panel.show(0)
    frame = (await page.hears("frame"))["frame"]
    assert "more than a box" in frame["problem"]
    page.edit(frame, (0, (0, 0, 32, 24)))
    refusal = await page.hears("not_saved")
    assert label(folder, "a").read_text() == polygon
    assert [choice["text"] for choice in refusal["choices"]] == ["Save as boxes", "Discard my edit"]
    page.edit(frame, (0, (0, 0, 32, 24)), agreed=True, seq=2)
    await page.hears("saved")
    assert rows(label(folder, "a")) == [[0, 0.25, 0.25, 0.5, 0.5]]


async def test_a_page_goes_to_an_image_without_its_bytes_if_it_has_them(
    panel: AnnotatePanel, page: Page
) -> None:
    await panel.show(0)
    page.say("want", index=1, walk=panel.model.walk)
    ahead = await page.hears("frame", lambda m: m["frame"]["index"] == 1)
    assert (ahead["show"], ahead["bytes"] is not None) == (False, True)
    page.say("go", seq=3, index=1, walk=panel.model.walk, have=ahead["frame"]["token"])
    shown = await page.hears("frame")
    assert (shown["show"], shown["bytes"]) == (True, None)
    assert shown["cause"] == {"session": "page", "seq": 3}
    assert panel.current is not None
    assert panel.current.filename == "b.png"


async def test_boxes_set_in_python_are_saved_and_shown(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(1)
    panel.annotator.data = [{"type": "box", "label": "dog", "xyxy": (16, 12, 32, 36)}]
    message = await page.hears("labels")
    assert message["boxes"] == [{"class_id": 1, "xyxy": [16, 12, 32, 36]}]
    assert rows(label(folder, "b")) == [[1, 0.375, 0.5, 0.25, 0.5]]


async def test_predictions_are_shown_and_not_saved_until_accepted(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(1)
    await panel.propose("b.png", [Prediction(1, 0.375, 0.5, 0.25, 0.5, confidence=0.8)])
    message = await page.hears("frame", lambda m: bool(m["frame"]["proposals"]))
    frame = message["frame"]
    assert frame["proposals"][0]["score"] == 0.8
    assert not label(folder, "b").exists()
    page.edit(frame, (1, (16, 12, 32, 36)), proposals=[])
    await page.hears("saved")
    assert rows(label(folder, "b")) == [[1, 0.375, 0.5, 0.25, 0.5]]
    assert panel.model.proposals("b.png") == []


async def test_predictions_reviewed_just_before_going_on_stay_reviewed(
    panel: AnnotatePanel, page: Page
) -> None:
    await panel.propose("b.png", [Prediction(1, 0.375, 0.5, 0.25, 0.5, confidence=0.8)])
    await panel.show(1)
    frame = (await page.hears("frame", lambda m: bool(m["frame"]["proposals"])))["frame"]
    await panel.show(2)
    page.edit(frame, labelled=False, proposals=[], what="reject")
    assert (await page.hears("saved"))["revision"] == ""
    assert (await panel.show(1)).labels.revision == ""
    assert panel.model.proposals("b.png") == []


# History


async def test_history_and_restore_from_python(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    original = label(folder, "a").read_bytes()
    await panel.show(0)
    await panel.save([BOX])
    await panel.show(1)
    await panel.mark_background()
    assert [edit.what for edit in await panel.history()] == ["nothing here"]
    first, second = await panel.history(all=True)
    assert (first.filename, first.after, first.what) == ("a.png", [BOX], "python")
    page.sent.clear()

    await panel.restore(first)  # of an image that is not open
    assert label(folder, "a").read_bytes() == original
    message = await page.hears("labels", lambda m: m["key"].endswith("a.png"))
    assert [box["class_id"] for box in message["boxes"]] == [0]

    await panel.restore(second.id)
    assert not label(folder, "b").exists()
    message = await page.hears("labels", lambda m: m["key"].endswith("b.png"))
    assert (message["revision"], message["boxes"], message["labelled"]) == ("", [], 1)
    assert panel.annotations == []
    await panel.save([BOX])  # based on what the panel knows: no conflict
    with pytest.raises(NotFoundError, match="no-such-edit"):
        await panel.restore("no-such-edit")


async def test_history_needs_an_open_image(stores: Stores) -> None:
    panel = AnnotatePanel("ds", split="val", stores=stores)
    with pytest.raises(RuntimeError, match="no image is open"):
        await panel.history()
    assert await panel.history(all=True) == []
    panel.close()


async def test_a_page_gets_what_earlier_sessions_did(
    panel: AnnotatePanel, page: Page, stores: Stores
) -> None:
    await stores.label.save("ds", "train", "b.png", [], what="nothing here")
    await stores.label.save("ds", "train", "b.png", [BOX], what="draw")
    await stores.label.save("ds", "train", "b.png", [], what="undo")
    opened = await panel.show(1)
    page.say("want_trail", key=opened.key)
    message = await page.hears("trail")
    assert (message["to"], message["key"], message["more"]) == ("page", opened.key, False)
    rows_of_box = [{"class_id": 1, "xyxy": [24, 12, 40, 36]}]
    assert (message["past"], message["boxes"], message["future"]) == ([None], [], [rows_of_box])
    page.say("want_trail", key=panel.model.scope + "d.png")
    message = await page.hears("trail")
    assert (message["past"], message["boxes"], message["future"]) == ([], None, [])


async def test_a_long_trail_comes_in_parts(
    panel: AnnotatePanel, page: Page, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.annotate.pages.TRAIL_BOXES", 5)
    monkeypatch.setattr("workbench.panels.annotate.pages.TRAIL_STEPS", 3)
    key = (await panel.show(1)).key
    for count in range(5):
        await stores.label.save("ds", "train", "b.png", [BOX] * count)
    page.say("want_trail", key=key)
    message = await page.hears("trail")
    assert ([len(rows) for rows in message["past"]], message["more"]) == ([2, 3], True)
    await stores.label.save("ds", "train", "b.png", [BOX] * 2, what="undo")
    page.say("want_trail", key=key)
    message = await page.hears("trail")
    assert message["past"] == [None, [], [message["boxes"][0]]]
    assert not message["more"]


async def test_undo_to_before_the_first_label_leaves_no_label_file(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(1)
    frame = (await page.hears("frame", lambda m: m["frame"]["name"] == "b.png"))["frame"]
    page.edit(frame, (1, (16, 12, 32, 36)))
    drawn = await page.hears("saved")
    page.edit(frame, revision=drawn["revision"], labelled=False, what="undo", seq=2)
    answer = await page.hears("saved")
    assert (answer["revision"], answer["labelled"]) == ("", 1)
    assert not label(folder, "b").exists()
    page.edit(frame, revision=drawn["revision"], labelled=False, what="undo", seq=3)
    assert (await page.hears("saved"))["seq"] == 3  # said again, because the answer got lost
    assert [edit.what for edit in await panel.history()] == ["draw", "undo"]


async def test_undo_to_before_the_first_label_is_no_way_around_a_conflict(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    await panel.show(0)
    frame = (await page.hears("frame"))["frame"]
    label(folder, "a").write_text("1 0.5 0.5 0.5 0.5\n")
    page.edit(frame, labelled=False, what="undo")
    refusal = await page.hears("not_saved")
    assert refusal["boxes"] == [{"class_id": 1, "xyxy": [16, 12, 48, 36]}]
    assert rows(label(folder, "a")) == [[1, 0.5, 0.5, 0.5, 0.5]]


async def test_an_edit_is_no_news_of_a_file_that_is_gone(
    panel: AnnotatePanel, page: Page, folder: Path
) -> None:
    label(folder, "a").write_text("")
    await panel.show(0)
    frame = (await page.hears("frame"))["frame"]
    label(folder, "a").unlink()
    page.edit(frame, what="delete")
    assert (await page.hears("not_saved"))["revision"] == ""


async def test_an_empty_split_says_so(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = AnnotatePanel("ds", split="val", stores=stores)
    page = Page(panel, monkeypatch)
    await page.hears("empty")
    assert panel.current is None
    panel.close()


async def test_where_no_image_is_the_page_can_open_a_panel_that_brings_some(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, str]] = []
    panel = AnnotatePanel("ds", split="val", stores=stores, go=lambda *where: opened.append(where))
    page = Page(panel, monkeypatch)
    await page.hears("empty")
    assert panel.canvas.doors == ["Browse", "Capture"]
    page.say("open", panel="Models")
    page.say("open", panel="Browse")
    async with asyncio.timeout(10):
        while not opened:
            await asyncio.sleep(0.01)
    assert opened == [("Browse", "ds")]
    panel.close()


async def test_it_displays_itself(panel: AnnotatePanel) -> None:
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()


# Another dataset, and a fresh look


@pytest.fixture
def other(folder: Path) -> Path:
    """A second dataset, whose one image has the name of one of the first."""
    root = folder.parent / "other"
    for part in ("images", "labels"):
        for split in ("train", "val"):
            (root / part / split).mkdir(parents=True)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [bird]\n")
    cv2.imwrite(str(root / "images" / "train" / "b.png"), np.full((30, 20, 3), 9, np.uint8))
    return root


async def test_opens_another_dataset(
    panel: AnnotatePanel, page: Page, folder: Path, other: Path
) -> None:
    first = await panel.show(1)
    opened = await panel.open("other")
    assert opened is not None
    assert (opened.filename, opened.width, opened.index) == ("b.png", 20, 0)
    assert panel.annotator.options == ["bird"]
    scope = await page.hears("scope")
    assert opened.key == f"{scope['scope']}b.png" != first.key
    await panel.save([Annotation(0, 0.5, 0.5, 0.5, 0.5)])
    assert rows(label(other, "b")) == [[0, 0.5, 0.5, 0.5, 0.5]]
    # What a page had not sent yet belongs to the first: it is kept there, and not written here.
    page.edit({"key": first.key, "revision": ""}, (0, (1, 1, 9, 9)))
    refused = await page.hears("not_saved")
    assert refused["key"] == first.key
    assert rows(label(other, "b")) == [[0, 0.5, 0.5, 0.5, 0.5]]
    assert not label(folder, "b").exists()
    back = await panel.open("ds", only="labelled")
    assert back is not None
    assert (back.filename, panel.model.filenames) == ("a.png", ["a.png"])


async def test_a_dataset_that_is_not_there_leaves_the_panel_as_it_was(
    panel: AnnotatePanel,
) -> None:
    await panel.show(2)
    with pytest.raises(NotFoundError):
        await panel.open("nowhere", only="unlabelled")
    assert panel.current is not None
    assert panel.current.filename == "c.png"
    await panel.refresh()
    assert panel.model.total == 4


async def test_a_split_without_images_shows_none(panel: AnnotatePanel, page: Page) -> None:
    await panel.show(0)
    assert await panel.open("ds", "val") is None
    await page.hears("empty")
    assert panel.current is None
    with pytest.raises(RuntimeError, match="no image is open"):
        await panel.save([])


async def test_refresh_finds_what_came_and_what_went(panel: AnnotatePanel, folder: Path) -> None:
    await panel.show(2)
    images = folder / "images" / "train"
    (images / "c.png").rename(images / "0.png")
    label(folder, "d").write_text("1 0.5 0.5 0.25 0.5\n")
    await panel.refresh()
    assert panel.model.filenames == ["0.png", "a.png", "b.png", "d.png"]
    assert panel.current is not None
    assert panel.current.filename == "b.png"  # at the place of the one that is gone
    await panel.next()
    (folder / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames: [cat, dog, bird]\n"
    )
    (images / "b.png").unlink()
    await panel.refresh()
    assert (panel.current.filename, panel.current.index) == ("d.png", 2)
    assert panel.annotator.options == ["cat", "dog", "bird"]


async def test_a_number_opens_an_image_still_and_says_what_to_write(panel: AnnotatePanel) -> None:
    with pytest.warns(DeprecationWarning, match=r"show\(index\)"):
        opened = await panel.open(1)
    assert opened is not None
    assert opened.filename == "b.png"


async def test_a_class_is_added_where_it_is_needed(
    panel: AnnotatePanel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.show(1)
    page = Page(panel, monkeypatch)
    page.say("add_class", name=" red  cup ")
    async with asyncio.timeout(20):
        while panel.canvas.classes != ["cat", "dog", "red  cup"]:
            await asyncio.sleep(0.01)
    assert "2: red  cup" in (folder / "data.yaml").read_text()
    page.say("add_class", name="dog")
    async with asyncio.timeout(20):
        while not panel.canvas.notice:
            await asyncio.sleep(0.01)
    assert "has a class 'dog' already" in panel.canvas.notice


async def test_a_box_is_drawn_in_to_what_it_shows(page: Page, folder: Path) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    pixels[12:36, 16:48] = (20, 20, 230)
    cv2.imwrite(str(folder / "images" / "train" / "b.png"), pixels)
    await page.panel.show(1)
    frame = (await page.hears("frame", lambda m: m["frame"]["name"] == "b.png"))["frame"]
    page.say("tighten", key=frame["key"], ids=[7], boxes=[[13, 10, 51, 39]])
    answer = await page.hears("tightened")
    assert (answer["to"], answer["key"], answer["ids"]) == ("page", frame["key"], [7])
    assert answer["boxes"] == [pytest.approx([16, 12, 48, 36], abs=1.5)]
    assert not label(folder, "b").exists()  # the page decides what becomes of it
