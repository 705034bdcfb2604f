"""Boxes proposed for the images of a walk while a person goes on annotating."""

from __future__ import annotations

from contextlib import suppress

from workbench.datasets.changes import counted
from workbench.datasets.prelabelling import Labeller, Prelabelled, prelabel
from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.model import AnnotateModel
from workbench.panels.shared.changing import BusyError
from workbench.panels.shared.status import StoppedError
from workbench.persistence import Stores


class Suggesting:
    """Has a labeller look at what nobody has labelled yet, from the open image on.

    Parameters
    ----------
    stores : Stores
    model : AnnotateModel
    canvas : BoxCanvas
        Shows how far it is.
    predictor : Predictor, optional
        Runs the active model; default: one of its own, made when it is needed.
    """

    def __init__(
        self, stores: Stores, model: AnnotateModel, canvas: BoxCanvas, predictor: Predictor | None
    ) -> None:
        self._stores = stores
        self._model = model
        self._canvas = canvas
        self._predictor = predictor
        self._own: Predictor | None = None
        self._is_running = False
        self._is_stopped = False

    async def toggle(self) -> None:
        """Begin, or stop what is under way; what was found until then stays."""
        if self._is_running:
            self._is_stopped = True
        else:
            await self.run(None)

    async def run(self, labeller: Labeller | None) -> Prelabelled | None:
        """Look at all that is not labelled; return None if it was stopped.

        Raises
        ------
        NotFoundError
            If no model is active, or it knows none of the dataset's classes.
        BusyError
            If it looks already.
        """
        if self._is_running:
            raise BusyError("Boxes are being looked for already: wait for it, or stop it.")
        self._is_running, self._is_stopped = True, False
        self._canvas.work = "Looking for boxes …"
        names = self._model.unlabelled()
        keys = [(self._model.split, name) for name in names]
        chosen = labeller or ModelLabeller(self.loaded())
        done = None
        try:
            with suppress(StoppedError):
                done = await prelabel(
                    self._stores, self._model.dataset, keys, chosen, progress=self._tell
                )
        finally:
            self._is_running = False
            self._canvas.work = ""
        picture = self._model.picture
        if picture is not None:
            await self._model.open(picture.index)  # with what was found on it
        if done is not None and not done.boxes:
            self._canvas.notice = _nothing_found(done)
        return done

    def close(self) -> None:
        """Let go of a predictor of its own."""
        if self._own is not None:
            self._own.close()

    def _tell(self, done: int, total: int) -> None:
        if self._is_stopped:
            raise StoppedError("Looking for boxes: stopped.")
        self._canvas.work = f"Looking for boxes: {done:,} of {total:,}"

    def loaded(self) -> Predictor:
        """Return what runs models here."""
        if self._predictor is None:
            self._predictor = self._own = Predictor(self._stores)
        return self._predictor


def _nothing_found(done: Prelabelled) -> str:
    if done.images:
        images = counted(done.images, "image without labels", "images without labels")
        return f"Nothing was found on {images} by {done.source}."
    if done.known:
        return f"There is no new image for {done.source}: it has looked at all without labels."
    return "Every image of this walk has labels: there is none to look at."
