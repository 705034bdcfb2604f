"""What the train panel offers to mend before a run, and what a click on it does on disk."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.training import make_shapes
from tests.helpers.waiting import eventually
from workbench.errors import ConflictError
from workbench.panels.train import TrainPanel
from workbench.panels.train.mending import mend_of
from workbench.persistence import Stores, create_stores
from workbench.training.problems import ERROR, NO_VAL, UNLABELLED, WARNING, Problem


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await make_shapes(stores)
    return stores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "shapes"


@pytest.fixture
async def panel(stores: Stores, tmp_path: Path) -> AsyncIterator[TrainPanel]:
    opened: list[tuple[str, str]] = []
    panel = TrainPanel("shapes", stores, tmp_path / "runs", go=lambda *w: opened.append(w))
    panel.opened = opened  # type: ignore[attr-defined]
    await panel.refresh()
    panel.model.base_model = "yolo11n.yaml"
    yield panel
    panel.close()


def button_of(panel: TrainPanel, words: str) -> object:
    """The button beside a problem."""
    [found] = [
        line.children[1]
        for line in panel.problem_list.children
        if len(line.children) > 1 and line.children[1].description == words
    ]
    return found


def names(root: Path, split: str) -> list[str]:
    return sorted(path.name for path in (root / "images" / split).iterdir())


async def test_without_val_split_now_moves_one_in_five_and_undo_brings_them_back(
    panel: TrainPanel, root: Path
) -> None:
    for kind in ("images", "labels"):
        for path in (root / kind / "val").iterdir():
            path.unlink()
    before = names(root, "train")
    panel.start_button.click()
    await eventually(lambda: panel.model.problems != () and not panel.model.busy)
    assert not panel.model.can_start_anyway
    button_of(panel, "Split now").click()  # type: ignore[attr-defined]
    await eventually(lambda: panel.model.said != "" and not panel.model.busy)
    moved = names(root, "val")
    assert len(moved) == round(len(before) / 5)
    assert sorted([*names(root, "train"), *moved]) == before
    assert all((root / "labels" / "val" / f"{Path(name).stem}.txt").is_file() for name in moved)
    assert "moved" in panel.status_line.text
    assert all(problem.kind != NO_VAL for problem in panel.model.problems)
    assert panel.run is None, "a mend starts nothing"

    assert panel.undo_button.description.startswith("Undo: ")
    assert "moved" in panel.undo_button.tooltip
    panel.undo_button.click()
    await eventually(lambda: names(root, "train") == before)
    assert names(root, "val") == []
    await eventually(lambda: panel.undo_button.layout.display == "none")


async def test_a_picture_in_train_and_val_is_taken_out_of_one(
    panel: TrainPanel, root: Path
) -> None:
    first = sorted((root / "images" / "train").iterdir())[0]
    shutil.copyfile(first, root / "images" / "val" / f"copy{first.suffix}")
    labels = root / "labels" / "train" / f"{first.stem}.txt"
    shutil.copyfile(labels, root / "labels" / "val" / "copy.txt")
    await panel.model.propose()
    [problem] = [each for each in panel.model.problems if each.kind == "exact-leak"]
    await panel.model.mend(problem)
    assert not (root / "images" / "val" / f"copy{first.suffix}").exists()
    assert first.exists()
    assert all(each.kind != "exact-leak" for each in panel.model.problems)
    with pytest.raises(ConflictError, match="not so any more"):
        await panel.model.mend(problem)


async def test_too_few_images_to_split_are_left_where_they_are(
    panel: TrainPanel, root: Path
) -> None:
    for split in ("train", "val"):
        for path in sorted((root / "images" / split).iterdir())[split == "train" :]:
            path.unlink()
            (root / "labels" / split / f"{path.stem}.txt").unlink(missing_ok=True)
    [kept] = names(root, "train")
    with pytest.raises(ConflictError, match="too few"):
        await panel.model.mend(Problem(ERROR, "", "", kind=NO_VAL))
    assert names(root, "train") == [kept]
    assert not panel.model.busy


async def test_a_setting_is_changed_by_its_button(panel: TrainPanel) -> None:
    panel.model.image_size, panel.model.batch = 640, 4096
    panel.start_button.click()
    await eventually(lambda: any(each.settings for each in panel.model.problems))
    [problem] = [each for each in panel.model.problems if each.settings]
    [(name, value)] = problem.settings
    button_of(panel, f"Use {name} {value}").click()  # type: ignore[attr-defined]
    await eventually(lambda: panel.model.batch == value)
    assert panel.model.problems == ()
    assert "press Start" in panel.status_line.text


async def test_what_is_done_elsewhere_has_a_door_that_leads_there(
    panel: TrainPanel, root: Path
) -> None:
    for path in list((root / "labels" / "train").iterdir())[:2]:
        path.unlink()
    panel.start_button.click()
    await eventually(lambda: panel.model.problems != ())
    button_of(panel, "Annotate").click()  # type: ignore[attr-defined]
    await eventually(lambda: panel.opened != [])  # type: ignore[attr-defined]
    assert panel.opened == [("Annotate", "shapes")]  # type: ignore[attr-defined]


def test_nothing_is_done_to_a_frozen_version() -> None:
    unlabelled = Problem(WARNING, "two images have no labels", "label them", kind=UNLABELLED)
    offer, frozen = mend_of(unlabelled), mend_of(unlabelled, version="v1")
    assert offer is not None
    assert frozen is not None
    assert offer.page == "Annotate"
    assert (frozen.words, frozen.page) == ("Use the dataset of now", "")
    assert mend_of(Problem(ERROR, "the disk is full", "free some space")) is None
