"""The default implementation of the stores: plain files in YOLO layout."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.persistence.addresses import bucket_at, cache_dir
from workbench.persistence.filesystem.dataset_folder import DatasetRoot
from workbench.persistence.filesystem.datasets import FilesystemDatasetStore
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.stores.bundle import Stores
from workbench.persistence.stores.content_cache import ContentCache
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore
from workbench.persistence.stores.layouts import MODELS
from workbench.persistence.stores.models import ModelStore

__all__ = ["create_filesystem_stores", "model_store"]


def create_filesystem_stores(data_dir: Path, models_dir: Path | str) -> Stores:
    """Make the four stores over two folders, which are made if missing.

    `models_dir` may be the address of a bucket.
    """
    for folder in (data_dir, models_dir):
        if isinstance(folder, Path):
            folder.mkdir(parents=True, exist_ok=True)
    root = DatasetRoot(data_dir)
    return Stores(
        dataset=FilesystemDatasetStore(root),
        image=ImageStore(root),
        label=LabelStore(root),
        model=model_store(models_dir),
    )


def model_store(models_dir: Path | str) -> ModelStore:
    """Make a model store over a folder that is there, or over the address of a bucket."""
    if isinstance(models_dir, str):
        return ModelStore(bucket_at(models_dir), ContentCache(cache_dir() / "weights"))
    return ModelStore(LocalStorage(os.path.abspath(models_dir), MODELS))
