"""What is wrong with a dataset, and how to put it right: the panel and its pages."""

from workbench.panels.curate.panel import CuratePanel

__all__ = ["CuratePanel"]
