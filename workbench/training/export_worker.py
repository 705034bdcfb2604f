"""The process that exports a model: ``python -m workbench.training.export_worker <job>``.

The job is JSON (`workbench.training.exporting.ExportJob`). It works in the folder that it
is started in, and tells on its output what it does and what came of it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.geometry import iou as pairwise_iou
from workbench.persistence.rules import image_size
from workbench.training.environment import prepare_worker
from workbench.weights.building import build_checkpoint

Floats = npt.NDArray[np.float64]

_THRESHOLD = 0.25
# Below this, which of many boxes is the best one is a matter of the last digit.
_LEAST_CONFIDENCE = 0.01
_BOXES_TO_COMPARE = 100  # of a picture, where the model is sure of none
# A box this near to the threshold, as a part of it, may be above it for one model and below
# for the other.
_MARGIN = 0.2
_LEAST_IOU = 0.5
_MOST_OFFSET = 1.0
_MOST_DIFFERENCE = 0.02
_MOST_BOXES = 300


def main(arguments: list[str]) -> int:
    """Export what the job says; the exit status is 0 if that worked."""
    # Libraries print to the output as well; what is said to the caller goes past them.
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        try:
            answer = export(json.loads(arguments[0]), out)
        except Exception as error:
            _say(out, {"error": f"{type(error).__name__}: {error}"})
            raise
    _say(out, answer)
    return 0


def export(job: dict[str, Any], out: Any) -> dict[str, Any]:
    """Export a model into the current folder and compare the two.

    Parameters
    ----------
    job : dict
        The fields of `workbench.training.exporting.ExportJob`.
    out : text file
        Told each step.
    """
    images = [Path(path) for path in job["images"]]
    total = 3 + len(images)
    _say(out, {"step": "loading", "done": 0, "total": total})
    # OpenVINO's converter sends usage statistics unless somebody has objected; without this
    # package it does its work as well.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    restricted = bool(job["restricted"])
    ultralytics = prepare_worker(Path("settings").resolve(), restricted=restricted)
    weights = _written_anew(Path(job["weights"]), str(job["digest"]), restricted)
    model = ultralytics.YOLO(str(weights), task="detect")
    size = -(-int(job["image_size"]) // 32) * 32
    _say(out, {"step": "exporting", "done": 1, "total": total})
    begin = time.perf_counter()
    options = {"simplify": find_spec("onnxslim") is not None} if job["format"] == "onnx" else {}
    path = Path(model.export(format=job["format"], imgsz=size, device="cpu", **options)).resolve()
    taken = time.perf_counter() - begin
    _say(out, {"step": "loading the result", "done": 2, "total": total})
    original = ultralytics.YOLO(str(weights), task="detect")  # exporting has changed `model`
    exported = ultralytics.YOLO(str(path), task="detect")
    found = []
    for number, image in enumerate(images):
        _say(out, {"step": "checking", "done": 3 + number, "total": total})
        first, second = (_predict(one, image, size) for one in (original, exported))
        found.append((first, second, _scale(image, size)))
    threshold = choose_threshold([first[2] for first, _, _ in found])
    differences = [
        compare(*_above(first, threshold), *_above(second, threshold), scale, threshold)
        for first, second, scale in found
    ]
    boxes = sum(item[0] for item in differences)
    unmatched = sum(item[1] for item in differences)
    offset = max((item[2] for item in differences), default=0.0)
    confidence = max((item[3] for item in differences), default=0.0)
    return {
        "path": str(path),
        "image_size": size,
        "seconds": taken,
        "check": {
            "images": len(images),
            "boxes": boxes,
            "unmatched": unmatched,
            "max_offset": offset,
            "max_confidence_difference": confidence,
            "confidence": threshold,
            "agrees": bool(
                boxes
                and not unmatched
                and offset <= _MOST_OFFSET
                and confidence <= _MOST_DIFFERENCE * threshold / _THRESHOLD
            ),
        },
    }


def choose_threshold(confidences: Sequence[Floats]) -> float:
    """Return above which confidence two models are compared.

    That is 0.25, as people predict; or less, so that something is compared, if the model is
    not so sure of anything.

    Parameters
    ----------
    confidences : sequence of ndarray
        Of the boxes on each picture.
    """
    best = max((float(each.max()) for each in confidences if len(each)), default=0.0)
    if best > _THRESHOLD or best <= _LEAST_CONFIDENCE:
        return _THRESHOLD
    # Beyond the limit of boxes in a picture, two models may keep different ones.
    crowded = [
        np.sort(each)[-_BOXES_TO_COMPARE] for each in confidences if len(each) > _BOXES_TO_COMPARE
    ]
    return max(best / 2, _LEAST_CONFIDENCE, *(float(value) for value in crowded))


def _above(found: tuple[Floats, Floats, Floats], threshold: float) -> tuple[Floats, Floats, Floats]:
    chosen = found[2] > threshold * (1 - _MARGIN)
    return found[0][chosen], found[1][chosen], found[2][chosen]


def compare(
    boxes: Floats,
    class_ids: Floats,
    confidences: Floats,
    other_boxes: Floats,
    other_class_ids: Floats,
    other_confidences: Floats,
    scale: float = 1.0,
    threshold: float = _THRESHOLD,
) -> tuple[int, int, float, float]:
    """Compare the answers of two models to one picture.

    Parameters
    ----------
    boxes, other_boxes : ndarray of float64, shape (n, 4)
        Pixel xyxy.
    class_ids, confidences, other_class_ids, other_confidences : ndarray, shape (n,)
    scale : float
        By which distances are multiplied.
    threshold : float
        Boxes of the first above this confidence are counted.

    Returns
    -------
    tuple
        Boxes of the first above the threshold; boxes of one that the other has not;
        largest distance of two edges; largest difference of two confidences.
    """
    iou = pairwise_iou(boxes, other_boxes)
    # A box without an area, as at the edge of a picture, overlaps nothing, not even itself.
    apart = np.abs(boxes[:, None] - other_boxes[None, :]).max(axis=2, initial=0.0) * scale
    iou = np.where(apart <= _MOST_OFFSET, np.maximum(iou, _LEAST_IOU), iou)
    iou = np.where(class_ids[:, None] == other_class_ids[None, :], iou, 0.0)
    free_first, free_second = set(range(len(boxes))), set(range(len(other_boxes)))
    offset = difference = 0.0
    for flat in np.argsort(-iou, axis=None, kind="stable").tolist():
        first, second = divmod(flat, max(len(other_boxes), 1))
        if iou[first, second] < _LEAST_IOU:
            break
        if first in free_first and second in free_second:
            free_first.remove(first)
            free_second.remove(second)
            offset = max(offset, float(np.abs(boxes[first] - other_boxes[second]).max()) * scale)
            difference = max(difference, abs(float(confidences[first] - other_confidences[second])))
    sure = threshold * (1 + _MARGIN)
    unmatched = sum(confidences[i] > sure for i in free_first)
    unmatched += sum(other_confidences[i] > sure for i in free_second)
    return int((confidences > threshold).sum()), int(unmatched), offset, difference


def _written_anew(rewritten: Path, digest: str, restricted: bool) -> Path:
    """Write the weights as Ultralytics wants them; its result goes beside them."""
    import torch

    weights = Path("model.pt").resolve()
    torch.save(build_checkpoint(rewritten, digest, trusted=not restricted), weights)
    return weights


def _predict(model: Any, image: Path, size: int) -> tuple[Floats, Floats, Floats]:
    # Not padded to the picture's shape: the exported model takes nothing but the square.
    [answer] = model.predict(
        str(image),
        imgsz=size,
        conf=_LEAST_CONFIDENCE * (1 - _MARGIN),
        rect=False,
        device="cpu",
        max_det=_MOST_BOXES,
        verbose=False,
    )
    found = answer.boxes
    return tuple(
        values.cpu().numpy().astype(np.float64) for values in (found.xyxy, found.cls, found.conf)
    )


def _scale(image: Path, size: int) -> float:
    return size / max(image_size(image.read_bytes(), str(image)))


def _say(out: Any, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
