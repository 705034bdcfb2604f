"""The page of the models panel that tries one: on a picture, a video or a camera.

Pictures and boxes go to the page, which draws them and leaves out what the slider wants
left out; so the slider acts at once, and nothing is predicted twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ipywidgets as w

from workbench.panels.live.browser_feed import BrowserFeed
from workbench.panels.live.feed_watch import FeedWatch, feed_message
from workbench.panels.live.preview import Preview
from workbench.panels.models.live_trial import LiveTrial
from workbench.panels.models.model import Frame, ModelsModel, obstacle, required
from workbench.panels.models.widgets import Trial
from workbench.panels.shared.parts import (
    Spawn,
    allow,
    button,
    choice,
    labelled,
    page,
    row,
    set_options,
)
from workbench.panels.shared.readings import Readings
from workbench.panels.shared.status import Status
from workbench.panels.shared.uploads import Uploads
from workbench.persistence.models import SPLITS, ModelInfo, Prediction

_STILL_SIDE = 1600
"""Pixels of the longer side of a picture that goes to the page."""

Message = Mapping[str, Any]


class TryPage:
    """A picture, a video or a camera, with what the chosen model finds there.

    Messages of the pages come on any thread. Frames and acknowledgements are dealt with
    there and then; everything else goes to the owner loop. A feed runs only while some page
    shows it.

    Parameters
    ----------
    model : ModelsModel
    spawn : callable
    """

    title = "Try"

    def __init__(self, model: ModelsModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        self.live: LiveTrial = model.live
        self.dataset = choice("Dataset", max_width="100%")
        self.split = labelled(w.Dropdown(description="Split", options=SPLITS, value="val"))
        self.image = choice("Image", max_width="100%")
        self.run = button("Find objects", "search", self._try, spawn)
        self.trial = Trial()
        self.trial.host = self
        self._preview = Preview(self._send)
        self._browser = BrowserFeed(self._acknowledge)
        self.trial.window = self._browser.window
        self._uploads = Uploads()
        self._pages: set[str] = set()
        self._watch = FeedWatch(self._preview, spawn, self._show_feed)
        self._still = b""
        self._opened = ""
        self._readings, self._lists = Readings(), Readings()
        self.view = page(row(self.dataset, self.split, self.image, self.run), self.trial)
        self.dataset.observe(self._list, "value")
        self.split.observe(self._list, "value")
        model.observe(lambda _: spawn(self._show_still), names=("tried", "found"))
        self.live.observe(lambda _: self._follow_feed(), names=("feed", "feed_state"))
        self.live.observe(lambda _: self._show_seen(), names="seen")

    async def open(self, dataset: str) -> None:
        """Try models on this dataset from now on, whichever they were trained on.

        Parameters
        ----------
        dataset : str
            Empty: on what each was trained on.
        """
        self._opened = dataset
        await self.refresh()
        if self._offers(dataset):
            self.dataset.value = dataset

    async def refresh(self) -> None:
        """Look again which datasets there are."""
        is_news = self._readings.begin()
        names = await self._model.datasets()
        if not is_news():
            return
        info = self._model.info
        wanted = self.dataset.value or self._opened or (info.dataset_name if info else "")
        set_options(self.dataset, [(name, name) for name in names])
        if wanted in names:
            self.dataset.value = wanted
        await self._list_images()

    def show(self, info: ModelInfo | None) -> None:
        """Let another model look; one that was trained on a dataset begins with that."""
        allow(self.run, obstacle(info), "Let the model look at this image")
        if self._offers(self._opened):
            return  # chosen on purpose
        if info is not None and self._offers(info.dataset_name):
            self.dataset.value = info.dataset_name

    def close(self) -> None:
        """Release the device, and take the page away."""
        self.live.close()
        self._uploads.clear()
        self._watch.follow(None)
        self.trial.close()

    # Pictures of a dataset

    def _offers(self, dataset: str) -> bool:
        return (dataset, dataset) in self.dataset.options

    def _list(self, _change: Mapping[str, Any]) -> None:
        self._spawn(self._list_images)

    async def _list_images(self) -> None:
        dataset, split = self.dataset.value, self.split.value
        is_news = self._lists.begin()
        names = await self._model.images(dataset, split) if dataset else []
        if (dataset, split) == (self.dataset.value, self.split.value) and is_news():
            set_options(self.image, [(name, name) for name in names])

    async def _try(self) -> None:
        info = required(self._model)
        if not self.image.value:
            raise ValueError("Choose an image first, or upload one of yours.")
        await self.live.stop()
        await self._model.try_image(
            info.name, self.dataset.value, self.split.value, self.image.value
        )

    # From the pages

    def asked(self, message: Message, buffers: Sequence[Any]) -> None:
        """Take a message of a page; see `workbench.panels.models.widgets.Trial`."""
        kind, session = message["kind"], str(message["session"])
        if kind == "seen":
            self._preview.seen(session)
        elif kind == "frame":
            try:
                self._browser.take(
                    session, int(message["seq"]), float(message["time"]), bytes(buffers[0])
                )
            except (ValueError, RuntimeError) as error:
                self._spawn(partial(self._complain, str(error)))
        else:
            self._spawn(lambda: self._answer(kind, session, message, buffers))

    async def _answer(
        self, kind: str, session: str, message: Message, buffers: Sequence[Any]
    ) -> None:
        if kind == "shown":
            self._pages.add(session)
            self._preview.welcome(session)
            self._send_still(to=session)
        elif kind == "hidden":
            await self._forget(session)
        elif kind == "camera":
            await self._take_camera(session, message)
        elif kind == "source":
            await self.live.choose(str(message["source"]), str(message.get("place", "")))
        elif kind == "stop":
            await self.live.stop()
        elif kind == "play":
            self._play(str(message["act"]), message.get("value"))
        elif kind == "upload":
            await self._take_upload(message, bytes(buffers[0]))

    async def _forget(self, session: str) -> None:
        self._pages.discard(session)
        self._preview.forget(session)
        self._uploads.forget(session)
        is_owner = self.live.feed is self._browser and session == self._browser.session
        if is_owner or not self._pages:
            await self.live.stop()

    async def _take_camera(self, session: str, message: Message) -> None:
        feed = self._browser
        if not message["on"]:
            if session == feed.session and self.live.feed is feed:
                await self.live.stop()
            return
        before = feed.session
        try:
            await self.live.use(feed, start=lambda: feed.own(session, str(message["name"])))
        except ValueError:
            self._send({"kind": "halt", "to": session})
            raise
        if before not in ("", session):
            self._send({"kind": "owner", "to": before})

    def _play(self, act: str, value: Any) -> None:
        playback = getattr(self.live.feed, "playback", None)
        if playback is None:
            return
        if act in ("seek", "step"):
            getattr(playback, act)(int(value))
        elif act in ("play", "pause"):
            getattr(playback, act)()
        self._show_feed()

    async def _take_upload(self, message: Message, piece: bytes) -> None:
        arrived = self._uploads.take(message, piece)
        self._send({"kind": "uploaded", "to": message["session"], "batch": message["batch"]})
        if arrived is None:
            return
        if arrived.refused:
            await self._complain(arrived.refused)
        if arrived.files:
            name, data = arrived.files[-1]
            await self.live.stop()
            await self._model.try_bytes(required(self._model).name, data, name)

    async def _complain(self, text: str) -> None:
        self._model.status = Status(text, "problem")

    # To the pages

    def _send(self, message: Message, buffers: Sequence[bytes] = ()) -> None:
        if self.trial.comm is not None:
            self.trial.send(dict(message), list(buffers))

    def _acknowledge(self, session: str, sequence: int) -> None:
        self._send({"kind": "ack", "to": session, "seq": sequence})

    async def _show_still(self) -> None:
        frame = self._model.tried
        if frame is not None:
            self._still = await asyncio.to_thread(_jpeg, frame)
            self._send_still()

    def _send_still(self, **to: str) -> None:
        model = self._model
        if not self._still or self.live.is_on:
            return
        self._send({"kind": "still", **to}, [self._still])
        self._send({"kind": "boxes", **self._boxes(model.found_by, model.found), **to})

    def _show_seen(self) -> None:
        seen = self.live.seen
        if seen is None:
            self._send({"kind": "boxes", "by": "", "rows": []})
            return
        found = seen.detections
        if found.failure:
            self._spawn(self.live.stop)
            self._spawn(partial(self._complain, f"{seen.model} has failed: {found.failure}"))
        self._send({"kind": "boxes", **self._boxes(seen.model, found.predictions)})

    def _boxes(self, name: str, found: Sequence[Prediction]) -> dict[str, Any]:
        info = next((m for m in self._model.models if m.name == name), None)
        names = info.class_names if info is not None else []
        rows = [
            [
                *box.xywh,
                names[box.class_id] if box.class_id < len(names) else str(box.class_id),
                round(box.confidence, 4),
                box.class_id,
            ]
            for box in found
        ]
        return {"by": name, "rows": rows}

    def _follow_feed(self) -> None:
        feed = self.live.feed
        if self.live.is_on:
            self._still = b""
        # What the page's own camera sees, it shows by itself.
        self._watch.follow(None if feed is self._browser or not self.live.is_on else feed)
        self._show_feed()

    def _show_feed(self) -> None:
        feed = self.live.feed
        if feed is not None:
            self.trial.feed = feed_message(feed, self.live.feed_state, self.live.place)


def _jpeg(frame: Frame) -> bytes:
    import cv2

    height, width = frame.shape[:2]
    scale = _STILL_SIDE / max(height, width)
    picture: Any = frame
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
