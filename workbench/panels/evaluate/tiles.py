"""Findings of an evaluation as small pictures, with the label and the prediction on them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.datasets.thumbnails import MARGIN, CropRequest, Thumbnail, Thumbnails
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.findings import Box, Finding
from workbench.geometry import iou, xywh_to_xyxy
from workbench.persistence import Stores

SIDE = 240
"""Pixels of a tile's picture."""

_SURROUNDINGS = 1.7  # of the boxes' longer side: enough to see what stands beside them
_LEAST_SHARE = 0.12  # of the image's shorter side: a speck alone would tell nothing
_LEAST_PIXELS = 48
_LABELS_ONLY = frozenset(("false_negative", "spurious_label"))


@dataclass(frozen=True, slots=True)
class Tile:
    """A finding as it is shown.

    Parameters
    ----------
    finding : Finding
    picture : bytes or None
        JPEG of the boxes and what is around them; None if the image cannot be read.
    shape : tuple of float
        Width and height of the part shown, in pixels of the image.
    label, prediction : tuple of float or None
        Where the boxes are in that picture: left, top, width and height as shares of it.
    problem : str
        Why there is no picture.
    """

    finding: Finding
    picture: bytes | None
    shape: tuple[float, float]
    label: Box | None
    prediction: Box | None
    problem: str = ""


class TileMaker:
    """Cuts findings out of their images, in threads.

    Parameters
    ----------
    stores : Stores
    """

    def __init__(self, stores: Stores) -> None:
        self._thumbnails = Thumbnails(stores)

    async def make(self, evaluation: Evaluation, findings: Sequence[Finding]) -> list[Tile]:
        """Return the findings with their pictures, in their order."""
        place = {name: number for number, name in enumerate(evaluation.filenames)}
        windows = [
            window(finding, *evaluation.sizes[place[finding.filename]].tolist())
            for finding in findings
        ]
        requests = [
            CropRequest((finding.split, finding.filename), _without_margin(part))
            for finding, part in zip(findings, windows, strict=True)
        ]
        pictures = await self._thumbnails.crops(evaluation.dataset, requests, size=SIDE)
        return [
            _tile(finding, part, picture, *evaluation.sizes[place[finding.filename]].tolist())
            for finding, part, picture in zip(findings, windows, pictures, strict=True)
        ]

    def close(self) -> None:
        """End the threads and free the pictures."""
        self._thumbnails.close()


def has_prediction(finding: Finding) -> bool:
    """Whether a finding's box is a prediction's, and not the label's."""
    return finding.kind not in _LABELS_ONLY


def confidence_of(evaluation: Evaluation, image: int, finding: Finding) -> float:
    """Return how sure the model was of a finding's prediction, in the image at this place."""
    detections = evaluation.clipped
    rows = np.arange(
        bisect_left(detections.image_index, image), bisect_right(detections.image_index, image)
    )
    rows = rows[detections.class_id[rows] == finding.class_id]
    width, height = evaluation.sizes[image].tolist()
    box = xywh_to_xyxy([finding.box]) * [width, height, width, height]
    best = rows[iou(box, detections.boxes[rows])[0].argmax()]
    return float(detections.confidence[best])


def window(finding: Finding, width: int, height: int) -> Box:
    """Return the part of an image to show: a square about the finding's boxes, as far as it goes.

    Parameters
    ----------
    finding : Finding
    width, height : int
        Of the image, in pixels.

    Returns
    -------
    tuple of float
        Left, top, width and height, normalised, inside the image.
    """
    boxes = [finding.box, *([finding.label_box] if finding.label_box else [])]
    corners = xywh_to_xyxy(boxes) * [width, height, width, height]
    left, top = corners[:, :2].min(axis=0).tolist()
    right, low = corners[:, 2:].max(axis=0).tolist()
    least = max(_LEAST_SHARE * min(width, height), _LEAST_PIXELS)
    side = max((right - left) * _SURROUNDINGS, (low - top) * _SURROUNDINGS, least)
    across, down = min(side, width), min(side, height)
    x = min(max((left + right - across) / 2, 0), width - across)
    y = min(max((top + low - down) / 2, 0), height - down)
    return x / width, y / height, across / width, down / height


def _without_margin(part: Box) -> Box:
    """Return the box whose crop is this part."""
    left, top, width, height = part
    scale = 1 + 2 * MARGIN
    return left + width / 2, top + height / 2, width / scale, height / scale


def _tile(
    finding: Finding, part: Box, picture: Thumbnail | Exception, width: int, height: int
) -> Tile:
    is_there = isinstance(picture, Thumbnail)
    return Tile(
        finding=finding,
        picture=picture.data if isinstance(picture, Thumbnail) else None,
        shape=(part[2] * width, part[3] * height),
        label=None if finding.label_box is None else _inside(finding.label_box, part),
        prediction=_inside(finding.box, part) if has_prediction(finding) else None,
        problem="" if is_there else str(picture),
    )


def _inside(box: Box, part: Box) -> Box:
    """Return a centred box of the image as left, top, width and height in a part of it."""
    x, y, width, height = box
    left, top, across, down = part
    return (
        (x - width / 2 - left) / across,
        (y - height / 2 - top) / down,
        width / across,
        height / down,
    )
