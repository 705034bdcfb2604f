"""The value objects that stores take and return. Frozen; they know no files and no widgets.

They are defined by what they describe, and imported from here.
"""

from __future__ import annotations

from workbench.persistence.basic_models import SPLITS, ImageKey, Progress, no_progress
from workbench.persistence.dataset_models import (
    ArchiveLimits,
    DatasetInfo,
    ImportedDataset,
    Snapshot,
    with_notes,
)
from workbench.persistence.image_models import (
    ImageInfo,
    ImageMove,
    ImageTable,
    NewImage,
    TrashEntry,
)
from workbench.persistence.label_models import (
    Annotation,
    ClassRewrite,
    LabelData,
    LabelEdit,
    LabelTable,
    Prediction,
    RowPatch,
)
from workbench.persistence.trained_models import Metrics, ModelInfo

__all__ = [
    "SPLITS",
    "Annotation",
    "ArchiveLimits",
    "ClassRewrite",
    "DatasetInfo",
    "ImageInfo",
    "ImageKey",
    "ImageMove",
    "ImageTable",
    "ImportedDataset",
    "LabelData",
    "LabelEdit",
    "LabelTable",
    "Metrics",
    "ModelInfo",
    "NewImage",
    "Prediction",
    "Progress",
    "RowPatch",
    "Snapshot",
    "TrashEntry",
    "no_progress",
    "with_notes",
]
