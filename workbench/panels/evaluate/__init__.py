"""How good a model is, and where it fails: the panel and its pages."""

from workbench.panels.evaluate.panel import EvaluatePanel

__all__ = ["EvaluatePanel"]
