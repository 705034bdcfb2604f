"""Plots of a dataset's statistics, with numbers on hover.

Each function returns a plotly ``Figure``. Its background is transparent and its text grey,
so that it can be read on a light and on a dark page. In a notebook show it as a widget,
``plotly.graph_objects.FigureWidget(figure)``, which brings its script along and so needs no
network; `to_html` makes a page that needs none either.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.drawing import class_colour
from workbench.datasets.greys import GRID, TEXT
from workbench.datasets.statistics import HEAT_MAP_CELLS, Statistics
from workbench.persistence.models import SPLITS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SPLIT_COLOURS = {"train": "#3b8beb", "val": "#f0a30a", "test": "#00b88a"}

MOST_POINTS = 5_000  # of a scatter plot, drawn without WebGL, which remote desktops lack
_AREA_BINS = 40
_MOST_ABOVE = 4  # entries of a legend that have room beside the title
_MOST_SERIES = 12  # colours that can be told apart, and lines of a legend


def class_balance(statistics: Statistics, *, images: bool = False) -> Figure:
    """Return bars of boxes (or of images) by class, a colour for each split."""
    import plotly.graph_objects as go

    counts = statistics.images_by_class if images else statistics.boxes_by_class
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    what = "images" if images else "boxes"
    figure = go.Figure(
        [
            go.Bar(
                name=split,
                x=_names(statistics),
                y=counts[:, number],
                customdata=np.column_stack((shares[:, number], totals)),
                marker_color=SPLIT_COLOURS[split],
                hovertemplate=(
                    f"%{{x}}<br>{split}: %{{y:,}} {what}, %{{customdata[0]:.1%}} of the split"
                    f"<br>all splits: %{{customdata[1]:,}}<extra></extra>"
                ),
            )
            for number, split in enumerate(SPLITS)
            if counts[:, number].any()
        ]
    )
    figure.update_layout(barmode="stack")
    return _styled(figure, f"{what.capitalize()} by class", "", what)


def boxes_per_image(statistics: Statistics) -> Figure:
    """Return bars of how many labelled images have how many boxes."""
    import plotly.graph_objects as go

    counts = statistics.boxes_per_image
    figure = go.Figure(
        [
            go.Bar(
                name=split,
                x=np.arange(len(counts)),
                y=counts[:, number],
                marker_color=SPLIT_COLOURS[split],
                hovertemplate=f"{split}: %{{y:,}} images with %{{x}} boxes<extra></extra>",
            )
            for number, split in enumerate(SPLITS)
            if counts[:, number].any()
        ]
    )
    figure.update_layout(barmode="stack")
    return _styled(figure, "Boxes per image", "boxes in an image", "images")


def box_sizes(statistics: Statistics) -> Figure:
    """Return histograms of the part of the image that boxes cover, a line for each class.

    Of many classes the most frequent have a line of their own, the others one together.
    """
    import plotly.graph_objects as go

    areas, class_id = statistics.areas, statistics.index.class_id
    # Sizes span orders of magnitude: equal steps of the logarithm, from a millionth to all.
    edges = np.logspace(-6, 0, _AREA_BINS + 1)
    areas = np.clip(areas, edges[0], edges[-1])
    middles = np.sqrt(edges[:-1] * edges[1:])
    ranges = [f"{a:.3%} to {b:.3%}" for a, b in pairwise(edges.tolist())]
    filled, _ = np.histogram(areas, bins=edges)
    first = max(int(np.argmax(filled > 0)) - 1, 0)  # nobody needs to see empty decades
    edges, middles, ranges = edges[first:], middles[first:], ranges[first:]
    figure = go.Figure()
    for name, colour, own in _series(statistics, class_id):
        counts, _ = np.histogram(areas[own], bins=edges)
        if counts.any():
            figure.add_scatter(
                name=name,
                x=middles,
                y=counts,
                customdata=ranges,
                mode="lines",
                line={"shape": "hvh", "color": colour},
                hovertemplate=f"{name}: %{{y:,}} boxes<br>%{{customdata}} of the image"
                "<extra></extra>",
            )
    figure.update_xaxes(type="log", dtick=1, tickformat=".4~%")
    _styled(figure, "Sizes of boxes", "part of the image's area", "boxes")
    return _with_room_for_classes(figure)


def box_shapes(statistics: Statistics) -> Figure:
    """Return a scatter plot of boxes' widths and heights; a sample where there are very many."""
    import plotly.graph_objects as go

    index = statistics.index
    chosen = _sample(statistics.num_boxes)
    classes = index.class_id[chosen]
    figure = go.Figure()
    for name, colour, of_these in _series(statistics, classes):
        own = chosen[of_these]
        if len(own):
            owners = index.image_index[own].tolist()
            figure.add_scatter(
                name=name,
                x=index.boxes[own, 2],
                y=index.boxes[own, 3],
                customdata=[index.filenames[owner] for owner in owners],
                mode="markers",
                marker={"size": 4, "opacity": 0.5, "color": colour},
                hovertemplate=f"{name}: %{{x:.3f}} x %{{y:.3f}}<br>%{{customdata}}<extra></extra>",
            )
    some = "" if len(chosen) == statistics.num_boxes else f" ({len(chosen):,} of them)"
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1])
    _styled(figure, f"Shapes of boxes{some}", "width / image", "height / image")
    return _with_room_for_classes(figure)


def centre_map(
    statistics: Statistics, class_id: int | None = None, *, cells: int = HEAT_MAP_CELLS
) -> Figure:
    """Return a heat map of where boxes, of one class or of all, have their centres."""
    import plotly.graph_objects as go

    places = (np.arange(cells) + 0.5) / cells
    figure = go.Figure(
        go.Heatmap(
            z=statistics.centres(class_id, cells=cells),
            x=places,
            y=places,
            colorscale="Viridis",
            colorbar={"title": "boxes"},
            hovertemplate="%{z:,} boxes around (%{x:.2f}, %{y:.2f})<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    what = "all boxes" if class_id is None else _names(statistics)[class_id]
    return _styled(figure, f"Centres of {what}", "x, left to right", "y, top to bottom")


def co_occurrence(statistics: Statistics) -> Figure:
    """Return a heat map of how many images show two classes together."""
    import plotly.graph_objects as go

    counts, names = statistics.co_occurrence, _names(statistics)
    own = np.maximum(np.diag(counts), 1)[:, None]
    figure = go.Figure(
        go.Heatmap(
            z=counts / own,
            customdata=counts,
            x=names,
            y=names,
            zmin=0,
            zmax=1,
            colorscale="Viridis",
            colorbar={"title": "share", "tickformat": ".0%"},
            hovertemplate=(
                "%{customdata:,} images have %{y} and %{x}<br>"
                "that is %{z:.0%} of those with %{y}<extra></extra>"
            ),
        )
    )
    figure.update_yaxes(autorange="reversed")
    return _styled(figure, "Classes seen together", "also has", "of images with")


def image_sizes(statistics: Statistics) -> Figure:
    """Return a bubble for each image size in pixels; see `Indexer.measure` for how to know them."""
    import plotly.graph_objects as go

    sizes = statistics.image_sizes_frame()
    counts = sizes["images"].to_numpy()
    figure = go.Figure(
        go.Scatter(
            x=sizes["width"],
            y=sizes["height"],
            customdata=counts,
            mode="markers",
            marker={
                "size": 8 + 32 * np.sqrt(counts / max(counts.max(initial=1), 1)),
                "color": SPLIT_COLOURS["train"],
                "opacity": 0.7,
            },
            hovertemplate="%{customdata:,} images of %{x} x %{y} pixels<extra></extra>",
        )
    )
    unknown = int((statistics.index.width == 0).sum())
    if unknown:
        figure.add_annotation(
            text=f"images of unknown size: {unknown:,}",
            xref="paper",
            yref="paper",
            x=1,
            y=1,
            showarrow=False,
        )
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(rangemode="tozero")
    return _styled(figure, "Sizes of images", "width, pixels", "height, pixels")


def all_plots(statistics: Statistics) -> dict[str, Figure]:
    """Return every plot by its name."""
    makers = (
        class_balance,
        boxes_per_image,
        box_sizes,
        box_shapes,
        centre_map,
        co_occurrence,
        image_sizes,
    )
    return {maker.__name__: maker(statistics) for maker in makers}


def to_html(figures: Sequence[Figure]) -> str:
    """Return a page with the plots that needs no network: plotly's script is in it, once."""
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    ]
    return "<!doctype html><meta charset='utf-8'>" + "\n".join(parts)


def _names(statistics: Statistics) -> list[str]:
    return statistics.index.classes


def _series(
    statistics: Statistics, class_id: npt.NDArray[np.int64]
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Return name and colour of each line of a plot by class, and which boxes belong to it.

    Parameters
    ----------
    class_id : ndarray of int64, shape (boxes,)
    """
    names, totals = _names(statistics), statistics.boxes_by_class.sum(axis=1)
    chosen = list(range(len(names)))
    if len(names) > _MOST_SERIES:
        frequent = np.argsort(-totals, kind="stable")[: _MOST_SERIES - 1]
        chosen = sorted(frequent.tolist())
    own = statistics.index.colours
    series = [(names[number], _web_colour(number, own), class_id == number) for number in chosen]
    if len(chosen) < len(names):
        others = counted(len(names) - len(chosen), "other class", "other classes")
        series.append((others, TEXT, ~np.isin(class_id, chosen)))
    return series


def _web_colour(class_id: int, own: Sequence[str]) -> str:
    blue, green, red = class_colour(class_id, own)
    return f"rgb({red}, {green}, {blue})"


def _sample(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_POINTS, replace=False))


def _with_room_for_classes(figure: Figure) -> Figure:
    """Put a legend beside the plot that would cover its title above it."""
    if len(figure.data) > _MOST_ABOVE:
        side = {"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}
        figure.update_layout(legend=side)
    return figure


def _styled(figure: Figure, title: str, x: str, y: str) -> Figure:
    """Give a plot its title, and colours for light and dark pages."""
    axis: dict[str, Any] = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID}
    figure.update_layout(
        template="none",
        title={"text": title, "x": 0.02, "xanchor": "left"},
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font={"color": TEXT, "family": "system-ui, sans-serif"},
        margin={"l": 64, "r": 16, "t": 64, "b": 56},
        height=376,
        # Below the buttons, which appear in the corner.
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
        modebar={"bgcolor": "rgba(0, 0, 0, 0)", "color": GRID, "activecolor": TEXT},
    )
    figure.update_xaxes(title={"text": x, "standoff": 8}, automargin=True, **axis)
    figure.update_yaxes(title={"text": y, "standoff": 12}, automargin=True, **axis)
    return figure
