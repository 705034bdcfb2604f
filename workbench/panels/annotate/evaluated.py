"""The best thresholds of an evaluation, offered where boxes of the same weights wait for review."""

from __future__ import annotations

from workbench.evaluation.thresholds import kept_thresholds
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.model import AnnotateModel
from workbench.persistence import Stores


class EvaluatedThresholds:
    """Offers what the last evaluation found of the model that suggests most on the open image.

    Parameters
    ----------
    stores : Stores
    model : AnnotateModel
    canvas : BoxCanvas
        Has the button.
    """

    def __init__(self, stores: Stores, model: AnnotateModel, canvas: BoxCanvas) -> None:
        self._stores = stores
        self._model = model
        self._canvas = canvas

    async def look(self) -> None:
        """Offer what there is for the open image, or nothing."""
        picture, dataset = self._model.picture, self._model.dataset
        if picture is None:
            return
        for digest in self._model.review.weights_digests(picture.filename):
            kept = await kept_thresholds(self._stores, dataset, digest)
            if picture is not self._model.picture:
                return  # the person has gone on
            if kept is not None:
                known = set(self._model.classes)
                best = {name: score for name, score in kept.scores.items() if name in known}
                self._canvas.best_from, self._canvas.best_thresholds = str(kept), best
                return
        self._canvas.best_thresholds = {}
