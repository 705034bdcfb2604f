"""Rows of label files that are no plain boxes, or boxes that cannot be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from workbench.datasets.changes import BoxRef, counted
from workbench.datasets.health.evidence import Evidence, images_of
from workbench.datasets.health.findings import Finding, Repair
from workbench.datasets.judging import judge
from workbench.geometry import clip_xywh
from workbench.persistence.inspection import LabelFileReport, LabelRow
from workbench.persistence.models import Annotation
from workbench.persistence.yolo.label_text import SMALLEST

FARTHEST = 1.01
"""Ultralytics drops an image with a coordinate above this, or below 0."""
# 17 keypoints (COCO) behind a box, with two or three numbers each.
_KEYPOINT_COLUMNS = frozenset({5 + 17 * 2, 5 + 17 * 3})

Found = list[tuple[LabelFileReport, LabelRow]]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The odd rows of a dataset, sorted by what they are."""

    unreadable: Found
    unknown_class: Found
    confidence: Found
    mixed: Found
    keypoints: Found
    polygons: Found
    boxes: Found


def check_forms(evidence: Evidence) -> Iterator[Finding]:
    """Find label files and rows that are no plain boxes."""
    found = _sort_rows(evidence)
    yield from _unreadable(evidence, found)
    as_box = _boxes_for(evidence)
    for kind, rows, what, why, title, new in (
        (
            "unknown-class",
            found.unknown_class,
            "of a class that the dataset does not have",
            "Ultralytics drops the whole image; add the classes that are missing, or remove the "
            "rows.",
            "Remove these rows",
            _nothing,
        ),
        (
            "confidence-column",
            found.confidence,
            "with six columns: predictions with a confidence",
            "Ultralytics drops the whole image: labels have five columns.",
            "Keep the boxes, drop the confidence",
            as_box,
        ),
        (
            "mixed-rows",
            found.mixed,
            "in files that mix boxes and polygons",
            "Ultralytics drops the whole image, or reads the boxes as polygons.",
            "Make boxes of the polygons",
            as_box,
        ),
        (
            "keypoint-rows",
            found.keypoints,
            "that look like boxes with 17 keypoints",
            "Without kpt_shape in data.yaml Ultralytics drops the whole image, or takes the "
            "keypoints for a polygon and learns a wrong box.",
            "Keep the boxes, drop the keypoints",
            as_box,
        ),
        (
            "polygon-rows",
            found.polygons,
            "that are polygons",
            "A detector is trained on the box around each polygon.",
            "Make boxes of the polygons",
            as_box,
        ),
    ):
        if rows:
            yield _finding(evidence, kind, rows, what, why, [(title, new)])


def check_ranges(evidence: Evidence) -> Iterator[Finding]:
    """Find boxes outside the image, across its border, or without area."""
    found = _sort_rows(evidence)
    outside: Found = []
    over: Found = []
    empty: Found = []
    rows = [*found.boxes, *found.confidence, *found.keypoints]
    # Of a polygon the box around it is what training looks at: a point that rounding has put a
    # little outside does no harm.
    polygons = len(rows)
    rows += found.polygons
    boxes = [
        row.values[1:5] if place < polygons else _enclosing(row.values[1:])
        for place, (_, row) in enumerate(rows)
    ]
    known = dict(zip(evidence.label_keys, evidence.sizes_of_labelled.tolist(), strict=True))
    sizes = [known.get((report.split, report.filename), (0, 0)) for report, _ in rows]
    judgement = judge(
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(sizes, dtype=np.float64).reshape(-1, 2),
    )
    faults = zip(
        *(rows, boxes, judgement.empty.tolist(), judgement.outside.tolist()),
        judgement.over.tolist(),
        strict=True,
    )
    for place, (row, box, is_empty, is_outside, is_over) in enumerate(faults):
        if min(box) < 0 or max(box) > FARTHEST:
            outside.append(row)
        elif is_empty:
            empty.append(row)
        elif is_outside or (is_over and place < polygons):
            over.append(row)
    as_box = _boxes_for(evidence)
    for kind, rows, what, why, title, new in (
        (
            "box-out-of-range",
            outside,
            "with coordinates outside 0 to 1",
            "Ultralytics drops the whole image, with all its boxes and one line in its log; some "
            "releases forgive an error of up to 0.01.",
            "Clip to the image (removes what lies outside; converts pixels)",
            as_box,
        ),
        (
            "box-over-border",
            over,
            "sticking out of the image",
            "A detector cannot see beyond the border, and learns boxes that are too large.",
            "Clip to the image",
            as_box,
        ),
        (
            "zero-area",
            empty,
            "without width or height",
            "There is nothing in such a box to learn from; often it is a click by mistake.",
            "Remove these rows",
            _nothing,
        ),
    ):
        if rows:
            yield _finding(evidence, kind, rows, what, why, [(title, new)])


NewRow = Callable[[LabelFileReport, LabelRow], Annotation | None]


def _nothing(report: LabelFileReport, row: LabelRow) -> None:
    return None


def _unreadable(evidence: Evidence, found: _Rows) -> Iterator[Finding]:
    no_text = [r for r in evidence.inspection.files if not r.rows and r.problem]
    rows = found.unreadable
    if not rows and not no_text:
        return
    repairs = []
    boxes = {id(row): box for _, row in rows if (box := _spaced(row.text, len(evidence.classes)))}
    if boxes:
        mended = [(report, row) for report, row in rows if id(row) in boxes]
        title = "Put spaces in place of commas"
        repairs.append(_repair(evidence, title, mended, lambda _, row: boxes[id(row)]))
    if rows:
        repairs.append(_repair(evidence, "Remove these rows", rows, _nothing))
    if no_text:
        keys = [(report.split, report.filename) for report in no_text]
        title = "Move files that are no text to the trash"
        repairs.append(evidence.repairs.trash_labels(title, keys))
    files = {(r.split, r.filename) for r, _ in rows} | {(r.split, r.filename) for r in no_text}
    yield Finding(
        "unreadable-labels",
        f"{counted(len(files), 'label file')} that cannot be read, or not in whole",
        "Ultralytics drops the whole image if one row of its labels is no row of numbers.",
        sorted(files),
        _refs(rows),
        repairs,
        [*_lines(rows), *(report.problem for report in no_text)],
    )


def _spaced(text: str, num_classes: int) -> Annotation | None:
    """Return the box of a row whose numbers have commas or semicolons between them, if it is one.

    Spreadsheets and scripts leave such rows; ``0,5`` for ``0.5`` is none, because nobody can
    tell then what belongs together.
    """
    columns = re.split(r"[\s,;]+", text.strip(" \t,;"))
    try:
        class_id, *box = map(float, columns)
    except ValueError:
        return None
    is_class = class_id == int(class_id) if math.isfinite(class_id) else False
    if not is_class or not 0 <= class_id < num_classes or len(box) != 4:
        return None
    if not all(0 <= value <= FARTHEST for value in box):
        return None
    clipped = clip_xywh([box])[0].tolist()
    return Annotation(int(class_id), *clipped) if min(clipped[2:]) >= SMALLEST else None


def _sort_rows(evidence: Evidence) -> _Rows:
    rows = _Rows([], [], [], [], [], [], [])
    for report in evidence.inspection.files:
        polygons = [row for row in report.rows if len(row.values) >= 7 and len(row.values) % 2]
        mixed = bool(polygons) and any(len(row.values) == 5 for row in report.rows)
        widths = {len(row.values) for row in report.rows}
        keypoints = len(widths) == 1 and widths <= _KEYPOINT_COLUMNS
        for row in report.rows:
            _choose(evidence, rows, row, mixed, keypoints).append((report, row))
    return rows


def _choose(evidence: Evidence, rows: _Rows, row: LabelRow, mixed: bool, keypoints: bool) -> Found:
    columns = len(row.values)
    if columns < 5 or row.values[0] != int(row.values[0]):
        return rows.unreadable
    if not 0 <= row.values[0] < len(evidence.classes):
        return rows.unknown_class
    if columns == 5 or (evidence.inspection.has_keypoints and columns > 6):
        return rows.boxes
    if columns == 6:
        return rows.confidence
    if keypoints:
        return rows.keypoints
    if columns % 2 == 0:
        return rows.unreadable
    return rows.mixed if mixed else rows.polygons


def _boxes_for(evidence: Evidence) -> NewRow:
    """Return a function that gives the box which a row should have been; None for nothing."""
    sizes = dict(zip(evidence.label_keys, evidence.sizes_of_labelled.tolist(), strict=True))
    found = {id(row): "keypoints" for _, row in _sort_rows(evidence).keypoints}

    def new(report: LabelFileReport, row: LabelRow) -> Annotation | None:
        values = row.values[1:]
        if len(values) > 5 and not evidence.inspection.has_keypoints and id(row) not in found:
            box = _enclosing(values)
        else:
            box = (values[0], values[1], values[2], values[3])
        box = _from_pixels(box, *sizes.get((report.split, report.filename), (0, 0)))
        clipped = clip_xywh([box])[0].tolist()
        if min(clipped[2:]) < SMALLEST:
            return None
        return Annotation(int(row.values[0]), *clipped)

    return new


Box = tuple[float, float, float, float]


def _enclosing(points: tuple[float, ...]) -> Box:
    """Return the box around a polygon, as centre and size."""
    left, right = min(points[0::2]), max(points[0::2])
    top, bottom = min(points[1::2]), max(points[1::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _from_pixels(box: Box, width: int, height: int) -> Box:
    """Return a box normalised that was left in pixels, if that is what it must have been."""
    if min(box) < 0 or max(box) <= 2 or not width or not height:
        return box
    scaled = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    return scaled if max(scaled) <= FARTHEST else box


def _finding(
    evidence: Evidence,
    kind: str,
    rows: Found,
    what: str,
    why: str,
    repairs: list[tuple[str, NewRow]],
) -> Finding:
    boxes = _refs(rows)
    return Finding(
        kind,
        f"{counted(len(rows), 'row')} {what}",
        why,
        images_of(boxes),
        boxes,
        [_repair(evidence, title, rows, new) for title, new in repairs],
        _lines(rows),
    )


def _repair(evidence: Evidence, title: str, rows: Found, new: NewRow) -> Repair:
    by_file: dict[int, tuple[LabelFileReport, dict[int, Annotation | None]]] = {}
    for report, row in rows:
        by_file.setdefault(id(report), (report, {}))[1][row.position] = new(report, row)
    return evidence.repairs.change_rows(title, list(by_file.values()))


def _refs(rows: Found) -> list[BoxRef]:
    return [BoxRef(report.split, report.filename, row.position) for report, row in rows]


def _lines(rows: Found) -> list[str]:
    return [f"{r.split}/{r.filename}, line {row.line}: {row.text[:60]!r}" for r, row in rows]
