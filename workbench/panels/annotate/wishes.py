"""What a person may wish to have found, and on which images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from workbench.datasets.prelabelling import Labeller
from workbench.labelling import Example
from workbench.labelling.predictor import Predictor
from workbench.panels.annotate.messages import CanvasBox, MessageError
from workbench.panels.shared.looking import Looker
from workbench.panels.shared.where import place_wished
from workbench.persistence import Stores
from workbench.persistence.models import Progress
from workbench.training.config import LOCAL

How = Literal["model", "words", "similar", "pixels", "click"]
Where = Literal["image", "walk", "dataset", "unlabelled"]


@dataclass(frozen=True, slots=True)
class Wish:
    """Something to be found.

    Parameters
    ----------
    how : str
        By the active ``"model"``, by ``"words"``, or what is like `boxes`: ``"similar"`` for
        YOLOE, or the same in its ``"pixels"``. ``"click"``: a person points.
    where : str
        On the open ``"image"``, on all of the ``"walk"`` or of the ``"dataset"``; or on what is
        ``"unlabelled"`` of the walk.
    boxes : tuple of CanvasBox
    key : str
        Of the image that the boxes are on.
    at : str
        The place that looks: ``"local"``, or ``"ray"``, for a model only.
    """

    how: How = "model"
    where: Where = "unlabelled"
    boxes: tuple[CanvasBox, ...] = ()
    key: str = ""
    at: str = LOCAL

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Wish:
        """Read a ``suggest`` message.

        Raises
        ------
        MessageError
            If it is not what the protocol says.
        """
        how: Any = message.get("how") or "model"
        where: Any = message.get("where") or "unlabelled"
        if how not in get_args(How) or where not in get_args(Where):
            raise MessageError(f"expected a way and a place to look, found {how!r} and {where!r}")
        boxes = tuple(map(CanvasBox.from_row, message.get("boxes") or ()))
        at = place_wished(message.get("at"))
        return cls(how, where, boxes, str(message.get("key") or ""), at)


async def labeller_for(
    wish: Wish,
    stores: Stores,
    image: tuple[str, str, str] | None,
    predictor: Predictor,
    *,
    fetch: bool,
    progress: Progress,
) -> Labeller:
    """Return who fulfils a wish.

    Parameters
    ----------
    image : tuple of str or None
        Dataset, split and name of the image that the boxes are on.
    fetch : bool
        Whether missing weights may be fetched.
    progress : callable
        Told how much of a file has come.
    """
    examples: list[Example] = []
    if wish.how in ("similar", "pixels"):
        if image is None or not wish.boxes:
            raise ValueError("Draw a box first, or select some: what is like them is looked for.")
        frame = await stores.image.load(*image)
        corners = np.array([box.xyxy for box in wish.boxes], dtype=np.float64)
        examples = [Example(frame, corners, [box.class_id for box in wish.boxes])]
    how = "model" if wish.how == "click" else wish.how
    looker = Looker(how, where=wish.at, examples=examples)
    return looker.labeller(predictor, fetch=fetch, progress=progress)
