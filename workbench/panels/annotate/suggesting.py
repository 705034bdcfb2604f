"""Boxes proposed for the images of a walk while a person goes on annotating."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from workbench.datasets.changes import counted
from workbench.datasets.prelabelling import Labeller, Prelabelled, prelabel
from workbench.labelling import remote_files
from workbench.labelling.clicking import USUAL as CLICKED_USUALLY
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.model import AnnotateModel
from workbench.panels.annotate.wishes import Wish, labeller_for
from workbench.panels.shared.changing import BusyError
from workbench.panels.shared.offers import FINDS_MORE, offer_of
from workbench.panels.shared.status import StoppedError
from workbench.panels.shared.where import on_cluster
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey
from workbench.weights.fetching import MissingFilesError, fetch_all


class Suggesting:
    """Has a labeller look at images, by default at what nobody has labelled yet.

    Where it needs files that are not on this disk, the canvas gets an offer to fetch them, and
    nothing is fetched unless the person takes it.

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
        self._offered: Wish | None = None
        canvas.elsewhere = on_cluster()

    async def asked(self, message: Mapping[str, Any]) -> None:
        """Begin what a page asks for, or stop what is under way; what was found then stays."""
        if self._is_running:
            self._is_stopped = True
        else:
            await self._fulfil(Wish.from_message(message))

    async def fetch(self) -> None:
        """Fetch the files that were offered, and go on with what they are needed for."""
        wish, self._offered = self._offered, None
        if wish is not None:
            await self._fulfil(wish, fetch=True)

    async def run(self, labeller: Labeller | None) -> Prelabelled | None:
        """Look at all that is not labelled; return None if it was stopped.

        Raises
        ------
        NotFoundError
            If no model is active, or it knows none of the dataset's classes.
        BusyError
            If it looks already.
        """
        return await self._look(Wish(), labeller, fetch=False)

    async def _fulfil(self, wish: Wish, *, fetch: bool = False) -> None:
        self._canvas.offer = {}
        try:
            await self._look(wish, None, fetch=fetch)
        except MissingFilesError as error:
            self.offer(error, wish)

    def offer(self, error: MissingFilesError, wish: Wish) -> None:
        """Offer to fetch what is missing, and then to go on with what it is needed for."""
        self._offered = wish
        self._canvas.offer = offer_of(error)

    async def _look(
        self, wish: Wish, labeller: Labeller | None, *, fetch: bool
    ) -> Prelabelled | None:
        if self._is_running:
            raise BusyError("Boxes are being looked for already: wait for it, or stop it.")
        self._is_running, self._is_stopped = True, False
        self._canvas.work = "Looking for boxes …"
        done = None
        try:
            with suppress(StoppedError):
                if wish.how == "click":
                    usual = remote_files.CLICKED[CLICKED_USUALLY]
                    await fetch_all([usual], remote_files.folder(), self._tell_fetched)
                    return None
                chosen = labeller or await self._labeller(wish, fetch=fetch)
                done = await prelabel(
                    self._stores,
                    self._model.dataset,
                    await self._keys(wish),
                    chosen,
                    again=wish.where == "image",
                    progress=self._tell,
                )
        finally:
            self._is_running = False
            self._canvas.work = ""
        picture = self._model.picture
        if picture is not None:
            await self._model.renew(picture.index)  # with what was found on it
        if done is not None and not done.boxes:
            self._canvas.notice = _nothing_found(done, wish)
        return done

    async def _labeller(self, wish: Wish, *, fetch: bool) -> Labeller:
        model = self._model
        image = (model.dataset, model.split, model.name_of(wish.key)) if wish.key else None
        return await labeller_for(
            wish, self._stores, image, self.loaded(), fetch=fetch, progress=self._tell_fetched
        )

    async def _keys(self, wish: Wish) -> list[ImageKey] | str:
        """Return the images to look at; of the walk, from the open one on."""
        model, picture = self._model, self._model.picture
        if wish.where == "dataset":
            return ""  # the query that leaves nothing out
        if wish.where == "image":
            names = [model.name_of(wish.key)]
        elif wish.where == "walk":
            start = 0 if picture is None else picture.index
            names = [*model.filenames[start:], *model.filenames[:start]]
        else:
            names = model.unlabelled()
        return [(model.split, name) for name in names]

    def close(self) -> None:
        """Let go of a predictor of its own."""
        if self._own is not None:
            self._own.close()

    def _tell(self, done: int, total: int) -> None:
        if self._is_stopped:
            raise StoppedError("Looking for boxes: stopped.")
        self._canvas.work = f"Looking for boxes: {done:,} of {total:,}"

    def _tell_fetched(self, done: int, total: int) -> None:
        if self._is_stopped:
            raise StoppedError("Fetching: stopped.")
        of = f" of {total / 1e6:,.0f}" if total else ""
        self._canvas.work = f"Fetching: {done / 1e6:,.0f}{of} MB"

    def loaded(self) -> Predictor:
        """Return what runs models here."""
        if self._predictor is None:
            self._predictor = self._own = Predictor(self._stores)
        return self._predictor


def _nothing_found(done: Prelabelled, wish: Wish) -> str:
    if wish.where != "unlabelled":
        images = counted(done.images, "image", "images")
        return f"Nothing was found on {images} by {done.source}. {FINDS_MORE}"
    if done.images:
        images = counted(done.images, "image without labels", "images without labels")
        return f"Nothing was found on {images} by {done.source}. {FINDS_MORE}"
    if done.known:
        return f"There is no new image for {done.source}: it has looked at all without labels."
    return "Every image of this walk has labels: there is none to look at."
