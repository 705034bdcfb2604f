"""The home page without a page: datasets made, copied, deleted, and what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.helpers.pictures import jpeg
from workbench import Workbench
from workbench.datasets.manager import DatasetFacts
from workbench.errors import ConflictError, InvalidDatasetError
from workbench.panels.home import HomePanel
from workbench.panels.home.cards import FEW, next_step
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, DatasetInfo

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.25)
MADE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(tmp_path / "data", tmp_path / "models")


@pytest.fixture
async def home(stores: Stores) -> AsyncIterator[HomePanel]:
    panel = HomePanel(stores)
    yield panel
    panel.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


def say(home: HomePanel, kind: str, **more: Any) -> None:
    """Let a page say something."""
    home._receive(home.view, {"kind": kind, **more}, ())


def names(panel: HomePanel) -> list[str]:
    return [card["name"] for card in panel.view.cards]


async def test_a_message_of_an_unknown_kind_is_refused(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    panel = HomePanel(stores)
    say(panel, "erase")
    await until(lambda: "unknown: 'erase'" in panel.model.status.text)
    assert "a message of the page was refused: it is of the kind 'erase'" in caplog.messages
    say(panel, "go", panel="Browse", name="cups")  # leads nowhere without tabs around it
    panel.close()


@pytest.mark.parametrize(
    "message",
    [
        *({"kind": "picture"}, {"kind": "download", "name": 5}, {"kind": "fetch"}, {"kind": "go"}),
        *({"kind": "fetch", "start": "0"}, {"kind": ["go"]}, {"kind": {}}, {}),
    ],
    ids=repr,
)
async def test_a_message_without_what_it_must_have_is_refused(
    home: HomePanel, message: dict[str, Any]
) -> None:
    home._receive(home.view, message, ())
    await until(lambda: "The page sent something unknown" in home.model.status.text)


async def test_a_dataset_is_made_and_opened_from_the_page(stores: Stores, tmp_path: Path) -> None:
    opened: list[tuple[str, str]] = []
    panel = HomePanel(stores, go=lambda *where: opened.append(where))
    say(panel, "do", action="create", name=" cups ", classes="cup, saucer,")
    await until(lambda: opened)
    assert opened == [("Browse", "cups")]
    text = (tmp_path / "data" / "cups" / "data.yaml").read_text()
    assert "0: cup" in text
    assert "1: saucer" in text
    assert names(panel) == ["cups"]
    say(panel, "do", action="undo")
    await until(lambda: names(panel) == [])
    assert not (tmp_path / "data" / "cups").exists()
    panel.close()


async def test_a_form_hears_what_was_wrong_and_when_it_is_done(
    home: HomePanel, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.refresh()
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(home.view, "send", lambda message, **_: sent.append(message))
    say(home, "do", action="create", name="cups/red", classes="", ask="form 1")
    await until(lambda: sent)
    assert sent.pop() == {
        "kind": "answered",
        "to": "form 1",
        "problem": "dataset name 'cups/red' holds a slash, as only a path does; "
        "choose another name",
    }
    assert home.view.status["text"] == "", "it is said where it was asked"
    say(home, "do", action="create", name="cups", classes="", ask="form 2")
    await until(lambda: sent)
    assert sent == [{"kind": "answered", "to": "form 2", "problem": ""}]
    assert names(home) == ["cups"]


async def test_a_card_says_what_there_is_and_shows_a_picture(
    home: HomePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"weights")
    home.follower.is_seen = False  # so that it reads only where it is told to
    await home.refresh()  # it has begun to read by itself
    await stores.dataset.create("cups", ["cup"])
    for number, name in enumerate("ab"):
        await stores.image.save_bytes("cups", "train", f"{name}.jpg", jpeg(number))
    await stores.label.save("cups", "train", "a.jpg", [BOX, BOX])
    await stores.model.save("new", weights, "yolo11n.yaml", "cups")
    scan = mock.AsyncMock(side_effect=stores.image.scan)
    monkeypatch.setattr(stores.image, "scan", scan)
    await home.refresh()
    [card] = home.view.cards
    assert (card["images"], card["labelled"], card["boxes"]) == (2, 1, 2)
    assert card["classes"] == [["cup", 2]]
    assert card["seen"] == "2 images, 1 labelled, 2 boxes"
    sent: list[Any] = []
    monkeypatch.setattr(home.view, "send", lambda *what, **how: sent.append((what, how)))
    say(home, "picture", name="cups")
    await until(lambda: sent)
    assert sent[0][1]["buffers"][0][:2] == b"\xff\xd8"
    assert scan.await_count == 1, "the folders are listed once for all that a card shows"


@pytest.mark.parametrize("damaged", [1, 3, 40])
async def test_a_picture_that_cannot_be_read_stands_for_no_dataset(
    home: HomePanel,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damaged: int,
) -> None:
    await stores.dataset.create("cups", ["cup"])
    for number in range(damaged + 1):
        await stores.image.save_bytes("cups", "train", f"{number:03}.jpg", jpeg(number))
        boxes = [BOX] * 2 if number < damaged else [BOX]
        await stores.label.save("cups", "train", f"{number:03}.jpg", boxes)
    for path in sorted((tmp_path / "data" / "cups" / "images" / "train").iterdir())[:damaged]:
        path.write_bytes(path.read_bytes()[:300])
    get = mock.AsyncMock(side_effect=home.model._thumbnails.get)
    monkeypatch.setattr(home.model._thumbnails, "get", get)
    found = await home.model.picture("cups")
    assert (found is not None) == (damaged < 6)
    assert get.await_count <= 2 * 6


async def test_datasets_that_others_make_show_up(home: HomePanel, stores: Stores) -> None:
    await home.refresh()
    await stores.dataset.create("cups")
    await until(lambda: names(home) == ["cups"])


async def test_cards_follow_what_is_in_the_datasets(home: HomePanel, stores: Stores) -> None:
    await stores.dataset.create("bowls", ["bowl"])
    await home.refresh()
    await stores.dataset.create("cups", ["cup"])
    await until(lambda: names(home) == ["bowls", "cups"])

    def card() -> dict[str, Any]:
        return home.view.cards[1]

    await stores.image.save_bytes("cups", "train", "a.jpg", jpeg(1))
    await until(lambda: card()["images"] == 1)
    await stores.label.save("cups", "train", "a.jpg", [BOX])
    await until(lambda: card()["labelled"] == 1)
    assert card()["next"]["text"].startswith("No image is in val")
    await stores.dataset.update_classes("cups", ["cup", "saucer"])
    await until(lambda: [name for name, _ in card()["classes"]] == ["cup", "saucer"])
    await stores.dataset.rename("cups", "mugs")
    await stores.image.save_bytes("mugs", "train", "b.jpg", jpeg(2))
    await until(lambda: card()["name"] == "mugs" and card()["images"] == 2)


async def test_turning_to_home_shows_what_was_done_on_other_pages(tmp_path: Path) -> None:
    with Workbench(tmp_path / "data") as wb:
        await wb.stores.dataset.create("cups")
        tabs = wb.tabs
        await until(lambda: tabs.home.view.cards)
        tabs.tabs.selected_index = 2
        await wb.stores.image.save_bytes("cups", "train", "a.jpg", jpeg(1))
        tabs.tabs.selected_index = 0
        await until(lambda: tabs.home.view.cards[0]["images"] == 1)


async def test_rename_duplicate_delete_and_restore(
    home: HomePanel, stores: Stores, tmp_path: Path
) -> None:
    await stores.dataset.create("cups", ["cup"])
    await stores.image.save_bytes("cups", "train", "a.jpg", jpeg(1))
    say(home, "do", action="duplicate", name="cups", to="mugs")
    await until(lambda: names(home) == ["cups", "mugs"])
    say(home, "do", action="rename", name="cups", to="glasses")
    await until(lambda: names(home) == ["glasses", "mugs"])
    assert (tmp_path / "data" / "mugs" / "images" / "train" / "a.jpg").exists()
    say(home, "do", action="delete", name="mugs")
    await until(lambda: names(home) == ["glasses"])
    [gone] = home.view.trash
    say(home, "do", action="restore", id=gone["id"])
    await until(lambda: names(home) == ["glasses", "mugs"])


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder that another tool has written: a picture with one box."""
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(3))
    (folder / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "classes.txt").write_text("cup\n")
    return folder


def kind(home: HomePanel) -> str:
    return str(home.view.page.get("kind", ""))


async def test_a_path_that_leads_nowhere_is_told_with_what_is_near(
    home: HomePanel, given: Path
) -> None:
    say(home, "import", action="look", path=str(given.parent / "givne"))
    await until(lambda: kind(home) == "error")
    assert f"did you mean {given}?" in home.view.page["text"]


async def test_a_folder_is_planned_before_it_is_brought_in(
    home: HomePanel, given: Path, tmp_path: Path
) -> None:
    say(home, "import", action="look", path=f"'{given}'")
    await until(lambda: kind(home) == "plan")
    assert home.view.page["name"] == "given"
    assert not (tmp_path / "data" / "given").exists()
    say(home, "import", action="rename", name="cups")
    say(home, "import", action="apply")
    await until(lambda: kind(home) == "account")
    assert [(one["unit"], one["taken"]) for one in home.view.page["units"]][1:] == [
        ("pictures", 1),
        ("annotations", 1),
    ]
    await until(lambda: names(home) == ["cups"])
    assert home.view.cards[0]["boxes"] == 1


@pytest.mark.parametrize("kind_of_undo", ["import", "do"])
async def test_what_was_brought_in_is_undone_from_its_account_and_from_the_cards(
    home: HomePanel, given: Path, tmp_path: Path, kind_of_undo: str
) -> None:
    say(home, "import", action="look", path=str(given))
    await until(lambda: kind(home) == "plan")
    say(home, "import", action="apply")
    await until(lambda: kind(home) == "account")
    await until(lambda: home.view.undo == "dataset 'given' brought in")
    if kind_of_undo == "do":
        say(home, "import", action="close")
    say(home, kind_of_undo, action="undo")
    await until(lambda: names(home) == [])
    await until(lambda: not kind(home))
    assert home.view.status["text"].startswith("Undone: ")
    assert home.view.undo == ""
    assert not (tmp_path / "data" / "given").exists()


@pytest.mark.parametrize("action", ["rename", "duplicate", "delete"])
async def test_what_was_changed_since_the_card_was_seen_is_left(
    home: HomePanel, stores: Stores, tmp_path: Path, action: str
) -> None:
    await stores.dataset.create("cups", ["cup"])
    await stores.image.save_bytes("cups", "train", "a.jpg", jpeg(1))
    await home.refresh()
    seen = home.view.cards[0]["seen"]
    await stores.label.save("cups", "train", "a.jpg", [BOX])
    say(home, "do", action=action, name="cups", to="mugs", seen=seen)
    await until(lambda: home.view.status.get("tone") == "problem")
    assert "it had 1 image, 0 labelled, 0 boxes" in home.view.status["text"]
    assert "it has 1 image, 1 labelled, 1 box now" in home.view.status["text"]
    assert [path.name for path in (tmp_path / "data").iterdir() if path.name[0] != "."] == ["cups"]


async def test_a_new_dataset_that_somebody_works_in_is_not_undone(
    home: HomePanel, stores: Stores
) -> None:
    await home.model.create("cups", ["cup"])
    await stores.image.save_bytes("cups", "train", "a.jpg", jpeg(1))
    with pytest.raises(ConflictError, match="it had 0 images"):
        await home.model.undo()


async def test_a_damaged_dataset_says_so_on_its_card(
    home: HomePanel, stores: Stores, tmp_path: Path
) -> None:
    await stores.dataset.create("cups")
    (tmp_path / "data" / "cups" / "data.yaml").write_text("names: 7\n")
    await home.refresh()
    assert "data.yaml" in home.view.cards[0]["problem"]


def facts(classes: list[str], train: int, val: int, labelled: int) -> DatasetFacts:
    info = DatasetInfo("ds", Path("/ds"), classes, {"train": train, "val": val, "test": 0})
    return DatasetFacts(info, {"train": labelled, "val": 0, "test": 0})


@pytest.mark.parametrize(
    ("given", "trained", "newer", "panel", "words"),
    [
        (facts([], 0, 0, 0), None, 0, "Browse", "no images"),
        (facts([], 5, 0, 0), None, 0, "Annotate", "no classes"),
        (facts(["cup"], 5, 0, 0), None, 0, "Annotate", "Nothing is labelled"),
        (facts(["cup"], 5, 0, 5), None, 0, "Splits", "No image is in val"),
        (facts(["cup"], 120, 5, 5), None, 0, "Annotate", "120 images wait for labels"),
        (facts(["cup"], 3, 1, 3), None, 0, "Annotate", "1 image waits"),
        (facts(["cup"], 4, 1, 5), None, 0, "Train", "No model"),
        (facts(["cup"], 4, 1, 5), MADE, FEW, "Train", "older than 40 labels"),
    ],
)
def test_what_to_do_next(
    given: DatasetFacts, trained: datetime | None, newer: int, panel: str, words: str
) -> None:
    door = next_step(given, trained_at=trained, num_newer=newer)
    assert door is not None
    assert (door.panel, words in door.text) == (panel, True)


def test_nothing_to_do_is_no_door() -> None:
    assert next_step(facts(["cup"], 4, 1, 5), trained_at=MADE, num_newer=FEW - 1) is None


async def test_the_tabs_begin_at_home_and_doors_lead_on(tmp_path: Path) -> None:
    with Workbench(tmp_path / "data") as wb:
        tabs = wb.tabs
        await until(lambda: tabs.home.view.ready)
        assert tabs.tabs.titles[tabs.tabs.selected_index] == "Home"
        assert tabs.door.layout.visibility == "hidden", "Home says itself that there is none"
        assert tabs.dataset.label == "none yet"
        assert tabs.split.layout.display == "none", "there is none to show a split of"
        tabs.tabs.selected_index = 2
        assert (tabs.door.layout.visibility, tabs.door.layout.display) == ("visible", None)
        assert "no dataset yet" in tabs._browse_box.children[0].value
        tabs.door.click()
        await until(lambda: tabs.tabs.selected_index == 0)
        say(tabs.home, "do", action="create", name="cups", classes="cup")
        await until(lambda: tabs.dataset.value == "cups")
        await until(lambda: tabs.tabs.titles[tabs.tabs.selected_index] == "Browse")
        assert tabs.door.layout.display == "none"
        assert tabs.split.layout.display is None
        assert tabs.split.layout.visibility == "hidden", "Browse is about all splits"
        for model, choice in (
            (tabs.train.model, tabs.train.form.dataset),
            (tabs.evaluate.model, tabs.evaluate.dataset),
        ):
            await until(lambda model=model: model.dataset == "cups")
            assert choice.layout.display == "none", "it is chosen above"
            model.dataset = ""
            assert choice.layout.display is None, "it is about another one"
        told = tabs.train.form.view.children[0].children[1]
        assert told.layout.display is None
        assert "copy of its own" in told.children[1].value, "what it says is said in tabs, too"
        assert not tabs._capture.view.asks_dataset, "what is chosen above is not asked again"
        assert tabs._browse.follower.is_seen
        assert not tabs.home.follower.is_seen
        say(tabs.home, "go", panel="Export", name="cups")
        await until(lambda: tabs._browse.exports.page.get("kind") == "export")
        assert tabs.tabs.titles[tabs.tabs.selected_index] == "Browse"
        say(tabs.home, "go", panel="Splits", name="cups")
        await until(lambda: tabs.tabs.titles[tabs.tabs.selected_index] == "Curate")
        assert tabs._curate.tabs.titles[tabs._curate.tabs.selected_index] == "Splits"


async def test_the_head_counts_what_comes(tmp_path: Path) -> None:
    with Workbench(tmp_path / "data") as wb:
        await wb.stores.dataset.create("cups")
        tabs = wb.tabs
        await until(lambda: tabs.dataset.options == (("cups (0 images)", "cups"),))
        await wb.stores.image.save_bytes("cups", "train", "a.jpg", jpeg(1))
        await until(lambda: tabs.dataset.options == (("cups (1 image)", "cups"),))
        await wb.stores.dataset.delete("cups")
        await until(lambda: tabs.dataset.options == (("none yet", None),))
        await until(lambda: tabs.dataset.label == "none yet")


async def test_a_dataset_can_be_opened_in_the_tabs_from_python(tmp_path: Path) -> None:
    with Workbench(tmp_path / "data") as wb:
        await wb.stores.dataset.create("bowls")
        await wb.stores.dataset.create("cups")
        tabs = wb.open("cups", "Annotate")
        await until(lambda: tabs.dataset.value == "cups")
        await until(lambda: tabs.tabs.titles[tabs.tabs.selected_index] == "Annotate")
        await until(lambda: tabs.split.layout.visibility == "visible")


async def test_links_that_lead_out_are_shown_and_can_be_called_ones_own(
    home: HomePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    await stores.dataset.create("cups", ["cup"])
    for number, where in enumerate(("far", "later")):
        (tmp_path / where).mkdir()
        (tmp_path / where / "a.jpg").write_bytes(jpeg(number))
    train = tmp_path / "data" / "cups" / "images" / "train"
    (train / "a.jpg").symlink_to(tmp_path / "far" / "a.jpg")
    await home.refresh()
    [card] = home.view.cards
    assert card["links"] == [str(tmp_path / "far")]
    with pytest.raises(InvalidDatasetError, match="They are mine"):
        await stores.dataset.export_zip("cups", tmp_path)
    # One that came since was not on the card.
    (train / "later.jpg").symlink_to(tmp_path / "later" / "a.jpg")
    say(home, "do", action="trust_links", name="cups", folders=card["links"])
    await until(lambda: "lead elsewhere since you looked" in home.model.status.text)
    assert not (tmp_path / "state").exists()
    [card] = home.view.cards
    assert card["links"] == [str(tmp_path / "far"), str(tmp_path / "later")]
    say(home, "do", action="trust_links", name="cups", folders=card["links"])
    await until(lambda: home.view.cards[0]["links"] == [])
    assert home.view.cards[0]["trusted"] == card["links"]
    assert (await stores.dataset.export_zip("cups", tmp_path)).exists()
    say(home, "do", action="undo")
    await until(lambda: len(home.view.cards[0]["links"]) == 2)
    assert home.view.cards[0]["trusted"] == []
    with pytest.raises(InvalidDatasetError):
        await stores.dataset.export_zip("cups", tmp_path / "again.zip")


async def test_what_was_said_of_links_is_taken_back_from_the_card(
    home: HomePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    await stores.dataset.create("cups", ["cup"])
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.jpg").write_bytes(jpeg(1))
    train = tmp_path / "data" / "cups" / "images" / "train"
    (train / "a.jpg").symlink_to(tmp_path / "far" / "a.jpg")
    far = [str(tmp_path / "far")]
    say(home, "do", action="trust_links", name="cups", folders=far)
    await until(lambda: home.view.cards and home.view.cards[0]["trusted"] == far)
    say(home, "do", action="distrust_links", name="cups")
    await until(lambda: home.view.cards[0]["links"] == far)
    assert home.view.cards[0]["trusted"] == []
    assert "not followed any more" in home.model.status.text
    with pytest.raises(InvalidDatasetError):
        await stores.dataset.export_zip("cups", tmp_path)
    say(home, "do", action="undo")
    await until(lambda: home.view.cards[0]["trusted"] == far)


async def test_what_was_said_of_links_before_outlives_an_undo(
    home: HomePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    await stores.dataset.create("cups", ["cup"])
    train = tmp_path / "data" / "cups" / "images" / "train"
    for number, where in enumerate(("far", "later")):
        (tmp_path / where).mkdir()
        (tmp_path / where / f"{where}.jpg").write_bytes(jpeg(number))
    (train / "far.jpg").symlink_to(tmp_path / "far" / "far.jpg")
    await home.model.trust_links("cups", [str(tmp_path / "far")])
    (train / "later.jpg").symlink_to(tmp_path / "later" / "later.jpg")
    await home.model.trust_links("cups", [str(tmp_path / "later")])
    await home.model.undo()
    [card] = home.view.cards
    assert card["links"] == [str(tmp_path / "later")]


async def test_a_dataset_whose_data_yaml_is_a_link_can_be_helped_from_its_card(
    home: HomePanel, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    await stores.dataset.create("cups", ["cup"])
    (tmp_path / "far").mkdir()
    yaml = tmp_path / "data" / "cups" / "data.yaml"
    yaml.rename(tmp_path / "far" / "data.yaml")
    yaml.symlink_to(tmp_path / "far" / "data.yaml")
    await home.refresh()
    [card] = home.view.cards
    assert "lead out of it" in card["problem"]
    say(home, "do", action="trust_links", name="cups", folders=card["links"])
    await until(lambda: not home.view.cards[0]["problem"])
