"""A version of a dataset that can be looked at with the stores, for a while."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from workbench.persistence import Stores, create_stores


@asynccontextmanager
async def frozen_view(
    stores: Stores, dataset: str, version: str, beside: Path
) -> AsyncIterator[Stores]:
    """Yield stores in which a dataset is as it was when a version was frozen.

    It has its name there, and is the only one; models are those of `stores`. Afterwards all
    of it is gone.

    Parameters
    ----------
    stores : Stores
    dataset, version : str
    beside : Path
        Folder for the files, made if it is missing: on the file system of the dataset, images
        take no space there.

    Raises
    ------
    NotFoundError
        If there is no such dataset or version.
    InvalidDatasetError
        If the version was damaged by another program.
    """

    def make() -> Path:
        beside.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".looking-at-", dir=beside))

    folder = await asyncio.to_thread(make)
    try:
        name = (await stores.dataset.get(dataset)).name
        await stores.dataset.snapshot(name, folder / "data" / name, version=version)
        view = create_stores(folder / "data", folder / "models")
        yield Stores(view.dataset, view.image, view.label, stores.model)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)
