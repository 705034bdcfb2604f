"""Labels and predictions out of random numbers, as a model that is half good would make them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.evaluation.matching import Detections, Truth


@dataclass(frozen=True)
class Case:
    """Labels and predictions on the same images."""

    truth: Truth
    detections: Detections
    sizes: np.ndarray
    num_classes: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"class {number}" for number in range(self.num_classes))


def truth_of(*rows: tuple[int, int, float, float, float, float]) -> Truth:
    """Labels, each ``(image, class, left, top, right, bottom)``."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return Truth(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:])


def detections_of(*rows: tuple[int, int, float, float, float, float, float]) -> Detections:
    """Predictions, each ``(image, class, confidence, left, top, right, bottom)``."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return Detections(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 3:], table[:, 2]
    )


def random_case(
    seed: int, num_images: int = 12, num_classes: int = 3, *, ties: bool = False
) -> Case:
    """Labels of all sizes, some twice; predictions near them, beside them, and of other classes.

    With `ties`, confidences and coordinates are coarse, so that many are equal.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(200, 700, (num_images, 2))
    labels, predictions = [], []
    for image, size in enumerate(sizes):
        boxes = _boxes(rng, int(rng.integers(0, 7)), size, ties)
        classes = rng.integers(num_classes, size=len(boxes))
        if len(boxes) and rng.random() < 0.3:
            boxes, classes = np.vstack([boxes, boxes[:1]]), np.append(classes, classes[0])
        labels += [(image, c, *box) for c, box in zip(classes, boxes, strict=True)]
        scale = np.maximum(boxes[:, 2:] - boxes[:, :2], 1).repeat(2, axis=0).reshape(-1, 4)
        for _ in range(int(rng.integers(0, 4))):
            moved = boxes + rng.normal(0, 0.08, boxes.shape) * scale
            moved = np.round(moved / 4) * 4 if ties else moved
            guessed = np.where(rng.random(len(boxes)) < 0.8, classes, (classes + 1) % num_classes)
            predictions += [(image, c, *box) for c, box in zip(guessed, moved, strict=True)]
        strays = _boxes(rng, int(rng.integers(0, 5)), size, ties)
        predictions += [(image, int(rng.integers(num_classes)), *box) for box in strays]
    confidence = rng.random(len(predictions))
    confidence = np.round(confidence, 1) if ties else confidence
    rows = [(row[0], row[1], c, *row[2:]) for row, c in zip(predictions, confidence, strict=True)]
    rows = [row for row in rows if row[5] - row[3] > 1 and row[6] - row[4] > 1]
    rows.sort(key=lambda row: (row[0], -row[2]))
    return Case(truth_of(*labels), detections_of(*rows), sizes, num_classes)


def _boxes(rng: np.random.Generator, count: int, size: np.ndarray, ties: bool) -> np.ndarray:
    side = np.exp(rng.uniform(np.log(12), np.log(180), (count, 2)))
    corner = rng.random((count, 2)) * (size - side)
    boxes = np.concatenate([corner, corner + side], axis=1)
    return np.round(boxes / 4) * 4 if ties else boxes
