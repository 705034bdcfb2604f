"""A loaded detection model: pictures in, boxes out.

The weights are those that were written again (`workbench.weights`); Ultralytics does the
arithmetic (``AutoBackend``, ``non_max_suppression``). What is done here is what decides how
fast many pictures go: scaling them in parallel threads, and batches of pictures of one shape,
so that none is computed with more padding than it needs.

Two ways of scaling occur, because Ultralytics has two. *Predicting* scales a picture into
the smallest multiple of the stride that holds it (``LetterBox(auto=True)``). *Validating*
scales the long side first, and pads to a shape that a whole batch of similar aspect ratio
shares (``BaseDataset.set_rectangle``). The numbers of an evaluation depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidModelError
from workbench.labelling.prompts import Prompted, prompted
from workbench.persistence.models import ModelInfo
from workbench.training.weights_check import load_rewritten, ready_model, rewritten_weights
from workbench.weights.facts import not_to_detect

Frame = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Height and width in pixels."""

_LARGEST_STRIDE = 1024
MAX_DETECTIONS = 300
"""Boxes in one picture, at most; Ultralytics' own limit."""

_DEFAULT_IMAGE_SIZE = 640
_GREY = (114, 114, 114)  # what Ultralytics pads with in training
# `non_max_suppression` gives up on the rest of a batch when it takes too long, which a busy
# machine would turn into missing boxes.
_SECONDS_FOR_AN_IMAGE = 60.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as found.

    Parameters
    ----------
    confidence : float
        Boxes at or below this are left out.
    iou : float
        Of two boxes of a class that overlap more, the less sure one is dropped.
    max_detections : int
        In one picture.
    several_classes : bool
        Whether one box may count for several classes, as it does in validation.
    """

    confidence: float
    iou: float = 0.7
    max_detections: int = MAX_DETECTIONS
    several_classes: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The boxes of one picture.

    Parameters
    ----------
    boxes : ndarray of float64, shape (n, 4)
        Pixel xyxy of the original picture; may reach beyond it.
    class_id : ndarray of int64, shape (n,)
        The model's own.
    confidence : ndarray of float64, shape (n,)
        Falling.
    """

    boxes: Floats
    class_id: npt.NDArray[np.int64]
    confidence: Floats


@dataclass(frozen=True, slots=True)
class Scaled:
    """A picture as the model sees it.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        BGR, padded with grey.
    scale : tuple of float
        Pixels of this picture for one of the original, down and across.
    offset : tuple of int
        Rows and columns of padding above and on the left.
    original : tuple of int
        Height and width of the picture that it was made of.
    """

    pixels: Frame
    scale: tuple[float, float]
    offset: tuple[int, int]
    original: Size


class Network:
    """A detection model in memory, on its device. For one thread at a time.

    Attributes
    ----------
    names : dict of int to str
        The model's classes.
    image_size : int
        What it was trained with.
    stride : int
        Its input's sides are multiples of this.
    """

    def __init__(self, info: ModelInfo, weights: Path, device: str) -> None:
        model, trained = _load_model(info, weights)
        # The predictor's own way to the device, precision and fused layers, whatever the
        # release of Ultralytics.
        overrides = {"task": "detect", "mode": "predict", "verbose": False, "save": False}
        detect: Any = import_module("ultralytics.models.yolo.detect")
        predictor = detect.DetectionPredictor(overrides={**overrides, "device": device or None})
        predictor.setup_model(model, verbose=False)
        self._backend = predictor.model
        inner = getattr(self._backend, "backend", self._backend)  # releases differ
        self._prompted = prompted(inner.model)
        self._half = bool(getattr(self._backend, "fp16", False))
        self.names: dict[int, str] = dict(self._backend.names)
        self.stride = max(int(_largest(self._backend.stride)), 32)
        self.image_size = trained or _DEFAULT_IMAGE_SIZE

    @property
    def prompted(self) -> Prompted | None:
        """How it is told what to look for; None for a model that has classes of its own."""
        return self._prompted

    def round_size(self, image_size: int | None) -> int:
        """Return an image size that the model can take: not below the one asked for."""
        wanted = self.image_size if image_size is None else image_size
        return max(math.ceil(wanted / self.stride), 1) * self.stride

    def scale(self, frame: Frame, image_size: int) -> Scaled:
        """Scale a picture as Ultralytics does for predicting; safe in any thread."""
        height, width = frame.shape[:2]
        ratio = min(image_size / height, image_size / width)
        inner = max(round(height * ratio), 1), max(round(width * ratio), 1)
        canvas = tuple(side + (image_size - side) % self.stride for side in inner)
        return _placed(frame, inner, (canvas[0], canvas[1]))

    def detect(self, pictures: Sequence[Scaled], thresholds: Thresholds) -> list[Found]:
        """Find objects in pictures of one shape."""
        import torch

        if self._prompted is not None and not self._prompted.count:
            raise InvalidModelError(
                "this model has no classes of its own; tell it in words what to look for "
                "(WordLabeller)"
            )
        with torch.inference_mode():
            answer = self._backend(self._batch(pictures))
            if self._prompted is not None:
                while isinstance(answer, list | tuple):  # masks come along, which nobody wants
                    answer = answer[0]
            outputs = _non_max_suppression()(
                answer,
                thresholds.confidence,
                thresholds.iou,
                nc=0 if self._prompted is None else self._prompted.count,
                multi_label=thresholds.several_classes,
                max_det=thresholds.max_detections,
                max_time_img=_SECONDS_FOR_AN_IMAGE,
                end2end=bool(getattr(self._backend, "end2end", False)),
            )
        return [
            _unscaled(output.cpu().numpy().astype(np.float64), picture)
            for output, picture in zip(outputs, pictures, strict=True)
        ]

    def shown(self, picture: Scaled, boxes: Floats, kinds: Sequence[int]) -> Floats:
        """Return what boxes of a picture look like, one row for each kind of thing, in order.

        Parameters
        ----------
        boxes : ndarray of float64, shape (n, 4)
            Pixel xyxy of the original picture.
        kinds : sequence of int
            Of each box.

        Raises
        ------
        InvalidModelError
            If this model cannot be shown what to look for.
        """
        import torch

        down, across = picture.scale
        inside = boxes * [across, down, across, down] + np.tile(picture.offset[::-1], 2)
        if self._prompted is None:
            raise InvalidModelError("this model has classes of its own, and cannot be shown others")
        with torch.inference_mode():
            return self._prompted.shown(self._batch([picture]), inside, kinds)

    def _batch(self, pictures: Sequence[Scaled]) -> Any:
        import torch

        pixels = np.stack([picture.pixels for picture in pictures])
        batch = torch.from_numpy(pixels).to(self._backend.device)
        batch = batch.permute(0, 3, 1, 2).contiguous().flip(1)  # BGR to RGB
        return (batch.half() if self._half else batch.float()).div_(255)


def scale_for_validation(frame: Frame, image_size: int, canvas: Size) -> Scaled:
    """Scale a picture as Ultralytics does for validating.

    Parameters
    ----------
    image_size : int
        Of the picture's long side.
    canvas : tuple of int
        Height and width to pad to: of the picture's batch.
    """
    import cv2

    height, width = frame.shape[:2]
    ratio = image_size / max(height, width)
    scaled = frame
    if ratio != 1:
        # Rounded up, where predicting rounds to the nearest: so does `BaseDataset.load_image`.
        sides = (min(math.ceil(side * ratio), image_size) for side in (width, height))
        scaled = np.asarray(
            cv2.resize(frame, tuple(sides), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
        )
    shrink = min(canvas[0] / scaled.shape[0], canvas[1] / scaled.shape[1], 1.0)
    inner = tuple(max(round(side * shrink), 1) for side in scaled.shape[:2])
    placed = _placed(scaled, (inner[0], inner[1]), canvas)
    down, across = inner[0] / height, inner[1] / width
    return Scaled(placed.pixels, (down, across), placed.offset, (height, width))


def validation_batches(
    sizes: npt.NDArray[np.integer], image_size: int, stride: int, batch: int
) -> list[tuple[npt.NDArray[np.int64], Size]]:
    """Divide pictures into batches of similar shape, as ``BaseDataset.set_rectangle`` does.

    Parameters
    ----------
    sizes : ndarray of int, shape (images, 2)
        Width and height.

    Returns
    -------
    list of tuple
        Positions of the pictures of a batch, and the height and width that they share.
    """
    aspect = sizes[:, 1] / sizes[:, 0]
    order = np.argsort(aspect)  # the same unstable sort, so that the batches are the same
    batches = []
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        lowest, highest = aspect[chosen].min(), aspect[chosen].max()
        shape = (1.0, 1.0)
        if highest < 1:
            shape = (highest, 1.0)
        elif lowest > 1:
            shape = (1.0, 1 / lowest)
        sides = np.ceil(np.array(shape) * image_size / stride + 0.5).astype(int) * stride
        batches.append((chosen, (int(sides[0]), int(sides[1]))))
    return batches


def _placed(frame: Frame, inner: Size, canvas: Size) -> Scaled:
    """Scale a picture to `inner` and put it into the middle of a grey `canvas`."""
    import cv2

    height, width = frame.shape[:2]
    pixels = frame
    if (height, width) != inner:
        pixels = np.asarray(
            cv2.resize(frame, inner[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8
        )
    # Where the padding is odd, one row more goes below: the 0.1 of `LetterBox`.
    spare = [(canvas[side] - inner[side]) / 2 for side in (0, 1)]
    before = [round(value - 0.1) for value in spare]
    after = [round(value + 0.1) for value in spare]
    if any(before) or any(after):
        edges = (before[0], after[0], before[1], after[1])
        pixels = np.asarray(
            cv2.copyMakeBorder(pixels, *edges, cv2.BORDER_CONSTANT, value=_GREY), dtype=np.uint8
        )
    return Scaled(
        pixels,
        (inner[0] / height, inner[1] / width),
        (before[0], before[1]),
        (height, width),
    )


def _unscaled(rows: Floats, picture: Scaled) -> Found:
    """Turn rows of (left, top, right, bottom, confidence, class) into the original's pixels."""
    down, right = picture.offset
    scale = np.tile(picture.scale[::-1], 2)
    boxes = (rows[:, :4] - np.array([right, down, right, down])) / scale
    order = np.argsort(-rows[:, 4], kind="stable")
    return Found(boxes[order], rows[order, 5].astype(np.int64), rows[order, 4])


def _largest(stride: Any) -> int:
    largest = float(stride.max()) if hasattr(stride, "max") else float(stride)
    if not 0 < largest <= _LARGEST_STRIDE:
        raise InvalidModelError(
            f"expected a model with a stride of at most {_LARGEST_STRIDE} pixels, found {largest}; "
            "use other weights"
        )
    return int(largest)


def _non_max_suppression() -> Any:
    try:
        module: Any = import_module("ultralytics.utils.nms")
    except ImportError:  # where releases before 8.3.200 have it
        module = import_module("ultralytics.utils.ops")
    return module.non_max_suppression


def _load_model(info: ModelInfo, weights: Path) -> tuple[Any, int]:
    """Return the network in a model's weights, and the image size it was trained with."""
    try:
        found = rewritten_weights(weights)
        task = found.facts["task"]
        model = None
        if task == "segment":  # YOLOE is handed out with masks only
            model = ready_model(load_rewritten(found))
        if task != "detect" and (model is None or prompted(model) is None):
            raise not_to_detect(task, "")
        model = model or ready_model(load_rewritten(found))
        return model, int(found.facts["image_size"])
    except InvalidModelError as error:
        raise InvalidModelError(
            f"model {info.name!r}: {weights} cannot be used ({error}); train or import it again, "
            "or make another model active"
        ) from error
