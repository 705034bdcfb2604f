"""Figures to hover over: curves, confusion matrix, average precision by class.

Plotly figures on a transparent ground with lines and letters in a grey that stands out from
white and from black, so that they can be read in a light and in a dark JupyterLab alike.
Nothing in them is fetched from anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.datasets.greys import GRID, TEXT
from workbench.evaluation.confusion import CONFIDENCE, ConfusionMatrix
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.matching import Floats
from workbench.evaluation.palette import COLOURS, DASHES

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MEAN_WIDTH, _CLASS_WIDTH = 3, 1.5
_POINTS = 250  # of 1000: what a screen can show, at a quarter of the size
_LABELLED_CELLS = 30


def precision_recall(evaluation: Evaluation) -> go.Figure:
    """Draw the precision-recall curve of each class, at an IoU of 0.5."""
    metrics = evaluation.metrics
    curves = metrics.curves
    names = [f"{row.name} (AP50 {row.ap50:.3f})" for row in metrics.classes]
    figure = _curves(
        curves.axis, curves.precision_at_recall, names, f"all (mAP50 {metrics.map50:.3f})"
    )
    figure.update_traces(
        hovertemplate="%{fullData.name}<br>recall %{x:.2f}, precision %{y:.3f}<extra></extra>"
    )
    return _styled(figure, "Precision and recall, IoU 0.5", "recall", "precision")


def f1_by_confidence(evaluation: Evaluation) -> go.Figure:
    """Draw F1 against confidence for each class, and mark each one's best threshold."""
    import plotly.graph_objects as go

    metrics = evaluation.metrics
    curves = metrics.curves
    names = [row.name for row in metrics.classes]
    figure = _curves(
        curves.axis, curves.f1, names, f"all ({metrics.f1:.3f} at {metrics.confidence:.3f})"
    )
    figure.update_traces(
        hovertemplate="%{fullData.name}<br>confidence %{x:.3f}, F1 %{y:.3f}<extra></extra>"
    )
    known = [
        (place, row)
        for place, row in enumerate(metrics.classes)
        if not np.isnan(row.best_confidence)
    ]
    figure.add_trace(
        go.Scatter(
            x=[row.best_confidence for _, row in known],
            y=[row.best_f1 for _, row in known],
            customdata=[[row.name, row.best_precision, row.best_recall] for _, row in known],
            mode="markers",
            name="best threshold",
            marker={
                "size": 10,
                "symbol": "diamond",
                "color": [COLOURS[place % len(COLOURS)] for place, _ in known],
            },
            hovertemplate=(
                "%{customdata[0]}: best at %{x:.3f}<br>F1 %{y:.3f}, precision "
                "%{customdata[1]:.3f}, recall %{customdata[2]:.3f}<extra></extra>"
            ),
        )
    )
    return _styled(figure, "F1 by confidence, IoU 0.5", "confidence", "F1")


def confusion(
    evaluation: Evaluation | ConfusionMatrix, confidence: float = CONFIDENCE
) -> go.Figure:
    """Draw which class is taken for which, in shares of each labelled class."""
    import plotly.graph_objects as go

    matrix = (
        evaluation
        if isinstance(evaluation, ConfusionMatrix)
        else evaluation.confusion_matrix(confidence)
    )
    names, counts = list(matrix.names), matrix.counts
    shares = matrix.shares()
    # Nothing is both unlabelled and not predicted; a 0 there would look like a finding.
    shares[-1, -1] = np.nan
    text = counts.astype(str).astype(object)
    text[-1, -1] = ""
    heat = go.Heatmap(
        z=shares,
        x=names,
        y=names,
        customdata=counts,
        text=text if len(names) <= _LABELLED_CELLS else None,
        texttemplate="%{text}" if len(names) <= _LABELLED_CELLS else None,
        zmin=0,
        zmax=1,
        colorscale="Viridis",
        colorbar={"title": {"text": "share"}, "tickfont": {"color": TEXT}},
        hovertemplate=(
            "labelled %{x}, predicted %{y}<br>%{customdata} boxes, %{z:.1%} of %{x}<extra></extra>"
        ),
        xgap=1,
        ygap=1,
    )
    title = f"Predicted against labelled, confidence above {matrix.confidence:g}"
    figure = _styled(go.Figure(heat), title, "labelled", "predicted")
    figure.update_xaxes(range=None, type="category", showgrid=False)
    return figure.update_yaxes(range=None, type="category", autorange="reversed", showgrid=False)


def average_precision(evaluation: Evaluation) -> go.Figure:
    """Draw the average precision of each class as bars, the best class first."""
    import plotly.graph_objects as go

    rows = sorted(evaluation.metrics.classes, key=lambda row: -row.ap)
    names = [row.name for row in rows]
    facts = [[row.labels, row.images] for row in rows]
    figure = go.Figure()
    bars = (
        ("AP50", [row.ap50 for row in rows]),
        ("AP75", [row.ap75 for row in rows]),
        ("AP50-95", [row.ap for row in rows]),
    )
    for (name, values), colour in zip(bars, COLOURS, strict=False):
        figure.add_trace(
            go.Bar(
                x=names,
                y=values,
                name=name,
                customdata=facts,
                marker_color=colour,
                hovertemplate=(
                    f"%{{x}}: {name} %{{y:.3f}}<br>"
                    "%{customdata[0]} labels in %{customdata[1]} images<extra></extra>"
                ),
            )
        )
    styled = _styled(figure, "Average precision by class", "", "average precision")
    return styled.update_xaxes(range=None, type="category")


def _curves(axis: Floats, rows: Floats, names: list[str], mean_name: str) -> go.Figure:
    """Return a figure with a line for each class, and a thick one for their mean."""
    import plotly.graph_objects as go

    points = np.unique(np.linspace(0, len(axis) - 1, _POINTS).round().astype(int))
    figure = go.Figure()
    for place, (name, row) in enumerate(zip(names, rows, strict=True)):
        figure.add_trace(
            go.Scatter(
                x=axis[points],
                y=row[points],
                mode="lines",
                name=name,
                line={
                    "color": COLOURS[place % len(COLOURS)],
                    "dash": DASHES[place // len(COLOURS) % len(DASHES)],
                    "width": _CLASS_WIDTH,
                },
            )
        )
    if len(names) != 1:
        mean = rows.mean(axis=0) if len(rows) else np.zeros_like(axis)
        line = {"color": TEXT, "width": _MEAN_WIDTH}
        figure.add_trace(
            go.Scatter(x=axis[points], y=mean[points], mode="lines", name=mean_name, line=line)
        )
    return figure


def _styled(figure: go.Figure, title: str, x_title: str, y_title: str) -> Any:
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": TEXT,
        "range": [0, 1.02],
        "automargin": True,
    }
    return figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 15}, "x": 0.01, "xanchor": "left"},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": TEXT, "size": 13},
        legend={"bgcolor": "rgba(0, 0, 0, 0)"},
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        xaxis={**axis, "title": {"text": x_title}},
        yaxis={**axis, "title": {"text": y_title}},
        hoverlabel={"font": {"color": "white"}, "bgcolor": "#333333"},
    )
