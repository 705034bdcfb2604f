"""What lies where in a dataset, and in the folder of all models."""

from __future__ import annotations

from workbench.persistence.models import SPLITS
from workbench.persistence.storage.layout import Layout, Place
from workbench.persistence.yolo.names import HIDDEN, is_image_name

# Files and folders of ours that transactions write, and how deep one may lie in them.
_DATASET_FILES = frozenset({"dataset.json", "prompts.json", "tags.json"})
_DATASET_FOLDERS = frozenset({"cache", "history", "imports", "rewrites", "suggestions", "versions"})
_LOGS = frozenset({"history", "sources"})


def place_in_dataset(parts: list[str]) -> Place | None:
    """Return what kind of place a path below a dataset's folder is."""
    match parts:
        case ["data.yaml"]:
            return Place.OURS
        case ["images", split, name] if split in SPLITS and is_image_name(name):
            return Place.IMAGE
        case ["labels", split, name] if split in SPLITS and name.endswith(".txt"):
            return Place.LABELS
        case [folder, name] if folder == HIDDEN and name in _DATASET_FILES:
            return Place.OURS
        case [folder, name, _] if folder == HIDDEN and name in _DATASET_FOLDERS:
            return Place.OURS
        case [folder, "versions", "objects", _, _] if folder == HIDDEN:
            return Place.OURS
    return _place_of_all(parts)


def place_in_models(parts: list[str]) -> Place | None:
    """Return what kind of place a path below the folder of all models is."""
    match parts:
        case [name] if not name.startswith("."):
            return Place.MODEL
        case [folder, "new", _] if folder == HIDDEN:
            return Place.DRAFT
        case [folder, "new", _, _] if folder == HIDDEN:
            return Place.PART
        case [folder, "active.json"] if folder == HIDDEN:
            return Place.OURS
    return _place_of_all(parts)


def _place_of_all(parts: list[str]) -> Place | None:
    match parts:
        case [folder, "trash", _, _] if folder == HIDDEN:
            return Place.TRASH
        case [folder, "trash", _] if folder == HIDDEN:
            return Place.ENTRY
        case [folder, "tmp", _] if folder == HIDDEN:
            return Place.CLONE
    return None


def _is_log(parts: list[str]) -> bool:
    match parts:
        case [folder, name, month] if folder == HIDDEN and name in _LOGS:
            return month.endswith(".jsonl")
        case [folder, "suggestions", source] if folder == HIDDEN:
            return source.endswith(".bin")
    return False


def _is_visible(parts: list[str]) -> bool:
    return parts[0] != HIDDEN


def _linked_models(parts: list[str]) -> int:
    return 0 if parts[0] == HIDDEN else 1


DATASET = Layout(place_in_dataset, _is_log, lambda parts: 0, _is_visible)
DATASETS = Layout(place_in_models, lambda parts: False, _linked_models)
MODELS = Layout(place_in_models, _is_log, _linked_models)
