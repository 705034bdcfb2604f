"""The annotate panel: draw boxes on the images of a dataset, in a notebook cell.

Here is the side that Python sees; `workbench.panels.annotate.pages` is the side of the pages.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from workbench.datasets.manager import DatasetManager
from workbench.datasets.prelabelling import Labeller, Prelabelled
from workbench.errors import PASSING, NotFoundError, WorkbenchError
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.evaluated import EvaluatedThresholds
from workbench.panels.annotate.filmstrip import Filmstrip
from workbench.panels.annotate.keys import key_bindings
from workbench.panels.annotate.messages import Edit
from workbench.panels.annotate.model import AnnotateModel
from workbench.panels.annotate.pages import Pages
from workbench.panels.annotate.picture import Picture
from workbench.panels.annotate.reviewing import RESTS_ON
from workbench.panels.annotate.suggesting import Suggesting
from workbench.panels.annotate.teaching import Teaching
from workbench.panels.annotate.wishes import Wish
from workbench.panels.shared.background import Background
from workbench.panels.shared.following import Follower, News, no_such_dataset
from workbench.panels.shared.status import in_words
from workbench.persistence import Stores, get_stores
from workbench.persistence.models import Annotation, LabelData, LabelEdit, Prediction
from workbench.training.runner import TrainingRunner
from workbench.weights.fetching import MissingFilesError

if TYPE_CHECKING:
    from workbench.panels.annotate.annotator import BoxAnnotator

_EVERYTHING: News = frozenset({"classes", "images", "labels"})
"""What may have changed before somebody asks for a fresh look."""


@dataclass(frozen=True, slots=True)
class Status:
    """Whether all edits are in the label files.

    Parameters
    ----------
    state : str
        ``"saved"``, ``"saving"`` or ``"not saved"``.
    why : str
        Why something is not saved.
    """

    state: str
    why: str = ""


class AnnotatePanel:
    """Draw, correct and review the boxes of a dataset's images.

    Shown in a notebook it is an annotator with keys (press ``?``), and every finished edit
    is saved at once. From Python the same can be done with coroutines::

        panel = AnnotatePanel("blood", split="train")
        await panel.show(3)
        await panel.save([Annotation(class_id=0, x=.5, y=.5, width=.2, height=.1)])
        await panel.next()

    Parameters
    ----------
    dataset : str
    split : str
    stores : Stores, optional
        Default: those of `get_stores`.
    images : sequence of str, optional
        File names to walk, in this order; default: all of the split.
    only : str, optional
        Leave the other images out: ``"unlabelled"``, ``"labelled"``, ``"background"``
        (reviewed, nothing in it), ``"class:NAME"`` (with a box of that class),
        ``"recent"`` (changed here, the last change first), ``"suggested"`` (with boxes that
        wait for review), or of these what teaches a model most first, ``"teaching"``, or what it
        is surest of, ``"safest"``.
    keys : mapping, optional
        Action to its keys, see `key_bindings`.
    height : int
        Of the picture, in CSS pixels.
    predictor : Predictor, optional
        Runs the model that suggests boxes; default: one of its own.
    runner : TrainingRunner, optional
        Trains the model that is taught as you go; without one it has no such switch.
    go : callable, optional
        ``go(panel, dataset)`` opens another panel, by its title, where there is no image yet.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : AnnotateModel
    canvas : BoxCanvas
    """

    def __init__(
        self,
        dataset: str,
        split: str = "train",
        stores: Stores | None = None,
        *,
        images: Sequence[str] | None = None,
        only: str | None = None,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        height: int = 560,
        predictor: Predictor | None = None,
        runner: TrainingRunner | None = None,
        go: Callable[[str, str], object] | None = None,
    ) -> None:
        stores = stores or get_stores()
        self._stores = stores
        self.model = AnnotateModel(stores, dataset, split, images=images, only=only)
        self.canvas = BoxCanvas((900, height))
        self.view = ipywidgets.VBox((self.canvas,), layout={"width": "100%"})
        self.canvas.walks = True
        self._go = go
        self.canvas.doors = [] if go is None else ["Browse", "Capture"]
        self.canvas.bindings = key_bindings(keys)
        self.canvas.host = self
        self._pages = Pages(self.model, self.canvas, self._report)
        self._filmstrip = Filmstrip(stores, self.model, self.canvas)
        self._suggesting = Suggesting(stores, self.model, self.canvas, predictor)
        self._evaluated = EvaluatedThresholds(stores, self.model, self.canvas)
        self._teaching = Teaching(stores, self.model, self.canvas, runner, self._suggesting.loaded)
        self.model.observe(self._follow_classes, "classes")
        self.model.observe(self._follow_colours, "colours")
        self.model.observe(self._follow_picture, "picture")
        traitlets.dlink((self.model, "why_empty"), (self.canvas, "why_empty"))
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._background = Background(self._report)
        self.follower = Follower(stores, self._background, self._catch_up)
        self._background.spawn(self._begin)
        self._background.spawn(self._go_on_teaching)

    # From Python

    @cached_property
    def annotator(self) -> BoxAnnotator:
        """An ipyannotations annotator over the canvas.

        Made when it is first asked for: ipyannotations brings all of matplotlib, for which nobody
        should wait who wants to draw boxes.
        """
        from workbench.panels.annotate.annotator import BoxAnnotator

        return BoxAnnotator(canvas=self.canvas, controls=False, layout={"width": "100%"})

    @property
    def current(self) -> Picture | None:
        """The image that is open; None before the first."""
        return self.model.picture

    @property
    def annotations(self) -> list[Annotation]:
        """The labels of the open image, as they were last loaded or saved."""
        return [] if self.model.labels is None else list(self.model.labels.annotations)

    @property
    def status(self) -> Status:
        """Whether all edits are in the label files."""
        return Status(self.model.state, self.model.why)

    async def open(
        self,
        dataset: str | int,
        split: str = "train",
        *,
        images: Sequence[str] | None = None,
        only: str | None = None,
    ) -> Picture | None:
        """Go to another dataset, or to other images, and show the first; None if there is none.

        Parameters
        ----------
        dataset : str
            (A number shows the image at that place, as `show` does; deprecated.)
        split, images, only
            As for the panel itself.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        if isinstance(dataset, int):
            warnings.warn(
                "AnnotatePanel.open(index) is now AnnotatePanel.show(index); open goes to another "
                "dataset, as in the other panels",
                DeprecationWarning,
                stacklevel=2,
            )
            return await self.show(dataset)
        return await self._background.run(lambda: self._switch(dataset, split, images, only))

    async def show(self, index: int) -> Picture:
        """Show the image at a place of the walk, counted from 0.

        Raises
        ------
        IndexError
            If the walk has no such place.
        """
        return await self._background.run(lambda: self._show(index))

    async def refresh(self) -> None:
        """Look again which images and classes there are; the image that is open stays."""
        await self._background.run(lambda: self._catch_up(_EVERYTHING))

    async def next(self) -> Picture:
        """Show the next image; IndexError after the last."""
        return await self._background.run(lambda: self._step(1))

    async def previous(self) -> Picture:
        """Show the image before; IndexError before the first."""
        return await self._background.run(lambda: self._step(-1))

    async def next_unlabelled(self) -> Picture | None:
        """Show the next image without a label file; None if there is none."""
        return await self._background.run(self._open_unlabelled)

    async def save(self, annotations: Sequence[Annotation]) -> LabelData:
        """Replace the labels of the open image; an empty sequence marks a background image.

        Raises
        ------
        ConflictError
            If somebody else changed the label file since it was loaded here.
        RuntimeError
            If no image is open.
        """
        return await self._background.run(lambda: self._save(list(annotations), "python"))

    async def mark_background(self) -> LabelData:
        """Write an empty label file for the open image: reviewed, nothing in it."""
        return await self._background.run(lambda: self._save([], "nothing here"))

    async def history(self, *, all: bool = False) -> list[LabelEdit]:
        """Return how the labels of the open image came to be what they are, oldest edit first.

        Parameters
        ----------
        all : bool
            Of every image of the dataset.

        Raises
        ------
        RuntimeError
            If no image is open, unless `all`.
        """
        return await self._background.run(lambda: self._history(all))

    async def restore(self, edit: LabelEdit | str) -> LabelData:
        """Put an image's labels back to what they were before an edit, and show it.

        Nothing is lost: this is an edit too, which stands in the history and can be undone.

        Parameters
        ----------
        edit : LabelEdit or str
            One of `history`, or its id.

        Raises
        ------
        NotFoundError
            If the history has no such edit, or the image is not there any more.
        """
        edit_id = edit if isinstance(edit, str) else edit.id
        return await self._background.run(lambda: self._restore(edit_id))

    async def propose(self, filename: str, predictions: Sequence[Prediction]) -> None:
        """Lay predictions over an image for review; none is a label until it is accepted."""
        await self._background.run(lambda: self._propose(filename, list(predictions)))

    async def suggest(self, labeller: Labeller | None = None) -> Prelabelled | None:
        """Have boxes proposed for all images of the walk that are not labelled.

        Parameters
        ----------
        labeller : Labeller, optional
            Default: the active model.

        Returns
        -------
        Prelabelled or None
            None if a person has stopped it; what was found until then waits for review.

        Raises
        ------
        NotFoundError
            If no model is active, or it knows none of the dataset's classes.
        """
        return await self._background.run(lambda: self._suggest(labeller))

    async def teach(self, on: bool = True) -> None:
        """Have a model learn from what is reviewed here, and suggest boxes on the rest.

        It goes on in the background; `canvas.taught` says how far it is.

        Raises
        ------
        RuntimeError
            If the panel was made without a runner; `Workbench.annotate` gives it one.
        """
        if not self.canvas.can_teach:
            raise RuntimeError(
                "this annotator cannot train: make it with wb.annotate(...), or "
                "AnnotatePanel(..., runner=TrainingRunner(stores, 'runs'))"
            )
        await self._background.run(self._ready)
        self._background.spawn(lambda: self._teaching.turn(on))

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self._suggesting.close()
        self.model.clicking.close()
        self._filmstrip.close()
        self.follower.close()
        self._background.close()
        made = self.__dict__.get("annotator")
        for widget in (self.canvas, self.view, *(() if made is None else (made,))):
            widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # From the page; see `CanvasHost`

    def asked(self, message: Mapping[str, Any]) -> None:
        """Take a request of a page; on any thread."""
        self._background.spawn(lambda: self._answer(message))

    def edited(self, edit: Edit) -> None:
        """Take a finished edit; on any thread."""
        self._background.spawn(lambda: self._take(edit))

    # On the owner loop

    async def _begin(self) -> None:
        await self._ready()
        if self.model.picture is not None:
            return
        if self.model.total:
            await self.model.renew(0)
        else:
            self.canvas.send({"kind": "empty"})

    async def _ready(self) -> None:
        async with self._start_lock:
            if self.model.walk == 0:
                await self.follower.follow(self.model.dataset)
                try:
                    await self.model.start()
                except NotFoundError as error:
                    names = await DatasetManager.on(self._stores).list_usable()
                    if self.model.dataset in names:
                        raise  # something in it is what is not there
                    raise NotFoundError(no_such_dataset(self.model.dataset, names)) from error
                self.canvas.notice = ""

    async def _catch_up(self, news: News) -> None:
        was_missing = self.model.walk == 0
        await self._ready()
        is_other = await self.model.catch_up(news)
        if "labels" in news:
            self._teaching.note_change()
        if is_other or (was_missing and self.model.picture is None and self.model.total):
            await self._pages.show_again()
        elif news & RESTS_ON:
            self._pages.announce_suggestions()
            await self._evaluated.look()

    async def _switch(
        self, dataset: str, split: str, images: Sequence[str] | None, only: str | None
    ) -> Picture | None:
        await self._ready()
        await self.follower.follow(dataset)
        try:
            await self.model.switch(dataset, split, images=images, only=only)
        except WorkbenchError:
            await self.follower.follow(self.model.dataset)
            raise
        self.canvas.send({"kind": "scope", "scope": self.model.scope})
        await self._pages.show_again()
        return self.model.picture

    async def _show(self, index: int) -> Picture:
        await self._ready()
        return await self.model.open(index)

    async def _step(self, by: int) -> Picture:
        await self._ready()
        present = self.model.picture
        return await self.model.open(by - 1 if present is None else present.index + by)

    async def _open_unlabelled(self) -> Picture | None:
        await self._ready()
        present = self.model.picture
        return await self._pages.open_unlabelled(-1 if present is None else present.index)

    async def _save(self, annotations: list[Annotation], what: str) -> LabelData:
        await self._ready()
        picture = self._open_picture()
        labels = self.model.labels or picture.labels
        data = await self.model.save(picture.key, labels.revision, annotations, what=what)
        await self._pages.announce(picture.key, data)
        await self._teaching.note_edit()
        return data

    async def _propose(self, filename: str, predictions: list[Prediction]) -> None:
        self.model.propose(filename, predictions)
        picture = self.model.picture
        if picture is not None and picture.filename == filename:
            await self.model.open(picture.index)

    async def _history(self, of_all: bool) -> list[LabelEdit]:
        await self._ready()
        return await self.model.history(None if of_all else self._open_picture().key)

    async def _restore(self, edit_id: str) -> LabelData:
        await self._ready()
        data = await self.model.restore(edit_id)
        key = self.model.key_of(data)
        if key is not None:
            await self._pages.announce(key, data)
        return data

    def _open_picture(self) -> Picture:
        if self.model.picture is None:
            raise RuntimeError("no image is open: await panel.show(index) first")
        return self.model.picture

    async def _suggest(self, labeller: Labeller | None) -> Prelabelled | None:
        await self._ready()
        return await self._suggesting.run(labeller)

    async def _answer(self, message: Mapping[str, Any]) -> None:
        await self._ready()
        if message["kind"] == "suggest":
            await self._suggesting.asked(message)
            return
        if message["kind"] == "fetch":
            await self._suggesting.fetch()
            return
        if message["kind"] == "teach":
            await self._teaching.turn(not self.canvas.teaches)
            return
        if message["kind"] == "strip":
            await self._filmstrip.answer(message)
            return
        if message["kind"] == "open":
            if self._go is not None and message.get("panel") in self.canvas.doors:
                self._go(str(message["panel"]), self.model.dataset)
            return
        try:
            await self._pages.answer(message)
        except MissingFilesError as error:
            self._suggesting.offer(error, Wish("click"))
        except PASSING:
            if message["kind"] != "want":  # the page asks again before it shows that image
                raise

    async def _take(self, edit: Edit) -> None:
        await self._ready()
        await self._pages.take(edit)
        await self._teaching.note_edit()

    async def _go_on_teaching(self) -> None:
        await self._ready()
        await self._teaching.go_on()

    def _follow_classes(self, change: Mapping[str, Any]) -> None:
        names = list(change["new"])
        self.canvas.classes = names
        if self.canvas.current_class not in names:
            self.canvas.current_class = names[0] if names else None

    def _follow_colours(self, change: Mapping[str, Any]) -> None:
        self.canvas.colours = list(change["new"])

    def _follow_picture(self, change: Mapping[str, Any]) -> None:
        picture = change["new"]
        if picture is None:
            return
        suggested = self.model.suggested_class(picture)
        if suggested:
            self.canvas.current_class = suggested
        if change["old"] is None or change["old"].key != picture.key:
            self._teaching.note_opened()
        self._pages.show(picture)
        self._background.spawn(self._evaluated.look)
        if self.model.clicking.is_loaded:
            self._background.spawn(self.model.look_ahead)

    def _report(self, error: Exception) -> None:
        self.canvas.notice = in_words(error)
