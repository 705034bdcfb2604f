"""Greys of letters and lines in figures; a page that shows them puts its theme's colours there."""

from __future__ import annotations

TEXT = "#808080"
"""Of letters and lines: stands out from white and from black."""

GRID = "rgba(128, 128, 128, 0.25)"
