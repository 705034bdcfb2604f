"""The stores that belong together."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.persistence.stores.datasets import DatasetStore
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore
from workbench.persistence.stores.models import ModelStore


@dataclass(frozen=True, slots=True)
class DataStores:
    """The three stores that datasets are made of; what needs no models takes these."""

    dataset: DatasetStore
    image: ImageStore
    label: LabelStore


@dataclass(frozen=True, slots=True)
class Stores(DataStores):
    """The four stores that belong together."""

    model: ModelStore
