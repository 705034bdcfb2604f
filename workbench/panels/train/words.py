"""What the train panel says of runs, in words and as HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from workbench.panels.shared.parts import help_text, table
from workbench.panels.train.runs import RunRow
from workbench.panels.train.settings import in_form
from workbench.training.curves import METRICS
from workbench.training.events import ResourcesUsed
from workbench.training.problems import ERROR, Problem
from workbench.training.progress import RunProgress

EPOCHS_SHOWN = 8
METRIC_WORDS = {
    "precision": "precision",
    "recall": "recall",
    "map50": "mAP50",
    "map50_95": "mAP50-95",
}
STATE_WORDS = {
    "waiting": "Waiting for its turn …",
    "starting": "Loading model and data …",
    "running": "Training …",
    "stopping": "Stopping after this batch …",
    "pausing": "Pausing after this epoch …",
    "cancelling": "Cancelled as soon as its cluster answers …",
    "finished": "Finished.",
    "stopped": "Stopped; the best weights so far are kept.",
    "paused": "Paused; it can be resumed.",
    "failed": "Failed.",
    "cancelled": "Cancelled; no model came of it.",
}
STANDS = {
    "waiting": "This run waits for its turn on the device.",
    "starting": "This run is loading model and data.",
    "running": "This run is training.",
    "stopping": "This run stops after this batch.",
    "pausing": "This run pauses after this epoch.",
    "cancelling": "This run is cancelled as soon as its cluster answers.",
    "finished": "This run has finished.",
    "stopped": "This run was stopped already.",
    "paused": "This run is paused.",
    "failed": "This run has failed.",
    "cancelled": "This run was cancelled.",
}
"""Why something cannot be done with a run now."""
CHECKING = "Settings, images and machine are being checked: wait for the end of it."
_GIB = 2**30


def status(
    run_id: str,
    progress: RunProgress,
    model_name: str,
    *,
    version: str = "",
    place: int = 0,
    can_resume: bool = False,
) -> str:
    """Return where a run stands, as HTML; always of as many lines while it goes on.

    Parameters
    ----------
    run_id : str
    progress : RunProgress
    model_name : str
        Of what came of it in the model store; empty: nothing (yet).
    version : str
        Of the dataset; empty: what it trains on is no frozen version.
    place : int
        In the queue, counted from 1; 0 if it does not wait.
    can_resume : bool
    """
    said = STATE_WORDS[progress.state]
    if progress.state == "stopped" and not progress.epochs_completed and not model_name:
        said = "Stopped before an epoch was complete; no model came of it."
    if progress.is_silent and not progress.is_over:
        said = "Its cluster does not answer; what was last heard:"
    parts = [f"<b>{escape(said)}</b>"]
    if place:
        parts.append(f"number {place} in the queue")
    if progress.epoch:
        parts.append(f"epoch {progress.epoch} of {progress.epochs}")
    is_at_work = not progress.is_over and progress.state != "waiting"  # else they are of before
    if progress.batches and is_at_work:
        parts.append(f"batch {progress.batch} of {progress.batches}")
    if progress.device and progress.state != "waiting":
        parts.append(f"on {escape(progress.device)}")
    if progress.node:
        parts.append(f"node {escape(progress.node)}, {progress.node_hours:.2f} node-hours")
    left = progress.seconds_left
    if left is not None:
        parts.append(f"{duration(left)} left")
    if model_name:
        parts.append(f"model <b>{escape(model_name)}</b> is in the store")
    if can_resume and progress.state != "paused":
        parts.append("it can be resumed")
    losses = " · ".join(
        f"{escape(name.replace('_', ' '))} {value:.3g}" for name, value in progress.losses.items()
    )
    if len(parts) > 1:
        parts[0] = f"<b>{escape(said.removesuffix('.'))}</b>"
    lines = [" · ".join(parts)]
    if not progress.is_over:
        used = resources(progress.resources) if progress.resources is not None else ""
        lines += [losses or "&nbsp;", used or "&nbsp;"] if is_at_work else ["&nbsp;"] * 2
    lines += [escape(in_form(progress.note))] if progress.note else []
    lines += [f"⚠ {escape(text)}" for text in progress.warnings]
    named = f" · version {escape(version)} of the dataset" if version else ""
    lines.append(f"<small>{escape(run_id)}{named}</small>")
    text = "<br>".join(lines)
    message = box(progress.message) if progress.message else ""
    return f'<div class="train-status">{text}</div>{message}'


def resources(used: ResourcesUsed) -> str:
    """Return what a run uses of the machine."""
    parts = [
        f"processor {used.cpu_percent:.0f} % of a core",
        f"memory {used.memory / _GIB:.1f} GiB ({used.memory_free / _GIB:.1f} GiB free)",
    ]
    if used.gpu_memory_total:
        total = used.gpu_memory_total / _GIB
        parts.append(f"GPU memory {used.gpu_memory / _GIB:.1f} of {total:.1f} GiB")
    return " · ".join(parts)


def box(text: str) -> str:
    """Return a message that something went wrong, as HTML."""
    return f'<div role="alert" class="train-message">{escape(text)}</div>'


def problems_head(found: Sequence[Problem]) -> str:
    """Return whether a run can be started in spite of what was found, as HTML."""
    errors = sum(problem.severity == ERROR for problem in found)
    head = (
        "This run cannot be started like this:"
        if errors
        else "This run can be started, but you should know:"
    )
    return f'<div role="alert"><b>{head}</b></div>'


def problem_text(problem: Problem) -> str:
    """Return one thing that speaks against a run, with its remedy, as HTML."""
    kind = "Error:" if problem.severity == ERROR else "Warning:"
    return (
        f'<p class="train-problem"><b>{kind}</b>{escape(problem.text)} – '
        f"<i>{escape(problem.remedy)}</i></p>"
    )


def suggestion(changes: Mapping[str, Any]) -> str:
    """Return the words on a button that resumes with changed settings."""
    words = {"batch": "batch", "image_size": "image size", "cache": "cache"}
    listed = ", ".join(
        "no cache in RAM"
        if (name, value) == ("cache", False)
        else f"{words.get(name, name)} {value}"
        for name, value in changes.items()
    )
    return f"Resume with {listed}"


def epochs(progress: RunProgress) -> str:
    """Return the last epochs as an HTML table, the newest first."""
    if not progress.history:
        return ""
    rows = [
        [
            str(epoch.epoch),
            *(
                f"{epoch.metrics[name]:.3f}" if name in epoch.metrics else "–"
                for name in METRIC_WORDS
            ),
            f"{epoch.seconds:.1f}",
        ]
        for epoch in progress.history[-EPOCHS_SHOWN:]
    ]
    caption = "Epochs" if len(progress.history) <= EPOCHS_SHOWN else f"Last {EPOCHS_SHOWN} epochs"
    return table(caption, ["epoch", *METRIC_WORDS.values(), "seconds"], rows[::-1])


def samples(pictures: Sequence[tuple[str, bytes]], epoch: int) -> str:
    """Return what the model finds on a few images after an epoch, as an HTML strip."""
    if not pictures:
        return ""
    images = "".join(
        f'<img alt="{escape(name)} after epoch {epoch}" title="{escape(name)}" '
        f'src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
        for name, jpeg in pictures
    )
    words = f"What it finds after epoch {epoch}: in colours; in white what is labelled."
    return (
        f"{help_text(words)}"
        f'<div class="train-samples" tabindex="0" role="region" aria-label="Sample predictions">'
        f"{images}</div>"
    )


def log(text: str) -> str:
    """Return the end of a log as HTML, its last line in view."""
    # Reversed, so that the browser keeps the end in view.
    return (
        '<div class="train-log" tabindex="0" role="region" aria-label="Log">'
        f"<pre>{escape(text)}</pre></div>"
    )


def listed(row: RunRow) -> str:
    """Return a run in one line."""
    parts = [row.id, f"waiting ({row.place})" if row.place else row.state]
    if row.epochs_completed:
        parts.append(f"{row.epochs_completed} of {row.epochs} epochs")
    if row.map50_95 is not None:
        parts.append(f"mAP50-95 {row.map50_95:.3f}")
    return "  ·  ".join(parts)


def comparison(settings: Any, metrics: Any) -> str:
    """Return two tables as HTML.

    Parameters
    ----------
    settings, metrics : DataFrame
        Of a `workbench.training.comparison.RunComparison`.
    """
    runs = [str(name) for name in metrics.index]
    differing = [
        [escape(str(name)), *(escape(str(value)) for value in row)]
        for name, row in zip(settings.index, settings.to_numpy().tolist(), strict=True)
    ]
    results = [
        [escape(run), *(_cell(name, row[name]) for name in metrics.columns)]
        for run, (_, row) in zip(runs, metrics.iterrows(), strict=True)
    ]
    heads = [METRIC_WORDS.get(name, name.replace("_", " ")) for name in metrics.columns]
    texts = [
        place
        for place, name in enumerate(metrics.columns, 1)
        if metrics[name].dtype.kind not in "if"
    ]
    return table("Results", ["run", *heads], results, texts=texts) + (
        table("Settings that differ", ["setting", *runs], differing)
        if differing
        else help_text("All settings are the same.")
    )


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        missing = value != value  # NaN
        digits = 3 if name in METRICS else 1
        return "–" if missing else f"{value:.{digits}f}"
    return escape(str(value)) or "–"


def duration(seconds: float) -> str:
    """Return a time in words, to two units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
