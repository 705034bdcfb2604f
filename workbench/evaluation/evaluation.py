"""What a model predicted on a split, beside what is labelled there."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import ImportFormatError
from workbench.evaluation.coco import SizeMetrics, measure_by_size
from workbench.evaluation.confusion import CONFIDENCE, ConfusionMatrix, confusion_matrix
from workbench.evaluation.matching import Detections, Truth
from workbench.evaluation.metrics import Metrics, measure
from workbench.persistence.stored_json import time_of

_FORMAT = "workbench-evaluation-1"


@dataclass(frozen=True, slots=True)
class Settings:
    """How predictions were made.

    Parameters
    ----------
    confidence : float
        Predictions at or below it were left out.
    iou : float
        Of two boxes of a class that overlap more, the less sure one was dropped.
    image_size : int
        Length in pixels of the long side that images were scaled to.
    """

    confidence: float
    iou: float
    image_size: int


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model's predictions on a split, the labels, and the numbers that follow from them.

    The numbers are computed when they are first asked for, and kept.

    Parameters
    ----------
    dataset, split, model : str
    weights_digest : str
        SHA-256 of the weights that predicted.
    classes : tuple of str
        The dataset's, by class id.
    filenames : tuple of str
        Of the images that were evaluated; `image_index` of boxes counts in these.
    sizes : ndarray of int32, shape (images, 2)
        Width and height in pixels.
    truth : Truth
    detections : Detections
        As the model gave them: not clipped to the images.
    settings : Settings
    created_at : datetime
        When the model predicted, with time zone.
    notes : tuple of str
        One sentence for each thing that was left out or taken for something else.
    """

    dataset: str
    split: str
    model: str
    weights_digest: str
    classes: tuple[str, ...]
    filenames: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    truth: Truth
    detections: Detections
    settings: Settings
    created_at: datetime
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        found = self.metrics
        return (
            f"<Evaluation of {self.model} on {self.dataset}/{self.split}: mAP50 {found.map50:.3f}, "
            f"mAP50-95 {found.map:.3f}, {found.images} images, {found.labels} boxes>"
        )

    @cached_property
    def metrics(self) -> Metrics:
        """Precision, recall and average precision as Ultralytics' validation has them."""
        return measure(self.detections, self.truth, self.classes, len(self.filenames))

    @property
    def best_thresholds(self) -> dict[str, float]:
        """The confidence with the highest F1 by class name, of classes with labels."""
        rows = self.metrics.classes
        return {
            self.classes[row.class_id]: row.best_confidence
            for row in rows
            if not np.isnan(row.best_confidence)
        }

    @cached_property
    def by_size(self) -> tuple[SizeMetrics, ...]:
        """COCO's metrics for all, small, medium and large objects."""
        return measure_by_size(self.clipped, self.truth, len(self.classes))

    @cached_property
    def clipped(self) -> Detections:
        """The predictions cut off at the images' borders."""
        return self.detections.clipped(self.sizes)

    @cached_property
    def labels_digest(self) -> str:
        """SHA-256 of the labels that were compared with: names, classes and boxes."""
        digest = hashlib.sha256(repr((self.classes, self.filenames)).encode())
        for column in (self.truth.image_index, self.truth.class_id, self.truth.boxes):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def confusion_matrix(self, confidence: float = CONFIDENCE) -> ConfusionMatrix:
        """Count which class is taken for which, by predictions above a confidence."""
        return confusion_matrix(self.detections, self.truth, self.classes, confidence=confidence)

    def to_bytes(self) -> bytes:
        """Return everything as an ``.npz`` archive; nothing in it is a pickle."""
        facts = {
            "format": _FORMAT,
            "dataset": self.dataset,
            "split": self.split,
            "model": self.model,
            "weights_digest": self.weights_digest,
            "classes": self.classes,
            "filenames": self.filenames,
            "confidence": self.settings.confidence,
            "iou": self.settings.iou,
            "image_size": self.settings.image_size,
            "created_at": self.created_at.isoformat(),
            "notes": self.notes,
        }
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
            sizes=self.sizes,
            truth_image=self.truth.image_index.astype(np.int32),
            truth_class=self.truth.class_id.astype(np.int32),
            truth_boxes=self.truth.boxes,
            image=self.detections.image_index.astype(np.int32),
            class_id=self.detections.class_id.astype(np.int32),
            boxes=self.detections.boxes.astype(np.float32),
            confidence=self.detections.confidence.astype(np.float32),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Evaluation:
        """Return what `to_bytes` wrote.

        Raises
        ------
        ImportFormatError
            If `data` is something else, or damaged.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as columns:
                facts: dict[str, Any] = json.loads(columns["facts"].tobytes())
                if facts["format"] != _FORMAT:
                    raise ValueError(f"format {facts['format']!r}")
                return cls(
                    dataset=facts["dataset"],
                    split=facts["split"],
                    model=facts["model"],
                    weights_digest=facts["weights_digest"],
                    classes=tuple(facts["classes"]),
                    filenames=tuple(facts["filenames"]),
                    sizes=columns["sizes"],
                    truth=Truth(
                        columns["truth_image"].astype(np.int64),
                        columns["truth_class"].astype(np.int64),
                        columns["truth_boxes"],
                    ),
                    detections=Detections(
                        columns["image"].astype(np.int64),
                        columns["class_id"].astype(np.int64),
                        columns["boxes"].astype(np.float64),
                        columns["confidence"].astype(np.float64),
                    ),
                    settings=Settings(facts["confidence"], facts["iou"], facts["image_size"]),
                    created_at=time_of(facts["created_at"]),
                    notes=tuple(facts["notes"]),
                )
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ImportFormatError(
                f"expected an evaluation as Workbench saves it ({_FORMAT}), found {error!r}; "
                "evaluate again"
            ) from error
