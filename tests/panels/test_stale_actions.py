"""No action of any panel is done on what is not true any more: both states are shown instead.

Each panel's actions stand in a table here; one that is new must be put into it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.pictures import jpeg
from workbench.capture.push_feed import PushFeed
from workbench.datasets.dataset import Dataset
from workbench.datasets.decided import ChangedSinceError
from workbench.datasets.health import HealthChecker
from workbench.datasets.manager import DatasetManager
from workbench.errors import ConflictError
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.messages import CanvasBox, Edit
from workbench.panels.annotate.model import AnnotateModel, ClassesChangedError
from workbench.panels.browse import BrowsePanel
from workbench.panels.capture.model import CaptureModel
from workbench.panels.curate.model import CurateModel
from workbench.panels.evaluate.model import EvaluateModel
from workbench.panels.home.model import HomeModel
from workbench.panels.models.model import ModelsModel
from workbench.panels.train.mending import mend
from workbench.panels.train.model import TrainModel
from workbench.panels.train.sweep_model import SweepModel
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation
from workbench.training.problems import ERROR, NO_VAL, Problem

ROW = "0 0.5 0.5 0.25 0.25\n"
MANY = [Annotation(0, 0.5, 0.5, 0.02 * step, 0.2) for step in range(1, 23)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images a to d in train; c has a box, d has it twice."""
    root = tmp_path / "data" / "ds"
    for split in ("train", "val", "test"):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"
    )
    for seed, name in enumerate("abcd"):
        (root / "images" / "train" / f"{name}.jpg").write_bytes(jpeg(seed))
    (root / "labels" / "train" / "c.txt").write_text(ROW)
    (root / "labels" / "train" / "d.txt").write_text(ROW + ROW)
    return root


@pytest.fixture
def stores(root: Path, tmp_path: Path) -> Stores:
    return create_stores(root.parent, tmp_path / "models")


def everything(root: Path) -> dict[str, bytes]:
    """Return what lies in the data and models folders, but for the hidden parts."""
    files = sorted(path for path in root.parent.parent.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root.parent.parent)): path.read_bytes()
        for path in files
        if ".workbench" not in path.parts or path.name in ("tags.json", "active.json")
    }


# Browse

BROWSE: dict[str, tuple[str, dict[str, Any]]] = {
    "move": ("images", {"split": "val"}),
    "delete": ("images", {}),
    "background": ("images", {}),
    "clear": ("images", {}),
    "tag": ("images", {"tag": "good"}),
    "untag": ("images", {"tag": "good"}),
    "copy": ("images", {"name": "copied"}),
    "reclassify": ("objects", {"class_id": 1}),
    "split_off": ("objects", {"name": "kitten"}),
    "delete_boxes": ("objects", {}),
}
BROWSE_NEEDS_NO_LOOK = {
    "refresh": "changes nothing",
    "widen": "changes nothing",
    "sift": "changes nothing",
    "suggest": "adds boxes to be reviewed, and touches no label",
    "annotate": "changes nothing; the annotator has revisions of its own",
    "import": "only adds",
    "fetch_files": "fetches weights, and touches no dataset",
    "undo": "refused by the stores, see ConflictError there",
    "restore": "an entry of the trash never changes, and a place that is taken is refused",
}


OF_SUGGESTIONS = {"accept", "reject", "accept_rest"}
"""See `test_browse_suggested`."""


@pytest.fixture
async def browse(stores: Stores) -> AsyncIterator[BrowsePanel]:
    panel = BrowsePanel("ds", stores)
    await panel.search("")
    panel.follower.close()  # so that it surely knows of nothing
    yield panel
    panel.close()


def test_every_action_of_the_gallery_is_in_the_table(browse: BrowsePanel) -> None:
    known = BROWSE.keys() | BROWSE_NEEDS_NO_LOOK.keys() | OF_SUGGESTIONS
    assert set(browse._pages._actions) == known


async def do(panel: BrowsePanel, action: str) -> None:
    message = {"kind": "do", "action": action, "session": "s", **BROWSE[action][1]}
    await panel._pages.answer(message, ())


@pytest.mark.parametrize("action", BROWSE)
async def test_an_image_that_was_labelled_elsewhere_is_left_as_it_is(
    browse: BrowsePanel, stores: Stores, root: Path, action: str
) -> None:
    mode = BROWSE[action][0]
    await browse.model.show(mode)
    await browse.search("unlabelled a.jpg" if mode == "images" else "c.jpg")
    assert await browse.select_all() == 1
    name, before = ("a.jpg", "unlabelled") if mode == "images" else ("c.jpg", "1 box")
    await stores.label.save("ds", "train", name, MANY)
    untouched = everything(root)

    with pytest.raises(ChangedSinceError) as refused:
        await do(browse, action)

    assert f"train/{name}: was {before}, is 22 boxes now" in str(refused.value)
    assert everything(root) == untouched


@pytest.mark.parametrize("action", BROWSE)
async def test_what_nobody_has_touched_is_done_nevertheless(
    browse: BrowsePanel, stores: Stores, root: Path, action: str
) -> None:
    mode = BROWSE[action][0]
    await browse.model.show(mode)
    await browse.search("a.jpg or b.jpg" if mode == "images" else "c.jpg or d.jpg")
    await browse.select_all()
    left = "a.jpg" if mode == "images" else "c.jpg"
    await stores.label.save("ds", "train", left, MANY)
    labels, untouched = root / "labels" / "train" / f"{left[0]}.txt", everything(root)
    text = labels.read_text()

    await do(browse, action)

    assert f"train/{left}: was" in browse.model.status.text
    assert browse.model.status.tone == "problem"
    assert labels.read_text() == text
    if action not in ("untag", "clear"):  # there was no such tag, and nothing to clear
        assert everything(root) != untouched


async def test_who_repeats_a_refused_action_gets_it(
    browse: BrowsePanel, stores: Stores, root: Path
) -> None:
    await browse.search("a.jpg")
    await browse.select_all()
    await stores.label.save("ds", "train", "a.jpg", MANY)
    with pytest.raises(ChangedSinceError):
        await do(browse, "background")
    await do(browse, "background")
    assert (root / "labels" / "train" / "a.txt").read_text() == ""


async def test_a_listing_that_was_brought_up_to_date_does_not_change_what_was_decided_on(
    browse: BrowsePanel, stores: Stores
) -> None:
    await browse.search("a.jpg")
    await browse.select_all()
    await stores.label.save("ds", "train", "a.jpg", MANY)
    await browse.model.catch_up()
    with pytest.raises(ChangedSinceError):
        await do(browse, "delete")


async def test_what_one_has_just_done_oneself_is_no_news(browse: BrowsePanel, root: Path) -> None:
    await browse.search("a.jpg")
    await browse.select_all()
    await do(browse, "background")
    await do(browse, "clear")
    assert not (root / "labels" / "train" / "a.txt").exists()


@pytest.mark.parametrize("action", ["reclassify", "split_off", "delete_boxes"])
async def test_a_class_that_means_something_else_by_now_is_refused(
    browse: BrowsePanel, stores: Stores, root: Path, action: str
) -> None:
    await browse.model.show("objects")
    await browse.search("c.jpg")
    await browse.select_all()
    await stores.dataset.update_classes("ds", ["cat", "wolf"])
    untouched = everything(root)
    with pytest.raises(ConflictError, match="were cat, dog, and are cat, wolf now"):
        await do(browse, action)
    assert everything(root) == untouched


async def test_an_image_that_was_moved_or_replaced_elsewhere_is_told(
    browse: BrowsePanel, stores: Stores
) -> None:
    await browse.search("a.jpg or b.jpg")
    await browse.select_all()
    await stores.image.move("ds", "a.jpg", "train", "test")
    await stores.image.save_bytes("ds", "train", "b.jpg", jpeg(77))
    with pytest.raises(ChangedSinceError) as refused:
        await do(browse, "delete")
    assert "train/a.jpg: was unlabelled, is in test now" in str(refused.value)
    assert "train/b.jpg: was unlabelled, is another picture, unlabelled now" in str(refused.value)


# Curate


async def elsewhere_labelled(stores: Stores) -> None:
    await stores.label.save("ds", "train", "d.jpg", MANY)


async def elsewhere_added(stores: Stores) -> None:
    await stores.image.save_bytes("ds", "train", "new.jpg", jpeg(9))


async def elsewhere_renamed(stores: Stores) -> None:
    await stores.dataset.update_classes("ds", ["cat", "wolf"])


async def elsewhere_refrozen(stores: Stores) -> None:
    versions = Dataset(stores, "ds").versions
    await versions.delete("v1")
    await versions.freeze("v1", "another")


async def restore(model: CurateModel) -> None:
    await model.restore("v1", expected=model.comparison)


async def compared(model: CurateModel) -> None:
    await model.freeze("v1")
    await model.rename_class(1, "puppy")
    await model.apply_classes()
    await model.compare(None, "v1")


Prepare = Callable[[CurateModel], Awaitable[object]]
Elsewhere = Callable[[Stores], Awaitable[object]]
CURATE: dict[str, tuple[Prepare, Elsewhere, Callable[[CurateModel], Awaitable[object]], str]] = {
    "repair": (
        lambda m: m.check(),
        elsewhere_labelled,
        lambda m: m.repair("duplicate-box"),
        "train/d.jpg: was 2 boxes, is 22 boxes now",
    ),
    "apply_splits": (
        lambda m: m.plan_splits({"train": 1, "val": 1}),
        elsewhere_added,
        lambda m: m.apply_splits(),
        "1 new image",
    ),
    "apply_classes": (
        lambda m: m.rename_class(1, "puppy"),
        elsewhere_renamed,
        lambda m: m.apply_classes(),
        "wolf",
    ),
    "restore": (compared, elsewhere_labelled, restore, "22 removed on 1 image"),
    "delete_version": (
        lambda m: m.freeze("v1"),
        elsewhere_refrozen,
        lambda m: m.delete_version("v1"),
        "another version than the one you chose",
    ),
}
CURATE_NEEDS_NO_LOOK = {
    *("open", "refresh", "catch_up", "measure", "check", "compare", "preview_repair"),  # look
    *("plan_splits", "add_class", "rename_class", "colour_class"),  # plan
    *("merge_classes", "delete_class", "reorder_classes"),  # plan
    "freeze",  # adds
    "undo",  # refused by the stores
}


def commands(model: type) -> set[str]:
    return {
        name
        for name, function in vars(model).items()
        if inspect.iscoroutinefunction(function) and not name.startswith("_")
    }


def test_every_command_of_curate_is_in_the_table() -> None:
    assert commands(CurateModel) == CURATE.keys() | CURATE_NEEDS_NO_LOOK


@pytest.mark.parametrize("action", CURATE)
async def test_curate_does_nothing_on_what_is_not_true_any_more(
    stores: Stores, root: Path, action: str
) -> None:
    prepare, elsewhere, act, words = CURATE[action]
    model = CurateModel(stores)
    await model.open("ds")
    await prepare(model)
    await elsewhere(stores)
    untouched = everything(root)
    with pytest.raises(ConflictError) as refused:
        await act(model)
    assert words in str(refused.value)
    assert everything(root) == untouched


# Models

MODELS: dict[str, Callable[[ModelsModel], Awaitable[object]]] = {
    "activate": lambda m: m.activate("one"),
    "rename": lambda m: m.rename("one", "two"),
    "note": lambda m: m.note("one", "mine"),
    "delete": lambda m: m.delete("one"),
    "export": lambda m: m.export("one", "exported"),
    "copy": lambda m: m.copy("one", "copied"),
}
MODELS_NEED_NO_LOOK = {
    *("refresh", "check", "weights", "datasets", "images"),  # look
    *("try_image", "try_bytes", "try_frame"),  # look
    "add",  # adds
    *("restore", "purge"),  # an entry of the trash never changes
    "undo",  # refused by the stores
}


def test_every_command_of_models_is_in_the_table() -> None:
    assert commands(ModelsModel) == MODELS.keys() | MODELS_NEED_NO_LOOK


@pytest.mark.parametrize("action", MODELS)
async def test_a_model_that_was_changed_elsewhere_is_left_as_it_is(
    stores: Stores, root: Path, tmp_path: Path, action: str
) -> None:
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"weights")
    await stores.model.save("one", weights, "yolo11n", "ds")
    model = ModelsModel(stores, Predictor(stores))
    await model.refresh()
    await stores.model.update_details("one", {"note": "theirs"})
    untouched = everything(root)
    with pytest.raises(ConflictError, match="note was none, is theirs now"):
        await MODELS[action](model)
    assert everything(root) == untouched
    assert model.models[0].details["note"] == "theirs"  # it is shown now


# Home


HOME: dict[str, Callable[[HomeModel, str], Awaitable[object]]] = {
    "rename": lambda m, seen: m.rename("ds", "other", seen=seen),
    "duplicate": lambda m, seen: m.duplicate("ds", "other", seen=seen),
    "delete": lambda m, seen: m.delete("ds", seen=seen),
}
HOME_NEEDS_NO_LOOK = {
    *("refresh", "picture", "pack"),  # look
    "create",  # adds; so does what is brought in, see `ImportModel`
    "restore",  # an entry of the trash never changes
    "undo",  # refused by the stores
    "distrust_links",  # takes a consent back, whatever it is for by now
}
OF_LINKS = {"trust_links"}
"""See below: it is decided on where links lead."""


def test_every_command_of_home_is_in_the_table() -> None:
    assert commands(HomeModel) == HOME.keys() | HOME_NEEDS_NO_LOOK | OF_LINKS


@pytest.fixture
def home(stores: Stores) -> Iterator[HomeModel]:
    model = HomeModel(stores)
    yield model
    model.close()


@pytest.mark.parametrize("action", HOME)
async def test_a_dataset_that_was_changed_since_its_card_was_seen_is_left(
    home: HomeModel, stores: Stores, root: Path, action: str
) -> None:
    await home.refresh()
    [card] = home.cards
    await stores.label.save("ds", "train", "a.jpg", MANY)
    untouched = everything(root)
    with pytest.raises(ConflictError, match=r"it had 4 images, 2 labelled.*it has 4 images, 3"):
        await HOME[action](home, card["seen"])
    assert everything(root) == untouched


async def test_links_that_lead_elsewhere_by_now_are_not_trusted(
    home: HomeModel, stores: Stores, root: Path, tmp_path: Path
) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    (root / "images" / "test").rmdir()
    (root / "images" / "test").symlink_to(tmp_path / "mine")
    await home.refresh()
    [card] = home.cards
    assert card["links"] == [str(tmp_path / "mine")]
    (root / "images" / "test").unlink()
    (root / "images" / "test").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConflictError, match="lead elsewhere since you looked"):
        await home.trust_links("ds", card["links"])
    datasets = DatasetManager.on(stores)
    assert await datasets.untrusted_links("ds") == [tmp_path / "theirs"]


# Train: what it changes in a dataset are its mends. A run trains on a copy of what is there then.

TRAIN_NEEDS_NO_LOOK = {
    *("open", "refresh", "choose", "compare", "samples", "look", "watch", "wait"),  # look
    *("find_runner", "required_runner"),  # where runs of a dataset are started from
    *("start", "propose", "start_anyway"),  # add: what they train on is copied as it is then
    *("stop", "pause", "resume", "cancel", "move_up"),  # of one run, refused where it is over
    "undo_mend",  # refused by the stores
}


SWEEP_NEEDS_NO_LOOK = {
    *("choose", "refresh", "look", "watch"),  # look
    *("start", "cross_validate", "begin", "begin_folds"),  # add: on a copy of what is there then
    *("cancel", "resume"),  # of one sweep, refused where it is over
}


def test_every_command_of_train_is_in_the_table() -> None:
    assert commands(TrainModel) == {"mend"} | TRAIN_NEEDS_NO_LOOK
    assert commands(SweepModel) == SWEEP_NEEDS_NO_LOOK


async def test_a_dataset_that_was_split_elsewhere_is_not_split_again(
    stores: Stores, root: Path
) -> None:
    problem = Problem(ERROR, "there is nothing to validate on", "split", kind=NO_VAL)
    await stores.image.move("ds", "a.jpg", "train", "val")
    untouched = everything(root)
    with pytest.raises(ConflictError, match="val was empty and has 1 image now"):
        await mend(stores, "ds", problem)
    assert everything(root) == untouched


async def test_a_finding_that_is_not_so_any_more_is_not_mended(stores: Stores, root: Path) -> None:
    (root / "images" / "val" / "a.jpg").write_bytes(jpeg(0))
    checker = HealthChecker(stores)
    found = (await checker.run("ds", only=["exact-leak"]))["exact-leak"]
    problem = Problem(ERROR, found.title, "mend", images=found.images, kind="exact-leak")
    (root / "images" / "val" / "b.jpg").write_bytes(jpeg(1))
    untouched = everything(root)
    with pytest.raises(ConflictError, match="not so any more"):
        await mend(stores, "ds", problem)
    assert everything(root) == untouched


# Evaluate


def test_evaluate_changes_nothing() -> None:
    looks = {"open", "choose", "refresh", "evaluate", "evaluate_again", "tiles"}
    assert commands(EvaluateModel) == looks


# Capture

CAPTURE_NEEDS_NO_LOOK = {
    *("refresh", "catch_up", "open", "choose", "use", "stop", "result", "close", "change"),  # look
    *("record_from_start", "add_files"),  # add
    "redo",  # an entry of the trash never changes
}
CAPTURE: dict[str, Callable[[CaptureModel], Awaitable[object]]] = {
    "undo": lambda m: m.undo(),
    "undo_burst": lambda m: m.undo_burst(),
    "remove": lambda m: m.remove(m.recent[-1]),
}


def test_every_command_of_capture_is_in_the_table() -> None:
    assert commands(CaptureModel) == CAPTURE.keys() | CAPTURE_NEEDS_NO_LOOK


@pytest.mark.parametrize("action", CAPTURE)
async def test_a_picture_that_was_labelled_since_it_was_taken_is_not_taken_back(
    stores: Stores, root: Path, action: str
) -> None:
    push = PushFeed()
    model = CaptureModel(stores, push)
    await model.open("ds")
    push.start()
    model.shoot()
    push.push(np.zeros((32, 32, 3), np.uint8))
    async with asyncio.timeout(20):
        while not model.recent:
            await asyncio.sleep(0.01)
    [saved] = model.recent
    await stores.label.save("ds", "train", saved.info.filename, MANY)
    untouched = everything(root)
    await CAPTURE[action](model)
    assert everything(root) == untouched
    assert "1 picture was left, labelled" in model.notice.text
    await model.close()


# Annotate


ANNOTATE: set[str] = {"take", "save", "restore"}
"""See below; `restore` is refused by the store, see `LabelStore.revert`."""
ANNOTATE_NEEDS_NO_LOOK = {
    *("start", "switch", "catch_up", "open", "renew", "load", "look_ahead"),  # look
    *("history", "trail"),  # look
    *("tightened", "box_at", "present_labels", "size_of"),  # look
    "add_class",  # adds
}


def test_every_command_of_annotate_is_in_the_table() -> None:
    assert commands(AnnotateModel) == ANNOTATE | ANNOTATE_NEEDS_NO_LOOK


async def test_a_box_of_a_class_that_is_another_by_now_is_not_saved(
    stores: Stores, root: Path
) -> None:
    model = AnnotateModel(stores, "ds")
    await model.start()
    picture = await model.open(0)
    box = CanvasBox(1, (2.0, 2.0, 8.0, 8.0))
    edit = Edit(picture.key, "", (box,), names={1: "dog"}, session="page", seq=1)
    await stores.dataset.update_classes("ds", ["cat", "wolf"])
    await model.catch_up(frozenset({"classes"}))
    with pytest.raises(ClassesChangedError, match="'dog' is 'wolf' now"):
        await model.take(edit)
    assert not (root / "labels" / "train" / "a.txt").exists()


async def test_a_box_on_an_image_that_was_labelled_elsewhere_is_not_saved(
    stores: Stores, root: Path
) -> None:
    model = AnnotateModel(stores, "ds")
    await model.start()
    picture = await model.open(0)
    await stores.label.save("ds", "train", "a.jpg", MANY)
    untouched = everything(root)
    box = CanvasBox(1, (2.0, 2.0, 8.0, 8.0))
    with pytest.raises(ConflictError):
        await model.take(Edit(picture.key, "", (box,), session="page", seq=1))
    assert everything(root) == untouched
