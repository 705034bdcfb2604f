"""Capturing: from frames of a feed to images of a dataset."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from workbench.capture import writing
from workbench.capture.detection import Predict
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
from workbench.capture.frames import Frame
from workbench.capture.names import image_name, new_burst
from workbench.capture.recording import Recording, Tally
from workbench.capture.settings import CaptureSettings, choose_split
from workbench.capture.similarity import difference, sharpness, thumbnail
from workbench.capture.triggers import Every, Trigger
from workbench.errors import InvalidFrameError
from workbench.persistence import Stores
from workbench.persistence.models import TrashEntry

_log = logging.getLogger(__name__)

Listener = Callable[[CaptureEvent], None]

_FRAMES_AT_ONCE = 16
"""Frames that are written together; what is seen as saved waits for the last of them."""


class CaptureController:
    """Takes pictures from a feed and saves them as images of a dataset.

    All methods but `undo` and `redo` return at once. The work is done by one thread, which
    lives while there is something to do: it takes frames out of a bounded queue, chooses,
    and writes them in order through the stores, several at a time. An image counts as saved
    when the store has it durably. When the disk is slower than the feed, the queue fills,
    `CaptureStatus.slow` says so, and frames that find no room are dropped and counted; a
    feed that can wait (a file, a sender that listens to acknowledgements) waits instead.

    Parameters
    ----------
    stores : Stores
    feed : Feed
        Started and stopped by others.
    dataset : str
    settings : CaptureSettings
    listener : callable, optional
        Called with each event, in the thread that writes.
    predict : callable, optional
        What finds the boxes for ``settings.detections``, see `detection.with_active_model`.
    queue : int
        Frames that may wait to be written.
    """

    def __init__(
        self,
        stores: Stores,
        feed: Feed,
        dataset: str,
        *,
        settings: CaptureSettings | None = None,
        listener: Listener | None = None,
        predict: Predict | None = None,
        queue: int = 30,
    ) -> None:
        self.settings = settings or CaptureSettings()
        self.predict = predict
        self._stores = stores
        self._feed = feed
        self._dataset = dataset
        self._listener = listener
        self._queue = queue
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._jobs: deque[Recording] = deque()
        self._recent: list[ImageSaved] = []
        self._undone: list[tuple[ImageSaved, TrashEntry]] = []
        self._tally = Tally()
        self._failure = ""
        self._closed = False
        self._last = ("", "", "")

    @property
    def feed(self) -> Feed:
        """Where frames come from; another one counts from the next recording on."""
        return self._feed

    @feed.setter
    def feed(self, feed: Feed) -> None:
        self._feed = feed

    # What the user does.

    def shoot(self, *, countdown: float = 0.0) -> str:
        """Save the frame that is seen now (or after `countdown` seconds); return its burst id."""
        return self._begin(Every(), 1, countdown, is_shot=True)

    def record(
        self, trigger: Trigger | None = None, *, until: int | None = None, countdown: float = 0.0
    ) -> str:
        """Take frames until `finish`, or until so many are taken; return the burst's id.

        Parameters
        ----------
        trigger : Every or Motion, optional
            Default: every frame.
        until : int, optional
            Number of images.
        countdown : float
            Seconds before the first one, to get one's hands into the picture.

        Raises
        ------
        ValueError
            If a number cannot be.
        RuntimeError
            If a recording is under way, or the capture was closed.
        """
        if until is not None and until < 1:
            raise ValueError(f"until: expected 1 image or more, found {until}")
        return self._begin(trigger or Every(), until, countdown, is_shot=False)

    def finish(self) -> None:
        """Take no more frames; what is in the queue will still be saved.

        A countdown is called off, and a shot that still waits for its frame.
        """
        with self._changed:
            for job in self._jobs:
                is_fresh_shot = job.is_shot and job.subscription is None and job.told is None
                if not is_fresh_shot:
                    job.finished = True
                if job.subscription is not None:
                    job.subscription.end()
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all is saved that was taken; return whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Finish and flush; nothing can be captured any more."""
        with self._changed:
            self._closed = True
        self.finish()
        self.flush(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def status(self) -> CaptureStatus:
        """Everything there is to show now."""
        with self._changed:
            recording = next((j for j in self._jobs if not j.is_shot and not j.finished), None)
            queues = [j.subscription for j in self._jobs if j.subscription is not None]
            tally = self._tally
            burst, split, class_name = self._last
            return CaptureStatus(
                recording=recording is not None,
                burst=burst,
                split=split,
                class_name=class_name,
                saved=tally.saved,
                by_split=dict(tally.by_split),
                by_class=dict(tally.by_class),
                in_dataset=dict(tally.in_dataset),
                similar=tally.similar,
                blurred=tally.blurred,
                damaged=tally.damaged,
                dropped=tally.dropped + sum(queue.dropped for queue in queues),
                waiting=sum(map(len, queues)),
                capacity=self._queue,
                failure=self._failure,
            )

    @property
    def recent(self) -> list[ImageSaved]:
        """The images that this session has saved and not undone, oldest first."""
        with self._changed:
            return list(self._recent)

    async def undo(self, count: int = 1) -> list[ImageSaved]:
        """Move the last captured images to the trash, all or none; return them.

        Images that somebody else has moved or deleted since are left alone.
        """
        with self._changed:
            last = self._recent[-count:] if count > 0 else []
        return await self._take_back(last)

    async def undo_burst(self) -> list[ImageSaved]:
        """Move the last burst to the trash."""
        with self._changed:
            burst = self._recent[-1].burst if self._recent else ""
            last = [saved for saved in self._recent if saved.burst == burst]
        return await self._take_back(last)

    async def remove(self, saved: ImageSaved) -> list[ImageSaved]:
        """Move one captured image to the trash."""
        return await self._take_back([saved])

    async def redo(self) -> ImageSaved | None:
        """Bring back the image that was undone last; None if there is none."""
        with self._changed:
            if not self._undone:
                return None
            saved, entry = self._undone.pop()
        await self._stores.image.restore(self._dataset, entry.id)
        with self._changed:
            self._recent.append(saved)
            self._tally.count(saved, 1)
        self._tell_status()
        return saved

    async def _take_back(self, last: list[ImageSaved]) -> list[ImageSaved]:
        image = self._stores.image
        keys = [(saved.info.split, saved.info.filename) for saved in last]
        there = [key for key in keys if await image.exists(self._dataset, *key)]
        entries = await image.delete_many(self._dataset, there) if there else []
        taken = [s for s, key in zip(last, keys, strict=True) if key in set(there)]
        with self._changed:
            self._recent = [saved for saved in self._recent if saved not in last]
            # The newest first, so that redo brings the oldest back first, as it was taken.
            self._undone += reversed([*zip(taken, entries, strict=True)])
            for saved in taken:
                self._tally.count(saved, -1)
        self._tell_status()
        return taken

    def _begin(
        self, trigger: Trigger, until: int | None, countdown: float, *, is_shot: bool
    ) -> str:
        if not countdown >= 0:
            raise ValueError(f"countdown: expected 0 seconds or more, found {countdown}")
        settings = self.settings
        if settings.detections != "off" and self.predict is None:
            raise ValueError(
                f"detections: {settings.detections!r} needs a model to find the boxes; make one "
                "active and hand over `predict`"
            )
        job = Recording(
            settings=settings,
            feed=self._feed,
            burst=new_burst(settings.prefix or settings.class_name),
            wants=trigger.begin(),
            until=until,
            starts_at=time.monotonic() + countdown,
            is_shot=is_shot,
        )
        with self._changed:
            if self._closed:
                raise RuntimeError("this capture was closed; make a new one")
            if not is_shot and any(not j.is_shot and not j.finished for j in self._jobs):
                raise RuntimeError("a recording is under way; finish it first")
            self._failure = ""
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return job.burst

    # What the thread does.

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while (job := self._next_job()) is not None:
                try:
                    self._advance(job, runner)
                except Exception as error:  # noqa: BLE001  whatever it is, the user is told
                    self._fail(error)

    def _next_job(self) -> Recording | None:
        """Wait for a job that can go on, and return it; None if there are none left."""
        while True:
            with self._changed:
                if not self._jobs:
                    self._thread = None
                    self._changed.notify_all()
                    return None
                for job in self._jobs:
                    if job.can_go_on:
                        # Whoever is served goes to the end, so that shots get their turn.
                        self._jobs.remove(job)
                        self._jobs.append(job)
                        return job
                self._changed.wait(self._until_next_second())

    def _until_next_second(self) -> float | None:
        waiting = [j.starts_at - time.monotonic() for j in self._jobs if j.subscription is None]
        return min((left - math.ceil(left) + 1 for left in waiting if left > 0), default=None)

    def _advance(self, job: Recording, runner: asyncio.Runner) -> None:
        if job.subscription is None and not job.finished:
            self._count_down(job, runner)
            return
        frames = [] if job.subscription is None else job.subscription.take(_FRAMES_AT_ONCE)
        self._save(job, frames, runner)
        queue = job.subscription
        if job.full or ((queue is None or queue.ended) and not queue):
            self._end(job)

    def _count_down(self, job: Recording, runner: asyncio.Runner) -> None:
        left = job.seconds_left
        if left or job.told is not None or job.starts_at > time.monotonic():
            self._tell(Countdown(left))
        job.told = left
        if left:
            return
        info = runner.run(self._stores.dataset.get(self._dataset))
        with self._changed:
            self._tally.in_dataset = Counter(info.num_images)
            job.split = choose_split(job.settings.split, info.num_images)
            self._last = (job.burst, job.split, job.settings.class_name)
        latest = job.feed.latest if job.is_shot else None
        if latest is None:
            self._subscribe(job)
        # Told only now, so that whoever starts a file then misses none of its frames.
        self._tell(BurstBegan(job.burst, job.split))
        if latest is not None:
            self._save(job, [latest], runner)
            if job.full:
                self._end(job)
            else:
                self._subscribe(job)

    def _subscribe(self, job: Recording) -> None:
        capacity = 1 if job.is_shot else self._queue
        with self._changed:
            job.subscription = job.feed.subscribe(capacity, changed=self._changed)
            if job.finished or self._closed:
                job.subscription.end()

    def _save(self, job: Recording, frames: list[Frame], runner: asyncio.Runner) -> None:
        chosen = [one for frame in frames if (one := self._choose(job, frame)) is not None]
        if chosen:
            target = writing.Target(
                self._dataset, job.split, job.burst, job.feed.name, job.settings
            )
            written = runner.run(writing.write(self._stores, target, chosen, self.predict))
            with self._changed:
                job.saved += len(written)
                self._recent += written
                self._undone.clear()
                for saved in written:
                    self._tally.count(saved, 1)
            for saved in written:
                self._tell(saved)
        if frames:
            self._tell_status()

    def _choose(self, job: Recording, frame: Frame) -> writing.Chosen | None:
        """Return a frame with its name if its moment has come and it shows something new."""
        if job.full:
            return None
        limit = job.settings.min_difference
        try:
            small = thumbnail(frame)
            if not job.wants(frame, small):
                return None
            if job.last_kept is not None and difference(small, job.last_kept) < limit:
                with self._changed:
                    self._tally.similar += 1
                return None
            sharp = sharpness(frame)
        except InvalidFrameError:
            with self._changed:
                self._tally.damaged += 1
            return None
        job.last_kept = small
        job.taken += 1
        name = image_name(job.burst, job.taken, job.settings.extension)
        return writing.Chosen(frame, name, sharp)

    def _end(self, job: Recording) -> None:
        job.finished = True
        queue = job.subscription
        if queue is not None:
            queue.close()
        with self._changed:
            if queue is not None:
                self._tally.dropped += queue.dropped
            if job in self._jobs:
                self._jobs.remove(job)
        self._tell(BurstEnded(job.burst, job.saved))
        self._tell_status()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._failure = writing.explain(error, self._dataset, self._tally.saved)
            jobs = list(self._jobs)
        for job in jobs:
            self._end(job)
        self._tell(CaptureFailed(self._failure))

    def _tell_status(self) -> None:
        self._tell(StatusChanged(self.status))

    def _tell(self, event: CaptureEvent) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:  # noqa: BLE001
            # A view that cannot show an event must not cost the user a picture.
            _log.exception("the listener of a capture failed on %s", event)
