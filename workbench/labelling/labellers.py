"""Models that propose boxes: the active one, any of the store, any weights on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from workbench import geometry
from workbench.datasets.prelabelling import Frame, Labeller, Task
from workbench.errors import NotFoundError
from workbench.labelling.class_mapping import ClassMapping, guess_mapping
from workbench.labelling.looking import found_on, predictions_of
from workbench.labelling.network import Found, Network
from workbench.labelling.predictor import Predictor
from workbench.labelling.tightening import tightened
from workbench.persistence.models import ModelInfo, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.weights.rewriting import file_digest

T = TypeVar("T")

_WORTH_TIGHTENING = 0.15
_ONE_THING = 0.7

LEAST_CONFIDENCE = 0.05
"""Of what is suggested; the annotator's slider hides what a person does not want to see."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """What `ModelLabeller.start` has found out."""

    info: ModelInfo
    weights: Path | None
    mapping: ClassMapping
    object_size: float | None


class ModelLabeller(Labeller):
    """A detection model that proposes boxes.

    Parameters
    ----------
    predictor : Predictor
        Loads and runs it.
    model : str or Path, optional
        Name of a model in the store, or a weights file; default: the active model. A file is
        read by `workbench.weights`, so that no code in it runs.
    mapping : mapping of str to str or None, optional
        Changes of the guessed mapping of classes, by name; see `ClassMapping.with_changes`.
    confidence : float
        Boxes below this are not suggested.
    tiles : bool
        Cut pictures on which objects are small for the network, see `workbench.labelling.tiling`.
    tighten : bool
        Draw boxes in to the edges of what they show, see `workbench.labelling.tightening`.

    Attributes
    ----------
    mapping : ClassMapping or None
        The classes, once `start` has been called.
    """

    def __init__(
        self,
        predictor: Predictor,
        model: str | Path | None = None,
        *,
        mapping: Mapping[str, str | None] | None = None,
        confidence: float = LEAST_CONFIDENCE,
        tiles: bool = True,
        tighten: bool = False,
    ) -> None:
        if not 0 <= confidence <= 1:
            raise ValueError(f"confidence: expected a number in 0..1, found {confidence!r}")
        self._predictor = predictor
        # No model's name holds a separator: "runs/best.pt" is a path, as people write them.
        is_path = isinstance(model, str) and ("/" in model or os.sep in model)
        self._model = Path(model) if model is not None and is_path else model
        self._changes = dict(mapping or {})
        self._confidence = confidence
        self._tiles = tiles
        self._tighten = tighten
        self._ready: _Ready | None = None

    @property
    def mapping(self) -> ClassMapping | None:
        """Which class of the dataset each class of the model is."""
        return None if self._ready is None else self._ready.mapping

    @property
    def options(self) -> dict[str, Any]:
        """What it is made with besides the model, as keywords."""
        return {
            "mapping": dict(self._changes),
            "confidence": self._confidence,
            "tiles": self._tiles,
            "tighten": self._tighten,
        }

    async def weights(self) -> Path:
        """Return the file of the model's weights; raises as `start` does."""
        info, weights = await self._choose()
        return weights or await self._predictor.stores.model.load(info.name)

    def at(self, where: str) -> Labeller:
        """See `Labeller.at`.

        Raises
        ------
        InvalidConfigError
            If `where` is no address of a cluster.
        """
        from workbench.labelling.cluster.labeller import ClusterLabeller

        return ClusterLabeller(self, where)

    async def start(self, task: Task) -> SuggestionSource:
        """Load the model and guess what its classes are in the dataset.

        Raises
        ------
        NotFoundError
            If no model is active, there is none of that name, or no class is one of the dataset.
        InvalidModelError
            If the weights cannot be used.
        """
        info, weights = await self._choose()
        names = await self._run(info, weights, lambda network: dict(network.names))
        mapping = guess_mapping(names, task.classes, task.prompts)
        mapping = mapping.with_changes(self._changes)
        if not mapping.by_name:
            raise NotFoundError(
                f"{info.name} knows {', '.join(names.values())}, and the dataset has "
                f"{', '.join(task.classes)}: none is the same by name; rename classes in Curate, "
                f"or say from Python which is which, with mapping={{...}}"
            )
        digest = await self._digest(info, weights)
        self._ready = _Ready(info, weights, mapping, task.object_size if self._tiles else None)
        details: dict[str, Any] = {
            "classes": mapping.by_name,
            "confidence": self._confidence,
            "tiles": self._tiles,
        }
        if self._tighten:
            details["tighten"] = True
        return SuggestionSource("weights" if weights else "model", info.name, digest, details)

    async def label(self, frames: Sequence[Frame]) -> list[list[Prediction]]:
        """See `Labeller.label`."""
        if self._ready is None:
            raise RuntimeError("start(task) has to be called before label(frames)")
        ready = self._ready
        size = ready.object_size
        found = await self._run(
            ready.info,
            ready.weights,
            lambda n: found_on(n, frames, self._confidence, size, tiles=self._tiles),
        )
        if self._tighten:
            found = await asyncio.to_thread(
                lambda: [_tightened(one, frame) for one, frame in zip(found, frames, strict=True)]
            )
        return [
            predictions_of(one, frame, ready.mapping.chosen)
            for one, frame in zip(found, frames, strict=True)
        ]

    async def _choose(self) -> tuple[ModelInfo, Path | None]:
        if isinstance(self._model, Path):
            path = self._model.expanduser()
            if not path.is_file():
                raise NotFoundError(f"{path}: expected a weights file, found none; check the path")
            return ModelInfo(path.stem, path, "", "", datetime.now(UTC)), path
        return await self._predictor.choose(self._model), None

    async def _digest(self, info: ModelInfo, weights: Path | None) -> str:
        if weights is None:
            return await self._predictor.weights_digest(info)
        return await asyncio.to_thread(file_digest, weights)

    async def _run(self, info: ModelInfo, weights: Path | None, work: Callable[[Network], T]) -> T:
        return await self._predictor.run(info, work, weights=weights)


def _tightened(found: Found, frame: Frame) -> Found:
    """Draw in the boxes that anybody would look at; of two that become one the surer stays."""
    boxes = found.boxes.copy()
    likely = found.confidence >= _WORTH_TIGHTENING
    boxes[likely] = tightened(frame, boxes[likely])
    overlap = geometry.iou(boxes, boxes) if len(boxes) else np.zeros((0, 0))
    overlap[found.class_id[:, None] != found.class_id[None, :]] = 0
    kept: list[int] = []
    for place in range(len(boxes)):  # the most confident first
        if not likely[place] or not kept or overlap[place, kept].max() <= _ONE_THING:
            kept.append(place)
    return Found(boxes[kept], found.class_id[kept], found.confidence[kept])
