"""What the box canvas and its page say to each other, as Python values.

Coordinates are pixel xyxy of the stored image (see `workbench.geometry`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import WorkbenchError

Xyxy = tuple[float, float, float, float]


class MessageError(WorkbenchError, ValueError):
    """A message of the page that is not what the protocol says."""


@dataclass(frozen=True, slots=True)
class CanvasBox:
    """A box on the canvas.

    Parameters
    ----------
    class_id : int
        Index into the classes.
    xyxy : tuple of float
        Left, top, right, bottom in pixels of the stored image.
    score : float or None
        Confidence 0..1 of a prediction that waits for review; None for a label.
    source : str
        Where a prediction comes from, for people.
    source_id : str
        `SuggestionSource.id` of that; empty for predictions that are not kept.
    """

    class_id: int
    xyxy: Xyxy
    score: float | None = None
    source: str = ""
    source_id: str = ""

    def as_row(self) -> dict[str, Any]:
        """Return the box as a message holds it."""
        row: dict[str, Any] = {"class_id": self.class_id, "xyxy": list(self.xyxy)}
        if self.score is not None:
            row |= {"score": self.score, "source": self.source}
            if self.source_id:
                row["source_id"] = self.source_id
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> CanvasBox:
        """Read a box of a message.

        Raises
        ------
        MessageError
            If a field is missing, of another type, or not finite.
        """
        try:
            xyxy = tuple(float(value) for value in row["xyxy"])
            class_id = int(row["class_id"])
            score = None if row.get("score") is None else float(row["score"])
        except (LookupError, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise MessageError(
                f"expected a box with class_id and xyxy, found {row!r}: {error}"
            ) from error
        if len(xyxy) != 4 or not all(map(math.isfinite, xyxy)):
            raise MessageError(f"expected four finite numbers in xyxy, found {row!r}")
        source, source_id = str(row.get("source", "")), str(row.get("source_id", ""))
        return cls(class_id, xyxy, score, source, source_id)


@dataclass(frozen=True, slots=True)
class Frame:
    """One image as the page gets it.

    Parameters
    ----------
    key : str
        Identity of the image: edits carry it.
    token : str
        Changes with the image's bytes; a page that has it needs no bytes.
    name : str
    width, height : int
        Pixels of the stored image; `content` may have fewer.
    content : bytes
        An encoded image that browsers decode; empty if there is none to show.
    boxes, proposals : tuple of CanvasBox
        Labels, and predictions that wait for review.
    revision : str
        Of the label file; ``""`` if there is none.
    editable : bool
    problem : str
        What is wrong with the image or its labels.
    walk, index : int
        Number of the walk, and the image's place in it.
    keep : bool
        Whether the browser keeps unsaved edits beyond the page's life.
    rejected : int
        Predictions of it that were rejected, which undo brings back.
    reason : str
        Why it stands where it does in a queue, for people.
    """

    key: str
    token: str
    name: str
    width: int
    height: int
    content: bytes = b""
    boxes: tuple[CanvasBox, ...] = ()
    proposals: tuple[CanvasBox, ...] = ()
    revision: str = ""
    editable: bool = True
    problem: str = ""
    walk: int = 0
    index: int = 0
    keep: bool = True
    rejected: int = 0
    reason: str = ""

    def as_message(self) -> dict[str, Any]:
        """Return all but the bytes, as the message holds it."""
        return {
            "key": self.key,
            "token": self.token,
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "boxes": [box.as_row() for box in self.boxes],
            "proposals": [box.as_row() for box in self.proposals],
            "revision": self.revision,
            "editable": self.editable,
            "problem": self.problem,
            "walk": self.walk,
            "index": self.index,
            "keep": self.keep,
            "rejected": self.rejected,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Edit:
    """A finished edit: the whole state of one image's boxes after it.

    Parameters
    ----------
    key : str
        Of the image.
    revision : str
        Of the label file that the edit is based on.
    boxes : tuple of CanvasBox
    proposals : tuple of CanvasBox or None
        Predictions still to review; None if there were none.
    gone : tuple of CanvasBox
        Predictions that the page was sent and that do not wait any more: accepted or rejected.
    what : str
        ``"draw"``, ``"move"``, ``"undo"`` and so on.
    labelled : bool
        Whether the image shall have a label file; false goes with no `boxes` only.
    names : mapping of int to str
        What the class ids of the boxes meant to whoever drew them, as far as it is known.
    agreed : bool
        The user was asked and wants this state, whatever is in the file.
    session : str
        Page that made the edit; empty if it was made in Python.
    seq : int
        Number of the edit in that session.
    """

    key: str
    revision: str
    boxes: tuple[CanvasBox, ...]
    proposals: tuple[CanvasBox, ...] | None = None
    gone: tuple[CanvasBox, ...] = ()
    what: str = ""
    labelled: bool = True
    names: Mapping[int, str] = field(default_factory=dict)
    agreed: bool = False
    session: str = ""
    seq: int = 0

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Edit:
        """Read an ``edit`` message.

        Raises
        ------
        MessageError
            If it is not what the protocol says.
        """
        try:
            rows: Sequence[Mapping[str, Any]] = message["boxes"]
            waiting: Sequence[Mapping[str, Any]] | None = message.get("proposals")
            return cls(
                key=str(message["key"]),
                revision=str(message["revision"]),
                boxes=tuple(CanvasBox.from_row(row) for row in rows),
                proposals=None if waiting is None else tuple(map(CanvasBox.from_row, waiting)),
                gone=tuple(map(CanvasBox.from_row, message.get("gone", ()))),
                what=str(message.get("what", "")),
                labelled=bool(message.get("labelled", True)) or bool(rows),
                names={int(key): str(name) for key, name in (message.get("names") or {}).items()},
                agreed=bool(message.get("agreed", False)),
                session=str(message.get("session", "")),
                seq=int(message["seq"]),
            )
        except MessageError:
            raise
        except (LookupError, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise MessageError(
                f"expected an edit with key, revision, boxes and seq: {error!r}"
            ) from error
