"""Curves of training runs, to hover over; legible on a light and on a dark ground.

plotly takes half a second to import, so it is imported by those who draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.datasets.greys import GRID, TEXT
from workbench.evaluation.palette import COLOURS, DASHES
from workbench.panels.train.words import METRIC_WORDS

if TYPE_CHECKING:
    import pandas as pd

    from workbench.training.comparison import RunComparison

_HEIGHT = 300
_COUNTED = 10
_MARKED = 30
"""Up to so many epochs, each has a point: one epoch alone makes no line."""


def run_figures(curves: pd.DataFrame, run_id: str) -> list[str]:
    """Return losses and metrics of a run as figures in JSON.

    Parameters
    ----------
    curves : DataFrame
        As `workbench.training.curves.curves_of` returns it.
    run_id : str
        Zoom is kept from one epoch to the next of the same run.
    """
    losses = [name for name in curves.columns if "/" in name]
    kinds = list(dict.fromkeys(name.split("/", 1)[1] for name in losses))
    lines = [
        (
            _loss_words(name),
            curves[name],
            COLOURS[kinds.index(name.split("/", 1)[1]) % len(COLOURS)],
            "solid" if name.startswith("train/") else "dot",
        )
        for name in losses
    ]
    metrics = [
        (words, curves[name], colour, "solid")
        for (name, words), colour in zip(METRIC_WORDS.items(), COLOURS, strict=False)
    ]
    return [
        _figure("Metrics on val", "", metrics, run_id, share=True),
        _figure("Losses", "loss", lines, run_id),
    ]


def comparison_figures(comparison: RunComparison) -> list[str]:
    """Return curves of several runs over each other, as figures in JSON."""
    columns = comparison.curves.columns
    shown = [("map50_95", "mAP50-95 on val"), ("map50", "mAP50 on val")]
    shown += [(name, f"{_loss_words(name)} loss") for name in columns if "/" in name]
    figures = []
    for column, title in shown:
        table = comparison.over_each_other(column)
        lines = [
            (
                str(run),
                table[run].dropna(),
                COLOURS[place % len(COLOURS)],
                DASHES[place // len(COLOURS) % len(DASHES)],
            )
            for place, run in enumerate(table.columns)
        ]
        is_share = column.startswith("map")
        key = ",".join(map(str, table.columns))
        figures.append(_figure(title, "", lines, key, share=is_share))
    return figures


def _loss_words(column: str) -> str:
    return column.replace("/", " ").removesuffix("_loss")


def _figure(
    title: str,
    y_title: str,
    lines: list[tuple[str, Any, str, str]],
    key: str,
    *,
    share: bool = False,
) -> str:
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, values, colour, dash in lines:
        figure.add_trace(
            go.Scatter(
                x=values.index.to_numpy(),
                y=values.to_numpy(),
                name=name,
                mode="lines+markers" if len(values) <= _MARKED else "lines",
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate="%{fullData.name}<br>epoch %{x}: %{y:.4g}<extra></extra>",
            )
        )
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": TEXT, "automargin": True}
    x_axis: dict[str, Any] = {**axis, "title": {"text": "epoch", "standoff": 6}, "tickformat": "d"}
    if max((len(values) for _, values, _, _ in lines), default=0) <= _COUNTED:
        x_axis["dtick"] = 1  # else there are marks at half an epoch
    y_axis: dict[str, Any] = {**axis, "title": {"text": y_title}, "rangemode": "tozero"}
    if share:
        y_axis["range"] = [0, 1.02]
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 14}, "x": 0.01, "xanchor": "left"},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": TEXT, "size": 12},
        legend={
            "bgcolor": "rgba(0, 0, 0, 0)",
            "orientation": "h",
            "yref": "container",
            "yanchor": "bottom",
            "y": 0.01,
        },
        showlegend=True,
        margin={"l": 50, "r": 20, "t": 36, "b": 84},
        height=_HEIGHT,
        xaxis=x_axis,
        yaxis=y_axis,
        uirevision=key,
    )
    text: str = figure.to_json()
    return text
