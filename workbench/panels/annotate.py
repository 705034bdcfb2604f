"""The annotate panel: draw boxes on the images of a dataset, in a notebook cell.

How an edit travels: the page makes it -> `BoxCanvas` hands it over as an `Edit` ->
`AnnotateModel.save` -> `LabelStore.save` -> the answer (`saved`, or `not_saved` with the
reason and choices) goes back to the page that made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets

from workbench import geometry
from workbench.errors import ConflictError, LossySaveError, WorkbenchError
from workbench.panels.annotate_model import AnnotateModel, Picture, PixelBoxes
from workbench.panels.annotator import BoxAnnotator
from workbench.panels.background import Background
from workbench.panels.widgets.box_canvas import key_bindings
from workbench.panels.widgets.canvas_messages import CanvasBox, Edit, Frame
from workbench.persistence import Stores, get_stores
from workbench.persistence.models import Annotation, LabelData, Prediction

FRAMES_UNDER_WAY = 6
"""More images than this are not sent ahead before the page has acknowledged some."""

KEEP_MINE = {"choice": "mine", "text": "Keep mine"}
TAKE_THEIRS = {"choice": "theirs", "text": "Take the file's"}
AS_BOXES = {"choice": "mine", "text": "Save as boxes"}
DISCARD_MINE = {"choice": "theirs", "text": "Discard my edit"}
RETRY = {"choice": "retry", "text": "Try again"}


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
        await panel.open(3)
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
        ``"unlabelled"`` or ``"labelled"``: leave the others out.
    keys : mapping, optional
        Action to its keys, see `key_bindings`.
    height : int
        Of the picture, in CSS pixels.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : AnnotateModel
    annotator : BoxAnnotator
        The ipyannotations annotator inside.
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
    ) -> None:
        self.model = AnnotateModel(stores or get_stores(), dataset, split, images=images, only=only)
        self.annotator = BoxAnnotator((900, height), controls=False, layout={"width": "100%"})
        self.canvas = self.annotator.canvas
        self.view = ipywidgets.VBox((self.annotator,), layout={"width": "100%"})
        self.canvas.walks = True
        self.canvas.bindings = key_bindings(keys)
        self.canvas.host = self
        self.model.observe(self._follow_classes, "classes")
        self.model.observe(self._follow_picture, "picture")
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._background = Background(self._report)
        self._background.spawn(self._begin)

    # From Python

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

    async def open(self, index: int) -> Picture:
        """Show the image at a place of the walk, counted from 0.

        Raises
        ------
        IndexError
            If the walk has no such place.
        """
        return await self._background.run(lambda: self._open(index))

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
        return await self._background.run(lambda: self._save(list(annotations)))

    async def mark_background(self) -> LabelData:
        """Write an empty label file for the open image: reviewed, nothing in it."""
        return await self.save([])

    async def propose(self, filename: str, predictions: Sequence[Prediction]) -> None:
        """Lay predictions over an image for review; none is a label until it is accepted."""
        await self._background.run(lambda: self._propose(filename, list(predictions)))

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self._background.close()
        for widget in (self.canvas, self.annotator, self.view):
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
            await self.model.open(0)
        else:
            self.canvas.send({"kind": "empty"})

    async def _ready(self) -> None:
        async with self._start_lock:
            if self.model.walk == 0:
                await self.model.start()

    async def _open(self, index: int) -> Picture:
        await self._ready()
        return await self.model.open(index)

    async def _step(self, by: int) -> Picture:
        await self._ready()
        present = self.model.picture
        return await self.model.open(by - 1 if present is None else present.index + by)

    async def _open_unlabelled(
        self, after: int | None = None, asked_by: Mapping[str, Any] | None = None
    ) -> Picture | None:
        await self._ready()
        if after is None:
            after = -1 if self.model.picture is None else self.model.picture.index
        index = self.model.next_unlabelled(after)
        if index is None:
            self.canvas.notice = "Every image of this walk has labels."
            return None
        return await self.model.open(index, asked_by=asked_by)

    async def _save(self, annotations: list[Annotation]) -> LabelData:
        await self._ready()
        picture, labels = self.model.picture, self.model.labels
        if picture is None or labels is None:
            raise RuntimeError("no image is open: await panel.open(index) first")
        data = await self.model.save(picture.key, labels.revision, annotations)
        self._announce_labels(picture, data)
        return data

    async def _propose(self, filename: str, predictions: list[Prediction]) -> None:
        self.model.propose(filename, predictions)
        picture = self.model.picture
        if picture is not None and picture.filename == filename:
            await self.model.open(picture.index)

    async def _answer(self, message: Mapping[str, Any]) -> None:
        await self._ready()
        kind, session = message["kind"], str(message.get("session", ""))
        if kind == "hello":
            self._welcome(session)
        elif kind == "want":
            await self._send_wanted(message, session)
        elif message.get("walk") != self.model.walk:
            self._welcome(session)  # the page speaks of a walk that has ended
        elif kind == "go":
            index = min(max(int(message["index"]), 0), self.model.total - 1)
            await self.model.open(index, asked_by=message)
        else:
            await self._open_unlabelled(int(message["index"]), asked_by=message)

    def _welcome(self, session: str) -> None:
        if self.model.total == 0:
            self.canvas.send({"kind": "empty", "to": session})
        elif self.model.picture is not None:
            # The boxes may have been edited since the picture was loaded.
            frame = self._frame(self.model.picture, self.model.labels)
            self.canvas.send_frame(frame, show=True, to=session, **self._progress())
        self.canvas.send({"kind": "scope", "to": session, "scope": self.model.scope})

    async def _send_wanted(self, message: Mapping[str, Any], session: str) -> None:
        if "key" in message:
            index = self.model.index_of(str(message["key"]))
            self.model.forget_failure(str(message["key"]))
        elif message.get("walk") == self.model.walk:
            if self.canvas.frames_under_way >= FRAMES_UNDER_WAY:
                return
            index = int(message["index"])
        else:
            return
        if index is None or not 0 <= index < self.model.total:
            return
        plain = bool(message.get("plain", False))
        picture = await self.model.load(index, plain=plain)
        self.canvas.send_frame(self._frame(picture), to=session, plain=plain, **self._progress())

    async def _take(self, edit: Edit) -> None:
        model, picture = self.model, self.model.picture
        # An edit from Python is based on what this panel saw last.
        from_python = not edit.session
        revision = edit.revision
        if from_python and model.labels is not None:
            revision = model.labels.revision
        self._keep_proposals(edit)
        try:
            data = await model.save(
                edit.key, revision, _pixel_boxes(edit.boxes), agreed=edit.agreed
            )
        except (WorkbenchError, OSError) as error:
            await self._refuse(edit, error)
            return
        if from_python and picture is not None:
            self._announce_labels(picture, data)
            return
        self.canvas.send(
            {
                "kind": "saved",
                "session": edit.session,
                "seq": edit.seq,
                "key": edit.key,
                "revision": data.revision,
                "labelled": model.labelled,
            }
        )

    async def _refuse(self, edit: Edit, error: Exception) -> None:
        """Tell the page why its edit is not saved, what is in the file, and what it can do."""
        present = await self._present_labels(edit.key)
        choices = [RETRY, DISCARD_MINE]
        if isinstance(error, ConflictError):
            choices = [KEEP_MINE, TAKE_THEIRS]
        elif isinstance(error, LossySaveError):
            choices = [AS_BOXES, DISCARD_MINE]
        if not edit.session:
            self._report(error)
        boxes: tuple[CanvasBox, ...] = ()
        if present is not None:
            width, height = await self.model.size_of(edit.key)
            boxes = _canvas_boxes(present.annotations, width, height)
        self.canvas.send(
            {
                "kind": "not_saved",
                "to": edit.session or None,
                "seq": edit.seq,
                "key": edit.key,
                "why": _explained(error),
                "choices": choices,
                "revision": edit.revision if present is None else present.revision,
                "boxes": [box.as_row() for box in boxes],
            }
        )

    async def _present_labels(self, key: str) -> LabelData | None:
        try:
            return await self.model.current_labels(key)
        except (WorkbenchError, OSError):
            return None  # the image is gone as well: `error` of the save says so

    def _keep_proposals(self, edit: Edit) -> None:
        picture = self.model.picture
        if edit.proposals is None or picture is None or picture.key != edit.key:
            return
        xywh = geometry.to_normalised(
            [box.xyxy for box in edit.proposals], picture.width, picture.height
        ).tolist()
        self.model.propose(
            picture.filename,
            [
                Prediction(box.class_id, row[0], row[1], row[2], row[3], box.score or 0.0)
                for box, row in zip(edit.proposals, xywh, strict=True)
            ],
        )

    def _announce_labels(self, picture: Picture, data: LabelData) -> None:
        frame = self._frame(picture, data)
        self.canvas.follow(frame, labelled=self.model.labelled)

    def _follow_classes(self, change: Mapping[str, Any]) -> None:
        self.annotator.options = list(change["new"])

    def _follow_picture(self, change: Mapping[str, Any]) -> None:
        picture: Picture = change["new"]
        asked_by = picture.asked_by or {}
        have = asked_by.get("have")
        self.canvas.show(
            self._frame(picture),
            cause={"session": asked_by["session"], "seq": asked_by["seq"]} if asked_by else None,
            have=None if have is None else str(have),
            **self._progress(),
        )

    def _frame(self, picture: Picture, labels: LabelData | None = None) -> Frame:
        present = labels or picture.labels
        size = picture.width, picture.height
        return Frame(
            key=picture.key,
            token=picture.token,
            name=picture.filename,
            width=picture.width,
            height=picture.height,
            content=picture.content,
            boxes=_canvas_boxes(present.annotations, *size),
            proposals=_canvas_boxes(self.model.proposals(picture.filename), *size),
            revision=present.revision,
            editable=picture.editable,
            problem=picture.problem,
            walk=self.model.walk,
            index=picture.index,
        )

    def _progress(self) -> dict[str, int]:
        return {"total": self.model.total, "labelled": self.model.labelled}

    def _report(self, error: Exception) -> None:
        self.canvas.notice = f"{type(error).__name__}: {error}"


def _explained(error: Exception) -> str:
    if isinstance(error, ConflictError):
        return (
            "Another program or tab has changed these labels since they were loaded here. "
            "Dashed: what is in the file and not among your boxes."
        )
    return str(error)


def _pixel_boxes(boxes: Sequence[CanvasBox]) -> PixelBoxes:
    return PixelBoxes([b.class_id for b in boxes], geometry.as_boxes([b.xyxy for b in boxes]))


def _canvas_boxes(
    annotations: Sequence[Annotation], width: int, height: int
) -> tuple[CanvasBox, ...]:
    pixels = geometry.to_pixels([a.xywh for a in annotations], width, height).tolist()
    return tuple(
        CanvasBox(
            annotation.class_id,
            (row[0], row[1], row[2], row[3]),
            score=annotation.confidence if isinstance(annotation, Prediction) else None,
            source="prediction" if isinstance(annotation, Prediction) else "",
        )
        for annotation, row in zip(annotations, pixels, strict=True)
    )
