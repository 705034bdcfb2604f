"""Draw boxes on the images of a dataset: the panel, its canvas and what stands behind."""

from workbench.panels.annotate.panel import AnnotatePanel

__all__ = ["AnnotatePanel"]
