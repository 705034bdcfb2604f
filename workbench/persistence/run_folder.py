"""Training runs on disk: the only code that touches run files.

A run is one folder, ``<runs_dir>/<run id>/``::

    config.json     what to train: settings, starting point, the data's digest; written
                    again only where a run is resumed with other settings
    data/           frozen view of the dataset
    queued.json     exists while the run waits for its turn; holds its place
    process.json    the process that trains: pid, its start time, host
    events.jsonl    what happened, one JSON object a line, appended only
    log.txt         everything that the process printed
    ultralytics/    results and plots, as Ultralytics writes them
    weights/        best.pt and last.pt, each complete at every moment
    samples/        what the model finds on a few images, one folder of JPEGs an epoch
    start/          while it trains: the weights that it started from, written anew
    settings/       Ultralytics' own settings, private to the run
    stop, pause     exist if somebody asked for it; cancel, too, for a run on a cluster
    keeper.json     of a run on a cluster: the process that follows it there, as in process.json;
                    written again every few seconds while that process is alive
    task.json       of a run on a cluster: what the cluster calls it, and what it was sent with
    give-way        until when a person wants the processor, as seconds since the epoch
    reserve         some bytes that make room for the last words when the disk is full
    registered.json the name under which the weights went to the model store
    verdict.json    of a run for teaching: how good it was found, and whether it took over

A folder is a run from the moment that ``config.json`` is there, which is written last.
Meaning (what is in an event, what a state is) lives in `workbench.training`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from filelock import Timeout

from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.plain_files import read_rest
from workbench.persistence.process_lock import lock_at
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_weights import RunWeights
from workbench.persistence.storage.base import MOST_BYTES
from workbench.persistence.storage.local import inside
from workbench.persistence.stored_json import MALFORMED
from workbench.persistence.work_folder import LOCK_POLL_SECONDS, WorkFolder, numbered

__all__ = ["ProcessRecord", "RunFolder", "free_space", "numbered"]

_EVENTS = "events.jsonl"
_PROCESS, _KEEPER, _TASK = "process.json", "keeper.json", "task.json"
_QUEUED, _REGISTERED, _VERDICT = "queued.json", "registered.json", "verdict.json"
_RESERVE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class RunFolder(WorkFolder):
    """The files of one run."""

    what: ClassVar[str] = "training run"
    marker: ClassVar[str] = "config.json"
    inner: ClassVar[tuple[str, ...]] = ("weights",)

    @property
    def job_path(self) -> Path:
        """The file with what to train."""
        return self.path / self.marker

    @property
    def events_path(self) -> Path:
        """The file with what happened."""
        return self.path / _EVENTS

    @property
    def weights(self) -> RunWeights:
        """The weights: those that are kept, and Ultralytics' own."""
        return RunWeights(self.path / "weights", self.results_dir / "weights")

    @property
    def settings_dir(self) -> Path:
        """Ultralytics' settings for this run only."""
        return self.path / "settings"

    @property
    def start_dir(self) -> Path:
        """The weights that training starts from, while it goes on."""
        return self.path / "start"

    def remove_start(self) -> None:
        """Remove the weights that training started from."""
        shutil.rmtree(self.start_dir, ignore_errors=True)

    @property
    def results_dir(self) -> Path:
        """Where Ultralytics writes."""
        return self.path / "ultralytics"

    # --- what to train

    def write_job(self, job: Mapping[str, Any]) -> None:
        """Write the job; from here on the folder is a run."""
        self.write_note(self.marker, job)

    def read_job(self) -> dict[str, Any]:
        """Return the job as it was written.

        Raises
        ------
        NotFoundError
            If this folder is no run.
        """
        return self.read_marker()

    def job_age(self) -> float:
        """Return the seconds since the job was written."""
        return time.time() - self.job_path.stat().st_mtime

    # --- who trains

    def write_process(self, record: ProcessRecord) -> None:
        """Note which process trains."""
        self.write_record(_PROCESS, record)

    def read_process(self) -> ProcessRecord | None:
        """Return which process trains, or None before it said so."""
        return self.read_record(_PROCESS)

    # --- on a cluster

    def write_keeper(self, record: ProcessRecord) -> None:
        """Note which process follows the run on its cluster, and that it is alive now."""
        self.write_record(_KEEPER, record)

    def read_keeper(self) -> tuple[ProcessRecord, float] | None:
        """Return which process follows the run on its cluster, and when it last said so."""
        record = self.read_record(_KEEPER)
        return None if record is None else (record, (self.path / _KEEPER).stat().st_mtime)

    def write_task(self, task: Mapping[str, Any]) -> None:
        """Note what the cluster calls the run."""
        self.write_note(_TASK, task)

    def read_task(self) -> dict[str, Any] | None:
        """Return what `write_task` noted, or None if the run was not sent yet."""
        return self.read_note(_TASK)

    def remove_task(self) -> None:
        """Forget what the cluster calls the run: it will be sent anew."""
        self.remove_file(_TASK)

    # --- what happened

    def append_event(self, line: str) -> None:
        """Append one line to the events, in one write, visible to readers at once."""
        with in_our_words(self.id):
            inside.append(str(self.path), _EVENTS, line.encode() + b"\n")

    def drop_half_event(self) -> None:
        """Cut off a last line without its end, which a killed writer left behind."""
        try:
            content = inside.read(str(self.path), _EVENTS)
        except FileNotFoundError:
            return
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            with inside.writing(str(self.path), _EVENTS) as descriptor:
                os.ftruncate(descriptor, complete)

    def read_events(self, offset: int = 0) -> tuple[list[str], int]:
        """Return the complete lines from byte `offset` on, and the offset to go on from.

        A last line that is still being written is left for the next call.

        Raises
        ------
        InvalidDatasetError
            If what is there is no file of ours, or too large for one.
        """
        try:
            with inside.reading(str(self.path), _EVENTS) as descriptor:
                size = os.fstat(descriptor).st_size
                if size > MOST_BYTES:
                    raise self.damaged(_EVENTS, f"{size:,} bytes")
                os.lseek(descriptor, offset, os.SEEK_SET)
                content = read_rest(descriptor)
        except FileNotFoundError:
            return [], offset
        complete = content.rfind(b"\n") + 1
        lines = content[:complete].decode(errors="replace").splitlines()
        return [line for line in lines if line], offset + complete

    # --- requests

    def request_stop(self) -> None:
        """Ask the worker to stop after the batch it is at."""
        self.ask("stop")

    def stop_requested(self) -> bool:
        """Whether somebody asked the worker to stop."""
        return self.is_asked("stop")

    def request_pause(self, *, now: bool = False) -> None:
        """Ask the worker to pause after the epoch it is at, or `now`: after the batch."""
        self.write("pause", b"now" if now else b"epoch")

    def pause_requested(self) -> str:
        """Return ``"epoch"`` or ``"now"`` if somebody asked the worker to pause, else ``""``."""
        try:
            return "now" if inside.read(str(self.path), "pause") == b"now" else "epoch"
        except FileNotFoundError:
            return ""

    def clear_requests(self) -> None:
        """Forget that somebody asked for a stop, a pause or an end."""
        for name in ("stop", "pause", "cancel"):
            self.remove_file(name)

    def request_way(self, until: float) -> None:
        """Ask the worker to leave the processor to a person until then (`time.time`)."""
        self.write("give-way", str(until).encode())

    def way_requested(self) -> float:
        """Return until when a person wants the processor; 0 if nobody does."""
        try:
            return float(inside.read(str(self.path), "give-way"))
        except (FileNotFoundError, ValueError):
            return 0.0

    # --- the queue

    def write_queued(self, place: float) -> None:
        """Put the run into the queue; of all that wait, the lowest place is next."""
        self.write_note(_QUEUED, {"place": place})

    def read_queued(self) -> float | None:
        """Return the run's place in the queue, or None if it does not wait."""
        content = self.read_note(_QUEUED)
        try:
            return None if content is None else float(content["place"])
        except MALFORMED as error:
            raise self.damaged(_QUEUED, error) from error

    def remove_queued(self) -> None:
        """Take the run out of the queue."""
        self.remove_file(_QUEUED)

    # --- space for the last event

    def make_reserve(self) -> None:
        """Occupy some space, so that a disk that fills up still takes the last event."""
        # Over what is there: a link in its place would lead to some file of the user's.
        self.write("reserve", bytes(_RESERVE_BYTES))

    def free_reserve(self) -> None:
        """Give that space back; called before the last event is written."""
        self.remove_file("reserve")

    # --- what the model finds

    def write_sample(self, epoch: int, name: str, jpeg: bytes) -> None:
        """Keep a picture of what the model finds after an epoch."""
        inside.replace(str(self.path), f"samples/{epoch:05d}/{name}.jpg", jpeg)

    def samples_dir(self, epoch: int) -> Path:
        """Return the folder of the pictures of an epoch, counted from 1."""
        return self.path / "samples" / f"{epoch:05d}"

    def samples(self, epoch: int) -> list[Path]:
        """Return the pictures of what the model found after an epoch, sorted by name."""
        root, folder = str(self.path), f"samples/{epoch:05d}"
        return [
            self.path / folder / name
            for name in inside.names(root, folder)
            if name.endswith(".jpg") and inside.is_file(root, f"{folder}/{name}")
        ]

    def image_names(self, split: str) -> set[str]:
        """Return the names of the images of a split that it trains on; empty if they are gone."""
        try:
            return set(os.listdir(self.data_dir / "images" / split))
        except FileNotFoundError:
            return set()

    # --- the way to the model store

    def write_registered(self, model_name: str, attempt: int) -> None:
        """Note the name under which the weights went to the model store, and in which attempt."""
        self.write_note(_REGISTERED, {"model": model_name, "attempt": attempt})

    def read_registered(self) -> tuple[str, int] | None:
        """Return the name of the model that came of this run last, and the attempt, or None."""
        content = self.read_note(_REGISTERED)
        if content is None:
            return None
        try:
            return str(content["model"]), int(content.get("attempt", 0))
        except MALFORMED as error:
            raise self.damaged(_REGISTERED, error) from error

    def write_verdict(self, verdict: Mapping[str, Any]) -> None:
        """Note how good a run for teaching was found."""
        self.write_note(_VERDICT, verdict)

    def read_verdict(self) -> dict[str, Any] | None:
        """Return how good a run for teaching was found, or None while nobody has looked."""
        return self.read_note(_VERDICT)

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Lock the run, so that no other process, thread or task settles it meanwhile."""
        import asyncio

        # Taken without waiting, again and again: a wait in the kernel would block the loop
        # in which the holder may be waiting for its turn.
        lock = lock_at(self.path / ".lock", LOCK_POLL_SECONDS)
        while True:
            try:
                with in_our_words(self.id):
                    lock.acquire(blocking=False)
                break
            except Timeout:
                await asyncio.sleep(LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()


def free_space(folder: Path) -> int:
    """Return the free bytes of the disk where `folder` is, or is going to be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
