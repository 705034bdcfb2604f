"""The model behind the capture panel: where frames come from, what is recorded, what is said.

No widgets: traits carry state, stores and feed are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import traitlets

from workbench.capture.controller import CaptureController
from workbench.capture.detection import Detections, LiveDetector, Predict, with_active_model
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
from workbench.capture.triggers import Every, Trigger
from workbench.datasets.changes import counted
from workbench.datasets.manager import DatasetManager
from workbench.datasets.uploads import NewFile, add_files
from workbench.errors import NotFoundError, WorkbenchError
from workbench.labelling.predictor import Predictor
from workbench.owner_loop import OwnerLoop
from workbench.panels.capture import options as capture_options
from workbench.panels.capture.options import CaptureOptions
from workbench.panels.live.sources import make_feed
from workbench.panels.shared.bus import DATASETS, MODELS
from workbench.panels.shared.following import HOW_TO_MAKE, no_such_dataset
from workbench.panels.shared.readings import Readings
from workbench.panels.shared.status import Status
from workbench.persistence import Stores

_LEFT = (
    "{what} {was} left, labelled, moved or replaced since by somebody: delete what you do not want "
    "in Browse"
)
MAX_RECENT = 60
"""Pictures of which a page shows some; a session may take a hundred thousand."""


class CaptureError(WorkbenchError, RuntimeError):
    """A recording has stopped before its time; the message says why and what to do."""


class _Waiting:
    """Futures by burst. Made and used on one event loop.

    Who wants to wait must say so in the same step of the loop in which the recording was
    asked for: later its news may have come already.
    """

    def __init__(self) -> None:
        self._begun: dict[str, asyncio.Future[None]] = {}
        self._results: dict[str, asyncio.Future[list[ImageSaved]]] = {}

    def begun(self, burst: str) -> asyncio.Future[None]:
        """Return what is done when the burst takes frames, or is over."""
        return self._begun.setdefault(burst, asyncio.get_running_loop().create_future())

    def result(self, burst: str) -> asyncio.Future[list[ImageSaved]]:
        """Return what gives the burst's images, or raises `CaptureError`."""
        return self._results.setdefault(burst, asyncio.get_running_loop().create_future())

    def note_begun(self, burst: str) -> None:
        """Wake the callers that wait for the beginning."""
        future = self._begun.pop(burst, None)
        if future is not None and not future.done():
            future.set_result(None)

    def note_ended(self, burst: str, images: Sequence[ImageSaved], failure: str) -> None:
        """Wake the callers that wait for the images; `failure`: why there are no more."""
        self.note_begun(burst)
        future = self._results.pop(burst, None)
        if future is None or future.done():
            return
        if failure:
            future.set_exception(CaptureError(failure))
        else:
            future.set_result([one for one in images if one.burst == burst])


class _Looking:
    """Has the active model look at a feed's newest frames, one feed at a time.

    Parameters
    ----------
    stores : Stores
    predictor : Predictor or None
        None: one of its own, made when it is needed and closed with this.
    tell : callable
        Called with each `Detections`, in another thread; none is told after `stop`.
    """

    def __init__(
        self, stores: Stores, predictor: Predictor | None, tell: Callable[[Detections], None]
    ) -> None:
        self._stores = stores
        self._predictor = predictor
        self._owns_predictor = predictor is None
        self._tell = tell
        self._detector: LiveDetector | None = None

    async def predict(self, dataset: str, confidence: float) -> Predict:
        """Return what finds objects as classes of the dataset, with the active model.

        Raises
        ------
        NotFoundError
            If no model is active, or there is no such dataset.
        """
        if self._predictor is None:
            self._predictor = Predictor(self._stores)
        return await with_active_model(self._stores, self._predictor, dataset, confidence)

    def follow(self, feed: Feed, predict: Predict) -> None:
        """Detect on the frames of this feed from now on."""
        self.stop()
        self._detector = LiveDetector(feed, predict, self._tell)

    def stop(self) -> None:
        """Detect on no feed."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def close(self) -> None:
        """Detect nothing any more, and release the model."""
        self.stop()
        if self._owns_predictor and self._predictor is not None:
            self._predictor.close()


class CaptureModel(traitlets.HasTraits):
    """Takes pictures from a feed into a dataset.

    Parameters
    ----------
    stores : Stores
    feed : Feed
        Where frames come from at first; stopped by `close`, as is every later one.
    predictor : Predictor, optional
        Default: one of its own, made when it is needed.

    Attributes
    ----------
    seconds_apart : float
        Between the pictures of the recording that was begun last; 0: every frame matters.

    Notes
    -----
    Made and used on one event loop.
    """

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

    def __init__(self, stores: Stores, feed: Feed, predictor: Predictor | None = None) -> None:
        super().__init__()
        self._owner = OwnerLoop()
        self._waiting = _Waiting()
        self._counts: dict[str, int] = {}
        self._stores = stores
        self.manager = DatasetManager.on(stores)
        self._controller: CaptureController | None = None
        self._readings = Readings()
        self._looking = _Looking(stores, predictor, self._from_detector)
        self._forget_state: Callable[[], None] = lambda: None
        self._is_held = False
        self._feeds_used = 0
        self.seconds_apart = 0.0
        self.feed = feed
        self._watch()

    # Where pictures go

    async def refresh(self) -> None:
        """Look again which datasets there are, and which model is active."""
        is_news = self._readings.begin()
        datasets = await self.manager.list_usable()
        active = await self._stores.model.get_active()
        if not is_news():
            return
        self.datasets = datasets
        self.active_model = "" if active is None else active.name

    async def catch_up(self, news: Collection[str]) -> None:
        """Take over what others have changed; see `following`."""
        if {DATASETS, MODELS} & set(news):
            await self.refresh()
        if {"images", "classes"} & set(news) and self.dataset in self.datasets:
            info = await self._stores.dataset.get(self.dataset)
            self.classes = info.classes
            if self._controller is not None and not self._controller.status.in_dataset:
                self._counts = dict(info.num_images)
                self._show_status(self._controller.status)

    async def open(self, dataset: str | None = None) -> None:
        """Save pictures to a dataset from now on; default: the first one.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        await self.refresh()
        if dataset is None:
            if not self.datasets:
                self.notice = Status(no_such_dataset("", ()), "problem")
                return
            dataset = self.datasets[0]
        info = await self.manager.get(dataset)
        await self._close_controller()
        self._controller = CaptureController(
            self._stores, self.feed, dataset, settings=self.settings, listener=self._from_capture
        )
        self.classes, self.dataset = info.classes, dataset
        self._counts = dict(info.num_images)
        self.recent = ()
        self._show_status(self._controller.status)
        await self._follow_model()

    # Where frames come from

    async def choose(self, kind: str, place: str = "") -> None:
        """Take frames from a source and start it; see `workbench.panels.live.sources.make_feed`."""
        feed = await asyncio.to_thread(make_feed, kind, place)
        await self.use(feed, place)
        feed.start()

    async def use(self, feed: Feed, place: str = "") -> None:
        """Take frames from another feed; the one before is stopped, a recording ends."""
        if feed is not self.feed:
            self.release()
            self._forget_state()
            await asyncio.to_thread(self.feed.stop)
            with self.hold_trait_notifications():
                self.feed, self.place = feed, place
            self._watch()
        if self._controller is not None:
            self._controller.feed = feed
        self.look_again()

    async def stop(self) -> None:
        """Stop the feed, which releases its device."""
        self.release()
        await asyncio.to_thread(self.feed.stop)

    def look_again(self) -> None:
        """Let the live detections follow the feed, which was changed or started anew."""
        predict = None if self._controller is None else self._controller.predict
        self._looking.stop()
        self.detections = None
        if self.options.show_boxes and predict is not None and not self.feed_state.over:
            self._looking.follow(self.feed, predict)

    def play(self, act: str, value: Any = None) -> None:
        """Halt, go on, step or seek in a feed that has a beginning and an end.

        Parameters
        ----------
        act : str
            ``"pause"``, ``"play"``, ``"step"`` (`value` frames) or ``"seek"`` (to frame `value`).
        """
        playback = getattr(self.feed, "playback", None)
        if playback is None:
            return
        if act == "seek":
            playback.seek(int(value))
        elif act == "step":
            playback.step(int(value))
        elif act == "pause":
            playback.pause()
        else:
            playback.play()

    # What is recorded

    def shoot(self, *, countdown: float | None = None) -> str:
        """Save the frame that is seen now; return its burst. Works in any thread.

        Raises
        ------
        RuntimeError
            If no dataset is open or the feed does not run.
        ValueError
            If detections are to be saved and no model is active.
        """
        wait = self.options.countdown if countdown is None else countdown
        return self._ready().shoot(countdown=wait)

    def record(
        self,
        trigger: Trigger | None = None,
        *,
        until: int | None = None,
        countdown: float | None = None,
    ) -> str:
        """Take frames until `release`; return the burst. Defaults are those of `options`.

        Raises
        ------
        RuntimeError
            As for `shoot`, and if a recording is under way.
        ValueError
            If a number cannot be, or detections are to be saved and no model is active.
        """
        controller = self._ready()
        chosen = trigger or self.options.trigger
        # Motion is looked for in every frame.
        self.seconds_apart = chosen.seconds if isinstance(chosen, Every) else 0.0
        burst = controller.record(
            chosen,
            until=until or self.options.limit,
            countdown=self.options.countdown if countdown is None else countdown,
        )
        self._show_status(controller.status)
        return burst

    def press(self, *, held: bool = False) -> None:
        """Begin what the options say; `held`: a burst that ends with the release."""
        self._is_held = held
        self.record()

    def release(self) -> None:
        """Take no more frames; what was taken will be saved."""
        self._is_held = False
        if self._controller is not None:
            self._controller.finish()
            self._show_status(self._controller.status)

    async def result(self, burst: str) -> list[ImageSaved]:
        """Wait until a recording is over, and return its images that are on disk.

        Call it in the same step of the event loop as `record` or `shoot`.

        Raises
        ------
        CaptureError
            If it failed.
        """
        return await self._waiting.result(burst)

    async def record_from_start(
        self, trigger: Trigger | None = None, *, until: int | None = None
    ) -> list[ImageSaved]:
        """Start the feed if it is not running, record, and return the images; see `record`.

        A file is held until the recording takes its frames, so that the first is among them.
        """
        playback = getattr(self.feed, "playback", None)
        if playback is not None and (playback.paused or not self.feed.state.over):
            playback = None  # it stands or runs already, as the user wants it
        if playback is not None:
            playback.pause()
        if self.feed.state.over:
            self.feed.start()
        burst = self.record(trigger, until=until)
        begun, result = self._waiting.begun(burst), self._waiting.result(burst)
        await begun
        if playback is not None:
            playback.play()
        return await result

    # What is done about it afterwards

    async def undo(self) -> None:
        """Move the last picture to the trash."""
        await self._take_back(self._opened().undo, "Nothing to undo")

    async def undo_burst(self) -> None:
        """Move the last burst to the trash."""
        await self._take_back(self._opened().undo_burst, "Nothing to undo")

    async def remove(self, saved: ImageSaved) -> None:
        """Move one picture to the trash."""
        await self._take_back(
            lambda: self._opened().remove(saved), "It is not there any more, or was changed since"
        )

    async def redo(self) -> None:
        """Bring back the picture that was undone last."""
        back = await self._opened().redo()
        self._show_recent()
        text = f"Brought back: {back.info.filename}" if back else "Nothing to bring back"
        self.notice = Status(text)

    async def add_files(self, files: Iterable[NewFile]) -> None:
        """Add picture files, as from a phone's own camera; undone in the browse panel."""
        split = self.settings.split
        target = split if isinstance(split, str) else max(split, key=lambda name: split[name])
        upload = await add_files(self._stores, self._opened_dataset(), files, target)
        text = f"{counted(len(upload.added), 'picture')} added to {target}"
        for name, why in upload.refused[:3]:
            text += f"; {name}: {why}"
        self.notice = Status(text, "problem" if upload.refused else "info")
        info = await self.manager.get(self.dataset)
        self._counts = dict(info.num_images)
        self._show_status(self._opened().status)

    # Settings

    async def change(self, name: str, value: Any) -> None:
        """Change one setting.

        Raises
        ------
        ValueError
            If there is no such setting, or the value cannot be.
        NotFoundError
            If there is no such dataset.
        """
        if name == "dataset":
            await self.open(str(value))
            return
        self.settings, self.options = capture_options.changed(
            self.settings, self.options, name, value
        )
        if name in ("show_boxes", "detections", "confidence"):
            await self._follow_model()

    async def close(self) -> None:
        """Save what was taken, and release the device."""
        self._forget_state()
        self._looking.stop()
        await asyncio.to_thread(self.feed.stop)
        await self._close_controller()
        self._looking.close()

    # Inside

    def _opened(self) -> CaptureController:
        if self._controller is None:
            raise RuntimeError(
                "No dataset is open, so nothing was saved. "
                + ("Choose one first." if self.datasets else f"Make one: {HOW_TO_MAKE}.")
            )
        return self._controller

    def _opened_dataset(self) -> str:
        self._opened()
        return self.dataset

    def _ready(self) -> CaptureController:
        controller = self._opened()
        if self.feed.state.over:
            why = f" ({self.feed.state.why})" if self.feed.state.why else ""
            self._missing = f"No frames come from {self.feed.name}{why}: start it first"
            raise RuntimeError(self._missing)
        controller.settings = self.settings
        return controller

    async def _close_controller(self) -> None:
        if self._controller is not None:
            await asyncio.to_thread(self._controller.close)
            await asyncio.sleep(0)  # what its thread has told last comes first
            self._controller = None

    async def _follow_model(self) -> None:
        """Load the active model when something is wanted of it, and only then."""
        controller = self._controller
        if controller is None:
            return
        wanted = self.options.show_boxes or self.settings.detections != "off"
        controller.predict = await self._predict() if wanted else None
        self.look_again()

    async def _predict(self) -> Predict | None:
        try:
            return await self._looking.predict(self.dataset, self.options.confidence)
        except NotFoundError as error:
            self.options = replace(self.options, show_boxes=False)
            self.settings = replace(self.settings, detections="off")
            self.notice = Status(str(error), "problem")
            return None

    async def _take_back(
        self, take: Callable[[], Awaitable[list[ImageSaved]]], otherwise: str
    ) -> None:
        before = len(self._opened().recent)
        taken = await take()
        self._show_recent()
        left = before - len(self._opened().recent) - len(taken)
        text = f"Deleted {counted(len(taken), 'picture')}; Redo brings back" if taken else otherwise
        if left:
            text = f"Deleted {counted(len(taken), 'picture')}. " + _LEFT.format(
                what=counted(left, "picture"), was="was" if left == 1 else "were"
            )
        self.notice = Status(text, "problem" if left else "info")

    def _show_recent(self) -> None:
        self.recent = tuple(self._opened().recent[-MAX_RECENT:])

    # What the feed does

    def _watch(self) -> None:
        self._feeds_used += 1
        self._missing = ""
        # By number: a listener that refers to the feed would keep it alive.
        self._forget_state = self.feed.on_state(partial(self._from_feed, self._feeds_used))
        self.feed_state = self.feed.state

    def _from_feed(self, number: int, state: FeedState) -> None:
        self._owner.call(self._note_feed, number, state)

    def _note_feed(self, number: int, state: FeedState) -> None:
        if number != self._feeds_used:
            return
        was_over = self.feed_state.over
        self.feed_state = state
        if self._is_held and state.status == "stalled":
            self.release()  # whoever holds the button cannot tell us when it is let go
        if was_over and not state.over:
            if self._missing and self.notice.text == self._missing:
                self.notice = Status()
            self.look_again()

    # What the capture tells, in threads of its own, and then on the loop

    def _from_capture(self, event: CaptureEvent) -> None:
        self._owner.call(self._note, event)

    def _from_detector(self, found: Detections) -> None:
        self._owner.call(self._note_detections, found)

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
            controller = self._opened()
            self._waiting.note_ended(event.burst, controller.recent, controller.status.failure)

    def _note_detections(self, found: Detections) -> None:
        if found.failure:
            self.options = replace(self.options, show_boxes=False)
            self.notice = Status(f"The model has failed: {found.failure}", "problem")
        self.detections = found if self.options.show_boxes else None

    def _show_status(self, status: CaptureStatus) -> None:
        if status.in_dataset:
            self._counts = dict(status.in_dataset)
        self.status = replace(status, in_dataset=dict(self._counts))
