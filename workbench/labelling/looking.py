"""What a network finds on pictures, whole or in tiles, and as predictions of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench import geometry
from workbench.datasets.prelabelling import Frame
from workbench.geometry import clip_xywh, to_normalised
from workbench.labelling.network import Found, Network
from workbench.labelling.predictor import detect_frames
from workbench.labelling.tiling import join, tile_side, tiles_of
from workbench.persistence.models import Prediction

_ONE_THING = 0.7


def found_on(
    network: Network,
    frames: Sequence[Frame],
    confidence: float,
    object_size: float | None,
    *,
    tiles: bool,
) -> list[Found]:
    """Return what a network finds on pictures; blocks until it is done.

    Parameters
    ----------
    object_size : float or None
        Side in pixels of a typical small object, if it is known.
    tiles : bool
        Cut pictures on which objects are small for the network.
    """
    size = network.round_size(None)
    found: list[Found | None] = [None] * len(frames)
    whole = []
    for place, frame in enumerate(frames):
        height, width = frame.shape[:2]
        side = tile_side(width, height, size, object_size) if tiles else None
        if side is None:
            whole.append(place)
        else:
            found[place] = _in_tiles(network, frame, side, confidence)
    plain = detect_frames(network, [frames[place] for place in whole], confidence)
    for place, one in zip(whole, plain, strict=True):
        found[place] = one
    return [one for one in found if one is not None]


def _in_tiles(network: Network, frame: Frame, side: int, confidence: float) -> Found:
    height, width = frame.shape[:2]
    tiles = [(0, 0, width, height), *tiles_of(width, height, side)]
    pieces = [frame[top:bottom, left:right] for left, top, right, bottom in tiles]
    parts = detect_frames(network, pieces, confidence)
    shifts = [np.array([left, top, left, top], dtype=np.float64) for left, top, *_ in tiles]
    return Found(
        *join(
            tiles,
            [part.boxes + shift for part, shift in zip(parts, shifts, strict=True)],
            [part.class_id for part in parts],
            [part.confidence for part in parts],
        )
    )


def once_each(found: Found, class_ids: Sequence[int]) -> Found:
    """Give boxes other classes; of two that are the same thing then, the surer one stays.

    Parameters
    ----------
    class_ids : sequence of int
        The new class by the old one.
    """
    classes = np.asarray(class_ids, dtype=np.int64)[found.class_id]
    overlap = geometry.iou(found.boxes, found.boxes) if len(classes) else np.zeros((0, 0))
    overlap[classes[:, None] != classes[None, :]] = 0
    kept: list[int] = []
    for place in range(len(classes)):  # the most confident first
        if not kept or overlap[place, kept].max() <= _ONE_THING:
            kept.append(place)
    return Found(found.boxes[kept], classes[kept], found.confidence[kept])


def predictions_of(
    found: Found, frame: Frame, chosen: Mapping[int, int | None] | None = None
) -> list[Prediction]:
    """Return boxes as predictions.

    Parameters
    ----------
    chosen : mapping of int to int or None, optional
        Class of the dataset by class of the network; None: left out. Default: the same.
    """
    height, width = frame.shape[:2]
    boxes = clip_xywh(to_normalised(found.boxes, width, height)).tolist()
    rows = zip(found.class_id.tolist(), boxes, found.confidence.tolist(), strict=True)
    return [
        Prediction(class_id, xywh[0], xywh[1], xywh[2], xywh[3], score)
        for own_id, xywh, score in rows
        if (class_id := own_id if chosen is None else chosen.get(own_id)) is not None
        and xywh[2] > 0
        and xywh[3] > 0
    ]
