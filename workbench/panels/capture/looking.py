"""The active model beside a capture: boxes over the preview, boxes to be saved."""

from __future__ import annotations

from collections.abc import Callable

from workbench.capture.detection import Detections, LiveDetector, Predict, with_active_model
from workbench.capture.feed import Feed
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores


class Looking:
    """Has the active model look at a feed's newest frames, one feed at a time.

    Parameters
    ----------
    stores : Stores
    predictor : Predictor or None
        None: one of its own, made when it is needed and closed with this.
    tell : callable
        Called with each `Detections`, in another thread; none is told after `stop`.
    """

    def __init__(
        self, stores: Stores, predictor: Predictor | None, tell: Callable[[Detections], None]
    ) -> None:
        self._stores = stores
        self._predictor = predictor
        self._owns_predictor = predictor is None
        self._tell = tell
        self._detector: LiveDetector | None = None

    async def predict(self, dataset: str, confidence: float) -> Predict:
        """Return what finds objects as classes of the dataset, with the active model.

        Raises
        ------
        NotFoundError
            If no model is active, or there is no such dataset.
        """
        if self._predictor is None:
            self._predictor = Predictor(self._stores)
        return await with_active_model(self._stores, self._predictor, dataset, confidence)

    def follow(self, feed: Feed, predict: Predict) -> None:
        """Look at this feed from now on."""
        self.stop()
        self._detector = LiveDetector(feed, predict, self._tell)

    def stop(self) -> None:
        """Look at nothing."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def close(self) -> None:
        """Look at nothing any more, and let go of the model."""
        self.stop()
        if self._owns_predictor and self._predictor is not None:
            self._predictor.close()
