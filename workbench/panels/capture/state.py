"""What there is to show of a capture, and how news of other threads gets into it.

Controller, feed and detector tell what happens in threads of their own. It is carried to the
owner loop, where all traits change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import traitlets

from workbench.capture.detection import Detections
from workbench.capture.events import (
    BurstBegan,
    BurstEnded,
    CaptureEvent,
    CaptureFailed,
    CaptureStatus,
    Countdown,
    ImageSaved,
    StatusChanged,
)
from workbench.capture.feed import Feed
from workbench.capture.frames import FeedState
from workbench.capture.settings import CaptureSettings
from workbench.owner_loop import OwnerLoop
from workbench.panels.capture.options import CaptureOptions
from workbench.panels.capture.waiting import Waiting
from workbench.panels.shared.status import Status

MAX_RECENT = 60
"""Pictures of which a page shows some; a session may take a hundred thousand."""


class CaptureState(traitlets.HasTraits):
    """The traits of `capture.model.CaptureModel`. Made and used on one event loop."""

    dataset = traitlets.Unicode("", help="that pictures go to")
    datasets = traitlets.List(traitlets.Unicode(), help="that there are")
    classes = traitlets.List(traitlets.Unicode(), help="of the dataset")
    active_model = traitlets.Unicode("", help="its name; empty: none")
    feed = traitlets.Instance(Feed)
    place = traitlets.Unicode("", help="what the user typed to choose the feed")
    feed_state = traitlets.Instance(FeedState, args=("stopped",))
    settings = traitlets.Instance(CaptureSettings, args=())
    options = traitlets.Instance(CaptureOptions, args=())
    status = traitlets.Instance(CaptureStatus, args=())
    notice = traitlets.Instance(Status, args=())
    recent = traitlets.Tuple(help="the last pictures of this session, oldest first")
    countdown = traitlets.Int(-1, help="seconds that are left; -1: none runs")
    detections = traitlets.Instance(Detections, allow_none=True, help="of the newest frame")

    def __init__(self) -> None:
        super().__init__()
        self._owner = OwnerLoop()
        self._waiting = Waiting()
        self._counts: dict[str, int] = {}

    def _from_capture(self, event: CaptureEvent) -> None:
        self._owner.call(self._note, event)

    def _from_detector(self, found: Detections) -> None:
        self._owner.call(self._note_detections, found)

    # On the loop

    def _note(self, event: CaptureEvent) -> None:
        if isinstance(event, StatusChanged):
            self._show_status(event.status)
        elif isinstance(event, ImageSaved):
            self.recent = (*self.recent, event)[-MAX_RECENT:]
        elif isinstance(event, Countdown):
            self.countdown = event.seconds
        elif isinstance(event, CaptureFailed):
            self.notice = Status(event.message, "problem")
        elif isinstance(event, BurstBegan):
            self._waiting.note_begun(event.burst)
        elif isinstance(event, BurstEnded):
            self.countdown = -1
            images, failure = self._outcome()
            self._waiting.note_ended(event.burst, images, failure)

    def _outcome(self) -> tuple[Sequence[ImageSaved], str]:
        """Return the images of this session, and why capture has failed; empty if not."""
        raise NotImplementedError

    def _note_detections(self, found: Detections) -> None:
        if found.failure:
            self.options = replace(self.options, show_boxes=False)
            self.notice = Status(f"The model has failed: {found.failure}", "problem")
        self.detections = found if self.options.show_boxes else None

    def _show_status(self, status: CaptureStatus) -> None:
        if status.in_dataset:
            self._counts = dict(status.in_dataset)
        self.status = replace(status, in_dataset=dict(self._counts))
