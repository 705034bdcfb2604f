"""Subsystems take their stores by constructor, so that a test can hand in what it likes.

`AsyncMock(spec=...)` plays the failures that real stores show only on bad days; everything
else is tested against real stores.
"""

from __future__ import annotations

from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from tests.helpers.pictures import jpeg
from workbench.errors import NotFoundError
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate_model import AnnotateModel
from workbench.persistence import (
    DatasetStore,
    ImageStore,
    LabelStore,
    ModelStore,
    Stores,
    create_memory_stores,
)
from workbench.persistence.models import Annotation, DatasetInfo, ImageInfo, LabelData

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
        expected_revision="1", discard_other_rows=False, what="draw",
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
