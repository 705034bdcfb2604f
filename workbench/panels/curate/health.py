"""The page of the curate panel that says what is wrong, and puts it right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.changes import counted
from workbench.datasets.health import Finding, HealthReport
from workbench.panels.curate.finding_list import FindingList
from workbench.panels.curate.model import CurateModel
from workbench.panels.shared.parts import (
    Spawn,
    allow,
    button,
    choice,
    hint,
    lines,
    page,
    row,
    set_options,
    show,
)
from workbench.persistence.models import ImageKey

SHOWN_DETAILS = 50
_NOT_CHECKED = "Not checked yet. The first check reads every image once, later ones what is new."
_ALL_GOOD = "✓ Nothing wrong was found."
_NOT_TO_BE_SEEN = ("missing-image",)  # nothing is there to be shown
_NO_IMAGES = "There are no images to check yet."

ShowImages = Callable[[list[ImageKey], str], Awaitable[None]]
"""Opens images in the gallery, under a title."""


class HealthPage:
    """Findings on the left; what one is about, and its repairs, on the right.

    Parameters
    ----------
    model : CurateModel
    spawn : callable
    show_images : callable
    """

    title = "Health"

    def __init__(self, model: CurateModel, spawn: Spawn, show_images: ShowImages) -> None:
        self._model = model
        self._show_images = show_images
        self.check = button("Check", "stethoscope", model.check, spawn, tip="Look for faults")
        self.findings = FindingList(empty=_NOT_CHECKED)
        self._make_detail(spawn)
        columns = w.Box((self.findings, self.detail))
        columns.add_class("curate-health")
        words = (
            "Finds what makes training go wrong or a model worse; nothing is changed by looking."
        )
        self.view = page(row(self.check), hint(words), columns)
        self.findings.observe(self._choose, "chosen")
        model.observe(self._show_report, "report")
        self._show_detail()

    def _make_detail(self, spawn: Spawn) -> None:
        self._about = w.HTML()
        self.images_button = button("Show images", "picture-o", self._open_images, spawn)
        self.repair = choice("Repair", max_width="100%")
        self.repair.observe(self._forget_preview, "value")
        self.preview_button = button("Preview", "eye", self._preview, spawn)
        self.apply_button = button("Apply", "check", self._apply, spawn)
        self._repairs = row(self.repair, self.preview_button, self.apply_button)
        self._shown = w.HTML()
        self.detail = w.VBox((self._about, row(self.images_button), self._repairs, self._shown))
        self.detail.add_class("wb-card")
        self.detail.add_class("curate-detail")

    # What is chosen

    @property
    def finding(self) -> Finding | None:
        """The finding that is looked at."""
        report, kind = self._model.report, self.findings.chosen
        return report[kind] if report is not None and kind in report.kinds else None

    def _show_report(self, _change: Mapping[str, Any]) -> None:
        report = self._model.report
        found = [] if report is None else list(report)
        kinds = [finding.kind for finding in found]
        chosen = self.findings.chosen
        with self.findings.hold_sync():
            self.findings.findings = [
                {"kind": f.kind, "severity": f.severity, "title": f.title, "why": f.why}
                for f in found
            ]
            self.findings.empty = _words_for_none(report)
            self.findings.chosen = chosen if chosen in kinds else next(iter(kinds), "")
        self._show_detail()

    def _choose(self, _change: Mapping[str, Any]) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        finding = self.finding
        show(self.detail, finding is not None)
        if finding is None:
            return
        self._about.value = _about(finding)
        show(self.images_button, bool(finding.images) and finding.kind not in _NOT_TO_BE_SEEN)
        self.images_button.description = f"Show {counted(len(finding.images), 'image')}"
        options = [(repair.title, place) for place, repair in enumerate(finding.repairs)]
        set_options(self.repair, ())
        set_options(self.repair, options)
        show(self._repairs, bool(options))
        self._show_preview("")

    def _forget_preview(self, _change: Mapping[str, Any]) -> None:
        self._show_preview("")

    def _show_preview(self, text: str) -> None:
        """Show what a repair would do; nothing is repaired before somebody could read that."""
        self._shown.value = lines(text, "Preview of the repair") if text else ""
        reason = "" if text else "Press Preview first: it shows what would change."
        allow(self.apply_button, reason, "Repair the files as previewed; can be undone")

    # Commands

    async def _open_images(self) -> None:
        finding = self.finding
        if finding is not None:
            await self._show_images(list(finding.images), finding.title)

    async def _preview(self) -> None:
        finding, place = self.finding, self.repair.value
        if finding is not None and place is not None:
            text = await self._model.preview_repair(finding.kind, place)
            if (self.findings.chosen, self.repair.value) == (finding.kind, place):
                self._show_preview(text)

    async def _apply(self) -> None:
        finding, place = self.finding, self.repair.value
        if finding is not None and place is not None:
            await self._model.repair(finding.kind, place)


def _words_for_none(report: HealthReport | None) -> str:
    if report is None:
        return _NOT_CHECKED
    return _ALL_GOOD if report.num_images else _NO_IMAGES


def _about(finding: Finding) -> str:
    more = len(finding.details) - SHOWN_DETAILS
    details = finding.details[:SHOWN_DETAILS] + ([f"… and {more:,} more"] if more > 0 else [])
    shown = lines("\n".join(details), "What it concerns") if details else ""
    none = "" if finding.repairs else "<p>There is no repair at one click: look at it yourself.</p>"
    title = f'<h3 class="wb-heading">{escape(finding.title)}</h3>'
    return f"{title}<div>{escape(finding.why)}</div>{shown}{none}"
