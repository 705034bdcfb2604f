"""A model's boxes for the frames of a feed, beside the preview."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from workbench.capture.feed import Feed
from workbench.capture.frames import Image
from workbench.labelling.predictor import Predictor
from workbench.persistence import DataStores
from workbench.persistence.models import Prediction

Predict = Callable[[Image], Awaitable[list[Prediction]]]
"""Finds the objects in an image; class ids are those of the dataset."""


@dataclass(frozen=True, slots=True)
class Detections:
    """What a model found in one frame.

    Parameters
    ----------
    sequence : int
        Of the frame.
    predictions : list of Prediction
    failure : str
        Why there will be no more; empty while all is well.
    """

    sequence: int
    predictions: list[Prediction]
    failure: str = ""


async def with_active_model(
    stores: DataStores, predictor: Predictor, dataset: str, confidence: float = 0.25
) -> Predict:
    """Return what finds objects with the active model, as classes of the dataset.

    Classes are matched by name; what the dataset has no class for is left out.

    Raises
    ------
    NotFoundError
        If no model is active, or there is no such dataset.
    """
    classes = (await stores.dataset.get(dataset)).classes
    await predictor.choose()

    async def predict(image: Image) -> list[Prediction]:
        model = await predictor.choose()
        found = await predictor.predict(image, confidence, model=model.name)
        return as_classes_of(classes, model.class_names, found)

    return predict


def as_classes_of(
    classes: Sequence[str], model_classes: Sequence[str], found: Sequence[Prediction]
) -> list[Prediction]:
    """Return predictions with the dataset's class ids; a model without names has the same ids."""
    if not model_classes:
        return [prediction for prediction in found if prediction.class_id < len(classes)]
    ids = {i: classes.index(name) for i, name in enumerate(model_classes) if name in classes}
    return [replace(p, class_id=ids[p.class_id]) for p in found if p.class_id in ids]


class LiveDetector:
    """Looks at the newest frame of a feed, then at the newest again, in a thread of its own.

    However slow the model is, it holds up neither the preview nor a recording.

    Parameters
    ----------
    feed : Feed
        Started and stopped by others.
    predict : callable
    listener : callable
        Called with each `Detections`, in the detector's thread.
    """

    def __init__(
        self, feed: Feed, predict: Predict, listener: Callable[[Detections], None]
    ) -> None:
        self._frames = feed.frames()
        self._predict = predict
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="live-detector", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look at no more frames; a look that is under way ends by itself."""
        self._frames.close()

    def _run(self) -> None:
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        sequence = -1
        try:
            async for frame in self._frames:
                sequence = frame.sequence
                found = await self._predict(frame.image)
                if not self._frames.ended:
                    self._listener(Detections(sequence, found))
        except Exception as error:  # noqa: BLE001  any model's; the listener shows it
            self._frames.close()
            self._listener(Detections(sequence, [], str(error) or "the model gave no reason"))
