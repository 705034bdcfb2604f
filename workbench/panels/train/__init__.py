"""Train a model and follow its run: the panel and its pages."""

from workbench.panels.train.panel import TrainPanel

__all__ = ["TrainPanel"]
