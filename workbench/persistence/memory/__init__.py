"""The second implementation of the stores: it checks the contract, and makes tests fast."""

from __future__ import annotations

from workbench.persistence.memory.datasets import MemoryDatasetStore
from workbench.persistence.memory.state import State
from workbench.persistence.storage.memory import MemoryStorage
from workbench.persistence.stores.bundle import Stores
from workbench.persistence.stores.images import ImageStore
from workbench.persistence.stores.labels import LabelStore
from workbench.persistence.stores.models import ModelStore

__all__ = ["create_memory_stores"]


def create_memory_stores() -> Stores:
    """Make the four stores over one state that dies with them."""
    state = State()
    return Stores(
        dataset=MemoryDatasetStore(state),
        image=ImageStore(state),
        label=LabelStore(state),
        model=ModelStore(MemoryStorage()),
    )
