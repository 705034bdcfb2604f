"""See all of a dataset, choose images, and act on them: the panel and its gallery."""

from workbench.panels.browse.panel import BrowsePanel

__all__ = ["BrowsePanel"]
