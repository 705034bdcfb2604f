"""Really trained models as labellers, from the store and from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.training import Trained, shapes
from workbench.datasets.dataset import Dataset
from workbench.datasets.prelabelling import Task
from workbench.errors import NotFoundError
from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor

ANYTHING = 1e-5  # after two epochs a model is sure of nothing
TASK = Task(["disc", "Squares"])


@pytest.fixture
def predictor(trained: Trained) -> Iterator[Predictor]:
    predictor = Predictor(trained.stores, device="cpu")
    yield predictor
    predictor.close()


def frames(count: int) -> list[np.ndarray]:
    found = [image.content for image in shapes(count, 0)]
    assert all(isinstance(frame, np.ndarray) for frame in found)
    return found  # type: ignore[return-value]


async def test_the_active_model_suggests_with_the_datasets_classes(predictor: Predictor) -> None:
    labeller = ModelLabeller(predictor, confidence=ANYTHING)
    with pytest.raises(RuntimeError, match="start"):
        await labeller.label(frames(1))
    source = await labeller.start(TASK)
    active = await predictor.choose()
    assert (source.kind, source.name) == ("model", active.name)
    assert source.digest == await predictor.weights_digest(active)
    assert labeller.mapping is not None
    assert labeller.mapping.by_name == {"square": "Squares", "disc": "disc"}
    pictures = frames(3)
    found = await labeller.label(pictures)
    expected = await predictor.predict_many(pictures, ANYTHING)
    assert [[(1 - p.class_id, p.confidence) for p in one] for one in expected] == [
        [(p.class_id, p.confidence) for p in one] for one in found
    ]
    assert any(found)


async def test_a_file_of_weights_suggests_the_same(
    predictor: Predictor, trained: Trained, tmp_path: Path
) -> None:
    active = await predictor.choose()
    weights = tmp_path / "other.pt"
    weights.write_bytes((await trained.stores.model.load(active.name)).read_bytes())
    one, two = ModelLabeller(predictor), ModelLabeller(predictor, weights)
    first, second = await one.start(TASK), await two.start(TASK)
    assert (second.kind, second.name, second.digest) == ("weights", "other", first.digest)
    assert await one.label(frames(2)) == await two.label(frames(2))
    with pytest.raises(NotFoundError, match="expected a weights file"):
        await ModelLabeller(predictor, tmp_path / "none.pt").start(TASK)
    written = ModelLabeller(predictor, str(weights))  # as people write a path
    assert await written.start(TASK) == second


async def test_classes_can_be_chosen(predictor: Predictor) -> None:
    mapping = {"square": None, "disc": "bean"}
    labeller = ModelLabeller(predictor, mapping=mapping, confidence=ANYTHING)
    await labeller.start(Task(["bean", "pea"]))
    found = await labeller.label(frames(4))
    assert {p.class_id for one in found for p in one} <= {0}
    with pytest.raises(NotFoundError, match="none is the same by name; rename classes in Curate"):
        await ModelLabeller(predictor).start(Task(["bean", "pea"]))


async def test_large_pictures_go_in_tiles(predictor: Predictor) -> None:
    """What is found on a small picture is found where it stands on a large one."""
    [small] = frames(1)
    height, width = small.shape[:2]
    large = np.full((height * 8, width * 8, 3), 114, np.uint8)
    large[height : 2 * height, 2 * width : 3 * width] = small
    tiled = ModelLabeller(predictor, confidence=ANYTHING)
    plain = ModelLabeller(predictor, confidence=ANYTHING, tiles=False)
    task = Task(TASK.classes, {}, object_size=height / 4)
    one, two = await tiled.start(task), await plain.start(task)
    assert one.id != two.id
    [found], [without] = await tiled.label([large]), await plain.label([large])
    assert len(found) > 0
    assert all(p.x - p.width / 2 >= 0 and p.x + p.width / 2 <= 1 + 1e-9 for p in found)
    assert [p.xywh for p in found] != [p.xywh for p in without]
    sides = [p.width * large.shape[1] for p in found]
    assert min(sides) < min(p.width * large.shape[1] for p in without)


async def test_a_dataset_is_prelabelled_by_a_model(predictor: Predictor, trained: Trained) -> None:
    dataset = Dataset(trained.stores, trained.run.config.dataset)
    labeller = ModelLabeller(predictor, confidence=ANYTHING)
    done = await dataset.prelabel("split:val", labeller)
    assert done.images > 0
    assert done.boxes == len(await dataset.suggestions())
    await trained.stores.image.drop_suggestions(trained.run.config.dataset, done.source.id)
