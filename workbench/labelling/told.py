"""Models that are told in words, or shown on pictures, what to propose: YOLO-World and YOLOE.

1. The weights are a model of the store, a file, or one of those that Ultralytics hands out; what
   is missing is named, with its size and where it comes from, and fetched only if asked to.
2. Words are turned into numbers by a text encoder, boxes by YOLOE itself.
3. The numbers of words are kept with the dataset, under the digest of the weights and the words,
   so that the encoder is needed once.
4. Several words for a class, and several boxes of it, lead to suggestions of that class.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.errors import InvalidModelError, NotFoundError
from workbench.labelling import remote_files
from workbench.labelling.looking import found_on, once_each, predictions_of
from workbench.labelling.network import Found, Network
from workbench.labelling.predictor import Predictor
from workbench.labelling.prompts import WIDTH, Prompted, Rows
from workbench.labelling.text_encoder import encode
from workbench.persistence.models import ModelInfo, Prediction, Progress, no_progress
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.weights.fetching import MissingFilesError, RemoteFile, fetch_all, missing
from workbench.weights.rewriting import file_digest

LEAST_CONFIDENCE = 0.05
USUAL = "yoloe-11s-seg.pt"
"""Weights that are asked for where none are named and none are there."""


@dataclass(frozen=True, slots=True)
class _Ready:
    info: ModelInfo
    weights: Path | None
    names: list[str]
    rows: Rows
    class_ids: list[int]
    object_size: float | None


class _ToldLabeller(Labeller):
    """What the two labellers of this module have in common."""

    def __init__(
        self,
        predictor: Predictor,
        model: str | Path | None = None,
        *,
        confidence: float = LEAST_CONFIDENCE,
        tiles: bool = True,
        fetch: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence: expected a number in 0..1, found {confidence!r}")
        self._predictor = predictor
        self._model = model
        self._confidence = confidence
        self._tiles = tiles
        self._fetch = fetch
        self._progress = progress
        self._ready: _Ready | None = None

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        """See `Labeller.label`."""
        if self._ready is None:
            raise RuntimeError("start(task) has to be called before label(frames)")
        ready = self._ready

        def look(network: Network) -> list[Found]:
            with _told(network, ready.info).looking_for(ready.names, ready.rows):
                return found_on(
                    network, frames, self._confidence, ready.object_size, tiles=self._tiles
                )

        found = await self._predictor.run(ready.info, look, weights=ready.weights)
        return [
            predictions_of(once_each(one, ready.class_ids), frame)
            for one, frame in zip(found, frames, strict=True)
        ]

    @abstractmethod
    def _needed(self, name: str) -> list[RemoteFile]:
        """Return which files weights of this name would need besides themselves."""

    async def _weights(self) -> tuple[ModelInfo, Path | None]:
        """Return the weights and what is known of them; have them fetched if that is wanted."""
        if isinstance(self._model, Path):
            path = self._model.expanduser()
            if not path.is_file():
                raise NotFoundError(f"{path}: expected a weights file, found none; check the path")
            return _info(path), path
        name = self._model or _first_there()
        if name not in remote_files.PROMPTED:
            return await self._predictor.choose(name), None
        path = remote_files.folder() / name
        if not path.is_file():
            await self._have([remote_files.PROMPTED[name], *self._needed(name)])
        return _info(path), path

    async def _have(self, files: Sequence[RemoteFile]) -> None:
        folder = remote_files.folder()
        lacking = missing(files, folder)
        if lacking and not self._fetch:
            raise MissingFilesError(self._what(), lacking, folder)
        await fetch_all(lacking, folder, self._progress)

    @abstractmethod
    def _what(self) -> str:
        """Return what it does, as the beginning of a sentence on what it needs."""

    async def _digest(self, info: ModelInfo, weights: Path | None) -> str:
        if weights is None:
            return await self._predictor.weights_digest(info)
        return await asyncio.to_thread(file_digest, weights)


class WordLabeller(_ToldLabeller):
    """YOLO-World or YOLOE, told in words what to look for.

    The words are the dataset's prompts (``stores.dataset.save_prompts``); a class without any is
    looked for by its name.

    Parameters
    ----------
    predictor : Predictor
        Loads and runs the model.
    model : str or Path, optional
        A file of weights, the name of a model in the store, or of weights that Ultralytics hands
        out, such as ``"yoloe-11s-seg.pt"`` or ``"yolov8s-worldv2.pt"``. Default: the first of
        these that is on this disk.
    confidence : float
        Boxes below this are not suggested.
    tiles : bool
        Cut pictures on which objects are small for the network.
    fetch : bool
        Whether missing weights and the text encoder may be fetched from the network.
    progress : callable
        Told ``(done, total)`` in bytes while a file is fetched.

    Examples
    --------
    ::

        await stores.dataset.save_prompts("cups", {0: ["a cup", "a mug"]})
        await Dataset(stores, "cups").prelabel("unlabelled", WordLabeller(predictor, fetch=True))
    """

    async def start(self, task: Task) -> SuggestionSource:
        """Load the model and find out what the words mean to it.

        Raises
        ------
        MissingFilesError
            If weights or the text encoder are not on this disk, and may not be fetched.
        FetchError
            If they cannot be fetched.
        InvalidModelError
            If the weights cannot be told what to look for.
        NotFoundError
            If the dataset has no classes.
        """
        texts, class_ids = _words(task)
        info, weights = await self._weights()
        digest = await self._digest(info, weights)
        rows = await self._rows(task.dataset, info, weights, digest, texts)
        size = task.object_size if self._tiles else None
        self._ready = _Ready(info, weights, texts, rows, class_ids, size)
        words: dict[str, list[str]] = {}
        for text, class_id in zip(texts, class_ids, strict=True):
            words.setdefault(task.classes[class_id], []).append(text)
        details = {"words": words, "confidence": self._confidence, "tiles": self._tiles}
        return SuggestionSource("prompts", info.name, digest, details)

    async def _rows(
        self, dataset: str, info: ModelInfo, weights: Path | None, digest: str, texts: list[str]
    ) -> Rows:
        key = _cache_key(digest, texts)
        store = self._predictor.stores.dataset
        kept = await store.load_cache(dataset, key) if dataset else None
        rows = None if kept is None else _read_rows(kept, len(texts))
        if rows is not None:
            return rows
        encoder = await self._predictor.run(
            info, lambda network: _told(network, info).encoder, weights=weights
        )
        files = _files_of(encoder)
        await self._have(files)
        encoder_file, vocabulary = (remote_files.folder() / file.name for file in files)
        features = await asyncio.to_thread(encode, encoder_file, vocabulary, texts)
        if features.shape[1] != WIDTH:
            raise InvalidModelError(
                f"{encoder_file}: expected {WIDTH} numbers for each text, found "
                f"{features.shape[1]}; remove the file, and fetch it again"
            )
        rows = await self._predictor.run(
            info, lambda network: _told(network, info).of_words(features), weights=weights
        )
        if dataset:
            await store.save_cache(dataset, key, _bytes_of(rows))
        return rows

    def _needed(self, name: str) -> list[RemoteFile]:
        family = {"yolov8": "clip:ViT-B/32", "yoloe-26": "mobileclip2:b"}
        encoders = [encoder for start, encoder in family.items() if name.startswith(start)]
        return _files_of(encoders[0] if encoders else "mobileclip:blt")

    def _what(self) -> str:
        return "Looking for words"


@dataclass(frozen=True, slots=True)
class Example:
    """Boxes on a picture, to find what is like them.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        BGR.
    boxes : ndarray of float64, shape (n, 4)
        Pixel xyxy.
    class_ids : sequence of int
        Of each box.
    """

    frame: Frame
    boxes: npt.NDArray[np.float64]
    class_ids: Sequence[int]


class SimilarLabeller(_ToldLabeller):
    """YOLOE, shown boxes: it proposes what looks like them. No text encoder is needed.

    Parameters
    ----------
    predictor : Predictor
        Loads and runs the model.
    examples : sequence of Example
        Of several for a class the mean is taken.
    model : str or Path, optional
        As for `WordLabeller`, but YOLOE only.
    confidence, tiles, fetch, progress
        As for `WordLabeller`.
    """

    def __init__(
        self,
        predictor: Predictor,
        examples: Sequence[Example],
        model: str | Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(predictor, model, **options)
        if not any(len(example.class_ids) for example in examples):
            raise ValueError("expected at least one box to find the like of, found none")
        self._examples = list(examples)

    async def start(self, task: Task) -> SuggestionSource:
        """Load the model and look at the examples.

        Raises
        ------
        MissingFilesError
            If the weights are not on this disk, and may not be fetched.
        FetchError
            If they cannot be fetched.
        InvalidModelError
            If the weights cannot be shown what to look for.
        """
        info, weights = await self._weights()
        digest = await self._digest(info, weights)
        class_ids, rows = await self._predictor.run(info, self._look, weights=weights)
        names = [task.classes[class_id] for class_id in class_ids]
        size = task.object_size if self._tiles else None
        self._ready = _Ready(info, weights, names, rows, class_ids, size)
        shown = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
        details = {"like": names, "shown": shown, "confidence": self._confidence}
        return SuggestionSource("similar", info.name, digest, details)

    def _look(self, network: Network) -> tuple[list[int], Rows]:
        seen: dict[int, list[npt.NDArray[np.float64]]] = {}
        size = network.round_size(None)
        for example in self._examples:
            kinds = list(example.class_ids)
            if kinds:
                picture = network.scale(np.ascontiguousarray(example.frame), size)
                rows = network.shown(picture, example.boxes, kinds)
                for class_id, row in zip(sorted(set(kinds)), rows, strict=True):
                    seen.setdefault(class_id, []).append(row)
        means = np.array([np.mean(rows, axis=0) for _, rows in sorted(seen.items())])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return sorted(seen), means.astype(np.float32)

    def _needed(self, name: str) -> list[RemoteFile]:
        return []

    def _what(self) -> str:
        return "Finding what is similar"


def _told(network: Network, info: ModelInfo) -> Prompted:
    if network.prompted is None:
        raise InvalidModelError(
            f"{info.name} has classes of its own, and cannot be told what to look for: take "
            f"{USUAL}, for example"
        )
    return network.prompted


def _first_there() -> str:
    """Return weights that are on this disk already, or those that are asked for usually."""
    there = (name for name in remote_files.PROMPTED if (remote_files.folder() / name).is_file())
    return next(there, USUAL)


def _files_of(encoder: str) -> list[RemoteFile]:
    if encoder not in remote_files.ENCODERS:
        raise InvalidModelError(
            f"expected one of the text encoders {', '.join(remote_files.ENCODERS)}, found "
            f"{encoder!r}"
        )
    return [remote_files.ENCODERS[encoder], remote_files.VOCABULARY]


def _info(path: Path) -> ModelInfo:
    return ModelInfo(path.stem, path, "", "", datetime.now(UTC))


def _words(task: Task) -> tuple[list[str], list[int]]:
    """Return what to look for, and the class of each."""
    if not task.classes:
        raise NotFoundError("the dataset has no classes: add one first, then there are words")
    found: dict[str, int] = {}
    for class_id, name in enumerate(task.classes):
        for text in task.prompts.get(class_id) or [name.replace("_", " ")]:
            word = " ".join(text.split())
            if found.setdefault(word, class_id) != class_id:
                raise ValueError(
                    f"{word!r} is a prompt of {task.classes[found[word]]} and of {name}: expected "
                    "each prompt at one class only; save other prompts"
                )
    return list(found), list(found.values())


def _cache_key(digest: str, texts: Sequence[str]) -> str:
    whole = json.dumps([digest, list(texts)]).encode()
    return f"words-1-{hashlib.sha256(whole).hexdigest()}"


def _bytes_of(rows: Rows) -> bytes:
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


def _read_rows(data: bytes, count: int) -> Rows | None:
    """Return kept rows; None if they are damaged, then they are made again."""
    try:
        rows = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return None
    is_right = rows.shape == (count, WIDTH) and rows.dtype == np.float32
    return rows if is_right and np.isfinite(rows).all() else None
