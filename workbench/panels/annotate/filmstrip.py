"""The filmstrip of an annotate panel: small pictures of the images around the one that is open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.datasets.thumbnails import Thumbnail, Thumbnails
from workbench.errors import PASSING
from workbench.panels.annotate.canvas import BoxCanvas
from workbench.panels.annotate.model import AnnotateModel
from workbench.persistence import Stores

SIDE = 160
AT_ONCE = 60
"""Pixels of the longer side, and images that one request may name."""


class Filmstrip:
    """Answers the pages' requests for small pictures; used on the owner loop.

    Parameters
    ----------
    stores : Stores
    model : AnnotateModel
    canvas : BoxCanvas
        The way to the pages.
    """

    def __init__(self, stores: Stores, model: AnnotateModel, canvas: BoxCanvas) -> None:
        self._stores = stores
        self._model = model
        self._canvas = canvas
        self._thumbnails: Thumbnails | None = None

    async def answer(self, message: Mapping[str, Any]) -> None:
        """Send names and states of the images asked for, and the pictures that the page lacks."""
        walk = self._model.walk
        if message.get("walk") != walk:
            return  # of a walk that has ended: the page asks again for the new one
        first = max(int(message["first"]), 0)
        count = min(max(int(message["count"]), 0), AT_ONCE)
        names = self._model.filenames_at(first, count)
        have = set(message.get("have", ()))
        wanted = [name for place, name in enumerate(names, first) if place not in have]
        pictures = await self._pictures(wanted)
        if self._model.walk != walk:
            return
        # What passes by itself is left out: the page asks once more for what it did not get.
        came = [name for name in wanted if name in pictures]
        items = [
            {
                "index": place,
                "name": name,
                "labelled": self._model.is_labelled(name),
                "buffer": came.index(name) if name in pictures else None,
            }
            for place, name in enumerate(names, first)
        ]
        self._canvas.send(
            {"kind": "strip", "to": message.get("session"), "walk": walk, "items": items},
            buffers=[pictures[name] for name in came],
        )

    def close(self) -> None:
        """End the threads."""
        if self._thumbnails is not None:
            self._thumbnails.close()

    async def _pictures(self, names: list[str]) -> dict[str, bytes]:
        """Return small pictures as JPEG: empty for an image that cannot be read.

        Those are left out whose place does not answer now.
        """
        if not names:
            return {}
        self._thumbnails = self._thumbnails or Thumbnails(self._stores)
        keys = [(self._model.split, name) for name in names]
        try:
            made = await self._thumbnails.get(self._model.dataset, keys, size=SIDE)
        except PASSING:
            return {}
        return {
            name: one.data if isinstance(one, Thumbnail) else b""
            for name, one in zip(names, made, strict=True)
            if not isinstance(one, PASSING)
        }
