"""Boxes as a canvas has them, in pixels, and as the label store has them, in shares. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from workbench import geometry
from workbench.panels.annotate.messages import CanvasBox
from workbench.persistence.models import Annotation, Prediction
from workbench.persistence.suggestions import Suggestion

Size = tuple[int, int]
"""Width and height of an image in pixels."""


def canvas_boxes(annotations: Sequence[Annotation], size: Size) -> tuple[CanvasBox, ...]:
    """Return annotations as a canvas shows them; predictions wait for review there."""
    pixels = geometry.to_pixels([a.xywh for a in annotations], *size).tolist()
    return tuple(
        CanvasBox(
            annotation.class_id,
            (row[0], row[1], row[2], row[3]),
            score=annotation.confidence if isinstance(annotation, Prediction) else None,
            source="prediction" if isinstance(annotation, Prediction) else "",
            source_id=annotation.source if isinstance(annotation, Suggestion) else "",
        )
        for annotation, row in zip(annotations, pixels, strict=True)
    )


def annotations_of(
    boxes: Sequence[CanvasBox], size: Size, stored: Sequence[Annotation]
) -> list[Annotation]:
    """Return the boxes of a canvas as annotations.

    Parameters
    ----------
    boxes : sequence of CanvasBox
    size : tuple of int
    stored : sequence of Annotation
        What the label file holds: boxes that nobody moved keep their digits of the file.
    """
    pixels = geometry.to_pixels([a.xywh for a in stored], *size).tolist()
    kept = {tuple(row): a.xywh for row, a in zip(pixels, stored, strict=True)}
    xyxy = geometry.as_boxes([box.xyxy for box in boxes])
    fresh = geometry.to_normalised(xyxy, *size).tolist()
    return [
        Annotation(box.class_id, *kept.get(tuple(row), tuple(xywh)))
        for box, row, xywh in zip(boxes, xyxy.tolist(), fresh, strict=True)
    ]


def predictions_of(boxes: Sequence[CanvasBox], size: Size) -> list[Prediction]:
    """Return the boxes that wait for review on a canvas as predictions."""
    xywh = geometry.to_normalised([box.xyxy for box in boxes], *size).tolist()
    return [
        Prediction(box.class_id, row[0], row[1], row[2], row[3], box.score or 0.0)
        for box, row in zip(boxes, xywh, strict=True)
    ]
