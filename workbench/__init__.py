"""Workbench: a Jupyter-centric workbench for YOLO object-detection datasets.

Importing this costs next to nothing: every public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.app import Workbench as Workbench
    from workbench.datasets.dataset import Dataset as Dataset
    from workbench.datasets.formats.accounts import import_accounts as import_accounts
    from workbench.datasets.formats.accounts import take_back_import as take_back_import
    from workbench.datasets.formats.exporting import export as export
    from workbench.datasets.formats.exporting import plan_export as plan_export
    from workbench.datasets.formats.importing import import_dataset as import_dataset
    from workbench.datasets.formats.merging import plan_merge as plan_merge
    from workbench.datasets.formats.plan import ImportPlan as ImportPlan
    from workbench.datasets.formats.plan import plan_import as plan_import
    from workbench.datasets.manager import DatasetManager as DatasetManager
    from workbench.panels import AnnotatePanel as AnnotatePanel
    from workbench.panels import BrowsePanel as BrowsePanel
    from workbench.panels import CapturePanel as CapturePanel
    from workbench.panels import CuratePanel as CuratePanel
    from workbench.panels import EvaluatePanel as EvaluatePanel
    from workbench.panels import HomePanel as HomePanel
    from workbench.panels import ModelsPanel as ModelsPanel
    from workbench.panels import TrainPanel as TrainPanel
    from workbench.persistence import DatasetStore as DatasetStore
    from workbench.persistence import ImageStore as ImageStore
    from workbench.persistence import LabelStore as LabelStore
    from workbench.persistence import ModelStore as ModelStore
    from workbench.persistence import Stores as Stores
    from workbench.persistence import create_memory_stores as create_memory_stores
    from workbench.persistence import create_stores as create_stores
    from workbench.persistence import get_dataset_store as get_dataset_store
    from workbench.persistence import get_image_store as get_image_store
    from workbench.persistence import get_label_store as get_label_store
    from workbench.persistence import get_model_store as get_model_store
    from workbench.persistence import get_stores as get_stores
    from workbench.persistence import set_stores as set_stores
    from workbench.persistence.copying import copy_dataset as copy_dataset
    from workbench.persistence.models import Annotation as Annotation
    from workbench.persistence.models import DatasetInfo as DatasetInfo
    from workbench.persistence.models import ImageInfo as ImageInfo
    from workbench.persistence.models import LabelData as LabelData
    from workbench.persistence.models import ModelInfo as ModelInfo
    from workbench.persistence.models import Prediction as Prediction

__version__ = "0.1.0"

_HOME_OF = {
    "Workbench": "workbench.app",
    "Dataset": "workbench.datasets.dataset",
    "DatasetManager": "workbench.datasets.manager",
    "import_accounts": "workbench.datasets.formats.accounts",
    "take_back_import": "workbench.datasets.formats.accounts",
    "export": "workbench.datasets.formats.exporting",
    "plan_export": "workbench.datasets.formats.exporting",
    "import_dataset": "workbench.datasets.formats.importing",
    "ImportPlan": "workbench.datasets.formats.plan",
    "plan_import": "workbench.datasets.formats.plan",
    "plan_merge": "workbench.datasets.formats.merging",
    "AnnotatePanel": "workbench.panels",
    "BrowsePanel": "workbench.panels",
    "CapturePanel": "workbench.panels",
    "CuratePanel": "workbench.panels",
    "EvaluatePanel": "workbench.panels",
    "HomePanel": "workbench.panels",
    "ModelsPanel": "workbench.panels",
    "TrainPanel": "workbench.panels",
    "copy_dataset": "workbench.persistence.copying",
    **dict.fromkeys(
        (
            "DatasetStore",
            "ImageStore",
            "LabelStore",
            "ModelStore",
            "Stores",
            "create_memory_stores",
            "create_stores",
            "get_dataset_store",
            "get_image_store",
            "get_label_store",
            "get_model_store",
            "get_stores",
            "set_stores",
        ),
        "workbench.persistence",
    ),
    **dict.fromkeys(
        ("Annotation", "DatasetInfo", "ImageInfo", "LabelData", "ModelInfo", "Prediction"),
        "workbench.persistence.models",
    ),
}

__all__ = sorted(["__version__", *_HOME_OF])


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
