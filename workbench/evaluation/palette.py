"""Colours of figures, legible on a light and on a dark ground; for all that plot."""

from __future__ import annotations

COLOURS = ("#2a8fd0", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
"""After Okabe and Ito's, which people with colour blindness can tell apart; without black and
yellow, which one of the two grounds would swallow, and with a lighter blue."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""For what comes after the last colour."""
