"""The curate panel without a page: driven from Python, asserted through raw files."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.waiting import eventually
from workbench.errors import ClassesInUseError, ConflictError, NotFoundError
from workbench.panels.curate import CuratePanel
from workbench.panels.curate import statistics as statistics_page
from workbench.panels.curate.model import CurateModel
from workbench.panels.curate.versions import NOW
from workbench.panels.shared.changing import BusyError
from workbench.panels.shared.status import StoppedError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Progress

ROW = "0 0.5 0.5 0.25 0.25\n"
OTHER_ROW = "1 0.25 0.25 0.125 0.25\n"


def scene(seed: int) -> np.ndarray:
    """A picture unlike all others, uint8 BGR."""
    coarse = np.random.default_rng(seed).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(picture, (40 + seed, 30), (100, 90), (255, 255, 255), 2)
    return picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight images of train and two of val, all labelled; a.txt has one box twice."""
    root = tmp_path / "data" / "ds"
    for split in ("train", "val", "test"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: red dog\n"
    )
    for seed, (split, name) in enumerate(
        [*(("train", n) for n in "abcdefgh"), *(("val", n) for n in "vw")]
    ):
        cv2.imwrite(str(root / "images" / split / f"{name}.jpg"), scene(seed))
        (root / "labels" / split / f"{name}.txt").write_text(ROW + OTHER_ROW)
    (root / "labels" / "train" / "a.txt").write_text(ROW + ROW + OTHER_ROW)
    return root


@pytest.fixture
def stores(root: Path, tmp_path: Path) -> Stores:
    return create_stores(root.parent, tmp_path / "models")


@pytest.fixture
async def model(stores: Stores) -> CurateModel:
    made = CurateModel(stores)
    await made.open("ds")
    return made


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[CuratePanel]:
    made = CuratePanel("ds", stores)
    await made.open("ds")
    yield made
    made.close()


@pytest.fixture
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens the panel waits for no library that only some tables need."""
    monkeypatch.setitem(sys.modules, "pandas", None)


def labels(root: Path, name: str = "a", split: str = "train") -> str:
    return (root / "labels" / split / f"{name}.txt").read_text()


def names(root: Path, split: str) -> set[str]:
    return {file.stem for file in (root / "images" / split).iterdir()}


async def test_the_dataset_is_named(panel: CuratePanel, stores: Stores) -> None:
    assert ">ds</h3>" in panel.name.value
    assert panel.name in panel.work.view.children
    await stores.dataset.create("a & b", ["c"])
    await panel.open("a & b")
    await eventually(lambda: ">a &amp; b</h3>" in panel.name.value, "named")


# Health


async def test_a_repair_is_previewed_applied_checked_again_and_undone(
    model: CurateModel, root: Path
) -> None:
    report = await model.check()
    assert "duplicate-box" in report.kinds
    assert report.examined == 10
    before = labels(root)
    assert "train/a.jpg" in await model.preview_repair("duplicate-box")
    assert labels(root) == before

    await model.repair("duplicate-box")
    assert labels(root).splitlines() == [*ROW.splitlines(), *OTHER_ROW.splitlines()]
    assert model.report is not None
    assert model.report is not report
    assert "duplicate-box" not in model.report.kinds
    assert model.undo_text

    await model.undo()
    assert labels(root) == before
    assert "duplicate-box" in model.report.kinds
    assert model.undo_text == ""
    assert model.status.text.startswith("Undone: ")


async def test_the_second_check_reads_only_what_is_new(model: CurateModel, root: Path) -> None:
    await model.check()
    cv2.imwrite(str(root / "images" / "train" / "new.jpg"), scene(90))
    assert (await model.check()).examined == 1
    assert model.status.text.startswith("11 images checked, 1 of them new or changed: ")


async def test_a_repair_of_nothing_found_is_refused(model: CurateModel) -> None:
    with pytest.raises(ValueError, match="duplicate-box: the last check has found nothing"):
        await model.repair("duplicate-box")
    await model.check()
    with pytest.raises(ValueError, match="found 9"):
        await model.preview_repair("duplicate-box", 9)


async def test_stopping_a_check_leaves_no_report_and_the_next_one_works(
    model: CurateModel,
) -> None:
    shown: list[str] = []

    def stop_once(change: dict[str, object]) -> None:
        shown.append(model.work.what)
        if model.work.total and len(shown) < 5:
            model.stop()

    model.observe(stop_once, "work")
    model.stop()  # of nothing: must not stop what starts later
    checking = asyncio.create_task(model.check())
    await asyncio.sleep(0)
    model.stop()
    with pytest.raises(StoppedError):
        await checking
    assert model.report is None
    assert model.work.what == ""
    model.unobserve(stop_once, "work")
    assert len(await model.check()) > 0
    assert "Checking" in shown


async def test_only_one_thing_is_done_at_a_time(model: CurateModel) -> None:
    first = asyncio.create_task(model.check())
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match=r"Checking is not done yet"):
        await model.plan_splits({"train": 1})
    await first


async def test_opening_another_dataset_stops_the_check_and_forgets_undo(
    model: CurateModel, stores: Stores
) -> None:
    await stores.dataset.create("other", classes=["bird"])
    await model.rename_class("cat", "tiger")
    await model.apply_classes()
    checking = asyncio.create_task(model.check())
    await asyncio.sleep(0)
    await model.open("other")
    with pytest.raises(StoppedError):
        await checking
    assert (model.dataset, model.classes, model.undo_text) == ("other", ["bird"], "")
    assert model.report is None
    with pytest.raises(NotFoundError):
        await model.open("missing")
    assert model.dataset == "other"


# Splits


async def test_a_split_is_planned_then_applied_then_undone(model: CurateModel, root: Path) -> None:
    with pytest.raises(ValueError, match="Press Preview first"):
        await model.apply_splits()
    plan = await model.plan_splits({"train": 50, "val": 50}, seed=3)
    assert len(names(root, "val")) == 2
    assert model.status.text == f"{len(plan.moves)} images would move."
    await model.apply_splits()
    assert len(names(root, "train")) == len(names(root, "val")) == 5
    assert model.split_plan is None
    await model.undo()
    assert names(root, "val") == {"v", "w"}


async def test_a_plan_that_is_out_of_date_moves_nothing(model: CurateModel, root: Path) -> None:
    await model.plan_splits({"train": 50, "val": 50})
    (root / "images" / "train" / "h.jpg").rename(root / "images" / "test" / "h.jpg")
    with pytest.raises(ConflictError, match="plan again"):
        await model.apply_splits()
    assert names(root, "val") == {"v", "w"}


# Classes


async def test_classes_are_renamed_merged_reordered_and_deleted(
    model: CurateModel, root: Path
) -> None:
    await model.rename_class(0, " tiger ")
    assert "tiger" not in (root / "data.yaml").read_text()
    await model.apply_classes()
    assert model.classes == ["tiger", "red dog"]
    await model.reorder_classes([1, 0])
    await model.apply_classes()
    assert model.classes == ["red dog", "tiger"]
    assert labels(root, "b") == "1 0.5 0.5 0.25 0.25\n0 0.25 0.25 0.125 0.25\n"

    with pytest.raises(ClassesInUseError, match="11 boxes"):
        await model.delete_class("tiger")
    assert model.class_plan is None
    await model.delete_class("tiger", with_boxes=True)
    await model.apply_classes()
    assert labels(root, "b") == "0 0.25 0.25 0.125 0.25\n"
    await model.undo()
    await model.merge_classes([0, 1], 1)
    await model.apply_classes()
    assert model.classes == ["tiger"]
    assert {line[0] for line in labels(root).splitlines()} == {"0"}

    for _ in range(3):
        await model.undo()
    assert model.classes == ["cat", "red dog"]
    assert labels(root, "b") == ROW + OTHER_ROW
    with pytest.raises(ValueError, match="at least one other class"):
        await model.merge_classes([1], 1)


# Versions


async def test_a_version_is_frozen_compared_restored_and_deleted(
    model: CurateModel, root: Path
) -> None:
    await model.freeze(" first ", "before cleaning")
    assert [(v.name, v.note) for v in model.versions] == [("first", "before cleaning")]
    (root / "labels" / "train" / "b.txt").write_text(ROW)
    difference = await model.compare("first")
    assert (difference.boxes_added, difference.boxes_removed) == (0, 1)
    await model.rename_class("cat", "tiger")
    await model.apply_classes()
    difference = await model.compare("first")
    assert difference.classes == (["cat", "red dog"], ["tiger", "red dog"])
    assert difference.renamed == {"cat": "tiger"}
    assert (difference.boxes_added, difference.boxes_removed) == (0, 1)

    await model.restore("first")
    assert model.classes == ["cat", "red dog"]
    assert labels(root, "b") == ROW + OTHER_ROW
    assert [v.automatic for v in model.versions] == [False, True]
    await model.undo()
    assert labels(root, "b") == ROW
    await model.delete_version("first")
    assert "first" not in [v.name for v in model.versions]


# The view


async def test_a_button_pressed_at_once_waits_until_the_dataset_is_open(stores: Stores) -> None:
    early = CuratePanel("ds", stores)
    early.health.check.click()
    await eventually(lambda: early.model.report is not None, "checked")
    assert early.status.text.startswith("10 images checked")
    early.close()


async def test_the_health_page_shows_findings_and_repairs_them(
    panel: CuratePanel, root: Path
) -> None:
    page = panel.health
    assert "Not checked yet" in page.findings.empty
    page.check.click()
    await eventually(lambda: bool(page.findings.findings), "checked")
    kinds = [finding["kind"] for finding in page.findings.findings]
    assert page.findings.chosen == kinds[0]
    page.findings.chosen = "duplicate-box"
    assert page.finding is not None
    assert page.images_button.description == "Show 1 image"
    assert page.apply_button.disabled
    assert "Press Preview first" in page.apply_button.tooltip
    page.preview_button.click()
    await eventually(lambda: "train/a.jpg" in page._shown.value, "previewed")
    assert not page.apply_button.disabled
    page.apply_button.click()
    await eventually(lambda: "duplicate-box" not in str(page.findings.findings), "repaired")
    assert labels(root).count("\n") == 2
    assert page.findings.chosen == ""
    assert page.detail.layout.display == "none"
    panel.undo_button.click()
    await eventually(lambda: "duplicate-box" in str(page.findings.findings), "undone")
    assert labels(root).count("\n") == 3


async def test_images_that_are_not_there_are_named_not_shown(
    panel: CuratePanel, root: Path
) -> None:
    (root / "images" / "train" / "gone.jpg").symlink_to("nowhere.jpg")
    await panel.check()
    page = panel.health
    page.findings.chosen = "missing-image"
    assert "train/gone.jpg" in page._about.value
    assert page.images_button.layout.display == "none"
    page.findings.chosen = "duplicate-box"
    assert page.images_button.layout.display is None


async def test_images_of_a_finding_open_in_the_gallery_and_nothing_else(
    panel: CuratePanel, root: Path
) -> None:
    wanted = [("val", "w.jpg"), ("train", "c.jpg"), ("train", "a.jpg")]
    gallery = await panel.show_images(wanted, "just these")
    assert await gallery.search("") == wanted
    assert await gallery.search("sort:name split:train") == [("train", "a.jpg"), ("train", "c.jpg")]
    await gallery.select_all()
    await gallery.model.delete()
    assert await gallery.search("") == [("val", "w.jpg")]
    await panel.back()
    assert panel.gallery is None
    # The change is heard of, too: whoever looks again first is not waited for by the other.
    await eventually(
        lambda: panel.model.statistics is not None and panel.model.statistics.num_images == 8,
        "counted again",
    )


async def test_the_statistics_page_draws_once_it_is_looked_at(
    panel: CuratePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = panel.statistics
    assert page.plots is None
    assert "Counting" in page._tables.children[0].value
    may_draw, draw = threading.Event(), statistics_page._figures
    monkeypatch.setattr(
        statistics_page, "_figures", lambda found: may_draw.wait(30) and draw(found)
    )
    panel.tabs.selected_index = 1
    await eventually(
        lambda: any("red dog" in table.value for table in page._tables.children), "numbers first"
    )
    assert page.plots is None
    assert "Drawing" in page._plots_box.children[0].value
    may_draw.set()
    await eventually(lambda: panel.model.is_measured and page.plots is not None, "drawn")
    assert page.plots is not None
    titles = [json.loads(figure)["layout"]["title"]["text"] for figure in page.plots.figures]
    assert titles[:2] == ["Boxes by class", "Boxes per image"]
    assert len(titles) == 7
    await eventually(lambda: "160 × 120" in page._tables.children[-1].value, "measured")
    html = "".join(table.value for table in page._tables.children)
    assert "red dog" in html


@pytest.mark.usefixtures("without_pandas")
async def test_the_splits_page_shows_what_would_move(panel: CuratePanel, root: Path) -> None:
    page = panel.splits
    page.shares["train"].value = page.shares["val"].value = 50
    page.preview_button.click()
    await eventually(lambda: "would move" in page.table.value, "planned")
    page.seed.value = 7
    assert page.table.value == ""
    page.apply_button.click()
    await eventually(lambda: "Press Preview first" in panel.status.text, "refused")
    assert panel.status.tone == "problem"
    page.preview_button.click()
    await eventually(lambda: "would move" in page.table.value, "planned again")
    page.apply_button.click()
    await eventually(lambda: len(names(root, "val")) == 5, "moved")


async def test_the_splits_page_keeps_together_what_looks_alike(
    panel: CuratePanel, root: Path
) -> None:
    picture = cv2.imread(str(root / "images" / "train" / "a.jpg"))
    for name in ("v", "w"):
        cv2.imwrite(str(root / "images" / "val" / f"{name}.jpg"), picture - picture // 10)
    page = panel.splits
    page.shares["train"].value = page.shares["val"].value = 50
    page.group_by.value = "looks"
    page.preview_button.click()
    await eventually(lambda: "would move" in page.table.value, "planned")
    page.apply_button.click()
    await eventually(lambda: bool(panel.model.undo_text), "moved")
    assert any({"a", "v", "w"} <= names(root, split) for split in ("train", "val"))


async def test_the_classes_page_gives_a_class_a_colour(panel: CuratePanel, root: Path) -> None:
    page = panel.classes
    page.kind.value, page.which.value, page.colour.value = "colour", 1, "#123456"
    page.preview_button.click()
    await eventually(lambda: "red dog" in page.preview.value, "previewed")
    page.apply_button.click()
    await eventually(lambda: "rgb(18, 52, 86)" in page.table.value, "shown in the table")
    assert "red dog: '#123456'" in (root / "data.yaml").read_text()
    await panel.model.undo()
    assert "#123456" not in (root / "data.yaml").read_text()


async def test_the_classes_page_renames_and_puts_in_order(panel: CuratePanel, root: Path) -> None:
    page = panel.classes
    assert (page.which.value, page.into.value, page.order.value) == (0, 0, 0)
    assert "red dog" in page.table.value
    page.which.value, page.name.value = 1, "<wolf>"
    page.preview_button.click()
    await eventually(lambda: "&lt;wolf&gt; (1)" in page.preview.value, "previewed")
    page.apply_button.click()
    await eventually(lambda: "&lt;wolf&gt;" in page.table.value, "renamed")
    assert "<wolf>" in (root / "data.yaml").read_text()

    page.kind.value = "reorder"
    page.order.index = 1
    page.up_button.click()
    page.preview_button.click()
    await eventually(lambda: "cat (1)" in page.preview.value, "previewed order")
    page.apply_button.click()
    await eventually(lambda: labels(root, "b").startswith("1 "), "reordered")


@pytest.mark.usefixtures("without_pandas")
async def test_a_command_comes_after_what_the_panel_reads_by_itself(
    model: CurateModel, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, may_end, look = asyncio.Event(), asyncio.Event(), model._look_again

    async def slow(progress: Progress) -> None:
        reads.set()
        await may_end.wait()
        await look(progress)

    monkeypatch.setattr(model, "_look_again", slow)
    (root / "labels" / "train" / "b.txt").write_text(ROW)
    reading = asyncio.create_task(model.refresh())
    await reads.wait()
    asked = asyncio.create_task(model.rename_class("cat", "tiger"))
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="Reading the dataset"):
        await model.rename_class("cat", "lion")  # one can wait, not a row of them
    assert model.class_plan is None
    may_end.set()
    await reading
    await asked
    assert model.class_plan is not None
    assert "tiger" in model.class_plan.classes


async def test_the_versions_page_asks_before_it_restores(panel: CuratePanel, root: Path) -> None:
    page = panel.versions
    page.name.value = "first"
    page.freeze_button.click()
    await eventually(lambda: "first" in page.table.value, "frozen")
    assert page.name.value == ""
    assert (page.first.value, page.second.value) == ("first", NOW)
    (root / "labels" / "train" / "b.txt").write_text(ROW)
    page.compare_button.click()
    await eventually(lambda: "train/b.jpg" in page.comparison.value, "compared")
    await panel.model.rename_class("cat", "tiger")
    await panel.model.apply_classes()
    page.compare_button.click()
    renamed = "class &#x27;cat&#x27; renamed to &#x27;tiger&#x27;."
    await eventually(lambda: renamed in page.comparison.value, "compared again")
    assert "became" not in page.comparison.value

    page.restore_button.click()
    await eventually(lambda: "Restore <b>first</b>" in page.confirmation._words.value, "asked")
    assert labels(root, "b") == ROW
    page.confirmation._no.click()
    assert page.confirmation.view.layout.display == "none"
    page.restore_button.click()
    await eventually(lambda: page.confirmation.view.layout.display is None, "asked again")
    page.confirmation._yes.click()
    await eventually(lambda: labels(root, "b") == ROW + OTHER_ROW, "restored")


async def test_a_class_is_added_on_the_classes_page(panel: CuratePanel, root: Path) -> None:
    page = panel.classes
    page.kind.value = "add"
    assert (page.which.layout.display, page.name.layout.display) == ("none", None)
    page.preview_button.click()
    await eventually(lambda: "name of the class is empty" in panel.status.text, "refused")
    page.name.value = " wolf "
    page.preview_button.click()
    await eventually(lambda: "wolf (2)" in page.preview.value, "previewed")
    page.apply_button.click()
    await eventually(lambda: "wolf" in page.table.value, "added")
    assert "2: wolf" in (root / "data.yaml").read_text()
    await panel.undo()
    assert "wolf" not in (root / "data.yaml").read_text()


async def test_what_would_change_nothing_is_not_applied(model: CurateModel) -> None:
    await model.rename_class("cat", "cat")
    assert model.status.text == "Nothing would change."
    with pytest.raises(ValueError, match="nothing to apply"):
        await model.apply_classes()
    await model.plan_splits({"train": 0.8, "val": 0.2})
    await model.apply_splits()
    await model.plan_splits({"train": 0.8, "val": 0.2})
    with pytest.raises(ValueError, match="nothing would move"):
        await model.apply_splits()


async def test_options_that_are_gone_are_not_chosen_on_the_page(panel: CuratePanel) -> None:
    sources = panel.classes.sources
    sources.value = (0, 1)
    told: list[tuple[int, int]] = []
    sources.observe(
        lambda change: told.append((len(sources.options), max(sources.index, default=-1))),
        ("index", "_options_labels"),
    )
    await panel.model.merge_classes(["red dog"], "cat")
    await panel.model.apply_classes()
    assert len(sources.options) == 1
    assert [row for row in told if row[1] >= row[0]] == []


async def test_a_page_that_is_turned_to_shows_what_others_have_changed(
    panel: CuratePanel, root: Path
) -> None:
    (root / "labels/train/b.txt").write_text(ROW * 3)
    panel.tabs.selected_index = 3
    await eventually(lambda: '<td class="">13</td>' in panel.classes.table.value, "seen")
    page = panel.splits
    page.preview_button.click()
    await eventually(lambda: "would move" in page.table.value, "planned")
    plan = panel.model.split_plan
    await panel.refresh()
    assert panel.model.split_plan is plan  # nothing has changed
    (root / "labels/train/b.txt").write_text(ROW)
    await panel.refresh()
    assert panel.model.split_plan is None


async def test_looking_again_is_in_nobodys_way(panel: CuratePanel) -> None:
    refreshed = asyncio.create_task(panel.refresh())
    await panel.check()
    await refreshed
    assert panel.model.status.text.startswith("10 images checked")


async def test_an_error_does_not_stay_when_what_was_asked_for_next_is_done(
    panel: CuratePanel,
) -> None:
    await panel.model.freeze("v1")
    panel.versions.freeze_button.click()  # without a name
    await eventually(lambda: panel.status.tone == "problem", "refused")
    panel.versions.compare_button.click()
    await eventually(lambda: "No difference" in panel.versions.comparison.value, "compared")
    assert (panel.status.text, panel.status.tone) == ("", "info")


async def test_shares_that_are_no_percentages_are_explained(panel: CuratePanel) -> None:
    page = panel.splits
    for split in ("train", "val", "test"):
        page.shares[split].value = 50
    page.preview_button.click()
    await eventually(lambda: "would move" in page.table.value, "planned")
    assert "the shares add up to 150" in page.table.value
    page.seed.value = -1
    assert page.seed.value == 0


async def test_a_dataset_without_images_is_neither_good_nor_bad(
    stores: Stores, tmp_path: Path
) -> None:
    await stores.dataset.create("none", ["cat"])
    panel = CuratePanel("none", stores)
    await panel.check()
    assert panel.status.text == panel.health.findings.empty == "There are no images to check yet."
    panel.tabs.selected_index = 1
    page = panel.statistics
    await eventually(lambda: "no images yet" in page._tables.children[0].value, "drawn")
    panel.close()


async def test_without_boxes_only_the_sizes_of_images_are_drawn(
    stores: Stores, panel: CuratePanel, root: Path
) -> None:
    for file in root.glob("labels/*/*.txt"):
        file.unlink()
    await panel.refresh()
    panel.tabs.selected_index = 1
    page = panel.statistics
    await eventually(lambda: page.plots is not None and bool(page.plots.figures), "drawn")
    assert page.plots is not None
    assert len(page.plots.figures) == 1
    assert "no boxes yet" in page._tables.children[-1].value


async def test_without_a_dataset_the_panel_says_so(tmp_path: Path) -> None:
    empty = CuratePanel(None, create_stores(tmp_path / "none", tmp_path / "models"))
    await eventually(lambda: empty.status.text == "There is no dataset yet.", "said")
    empty.close()


async def test_what_cannot_be_pressed_says_why(panel: CuratePanel) -> None:
    splits, classes, versions = panel.splits, panel.classes, panel.versions
    for button in (splits.apply_button, classes.apply_button):
        assert button.disabled
        assert "Press Preview first" in button.tooltip
    for button in (versions.compare_button, versions.restore_button, versions.delete_button):
        assert button.disabled
        assert "freeze one first" in button.tooltip
    await panel.model.plan_splits({"train": 1, "val": 1})
    await panel.model.rename_class("cat", "tomcat")
    await panel.model.freeze("v1")
    assert not splits.apply_button.disabled
    assert not classes.apply_button.disabled
    assert not versions.restore_button.disabled
    await panel.model.rename_class("cat", "cat")
    assert "nothing to apply" in classes.apply_button.tooltip
