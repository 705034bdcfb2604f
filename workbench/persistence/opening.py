"""From where data shall be to the stores over it."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.persistence.addresses import bucket_at, cache_dir, place_of, roots_at
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.storage.local import LocalStorage
from workbench.persistence.stores.bundle import Stores
from workbench.persistence.stores.catalogue import StoredCatalogue
from workbench.persistence.stores.content_cache import ContentCache
from workbench.persistence.stores.datasets import DatasetStore
from workbench.persistence.stores.folders import DatasetRoot
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore
from workbench.persistence.stores.layouts import MODELS
from workbench.persistence.stores.models import ModelStore
from workbench.persistence.stores.places import Catalogue


def stores_over(datasets: Catalogue, model: ModelStore) -> Stores:
    """Return the four stores that belong together."""
    return Stores(
        dataset=DatasetStore(datasets),
        image=ImageStore(datasets),
        label=LabelStore(datasets),
        model=model,
    )


def dataset_places(data_dir: Path | str) -> Catalogue:
    """Return where datasets lie: in a folder, which is made, or at the address of a bucket."""
    place = place_of(data_dir)
    if isinstance(place, str):
        return StoredCatalogue(roots_at(place))
    _make(place)
    return DatasetRoot(place)


def model_store(models_dir: Path | str) -> ModelStore:
    """Return a model store over a folder, which is made, or over the address of a bucket."""
    place = place_of(models_dir)
    if isinstance(place, str):
        return ModelStore(bucket_at(place), ContentCache(cache_dir() / "weights"))
    _make(place)
    return ModelStore(LocalStorage(os.path.abspath(place), MODELS))


def _make(place: Path) -> None:
    with in_our_words(str(place)):
        place.mkdir(parents=True, exist_ok=True)
