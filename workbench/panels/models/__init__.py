"""The models that there are, and a stage to try them on: the panel and its pages."""

from workbench.panels.models.panel import ModelsPanel

__all__ = ["ModelsPanel"]
