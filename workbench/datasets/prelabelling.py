"""Suggestions for many images: whoever can label proposes, a person reviews later.

1. The query, or the keys, say which images; those that the same source has looked at already are
   left out, so that what was broken off goes on where it stopped.
2. While the labeller works on some images, the next ones are read and decoded in threads.
3. What it found is appended to the dataset's suggestions every few seconds. No label is touched.
"""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from workbench.datasets.index import Indexer
from workbench.datasets.query import parse_query
from workbench.errors import WorkbenchError
from workbench.geometry import clip_xywh, to_normalised
from workbench.persistence import DataStores
from workbench.persistence.models import SPLITS, ImageKey, Prediction, Progress, no_progress
from workbench.persistence.rules import decode
from workbench.persistence.suggestion_blocks import SuggestionSource, new_block

T = TypeVar("T")

Frame = npt.NDArray[np.uint8]
HERE = "local"
"""The place that is this machine."""

_AT_ONCE = 16
_SAVED_EVERY_S = 3.0
_LOOKS_EVERY_S = 0.5
_SECONDS_TO_END = 30.0
_MEASURED = 200
"""So many labelled images tell how large the dataset's objects are."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a labeller should know of a dataset.

    Parameters
    ----------
    classes : list of str
    prompts : mapping of int to list of str
        What to look for by class id, in words; of some classes only.
    object_size : float or None
        Side in pixels of a typical small object: a quarter of the labelled ones are smaller.
        None while nothing is labelled.
    dataset : str
        Its name; empty where there is none.
    """

    classes: list[str]
    prompts: Mapping[int, Sequence[str]] = field(default_factory=dict)
    object_size: float | None = None
    dataset: str = ""


class Labeller(ABC):
    """Proposes boxes on pictures.

    To have a model of one's own propose, a function is enough, see `FunctionLabeller`. A class
    of one's own can say more of itself: `start` is called once, before `label`.
    """

    @abstractmethod
    async def start(self, task: Task) -> SuggestionSource:
        """Get ready for a dataset; return what the suggestions are to be attributed to."""

    @abstractmethod
    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        """Return the boxes of each picture, with class ids of the dataset.

        Parameters
        ----------
        frames : sequence of ndarray of uint8, shape (height, width, 3)
            BGR; of several sizes.
        """

    def at(self, where: str) -> Labeller:
        """Return what labels there in place of this one, which labels on this machine.

        Parameters
        ----------
        where : str
            Address of a cluster.

        Raises
        ------
        ValueError
            If it can label on this machine only.
        """
        raise ValueError(
            f"where: {type(self).__name__} labels on this machine only, and not at {where!r}; a "
            "model (ModelLabeller) can label on a cluster"
        )


class StoredLabeller(Labeller):
    """A labeller that reads the pictures itself, where it works."""

    @abstractmethod
    def label_stored(
        self, stores: DataStores, dataset: str, keys: Sequence[ImageKey]
    ) -> AsyncGenerator[dict[ImageKey, list[Prediction] | str], None]:
        """Yield what is found on pictures, in their order, or why one cannot be read."""


BoxRows = Iterable[Sequence[Any]]
"""Of one picture: ``(left, top, right, bottom, score, class)`` in pixels, class by name or id."""


class BoxRowsError(ValueError):
    """What a labeller returned for a picture are no boxes; `place` is that of the picture."""

    def __init__(self, text: str, place: int) -> None:
        super().__init__(text)
        self.place = place


class FunctionLabeller(Labeller):
    """A function of one's own that proposes boxes; it is called in a thread.

    Parameters
    ----------
    function : callable
        Given a list of pictures (uint8, BGR), returns for each of them rows of
        ``(left, top, right, bottom, score, class)``, in pixels. Boxes are cut off at the border of
        the picture; what is wholly outside is left out.
    name : str, optional
        What its suggestions are attributed to; default: the function's own name.

    Examples
    --------
    ::

        def bright(frames):
            return [[(10, 10, 50, 40, 0.9, "cup")] for frame in frames]

        await Dataset(stores, "cups").prelabel("unlabelled", labeller=bright)
    """

    def __init__(
        self, function: Callable[[list[Frame]], Iterable[BoxRows]], name: str | None = None
    ) -> None:
        self._function = function
        self._name = name or str(getattr(function, "__name__", type(function).__name__))
        self._classes: list[str] = []

    async def start(self, task: Task) -> SuggestionSource:
        """See `Labeller.start`."""
        self._classes = task.classes
        return SuggestionSource("function", self._name)

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        """See `Labeller.label`.

        Raises
        ------
        ValueError
            If the function returns anything else than boxes for each picture.
        """
        found = await asyncio.to_thread(self._called, frames)
        if len(found) != len(frames):
            raise ValueError(
                f"{self._name}: expected boxes for each of {len(frames)} pictures, found "
                f"{len(found)} lists; return an empty list for a picture that shows nothing"
            )
        return [
            self._predictions(rows, frame, place)
            for place, (rows, frame) in enumerate(zip(found, frames, strict=True))
        ]

    def _called(self, frames: Sequence[Frame]) -> list[BoxRows]:
        found = self._function(list(frames))
        if not isinstance(found, Iterable):
            raise ValueError(
                f"{self._name}: expected a list of boxes for each picture, found {found!r}"
            )
        return [*found]

    def _predictions(self, rows: BoxRows, frame: Frame, place: int) -> list[Prediction]:
        if isinstance(rows, str) or not isinstance(rows, Iterable):
            raise BoxRowsError(f"{self._name}: expected a list of rows, found {rows!r}", place)
        found = [self._prediction(row, frame, place) for row in rows]
        return [one for one in found if one.width > 0 and one.height > 0]

    def _prediction(self, row: Sequence[Any], frame: Frame, place: int) -> Prediction:
        try:
            left, top, right, bottom, score, named = row
            class_id = self._classes.index(named) if isinstance(named, str) else _id(named)
            height, width = frame.shape[:2]
            corners = [float(value) for value in (left, top, right, bottom)]
            if not all(map(math.isfinite, corners)) or right < left or bottom < top:
                raise ValueError("no box")
            if not (0 <= float(score) <= 1 and 0 <= class_id < len(self._classes)):
                raise ValueError("no score, or no class")
            [xywh] = clip_xywh(to_normalised([corners], width, height)).tolist()
            return Prediction(class_id, xywh[0], xywh[1], xywh[2], xywh[3], float(score))
        except (TypeError, ValueError, OverflowError) as error:
            raise BoxRowsError(
                f"{self._name}: expected rows of (left, top, right, bottom, score, class) in "
                f"pixels, with a score in 0..1 and one of the classes "
                f"{', '.join(self._classes)}, found {row!r}",
                place,
            ) from error


def _id(named: Any) -> int:
    """Return the id of a class; raises ``ValueError`` for a number that is not whole."""
    if int(named) != named:
        raise ValueError("no class id")
    return int(named)


@dataclass(frozen=True, slots=True)
class Prelabelled:
    """What became of the images of a `prelabel`.

    Parameters
    ----------
    source : SuggestionSource
    images : int
        So many were looked at now.
    known : int
        So many had been looked at before by the same source.
    boxes : int
        That were found now.
    failed : dict of (str, str) to str
        Images that could not be read, and why.
    """

    source: SuggestionSource
    images: int
    known: int
    boxes: int
    failed: dict[ImageKey, str]


async def prelabel(
    stores: DataStores,
    dataset: str,
    images: str | Sequence[ImageKey],
    labeller: Labeller | Callable[[list[Frame]], Iterable[BoxRows]],
    *,
    again: bool = False,
    where: str = HERE,
    progress: Progress = no_progress,
) -> Prelabelled:
    """Have boxes proposed for images; see `workbench.datasets.prelabelling`.

    Cancel the task to break it off: what was found until then stays.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    images : str or sequence of (str, str)
        A query (``"unlabelled"``, ``"split:train boxes<2"``), the name of a split, or keys.
    labeller : Labeller or callable
        A function is called as `FunctionLabeller` says.
    again : bool
        Look also at images that the same source has looked at before.
    where : str
        ``"local"``: this machine. Else a cluster, see `Labeller.at`.
    progress : callable
        Told ``(done, total)``; also now and then while the labeller takes its time: if it raises,
        the rest is broken off.

    Raises
    ------
    NotFoundError
        If there is no such dataset, or the labeller has no model.
    QueryError
        If the query cannot be understood.
    """
    worker = labeller if isinstance(labeller, Labeller) else FunctionLabeller(labeller)
    if where != HERE:
        worker = worker.at(where)
    keys = await _keys(stores, dataset, images)
    progress(0, len(keys))  # before a model is loaded, which may take a while
    task = await task_of(stores, dataset)
    source = await _heeding(worker.start(task), lambda: progress(0, len(keys)))
    seen: set[ImageKey] = set()
    if not again:
        table = await stores.image.suggestions(dataset)
        seen = table.looked_at.get(source.id, set())
    todo = [key for key in keys if key not in seen]
    run = _Run(stores, dataset, source, worker)
    try:
        await run.go(todo, progress)
    finally:
        # Also when it is broken off: a task that is being cancelled may still await.
        await run.save()
    return Prelabelled(source, run.done, len(keys) - len(todo), run.boxes, run.failed)


async def _heeding(work: Coroutine[Any, Any, T], look: Callable[[], None]) -> T:
    """Return what some work comes to, unless `look`, which is called meanwhile, raises.

    A function may take minutes for its pictures, or never return: who wants it stopped need not
    wait for that. A thread that works on is left to itself.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOKS_EVERY_S))[0]:
            look()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_SECONDS_TO_END)


async def task_of(stores: DataStores, dataset: str) -> Task:
    """Return what a labeller should know of a dataset."""
    info = await stores.dataset.get(dataset)
    prompts = await stores.dataset.get_prompts(dataset)
    table = await stores.label.load_all(dataset)
    chosen = np.unique(table.image_index)[:_MEASURED]
    size = None
    if len(chosen):
        keys = [(table.splits[place], table.filenames[place]) for place in chosen.tolist()]
        pixels = await stores.image.measure_many(dataset, keys)
        rows = np.isin(table.image_index, chosen)
        of_image = pixels[np.searchsorted(chosen, table.image_index[rows])]
        sides = np.sqrt(np.prod(table.boxes[rows, 2:] * of_image, axis=1))
        size = float(np.percentile(sides[sides > 0], 25)) if np.any(sides > 0) else None
    return Task(info.classes, prompts, size, dataset)


async def _keys(
    stores: DataStores, dataset: str, images: str | Sequence[ImageKey]
) -> list[ImageKey]:
    if not isinstance(images, str):
        return list(dict.fromkeys(images))
    query = parse_query(f"split:{images}" if images in SPLITS else images)
    indexer = Indexer(stores)
    index = await indexer.load(dataset)
    if query.needs_pixels:
        index = await indexer.measure(dataset, index)
    return index.keys(query.run(index))


class _Run:
    """One `prelabel` under way."""

    def __init__(
        self, stores: DataStores, dataset: str, source: SuggestionSource, labeller: Labeller
    ) -> None:
        self.done = 0
        self.boxes = 0
        self.failed: dict[ImageKey, str] = {}
        self._stores = stores
        self._dataset = dataset
        self._source = source
        self._labeller = labeller
        self._unsaved: dict[ImageKey, list[Prediction]] = {}
        self._saved_at = time.monotonic()

    async def go(self, keys: Sequence[ImageKey], progress: Progress) -> None:
        progress(0, len(keys))
        if isinstance(self._labeller, StoredLabeller):
            await self._go_elsewhere(self._labeller, keys, progress)
            return
        batches = [keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)]
        coming = asyncio.create_task(self._read(batches[0] if batches else []))
        try:
            for following in [*batches[1:], []]:
                frames = await coming
                coming = asyncio.create_task(self._read(following))
                if frames:
                    told = self.done + len(self.failed)
                    await self._label(frames, partial(progress, told, len(keys)))
                self.done += len(frames)
                progress(self.done + len(self.failed), len(keys))
        finally:
            coming.cancel()

    async def _go_elsewhere(
        self, labeller: StoredLabeller, keys: Sequence[ImageKey], progress: Progress
    ) -> None:
        async with aclosing(labeller.label_stored(self._stores, self._dataset, keys)) as answers:
            while True:
                told = self.done + len(self.failed)
                look = partial(progress, told, len(keys))
                found = await _heeding(_next_of(answers), look)
                if found is None:
                    return
                good = {key: one for key, one in found.items() if not isinstance(one, str)}
                self.failed |= {key: one for key, one in found.items() if isinstance(one, str)}
                self.done += len(good)
                await self._keep(good)
                progress(self.done + len(self.failed), len(keys))

    async def _label(self, frames: Mapping[ImageKey, Frame], look: Callable[[], None]) -> None:
        keys = [*frames]
        try:
            found = await _heeding(self._labeller.label([*frames.values()]), look)
        except BoxRowsError as error:
            raise ValueError(f"{'/'.join(keys[error.place])}: {error}") from error
        await self._keep(dict(zip(keys, found, strict=True)))

    async def _keep(self, found: Mapping[ImageKey, list[Prediction]]) -> None:
        """Keep what was found until it is saved; raises ``ValueError`` for what cannot be boxes."""
        for key, boxes in found.items():
            try:
                new_block(self._source, {key: boxes})
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(f"{'/'.join(key)}: {error}") from error
            self._unsaved[key] = boxes
            self.boxes += len(boxes)
        if time.monotonic() - self._saved_at > _SAVED_EVERY_S:
            await self.save()

    async def save(self) -> None:
        """Keep what was found since the last time."""
        found, self._unsaved = self._unsaved, {}
        self._saved_at = time.monotonic()
        if found:
            block = new_block(self._source, found)
            await self._stores.image.add_suggestions(self._dataset, [block])

    async def _read(self, keys: Sequence[ImageKey]) -> dict[ImageKey, Frame]:
        frames, failed = await read_frames(self._stores, self._dataset, keys)
        self.failed |= failed
        return frames


async def _next_of(answers: AsyncGenerator[T, None]) -> T | None:
    """Return the next of some answers; None after the last one."""
    return await anext(answers, None)


async def read_frames(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey]
) -> tuple[dict[ImageKey, Frame], dict[ImageKey, str]]:
    """Return pictures, and why some cannot be read: one bad file does not stop the rest."""
    contents = await stores.image.read_many(dataset, keys) if keys else []
    decoded = await asyncio.gather(
        *(asyncio.to_thread(_decoded, data, key) for data, key in zip(contents, keys, strict=True))
    )
    frames: dict[ImageKey, Frame] = {}
    failed: dict[ImageKey, str] = {}
    for key, frame in zip(keys, decoded, strict=True):
        if isinstance(frame, str):
            failed[key] = frame
        else:
            frames[key] = frame
    return frames, failed


def _decoded(data: bytes | Exception, key: ImageKey) -> Frame | str:
    """Return a picture, or why there is none."""
    if isinstance(data, Exception):
        return str(data)
    try:
        return decode(data, "/".join(key))
    except WorkbenchError as error:
        return str(error)
