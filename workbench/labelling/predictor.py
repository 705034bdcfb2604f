"""Boxes that a trained model proposes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidModelError, NotFoundError
from workbench.geometry import clip_xywh
from workbench.persistence import Stores
from workbench.persistence.models import ModelInfo, Prediction, Progress, no_progress
from workbench.persistence.rules import check_frame, decode
from workbench.training.environment import import_ultralytics

Frame = npt.NDArray[np.uint8]
Image = Frame | Path | str
_T = TypeVar("_T")
_IMAGES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _LoadedModel:
    key: tuple[str, int, int]
    """Path, size and time of change of the weights file."""
    yolo: Any


class Predictor:
    """Finds objects with the active model of the model store.

    The model is loaded when it is first needed, and again when another one becomes active
    or its weights change. All of Ultralytics' work happens in one thread of the predictor's
    own, so that it can be used from any event loop and blocks none.

    Parameters
    ----------
    stores : Stores
    device : str
        ``""`` takes the first GPU or else the CPU; else as Ultralytics names it.
    """

    def __init__(self, stores: Stores, device: str = "") -> None:
        self._stores = stores
        self._device = device
        self._loaded: _LoadedModel | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="workbench-predictor")

    async def predict(
        self, image: Image, confidence: float = 0.25, *, model: str | None = None
    ) -> list[Prediction]:
        """Find objects in one image.

        Parameters
        ----------
        image : ndarray of uint8, shape (height, width, 3), or Path or str
            BGR, or an image file.
        confidence : float
            Boxes below this are left out, 0..1.
        model : str, optional
            Name of a model in the store; default: the active one.

        Returns
        -------
        list of Prediction
            Most confident first; normalised xywh, clipped to the image.

        Raises
        ------
        NotFoundError
            If no model is active, or the model or the image file is not there.
        InvalidFrameError
            If `image` is no image.
        InvalidModelError
            If the weights cannot be used.
        SetupError
            If torch or Ultralytics do not work on this machine.
        """
        return (await self.predict_many([image], confidence, model=model))[0]

    async def predict_many(
        self,
        images: Iterable[Image],
        confidence: float = 0.25,
        *,
        model: str | None = None,
        progress: Progress = no_progress,
    ) -> list[list[Prediction]]:
        """Find objects in many images, several at a time.

        Parameters
        ----------
        images : iterable
            As for `predict`; consumed in the predictor's thread, so it may be a generator
            that reads files.
        progress : callable
            Told ``(done, total)`` after each batch; total is 0 if `images` has no length.

        Returns
        -------
        list of list of Prediction
            One list for each image, in their order.
        """
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence: expected a number in 0..1, found {confidence!r}")
        info = await self._choose(model)
        weights = await self._stores.model.load(info.name)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._predict, info, weights, images, confidence, progress
        )

    def close(self) -> None:
        """Let the thread end and the model go."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loaded = None

    async def _choose(self, name: str | None) -> ModelInfo:
        if name is not None:
            return await self._stores.model.get(name)
        active = await self._stores.model.get_active()
        if active is None:
            raise NotFoundError(
                "no model is active: train one, or choose one with "
                "`await get_model_store().set_active(name)`"
            )
        return active

    def _predict(
        self,
        info: ModelInfo,
        weights: Path,
        images: Iterable[Image],
        confidence: float,
        progress: Progress,
    ) -> list[list[Prediction]]:
        yolo = self._load(info, weights)
        total = len(images) if isinstance(images, Sequence) else 0
        found: list[list[Prediction]] = []
        for batch in _batches(images, _IMAGES_AT_ONCE):
            results = yolo.predict(
                [_frame(image) for image in batch],
                conf=confidence,
                device=self._device or None,
                verbose=False,
                save=False,
            )
            found.extend(_predictions(result) for result in results)
            progress(len(found), total)
        return found

    def _load(self, info: ModelInfo, weights: Path) -> Any:
        stat = weights.stat()
        key = (str(weights), stat.st_size, stat.st_mtime_ns)
        if self._loaded is None or self._loaded.key != key:
            self._loaded = None  # two models at once may not fit into memory
            self._loaded = _LoadedModel(key, _load_yolo(info, weights))
        return self._loaded.yolo


def _load_yolo(info: ModelInfo, weights: Path) -> Any:
    ultralytics = import_ultralytics()
    tasks: Any = import_module("ultralytics.nn.tasks")
    try:
        # A weights file is a pickle, which may hold code; this reading refuses all but the
        # classes that models consist of.
        tasks.torch_safe_load(str(weights), safe_only=True)
        yolo = ultralytics.YOLO(str(weights))
    except (TypeError, ValueError, KeyError, RuntimeError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise InvalidModelError(
            f"model {info.name!r}: {weights} cannot be used ({reason}); train or import it again, "
            "or make another model active"
        ) from error
    if yolo.task != "detect":
        raise InvalidModelError(
            f"model {info.name!r}: expected a detection model, found one for {yolo.task!r}; "
            "make another model active"
        )
    return yolo


def _frame(image: Image) -> Frame:
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(check_frame(image))
    path = Path(image).expanduser()
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such image file") from error
    return decode(data, str(path))


def _predictions(result: Any) -> list[Prediction]:
    boxes = result.boxes.cpu().numpy()
    clipped = clip_xywh(boxes.xywhn)
    predictions = [
        Prediction(int(class_id), float(x), float(y), float(width), float(height), float(score))
        for class_id, (x, y, width, height), score in zip(
            boxes.cls, clipped, boxes.conf, strict=True
        )
        if width > 0 and height > 0
    ]
    return sorted(predictions, key=lambda prediction: -prediction.confidence)


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
