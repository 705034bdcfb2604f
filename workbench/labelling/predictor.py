"""Boxes that a trained model proposes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from workbench.errors import NotFoundError
from workbench.geometry import clip_xywh, to_normalised
from workbench.labelling.network import Found, Frame, Network, Scaled, Thresholds
from workbench.persistence import Stores
from workbench.persistence.image_reading import read_image
from workbench.persistence.models import ModelInfo, Prediction, Progress, no_progress
from workbench.persistence.rules import check_frame, decode

Image = Frame | Path | str
_T = TypeVar("_T")
_R = TypeVar("_R")
_IMAGES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _LoadedModel:
    key: tuple[str, int, int]
    """Path, size and time of change of the weights file."""
    network: Network


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

    @property
    def stores(self) -> Stores:
        """Where its models are, and what is kept of datasets."""
        return self._stores

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
        info = await self.choose(model)
        weights = await self._stores.model.load(info.name)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._predict, info, weights, images, confidence, progress
        )

    async def run(
        self, info: ModelInfo, work: Callable[[Network], _T], *, weights: Path | None = None
    ) -> _T:
        """Do something with a loaded model in the predictor's thread.

        Parameters
        ----------
        info : ModelInfo
            Of a model in the store, as `choose` returns it.
        work : callable
            Is given the model, and must not keep it.
        weights : Path, optional
            A file outside of the store, which `info` is about.
        """
        path = await self._stores.model.load(info.name) if weights is None else weights
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(self._load(info, path))
        )

    async def weights_digest(self, info: ModelInfo) -> str:
        """Return the SHA-256 of a model's weights, in hexadecimal digits."""
        weights = await self._stores.model.load(info.name)

        def digest() -> str:
            with weights.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return await asyncio.to_thread(digest)

    def close(self) -> None:
        """End the thread and drop the model."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._loaded = None

    async def choose(self, name: str | None = None) -> ModelInfo:
        """Return the facts of a model: the active one unless `name` is given.

        Raises
        ------
        NotFoundError
            If no model is active, or there is none of that name.
        """
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
        network = self._load(info, weights)
        total = len(images) if isinstance(images, Sequence) else 0
        found: list[list[Prediction]] = []
        for batch in _detected(network, images, confidence):
            found.extend(_predictions(*one) for one in batch)
            progress(len(found), total)
        return found

    def _load(self, info: ModelInfo, weights: Path) -> Network:
        stat = weights.stat()
        key = (str(weights), stat.st_size, stat.st_mtime_ns)
        if self._loaded is None or self._loaded.key != key:
            self._loaded = None  # two models at once may not fit into memory
            self._loaded = _LoadedModel(key, Network(info, weights, self._device))
        return self._loaded.network


def detect_frames(network: Network, frames: Iterable[Image], confidence: float) -> list[Found]:
    """Return what a network finds on pictures, several at a time; blocks until it is done."""
    return [found for batch in _detected(network, frames, confidence) for found, _ in batch]


def _detected(
    network: Network, images: Iterable[Image], confidence: float
) -> Iterator[list[tuple[Found, Scaled]]]:
    """Yield batches of what is found, in the order of the pictures."""
    size = network.round_size(None)
    with ThreadPoolExecutor(_readers(), thread_name_prefix="workbench-reader") as readers:
        pictures = _ahead(readers, lambda image: network.scale(_frame(image), size), images)
        for batch in _batches(pictures, _IMAGES_AT_ONCE):
            yield _by_shape(network, batch, confidence)


def _by_shape(
    network: Network, pictures: Sequence[Scaled], confidence: float
) -> list[tuple[Found, Scaled]]:
    """Predict pictures of one shape together; the answers come in the order of the pictures."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(pictures):
        by_shape.setdefault(picture.pixels.shape, []).append(place)
    thresholds = Thresholds(confidence)
    answers: dict[int, Found] = {}
    for places in by_shape.values():
        chosen = [pictures[place] for place in places]
        answers.update(zip(places, network.detect(chosen, thresholds), strict=True))
    return [(answers[place], picture) for place, picture in enumerate(pictures)]


def _readers() -> int:
    return min(8, os.cpu_count() or 1)


def _ahead(pool: ThreadPoolExecutor, work: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield ``work(item)`` in order, while a batch's worth of items is worked on ahead."""
    waiting: deque[Future[_R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > _IMAGES_AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _frame(image: Image) -> Frame:
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(check_frame(image))
    path = Path(image).expanduser()
    try:
        data = read_image(str(path))
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such image file; check the path") from error
    return decode(data, str(path))


def _predictions(found: Found, picture: Scaled) -> list[Prediction]:
    height, width = picture.original
    boxes = clip_xywh(to_normalised(found.boxes, width, height))
    return [
        Prediction(class_id, x, y, box_width, box_height, score)
        for class_id, (x, y, box_width, box_height), score in zip(
            found.class_id.tolist(), boxes.tolist(), found.confidence.tolist(), strict=True
        )
        if box_width > 0 and box_height > 0
    ]


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
