"""What the train panel says of sweeps, as HTML, and their plot."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from workbench.datasets.greys import TEXT
from workbench.evaluation.palette import COLOURS
from workbench.panels.shared.parts import table
from workbench.panels.train.words import METRIC_WORDS, box
from workbench.training.sweeps.sweep import SweepProgress, Trial

_STATES = {
    "running": "The sweep goes on",
    "finished": "The sweep has finished",
    "cancelled": "The sweep was cancelled; it can be resumed",
    "failed": "The sweep has failed",
}
_HEIGHT = 320
_WORST = "#9db4c8"


def sweep_status(sweep_id: str, progress: SweepProgress, model_name: str) -> str:
    """Return where a sweep stands, as HTML."""
    done = sum(trial.state not in _NOT_DONE for trial in progress.trials)
    parts = [
        f"<b>{_STATES[progress.state]}.</b>",
        f"{done} of {len(progress.trials)} trials are over",
    ]
    early = sum(trial.state == "ended early" for trial in progress.trials)
    if early:
        parts.append(f"{early} ended early")
    hours = sum(trial.node_hours for trial in progress.trials)
    if hours:
        parts.append(f"{hours:.2f} node-hours")
    best = progress.best
    if progress.is_cross_validation:
        parts += [_spread(progress, metric) for metric in ("map50", "map50_95")]
    elif best is not None:
        parts.append(
            f"best: trial {best.number}, {METRIC_WORDS[progress.metric]} "
            f"{best.value(progress.metric):.3f}"
        )
    if model_name:
        parts.append(f"model <b>{escape(model_name)}</b> is in the store")
    text = " · ".join(parts)
    message = box(progress.message) if progress.message else ""
    return f"<div>{text}<br><small>{escape(sweep_id)}</small></div>{message}"


_NOT_DONE = frozenset(
    {"not started", "waiting", "starting", "running", "stopping", "pausing", "cancelling"}
)


def trials_table(progress: SweepProgress) -> str:
    """Return the trials as an HTML table, the best one marked."""
    names = list(dict.fromkeys(name for trial in progress.trials for name in trial.settings))
    has_nodes = any(trial.node_hours for trial in progress.trials)
    heads = ["Trial", *names, "State", "Epochs", "mAP50", "mAP50-95"]
    best = None if progress.is_cross_validation else progress.best
    rows = []
    for trial in progress.trials:
        is_best = best is not None and trial.number == best.number
        cells = [
            f"{trial.number} <b>★ best</b>" if is_best else f"{trial.number}",
            *(escape(f"{trial.settings.get(name, '')}") for name in names),
            escape(f"{trial.state}: {trial.message}" if trial.message else trial.state),
            f"{trial.epochs_completed} / {trial.epochs}",
            *(_number(value) for value in (trial.map50, trial.map50_95)),
        ]
        rows.append([*cells, f"{trial.node_hours:.2f}"] if has_nodes else cells)
    state = 1 + len(names)
    heads += ["Node-hours"] if has_nodes else []
    return table("Trials of the sweep", heads, rows, texts=(state,))


def parallel_figure(progress: SweepProgress, key: str) -> str:
    """Return a figure in JSON: a line for each trial that has measured something.

    Each setting has an axis, and so has what came of it; the brighter, the better. A stretch
    of an axis that is dragged over picks the lines that go through it.
    """
    import plotly.graph_objects as go

    shown = [trial for trial in progress.trials if trial.value(progress.metric) is not None]
    names = list(dict.fromkeys(name for trial in shown for name in trial.settings))
    dimensions = [_axis(name, [trial.settings.get(name) for trial in shown]) for name in names]
    values = [trial.value(progress.metric) for trial in shown]
    dimensions.append({"label": METRIC_WORDS[progress.metric], "values": values})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": values, "colorscale": [[0, _WORST], [1, COLOURS[1]]]},
        )
    )
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": TEXT, "size": 12},
        margin={"l": 70, "r": 50, "t": 60, "b": 24},
        height=_HEIGHT,
        uirevision=key,
    )
    text: str = figure.to_json()
    return text


def trials_measured(progress: SweepProgress) -> tuple[Trial, ...]:
    """Return the trials of which there is something to be drawn."""
    return tuple(trial for trial in progress.trials if trial.value(progress.metric) is not None)


def _axis(name: str, values: list[Any]) -> dict[str, Any]:
    """Return an axis: of numbers, by the logarithm where they are far apart, or of words."""
    numbers = [float(value) for value in values if type(value) in (int, float)]
    if len(numbers) < len(values):
        words = list(dict.fromkeys(map(str, values)))
        places = [words.index(str(value)) for value in values]
        return {
            "label": name,
            "values": places,
            "tickvals": list(range(len(words))),
            "ticktext": words,
        }
    if min(numbers) > 0 and max(numbers) / min(numbers) > 50:
        low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
        return {
            "label": name,
            "values": [math.log10(value) for value in numbers],
            "tickvals": list(range(low, high + 1)),
            "ticktext": [f"{10.0**power:g}" for power in range(low, high + 1)],
            "range": [low, high],
        }
    different = sorted(set(numbers))
    axis: dict[str, Any] = {"label": name, "values": numbers}
    return axis | ({"tickvals": different} if len(different) <= 8 else {})


def _spread(progress: SweepProgress, metric: str) -> str:
    mean, deviation = progress.spread(metric)
    if math.isnan(mean):
        return f"{METRIC_WORDS[metric]} not measured yet"
    text = f"{METRIC_WORDS[metric]} {mean:.3f}"
    return text if math.isnan(deviation) else f"{text} ± {deviation:.3f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
