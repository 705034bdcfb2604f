"""Where a run stands, folded from its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.training.events import (
    BatchFinished,
    Cancelled,
    EpochFinished,
    EpochStarted,
    Event,
    Failed,
    Finished,
    Paused,
    Placed,
    Prepared,
    Queued,
    ResourcesUsed,
    SamplesSaved,
    Started,
    Stopped,
    Warned,
)

WAITING, STARTING, RUNNING = "waiting", "starting", "running"
STOPPING, PAUSING, CANCELLING = "stopping", "pausing", "cancelling"
FINISHED, STOPPED, PAUSED = "finished", "stopped", "paused"
FAILED, CANCELLED = "failed", "cancelled"
OVER = frozenset({FINISHED, STOPPED, PAUSED, FAILED, CANCELLED})
RESUMABLE = OVER - {FINISHED}


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run stands.

    Parameters
    ----------
    state : str
        ``"waiting"`` (in the queue), ``"starting"``, ``"running"``, ``"stopping"``,
        ``"pausing"``, ``"cancelling"`` (as soon as its cluster answers), ``"finished"``,
        ``"stopped"``, ``"paused"``, ``"failed"`` or ``"cancelled"``.
    attempt : int
        How often the run was put into the queue: 1, and one more for each time that it
        was resumed.
    note : str
        What training started from, and why.
    device : str
    epoch, epochs : int
        The current one, counted from 1 (0 before the first), and how many are planned.
    batch, batches : int
        Within the current epoch.
    epochs_completed : int
    history : tuple of EpochFinished
        One for each epoch so far.
    losses : dict of str to float
        The latest training losses.
    metrics : dict of str to float
        Of the best weights, once the run is over.
    warnings : tuple of str
    message : str
        Why it failed.
    failure_kind : str
        As in `workbench.training.events.Failed`.
    suggestions : tuple of dict
        Changes of settings, any of which may help after a failure.
    traceback : str
    samples_epoch : int
        The last epoch of which there are sample pictures; 0 if there are none.
    resources : ResourcesUsed or None
        What the run used of the machine when it last said so.
    began_at, updated_at : float
        When the first epoch of this attempt began and the last event came, in seconds
        since the epoch; 0 before.
    began_epoch : int
        Epochs that were done when this attempt began.
    node : str
        Name of the cluster's machine that trains, or did last; empty on this machine.
    node_seconds : float
        How long the run has had machines of a cluster, all its attempts together.
    node_since : float
        Since when it has the one that it has, in seconds since the epoch; 0 if it has none.
    is_silent : bool
        Whether its cluster does not answer, and nothing is heard of it.
    """

    state: str = STARTING
    attempt: int = 0
    note: str = ""
    device: str = ""
    epoch: int = 0
    epochs: int = 0
    batch: int = 0
    batches: int = 0
    epochs_completed: int = 0
    history: tuple[EpochFinished, ...] = ()
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    message: str = ""
    failure_kind: str = ""
    suggestions: tuple[dict[str, Any], ...] = ()
    traceback: str = ""
    samples_epoch: int = 0
    resources: ResourcesUsed | None = None
    began_epoch: int = 0
    began_at: float = 0.0
    updated_at: float = 0.0
    node: str = ""
    node_seconds: float = 0.0
    node_since: float = 0.0
    is_silent: bool = False

    @property
    def node_hours(self) -> float:
        """How many hours of a cluster's machines the run has taken up to its last event."""
        held = self.updated_at - self.node_since if self.node_since else 0.0
        return (self.node_seconds + held) / 3600

    def best(self, metric: str = "map50_95") -> float | None:
        """Return the best value on val, 0..1: of the best weights once the run is over.

        Parameters
        ----------
        metric : str
            ``"map50_95"`` or ``"map50"``.

        Returns
        -------
        float or None
            None if none was measured.
        """
        known = self.metrics.get(f"best_{metric}")
        if known is not None:
            return known
        measured = (epoch.metrics.get(metric) for epoch in self.history)
        return max((value for value in measured if value is not None), default=None)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen, unless somebody resumes the run."""
        return self.state in OVER

    @property
    def fraction(self) -> float:
        """How much of the planned epochs is done, 0..1."""
        if self.state == FINISHED:
            return 1.0
        if not self.epoch or not self.epochs:
            return 0.0
        within = self.batch / self.batches if self.batches else 0.0
        return min(1.0, (self.epoch - 1 + within) / self.epochs)

    @property
    def seconds_left(self) -> float | None:
        """Time to the last planned epoch at the pace so far; None while there is no pace."""
        if self.state != RUNNING or self.is_silent or not self.fraction < 1:
            return None
        done = self.fraction - self.began_epoch / self.epochs if self.epochs else 0.0
        if done <= 0:
            return None
        return (self.updated_at - self.began_at) * (1 - self.fraction) / done


def advance(progress: RunProgress, event: Event) -> RunProgress:
    """Return where the run stands after `event`."""
    is_silent = isinstance(event, Warned) and event.is_silent
    progress = replace(progress, updated_at=event.time, is_silent=is_silent)
    if event.final or isinstance(event, Placed | Queued):
        progress = _node_given_back(progress)
    match event:
        case Queued():
            return replace(
                progress, state=WAITING, attempt=progress.attempt + 1, resources=None, **_NO_FAILURE
            )
        case Placed():
            if not event.node:  # it may have lost another, and waits again
                return replace(progress, state=WAITING)
            return replace(progress, state=STARTING, node=event.node, node_since=event.time)
        case Started():
            return _started(progress, event)
        case Prepared():
            return replace(progress, state=RUNNING, device=event.device, batches=event.batches)
        case Warned():
            return replace(progress, warnings=(*progress.warnings, event.text))
        case EpochStarted():
            began_at = progress.began_at or event.time
            return replace(
                progress, epoch=event.epoch, epochs=event.epochs, batch=0, began_at=began_at
            )
        case BatchFinished():
            return replace(
                progress,
                epoch=event.epoch,
                epochs=event.epochs,
                batch=event.batch,
                batches=event.batches,
                losses=event.losses,
            )
        case EpochFinished():
            completed = progress.epochs_completed + event.complete
            history = (*progress.history, event)
            return replace(progress, epochs_completed=completed, history=history)
        case SamplesSaved():
            return replace(progress, samples_epoch=event.epoch)
        case ResourcesUsed():
            return replace(progress, resources=event)
        case Finished() | Stopped() | Paused():
            return replace(
                progress,
                state=_STATE_AFTER[type(event)],
                epochs_completed=event.epochs_completed,
                metrics=event.metrics or progress.metrics,
            )
        case Failed():
            return replace(
                progress,
                state=FAILED,
                message=event.message,
                traceback=event.traceback,
                failure_kind=event.kind,
                suggestions=tuple(event.suggestions),
            )
        case Cancelled():
            return replace(progress, state=CANCELLED)
    return progress


def advance_all(progress: RunProgress, events: Iterable[Event]) -> RunProgress:
    """Return where the run stands after all of `events`, in time that grows with their number.

    `advance` copies what there is of epochs and warnings for each one more.
    """
    epochs: list[EpochFinished] = []
    warnings: list[str] = []

    def with_all(known: RunProgress) -> RunProgress:
        history = (*known.history, *epochs)
        return replace(known, history=history, warnings=(*known.warnings, *warnings))

    for event in events:
        if isinstance(event, EpochFinished):
            epochs.append(event)
            completed = progress.epochs_completed + event.complete
            progress = replace(
                progress, updated_at=event.time, epochs_completed=completed, is_silent=False
            )
        elif isinstance(event, Warned):
            warnings.append(event.text)
            progress = replace(progress, updated_at=event.time, is_silent=event.is_silent)
        elif isinstance(event, Started) and epochs:
            progress = advance(with_all(progress), event)
            epochs, warnings = [], []
        else:
            progress = advance(progress, event)
    return with_all(progress) if epochs or warnings else progress


_STATE_AFTER: dict[type[Event], str] = {Finished: FINISHED, Stopped: STOPPED, Paused: PAUSED}
_NO_FAILURE: dict[str, Any] = {
    "message": "",
    "traceback": "",
    "failure_kind": "",
    "suggestions": (),
}


def _node_given_back(progress: RunProgress) -> RunProgress:
    if not progress.node_since:
        return progress
    held = progress.updated_at - progress.node_since
    return replace(progress, node_seconds=progress.node_seconds + held, node_since=0.0)


def _started(progress: RunProgress, event: Started) -> RunProgress:
    done = event.epochs_done
    return replace(
        progress,
        state=STARTING,
        note=event.note,
        epochs=event.epochs,
        epoch=done,
        batch=0,
        epochs_completed=done,
        # The epochs after the checkpoint are trained and reported again.
        history=tuple(epoch for epoch in progress.history if epoch.epoch <= done),
        began_epoch=done,
        began_at=0.0,
        **_NO_FAILURE,
    )
