"""The capture panel: from a camera to images of a dataset, in a notebook cell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from workbench.capture.events import ImageSaved
from workbench.capture.feed import Feed
from workbench.capture.settings import CaptureSettings
from workbench.capture.triggers import Trigger
from workbench.labelling.predictor import Predictor
from workbench.panels.background import Background
from workbench.panels.browse_uploads import Uploads
from workbench.panels.browse_work import Status
from workbench.panels.browser_feed import BrowserFeed
from workbench.panels.capture_model import CaptureModel
from workbench.panels.capture_options import CaptureOptions, as_message
from workbench.panels.capture_pages import Preview, Strip
from workbench.panels.capture_sources import kind_of
from workbench.panels.widgets.camera import Camera
from workbench.persistence import Stores, get_stores

IDLE_RATE, WATCHED_RATE = 2.0, 10.0
"""Frames a second of a page's camera while nothing is recorded: so that one is at hand, and
for a model to look at."""

_ALL = 0.0
_NEWS_EVERY = 0.1
"""Seconds from one piece of news to the next, so that the page has time for its camera."""


class CapturePanel:
    """Take pictures with a camera, straight into a dataset.

    Shown in a notebook it is a preview with a record button (Space): a tap is one picture,
    holding it is a burst. From Python the same can be done with coroutines::

        panel = CapturePanel("cups", feed=VideoFeed("cups.avi"))
        pictures = await panel.record(Every.rate(2), until=20)
        await panel.undo()

    Parameters
    ----------
    dataset : str, optional
        Default: the first one.
    stores : Stores, optional
        Default: those of `get_stores`.
    feed : Feed, optional
        Default: the camera of the machine that the browser runs on.
    settings : CaptureSettings, optional
    options : CaptureOptions, optional
    predictor : Predictor, optional
        Shared with other panels; default: one of the panel's own, made when it is needed.

    Attributes
    ----------
    view : Camera
        What is shown; to put the panel among other widgets.
    model : CaptureModel
    """

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        feed: Feed | None = None,
        *,
        settings: CaptureSettings | None = None,
        options: CaptureOptions | None = None,
        predictor: Predictor | None = None,
    ) -> None:
        stores = stores or get_stores()
        self._dataset = dataset
        self.view = Camera()
        self._browser = BrowserFeed(self._acknowledge)
        self.model = CaptureModel(stores, feed or self._browser, predictor)
        self.model.settings = settings or CaptureSettings()
        self.model.options = options or CaptureOptions()
        self._uploads = Uploads()
        self._strip = Strip(stores, self._send)
        self._preview = Preview(self._send)
        self._last: tuple[ImageSaved, ...] = ()
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._is_ready = False
        self._due: set[str] = set()
        self._watched: Feed | None = None
        self._background = Background(self._report)
        self._link()
        self.view.host = self
        self._background.spawn(self._ready)

    # From Python

    @property
    def settings(self) -> CaptureSettings:
        """Where pictures go and what is left out; settable."""
        return self.model.settings

    @settings.setter
    def settings(self, settings: CaptureSettings) -> None:
        self.model.settings = settings

    @property
    def options(self) -> CaptureOptions:
        """What the record button does; settable."""
        return self.model.options

    @options.setter
    def options(self, options: CaptureOptions) -> None:
        self.model.options = options

    async def open(self, dataset: str) -> None:
        """Let pictures go to another dataset; NotFoundError if there is none."""
        self._dataset = dataset
        await self._background.run(lambda: self._open(dataset))

    async def use(self, feed: Feed) -> None:
        """Take frames from another feed, which is started."""
        await self._background.run(lambda: self._use(feed))

    async def shoot(self) -> ImageSaved:
        """Take one picture; returns when it is on disk.

        Raises
        ------
        CaptureError
            If it cannot be saved.
        RuntimeError
            If the browser's camera is wanted and off.
        """
        return (await self._background.run(self._shoot))[0]

    async def record(
        self, trigger: Trigger | None = None, *, until: int | None = None
    ) -> list[ImageSaved]:
        """Take pictures until so many are taken, the feed ends, or `finish`.

        Raises
        ------
        CaptureError
            If one cannot be saved; those before it are.
        RuntimeError
            If a recording is under way, or the browser's camera is wanted and off.
        """
        return await self._background.run(lambda: self._record(trigger, until))

    def finish(self) -> None:
        """End the recording; what was taken will be saved."""
        self.model.release()

    async def undo(self) -> None:
        """Move the last picture to the trash."""
        await self._background.run(self.model.undo)

    async def redo(self) -> None:
        """Bring back the picture that was undone last."""
        await self._background.run(self.model.redo)

    async def refresh(self) -> None:
        """Look again which datasets there are, and which model is active."""
        await self._background.run(self.model.refresh)

    async def aclose(self) -> None:
        """Save what was taken, release the device, take the panel off the page."""
        await self._background.run(self.model.close)
        self.close()

    def close(self) -> None:
        """Release the device and take the panel off the page, without waiting for the disk."""
        self.model.release()
        self._preview.follow(None)
        self.model.feed.stop()
        self._background.close()
        self._strip.close()
        self.view.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # From the page; see `CameraHost`

    def asked(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message of a page; on any thread."""
        kind, session = message["kind"], str(message["session"])
        # These two are not to wait for a loop that a cell keeps busy.
        if kind == "seen":
            self._preview.seen(session)
        elif kind == "frame":
            try:
                self._take_frame(session, message, bytes(buffers[0]))
            except (ValueError, RuntimeError) as error:
                self._background.spawn(partial(self._complain, error))
        else:
            self._background.spawn(lambda: self._answer(kind, session, message, buffers))

    def _take_frame(self, session: str, message: Mapping[str, Any], content: bytes) -> None:
        self._browser.take(session, int(message["seq"]), float(message["time"]), content)
        if message.get("shoot"):
            self.model.shoot()

    def _acknowledge(self, session: str, sequence: int) -> None:
        self._send({"kind": "ack", "to": session, "seq": sequence})

    def _send(self, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        if self.view.comm is not None:
            self.view.send(dict(message), list(buffers))

    # On the owner loop

    async def _ready(self) -> None:
        async with self._start_lock:
            if self._is_ready:
                return
            self._is_ready = True
            await self.model.open(self._dataset)
            self._show_settings()

    async def _open(self, dataset: str) -> None:
        await self._ready()
        if self.model.dataset != dataset:
            await self.model.open(dataset)

    async def _use(self, feed: Feed) -> None:
        await self.model.use(feed)
        feed.start()

    async def _shoot(self) -> list[ImageSaved]:
        await self._start_feed()
        return await self.model.result(self.model.shoot())

    async def _record(self, trigger: Trigger | None, until: int | None) -> list[ImageSaved]:
        await self._ready()
        if self.model.feed is self._browser:
            return await self.model.result(self.model.record(trigger, until=until))
        return await self.model.record_from_start(trigger, until=until)

    async def _start_feed(self) -> None:
        await self._ready()
        if self.model.feed is not self._browser and self.model.feed.state.over:
            self.model.feed.start()
            await asyncio.sleep(0)

    async def _answer(
        self, kind: str, session: str, message: Mapping[str, Any], buffers: Sequence[Any]
    ) -> None:
        await self._ready()
        model = self.model
        if kind == "hello":
            self._preview.welcome(session)
            self._strip.welcome(session)
            await model.refresh()
        elif kind == "bye":
            self._forget(session)
        elif kind == "camera":
            await self._take_camera(session, message)
        elif kind == "press":
            if message.get("shoot"):
                model.shoot()
            else:
                model.press(held=bool(message.get("held")))
        elif kind == "release":
            model.release()
        elif kind == "set":
            await model.change(str(message["name"]), message["value"])
        elif kind == "source":
            await model.choose(str(message["source"]), str(message.get("place", "")))
        elif kind == "stop":
            await model.stop()
        elif kind == "start":
            model.feed.start()
        elif kind == "play":
            self._play(str(message["act"]), message.get("value"))
        elif kind == "undo":
            await model.undo()
        elif kind == "redo":
            await model.redo()
        elif kind == "remove":
            saved = self._strip.find(int(message["id"]))
            if saved is not None:
                await model.remove(saved)
        elif kind == "upload":
            await self._take_upload(message, bytes(buffers[0]))

    async def _take_camera(self, session: str, message: Mapping[str, Any]) -> None:
        feed = self._browser
        if message["on"]:
            await self.model.use(feed)
            before = feed.own(session, str(message.get("name", "")))
            if before:
                self._send({"kind": "owner", "to": before})
            self.model.look_again()
        elif session == feed.session or not feed.session:
            if message.get("failed"):
                feed.fail(str(message["why"]))
            else:
                feed.stop()

    def _forget(self, session: str) -> None:
        self._preview.forget(session)
        self._uploads.forget(session)
        if session == self._browser.session and not self._browser.state.over:
            self.model.release()
            self._browser.fail("the page with the camera was closed; open it again and press Start")

    def _play(self, act: str, value: Any) -> None:
        playback = getattr(self.model.feed, "playback", None)
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
        self._show_feed()

    async def _take_upload(self, message: Mapping[str, Any], piece: bytes) -> None:
        arrived = self._uploads.take(message, piece)
        self._send({"kind": "uploaded", "to": message["session"], "batch": message["batch"]})
        if arrived is None:
            return
        if arrived.files:
            await self.model.add_files(arrived.files)
        if arrived.refused:
            self.model.notice = Status(arrived.refused, "problem")

    async def _complain(self, error: Exception) -> None:
        self._report(error)

    def _report(self, error: Exception) -> None:
        self.model.notice = Status(str(error) or type(error).__name__, "problem")

    # From the model to the page

    def _link(self) -> None:
        model = self.model
        model.observe(lambda _: self._follow_feed(), ["feed", "feed_state", "place"])
        model.observe(lambda _: self._show_settings(), ["settings", "options", "dataset"])
        model.observe(lambda _: self._follow_status(), ["status", "countdown", "options"])
        model.observe(lambda _: self._soon(self._show_recent), ["recent", "dataset"])
        model.observe(lambda change: self._show_boxes(change["new"]), "detections")
        model.observe(lambda change: self._show_countdown(change["new"]), "countdown")
        for name, own in (
            ("datasets", "datasets"),
            ("classes", "classes"),
            ("active_model", "model"),
        ):
            model.observe(lambda change, own=own: setattr(self.view, own, change["new"]), name)
        model.observe(lambda change: setattr(self.view, "notice", asdict(change["new"])), "notice")
        self.view.window = self._browser.window
        self._show_settings()
        self._show_status()
        self._follow_feed()

    def _follow_feed(self) -> None:
        feed = self.model.feed
        is_browser = feed is self._browser
        watched = None if is_browser or self.model.feed_state.over else feed
        if watched is not self._watched:
            self._watched = watched
            self._preview.follow(watched)
            if watched is not None and hasattr(watched, "playback"):
                self._background.spawn(lambda: self._follow_playback(watched))
        self._show_feed()

    async def _follow_playback(self, feed: Feed) -> None:
        while self._watched is feed:
            self._show_feed()
            await asyncio.sleep(0.3)

    def _show_feed(self) -> None:
        feed, state = self.model.feed, self.model.feed_state
        shown: dict[str, Any] = {
            "kind": kind_of(feed),
            "name": feed.name,
            "place": self.model.place,
            "status": state.status,
            "why": state.why,
        }
        playback = getattr(feed, "playback", None)
        if playback is not None and not state.over:
            facts = getattr(feed, "facts", None)
            length = facts.frame_count if facts is not None else len(getattr(feed, "files", ()))
            position = playback.position
            shown["player"] = {"position": position, "length": length, "paused": playback.paused}
        self.view.feed = shown

    def _show_settings(self) -> None:
        self.view.settings = as_message(self.model.dataset, self.model.settings, self.model.options)

    def _follow_status(self) -> None:
        if self.model.status.recording != self.view.status.get("recording"):
            self._show_status()
        else:
            self._soon(self._show_status)

    def _soon(self, show: Callable[[], None]) -> None:
        """Show something in a moment, once: thirty pictures a second are no thirty news."""
        if show.__name__ not in self._due:
            self._due.add(show.__name__)
            asyncio.get_running_loop().call_later(_NEWS_EVERY, self._show_due, show)

    def _show_due(self, show: Callable[[], None]) -> None:
        self._due.discard(show.__name__)
        show()

    def _show_status(self) -> None:
        status = self.model.status
        self.view.status = {**asdict(status), "slow": status.slow}
        self.view.rate = self._wanted_rate()

    def _wanted_rate(self) -> float:
        """Return how many frames a second of a page's camera are wanted now."""
        model = self.model
        idle = WATCHED_RATE if model.options.show_boxes else IDLE_RATE
        if not model.status.recording:
            return _ALL if model.countdown >= 0 else idle
        if model.seconds_apart == 0:
            return _ALL
        # Twice what is saved, so that one near the right moment is among them.
        return max(idle, 2 / model.seconds_apart)

    def _show_recent(self) -> None:
        recent = self.model.recent
        new = len(set(recent) - set(self._last))
        self._last = recent
        if new:
            self._send({"kind": "saved", "count": new})
        self._background.spawn(lambda: self._strip.show(self.model.dataset, recent))

    def _show_boxes(self, found: Any) -> None:
        classes = self.model.classes
        rows = [] if found is None else [
            [*p.xywh, classes[p.class_id], round(p.confidence, 3), p.class_id]
            for p in found.predictions
        ]  # fmt: skip
        self._send({"kind": "boxes", "rows": rows})

    def _show_countdown(self, seconds: int) -> None:
        self._send({"kind": "countdown", "seconds": seconds})
