"""The panels: each a model (traits and commands, no widgets) and a view (widgets, no logic)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.panels.annotate import AnnotatePanel as AnnotatePanel
    from workbench.panels.browse import BrowsePanel as BrowsePanel
    from workbench.panels.capture import CapturePanel as CapturePanel
    from workbench.panels.curate import CuratePanel as CuratePanel
    from workbench.panels.evaluate import EvaluatePanel as EvaluatePanel
    from workbench.panels.home import HomePanel as HomePanel
    from workbench.panels.models import ModelsPanel as ModelsPanel
    from workbench.panels.train import TrainPanel as TrainPanel

__all__ = [
    "AnnotatePanel",
    "BrowsePanel",
    "CapturePanel",
    "CuratePanel",
    "EvaluatePanel",
    "HomePanel",
    "ModelsPanel",
    "TrainPanel",
]

_HOME_OF = {
    "AnnotatePanel": "workbench.panels.annotate",
    "BrowsePanel": "workbench.panels.browse",
    "CapturePanel": "workbench.panels.capture",
    "CuratePanel": "workbench.panels.curate",
    "EvaluatePanel": "workbench.panels.evaluate",
    "HomePanel": "workbench.panels.home",
    "ModelsPanel": "workbench.panels.models",
    "TrainPanel": "workbench.panels.train",
}


def __getattr__(name: str) -> Any:
    """Import a panel when it is first used (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
