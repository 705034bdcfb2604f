"""The curate panel's own widget: a list of findings under headings, which ipywidgets lacks."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from workbench.panels.shared.esm import bundle, style_sheet

STATIC = Path(__file__).parent / "static"


class FindingList(anywidget.AnyWidget):
    """Findings of a health check under their severities; brings Curate's style sheet along."""

    _esm = bundle(STATIC / "finding_list.mjs")
    _css = style_sheet(STATIC / "curate.css")

    findings = traitlets.List(
        traitlets.Dict(), help="`kind`, `severity`, `title` and `why` of each"
    ).tag(sync=True)
    chosen = traitlets.Unicode("", help="kind of the finding that is looked at").tag(sync=True)
    empty = traitlets.Unicode("", help="what stands there while there are none").tag(sync=True)
