"""The pages of the evaluate panel that are more than text: plots, and galleries of findings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import ipywidgets as w

from workbench.evaluation import plots
from workbench.evaluation.findings import Finding
from workbench.panels.evaluate.finding_tiles import FindingTiles
from workbench.panels.evaluate.meaning import why_none
from workbench.panels.evaluate.model import SUSPECTS, EvaluateModel
from workbench.panels.evaluate.tiles import Tile
from workbench.panels.shared.parts import Spawn, allow, button, choice, help_text, page, row, show
from workbench.panels.shared.widgets import PlotGrid

SHOWN = 24
"""Findings on a page of a gallery."""

Open = Callable[[str, int], Awaitable[Any]]
"""Opens a gallery in the annotator, at one of its findings."""

_KINDS = {
    "missing_label": "not labelled",
    "spurious_label": "nothing there?",
    "badly_located": "badly located",
    "wrong_class": "wrong class",
    "false_positive": "nothing labelled",
    "false_negative": "missed",
    "badly_placed": "badly placed",
    "duplicate": "duplicate",
    "correct": "correct",
}
_CONFIDENCE = "The number is the model's confidence."
_SCORES = {
    SUSPECTS: "The number says how suspicious.",
    "false_negatives": "The number is the confidence of the best box that fits.",
}
_LEGEND = (
    '<span class="wbe-legend"><span class="wbe-key"></span>label'
    '<span class="wbe-key wbe-dashed"></span>prediction</span>'
)


class PlotsPage:
    """Curves, confusion matrix and average precision, drawn when they are first looked at.

    Parameters
    ----------
    model : EvaluateModel
    """

    def __init__(self, model: EvaluateModel) -> None:
        self._model = model
        self._is_shown = False
        self._drawn: object = None
        self.grid: PlotGrid | None = None
        self.view = page()
        model.observe(lambda _: self._draw(), "result")

    @property
    def is_shown(self) -> bool:
        """Whether the page is looked at."""
        return self._is_shown

    @is_shown.setter
    def is_shown(self, value: bool) -> None:
        self._is_shown = value
        self._draw()

    def _draw(self) -> None:
        result = self._model.result
        if not self._is_shown or result is None or self._drawn is result:
            return
        self._drawn = result
        makers = (
            plots.precision_recall,
            plots.f1_by_confidence,
            plots.confusion,
            plots.average_precision,
        )
        figures = [maker(result.evaluation).to_json() for maker in makers]
        if self.grid is None:
            self.grid = PlotGrid(figures=figures)
            self.view.children = (self.grid,)
        else:
            self.grid.figures = figures


class GalleryPage:
    """Findings of one kind as pictures, some at a time; a click opens the annotator.

    Parameters
    ----------
    model : EvaluateModel
    spawn : callable
    open_finding : callable
    """

    def __init__(self, model: EvaluateModel, spawn: Spawn, open_finding: Open) -> None:
        self._model = model
        self._spawn = spawn
        self._open = open_finding
        self._start = 0
        self._turn = asyncio.Lock()
        self.kind = choice("Show", max_width="100%")
        self.about = w.HTML()
        self.tiles = FindingTiles()
        self.tiles.on_open = self._click
        self.previous = button("Previous", "chevron-left", lambda: self._step(-1), spawn)
        self.next = button("More", "chevron-right", lambda: self._step(1), spawn)
        self.count = w.HTML()
        self._pager = row(self.previous, self.count, self.next)
        self.view = page(row(self.kind, w.HTML(_LEGEND)), self.about, self.tiles, self._pager)
        self.kind.observe(self._choose, "value")
        model.observe(self._show_result, "result")

    def _show_result(self, _change: Mapping[str, Any]) -> None:
        result = self._model.result
        if result is None:
            return
        options = [
            (f"{result.describe(kind).title} ({len(found):,})", kind)
            for kind, found in result.findings.items()
        ]
        kept, start = self.kind.value, self._start
        kinds = [kind for _, kind in options]
        self.kind.unobserve(self._choose, "value")
        self.kind.options = options
        self.kind.value = kept if kept in kinds else kinds[0]
        self.kind.observe(self._choose, "value")
        # After a correction the list is shorter; one stays about where one was.
        total = len(self._model.findings(self.kind.value))
        self._start = min(start if kept in kinds else 0, max(0, total - 1) // SHOWN * SHOWN)
        self._spawn(self._show)

    def _choose(self, _change: Mapping[str, Any]) -> None:
        self._start = 0
        self._spawn(self._show)

    async def _step(self, pages: int) -> None:
        self._start = max(0, self._start + pages * SHOWN)
        await self._show()

    def _click(self, number: int) -> None:
        kind = self.kind.value

        async def open_it() -> None:
            await self._open(kind, number)

        self._spawn(open_it)

    async def _show(self) -> None:
        async with self._turn:  # of two asked for at once, the later one stays
            result, kind, start = self._model.result, self.kind.value, self._start
            if result is None or kind is None:
                return
            made = await self._model.tiles(kind, start, SHOWN)
            found, evaluation = self._model.findings(kind), result.evaluation_of(kind)
            total = len(found)
            title, about = result.describe(kind)
            self.about.value = help_text(f"{about} {_SCORES.get(kind, _CONFIDENCE)}")
            classes = result.evaluation.classes
            with self.tiles.hold_sync():
                self.tiles.title = title
                self.tiles.colours = result.colours
                self.tiles.empty = why_none(kind, evaluation, found)
                self.tiles.tiles = [
                    _as_message(tile, start + place, kind, classes)
                    for place, tile in enumerate(made)
                ]
            self.count.value = f"{start + 1:,} to {start + len(made):,} of {total:,}"
            is_last = start + len(made) >= total
            allow(self.previous, "" if start else "These are the first ones.", "Earlier ones")
            allow(self.next, "These are the last ones." if is_last else "", "Further ones")
            show(self._pager, total > SHOWN)


def _as_message(tile: Tile, number: int, kind: str, classes: tuple[str, ...]) -> dict[str, Any]:
    finding = tile.finding
    title, what = _title(finding, classes), _what(finding, kind)
    return {
        "number": number,
        "title": title,
        "name": " · ".join(filter(None, (what, finding.filename))),
        "words": ", ".join(filter(None, (title, what, f"in {finding.filename}"))),
        "picture": tile.picture,
        "shape": tile.shape,
        "label": tile.label,
        "prediction": tile.prediction,
        "class_id": finding.class_id,
        "label_class": finding.label_class_id,
        "problem": tile.problem,
    }


def _title(finding: Finding, classes: tuple[str, ...]) -> str:
    """Say which class it is about, and how sure the model or how suspicious the label is."""
    name = finding.class_name
    if finding.kind == "wrong_class" and finding.label_class_id is not None:
        name = f"{classes[finding.label_class_id]} → {name}"
    return f"{name} {finding.score:.2f}"


def _what(finding: Finding, kind: str) -> str:
    """Say what a finding is, where its gallery does not say it already."""
    if finding.kind == "badly_placed" and kind == "badly_placed":
        return f"IoU {finding.iou:.2f}"
    return _KINDS[finding.kind] if kind in (SUSPECTS, "most_confident", "least_confident") else ""
