"""Where everything begins: the datasets that there are, new ones, and what to do next."""

from workbench.panels.home.panel import HomePanel

__all__ = ["HomePanel"]
