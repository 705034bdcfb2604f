"""What the routers of one app work with, from start-up to shutdown."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from workbench.api.captures import Captures
from workbench.api.idempotency import Idempotency
from workbench.api.jobs import Jobs
from workbench.api.paging import Listings
from workbench.api.problems import Scrubber
from workbench.api.settings import ApiLimits
from workbench.api.upload_folder import upload_folder
from workbench.datasets.manager import DatasetManager
from workbench.datasets.thumbnails import Thumbnails
from workbench.errors import NotStartedError
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores, create_stores, get_stores, set_stores
from workbench.persistence.addresses import Places
from workbench.persistence.suggestions import SuggestionTable
from workbench.training.runner import TrainingRunner

_TABLES_KEPT = 4
"""Datasets whose suggestions stay in memory."""


class ApiState:
    """The stores of an app, and the managers that got them by constructor.

    Parameters
    ----------
    stores : Stores
    runs_dir : Path or str
    folder : Path
        For uploads on their way in and archives on their way out; emptied by whoever made it.
    limits : ApiLimits
    roots : tuple of Path or str
        Further folders, and addresses, of which no client must hear.
    """

    def __init__(
        self,
        stores: Stores,
        runs_dir: Path | str,
        folder: Path,
        *,
        limits: ApiLimits | None = None,
        roots: tuple[Path | str, ...] = (),
    ) -> None:
        self.stores = stores
        self.folder = folder
        self.limits = limits or ApiLimits()
        self.datasets = DatasetManager.on(stores)
        self.runner = TrainingRunner(
            stores.dataset,
            stores.model,
            image_store=stores.image,
            label_store=stores.label,
            runs_dir=runs_dir,
        )
        secret = [*roots, runs_dir, self.runner.runs_dir, folder, Path.cwd(), Path.home()]
        self.scrub = Scrubber(secret)
        self.predictor = Predictor(stores)
        self.thumbnails = Thumbnails(stores)
        self.jobs = Jobs(self.limits, self.scrub)
        self.listings = Listings(self.datasets)
        self.captures = Captures(stores, self.predictor, self.limits)
        self.idempotency = Idempotency()
        self.ending = asyncio.Event()
        """Set when the server is about to end: streams of events end then, too."""
        self.suggestion_tables: OrderedDict[str, SuggestionTable] = OrderedDict()

    def keep_suggestions(self, dataset: str, table: SuggestionTable) -> None:
        """Remember a dataset's suggestions, so that the next request reads what is new only."""
        self.suggestion_tables[dataset] = table
        self.suggestion_tables.move_to_end(dataset)
        while len(self.suggestion_tables) > _TABLES_KEPT:
            self.suggestion_tables.popitem(last=False)

    async def close(self) -> None:
        """End jobs and captures, and let threads go; training runs go on."""
        await self.captures.close()
        await self.jobs.close()
        self.predictor.close()
        self.thumbnails.close()


@asynccontextmanager
async def open_state(
    stores: Stores | None = None,
    *,
    data_dir: Path | str = "data",
    models_dir: Path | str | None = None,
    runs_dir: Path | str | None = None,
    limits: ApiLimits | None = None,
) -> AsyncIterator[ApiState]:
    """Start what the routers need, and end it afterwards; for the lifespan of an app.

    Parameters
    ----------
    stores : Stores, optional
        Default: stores over the folders are made, and become those of `get_stores` if no
        others are.
    data_dir, models_dir, runs_dir : Path or str
        As for `workbench.Workbench`.
    limits : ApiLimits, optional
    """
    places = Places.of(data_dir, models_dir or None, runs_dir or None)
    data, models, runs = places.data, places.models, places.runs
    ours: Stores | None = None
    if stores is None:
        stores = ours = await asyncio.to_thread(create_stores, data, models)
        if _current() is None:
            set_stores(ours)
    uploads = upload_folder()
    folder = await asyncio.to_thread(uploads.__enter__)
    state = ApiState(stores, runs, folder, limits=limits, roots=(data, models, folder.parent))
    try:
        yield state
    finally:
        try:
            await state.close()
        finally:
            if ours is not None and _current() is ours:
                set_stores(None)
            await asyncio.to_thread(uploads.__exit__, None, None, None)


def _current() -> Stores | None:
    try:
        return get_stores()
    except NotStartedError:
        return None


def state_of(request: Request) -> ApiState:
    """Return what the app of a request works with.

    Raises
    ------
    NotStartedError
        Before start-up, or in an app whose lifespan does not open it.
    """
    state = getattr(request.app.state, "workbench", None)
    if not isinstance(state, ApiState):
        raise NotStartedError(
            "the app has no stores: let its lifespan run "
            "`async with open_state(...) as app.state.workbench`"
        )
    return state


State = Annotated[ApiState, Depends(state_of)]
