"""What a training run tells: typed events, one JSON object a line.

The worker appends them to the run's ``events.jsonl``; whoever wants to know follows that
file. Nothing else passes between the two, so a restarted kernel, a second notebook or a
script on another day learns exactly what the first one did.

A line is ``{"event": "<name of the class>", ...its fields}``. A number that is not finite
(a loss that blew up) travels as null and comes back as NaN, because JSON has no word for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from workbench.errors import InvalidDatasetError
from workbench.persistence.stored_json import loads
from workbench.training.typed import typed

_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events.

    Parameters
    ----------
    time : float
        When it happened, in seconds since the epoch.
    """

    final: ClassVar[bool] = False
    """Whether nothing comes after an event of this class, until the run is resumed."""

    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued(Event):
    """The run waits for its turn: at first, and again whenever it is resumed.

    Parameters
    ----------
    changes : dict
        Settings that are other than before.
    """

    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(Event):
    """The run was handed to a cluster, or has got its place on a node of it.

    Parameters
    ----------
    where : str
        Address of the cluster.
    task : str
        What the cluster calls the run.
    node : str
        Name of the machine that trains; empty while it is not decided.
    """

    where: str
    task: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFetched(Event):
    """A node of a cluster has the data of the run on its own disk.

    Parameters
    ----------
    files, bytes : int
        So many it did not have before, of another run, and had to fetch.
    """

    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """The worker's process is there and begins to load.

    Parameters
    ----------
    base_model : str
        What training starts from, as Ultralytics is told.
    pretrained : bool
        Whether that has trained weights; else it is a bare architecture.
    note : str
        One sentence for people: what was taken, and why not what was asked for.
    epochs : int
        How many are planned.
    epochs_done : int
        How many were done before; above 0 if a run goes on from a checkpoint.
    """

    base_model: str
    pretrained: bool
    note: str
    epochs: int
    epochs_done: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Event):
    """Model and data are loaded; the first epoch comes next.

    Parameters
    ----------
    device : str
        As torch calls it: ``"cpu"``, ``"cuda:0"``.
    train_images, val_images : int
        What Ultralytics really trains and validates on.
    batches : int
        Of one epoch.
    versions : dict of str to str
        Of ultralytics and torch.
    """

    device: str
    train_images: int
    val_images: int
    batches: int
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something that the run survives, but people should know.

    Parameters
    ----------
    text : str
    is_silent : bool
        Whether it is that nothing is heard of the run, until the next event.
    """

    text: str
    is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStarted(Event):
    """An epoch begins; `epoch` counts from 1."""

    epoch: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFinished(Event):
    """A batch was learned. Not every batch is told: at most a few a second.

    Parameters
    ----------
    epoch, batch : int
        Counted from 1.
    epochs, batches : int
        Planned epochs; batches of this epoch.
    losses : dict of str to float
        Mean over the epoch so far.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    losses: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFinished(Event):
    """An epoch was learned and validated.

    Parameters
    ----------
    epoch, epochs : int
    seconds : float
        Training and validation together.
    metrics : dict of str to float
        On the validation split: ``precision``, ``recall``, ``map50``, ``map50_95``, 0..1.
    losses, val_losses : dict of str to float
        Means over the training and the validation split.
    complete : bool
        False if a stop cut the epoch short.
    """

    epoch: int
    epochs: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    val_losses: dict[str, float] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(Event):
    """Weights lie complete in the run's ``weights`` folder.

    Parameters
    ----------
    epoch : int
    best : bool
        Whether they are the best so far; then ``best.pt`` is theirs too.
    """

    epoch: int
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesSaved(Event):
    """Pictures of what the model finds on a few images of val lie in the run's folder.

    Parameters
    ----------
    epoch : int
    names : list of str
        File names in ``samples/<epoch>/``.
    """

    epoch: int
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesUsed(Event):
    """What the training uses of the machine; told every few seconds.

    Parameters
    ----------
    cpu_percent : float
        Of one core, all processes of the run together: above 100 with several cores.
    memory, memory_free : float
        Bytes of RAM that the run's processes hold, and that are left on the machine.
    gpu_memory, gpu_memory_total : float
        Bytes on the GPU that torch holds, and that there are; 0 without one.
    """

    cpu_percent: float
    memory: float
    memory_free: float
    gpu_memory: float = 0.0
    gpu_memory_total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """Training is over and the best weights are kept.

    Parameters
    ----------
    epochs_completed : int
    metrics : dict of str to float
        Of the best weights, under the names that the model store keeps:
        ``best_map50``, ``best_map50_95``, ``precision``, ``recall``.
    early : bool
        Whether it ended before the planned epochs because nothing got better.
    """

    final: ClassVar[bool] = True

    epochs_completed: int
    metrics: dict[str, float] = field(default_factory=dict)
    early: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """Somebody asked the run to stop, and it did; the best weights so far are kept."""

    final: ClassVar[bool] = True

    epochs_completed: int
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """Somebody asked the run to pause, and it did; it can be resumed where it stands."""

    final: ClassVar[bool] = True

    epochs_completed: int
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """Training broke.

    Parameters
    ----------
    message : str
        What happened and what to do, for people.
    traceback : str
        For whoever wants to know more; empty if the process is gone without a word.
    kind : str
        ``"out of memory"``, ``"disk full"``, ``"killed"``, or empty for anything else.
    suggestions : list of dict
        Changes of settings, any of which may help: ``{"batch": 8}``.
    """

    final: ClassVar[bool] = True

    message: str
    traceback: str = ""
    kind: str = ""
    suggestions: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """Somebody killed the run; nothing of it goes to the model store."""

    final: ClassVar[bool] = True


_CLASSES: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        Queued,
        Placed,
        DataFetched,
        Started,
        Prepared,
        Warned,
        EpochStarted,
        BatchFinished,
        EpochFinished,
        CheckpointSaved,
        SamplesSaved,
        ResourcesUsed,
        Finished,
        Stopped,
        Paused,
        Failed,
        Cancelled,
    )
}

_FIELDS = {cls: fields(cls) for cls in _CLASSES.values()}


def format_event(event: Event) -> str:
    """Return the event as one line of JSON, without the line's end."""
    content = {"event": type(event).__name__, **asdict(event)}
    return json.dumps(_without_nan(content), ensure_ascii=False, allow_nan=False)


def parse_event(line: str) -> Event:
    """Return the event that a line holds; the inverse of `format_event`.

    Fields that this version does not know are left out, so that it reads the runs of
    newer ones.

    Raises
    ------
    InvalidDatasetError
        If the line is no event.
    """
    try:
        content = loads(line)
    except ValueError as error:
        raise InvalidDatasetError(f"expected one JSON object, found {line[:80]!r}") from error
    cls = _CLASSES.get(str(content.get("event"))) if isinstance(content, dict) else None
    if cls is None:
        raise InvalidDatasetError(
            f'expected {{"event": one of {", ".join(_CLASSES)}}}, found {line[:80]!r}'
        )
    known = _FIELDS[cls]
    try:
        return cls(**typed(known, {name: _with_nan(value) for name, value in content.items()}))
    except TypeError as error:
        needed = ", ".join(item.name for item in known)
        raise InvalidDatasetError(
            f"{cls.__name__} needs {needed}; found {line[:80]!r} ({error})"
        ) from error


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return value


def _with_nan(value: Any) -> Any:
    # No field of an event is optional, so that null can only be a number that was not finite.
    if value is None:
        return _NAN
    if isinstance(value, Mapping):
        return {key: _with_nan(item) for key, item in value.items()}
    return value
