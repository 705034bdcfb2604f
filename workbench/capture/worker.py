"""The thread of a capture: takes frames out of queues, chooses, writes them in order."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from workbench.capture import writing
from workbench.capture.detection import Predict
from workbench.capture.events import (
    BurstBegan,
    BurstEnded,
    CaptureEvent,
    CaptureFailed,
    Countdown,
)
from workbench.capture.frames import Frame
from workbench.capture.recording import Chosen, Recording, Skipped
from workbench.capture.settings import choose_split
from workbench.capture.taken import Taken
from workbench.persistence import DatasetStore, ImageStore
from workbench.persistence.models import SPLITS

_FRAMES_AT_ONCE = 16
"""Frames that are written together; what is seen as saved waits for the last of them."""


class Worker:
    """Works off recordings, in a thread that lives while there are some.

    Parameters
    ----------
    image_store : ImageStore
    dataset : str
    taken : Taken
        Where saved images are noted.
    changed : threading.Condition
        Held while anything here is changed or read; notified when something was.
    queue : int
        Frames of a recording that may wait to be written.
    tell : callable
        Called with each event, in the thread.
    tell_status : callable
        Called in the thread when the numbers have changed.
    dataset_store : DatasetStore, optional
        What counts images faster than the image store does.

    Attributes
    ----------
    jobs : deque of Recording
        Under way, each to be served in turn.
    failure : str
        Why the last recordings have stopped; empty if they have not.
    last : (str, str, str)
        Burst, split and class name of the recording that was begun last.
    predict : callable or None
    closed : bool
        Whether queues are to end as soon as they are made.
    """

    def __init__(
        self,
        image_store: ImageStore,
        dataset: str,
        taken: Taken,
        changed: threading.Condition,
        queue: int,
        tell: Callable[[CaptureEvent], None],
        tell_status: Callable[[], None],
        dataset_store: DatasetStore | None = None,
    ) -> None:
        self.jobs: deque[Recording] = deque()
        self.failure = ""
        self.last = ("", "", "")
        self.predict: Predict | None = None
        self.closed = False
        self._image_store = image_store
        self._dataset_store = dataset_store
        self._dataset = dataset
        self._taken = taken
        self._changed = changed
        self._queue = queue
        self._tell = tell
        self._tell_status = tell_status
        self._thread: threading.Thread | None = None

    def add(self, job: Recording) -> None:
        """Process this recording from now on."""
        with self._changed:
            self.failure = ""
            self.jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait_until_taking(self, timeout: float | None) -> bool:
        """Wait until each recording takes frames; return whether that came about in time."""

        def take_frames() -> bool:
            return all(job.subscription is not None or job.finished for job in self.jobs)

        with self._changed:
            return self._changed.wait_for(take_frames, timeout)

    def wait(self, timeout: float | None) -> bool:
        """Wait until all is saved that was taken; return whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

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
                if not self.jobs:
                    self._thread = None
                    self._changed.notify_all()
                    return None
                for job in self.jobs:
                    if job.can_go_on:
                        # The chosen job goes to the end of the list, so that shots get their turn.
                        self.jobs.remove(job)
                        self.jobs.append(job)
                        return job
                self._changed.wait(self._until_next_second())

    def _until_next_second(self) -> float | None:
        waiting = [j.starts_at - time.monotonic() for j in self.jobs if j.subscription is None]
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
        num_images = runner.run(self._count_images())
        with self._changed:
            self._taken.tally.in_dataset = Counter(num_images)
            job.split = choose_split(job.settings.split, num_images)
            self.last = (job.burst, job.split, job.settings.class_name)
        latest = job.feed.latest if job.is_shot else None
        if latest is None:
            self._subscribe(job)
        # Told only after subscribing: a listener may now start a file, and no frame is missed.
        self._tell(BurstBegan(job.burst, job.split))
        if latest is not None:
            self._save(job, [latest], runner)
            if job.full:
                self._end(job)
            else:
                self._subscribe(job)

    async def _count_images(self) -> dict[str, int]:
        if self._dataset_store is not None:
            return (await self._dataset_store.get(self._dataset)).num_images
        splits = (await self._image_store.scan(self._dataset)).split.tolist()
        return {name: splits.count(index) for index, name in enumerate(SPLITS)}

    def _subscribe(self, job: Recording) -> None:
        capacity = 1 if job.is_shot else self._queue
        with self._changed:
            job.subscription = job.feed.subscribe(capacity, changed=self._changed)
            if job.finished or self.closed:
                job.subscription.end()
            self._changed.notify_all()

    def _save(self, job: Recording, frames: list[Frame], runner: asyncio.Runner) -> None:
        chosen = [one for frame in frames if (one := self._choose(job, frame)) is not None]
        if chosen:
            target = writing.Target(
                self._dataset, job.split, job.burst, job.feed.name, job.settings
            )
            written = runner.run(writing.write(self._image_store, target, chosen, self.predict))
            with self._changed:
                job.saved += len(written)
                self._taken.add(written)
            for saved in written:
                self._tell(saved)
        if frames:
            self._tell_status()

    def _choose(self, job: Recording, frame: Frame) -> Chosen | None:
        chosen = job.choose(frame)
        if isinstance(chosen, Chosen):
            return chosen
        with self._changed:
            self._taken.tally.similar += chosen is Skipped.SIMILAR
            self._taken.tally.damaged += chosen is Skipped.DAMAGED
        return None

    def _end(self, job: Recording) -> None:
        job.finished = True
        queue = job.subscription
        if queue is not None:
            queue.close()
        with self._changed:
            if queue is not None:
                self._taken.tally.dropped += queue.dropped
            if job in self.jobs:
                self.jobs.remove(job)
        self._tell(BurstEnded(job.burst, job.saved))
        self._tell_status()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self.failure = writing.explain(error, self._dataset, self._taken.tally.saved)
            jobs = list(self.jobs)
        for job in jobs:
            self._end(job)
        self._tell(CaptureFailed(self.failure))
