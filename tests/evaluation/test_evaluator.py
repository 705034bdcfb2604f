"""Evaluations of a really trained model, beside Ultralytics' own validation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.backends import BACKENDS, make_backend
from tests.helpers.training import CLASSES, Trained, shapes
from workbench.errors import ImportFormatError, InvalidModelError, NotFoundError
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.evaluator import Evaluator
from workbench.evaluation.matching import Detections
from workbench.evaluation.metrics import Metrics, measure
from workbench.evaluation.thresholds import kept_thresholds
from workbench.geometry import clip_xywh, to_normalised
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, NewImage
from workbench.training.environment import import_ultralytics

SIZES = ((64, 64), (96, 48), (50, 90), (64, 64), (120, 200), (33, 70), (64, 40))
"""Height and width; several batches' worth of shapes."""

SURE = 0.3  # leaves fewer boxes than the 300 for each image that both stop at
LARGE = 256  # at which it proposes boxes that lie inside the images


@dataclass
class Bench:
    stores: Stores
    predictor: Predictor
    evaluator: Evaluator


def pictures(count: int) -> Iterator[tuple[str, np.ndarray]]:
    for number, image in enumerate(shapes(count, 0)):
        height, width = SIZES[number % len(SIZES)]
        assert isinstance(image.content, np.ndarray)
        yield f"image_{number:02d}.png", np.asarray(cv2.resize(image.content, (width, height)))


@pytest.fixture(scope="module")
def weights(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is wrong, but with boxes of sensible size and of many confidences."""
    import_ultralytics()
    import torch
    from ultralytics import YOLO

    yolo = YOLO(trained.run.path / "weights" / "best.pt")
    spread_confidences(yolo.model, [cv2.resize(frame, (LARGE, LARGE)) for _, frame in pictures(20)])
    with torch.no_grad():
        for sides in yolo.model.model[-1].cv2:
            sides[-1].bias.view(4, -1)[:, 2:4] += 6  # of 16 distances, in strides
    path = tmp_path_factory.mktemp("weights") / "spread.pt"
    yolo.save(path)
    return path


def spread_confidences(network: Any, frames: Sequence[np.ndarray]) -> None:
    """Let a network that has hardly been trained give many different confidences.

    Its batch normalisation has seen too little to know the means of the features, so that
    nearly all positions of a picture come out equal to the last bit: 97 % of its confidences
    had an equal one. Which of equals comes first is left to a sort that is not stable, and
    that NumPy does in another way on another processor; average precision depends on it. So
    the means are taken from pictures, and each position differs from them in its own way.
    """
    import torch

    batch = np.stack(frames)[..., ::-1].transpose(0, 3, 1, 2) / np.float32(255)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all that is seen from now on
    with torch.no_grad():
        network.float().train()(torch.from_numpy(batch))
        network.eval()
        for classes in network.model[-1].cv3:
            classes[-1].weight *= 2  # so that some are sure and some are not


@pytest.fixture(
    params=[
        # The stores' contract is kept by each; here a disk and a bucket differ most.
        pytest.param(name, marks=pytest.mark.nightly if name in {"memory", "sqlite"} else ())
        for name in sorted(BACKENDS)
    ]
)
async def bench(
    request: pytest.FixtureRequest, weights: Path, tmp_path: Path
) -> AsyncIterator[Bench]:
    """A dataset of drawn shapes of several sizes, and a trained model, in both stores."""
    stores = make_backend(request.param, tmp_path).stores
    await stores.model.save("tiny", weights, "x", "mixed", class_names=CLASSES)
    await stores.model.set_active("tiny")
    predictor = Predictor(stores, device="cpu")
    evaluator = Evaluator(stores, predictor)
    drawn = [image.annotations for image in shapes(20, 0)]
    images = [
        NewImage(filename, "val", frame, labels)
        for (filename, frame), labels in zip(pictures(20), drawn, strict=True)
    ]
    await stores.dataset.create_from("mixed", CLASSES, images)
    yield Bench(stores, predictor, evaluator)
    predictor.close()


def _near(proposed: Evaluation) -> dict[tuple[str, str], list[Annotation]]:
    """Labels close to some of the predictions, so that a poor model is right at times."""
    rng = np.random.default_rng(0)
    labels: dict[tuple[str, str], list[Annotation]] = {}
    for image, filename in enumerate(proposed.filenames):
        inside = (proposed.detections.boxes == proposed.clipped.boxes).all(axis=1)
        rows = np.flatnonzero(inside & (proposed.detections.image_index == image))
        width, height = proposed.sizes[image]
        boxes = proposed.clipped.boxes[rows]
        boxes += rng.normal(0, 0.03, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        labels["val", filename] = [
            Annotation(class_id, *box)
            for class_id, box in zip(
                proposed.detections.class_id[rows].tolist(),
                clip_xywh(to_normalised(boxes, width, height)).tolist(),
                strict=True,
            )
        ]
    return labels


async def test_predictions_and_numbers_are_those_of_ultralytics_val(
    bench: Bench, tmp_path: Path
) -> None:
    proposed = await bench.evaluator.evaluate("mixed", confidence=SURE, image_size=LARGE)
    await bench.stores.label.save_many("mixed", _near(proposed))
    ours = await bench.evaluator.evaluate("mixed", confidence=SURE, image_size=LARGE, refresh=True)
    kept = await kept_thresholds(bench.stores, "mixed", ours.weights_digest)
    assert kept is not None
    assert kept.scores == ours.best_thresholds
    view = await bench.stores.dataset.snapshot("mixed", tmp_path / "view")
    found, theirs = await asyncio.to_thread(
        _validate, await bench.stores.model.load("tiny"), view.data_yaml, tmp_path
    )
    assert len(ours.detections) == sum(len(rows) for rows in found.values()) > 100
    confidences = np.sort(np.concatenate([rows[:, 4] for rows in found.values()]))
    assert np.diff(confidences).astype(bool).mean() > 0.99
    for image, filename in enumerate(ours.filenames):
        mine = ours.detections.keep(ours.detections.image_index == image)
        rows = found[filename]
        np.testing.assert_allclose(mine.confidence, rows[:, 4], atol=1e-5)
        # Boxes are compared where confidences differ enough to tell which is which.
        apart = np.abs(np.diff(mine.confidence, prepend=2, append=-1))
        clear = (apart[:-1] > 1e-5) & (apart[1:] > 1e-5)
        np.testing.assert_allclose(mine.boxes[clear], rows[clear, :4], atol=0.02)
        np.testing.assert_array_equal(mine.class_id[clear], rows[clear, 5])
    # The numbers of the same predictions are the same.
    metrics = measure(_columns(ours, found), ours.truth, ours.classes, len(ours.filenames))
    np.testing.assert_allclose(_summary(metrics), theirs.mean_results(), atol=1e-6)
    np.testing.assert_allclose([row.ap for row in metrics.classes], theirs.box.ap, atol=1e-6)
    # Predictions made in other batches differ in their last bits, so some change places.
    assert ours.metrics.map50 > 0.01
    np.testing.assert_allclose(_summary(ours.metrics), theirs.mean_results(), atol=5e-3)


def _summary(metrics: Metrics) -> list[float]:
    return [metrics.precision, metrics.recall, metrics.map50, metrics.map]


def _columns(like: Evaluation, found: dict[str, np.ndarray]) -> Detections:
    """Return boxes by image in columns, images in the order of an evaluation."""
    rows = [found[filename] for filename in like.filenames]
    image = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    boxes = np.concatenate(rows).astype(np.float64)
    return Detections(image, boxes[:, 5].astype(np.int64), boxes[:, :4], boxes[:, 4])


def _validate(weights: Path, data: Path, folder: Path):
    """Ultralytics' validation; also the boxes that it saw, in pixels of the original images."""
    from ultralytics import YOLO
    from ultralytics.models.yolo.detect import DetectionValidator

    found: dict[str, np.ndarray] = {}

    class Listening(DetectionValidator):
        def update_metrics(self, preds, batch):
            for number, pred in enumerate(preds):
                height, width = batch["ori_shape"][number]
                (gain_y, gain_x), (pad_x, pad_y) = batch["ratio_pad"][number]
                boxes = pred["bboxes"].numpy() - [pad_x, pad_y, pad_x, pad_y]
                boxes = boxes / [gain_x, gain_y, gain_x, gain_y]
                rows = np.column_stack([boxes, pred["conf"].numpy(), pred["cls"].numpy()])
                found[Path(batch["im_file"][number]).name] = rows
                assert height > 0 < width
            super().update_metrics(preds, batch)

    yolo = YOLO(str(weights))
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    metrics = yolo.val(
        validator=Listening,
        data=str(data),
        conf=SURE,
        imgsz=LARGE,
        device="cpu",
        plots=False,
        verbose=False,
        project=str(folder / "val"),
    )
    return found, metrics


async def test_the_record_says_what_was_compared(bench: Bench) -> None:
    told: list[tuple[int, int]] = []
    ours = await bench.evaluator.evaluate(
        "mixed", confidence=1e-4, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(16, 20), (20, 20)]
    assert (ours.dataset, ours.split, ours.model) == ("mixed", "val", "tiny")
    assert ours.classes == tuple(CLASSES)
    assert ours.settings.image_size == 64
    assert len(ours.weights_digest) == len(ours.labels_digest) == 64
    sizes = {name: frame.shape[1::-1] for name, frame in pictures(20)}
    for filename, size in zip(ours.filenames, ours.sizes.tolist(), strict=True):
        assert tuple(size) == sizes[filename]
    assert ours.notes == ()


async def test_a_cell_that_ends_with_an_evaluation_shows_its_numbers_on_one_line(
    bench: Bench,
) -> None:
    evaluation = await bench.evaluator.evaluate("mixed")
    shown = repr(evaluation)
    assert f"on mixed/val: mAP50 {evaluation.metrics.map50:.3f}, " in shown
    assert (shown.count("\n"), "array" in shown) == (0, False)


async def test_an_evaluation_can_be_saved_and_loaded(bench: Bench) -> None:
    ours = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    again = Evaluation.from_bytes(ours.to_bytes())
    assert again.metrics.summary() == ours.metrics.summary()
    assert again.labels_digest == ours.labels_digest
    assert (again.filenames, again.settings, again.created_at, again.notes) == (
        ours.filenames,
        ours.settings,
        ours.created_at,
        ours.notes,
    )
    with pytest.raises(ImportFormatError, match="evaluate again"):
        Evaluation.from_bytes(ours.to_bytes()[:500])
    with pytest.raises(ImportFormatError):
        Evaluation.from_bytes(b"something else")


async def test_corrected_labels_are_compared_without_predicting_again(bench: Bench) -> None:
    first = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    filename = first.filenames[0]
    await bench.stores.label.save("mixed", "val", filename, [Annotation(1, 0.5, 0.5, 0.9, 0.9)])
    second = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert second.created_at == first.created_at  # when the model predicted
    assert second.labels_digest != first.labels_digest
    [label] = np.flatnonzero(second.truth.image_index == 0)
    width, height = second.sizes[0]
    np.testing.assert_allclose(
        second.truth.boxes[label],
        [0.05 * width, 0.05 * height, 0.95 * width, 0.95 * height],
        atol=1e-4,
    )
    fresh = await bench.evaluator.evaluate("mixed", confidence=1e-4, refresh=True)
    assert fresh.created_at > first.created_at
    assert fresh.metrics.summary() == second.metrics.summary()


async def test_another_picture_or_setting_is_predicted_again(bench: Bench) -> None:
    first = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    larger = await bench.evaluator.evaluate("mixed", confidence=1e-4, image_size=90)
    assert larger.settings.image_size == 96  # a multiple of the model's stride
    assert larger.created_at > first.created_at
    await bench.stores.image.save(
        "mixed", "val", first.filenames[0], np.full((80, 60, 3), 90, np.uint8)
    )
    changed = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert changed.created_at > larger.created_at
    assert changed.sizes[0].tolist() == [60, 80]


async def test_images_without_labels_are_left_out_unless_they_are_background(
    bench: Bench,
) -> None:
    await bench.stores.label.delete("mixed", "val", "image_00.png")
    ours = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert len(ours.filenames) == 19
    assert "image_00.png" not in ours.filenames
    [note] = ours.notes
    assert "no label file" in note
    assert "image_00.png" in note
    whole = await bench.evaluator.evaluate("mixed", confidence=1e-4, unlabelled_as_background=True)
    assert len(whole.filenames) == 20


@pytest.mark.parametrize("bench", ["filesystem"], indirect=True)
async def test_a_damaged_image_is_named_and_left_out(bench: Bench) -> None:
    info = await bench.stores.dataset.get("mixed")
    broken = info.path / "images" / "val" / "image_03.png"
    broken.write_bytes(broken.read_bytes()[:60])  # the header is whole, the picture is not
    (info.path / "images" / "val" / "image_05.png").write_bytes(b"no picture")
    ours = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert len(ours.filenames) == 18
    assert sum("image_03.png" in note or "image_05.png" in note for note in ours.notes) == 2
    assert ours.truth.image_index.max() < 18
    again = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert again.created_at == ours.created_at
    assert again.metrics.summary() == ours.metrics.summary()
    assert again.notes == ours.notes


async def test_raising_from_progress_stops_and_the_next_run_works(bench: Bench) -> None:
    def stop(done: int, total: int) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        await bench.evaluator.evaluate("mixed", confidence=1e-4, progress=stop)
    task = asyncio.create_task(bench.evaluator.evaluate("mixed", confidence=1e-4))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len((await bench.evaluator.evaluate("mixed", confidence=1e-4)).filenames) == 20


async def test_the_loop_turns_while_a_model_predicts(bench: Bench) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.create_task(turn())
    during: list[int] = []
    await bench.evaluator.evaluate(
        "mixed", confidence=1e-4, progress=lambda done, total: during.append(turns)
    )
    turning.cancel()
    assert during[-1] > during[0] > 10


async def test_classes_belong_together_by_name(bench: Bench) -> None:
    await bench.stores.dataset.update_classes("mixed", ["square", "disc", "square too"])
    whole = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert any("was not taught 'square too'" in note for note in whole.notes)
    await bench.stores.dataset.update_classes("mixed", ["kitten", "disc"])
    renamed = await bench.evaluator.evaluate("mixed", confidence=1e-4)
    assert any("'kitten' is taken for what the model calls 'square'" in n for n in renamed.notes)
    assert renamed.metrics.map == pytest.approx(whole.metrics.map)
    images = [NewImage("a.png", "val", np.zeros((64, 64, 3), np.uint8), [])]
    await bench.stores.dataset.create_from("other", ["disc", "square"], images)
    await bench.stores.dataset.create_from("strange", ["cow"], images)
    swapped = await bench.evaluator.evaluate("other", confidence=1e-6)
    assert swapped.notes == ()
    with pytest.raises(InvalidModelError, match="nothing to compare"):
        await bench.evaluator.evaluate("strange")


async def test_errors_say_what_to_do(bench: Bench) -> None:
    with pytest.raises(NotFoundError, match="mixed/train"):
        await bench.evaluator.evaluate("mixed", "train")
    with pytest.raises(NotFoundError, match="nobody"):
        await bench.evaluator.evaluate("mixed", model="nobody")
    with pytest.raises(ValueError, match="confidence"):
        await bench.evaluator.evaluate("mixed", confidence=2)
    with pytest.raises(ValueError, match="image_size"):
        await bench.evaluator.evaluate("mixed", image_size=0)
