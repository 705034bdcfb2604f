"""Boxes that lie on each other, and boxes of a suspicious size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import BoxRef, counted
from workbench.datasets.health.evidence import Evidence, images_of
from workbench.datasets.health.findings import Finding
from workbench.geometry import area, xywh_to_xyxy
from workbench.persistence.models import LabelTable

SAME_IOU = 0.9
"""Overlap from which two boxes are about one thing."""

MOST_LISTED = 1_000_000
"""Boxes that one finding names and one repair changes: each takes some hundred bytes."""

CROWD = 2000  # boxes on one image
_ROUNDING = 1e-9
_FEWEST = 20  # boxes of a class from which its sizes have a distribution
_DEVIATIONS = 6.0
_FACTOR = 8.0  # times larger or smaller in area than the class's median, at least
_LEAST_SPREAD = 0.25  # of the logarithm of the area: classes of one fixed size have none
_BORDER = 0.005  # what touches the border may be a part of something larger
_SMALLEST_PIXELS = 2.0
_WHOLE, _MODEST = 0.95, 0.25  # sides of a box of the whole image; area that leaves room around

Indices = npt.NDArray[np.int64]
_Chosen = npt.NDArray[np.bool_]


def check_overlaps(evidence: Evidence) -> Iterator[Finding]:
    """Find rows that stand twice, boxes drawn twice, and boxes of two classes on one thing."""
    labels = evidence.labels
    first, second = _overlapping(evidence)
    same_class = labels.class_id[first] == labels.class_id[second]
    equal = same_class & (labels.boxes[first] == labels.boxes[second]).all(axis=1)
    equal[equal] = _written_alike(evidence, first[equal], second[equal])
    again = np.unique(second[equal])
    # What stands twice is told of once; without the copies, the rest are pairs of their own.
    fresh = ~np.isin(first, again) & ~np.isin(second, again)
    if len(again):
        refs = _refs(evidence, again)
        yield Finding(
            "duplicate-box",
            f"{counted(len(again), 'row')} written twice in a label file",
            "Ultralytics removes the copies when it reads them; other tools count them twice.",
            images_of(refs),
            refs,
            [evidence.repairs.remove_boxes("Remove the copies", refs)],
            _left_out(again),
        )
    twice = np.unique(second[same_class & ~equal & fresh])
    if len(twice):
        refs = _refs(evidence, twice)
        yield Finding(
            "near-duplicate-box",
            f"{counted(len(twice), 'box', 'boxes')} drawn again over one of the same class",
            f"Two boxes that overlap by more than {SAME_IOU:.0%} (IoU) are about one thing: the "
            "model is taught to find it twice.",
            images_of(refs),
            refs,
            [evidence.repairs.remove_boxes("Remove the later ones", refs)],
            _left_out(twice),
        )
    disputed = ~same_class & fresh
    if disputed.any():
        both = np.column_stack([first[disputed], second[disputed]])
        refs = _refs(evidence, both.reshape(-1))
        names = evidence.classes
        details = [
            f"{a.split}/{a.filename}: {names[labels.class_id[i]]} and {names[labels.class_id[j]]}"
            for (i, j), a in zip(both[: MOST_LISTED // 2].tolist(), refs[::2], strict=True)
        ]
        yield Finding(
            "contradicting-box",
            f"{counted(len(both), 'pair')} of boxes of two classes on one thing",
            "Whatever the model answers there, one of the two boxes calls it wrong.",
            images_of(refs),
            list(dict.fromkeys(refs)),
            details=details,
        )


def _refs(evidence: Evidence, boxes: Indices) -> list[BoxRef]:
    return [evidence.box_ref(box) for box in boxes[:MOST_LISTED].tolist()]


def _left_out(boxes: Indices) -> list[str]:
    """Say so where there are more boxes than are named."""
    if len(boxes) <= MOST_LISTED:
        return []
    return [f"the first {MOST_LISTED:,} are named here; repair these and check again for the rest"]


def _written_alike(evidence: Evidence, first: Indices, second: Indices) -> _Chosen:
    """Return of which pairs of equal boxes the rows are equal too.

    Two polygons may well have one box around them, and are two things nevertheless.
    """
    alike = np.ones(len(first), dtype=np.bool_)  # of files of plain boxes, equal boxes are
    reports = {(report.split, report.filename): report for report in evidence.inspection.files}
    images = evidence.labels.image_index[first]
    order = np.argsort(images, kind="stable")
    for pairs in np.split(order, np.flatnonzero(np.diff(images[order])) + 1):
        report = reports.get(evidence.label_keys[images[pairs[0]]]) if len(pairs) else None
        if report is None:
            continue
        rows = {row.position: row.values for row in report.rows}
        for pair in pairs.tolist():
            one, other = evidence.positions[[first[pair], second[pair]]].tolist()
            alike[pair] = rows.get(one, ()) == rows.get(other, ())
    return alike


def _overlapping(evidence: Evidence) -> tuple[Indices, Indices]:
    """Return the pairs of boxes on one image that overlap by more than `SAME_IOU`.

    Of many equal boxes on a crowded image only the first is paired with each other one.
    """
    labels = evidence.labels
    corners = xywh_to_xyxy(labels.boxes)
    firsts, seconds = _copies(labels)
    rest = np.setdiff1d(np.arange(len(labels)), seconds)
    rest = rest[np.lexsort((corners[rest, 0], labels.image_index[rest]))]
    one, other = _overlapping_in_order(labels.image_index[rest], corners[rest])
    one, other = rest[one], rest[other]
    first = np.concatenate([firsts, np.minimum(one, other)])
    second = np.concatenate([seconds, np.maximum(one, other)])
    order = np.lexsort((second, first))
    return first[order], second[order]


def _copies(labels: LabelTable) -> tuple[Indices, Indices]:
    """Return pairs of the first and each other of the equal boxes on crowded images.

    A faulty script may write one row 100,000 times, of which all pairs would fill the memory.
    """
    crowded = np.bincount(labels.image_index, minlength=1) > CROWD
    among = np.flatnonzero(crowded[labels.image_index])
    columns = (labels.image_index, labels.class_id, *labels.boxes.T)
    keys = np.column_stack([column[among] for column in columns])
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    firsts = first[inverse.reshape(-1)] if len(among) else np.empty(0, np.int64)
    is_copy = firsts != np.arange(len(among))
    return among[firsts[is_copy]], among[is_copy]


def _overlapping_in_order(
    image: Indices, corners: npt.NDArray[np.float64]
) -> tuple[Indices, Indices]:
    """Return the pairs that overlap, of boxes ordered by image and left edge."""
    areas, widths = area(corners), corners[:, 2] - corners[:, 0]
    firsts, seconds = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    left = np.arange(len(image), dtype=np.int64)
    step = 0
    while len(left):
        step += 1
        left = left[left + step < len(image)]
        # Where this partner is on another image, or begins too far right, so do all further on.
        apart = corners[left + step, 0] - corners[left, 0]
        reach = (1 - SAME_IOU) * widths[left] + _ROUNDING
        near = (image[left] == image[left + step]) & (apart <= reach)
        left = left[near]
        other = left + step
        top_left = np.maximum(corners[left, :2], corners[other, :2])
        size = np.clip(np.minimum(corners[left, 2:], corners[other, 2:]) - top_left, 0, None)
        shared = size[:, 0] * size[:, 1]
        near = shared > SAME_IOU * (areas[left] + areas[other] - shared)
        firsts.append(left[near])
        seconds.append(other[near])
    return np.concatenate(firsts), np.concatenate(seconds)


def check_sizes(evidence: Evidence) -> Iterator[Finding]:
    """Find boxes far larger or smaller than their class's others."""
    huge, tiny = _outliers(evidence)
    for kind, chosen, what, why in (
        (
            "huge-box",
            huge,
            "far larger than the others of their class",
            "Often a slip of the mouse, or a box around a whole group; it teaches a wrong size.",
        ),
        (
            "tiny-box",
            tiny,
            "far smaller than the others of their class, or under two pixels",
            "Often a click by mistake: nothing in it can be learnt.",
        ),
    ):
        boxes = np.flatnonzero(chosen)
        refs = _refs(evidence, boxes)
        if refs:
            yield Finding(
                kind,
                f"{counted(len(boxes), 'box', 'boxes')} {what}",
                why,
                images_of(refs),
                refs,
                [evidence.repairs.remove_boxes("Remove these boxes", refs)],
                _left_out(boxes),
            )


def _outliers(evidence: Evidence) -> tuple[_Chosen, _Chosen]:
    labels = evidence.labels
    sizes = labels.boxes[:, 2:]
    logs = np.log(np.maximum(sizes.prod(axis=1), 1e-16))
    pixels = evidence.sizes_of_labelled[labels.image_index] * sizes
    tiny = np.zeros(len(labels), dtype=np.bool_)
    tiny[((pixels > 0) & (pixels < _SMALLEST_PIXELS)).any(axis=1)] = True
    huge = np.zeros(len(labels), dtype=np.bool_)
    corners = xywh_to_xyxy(labels.boxes)
    inside = ((corners >= _BORDER) & (corners <= 1 - _BORDER)).sum(axis=1) == 4
    for class_id in range(len(evidence.classes)):
        own = np.flatnonzero(labels.class_id == class_id)
        if len(own) < _FEWEST:
            continue
        away = logs[own] - np.median(logs[own])
        # The median absolute deviation, scaled to the standard deviation of a normal one.
        spread = max(1.4826 * float(np.median(np.abs(away))), _LEAST_SPREAD)
        bound = max(_DEVIATIONS * spread, np.log(_FACTOR))
        huge[own[away > bound]] = True
        if np.median(logs[own]) < np.log(_MODEST):
            huge[own[(sizes[own] > _WHOLE).all(axis=1)]] = True
        tiny[own[(away < -bound) & inside[own]]] = True
    return huge, tiny
