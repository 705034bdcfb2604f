"""Take pictures from a camera or a video into a dataset: the panel and its page."""

from workbench.panels.capture.panel import CapturePanel

__all__ = ["CapturePanel"]
