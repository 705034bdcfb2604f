"""A version of a dataset that can be looked at with the stores."""

from __future__ import annotations

from workbench.persistence.opening import stores_over
from workbench.persistence.stores.bundle import Stores


async def frozen_view(stores: Stores, dataset: str, version: str) -> Stores:
    """Return stores in which a dataset is as it was when a version was frozen.

    It has its name there, and is the only one; models are those of `stores`. Nothing is copied:
    images are read where the version keeps them, whatever the stores lie in. Nothing can be
    changed there.

    Parameters
    ----------
    stores : Stores
    dataset, version : str

    Raises
    ------
    NotFoundError
        If there is no such dataset or version.
    InvalidDatasetError
        If the version was damaged by another program.
    """
    return stores_over(await stores.dataset.frozen(dataset, version), stores.model)
