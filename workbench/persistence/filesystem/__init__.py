"""The default implementation of the stores: plain files in YOLO layout."""

from __future__ import annotations

from pathlib import Path

from workbench.persistence.filesystem.dataset_folder import DatasetRoot
from workbench.persistence.filesystem.datasets import FilesystemDatasetStore
from workbench.persistence.filesystem.images import FilesystemImageStore
from workbench.persistence.filesystem.labels import FilesystemLabelStore
from workbench.persistence.filesystem.models import FilesystemModelStore
from workbench.persistence.stores.bundle import Stores

__all__ = ["create_filesystem_stores"]


def create_filesystem_stores(data_dir: Path, models_dir: Path) -> Stores:
    """Make the four stores over two folders, which are made if missing."""
    for folder in (data_dir, models_dir):
        folder.mkdir(parents=True, exist_ok=True)
    root = DatasetRoot(data_dir)
    return Stores(
        dataset=FilesystemDatasetStore(root),
        image=FilesystemImageStore(root),
        label=FilesystemLabelStore(root),
        model=FilesystemModelStore(models_dir),
    )
