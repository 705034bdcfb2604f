"""A model looking at a feed: what the models panel tries on a video or a camera.

No widgets. The model looks at the newest frame only, in a thread of its own (see
`workbench.capture.detection`): it holds up neither the feed nor the kernel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import traitlets as t

from workbench.capture.detection import Detections, LiveDetector
from workbench.capture.feed import Feed
from workbench.capture.frames import FeedState, Image
from workbench.labelling.predictor import Predictor
from workbench.owner_loop import OwnerLoop
from workbench.panels.live.sources import make_feed
from workbench.persistence.models import Prediction

LEAST_CONFIDENCE = 0.05
"""What is tried is predicted from here on, so that the slider needs no second look."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model sees in one frame.

    Parameters
    ----------
    model : str
        Its name.
    detections : Detections
        From `LEAST_CONFIDENCE` on.
    """

    model: str
    detections: Detections


class LiveTrial(t.HasTraits):
    """Lets a model look at one feed at a time.

    Parameters
    ----------
    predictor : Predictor

    Notes
    -----
    Made and used on one event loop, on which all traits change.
    """

    model = t.Unicode("", help="name of the model that looks; may change while a feed runs")
    feed = t.Instance(Feed, allow_none=True, help="the last one, running or not")
    place = t.Unicode("", help="what the user typed to choose the feed")
    feed_state = t.Instance(FeedState, args=("stopped",))
    seen = t.Instance(Seen, allow_none=True, help="in the newest frame that was looked at")

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self._predictor = predictor
        self._owner = OwnerLoop()
        self._lock = asyncio.Lock()  # used on the owner loop only
        self._detector: LiveDetector | None = None
        self._forget_state: Callable[[], None] = lambda: None
        # Feeds and predictions are numbered, so that a late answer of an earlier one is ignored.
        self._feeds = 0
        self._looks = 0
        self.observe(lambda _: self._look(), "model")

    @property
    def is_on(self) -> bool:
        """Whether frames come, or may come."""
        return self.feed is not None and not self.feed.state.over

    async def choose(self, kind: str, place: str = "") -> None:
        """Look at a source; see `workbench.panels.live.sources.make_feed`."""
        await self.use(await asyncio.to_thread(make_feed, kind, place), place)

    async def use(
        self, feed: Feed, place: str = "", *, start: Callable[[], object] | None = None
    ) -> None:
        """Look at another feed; the one before is stopped.

        Parameters
        ----------
        feed : Feed
        place : str
            What the user typed to choose it.
        start : callable, optional
            Starts the feed; default: its own method.

        Raises
        ------
        ValueError
            If no model is chosen.
        """
        if not self.model:
            raise ValueError("Choose a model first.")
        async with self._lock:  # two clicks must not leave a device open that nobody knows of
            await self._stop()
            self._feeds += 1
            self._forget_state()
            self._forget_state = feed.on_state(partial(self._from_feed, self._feeds))
            (start or feed.start)()
            with self.hold_trait_notifications():
                self.feed, self.place, self.feed_state = feed, place, feed.state
            self._look()

    async def stop(self) -> None:
        """Stop the feed, which releases its device."""
        async with self._lock:
            await self._stop()

    def close(self) -> None:
        """Release the device, without an event loop to wait on."""
        self._rest()
        self._forget_state()
        if self.feed is not None:
            self.feed.stop()

    async def _stop(self) -> None:
        self._rest()
        if self.feed is not None:
            await asyncio.to_thread(self.feed.stop)
            self.feed_state = self.feed.state

    def _look(self) -> None:
        """Have the model look at the feed, which was changed or started anew."""
        self._rest()
        if self.feed is None or self.feed.state.over or not self.model:
            return
        tell = partial(self._from_detector, self._looks, self.model)
        self._detector = LiveDetector(self.feed, partial(self._predict, self.model), tell)

    def _rest(self) -> None:
        self._looks += 1
        if self._detector is not None:
            self._detector.close()
            self._detector = None
        self.seen = None

    # In other threads

    async def _predict(self, model: str, image: Image) -> list[Prediction]:
        return await self._predictor.predict(image, LEAST_CONFIDENCE, model=model)

    def _from_feed(self, number: int, state: FeedState) -> None:
        self._owner.call(self._note_feed, number, state)

    def _from_detector(self, number: int, model: str, found: Detections) -> None:
        self._owner.call(self._note_seen, number, Seen(model, found))

    # On the loop again

    def _note_feed(self, number: int, state: FeedState) -> None:
        if number != self._feeds:
            return
        was_over, self.feed_state = self.feed_state.over, state
        if state.over:
            self._rest()  # what it saw last may be of a frame before the one that stays
        elif was_over:
            self._look()

    def _note_seen(self, number: int, seen: Seen) -> None:
        if number == self._looks:
            self.seen = seen
