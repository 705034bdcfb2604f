"""Scaling pictures for a model, beside Ultralytics' own scaling of the same pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.training import Trained, poisoned
from workbench.errors import InvalidModelError
from workbench.labelling.network import Network, scale_for_validation, validation_batches
from workbench.labelling.predictor import Predictor
from workbench.training.environment import import_ultralytics
from workbench.training.weights_check import import_weights

STRIDE = 32
sides = st.integers(11, 300)


@pytest.fixture(scope="module", autouse=True)
def _ultralytics() -> None:
    import_ultralytics()


@pytest.fixture
def predictor(trained: Trained) -> Iterator[Predictor]:
    predictor = Predictor(trained.stores, device="cpu")
    yield predictor
    predictor.close()


def a_picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 255, (height, width, 3), dtype=np.uint8)


@settings(deadline=None)  # the first picture pays for imports
@given(height=sides, width=sides, image_size=st.sampled_from([64, 160]))
def test_a_picture_is_scaled_for_predicting_as_ultralytics_does(
    height: int, width: int, image_size: int
) -> None:
    from ultralytics.data.augment import LetterBox

    picture = a_picture(height, width)
    theirs = LetterBox(image_size, auto=True, stride=STRIDE)(image=picture)
    ours = Network.scale(SimpleNamespace(stride=STRIDE), picture, image_size)
    np.testing.assert_array_equal(ours.pixels, theirs)
    assert ours.original == (height, width)


@settings(deadline=None)  # the first picture pays for imports
@given(height=sides, width=sides, canvas=st.sampled_from([(96, 96), (64, 96), (96, 64)]))
def test_a_picture_is_scaled_for_validating_as_ultralytics_does(
    height: int, width: int, canvas: tuple[int, int]
) -> None:
    from ultralytics.data.augment import LetterBox
    from ultralytics.data.base import BaseDataset

    picture = a_picture(height, width)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        cv2.imwrite(str(path), picture)
        dataset = SimpleNamespace(
            ims=[None],
            im_files=[str(path)],
            npy_files=[Path(folder, "a.npy")],
            cv2_flag=cv2.IMREAD_COLOR,
            imgsz=64,
            augment=False,
            cache=None,
        )
        resized, _, _ = BaseDataset.load_image(dataset, 0)
    theirs = LetterBox(canvas, auto=False, scaleup=False)(image=resized)
    ours = scale_for_validation(picture, 64, canvas)
    np.testing.assert_array_equal(ours.pixels, theirs)


@given(
    sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=40),
    batch=st.sampled_from([1, 4, 16]),
)
def test_batches_are_those_of_ultralytics(sizes: list[tuple[int, int]], batch: int) -> None:
    from ultralytics.data.base import BaseDataset

    theirs = SimpleNamespace(
        ni=len(sizes),
        batch_size=batch,
        labels=[{"shape": (height, width)} for width, height in sizes],
        im_files=list(range(len(sizes))),
        imgsz=64,
        stride=STRIDE,
        pad=0.5,
    )
    BaseDataset.set_rectangle(theirs)
    ours = validation_batches(np.array(sizes), 64, STRIDE, batch)
    assert [image for chosen, _ in ours for image in chosen.tolist()] == theirs.im_files
    assert [list(shape) for _, shape in ours] == theirs.batch_shapes.tolist()


async def test_boxes_of_a_folder_are_those_of_ultralytics_predict(
    predictor: Predictor, trained: Trained
) -> None:
    from ultralytics import YOLO

    frames = [a_picture(*shape) for shape in ((64, 64), (90, 40), (64, 64), (40, 90), (33, 200))]
    ours = await predictor.predict_many(frames, 1e-5)
    yolo = YOLO(str(await trained.stores.model.load(trained.run.read_model_name())))
    for frame, mine in zip(frames, ours, strict=True):
        [theirs] = yolo.predict(frame, conf=1e-5, device="cpu", verbose=False)
        assert len(mine) == len(theirs.boxes) > 0
        np.testing.assert_allclose(
            [one.confidence for one in mine], theirs.boxes.conf.numpy(), atol=1e-5
        )
        mine_total = np.array([one.xywh for one in mine]).sum(axis=0)
        np.testing.assert_allclose(mine_total, theirs.boxes.xywhn.numpy().sum(axis=0), rtol=1e-3)


async def test_a_model_is_asked_for_by_whoever_needs_it(
    predictor: Predictor, trained: Trained
) -> None:
    info = await predictor.choose()
    assert info.name == trained.run.read_model_name()
    names, size = await predictor.run(info, lambda network: (network.names, network.round_size(65)))
    assert names == {0: "square", 1: "disc"}
    assert size == 96
    assert len(await predictor.weights_digest(info)) == 64


async def test_a_model_that_was_trusted_by_hand_labels_until_its_file_changes(
    predictor: Predictor, trained: Trained, tmp_path: Path
) -> None:
    bait = tmp_path / "touched"
    stores = trained.stores
    frame = a_picture(64, 64)
    expected = await predictor.predict(frame, 1e-5)
    path = poisoned(trained, tmp_path, bait)
    info = await import_weights(stores, path, "stranger", trust=True)
    try:
        bait.unlink()
        assert await predictor.predict(frame, 1e-5, model="stranger") == expected
        assert not bait.exists()  # it ran when it was imported, and never again
        info.path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(InvalidModelError, match=r"'stranger'.*cannot be used"):
            await predictor.predict(frame, model="stranger")
        assert not bait.exists()
    finally:
        entry = await stores.model.delete("stranger")
        await stores.model.purge(entry.id)


async def test_code_that_nobody_trusted_is_not_run_to_label(
    predictor: Predictor, trained: Trained, tmp_path: Path
) -> None:
    bait = tmp_path / "touched"
    path = poisoned(trained, tmp_path, bait)
    await trained.stores.model.save("smuggled", path, "yolo11n.yaml", "shapes")
    try:
        with pytest.raises(InvalidModelError, match=r"'smuggled'.*cannot be used"):
            await predictor.predict(a_picture(64, 64), model="smuggled")
        assert not bait.exists()
    finally:
        entry = await trained.stores.model.delete("smuggled")
        await trained.stores.model.purge(entry.id)
