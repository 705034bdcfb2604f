"""Sample data without a download: generated scenes as a dataset, as a video, or one by one."""

from __future__ import annotations

from pathlib import Path

from workbench.samples.dataset import create_shapes
from workbench.samples.scenes import CLASSES, Scene, moving_scenes, scenes
from workbench.samples.video import write_video

DETECTOR = Path(__file__).parent / "static" / "shapes.pt"
"""Weights of a small detector of the scenes, to start a training from or to predict with.

It is a yolo11n that was taught on 336 scenes of another seed than the default one, from random
numbers (``tools/sample_detector.py``): mAP50 0.97 on 96 more. No weights of anybody else are in it;
as the architecture is Ultralytics', its licence is that of Workbench, AGPL-3.0.
"""

__all__ = [
    "CLASSES",
    "DETECTOR",
    "Scene",
    "create_shapes",
    "moving_scenes",
    "scenes",
    "write_video",
]
