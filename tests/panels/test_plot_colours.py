"""The greys of figures, which the page puts its own colours for."""

from __future__ import annotations

from pathlib import Path

from workbench.datasets.greys import GRID, TEXT
from workbench.panels import shared


def test_the_page_looks_for_the_greys_that_figures_have() -> None:
    script = Path(shared.STATIC, "plot_grid.mjs").read_text(encoding="utf-8")
    assert f"const TEXT = '\"{TEXT}\"';" in script
    assert f"const GRID = '\"{GRID}\"';" in script
