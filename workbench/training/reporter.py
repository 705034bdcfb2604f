"""Tells a run's events from inside Ultralytics, by its callbacks.

Ultralytics pickles its callbacks when it starts a process for each GPU, so a reporter holds
a path and numbers, nothing that is bound to a process. Only the first of such processes
reports.
"""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench.persistence.run_folder import RunFolder
from workbench.training.config import TrainingJob
from workbench.training.environment import bound_pictures
from workbench.training.events import (
    BatchFinished,
    CheckpointSaved,
    EpochFinished,
    EpochStarted,
    Event,
    Finished,
    Paused,
    Prepared,
    SamplesSaved,
    Stopped,
    Warned,
    format_event,
)
from workbench.training.giving_way import give_way
from workbench.training.resources import ResourceMeter
from workbench.training.samples import draw_samples
from workbench.training.weights_check import trust_own

_SECONDS_BETWEEN_BATCHES = 0.3
_SECONDS_BETWEEN_MEASURES = 3.0
_METRICS = {
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
    "metrics/mAP50(B)": "map50",
    "metrics/mAP50-95(B)": "map50_95",
}
_CALLBACKS = (
    "on_pretrain_routine_end",
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_end",
    "on_train_epoch_end",
    "on_model_save",
    "on_fit_epoch_end",
    "on_train_end",
)


class Reporter:
    """Writes the events of one run.

    Parameters
    ----------
    folder : RunFolder
    job : TrainingJob
    epochs_done : int
        How many epochs were completed before this process.
    """

    def __init__(self, folder: RunFolder, job: TrainingJob, epochs_done: int = 0) -> None:
        self._folder = folder
        # What the frozen view of the dataset holds, to notice what Ultralytics drops.
        self._num_images = job.num_images
        self._batch_size = job.config.batch
        self._gives_way = job.config.teaching
        self._meter = ResourceMeter()
        self._batch = 0
        self._epochs_completed = epochs_done
        self._epoch_is_open = False
        self._epoch_is_complete = False
        self._epoch_began = 0.0
        self._last_told = 0.0
        self._last_measured = 0.0
        self._draws = not job.config.teaching  # nobody looks at the pictures of so short a run
        self._stopped = False
        self._paused = False
        self._metrics: dict[str, float] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come into a process that Ultralytics starts for a GPU: our bound holds there, too."""
        self.__dict__.update(state)
        bound_pictures()

    def emit(self, event: Event) -> None:
        """Append an event to the run's file."""
        self._folder.append_event(format_event(event))

    def attach(self, model: Any) -> None:
        """Add the callbacks to an Ultralytics model that is about to be trained."""
        for name in _CALLBACKS:
            model.add_callback(name, getattr(self, name))

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Ask again for the stop that Ultralytics' set-up has just forgotten."""
        self._end_if_asked(trainer)

    def on_train_start(self, trainer: Any) -> None:
        """Tell what will be trained on, and what Ultralytics has dropped."""
        if not _reports():
            return
        train, val = len(trainer.train_loader.dataset), len(trainer.test_loader.dataset)
        self.emit(
            Prepared(
                time=time.time(),
                device=str(trainer.device),
                train_images=train,
                val_images=val,
                batches=len(trainer.train_loader),
                versions={name: version(name) for name in ("ultralytics", "torch")},
            )
        )
        if trainer.args.fraction != 1.0:  # then fewer images are what was asked for
            return
        for split, found in (("train", train), ("val", val)):
            dropped = self._num_images.get(split, found) - found
            if dropped > 0:
                text = (
                    f"Ultralytics leaves out {dropped} of {self._num_images[split]} images of "
                    f"{split}: their file or label file is damaged; the log names them"
                )
                self.emit(Warned(time=time.time(), text=text))

    def on_train_epoch_start(self, trainer: Any) -> None:
        """Tell that an epoch begins; comes again when Ultralytics repeats one."""
        self._batch = 0
        self._epoch_began = time.time()
        if _reports():
            self.emit(
                EpochStarted(time=self._epoch_began, epoch=trainer.epoch + 1, epochs=trainer.epochs)
            )

    def on_train_batch_end(self, trainer: Any) -> None:
        """Count the batch, tell of it if the last time is a while ago, and stop if asked."""
        self._batch += 1
        batches, now = len(trainer.train_loader), time.time()
        due = now - self._last_told >= _SECONDS_BETWEEN_BATCHES or self._batch == batches
        if _reports() and due:
            self._last_told = now
            self.emit(
                BatchFinished(
                    time=now,
                    epoch=trainer.epoch + 1,
                    epochs=trainer.epochs,
                    batch=self._batch,
                    batches=batches,
                    losses=_numbers(trainer.tloss),
                )
            )
            self._measure(now)
        if self._gives_way:
            give_way(self._folder)
        if trainer.world_size <= 1:
            self._end_if_asked(trainer)

    def on_train_epoch_end(self, trainer: Any) -> None:
        """Remember that validation comes next.

        With several GPUs this is also the place to stop: processes that leave an epoch
        after different batches would wait for each other forever.
        """
        self._epoch_is_open = True
        self._epoch_is_complete = self._batch >= len(trainer.train_loader)
        if trainer.world_size > 1:
            self._end_if_asked(trainer)

    def on_model_save(self, trainer: Any) -> None:
        """Keep the weights that were just written, so that a kill cannot halve them."""
        if not _reports():
            return
        best = bool(trainer.best_fitness == trainer.fitness)
        if self._epoch_is_complete:
            self._keep(trainer, trainer.last, "last.pt")
            if best:  # Ultralytics writes the same bytes to both
                self._folder.weights.keep_same("last.pt", "best.pt")
        elif best:
            # Not as last.pt: a run that is resumed should repeat the whole epoch.
            self._keep(trainer, trainer.best, "best.pt")
        self.emit(CheckpointSaved(time=time.time(), epoch=trainer.epoch + 1, best=best))

    def on_fit_epoch_end(self, trainer: Any) -> None:
        """Tell the epoch's results; the last call of all brings those of the best weights."""
        metrics = _numbers(trainer.metrics)
        self._metrics = our_metrics(metrics)
        if not self._epoch_is_open:
            return
        self._epoch_is_open = False
        self._epochs_completed += self._epoch_is_complete
        if _reports():
            now = time.time()
            self.emit(
                EpochFinished(
                    time=now,
                    epoch=trainer.epoch + 1,
                    epochs=trainer.epochs,
                    seconds=now - self._epoch_began,
                    metrics=self._metrics,
                    losses=_numbers(trainer.tloss),
                    val_losses={
                        name.removeprefix("val/"): value
                        for name, value in metrics.items()
                        if name.startswith("val/")
                    },
                    complete=self._epoch_is_complete,
                )
            )
            self._measure(now)
            self._draw(trainer)
        self._warn_of_smaller_batch(trainer)
        # Here the epoch is told and its checkpoint kept: what a pause waits for.
        if not trainer.stop and self._folder.pause_requested():
            trainer.stop = self._paused = True

    def on_train_end(self, trainer: Any) -> None:
        """Keep the final best weights and tell how it ended."""
        if not _reports():
            return
        if trainer.best.exists():
            self._keep(trainer, trainer.best, "best.pt")
        metrics = of_the_best(self._metrics)
        now, completed = time.time(), self._epochs_completed
        if self._stopped:
            self.emit(Stopped(time=now, epochs_completed=completed, metrics=metrics))
        elif self._paused:
            self.emit(Paused(time=now, epochs_completed=completed, metrics=metrics))
        else:
            early = completed < trainer.epochs
            self.emit(Finished(time=now, epochs_completed=completed, metrics=metrics, early=early))
            self._folder.weights.drop("last.pt")  # with the optimizer, for a resume only

    def _keep(self, trainer: Any, source: Path, name: str) -> None:
        kept = self._folder.weights.keep(source, name)
        # The user's own Ultralytics may have layers that nobody else knows.
        trust_own(kept, trainer.ema.ema)

    def _end_if_asked(self, trainer: Any) -> None:
        if trainer.stop:
            return
        if self._folder.stop_requested():
            trainer.stop = self._stopped = True
        elif self._folder.pause_requested() == "now":
            trainer.stop = self._paused = True

    def _measure(self, now: float) -> None:
        if now - self._last_measured >= _SECONDS_BETWEEN_MEASURES:
            self._last_measured = now
            self.emit(self._meter.measure())

    def _draw(self, trainer: Any) -> None:
        if not self._draws:
            return
        epoch, names = trainer.epoch + 1, []
        try:
            for name, jpeg in draw_samples(trainer):
                self._folder.write_sample(epoch, name, jpeg)
                names.append(f"{name}.jpg")
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, OSError) as error:
            # A failed picture must not end the training; another release may name things
            # differently.
            self._draws = False
            text = f"No sample pictures can be drawn: {error}"
            self.emit(Warned(time=time.time(), text=text))
            return
        self.emit(SamplesSaved(time=time.time(), epoch=epoch, names=names))

    def _warn_of_smaller_batch(self, trainer: Any) -> None:
        """Tell that Ultralytics has halved the batch, because memory ran out in the first epoch."""
        asked, taken = self._batch_size, trainer.batch_size
        if isinstance(asked, int) and 0 < taken < asked and _reports():
            self._batch_size = taken
            text = f"Memory ran out with batch {asked}: the run goes on with batch {taken}"
            self.emit(Warned(time=time.time(), text=text))


def our_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Return Ultralytics' metrics under our names, without losses and the like."""
    return {ours: metrics[name] for name, ours in _METRICS.items() if name in metrics}


def of_the_best(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics of the best weights under the names that the model store keeps."""
    names = {"map50": "best_map50", "map50_95": "best_map50_95"}
    return {names.get(name, name): value for name, value in metrics.items()}


def _reports() -> bool:
    # Set by torch's launcher in each of several processes that train together.
    return os.environ.get("RANK", "0") == "0"


def _numbers(values: dict[str, Any] | None) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in (values or {}).items()}
