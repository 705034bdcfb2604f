"""The model behind the browse panel: what is listed, what is selected, what is done to it.

No widgets: traits carry state, coroutines do the work, stores are handed in. Every action
is on the selection, is noted with the way back, and brings the listing up to date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import traitlets

from workbench.datasets.actions import Actions, Change, NewFile, Upload
from workbench.datasets.changes import BoxRef, counted
from workbench.datasets.index import DatasetIndex
from workbench.datasets.query import QueryError, parse_query
from workbench.datasets.query_completion import Completion, complete
from workbench.panels.browse_finder import Finder
from workbench.panels.browse_import import batches, describe, joined
from workbench.panels.browse_listing import MODES, Item, Listing, Ranges, size_of
from workbench.panels.browse_pictures import PageMaker
from workbench.panels.browse_work import Status, StoppedError, Work
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, ImageKey, Progress

MAX_UNDO = 100


class BrowseModel(traitlets.HasTraits):
    """Lists a dataset's images by a query, and acts on those that are selected.

    Parameters
    ----------
    stores : Stores
    images : sequence of (str, str), optional
        Only these are listed.

    Notes
    -----
    Used on one event loop. Long work runs in threads, and tells `work` how far it is.
    """

    listing = traitlets.Instance(Listing, allow_none=True, help="what is shown")
    selection = traitlets.Tuple(help="places in the listing, as ranges")
    problem = traitlets.Unicode("", help="what is wrong with the query, in words")
    status = traitlets.Instance(Status, args=())
    work = traitlets.Instance(Work, args=())
    undo_text = traitlets.Unicode("", help="what undo would take back")

    def __init__(self, stores: Stores, images: Sequence[ImageKey] | None = None) -> None:
        super().__init__()
        self._stores = stores
        self._finder = Finder(stores, images)
        self._pages = PageMaker(stores)
        self._undo: list[Change] = []
        self._number = 0
        self._is_stopped = False
        self._lock = asyncio.Lock()  # used on the owner loop only

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

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        QueryError
            If the query cannot be understood.
        """
        parse_query(query)
        with self._working("Reading the dataset") as progress:
            index = await self._finder.load(dataset, progress=progress)
        listing = await self._list(dataset, index, query, MODES[0])
        self._undo.clear()
        self._tell_undo()
        self.problem, self.status = "", Status()
        return listing

    async def refresh(self) -> Listing:
        """Look again what is in the dataset; query and selection stay."""
        shown = self._shown
        index = await self._finder.load(shown.dataset)
        try:
            return await self._list(shown.dataset, index, shown.query, shown.mode, keep=True)
        except QueryError as error:  # the last image of a tag has gone, and the tag with it
            self.problem = str(error)
            return await self._list(shown.dataset, index, "", shown.mode)

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
        shown = self._shown
        listing = await self._list(shown.dataset, shown.index, query, shown.mode)
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
        shown = self._shown
        return await self._list(shown.dataset, shown.index, shown.query, mode)

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

    # What is done to it

    async def move(self, split: str) -> None:
        """Move the selected images to another split."""
        await self._change(lambda do: do.move(self._images(), split))

    async def delete(self) -> None:
        """Move the selected images to the trash."""
        await self._change(lambda do: do.delete(self._images()))

    async def mark_background(self) -> None:
        """Say of the selected images that there is nothing in them."""
        await self._change(lambda do: do.mark_background(self._images()))

    async def clear_labels(self) -> None:
        """Make the selected images unlabelled again."""
        await self._change(lambda do: do.clear_labels(self._images()))

    async def tag(self, tag: str) -> None:
        """Hang a tag on the selected images."""
        await self._change(lambda do: do.tag(self._images(), tag))

    async def untag(self, tag: str) -> None:
        """Take a tag off the selected images."""
        await self._change(lambda do: do.untag(self._images(), tag))

    async def reclassify(self, class_id: int) -> None:
        """Give the selected boxes another class."""
        await self._change(lambda do: do.reclassify(self._boxes(), class_id))

    async def delete_boxes(self) -> None:
        """Remove the selected boxes."""
        await self._change(lambda do: do.delete_boxes(self._boxes()))

    async def copy_into(self, new_dataset: str) -> None:
        """Make a new dataset of the selected images."""
        with self._working("Copying") as progress:
            await self._change(
                lambda do: do.copy_into(self._images(), new_dataset, progress=progress)
            )

    async def export(self, zip_path: Path | str) -> Path:
        """Write the selected images with their labels as a zip archive; return where it is."""
        images = self._images()
        with self._working("Exporting") as progress:
            path = await self._actions.export(images, Path(zip_path), progress=progress)
        self.status = Status(f"{counted(len(images), 'image')} exported to {path}")
        return path

    async def restore(self) -> None:
        """Put the selected deleted images and labels back to where they were."""
        entries = self._shown.entries(self.selection)
        if not entries:
            raise ValueError("nothing is selected: select in the trash what to restore")
        dataset = self.dataset
        await self._stores.image.restore_many(dataset, entries)
        self.status = Status(f"{counted(len(entries), 'item')} restored")
        await self.refresh()

    async def add_files(
        self, files: Iterable[NewFile], split: str = SPLITS[0], *, total: int = 0
    ) -> Upload:
        """Add image files; what is refused is said in `status`. Stopping keeps what is there.

        Parameters
        ----------
        files : iterable of Path, str or (str, bytes)
        split : str
        total : int
            How many there will be, for progress.
        """
        uploads: list[Upload] = []
        parts = batches(files)
        self._is_stopped = False
        try:
            while batch := await asyncio.to_thread(next, parts, None):
                uploads.append(await self._actions.add_files(batch, split))
                done = sum(len(u.added) + len(u.refused) for u in uploads)
                self.work = Work("Adding images", done, total)
                if self._is_stopped:
                    break
        finally:
            self.work = Work()
            upload = joined(uploads)
            if upload.added:
                self._note(upload.change)
                await self.refresh()
        self.status = Status(describe(upload, split), "problem" if upload.refused else "info")
        return upload

    async def undo(self) -> None:
        """Take the last change back.

        Raises
        ------
        ConflictError
            If that would destroy somebody's newer work; nothing is undone then.
        """
        async with self._lock:
            if not self._undo:
                self.status = Status("There is nothing to undo.")
                return
            change = self._undo.pop()
            self._tell_undo()
            await change.undo()
        self.status = Status(f"Undone: {change.description}")
        await self.refresh()

    def stop(self) -> None:
        """Stop the action under way, as soon as it asks."""
        self._is_stopped = True

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
    def _actions(self) -> Actions:
        return Actions(self._stores, self._shown.dataset)

    def _images(self) -> list[ImageKey]:
        images = self.selected()
        if not images:
            raise ValueError("no image is selected: select some first")
        return images

    def _boxes(self) -> list[BoxRef]:
        boxes = self._shown.boxes(self.selection)
        if not boxes:
            raise ValueError("no box is selected: show the objects and select some first")
        return boxes

    async def _change(self, act: Callable[[Actions], Awaitable[Change]]) -> None:
        async with self._lock:
            change = await act(self._actions)
            self._note(change)
        self.status = Status(_sentence(change.description))
        await self.refresh()

    def _note(self, change: Change) -> None:
        self._undo.append(change)
        del self._undo[:-MAX_UNDO]
        self._tell_undo()

    def _tell_undo(self) -> None:
        self.undo_text = self._undo[-1].description if self._undo else ""

    async def _list(
        self, dataset: str, index: DatasetIndex, query: str, mode: str, *, keep: bool = False
    ) -> Listing:
        """Make a listing and show it, with the selection as far as its items are there still."""
        self._number += 1
        number = self._number
        with self._working("Looking closer at the images") as progress:
            index = await self._finder.prepare(dataset, index, query, progress=progress)
        trash = await self._stores.image.list_trash(dataset) if mode == "trash" else []
        if mode == "trash":
            trash.reverse()  # what was deleted last comes first
            rows = np.arange(len(trash), dtype=np.int64)
        else:
            rows = await self._finder.find(index, query, objects=mode == "objects")
        listing = Listing(number, dataset, mode, query, index, rows, trash, keep)
        before = self.listing
        carried: Ranges = ()
        if before is not None and before.dataset == dataset and self.selection:
            carried = await asyncio.to_thread(before.carried_to, listing, self.selection)
        if number == self._number:  # no newer one was asked for meanwhile
            with self.hold_trait_notifications():
                self.listing = listing
                self.selection = carried
        return listing

    @contextmanager
    def _working(self, what: str) -> Iterator[Progress]:
        """Show an action under way; its callback may come from any thread, and stops it."""
        loop = asyncio.get_running_loop()
        self._is_stopped = False

        def tell(done: int, total: int) -> None:
            if self._is_stopped:
                raise StoppedError(f"{what}: stopped")
            step = max(1, total // 100)
            if total and (done % step == 0 or done == total):
                loop.call_soon_threadsafe(show, Work(what, done, total))

        def show(work: Work) -> None:
            if is_open:
                self.work = work

        is_open = True
        try:
            yield tell
        finally:
            is_open = False
            self.work = Work()


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
