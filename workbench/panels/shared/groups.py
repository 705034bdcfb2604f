"""What images can be kept together by, as panels offer it."""

from __future__ import annotations

from workbench.datasets.grouping import BY_BURST, BY_LOOKS, BY_NAME

GROUPS = (
    ("nothing: each image for itself", ""),
    ("name: frames of a video together", BY_NAME),
    ("capture: what was taken in one go", BY_BURST),
    ("looks: what looks alike", BY_LOOKS),
)
