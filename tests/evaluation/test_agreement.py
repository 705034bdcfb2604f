"""The same predictions and labels through Ultralytics' own code, and through pycocotools."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.detections import Case, random_case
from workbench.evaluation.coco import AREAS, measure_by_size
from workbench.evaluation.confusion import confusion_matrix
from workbench.evaluation.matching import IOU_THRESHOLDS, match
from workbench.evaluation.metrics import measure
from workbench.training.environment import import_ultralytics

SEEDS = range(8)


@pytest.fixture(scope="module", autouse=True)
def _ultralytics() -> None:
    import_ultralytics()


def _batches(case: Case):
    import torch

    for image in range(len(case.sizes)):
        mine = case.detections.image_index == image
        labels = case.truth.image_index == image
        yield (
            {
                "cls": torch.tensor(case.detections.class_id[mine], dtype=torch.float32),
                "conf": torch.tensor(case.detections.confidence[mine], dtype=torch.float32),
                "bboxes": torch.tensor(case.detections.boxes[mine], dtype=torch.float32),
            },
            {
                "cls": torch.tensor(case.truth.class_id[labels], dtype=torch.float32),
                "bboxes": torch.tensor(case.truth.boxes[labels], dtype=torch.float32),
            },
        )


def _by_ultralytics(case: Case, tmp_path: Path):
    """Ultralytics' validator, matrix and metrics over the same boxes; no model, no images."""
    from ultralytics.models.yolo.detect import DetectionValidator
    from ultralytics.utils.metrics import ConfusionMatrix, DetMetrics

    names = dict(enumerate(case.names))
    validator = DetectionValidator(save_dir=tmp_path)
    metrics, matrix, correct = DetMetrics(names), ConfusionMatrix(names), []
    for predictions, labels in _batches(case):
        found = validator._process_batch(predictions, labels)["tp"]
        correct.append(found)
        classes = labels["cls"].numpy()
        metrics.update_stats(
            {
                "tp": found,
                "target_cls": classes,
                "target_img": np.unique(classes),
                "conf": predictions["conf"].numpy(),
                "pred_cls": predictions["cls"].numpy(),
                "im_name": "",
            }
        )
        matrix.process_batch(predictions, labels)
    metrics.process(tmp_path)
    return metrics, matrix, np.concatenate(correct)


def test_the_thresholds_are_those_of_ultralytics() -> None:
    import torch

    theirs = torch.linspace(0.5, 0.95, 10).numpy()
    np.testing.assert_array_equal(IOU_THRESHOLDS.astype(np.float32), theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_matches_curves_and_averages_are_those_of_ultralytics(seed: int, tmp_path: Path) -> None:
    case = random_case(seed, num_images=30)
    theirs, _, correct = _by_ultralytics(case, tmp_path)
    np.testing.assert_array_equal(match(case.detections, case.truth).correct, correct)
    ours = measure(case.detections, case.truth, case.names, 30)
    assert 0.05 < ours.map < 0.95
    assert [row.class_id for row in ours.classes] == theirs.ap_class_index.tolist()
    np.testing.assert_allclose(ours.average_precision, theirs.box.all_ap, atol=1e-6)
    np.testing.assert_allclose(ours.curves.f1, theirs.box.f1_curve, atol=1e-5)
    np.testing.assert_allclose(ours.curves.precision, theirs.box.p_curve, atol=1e-4)
    np.testing.assert_allclose(ours.curves.recall, theirs.box.r_curve, atol=1e-5)
    np.testing.assert_allclose(ours.curves.precision_at_recall, theirs.box.prec_values, atol=1e-5)
    np.testing.assert_allclose(
        [ours.precision, ours.recall, ours.map50, ours.map], theirs.mean_results(), atol=1e-5
    )
    assert [row.labels for row in ours.classes] == theirs.nt_per_class.tolist()
    assert [row.images for row in ours.classes] == theirs.nt_per_image.tolist()
    assert ours.map75 == pytest.approx(theirs.box.map75, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_boxes_are_matched_as_ultralytics_does(seed: int, tmp_path: Path) -> None:
    # Coarse coordinates give equal IoUs, also IoUs that are a threshold exactly. Confidences
    # stay distinct: Ultralytics sorts equal ones in no defined order.
    coarse = random_case(seed, num_images=30, ties=True)
    rng = np.random.default_rng(seed)
    jitter = np.sort(rng.random(len(coarse.detections)) * 1e-3)[::-1]
    detections = coarse.detections
    case = Case(
        coarse.truth,
        type(detections)(
            detections.image_index,
            detections.class_id,
            detections.boxes,
            detections.confidence + jitter,
        ),
        coarse.sizes,
        coarse.num_classes,
    )
    theirs, _, correct = _by_ultralytics(case, tmp_path)
    np.testing.assert_array_equal(match(case.detections, case.truth).correct, correct)
    ours = measure(case.detections, case.truth, case.names, 30)
    np.testing.assert_allclose(ours.average_precision, theirs.box.all_ap, atol=1e-4)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_confusion_matrix_is_that_of_ultralytics(seed: int, ties: bool, tmp_path: Path) -> None:
    case = random_case(seed, num_images=30, ties=ties)
    _, matrix, _ = _by_ultralytics(case, tmp_path)
    ours = confusion_matrix(case.detections, case.truth, case.names)
    np.testing.assert_array_equal(ours.counts, matrix.matrix)
    assert ours.counts[:-1, :-1].sum() > 10


def _by_pycocotools(case: Case) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """AP (class, threshold) and recall by range of areas."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    clipped = case.detections.clipped(case.sizes)

    def rows(columns, **more):
        left_top, size = columns.boxes[:, :2], columns.boxes[:, 2:] - columns.boxes[:, :2]
        boxes = np.concatenate([left_top, size], axis=1)
        for number, box in enumerate(boxes.tolist()):
            yield {
                "id": number + 1,
                "image_id": int(columns.image_index[number]) + 1,
                "category_id": int(columns.class_id[number]) + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                **{name: float(values[number]) for name, values in more.items()},
            }

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": number + 1} for number in range(len(case.sizes))],
            "categories": [{"id": number + 1} for number in range(case.num_classes)],
            "annotations": list(rows(case.truth)),
        }
        coco.createIndex()
        found = coco.loadRes(list(rows(clipped, score=clipped.confidence)))
        evaluation = COCOeval(coco, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]  # thresholds, recalls, classes, areas
    recall = evaluation.eval["recall"][..., -1]
    result = {}
    for place, name in enumerate(AREAS):
        ap = precision[..., place]
        ap = np.where(ap.min(axis=1) < 0, np.nan, ap.mean(axis=1)).T
        result[name] = (ap, np.where(recall[..., place] < 0, np.nan, recall[..., place]).T)
    return result


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_averages_by_size_are_those_of_pycocotools(seed: int, ties: bool) -> None:
    case = random_case(seed, num_images=30, ties=ties)
    theirs = _by_pycocotools(case)
    ours = measure_by_size(case.detections.clipped(case.sizes), case.truth, case.num_classes)
    assert [row.size for row in ours] == list(theirs)
    for row in ours:
        ap, recall = theirs[row.size]
        assert row.labels > 0
        np.testing.assert_allclose(row.average_precision, ap, atol=1e-6)
        np.testing.assert_allclose(row.highest_recall, recall, atol=1e-6)
        assert row.ap == pytest.approx(np.nanmean(ap), abs=1e-6)


def test_more_than_a_hundred_predictions_of_a_class_are_cut_off_as_pycocotools_does() -> None:
    case = random_case(5, num_images=2, num_classes=1)
    detections = case.detections
    many = type(detections)(
        np.repeat(detections.image_index, 30),
        np.repeat(detections.class_id, 30),
        np.repeat(detections.boxes, 30, axis=0) + np.random.default_rng(1).normal(0, 3),
        np.random.default_rng(2).random(30 * len(detections)),
    )
    order = np.lexsort((-many.confidence, many.image_index))
    crowded = Case(case.truth, many.keep(order), case.sizes, 1)
    assert np.bincount(crowded.detections.image_index).max() > 100
    theirs = _by_pycocotools(crowded)
    ours = measure_by_size(crowded.detections.clipped(case.sizes), case.truth, 1)
    for row in ours:
        np.testing.assert_allclose(row.average_precision, theirs[row.size][0], atol=1e-6)
