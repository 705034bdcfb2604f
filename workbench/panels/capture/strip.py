"""The strip of what was captured last, as the pages of a capture panel show it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any

from workbench.capture.events import ImageSaved
from workbench.datasets.thumbnails import Thumbnail, Thumbnails
from workbench.errors import NotFoundError
from workbench.panels.live.preview import Send
from workbench.persistence import Stores

STRIP_LENGTH = 24
THUMBNAIL = 160
_AT_ONCE = 6
_PAUSE = 0.3
"""Thumbnails made in one go while pictures keep coming, and seconds until the next go."""


class Strip:
    """Small pictures of what was captured last, newest first.

    Used on the owner loop.
    """

    def __init__(self, stores: Stores, send: Send) -> None:
        self._thumbnails = Thumbnails(stores)
        self._send = send
        self._numbers = count()
        self._ids: dict[tuple[str, str], int] = {}
        self._pictures: dict[int, bytes] = {}
        self._shown: list[ImageSaved] = []
        self._dataset = ""
        self._is_busy = False

    def find(self, number: int) -> ImageSaved | None:
        """Return the picture that has a number on the pages."""
        return next((one for one in self._shown if self._id(one) == number), None)

    def welcome(self, session: str) -> None:
        """Show a new page all there is."""
        self._tell(self._shown, to=session)

    async def show(self, dataset: str, recent: tuple[ImageSaved, ...]) -> None:
        """Show the last pictures; returns when all of them have their thumbnails."""
        if dataset != self._dataset:
            self._dataset = dataset
            self._ids.clear()
            self._pictures.clear()
        self._shown = list(reversed(recent[-STRIP_LENGTH:]))
        shown = {self._id(one) for one in self._shown}
        self._pictures = {k: v for k, v in self._pictures.items() if k in shown}
        self._ids = {key: number for key, number in self._ids.items() if number in shown}
        self._tell([])
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while missing := [o for o in self._shown if self._id(o) not in self._pictures]:
                await self._make(missing[:_AT_ONCE])
                await asyncio.sleep(_PAUSE)  # while pictures pour in, the newest of them will do
        finally:
            self._is_busy = False

    def close(self) -> None:
        """End the threads."""
        self._thumbnails.close()

    async def _make(self, images: list[ImageSaved]) -> None:
        keys = [(one.info.split, one.info.filename) for one in images]
        try:
            made = await self._thumbnails.get(self._dataset, keys, size=THUMBNAIL)
        except NotFoundError:
            made = [NotFoundError(self._dataset)] * len(keys)
        for one, picture in zip(images, made, strict=True):
            # A deleted image gets an empty picture, so that it is not asked for again.
            data = picture.data if isinstance(picture, Thumbnail) else b""
            self._pictures[self._id(one)] = data
        self._tell(images)

    def _tell(self, images: list[ImageSaved], **to: str) -> None:
        buffers: list[bytes] = []
        items: list[Mapping[str, Any]] = []
        for one in images:
            data = self._pictures.get(self._id(one))
            items.append(
                {
                    "id": self._id(one),
                    "name": one.info.filename,
                    "split": one.info.split,
                    "class_name": one.class_name,
                    "blurred": one.blurred,
                    "boxes": one.num_boxes,
                    "buffer": len(buffers) if data else None,
                }
            )
            if data:
                buffers.append(data)
        ids = [self._id(one) for one in self._shown]
        self._send({"kind": "strip", "ids": ids, "items": items, **to}, buffers)

    def _id(self, one: ImageSaved) -> int:
        key = (one.info.split, one.info.filename)
        if key not in self._ids:
            self._ids[key] = next(self._numbers)
        return self._ids[key]
