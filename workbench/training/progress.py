"""Where a run stands, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from workbench.training.events import (
    BatchFinished,
    Cancelled,
    EpochFinished,
    EpochStarted,
    Event,
    Failed,
    Finished,
    Prepared,
    Started,
    Stopped,
    Warned,
)

STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
FINISHED, STOPPED, FAILED, CANCELLED = "finished", "stopped", "failed", "cancelled"
OVER = frozenset({FINISHED, STOPPED, FAILED, CANCELLED})


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a run stands.

    Parameters
    ----------
    state : str
        ``"starting"``, ``"running"``, ``"stopping"``, ``"finished"``, ``"stopped"``,
        ``"failed"`` or ``"cancelled"``.
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
    traceback : str
    began_at, updated_at : float
        When the first epoch began and the last event came, in seconds since the epoch; 0
        before.
    """

    state: str = STARTING
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
    traceback: str = ""
    began_at: float = 0.0
    updated_at: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
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
        """Time to the last planned epoch at the pace so far; None before there is a pace."""
        if self.state != RUNNING or not 0 < self.fraction < 1:
            return None
        return (self.updated_at - self.began_at) * (1 / self.fraction - 1)


def advance(progress: RunProgress, event: Event) -> RunProgress:
    """Return where the run stands after `event`."""
    progress = replace(progress, updated_at=event.time)
    match event:
        case Started():
            return replace(progress, state=STARTING, note=event.note, epochs=event.epochs)
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
        case Finished() | Stopped():
            return replace(
                progress,
                state=FINISHED if isinstance(event, Finished) else STOPPED,
                epochs_completed=event.epochs_completed,
                metrics=event.metrics,
            )
        case Failed():
            return replace(progress, state=FAILED, message=event.message, traceback=event.traceback)
        case Cancelled():
            return replace(progress, state=CANCELLED)
    return progress
