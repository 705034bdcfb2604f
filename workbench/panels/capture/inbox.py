"""From the pages to the capture model: what a user does there, and what a camera sees there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from workbench.panels.capture.display import Display
from workbench.panels.capture.model import CaptureModel
from workbench.panels.live.browser_feed import BrowserFeed
from workbench.panels.shared.background import Background
from workbench.panels.shared.status import Status
from workbench.panels.shared.uploads import Uploads

Message = Mapping[str, Any]


class Inbox:
    """Takes the messages of all pages of a panel; see `widgets.camera` for what they are.

    1. `asked` comes on any thread, also while a cell keeps the owner loop busy;
    2. frames and the word that a picture is painted are dealt with there and then;
    3. everything else goes to the owner loop, one coroutine for each message.

    Parameters
    ----------
    model : CaptureModel
    browser : BrowserFeed
        The feed that pages push their frames into.
    display : Display
    background : Background
    ready : callable
        Awaited before anything is done.
    report : callable
        Told of what went wrong, on the owner loop.
    """

    def __init__(
        self,
        model: CaptureModel,
        browser: BrowserFeed,
        display: Display,
        background: Background,
        ready: Callable[[], Awaitable[None]],
        report: Callable[[Exception], None],
    ) -> None:
        self._model = model
        self._browser = browser
        self._display = display
        self._background = background
        self._ready = ready
        self._report = report
        self._uploads = Uploads()

    def close(self) -> None:
        """Drop the parts of uploads that have come."""
        self._uploads.clear()

    def asked(self, message: Message, buffers: Sequence[Any]) -> None:
        """Take a message of a page; see `CameraHost`."""
        kind, session = message["kind"], str(message["session"])
        if kind == "seen":
            self._display.preview.seen(session)
        elif kind == "frame":
            self._take_frame(session, message, buffers[0])
        elif kind == "frames":
            for facts, content in zip(message["frames"], buffers, strict=True):
                self._take_frame(session, facts, content)
        else:
            self._background.spawn(lambda: self._answer(kind, session, message, buffers))

    def _take_frame(self, session: str, facts: Message, content: Any) -> None:
        number, time = int(facts["seq"]), float(facts["time"])
        try:
            self._browser.take(session, number, time, bytes(content))
            if facts.get("shoot"):
                self._model.shoot()
        except (ValueError, RuntimeError) as error:
            self._background.spawn(partial(self._complain, error))

    async def _complain(self, error: Exception) -> None:
        self._report(error)

    # On the owner loop

    async def _answer(
        self, kind: str, session: str, message: Message, buffers: Sequence[Any]
    ) -> None:
        await self._ready()
        model = self._model
        if kind == "hello":
            self._display.preview.welcome(session)
            self._display.strip.welcome(session)
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
            model.play(str(message["act"]), message.get("value"))
            self._display.show_feed()
        elif kind == "undo":
            await model.undo()
        elif kind == "redo":
            await model.redo()
        elif kind == "remove":
            saved = self._display.strip.find(int(message["id"]))
            if saved is not None:
                await model.remove(saved)
        elif kind == "upload":
            await self._take_upload(message, bytes(buffers[0]))

    async def _take_camera(self, session: str, message: Message) -> None:
        feed = self._browser
        if message["on"]:
            await self._model.use(feed)
            before = feed.own(session, str(message.get("name", "")))
            if before:
                self._display.send({"kind": "owner", "to": before})
            self._model.look_again()
        elif session == feed.session or not feed.session:
            if message.get("failed"):
                feed.fail(str(message["why"]))
            else:
                feed.stop()

    def _forget(self, session: str) -> None:
        self._display.preview.forget(session)
        self._uploads.forget(session)
        if session == self._browser.session and not self._browser.state.over:
            self._model.release()
            self._browser.fail("the page with the camera was closed; open it again and press Start")

    async def _take_upload(self, message: Message, piece: bytes) -> None:
        arrived = self._uploads.take(message, piece)
        self._display.send(
            {"kind": "uploaded", "to": message["session"], "batch": message["batch"]}
        )
        if arrived is None:
            return
        if arrived.files:
            await self._model.add_files(arrived.files)
        if arrived.refused:
            self._model.notice = Status(arrived.refused, "problem")
