"""Subsystems take their stores by constructor, so that a test can hand in what it likes.

`AsyncMock(spec=...)` plays the failures that real stores show only on bad days; everything
else is tested against real stores.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unittest.mock import AsyncMock

import numpy as np
import pytest

from tests.helpers.pictures import jpeg
from workbench.capture.controller import CaptureController
from workbench.capture.push_feed import PushFeed
from workbench.capture.settings import CaptureSettings
from workbench.errors import InvalidConfigError, NotFoundError
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.model import AnnotateModel
from workbench.persistence import (
    DatasetStore,
    ImageStore,
    LabelStore,
    ModelStore,
    Stores,
    create_memory_stores,
)
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    DatasetInfo,
    ImageInfo,
    ImageTable,
    LabelData,
)
from workbench.persistence.suggestions import current_suggestions
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)


@pytest.fixture
def mocked() -> Stores:
    """Stores of one dataset with one image, which do nothing by themselves."""
    stores = Stores(
        dataset=AsyncMock(spec=DatasetStore),
        image=AsyncMock(spec=ImageStore),
        label=AsyncMock(spec=LabelStore),
        model=AsyncMock(spec=ModelStore),
    )
    info = ImageInfo("a.jpg", "train", Path("/pets/images/train/a.jpg"), 32, 24, 100)
    stores.dataset.get.return_value = DatasetInfo("pets", Path("/pets"), ["cat"])
    stores.image.list.return_value = [info]
    stores.image.get.return_value = info
    stores.image.read_bytes.return_value = jpeg(1)
    stores.label.get.return_value = LabelData("a.jpg", "train", [])
    stores.image.sources.return_value = {}
    stores.image.suggestions.return_value = current_suggestions([], [], [])
    return stores


async def test_an_edit_goes_to_the_label_store_with_its_revision(mocked: Stores) -> None:
    saved = LabelData("a.jpg", "train", [BOX], revision="2")
    mocked.label.get.return_value = LabelData("a.jpg", "train", [], revision="1")
    mocked.label.save.return_value = saved
    model = AnnotateModel(mocked, "pets")
    await model.start()
    picture = await model.open(0)
    assert await model.save(picture.key, "1", [BOX], what="draw") == saved
    mocked.label.save.assert_awaited_once_with(
        "pets", "train", "a.jpg", [BOX],
        expected_revision="1", discard_other_rows=False, what="draw", decided=(),
    )  # fmt: skip
    assert (model.state, model.labels) == ("saved", saved)


async def test_a_full_disk_is_shown_and_forgotten_after_the_next_save(mocked: Stores) -> None:
    mocked.label.save.side_effect = OSError(28, "No space left on device")
    model = AnnotateModel(mocked, "pets")
    await model.start()
    picture = await model.open(0)
    with pytest.raises(OSError, match="No space left"):
        await model.save(picture.key, "", [BOX])
    assert model.state == "not saved"
    assert "No space left" in model.why
    mocked.label.save.side_effect = None
    mocked.label.save.return_value = LabelData("a.jpg", "train", [BOX], revision="1")
    await model.save(picture.key, "", [BOX])
    assert (model.state, model.why) == ("saved", "")


async def test_a_predictor_asks_the_model_store_for_the_active_model(mocked: Stores) -> None:
    mocked.model.get_active.return_value = None
    predictor = Predictor(mocked)
    with pytest.raises(NotFoundError):
        await predictor.predict(Path("a.jpg"))
    mocked.model.get_active.assert_awaited_once_with()
    mocked.model.load.assert_not_called()
    predictor.close()


def test_a_capture_needs_an_image_store_only(mocked: Stores) -> None:
    counts = Counter(SPLITS.index(split) for split in ("train", "train", "val"))
    none = np.zeros(0, np.int64)
    mocked.image.scan.return_value = ImageTable(
        [], np.array([*counts.elements()], np.int8), none, none, none, none, [], ""
    )
    mocked.image.add_many.side_effect = lambda dataset, images, *, sources: [
        ImageInfo(image.filename, image.split, Path(image.filename)) for image in images
    ]
    feed = PushFeed(window=4)
    feed.start()
    feed.push(jpeg(1))
    settings = CaptureSettings(split={"train": 0.5, "val": 0.5}, class_name="cup")
    with CaptureController(mocked.image, feed, "cups", settings=settings) as capture:
        capture.shoot()
        assert capture.flush(20)
    mocked.dataset.get.assert_not_called()
    [call] = mocked.image.add_many.await_args_list
    dataset, [image] = call.args
    assert (dataset, image.split, image.content) == ("cups", "val", jpeg(1))
    assert call.kwargs["sources"][0].class_name == "cup"
    assert capture.status.in_dataset == {"train": 2, "val": 2, "test": 0}  # with the new one


def test_a_capture_asks_the_dataset_store_for_counts_if_it_has_one(mocked: Stores) -> None:
    mocked.image.add_many.return_value = []
    for given in (
        {"image_store": mocked.image, "dataset_store": mocked.dataset},
        {"image_store": mocked},
    ):
        mocked.dataset.get.reset_mock()
        feed = PushFeed(window=4)
        feed.start()
        feed.push(jpeg(1))
        with CaptureController(feed=feed, dataset="cups", **given) as capture:
            capture.shoot()
            assert capture.flush(20)
        mocked.dataset.get.assert_awaited_once_with("cups")
    mocked.image.scan.assert_not_called()


async def test_a_runner_takes_stores_one_by_one(mocked: Stores, tmp_path: Path) -> None:
    mocked.model.exists.return_value = True
    runner = TrainingRunner(
        mocked.dataset,
        mocked.model,
        image_store=mocked.image,
        label_store=mocked.label,
        runs_dir=tmp_path / "runs",
    )
    with pytest.raises(InvalidConfigError, match="there is a model called 'mine'"):
        await runner.start(TrainingConfig(dataset="pets", model_name="mine"))
    mocked.model.exists.assert_awaited_once_with("mine")
    mocked.model.exists.return_value = False
    mocked.label.load_all.side_effect = NotFoundError("there is no dataset 'pets'")
    with pytest.raises(NotFoundError, match="pets"):
        await runner.check(TrainingConfig(dataset="pets", base_model="yolo11n.yaml"))
    assert await runner.list_runs() == []
    assert not (tmp_path / "runs").exists()


def test_a_runner_says_what_it_is_made_from(mocked: Stores, tmp_path: Path) -> None:
    assert TrainingRunner(mocked, str(tmp_path)).runs_dir == tmp_path
    with pytest.raises(TypeError, match=r"expected \(stores, runs_dir\)"):
        TrainingRunner(mocked.dataset, mocked.model, runs_dir=tmp_path)  # type: ignore[call-overload]


async def test_the_same_subsystem_on_real_stores_in_memory() -> None:
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    model = AnnotateModel(stores, "pets")
    await model.start()
    picture = await model.open(0)
    await model.save(picture.key, picture.labels.revision, [BOX])
    assert await stores.label.load("pets", "train", "a.jpg") == [BOX]
    assert (model.labelled, model.state) == (1, "saved")
