"""The capture panel: from a camera to images of a dataset, in a notebook cell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from workbench.capture.events import ImageSaved
from workbench.capture.feed import Feed
from workbench.capture.settings import CaptureSettings
from workbench.capture.triggers import Trigger
from workbench.errors import NotFoundError
from workbench.labelling.predictor import Predictor
from workbench.panels.capture.camera import Camera
from workbench.panels.capture.display import Acknowledgements, Display
from workbench.panels.capture.inbox import Inbox
from workbench.panels.capture.model import CaptureModel
from workbench.panels.capture.options import CaptureOptions
from workbench.panels.live.browser_feed import BrowserFeed
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import GONE
from workbench.panels.shared.following import Follower, News, gone, no_such_dataset
from workbench.panels.shared.status import Status, in_words
from workbench.persistence import Stores, get_stores


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
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._is_ready = False
        self.view = Camera()
        self._background = Background(self._report)
        self.follower = Follower(stores, self._background, self._catch_up)
        self._acks = Acknowledgements(self._acknowledge)
        self._browser = BrowserFeed(self._acks.add)
        self.model = CaptureModel(stores, feed or self._browser, predictor)
        self.model.settings = settings or CaptureSettings()
        self.model.options = options or CaptureOptions()
        self._display = Display(self.view, self.model, self._browser, stores, self._background)
        self._inbox = Inbox(
            self.model, self._browser, self._display, self._background, self._ready, self._report
        )
        self.view.host = self._inbox
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
        """Save pictures to another dataset; NotFoundError if there is none."""
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
        self.follower.close()
        self.model.release()
        self._display.close()
        self.model.feed.stop()
        self._acks.close()
        self._background.close()
        self._inbox.close()
        self.view.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # On the owner loop

    async def _ready(self) -> None:
        async with self._start_lock:
            if self._is_ready:
                return
            await self.follower.follow(self._dataset or "")
            self._is_ready = True
            try:
                await self.model.open(self._dataset)
            except NotFoundError:  # it may come yet, and another one can be chosen
                words = no_such_dataset(self._dataset or "", self.model.datasets)
                self.model.notice = Status(words, "problem")
                return
            if self.model.dataset != (self._dataset or ""):
                await self.follower.follow(self.model.dataset)
            self._display.show_settings()

    async def _open(self, dataset: str) -> None:
        await self._ready()
        if self.model.dataset != dataset:
            await self.follower.follow(dataset)
            await self.model.open(dataset)

    async def _catch_up(self, news: News) -> None:
        await self._ready()
        if GONE in news and self.model.dataset:
            self.model.notice = Status(gone(self.model.dataset), "problem")
            news -= {"images", "classes"}
        await self.model.catch_up(news)
        wanted = [name for name in self.model.datasets if self._dataset in (None, name)]
        if not self.model.dataset and wanted:
            await self.follower.follow(wanted[0])
            await self.model.open(wanted[0])
            self.model.notice = Status()

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

    def _acknowledge(self, session: str, sequences: Sequence[int]) -> None:
        self._display.send({"kind": "ack", "to": session, "seqs": [*sequences]})

    def _report(self, error: Exception) -> None:
        self.model.notice = Status(in_words(error), "problem")
