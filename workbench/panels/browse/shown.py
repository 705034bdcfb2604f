"""What a browse panel shows: a listing of a dataset, and what of it is selected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import traitlets

from workbench.datasets.index import DatasetIndex
from workbench.datasets.query import QueryError, parse_query
from workbench.datasets.query_completion import Completion, complete
from workbench.panels.browse.finder import Finder, find_deleted
from workbench.panels.browse.listing import MODES, Item, Listing, Ranges, size_of
from workbench.panels.browse.pictures import PageMaker
from workbench.panels.shared.changing import ChangingModel
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey

_PATIENCE_S = 0.2
"""After so long a large dataset that is being read is shown as it was when it was last read."""
_LARGE = 5000
"""Images; listing the folders of fewer takes no time that anybody would notice."""


@dataclass(frozen=True, slots=True, eq=False)
class _Aim:
    """What is to be shown; see `Listing`."""

    dataset: str
    index: DatasetIndex
    query: str
    mode: str


class ShownModel(ChangingModel):
    """Lists a dataset's images, boxes or trash by a query, with a selection of them.

    Parameters
    ----------
    stores : Stores
    images : sequence of (str, str), optional
        Only these are listed.

    Notes
    -----
    People go on while a listing is made: they type a query while the dataset is read again
    after a change. Listings are numbered as they are asked for, one begins with what the
    last before it aims at, and none takes the place of a later one. So what was asked for
    last is shown, of the dataset as it was read last, whichever is done first.
    """

    listing = traitlets.Instance(Listing, allow_none=True, help="what is shown")
    selection = traitlets.Tuple(help="places in the listing, as ranges")
    problem = traitlets.Unicode("", help="what is wrong with the query, in words")

    def __init__(self, stores: Stores, images: Sequence[ImageKey] | None = None) -> None:
        super().__init__()
        self._stores = stores
        self._finder = Finder(stores, images)
        self._pages = PageMaker(stores)
        self._number = 0
        self._aims: dict[int, _Aim] = {}  # of listings that are being made, by number

    @property
    def dataset(self) -> str:
        """Name of the dataset that is shown; empty before one was opened."""
        return self.listing.dataset if self.listing is not None else ""

    @property
    def index(self) -> DatasetIndex:
        """The dataset in columns.

        Raises
        ------
        RuntimeError
            If no dataset is open.
        """
        return self._shown.index

    @property
    def classes(self) -> list[str]:
        """Names of the dataset's classes."""
        return [] if self.listing is None else self.listing.index.classes

    # What is shown

    async def open(self, dataset: str, query: str = "") -> Listing:
        """Show a dataset.

        While its folders are listed, which takes seconds for a million images, a large one is
        shown as it was when it was last read. What this returns is what is there now.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        QueryError
            If the query cannot be understood.
        """
        parse_query(query)
        async with self._lock:  # after a change that is under way
            with self._showing("Reading the dataset", at_once=False) as progress:
                known = await self._finder.remembered(dataset)
                loading = asyncio.ensure_future(
                    self._finder.load(dataset, known=known, progress=progress)
                )
                try:
                    await asyncio.wait((loading,), timeout=_PATIENCE_S)
                    is_late = not loading.done()
                    shows_known = is_late and await self._begin_as_known(dataset, known, query)
                    index = await loading
                finally:
                    loading.cancel()
                if not shows_known:
                    return await self._begin(_Aim(dataset, index, query, MODES[0]))
                if index.is_same(known):
                    return self._shown
                return await self._bring_up_to_date(dataset, index)

    async def refresh(self) -> Listing:
        """Look again what is in the dataset; query and selection stay."""
        dataset = self._aim.dataset
        # It tells no progress, and so cannot be stopped: what is shown would stay wrong.
        with self._showing("Reading the dataset", at_once=False):
            return await self._bring_up_to_date(dataset, await self._finder.load(dataset))

    async def _begin(self, aim: _Aim) -> Listing:
        """Show a dataset that was not shown before."""
        listing = await self._list(aim)
        self._forget_changes()
        self.problem, self.status = "", Status()
        return listing

    async def _begin_as_known(self, dataset: str, known: DatasetIndex | None, query: str) -> bool:
        """Show a dataset as it was, if it had the classes and tags that are asked for then."""
        if known is None or len(known) < _LARGE:
            return False
        try:
            await self._begin(_Aim(dataset, known, query, MODES[0]))
        except QueryError:
            return False
        return True

    async def _bring_up_to_date(self, dataset: str, index: DatasetIndex) -> Listing:
        """Show what is asked for of the dataset as it is now."""
        aim = self._aim
        if aim.dataset != dataset:  # another was opened meanwhile
            return self._shown
        queries = dict.fromkeys((aim.query, self._shown.query))
        for query in queries:
            try:
                return await self._list(replace(aim, index=index, query=query), keep=True)
            except QueryError as error:  # the last image of a tag has gone, and the tag with it
                self.problem = str(error)
        return await self._list(replace(aim, index=index, query=""))

    async def search(self, query: str) -> Listing | None:
        """Show what matches a query; one that cannot be understood becomes `problem`."""
        try:
            return await self.find(query)
        except QueryError as error:
            self.problem = str(error)
            return None

    async def find(self, query: str) -> Listing:
        """Show what matches a query.

        Raises
        ------
        QueryError
            If the query cannot be understood.
        """
        listing = await self._list(replace(self._aim, query=query))
        self.problem = ""
        return listing

    async def show(self, mode: str) -> Listing:
        """Show ``"images"``, ``"objects"`` (each box as a crop) or the ``"trash"``.

        Raises
        ------
        ValueError
            If there is no such mode.
        """
        if mode not in MODES:
            raise ValueError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
        return await self._list(replace(self._aim, mode=mode))

    def complete(self, text: str, cursor: int) -> list[Completion]:
        """Return what may come at the cursor of a query that is being typed."""
        return complete(text, cursor, self.index)

    async def page(
        self, listing: Listing, places: Sequence[int], side: int
    ) -> list[tuple[Item, bytes | None]]:
        """Return items of a listing with their pictures; see `PageMaker.make`."""
        return await self._pages.make(listing, places, side)

    # What is selected

    def select(self, ranges: Ranges) -> None:
        """Select places of the listing."""
        self.selection = ranges

    @property
    def num_selected(self) -> int:
        """How many items are selected."""
        return size_of(self.selection)

    def selected(self) -> list[ImageKey]:
        """Return the selected images, or the images of the selected boxes."""
        return self._shown.keys(self.selection)

    def close(self) -> None:
        """Let go of threads and pictures."""
        self._pages.close()

    # Inside

    @property
    def _shown(self) -> Listing:
        if self.listing is None:
            raise RuntimeError("no dataset is open: await model.open(name) first")
        return self.listing

    @property
    def _aim(self) -> _Aim:
        """What was asked for last; what is shown, where nothing newer is being made."""
        shown = self._shown
        newest = max(self._aims, default=0)
        if newest > shown.number:
            return self._aims[newest]
        return _Aim(shown.dataset, shown.index, shown.query, shown.mode)

    async def _list(self, aim: _Aim, *, keep: bool = False) -> Listing:
        """Make a listing and show it, unless a later one is shown by then."""
        self._number += 1
        number = self._number
        self._aims[number] = aim
        try:
            listing = await self._make(number, aim, keep)
            carried = await self._carried_to(listing)
        finally:
            del self._aims[number]
        if self.listing is None or number > self.listing.number:
            with self.hold_trait_notifications():
                self.listing = listing
                self.selection = carried
        return listing

    async def _make(self, number: int, aim: _Aim, keep: bool) -> Listing:
        dataset, query, mode = aim.dataset, aim.query, aim.mode
        with self._showing("Looking closer at the images", at_once=False) as progress:
            index = await self._finder.prepare(dataset, aim.index, query, progress=progress)
        trash = await self._stores.image.list_trash(dataset) if mode == "trash" else []
        if mode == "trash":
            trash.reverse()  # what was deleted last comes first
            rows = find_deleted(trash, query)
        else:
            rows = await self._finder.find(index, query, objects=mode == "objects")
        return Listing(number, dataset, mode, query, index, rows, trash, keep)

    async def _carried_to(self, listing: Listing) -> Ranges:
        """Return the selection as far as its items are in another listing still."""
        while True:
            before, chosen = self.listing, self.selection
            if before is None or before.dataset != listing.dataset or not chosen:
                return ()
            carried = await asyncio.to_thread(before.carried_to, listing, chosen)
            if self.listing is before and self.selection == chosen:  # nobody chose meanwhile
                return carried
