"""Capturing: from frames of a feed to images of a dataset."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from workbench.capture.detection import Predict
from workbench.capture.events import CaptureEvent, CaptureStatus, ImageSaved, StatusChanged
from workbench.capture.feed import Feed
from workbench.capture.names import new_burst
from workbench.capture.recording import Recording
from workbench.capture.settings import CaptureSettings
from workbench.capture.taken import Taken
from workbench.capture.triggers import Every, Trigger
from workbench.capture.worker import Worker
from workbench.persistence import DatasetStore, DataStores, ImageStore

_log = logging.getLogger(__name__)

Listener = Callable[[CaptureEvent], None]


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
    image_store : ImageStore or DataStores
        Where images go; a bundle of stores stands for its image and dataset store.
    feed : Feed
        Started and stopped by others.
    dataset : str
    dataset_store : DatasetStore, optional
        Counts the images that are there when a recording begins; without it, the image
        store is asked, which takes longer.
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
        image_store: ImageStore | DataStores,
        feed: Feed,
        dataset: str,
        *,
        dataset_store: DatasetStore | None = None,
        settings: CaptureSettings | None = None,
        listener: Listener | None = None,
        predict: Predict | None = None,
        queue: int = 30,
    ) -> None:
        self.settings = settings or CaptureSettings()
        self._feed = feed
        self._listener = listener
        self._queue = queue
        self._changed = threading.Condition()
        label_store = None
        if isinstance(image_store, DataStores):
            label_store = image_store.label
            dataset_store, image_store = image_store.dataset, image_store.image
        self._taken = Taken(image_store, dataset, self._changed, self._tell_status, label_store)
        self._worker = Worker(
            image_store,
            dataset,
            self._taken,
            self._changed,
            queue,
            self._tell,
            self._tell_status,
            dataset_store,
        )
        self._worker.predict = predict

    @property
    def predict(self) -> Predict | None:
        """What finds the boxes for ``settings.detections``; settable."""
        return self._worker.predict

    @predict.setter
    def predict(self, predict: Predict | None) -> None:
        self._worker.predict = predict

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
            for job in self._worker.jobs:
                is_fresh_shot = job.is_shot and job.subscription is None and job.told is None
                if not is_fresh_shot:
                    job.finished = True
                if job.subscription is not None:
                    job.subscription.end()
            self._changed.notify_all()

    def wait_until_taking(self, timeout: float | None = None) -> bool:
        """Wait until what was begun takes frames; return whether that came about in time.

        Whoever pushes frames into the feed loses those that come before.
        """
        return self._worker.wait_until_taking(timeout)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all is saved that was taken; return whether that came about in time."""
        return self._worker.wait(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Finish and flush; nothing can be captured any more."""
        with self._changed:
            self._worker.closed = True
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
            recording = next(
                (j for j in self._worker.jobs if not j.is_shot and not j.finished), None
            )
            queues = [j.subscription for j in self._worker.jobs if j.subscription is not None]
            tally = self._taken.tally
            burst, split, class_name = self._worker.last
            return CaptureStatus(
                recording=recording is not None,
                saving=bool(self._worker.jobs),
                burst=burst,
                split=split,
                class_name=class_name,
                saved=tally.saved,
                undone=self._taken.num_undone,
                by_split=dict(tally.by_split),
                by_class=dict(tally.by_class),
                in_dataset=dict(tally.in_dataset),
                similar=tally.similar,
                blurred=tally.blurred,
                damaged=tally.damaged,
                dropped=tally.dropped + sum(queue.dropped for queue in queues),
                waiting=sum(map(len, queues)),
                capacity=self._queue,
                failure=self._worker.failure,
            )

    @property
    def recent(self) -> list[ImageSaved]:
        """The images that this session has saved and not undone, oldest first."""
        return self._taken.recent

    async def undo(self, count: int = 1) -> list[ImageSaved]:
        """Move the last captured images to the trash, all or none; return them.

        Images that somebody has moved, deleted, replaced or labelled since are left alone.
        """
        return await self._taken.take_back(self._taken.last(count))

    async def undo_burst(self) -> list[ImageSaved]:
        """Move the last burst to the trash."""
        return await self._taken.take_back(self._taken.last_burst())

    async def remove(self, saved: ImageSaved) -> list[ImageSaved]:
        """Move one captured image to the trash."""
        return await self._taken.take_back([saved])

    async def redo(self) -> ImageSaved | None:
        """Bring back the image that was undone last; None if there is none."""
        return await self._taken.bring_back()

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
            if self._worker.closed:
                raise RuntimeError("this capture was closed; make a new one")
            if not is_shot and any(not j.is_shot and not j.finished for j in self._worker.jobs):
                raise RuntimeError("a recording is under way; finish it first")
            self._worker.add(job)
        return job.burst

    def _tell(self, event: CaptureEvent) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:  # noqa: BLE001
            # A view that cannot show an event must not cost the user a picture.
            _log.exception("the listener of a capture failed on %s", event)

    def _tell_status(self) -> None:
        self._tell(StatusChanged(self.status))
