"""Predictions of a really trained model."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.training import Trained, shapes
from workbench.errors import InvalidFrameError, InvalidModelError, NotFoundError
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores
from workbench.persistence.models import Prediction

ANYTHING = 1e-5  # after two epochs a model is sure of nothing


@pytest.fixture
def predictor(trained: Trained) -> Iterator[Predictor]:
    predictor = Predictor(trained.stores, device="cpu")
    yield predictor
    predictor.close()


def a_frame() -> np.ndarray:
    [image] = shapes(1, 0)
    assert isinstance(image.content, np.ndarray)
    return image.content


async def test_predictions_are_normalised_boxes_inside_the_image(predictor: Predictor) -> None:
    predictions = await predictor.predict(a_frame(), confidence=ANYTHING)
    assert predictions
    for found in predictions:
        assert isinstance(found, Prediction)
        assert found.class_id in {0, 1}
        assert ANYTHING <= found.confidence <= 1
        assert found.width > 0
        assert found.height > 0
        assert found.x - found.width / 2 >= -1e-9
        assert found.x + found.width / 2 <= 1 + 1e-9
        assert found.y - found.height / 2 >= -1e-9
        assert found.y + found.height / 2 <= 1 + 1e-9
    confidences = [found.confidence for found in predictions]
    assert confidences == sorted(confidences, reverse=True)


async def test_predictions_can_be_saved_as_labels(
    predictor: Predictor, persistence_stores: Stores
) -> None:
    predictions = await predictor.predict(a_frame(), confidence=ANYTHING)
    await persistence_stores.dataset.create("pre", ["square", "disc"])
    await persistence_stores.image.save("pre", "train", "a.png", a_frame())
    await persistence_stores.label.save("pre", "train", "a.png", predictions)
    saved = await persistence_stores.label.load("pre", "train", "a.png")
    assert len(saved) == len(predictions)


async def test_a_confidence_leaves_the_unsure_out(predictor: Predictor) -> None:
    everything = await predictor.predict(a_frame(), confidence=ANYTHING)
    middle = everything[len(everything) // 2].confidence
    surer = await predictor.predict(a_frame(), confidence=middle)
    assert 0 < len(surer) <= len(everything)
    assert all(found.confidence >= middle for found in surer)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
async def test_an_impossible_confidence_is_an_error(
    predictor: Predictor, confidence: float
) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        await predictor.predict(a_frame(), confidence=confidence)


async def test_a_file_and_its_pixels_give_the_same(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "ä b.png"
    path.write_bytes(cv2.imencode(".png", a_frame())[1].tobytes())
    from_file = await predictor.predict(path, confidence=ANYTHING)
    assert from_file == await predictor.predict(a_frame(), confidence=ANYTHING)
    assert from_file == await predictor.predict(str(path), confidence=ANYTHING)


async def test_many_images_give_a_list_each_in_their_order(predictor: Predictor) -> None:
    frames = [image.content for image in shapes(20, 0)]
    told: list[tuple[int, int]] = []
    found = await predictor.predict_many(
        frames, ANYTHING, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(16, 20), (20, 20)]
    for frame, predictions in list(zip(frames, found, strict=True))[::7]:
        alone = await predictor.predict(frame, ANYTHING)
        assert [p.class_id for p in alone] == [p.class_id for p in predictions]
        assert np.allclose([p.xywh for p in alone], [p.xywh for p in predictions], atol=1e-3)


async def test_images_may_come_from_a_generator(predictor: Predictor) -> None:
    found = await predictor.predict_many((a_frame() for _ in range(3)), ANYTHING)
    assert len(found) == 3


async def test_no_images_give_no_lists(predictor: Predictor) -> None:
    assert await predictor.predict_many([]) == []


async def test_the_same_predictor_works_from_several_loops_at_once(predictor: Predictor) -> None:
    def in_a_loop_of_its_own() -> list[Prediction]:
        return asyncio.run(predictor.predict(a_frame(), ANYTHING))

    here, *elsewhere = await asyncio.gather(
        predictor.predict(a_frame(), ANYTHING),
        *(asyncio.to_thread(in_a_loop_of_its_own) for _ in range(2)),
    )
    assert elsewhere == [here, here]


async def test_nothing_is_written_into_the_working_directory(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await predictor.predict(a_frame())
    assert list(tmp_path.iterdir()) == []


async def test_a_model_can_be_named(predictor: Predictor, trained: Trained) -> None:
    name = trained.run.read_model_name()
    named = await predictor.predict(a_frame(), ANYTHING, model=name)
    assert named == await predictor.predict(a_frame(), ANYTHING)
    with pytest.raises(NotFoundError, match="nobody"):
        await predictor.predict(a_frame(), model="nobody")


async def test_without_an_active_model_the_error_says_what_to_do(
    persistence_stores: Stores,
) -> None:
    with pytest.raises(NotFoundError, match=r"no model is active: train one, or choose one"):
        await Predictor(persistence_stores).predict(a_frame())


async def test_what_is_no_image_is_an_error_that_names_it(
    predictor: Predictor, tmp_path: Path
) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(InvalidFrameError, match=r"notes\.jpg"):
        await predictor.predict(tmp_path / "notes.jpg")
    with pytest.raises(NotFoundError, match=r"gone\.jpg"):
        await predictor.predict(tmp_path / "gone.jpg")
    with pytest.raises(InvalidFrameError, match="float64"):
        await predictor.predict(np.zeros((8, 8, 3)))


class _Touches:
    """A pickle that makes a file when it is read as any pickle is."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["text", "truncated", "code"])
async def test_weights_that_cannot_be_trusted_are_refused(
    trained: Trained, persistence_stores: Stores, tmp_path: Path, kind: str
) -> None:
    import torch

    weights, touched = tmp_path / "w.pt", tmp_path / "touched"
    if kind == "text":
        weights.write_text("no weights")
    elif kind == "truncated":
        whole = (trained.run.path / "weights" / "best.pt").read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])
    else:
        torch.save({"model": _Touches(str(touched))}, weights, pickle_module=pickle)
    await persistence_stores.model.save("evil", weights, "b", "d")
    with pytest.raises(InvalidModelError, match="'evil'"):
        await Predictor(persistence_stores).predict(a_frame(), model="evil")
    assert not touched.exists()
