"""Sample data without a download: generated scenes as a dataset, as a video, or one by one."""

from __future__ import annotations

from workbench.samples.dataset import create_shapes
from workbench.samples.scenes import CLASSES, Scene, moving_scenes, scenes
from workbench.samples.video import write_video

__all__ = ["CLASSES", "Scene", "create_shapes", "moving_scenes", "scenes", "write_video"]
