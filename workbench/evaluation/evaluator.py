"""Running a model over a split of a dataset.

How a run goes:

1. The labels of the split are read, and the sizes of its images from their headers.
2. Images are divided into the batches that Ultralytics' validation would make.
3. While the model predicts one batch in the predictor's thread, the next is read, decoded
   and scaled in other threads. The event loop only waits, so the kernel stays free.
4. Predictions are kept in the dataset's cache under a key of everything they depend on:
   weights, images and settings, but not labels. Correcting labels and evaluating again
   therefore takes no second look at the images.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata

import numpy as np
import numpy.typing as npt

from workbench.errors import ImportFormatError, NotFoundError
from workbench.evaluation.batches import Seen, detect_batch, load_batch, readers
from workbench.evaluation.evaluation import Evaluation, Settings
from workbench.evaluation.labels import Labels, load_labels, map_classes
from workbench.evaluation.matching import Detections
from workbench.evaluation.on_cluster import detect_on_cluster
from workbench.evaluation.thresholds import keep_thresholds
from workbench.labelling.network import (
    MAX_DETECTIONS,
    Found,
    Network,
    Scaled,
    Size,
    Thresholds,
    validation_batches,
)
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores
from workbench.persistence.counting import counted
from workbench.persistence.models import ImageKey, ModelInfo, Progress, no_progress
from workbench.training.config import LOCAL

_log = logging.getLogger(__name__)
_DAMAGED = "Health, in Curate, names what is wrong with each"
_BATCH = 16  # as in Ultralytics' validation: the shapes of batches depend on it


@dataclass(frozen=True, slots=True)
class _Request:
    """What to predict, and how; everything that predictions depend on."""

    model: ModelInfo
    weights_digest: str
    dataset: str
    split: str
    filenames: tuple[str, ...]
    images_digest: str
    thresholds: Thresholds
    image_size: int | None

    @property
    def keys(self) -> list[ImageKey]:
        return [(self.split, name) for name in self.filenames]

    @property
    def key(self) -> str:
        parts = (
            self.weights_digest,
            self.split,
            self.images_digest,
            self.thresholds.confidence,
            self.thresholds.iou,
            self.image_size,
            self.thresholds.max_detections,
            metadata.version("ultralytics"),
        )
        return f"evaluation-{hashlib.sha256(repr(parts).encode()).hexdigest()[:40]}.npz"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a model predicts on images, in its own class ids."""

    image_size: int
    class_ids: npt.NDArray[np.int64]
    """The dataset's class id for each of the model's; -1 where it has none."""
    class_notes: list[str]
    found: list[Found | None]
    """One for each image; None where it could not be read."""
    sizes: npt.NDArray[np.int32]


class Evaluator:
    """Compares what models predict with what is labelled.

    Parameters
    ----------
    stores : Stores
    predictor : Predictor
        Loads the models; the one that it has in memory is used again.
    """

    def __init__(self, stores: Stores, predictor: Predictor) -> None:
        self._stores = stores
        self._predictor = predictor

    async def evaluate(
        self,
        dataset: str,
        split: str = "val",
        *,
        model: str | None = None,
        confidence: float = 0.001,
        iou: float = 0.7,
        image_size: int | None = None,
        unlabelled_as_background: bool = False,
        refresh: bool = False,
        where: str = LOCAL,
        progress: Progress = no_progress,
    ) -> Evaluation:
        """Predict a split's images and compare with its labels.

        With the default settings the numbers are those of Ultralytics' ``val`` on the same
        images. Cancelling the task stops after the batch at hand.

        Parameters
        ----------
        dataset, split : str
        model : str, optional
            Name of a model in the store; default: the active one.
        confidence : float
            Predictions at or below this are left out. High values cut the curves off.
        iou : float
            Of two boxes of a class that overlap more, the less sure one is dropped.
        image_size : int, optional
            Default: what the model was trained with.
        unlabelled_as_background : bool
            Whether images without a label file count as pictures of nothing. Else they are
            left out.
        refresh : bool
            Predict again even if the same predictions were kept.
        where : str
            ``"local"``: this machine. Else the images are looked at by the nodes of a Ray
            cluster: ``"http://head:8265"``, or ``"ray"`` for the one that ``RAY_ADDRESS`` names.
        progress : callable
            Told ``(done, total)`` in images, from another thread; raise from it to cancel.

        Raises
        ------
        NotFoundError
            If no model is active, the dataset, split or model is not there, or the split
            has no image to compare with.
        ValueError
            If a setting cannot be, or the model knows none of the dataset's classes.
        InvalidModelError
            If the weights cannot be used.
        SetupError
            If torch or Ultralytics do not work on this machine.
        TrainingError
            If the cluster does not answer, or cannot do it.
        """
        for name, value in (("confidence", confidence), ("iou", iou)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number in 0..1, found {value!r}")
        if image_size is not None and image_size < 1:
            raise ValueError(f"image_size: expected a length in pixels, found {image_size!r}")
        info = await self._predictor.choose(model)
        labels = await load_labels(
            self._stores, dataset, split, unlabelled_as_background=unlabelled_as_background
        )
        request = _Request(
            model=info,
            weights_digest=await self._predictor.weights_digest(info),
            dataset=dataset,
            split=split,
            filenames=labels.filenames,
            images_digest=await self._images_digest(dataset, split, labels.filenames),
            thresholds=Thresholds(
                float(confidence),
                float(iou),
                max_detections=max(MAX_DETECTIONS, labels.most_in_one_image),
                several_classes=True,
            ),
            image_size=image_size,
        )
        kept = None if refresh else await self._kept(request)
        if kept is not None and kept.classes == labels.classes:
            progress(len(labels.filenames), len(labels.filenames))
            evaluation = await asyncio.to_thread(_with_labels, kept, labels, info.name)
        else:
            answer = await self._predict(request, labels.classes, where, progress)
            evaluation = await asyncio.to_thread(_assemble, request, labels, answer)
            data = await asyncio.to_thread(evaluation.to_bytes)
            await self._stores.dataset.save_cache(dataset, request.key, data)
        await keep_thresholds(self._stores, evaluation)
        return evaluation

    async def _images_digest(self, dataset: str, split: str, filenames: Sequence[str]) -> str:
        wanted = set(filenames)
        facts = [
            (info.filename, info.size_bytes, info.modified_at)
            for info in await self._stores.image.list(dataset, split)
            if info.filename in wanted
        ]
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    async def _kept(self, request: _Request) -> Evaluation | None:
        data = await self._stores.dataset.load_cache(request.dataset, request.key)
        if data is None:
            return None
        try:
            return await asyncio.to_thread(Evaluation.from_bytes, data)
        except ImportFormatError as error:
            _log.warning("%s: kept predictions are not used: %s", request.dataset, error)
            return None

    async def _predict(
        self, request: _Request, classes: tuple[str, ...], where: str, progress: Progress
    ) -> _Answer:
        sizes = await self._stores.image.measure_many(request.dataset, request.keys)
        readable = np.flatnonzero(sizes.min(axis=1) > 0)
        if not len(readable):
            raise NotFoundError(
                f"{request.dataset}/{request.split}: expected images that can be read, found "
                f"{counted(len(sizes), 'damaged image')}; {_DAMAGED}"
            )
        names, image_size, stride = await self._predictor.run(
            request.model,
            lambda network: (
                network.names,
                network.round_size(request.image_size),
                network.stride,
            ),
        )
        class_ids, class_notes = map_classes(
            names,
            classes,
            request.model.name,
            trained_here=request.model.dataset_name == request.dataset,
        )
        batches = [
            (readable[chosen], canvas)
            for chosen, canvas in validation_batches(sizes[readable], image_size, stride, _BATCH)
        ]
        found: list[Found | None] = [None] * len(sizes)
        if where == LOCAL:
            seen = self._look_here(request, batches, image_size, progress)
        else:
            seen = self._look_there(request, batches, image_size, where, progress)
        async with aclosing(seen):
            async for batch in seen:
                good = batch.sizes.min(axis=1) > 0
                sizes[batch.places[good]] = batch.sizes[good]
                for place, one in zip(batch.places.tolist(), batch.found, strict=True):
                    found[place] = one
        return _Answer(image_size, class_ids, class_notes, found, sizes)

    async def _look_here(
        self,
        request: _Request,
        batches: Sequence[tuple[npt.NDArray[np.int64], Size]],
        image_size: int,
        progress: Progress,
    ) -> AsyncGenerator[Seen, None]:
        done, total = 0, sum(len(places) for places, _ in batches)
        pool = readers()

        def load(places: npt.NDArray[np.int64], canvas: Size) -> asyncio.Task[list[Scaled | None]]:
            keys = [request.keys[place] for place in places]
            return asyncio.create_task(
                load_batch(self._stores, request.dataset, keys, image_size, canvas, pool)
            )

        following = load(*batches[0])
        try:
            for number, (places, _) in enumerate(batches):
                pictures = await following
                if number + 1 < len(batches):
                    following = load(*batches[number + 1])
                done += len(places)
                work = partial(_detect, request, pictures, progress, done, total)
                yield Seen.of(places, pictures, await self._predictor.run(request.model, work))
        finally:
            following.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(following, return_exceptions=True)

    async def _look_there(
        self,
        request: _Request,
        batches: Sequence[tuple[npt.NDArray[np.int64], Size]],
        image_size: int,
        where: str,
        progress: Progress,
    ) -> AsyncGenerator[Seen, None]:
        done, total = 0, sum(len(places) for places, _ in batches)
        answers = detect_on_cluster(
            self._stores,
            request.dataset,
            request.keys,
            batches,
            where=where,
            weights=await self._stores.model.load(request.model.name),
            digest=request.weights_digest,
            image_size=image_size,
            thresholds=request.thresholds,
        )
        async with aclosing(answers):
            async for seen in answers:
                done += len(seen.places)
                progress(done, total)
                yield seen


def _detect(
    request: _Request,
    pictures: Sequence[Scaled | None],
    progress: Progress,
    done: int,
    total: int,
    network: Network,
) -> list[Found | None]:
    found = detect_batch(network, pictures, request.thresholds)
    progress(done, total)
    return found


def _assemble(request: _Request, labels: Labels, answer: _Answer) -> Evaluation:
    """Put predictions and labels together, without the images that could not be read."""
    good = np.array([found is not None for found in answer.found], dtype=np.bool_)
    damaged = [labels.filenames[place] for place in np.flatnonzero(~good).tolist()]
    notes = [f"{name} was left out: it is damaged or gone" for name in damaged]
    labels = labels.keep(good)
    found = [one for one in answer.found if one is not None]
    if not found:
        raise NotFoundError(
            f"{request.dataset}/{request.split}: no image could be read; {_DAMAGED}"
        )
    return Evaluation(
        dataset=request.dataset,
        split=request.split,
        model=request.model.name,
        weights_digest=request.weights_digest,
        classes=labels.classes,
        filenames=labels.filenames,
        sizes=answer.sizes[good],
        truth=labels.truth(answer.sizes[good]),
        detections=_columns(found, answer.class_ids),
        settings=Settings(request.thresholds.confidence, request.thresholds.iou, answer.image_size),
        created_at=datetime.now(UTC),
        notes=(*labels.notes, *notes, *answer.class_notes),
    )


def _with_labels(kept: Evaluation, labels: Labels, model: str) -> Evaluation:
    """Return kept predictions beside the labels as they are now."""
    place = {name: number for number, name in enumerate(labels.filenames)}
    good = np.zeros(len(labels.filenames), dtype=np.bool_)
    good[[place[name] for name in kept.filenames]] = True
    of_images = [note for note in kept.notes if note not in labels.notes]
    return replace(
        kept,
        model=model,
        truth=labels.keep(good).truth(kept.sizes),
        notes=(*labels.notes, *of_images),
    )


def _columns(found: Sequence[Found], mapping: npt.NDArray[np.int64]) -> Detections:
    """Return the predictions on all images in columns, with the dataset's class ids."""
    counts = [len(one.confidence) for one in found]
    classes = np.concatenate([one.class_id for one in found])
    # In single precision, as the model gave them and as they are kept, so that evaluating
    # again from what was kept gives the same numbers to the last digit.
    boxes = np.concatenate([one.boxes for one in found]).astype(np.float32)
    detections = Detections(
        image_index=np.repeat(np.arange(len(found)), counts),
        class_id=mapping[classes],
        boxes=boxes.astype(np.float64),
        confidence=np.concatenate([one.confidence for one in found]),
    )
    return detections.keep(detections.class_id >= 0)
