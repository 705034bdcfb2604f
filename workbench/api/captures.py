"""Devices that push frames: a feed and a capture controller for each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.api.problems import ProblemError
from workbench.api.settings import ApiLimits
from workbench.capture.controller import CaptureController
from workbench.capture.detection import with_active_model
from workbench.capture.push_feed import PushFeed
from workbench.capture.settings import CaptureSettings
from workbench.errors import NotFoundError
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores

_WINDOW = 8
"""Frames of a device that may wait to be written."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A device, and what becomes of its frames."""

    id: str
    dataset: str
    feed: PushFeed
    controller: CaptureController

    @property
    def settings(self) -> CaptureSettings:
        """What the next recording goes by."""
        return self.controller.settings


class Captures:
    """The captures of one server.

    Parameters
    ----------
    stores : Stores
    predictor : Predictor
    limits : ApiLimits
    """

    def __init__(self, stores: Stores, predictor: Predictor, limits: ApiLimits) -> None:
        self._stores = stores
        self._predictor = predictor
        self._limits = limits
        self._open: dict[str, Capture] = {}

    def list(self) -> list[Capture]:
        """Return those that are open."""
        return [*self._open.values()]

    def get(self, identity: str) -> Capture:
        """Return a capture.

        Raises
        ------
        NotFoundError
            If there is none of this id (any more).
        """
        if identity not in self._open:
            raise NotFoundError(f"there is no capture {identity!r}; open one first")
        return self._open[identity]

    async def open(self, dataset: str, device: str, settings: Mapping[str, Any]) -> Capture:
        """Begin to take frames of a device.

        Raises
        ------
        NotFoundError
            If there is no such dataset, or no active model where boxes are wanted.
        ValueError
            If a setting cannot be.
        """
        if len(self._open) >= self._limits.max_captures:
            raise ProblemError(
                429,
                f"{len(self._open)} captures are open; close one first",
                kind="too-many-captures",
                headers={"Retry-After": "10"},
            )
        info = await self._stores.dataset.get(dataset)
        chosen = CaptureSettings(**settings)
        predict = None
        if chosen.detections != "off":
            predict = await with_active_model(self._stores, self._predictor, info.name)
        feed = PushFeed(name=device, window=_WINDOW)
        controller = CaptureController(
            self._stores.image,
            feed,
            info.name,
            dataset_store=self._stores.dataset,
            settings=chosen,
            predict=predict,
        )
        feed.start()
        capture = Capture(secrets.token_hex(8), info.name, feed, controller)
        self._open[capture.id] = capture
        return capture

    async def shut(self, identity: str) -> None:
        """Save what is waiting, and let a device go."""
        capture = self.get(identity)
        del self._open[identity]
        await asyncio.to_thread(capture.controller.close)
        await asyncio.to_thread(capture.feed.stop)

    async def close(self) -> None:
        """Release all devices."""
        for identity in [*self._open]:
            await self.shut(identity)
