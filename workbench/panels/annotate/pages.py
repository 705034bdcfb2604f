"""What the pages of an annotate panel ask, and what they are told.

How an edit travels: the page makes it -> `BoxCanvas` hands it over as an `Edit` ->
`AnnotateModel.take` -> `LabelStore.save` -> the answer (`saved`, or `not_saved` with the
reason and choices) goes back to the page that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from workbench.datasets.trail import LabelState
from workbench.errors import PASSING, ConflictError, LossySaveError, WorkbenchError
from workbench.panels.annotate.boxes import canvas_boxes
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.messages import CanvasBox, Edit, Frame
from workbench.panels.annotate.model import AnnotateModel, ClassesChangedError
from workbench.panels.annotate.picture import Picture
from workbench.panels.shared.following import without_trying_again
from workbench.panels.shared.status import in_words
from workbench.persistence.models import Annotation, LabelData

FRAMES_UNDER_WAY = 6
"""More images than this are not sent ahead before the page has acknowledged some."""

TRAIL_STEPS, TRAIL_BOXES = 100, 20_000
"""Of a long history no more is sent at once; a page asks again where that ends."""

KEEP_MINE = {"choice": "mine", "text": "Keep mine"}
TAKE_THEIRS = {"choice": "theirs", "text": "Take the file's"}
AS_BOXES = {"choice": "mine", "text": "Save as boxes"}
DISCARD_MINE = {"choice": "theirs", "text": "Discard my edit"}
RETRY = {"choice": "retry", "text": "Try again"}


class _Progress(TypedDict):
    total: int
    labelled: int
    to_review: int


class Pages:
    """The pages that show a panel.

    Parameters
    ----------
    model : AnnotateModel
        Started before any method is called.
    canvas : BoxCanvas
        The way to the pages.
    report : callable
        Told of errors that belong to no page.
    """

    def __init__(
        self, model: AnnotateModel, canvas: BoxCanvas, report: Callable[[Exception], None]
    ) -> None:
        self._model = model
        self._canvas = canvas
        self._report = report

    async def answer(self, message: Mapping[str, Any]) -> None:
        """Answer a request, see `workbench.panels.annotate.canvas`."""
        kind, session = message["kind"], str(message.get("session", ""))
        if kind == "hello":
            self._welcome(session)
        elif kind == "want":
            await self._send_wanted(message, session)
        elif kind == "want_trail":
            await self._send_trail(str(message["key"]), session)
        elif kind == "tighten":
            await self._send_tightened(message, session)
        elif kind == "click":
            await self._send_clicked(message, session)
        elif kind == "add_class":
            await self._model.add_class(str(message["name"]))
        elif message.get("walk") != self._model.walk:
            self._welcome(session)  # the page speaks of a walk that has ended
        elif kind == "go":
            await self._go(message, session)
        else:
            await self.open_unlabelled(int(message["index"]), asked_by=message)

    async def _go(self, message: Mapping[str, Any], session: str) -> None:
        index = min(max(int(message["index"]), 0), self._model.total - 1)
        try:
            await self._model.open(index, asked_by=message)
        except PASSING as error:
            self._canvas.send(
                {"kind": "not_shown", "to": session, "index": index, "why": in_words(error)}
            )

    async def open_unlabelled(
        self, after: int, asked_by: Mapping[str, Any] | None = None
    ) -> Picture | None:
        """Open the next image without labels, or say that there is none."""
        index = self._model.next_unlabelled(after)
        if index is None:
            self._canvas.notice = "Every image of this walk has labels."
            return None
        return await self._model.open(index, asked_by=asked_by)

    def show(self, picture: Picture) -> None:
        """Show the image that was opened."""
        asked_by = picture.asked_by or {}
        have = asked_by.get("have")
        self._canvas.show(
            self._frame(picture),
            cause=(
                {"session": asked_by["session"], "seq": asked_by["seq"]}
                if "session" in asked_by
                else None
            ),
            have=None if have is None else str(have),
            **self._progress(),
        )

    async def show_again(self) -> None:
        """Show the walk as it is now: at the same image, or near to where one was that is gone."""
        before = self._model.picture
        if self._model.total == 0:
            self._model.forget_picture()
            self._canvas.clear()
            return
        if before is None:
            await self._model.renew(0)
            return
        index = self._model.index_of(before.key)
        if index is None:
            self._canvas.notice = (
                f"{before.filename} is not here any more: it was moved, renamed or deleted "
                f"elsewhere."
            )
            await self._model.renew(min(before.index, self._model.total - 1))
            return
        # Pages that show it have its bytes already; others will ask for them.
        await self._model.renew(index, asked_by={"have": before.token})

    async def announce(self, key: str, data: LabelData) -> None:
        """Tell the pages what the labels of an image are now."""
        picture = self._model.picture
        if picture is not None and picture.key == key:
            frame = self._frame(picture, data)
        else:
            size = await self._model.size_of(key)
            boxes = canvas_boxes(data.annotations, size)
            waiting = self._waiting(data.filename, data.annotations, size)
            frame = Frame(
                key, "", data.filename, *size, boxes=boxes, proposals=waiting,
                revision=data.revision,
            )  # fmt: skip
        self._canvas.follow(
            frame, labelled=self._model.labelled, to_review=self._progress()["to_review"]
        )

    def announce_suggestions(self) -> None:
        """Tell the pages what is suggested on the open image by now; nothing else changes there."""
        picture = self._model.picture
        if picture is None:
            return
        size = picture.width, picture.height
        waiting = self._waiting(picture.filename, (), size)
        present = set(waiting)
        offered = self._waiting(picture.filename, (), size, rejected=True)
        self._canvas.send(
            {
                "kind": "suggested",
                "key": picture.key,
                "to_review": self._progress()["to_review"],
                "proposals": [box.as_row() for box in waiting],
                "rejected": [box.as_row() for box in offered if box not in present],
            }
        )

    async def take(self, edit: Edit) -> None:
        """Save a finished edit and answer the page that made it."""
        try:
            data = await self._model.take(edit)
        except (WorkbenchError, OSError) as error:
            await self._refuse(edit, error)
            return
        if not edit.session:  # made in Python: no page has these boxes yet
            await self.announce(edit.key, data)
            return
        self._canvas.send(
            {
                "kind": "saved",
                "session": edit.session,
                "seq": edit.seq,
                "key": edit.key,
                "revision": data.revision,
                "labelled": self._model.labelled,
                "to_review": self._progress()["to_review"],
            }
        )

    async def _refuse(self, edit: Edit, error: Exception) -> None:
        """Tell the page why its edit is not saved, what is in the file, and what it can do."""
        passes = isinstance(error, PASSING) and bool(edit.session)
        present = None if passes else await self._present_labels(edit.key)
        choices = [RETRY, DISCARD_MINE]
        if passes:
            choices = [RETRY]
        elif isinstance(error, ConflictError):
            choices = [KEEP_MINE, TAKE_THEIRS]
        elif isinstance(error, LossySaveError):
            choices = [AS_BOXES, DISCARD_MINE]
        if not edit.session:
            self._report(error)
        boxes: tuple[CanvasBox, ...] = ()
        if present is not None:
            boxes = canvas_boxes(present.annotations, await self._model.size_of(edit.key))
        self._canvas.send(
            {
                "kind": "not_saved",
                "to": edit.session or None,
                "seq": edit.seq,
                "key": edit.key,
                "why": _explained(error),
                "choices": choices,
                "passes": passes,
                "revision": edit.revision if present is None else present.revision,
                "boxes": [box.as_row() for box in boxes],
            }
        )

    async def _present_labels(self, key: str) -> LabelData | None:
        try:
            return await self._model.present_labels(self._model.name_of(key))
        except (WorkbenchError, OSError):
            return None  # the image is gone as well: `error` of the save says so

    def _welcome(self, session: str) -> None:
        if self._model.total == 0:
            self._canvas.send({"kind": "empty", "to": session})
        elif self._model.picture is not None:
            # The boxes may have been edited since the picture was loaded.
            frame = self._frame(self._model.picture, self._model.labels)
            self._canvas.send_frame(frame, show=True, to=session, **self._progress())
        self._canvas.send({"kind": "scope", "to": session, "scope": self._model.scope})

    async def _send_wanted(self, message: Mapping[str, Any], session: str) -> None:
        if "key" in message:
            index = self._model.index_of(str(message["key"]))
            self._model.forget_failure(str(message["key"]))
        elif message.get("walk") == self._model.walk:
            if self._canvas.frames_under_way >= FRAMES_UNDER_WAY:
                return
            index = int(message["index"])
        else:
            return
        if index is None or not 0 <= index < self._model.total:
            return
        plain = bool(message.get("plain", False))
        picture = await self._model.load(index, plain=plain)
        self._canvas.send_frame(self._frame(picture), to=session, plain=plain, **self._progress())

    async def _send_trail(self, key: str, session: str) -> None:
        data, trail = await self._model.trail(key)
        size = await self._model.size_of(key)

        def rows(state: LabelState) -> list[dict[str, Any]] | None:
            return None if state is None else [b.as_row() for b in canvas_boxes(state, size)]

        def proposals(states: Iterable[LabelState]) -> list[list[dict[str, Any]]]:
            return [
                [
                    box.as_row()
                    for box in self._waiting(data.filename, state or (), size, rejected=True)
                ]
                for state in states
            ]

        present = data.annotations if data.revision else None
        earlier = [*trail.past]
        if self._model.review.num_rejected(data.filename):
            earlier.append(present)  # the nearest step back brings back what was rejected
        past = _nearest(reversed(earlier))[::-1]
        future = _nearest(trail.future)
        self._canvas.send(
            {
                "kind": "trail",
                "to": session,
                "key": key,
                "boxes": rows(present),
                "past": [rows(state) for state in past],
                "future": [rows(state) for state in future],
                "past_proposals": proposals(past),
                "future_proposals": proposals(future),
                "more": len(past) < len(earlier),
            }
        )

    async def _send_tightened(self, message: Mapping[str, Any], session: str) -> None:
        key = str(message["key"])
        rows = [CanvasBox.from_row({"class_id": 0, "xyxy": row}) for row in message["boxes"]]
        boxes = await self._model.tightened(key, [row.xyxy for row in rows])
        ids = [int(number) for number in message["ids"]]
        self._canvas.send(
            {"kind": "tightened", "to": session, "key": key, "ids": ids, "boxes": boxes}
        )

    async def _send_clicked(self, message: Mapping[str, Any], session: str) -> None:
        key, point = str(message["key"]), [float(value) for value in message["point"]]
        box = await self._model.box_at(key, point)
        if box is None:
            self._canvas.notice = "Nothing was found there: draw the box."
        self._canvas.send({"kind": "clicked", "to": session, "key": key, "xyxy": box})

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
            boxes=canvas_boxes(present.annotations, size),
            proposals=self._waiting(picture.filename, present.annotations, size),
            rejected=self._model.review.num_rejected(picture.filename),
            revision=present.revision,
            editable=picture.editable,
            problem=picture.problem,
            walk=self._model.walk,
            index=picture.index,
            reason=self._model.reason_of(picture.filename),
        )

    def _progress(self) -> _Progress:
        return {
            "total": self._model.total,
            "labelled": self._model.labelled,
            "to_review": self._model.to_review(
                self._canvas.threshold, self._canvas.class_thresholds
            ),
        }

    def _waiting(
        self,
        filename: str,
        labels: Sequence[Annotation],
        size: tuple[int, int],
        *,
        rejected: bool = False,
    ) -> tuple[CanvasBox, ...]:
        """Return what waits for review on an image, with the sources' names for people."""
        found = self._model.proposals(filename, labels, rejected=rejected)
        return tuple(
            replace(box, source=self._model.review.source_name(box.source_id))
            for box in canvas_boxes(found, size)
        )


def _nearest(states: Iterable[LabelState]) -> list[LabelState]:
    """Return the first of some states, no more than fit into a message."""
    chosen: list[LabelState] = []
    boxes = 0
    for state in states:
        boxes += len(state or ())
        if chosen and (boxes > TRAIL_BOXES or len(chosen) == TRAIL_STEPS):
            break
        chosen.append(state)
    return chosen


def _explained(error: Exception) -> str:
    if isinstance(error, PASSING):
        kept = "Your edits are kept in this browser, and sent again until they are saved."
        return f"{without_trying_again(in_words(error))}. {kept}"
    if isinstance(error, ConflictError) and not isinstance(error, ClassesChangedError):
        return (
            "Another program or tab has changed these labels since they were loaded here. "
            "Dashed: what is in the file and not among your boxes."
        )
    return str(error)
