"""The page of the curate panel with plots and tables."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from workbench.datasets.changes import counted
from workbench.datasets.statistics import Statistics
from workbench.panels.curate.model import CurateModel
from workbench.panels.shared.parts import Spawn, class_name, empty, number, page, table
from workbench.panels.shared.widgets import PlotGrid
from workbench.persistence.models import SPLITS

SIZES_SHOWN = 8
_READING = "Counting images and boxes …"
_DRAWING = "Drawing the plots …"


class StatisticsPage:
    """Plots with numbers on hover, and the same as tables.

    Parameters
    ----------
    model : CurateModel
    spawn : callable
    """

    title = "Statistics"

    def __init__(self, model: CurateModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        self._is_open = False
        self.plots: PlotGrid | None = None
        self._tables = w.Box()
        self._tables.add_class("curate-tables")
        self._plots_box = w.Box(layout={"width": "100%", "overflow": "visible"})
        self._waiting = w.HTML(empty(_READING))
        self._tables.children = (self._waiting,)
        self.view = page(self._tables, self._plots_box)
        model.observe(self._follow, "statistics")

    def open(self) -> None:
        """Note that the page is looked at: only then the images are measured and plots drawn."""
        self._is_open = True
        self._spawn(self._show)

    def close(self) -> None:
        """Note that another page is looked at."""
        self._is_open = False

    def _follow(self, _change: Mapping[str, Any]) -> None:
        if self._is_open:
            self._spawn(self._show)

    async def _show(self) -> None:
        statistics = self._model.statistics
        if statistics is None:
            return
        # Numbers come at once; drawing waits for a library that takes a second to load.
        tables = await asyncio.to_thread(_tables, statistics)
        if statistics is not self._model.statistics:
            return  # others have come meanwhile, and are on their way
        self._tables.children = [w.HTML(html) for html in tables]
        if self.plots is None:
            self._waiting.value = empty(_DRAWING) if statistics.num_images else ""
            self._plots_box.children = (self._waiting,)
        figures = await asyncio.to_thread(_figures, statistics)
        if statistics is not self._model.statistics:
            return
        if self.plots is None:
            self.plots = PlotGrid(layout={"width": "100%"})
            self._plots_box.children = (self.plots,)
        self.plots.figures = figures
        if not self._model.is_measured:
            await self._model.measure()  # other statistics, which are shown when they come


def _tables(statistics: Statistics) -> list[str]:
    """Return tables as HTML, or what is missing for them."""
    if not statistics.num_images:
        return [empty("There are no images yet: capture some, or bring some in.")]
    tables = [_summary(statistics), classes_table(statistics), _sizes(statistics)]
    if not statistics.num_boxes:
        tables.append(empty("There are no boxes yet; their plots appear here once there are."))
    return tables


def _figures(statistics: Statistics) -> list[str]:
    """Return plots as JSON."""
    from workbench.datasets.plots import all_plots, image_sizes

    if not statistics.num_images:
        return []
    shown = all_plots(statistics).values() if statistics.num_boxes else [image_sizes(statistics)]
    return [figure.to_json() for figure in shown]


def _summary(statistics: Statistics) -> str:
    frame = statistics.summary_frame()
    columns = [name for name in frame.columns if name != "boxes_per_image"]
    heads = ["split", *columns, "boxes per image"]
    rows = [
        [
            str(split),
            *(number(int(values[name])) for name in columns),
            f"{values['boxes_per_image']:.1f}",
        ]
        for split, values in frame.iterrows()
    ]
    return table("Images and boxes", heads, rows)


def classes_table(statistics: Statistics) -> str:
    """Return the classes with their boxes and images, as HTML."""
    boxes, images = statistics.boxes_by_class, statistics.images_by_class
    total = max(statistics.num_boxes, 1)
    rows = [
        [
            class_name(class_id, name, statistics.index.colours),
            str(class_id),
            number(int(boxes[class_id].sum())),
            f"{boxes[class_id].sum() / total:.1%}",
            *(number(int(count)) for count in boxes[class_id]),
            number(int(images[class_id].sum())),
        ]
        for class_id, name in enumerate(statistics.index.classes)
    ]
    heads = ["class", "id", "boxes", "share", *(f"in {split}" for split in SPLITS), "images"]
    return table("Classes", heads, rows)


def _sizes(statistics: Statistics) -> str:
    frame = statistics.image_sizes_frame()
    sizes = frame[["width", "height", "images"]].to_numpy().tolist()
    rows = [
        [f"{width} × {height}", number(images)] for width, height, images in sizes[:SIZES_SHOWN]
    ]
    others = len(frame) - SIZES_SHOWN
    if others > 0:
        rest = int(frame["images"].to_numpy()[SIZES_SHOWN:].sum())
        rows.append([counted(others, "other size"), number(rest)])
    return table("Image sizes, pixels", ["size", "images"], rows)
