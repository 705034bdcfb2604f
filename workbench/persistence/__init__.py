"""The stores: the only code that touches dataset, image, label, model and run files."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from workbench.errors import NotStartedError
from workbench.persistence.storage.looks import both, one_look, together
from workbench.persistence.stores.bundle import DataStores, Stores
from workbench.persistence.stores.datasets import DatasetStore
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore
from workbench.persistence.stores.models import ModelStore
from workbench.persistence.yolo.names import IMAGE_EXTENSIONS

__all__ = [
    "IMAGE_EXTENSIONS",
    "DataStores",
    "DatasetStore",
    "ImageStore",
    "LabelStore",
    "ModelStore",
    "Stores",
    "both",
    "create_memory_stores",
    "create_stores",
    "get_dataset_store",
    "get_image_store",
    "get_label_store",
    "get_model_store",
    "get_stores",
    "one_look",
    "set_stores",
    "together",
]


def create_stores(data_dir: Path | str, models_dir: Path | str) -> Stores:
    """Make stores over plain files, or over a bucket.

    Parameters
    ----------
    data_dir : Path or str
        Folder that holds one folder for each dataset; made if missing. Or an address of a bucket:
        ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``.
    models_dir : Path or str
        The same for the models.

    Raises
    ------
    SetupError
        If what a bucket needs is not there.
    """
    from workbench.persistence.opening import dataset_places, model_store, stores_over

    return stores_over(dataset_places(data_dir), model_store(models_dir))


def create_memory_stores() -> Stores:
    """Make stores that keep everything in memory and forget it: for tests and trials."""
    from workbench.persistence.opening import stores_over
    from workbench.persistence.storage.memory import MemoryRoots, MemoryStorage
    from workbench.persistence.stores.catalogue import StoredCatalogue

    return stores_over(StoredCatalogue(MemoryRoots()), ModelStore(MemoryStorage()))


_guard = Lock()
_current: Stores | None = None


def set_stores(stores: Stores | None) -> None:
    """Make `stores` what `get_stores` returns; None takes them away again."""
    global _current
    with _guard:
        _current = stores


def get_stores() -> Stores:
    """Return the stores of this process.

    Raises
    ------
    NotStartedError
        A ``RuntimeError``: before `set_stores` or ``Workbench(...)``.
    """
    if _current is None:
        raise NotStartedError(
            "no stores yet: start with Workbench(data_dir, models_dir), "
            "or set_stores(create_stores(data_dir=..., models_dir=...))"
        )
    return _current


def get_dataset_store() -> DatasetStore:
    """Return the dataset store of this process; see `get_stores`."""
    return get_stores().dataset


def get_image_store() -> ImageStore:
    """Return the image store of this process; see `get_stores`."""
    return get_stores().image


def get_label_store() -> LabelStore:
    """Return the label store of this process; see `get_stores`."""
    return get_stores().label


def get_model_store() -> ModelStore:
    """Return the model store of this process; see `get_stores`."""
    return get_stores().model
