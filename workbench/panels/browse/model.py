"""The model behind the browse panel: what is listed, what is selected, what is done to it.

No widgets: traits carry state, coroutines do the work, stores are handed in. Every action
is on the selection, is noted with the way back, and brings the listing up to date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

import traitlets

from workbench.datasets.actions import Actions, Change, NewFile, Upload
from workbench.datasets.bulk_deciding import decide_many
from workbench.datasets.changes import BoxRef
from workbench.datasets.classes import ClassEditor
from workbench.datasets.decided import (
    ChangedSinceError,
    Difference,
    differences,
    require_same_classes,
)
from workbench.datasets.index import DatasetIndex
from workbench.datasets.manager import DatasetManager
from workbench.datasets.prelabelling import Labeller, Prelabelled, prelabel
from workbench.datasets.query import QueryError, parse_query
from workbench.datasets.query_completion import Completion, complete
from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.panels.browse.finder import Finder, find_deleted
from workbench.panels.browse.importing import batches, describe, describe_suggestions, refusal_text
from workbench.panels.browse.listing import MODES, Aim, Item, Listing, Only, Ranges, Sieve, size_of
from workbench.panels.browse.pictures import PageMaker
from workbench.panels.browse.reviewing import find_waiting, on_images, rest_of, said, told
from workbench.panels.shared.changing import ChangingModel, Task, sentence
from workbench.panels.shared.status import Status, Work
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, ImageKey, Progress

_PATIENCE_S = 0.2
"""After so long a large dataset that is being read is shown as it was when it was last read."""
LARGE = 5000
"""Images; listing the folders of fewer takes no time that anybody would notice."""


class BrowseModel(ChangingModel):
    """Lists a dataset's images, boxes or trash by a query, and acts on what is selected.

    Parameters
    ----------
    stores : Stores
    images : sequence of (str, str), optional
        Only these are listed.
    predictor : Predictor, optional
        Runs the model that suggests boxes; default: one of its own.
    finder : Finder, optional
        Reads datasets and runs queries; default: one over `stores` that finds `images`.

    Notes
    -----
    Used on one event loop. Long work runs in threads, and tells `work` how far it is.

    People go on while a listing is made: they type a query while the dataset is read again
    after a change. Listings are numbered as they are asked for, one begins with what the
    last before it aims at, and none takes the place of a later one. So what was asked for
    last is shown, of the dataset as it was read last, whichever is done first.
    """

    listing = traitlets.Instance(Listing, allow_none=True, help="what is shown")
    selection = traitlets.Tuple(help="places in the listing, as ranges")
    problem = traitlets.Unicode("", help="what is wrong with the query, in words")

    def __init__(
        self,
        stores: Stores,
        images: Sequence[ImageKey] | None = None,
        predictor: Predictor | None = None,
        finder: Finder | None = None,
    ) -> None:
        super().__init__()
        self._predictor = predictor or Predictor(stores)
        self._closes_predictor = predictor is None
        self._stores = stores
        self.manager = DatasetManager.on(stores)
        self._finder = finder or Finder(stores, images)
        self._pages = PageMaker(stores)
        self._number = 0
        self._sieve = Sieve()
        self._aims: dict[int, Aim] = {}  # of listings that are being made, by number
        # The dataset as it was when what is selected was selected. Others may change it since.
        self._decided_on: DatasetIndex | None = None

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
                    return await self._begin(Aim(dataset, index, query, MODES[0]))
                if index.is_same(known):
                    return self._shown
                return await self._bring_up_to_date(dataset, index)

    async def refresh(self) -> Listing:
        """Look again what is in the dataset; query and selection stay."""
        dataset = self._aim.dataset
        # No progress is reported, so that it cannot be stopped: the listing would stay outdated.
        with self._showing("Reading the dataset", at_once=False):
            return await self._bring_up_to_date(dataset, await self._finder.load(dataset))

    async def catch_up(self) -> None:
        """Look again, and show what somebody else has changed, if anybody has."""
        dataset, mode = self._aim.dataset, self._aim.mode
        async with self._lock:  # what is under way here looks again by itself
            index = await self._finder.load(dataset)
        if mode in ("trash", "suggested") or not index.is_same(self._shown.index):
            await self._bring_up_to_date(dataset, index)

    async def _begin(self, aim: Aim) -> Listing:
        """Show a dataset that was not shown before."""
        listing = await self._list(aim)
        self._forget_changes()
        self.problem, self.status = "", Status()
        return listing

    async def _begin_as_known(self, dataset: str, known: DatasetIndex | None, query: str) -> bool:
        """Show a dataset as it was, if it had the classes and tags that are asked for then."""
        if known is None or len(known) < LARGE:
            return False
        try:
            await self._begin(Aim(dataset, known, query, MODES[0]))
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
        """Show ``"images"``, ``"objects"`` (each box as a crop), ``"suggested"`` or ``"trash"``.

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

    async def narrow(self, images: Sequence[ImageKey], words: str) -> Listing:
        """Look at some images only, until `widen` or `open` is called; `words` say which."""
        return await self._list(replace(self._aim, query="", only=Only(tuple(images), words)))

    async def widen(self) -> Listing:
        """Look at all images again."""
        return await self._list(replace(self._aim, only=None))

    # What is selected

    def select(self, ranges: Ranges) -> None:
        """Select places of the listing; what is done to them is decided on what it shows."""
        self._decided_on = None if self.listing is None else self.listing.index
        self.selection = ranges

    @property
    def num_selected(self) -> int:
        """How many items are selected."""
        return size_of(self.selection)

    def selected(self) -> list[ImageKey]:
        """Return the selected images, or the images of the selected boxes."""
        return self._shown.keys(self.selection)

    # What is done to it: to what is selected when it is asked for

    async def move(self, split: str) -> None:
        """Move the selected images to another split."""
        chosen = self._images()
        if {of for of, _ in chosen} == {split}:
            raise ValueError(f"all {len(chosen):,} selected are in {split}: choose another split")
        await self._change(chosen, lambda do, images, _: do.move(images, split))

    async def delete(self) -> None:
        """Move the selected images to the trash."""
        await self._change(self._images(), lambda do, images, _: do.delete(images))

    async def restore(self) -> None:
        """Put the selected deleted images and labels back to where they were."""
        entries = self._shown.entries(self.selection)
        if not entries:
            raise ValueError("nothing is selected: select in the trash what to restore")
        await self._change((), lambda do, *_: do.restore(entries))

    async def mark_background(self) -> None:
        """Mark the selected images as background: reviewed, without objects."""
        await self._change(
            self._images(),
            lambda do, images, _: do.mark_background(images, num_boxes=self._boxes_on(images)),
        )

    async def clear_labels(self) -> None:
        """Make the selected images unlabelled again."""
        await self._change(
            self._images(),
            lambda do, images, _: do.clear_labels(images, num_boxes=self._boxes_on(images)),
        )

    async def tag(self, tag: str) -> None:
        """Add a tag to the selected images."""
        await self._change(self._images(), lambda do, images, _: do.tag(images, tag))

    async def untag(self, tag: str) -> None:
        """Remove a tag from the selected images."""
        await self._change(self._images(), lambda do, images, _: do.untag(images, tag))

    async def reclassify(self, class_id: int) -> None:
        """Give the selected boxes another class."""
        await self._change_boxes(lambda do, boxes: do.reclassify(boxes, class_id))

    async def split_off(self, name: str) -> None:
        """Make the selected boxes a class of their own, behind all others."""
        editor = ClassEditor(self._stores, self.dataset)

        async def act(_: Actions, boxes: list[BoxRef]) -> Change:
            plan = await editor.split_off(boxes, name)
            return await plan.apply()

        await self._change_boxes(act)

    async def delete_boxes(self) -> None:
        """Remove the selected boxes."""
        await self._change_boxes(lambda do, boxes: do.delete_boxes(boxes))

    async def copy_into(self, new_dataset: str) -> None:
        """Make a new dataset of the selected images."""
        await self._change(
            self._images(),
            lambda do, images, task: do.copy_into(images, new_dataset, progress=task),
            "Copying",
        )

    async def suggest(
        self, labeller: Labeller | None = None, images: str | None = None
    ) -> Prelabelled:
        """Have boxes proposed for the selected images, to be reviewed in the annotator.

        Stopping keeps what was found; the next time goes on from there.

        Parameters
        ----------
        labeller : Labeller, optional
            Default: the active model.
        images : str, optional
            A query of the images to look at; default: the selected ones.

        Raises
        ------
        NotFoundError
            If no model is active, or it knows none of the dataset's classes.
        """

        async def choose(predictor: Predictor, _: Progress) -> Labeller:
            return ModelLabeller(predictor) if labeller is None else labeller

        return await self.suggest_by(choose, images)

    async def suggest_by(
        self,
        choose: Callable[[Predictor, Progress], Awaitable[Labeller]],
        images: str | None = None,
    ) -> Prelabelled:
        """Have boxes proposed as `suggest` does.

        Parameters
        ----------
        choose : callable
            ``await choose(predictor, progress)`` returns who looks; `progress` is for files that
            it fetches before.
        images : str, optional
            A query of the images to look at; default: the selected ones.
        """
        dataset = self.dataset
        chosen_images = self._images() if images is None else images
        with self._showing("Looking for boxes") as progress:
            chosen = await choose(self._predictor, progress)
            done = await prelabel(self._stores, dataset, chosen_images, chosen, progress=progress)
        mapping = chosen.mapping if isinstance(chosen, ModelLabeller) else None
        self.status = Status(
            describe_suggestions(done),
            "problem" if done.failed else "info",
            (*((f"Classes: {mapping}",) if mapping else ()), *done.failed.values()),
        )
        return done

    async def sift(self, order: str, least: float = 0.0) -> Listing:
        """List suggestions in an order, from a score on; see `Sieve`."""
        self._sieve = Sieve(order, least)
        return await self._list(replace(self._aim, sieve=self._sieve))

    async def accept(self) -> None:
        """Let the selected suggestions become labels."""
        await self._decide(accept=self._shown.chosen(self.selection).tolist())

    async def reject(self) -> None:
        """Never offer the selected suggestions again."""
        await self._decide(reject=self._shown.chosen(self.selection).tolist())

    async def accept_rest(self, first: int = 0, last: int | None = None) -> None:
        """Accept the suggestions at some places, and reject those of them that are selected.

        Parameters
        ----------
        first, last : int
            Places in the listing, half-open; default: all of it.
        """
        shown = self._shown
        end = len(shown) if last is None else last
        accept, reject = rest_of(shown, self.selection, first, end)
        await self._decide(accept=accept, reject=reject)

    async def _decide(self, *, accept: Sequence[int] = (), reject: Sequence[int] = ()) -> None:
        """Decide on suggestions, except on images that were labelled elsewhere meanwhile."""
        shown, waiting = self._shown, self._shown.waiting
        if waiting is None or not (accept or reject):
            raise ValueError("no suggestion is chosen: show the suggested boxes and select some")
        images = list(dict.fromkeys(map(waiting.key, (*accept, *reject))))
        async with self._doing("Reviewing", wait=True, at_once=False):
            kept, left = await self._unchanged(images, self._decided_on or shown.index)
            wanted, unwanted = on_images(waiting, kept, accept, reject)
            decided = await decide_many(
                self._stores, shown.dataset, waiting, accept=wanted, reject=unwanted
            )
            self._note(decided.change)
        self.selection = ()
        self.status = told(decided, left)
        await self.refresh()
        self._decided_on = self._shown.index

    async def add_files(
        self,
        files: Iterable[NewFile],
        split: str = SPLITS[0],
        *,
        class_name: str = "",
        total: int = 0,
        before: Upload | None = None,
    ) -> Upload:
        """Add image files; what is refused is said in `status`. Stopping keeps what is there.

        Parameters
        ----------
        files : iterable of Path, str or (str, bytes)
        split : str
        class_name : str
            What is on them, as a suggestion for whoever annotates.
        total : int
            How many there will be, for progress.
        before : Upload, optional
            What was added by an earlier call, of files that belong together: it is told and
            undone with these, unless it was undone meanwhile.
        """
        actions = self._actions
        earlier: list[Upload] = []
        if before is not None and (not before.added or before.change in self._changes):
            earlier.append(before)
        uploads: list[Upload] = []
        parts = batches(files)
        try:
            with self._showing("Adding images", at_once=False) as task:
                while batch := await asyncio.to_thread(next, parts, None):
                    uploads.append(await actions.add_files(batch, split, class_name=class_name))
                    done = sum(len(u.added) + len(u.refused) for u in uploads)
                    task.show(Work(task.what, done, total))
                    if task.is_stopped:
                        break
        finally:
            upload = actions.joined([*earlier, *uploads])
            if upload.added:
                self._note(upload.change, instead=earlier[0].change if earlier else None)
            if any(part.added for part in uploads):
                await self.refresh()
        tone = "problem" if upload.refused else "info"
        refused = tuple(refusal_text(*refusal) for refusal in upload.refused)
        self.status = Status(describe(upload, split), tone, refused)
        return upload

    async def undo(self) -> None:
        """Take the last change back.

        Raises
        ------
        ConflictError
            If that would destroy somebody's newer work; nothing is undone then.
        """
        async with self._doing("Undoing", wait=True, at_once=False):
            what = await self._undo_last()
        if not what:
            self.status = Status("There is nothing to undo.")
            return
        self.status = Status(f"Undone: {what}")
        await self.refresh()
        self._decided_on = self._shown.index

    def close(self) -> None:
        """End the threads and free the pictures."""
        self._pages.close()
        if self._closes_predictor:
            self._predictor.close()

    # Inside: what is shown

    @property
    def _shown(self) -> Listing:
        if self.listing is None:
            raise RuntimeError("no dataset is open: await model.open(name) first")
        return self.listing

    @property
    def _aim(self) -> Aim:
        """What was asked for last; what is shown, where nothing newer is being made."""
        shown = self._shown
        newest = max(self._aims, default=0)
        if newest > shown.number:
            return self._aims[newest]
        return Aim(shown.dataset, shown.index, shown.query, shown.mode, shown.only, self._sieve)

    async def _list(self, aim: Aim, *, keep: bool = False) -> Listing:
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
            if not carried:  # what comes next is decided on what is in sight now
                self._decided_on = listing.index
        return listing

    async def _make(self, number: int, aim: Aim, keep: bool) -> Listing:
        dataset, query, mode = aim.dataset, aim.query, aim.mode
        with self._showing("Looking closer at the images", at_once=False) as progress:
            index = await self._finder.prepare(dataset, aim.index, query, progress=progress)
        trash = await self._stores.image.list_trash(dataset) if mode == "trash" else []
        only = None if aim.only is None else aim.only.images
        waiting = None
        if mode == "trash":
            trash.reverse()  # what was deleted last comes first
            rows = find_deleted(trash, query)
        elif mode == "suggested":
            waiting, rows = await find_waiting(self._stores, dataset, index, query, aim.sieve, only)
        else:
            rows = await self._finder.find(index, query, objects=mode == "objects", only=only)
        return Listing(number, dataset, mode, query, index, rows, trash, keep, aim.only, waiting)

    async def _carried_to(self, listing: Listing) -> Ranges:
        """Return the selection as far as its items are in another listing still."""
        while True:
            before, chosen = self.listing, self.selection
            if before is None or before.dataset != listing.dataset or not chosen:
                return ()
            carried = await asyncio.to_thread(before.carried_to, listing, chosen)
            if self.listing is before and self.selection == chosen:  # nobody chose meanwhile
                return carried

    # Inside: what is done

    @property
    def _actions(self) -> Actions:
        return Actions(self._stores, self._shown.dataset)

    def _images(self) -> list[ImageKey]:
        images = self.selected()
        if not images:
            raise ValueError("no image is selected: select some first")
        return images

    def _boxes_on(self, images: list[ImageKey]) -> int:
        """How many boxes images have, which are as they were when they were chosen."""
        index = self._decided_on or self._shown.index
        return int(index.num_boxes[index.positions(images)].sum())

    def _boxes(self) -> list[BoxRef]:
        boxes = self._shown.boxes(self.selection)
        if not boxes:
            raise ValueError("no box is selected: show the objects and select some first")
        return boxes

    async def _change_boxes(
        self, act: Callable[[Actions, list[BoxRef]], Awaitable[Change]]
    ) -> None:
        """Change the selected boxes, of all images that are as they were when these were chosen."""
        boxes = self._boxes()
        classes = (self._decided_on or self._shown.index).classes

        async def do(actions: Actions, images: list[ImageKey], _: Task) -> Change:
            info = await self._stores.dataset.get(self.dataset)
            require_same_classes(classes, info.classes)
            whole = set(images)
            return await act(actions, [box for box in boxes if box.image in whole])

        await self._change(list(dict.fromkeys(box.image for box in boxes)), do)

    async def _change(
        self,
        images: Sequence[ImageKey],
        act: Callable[[Actions, list[ImageKey], Task], Awaitable[Change]],
        what: str = "Changing",
    ) -> None:
        """Change images, except those that were changed since they were chosen.

        Raises
        ------
        ChangedSinceError
            If all of them were.
        """
        actions, decided_on = self._actions, self._decided_on  # of the dataset that is open now
        async with self._doing(what, wait=True, at_once=False) as task:
            kept, left = await self._unchanged(images, decided_on)
            change = await act(actions, kept, task)
            self._note(change)
        done = sentence(change.description)
        self.status = said(done, left)
        await self.refresh()
        self._decided_on = None if self.listing is None else self.listing.index

    async def _unchanged(
        self, images: Sequence[ImageKey], decided_on: DatasetIndex | None
    ) -> tuple[list[ImageKey], list[Difference]]:
        """Part images into those that are what they were when they were chosen, and the others.

        Raises
        ------
        ChangedSinceError
            If none is; whoever then repeats the action has been told of both states.
        """
        if not images or decided_on is None:
            return list(images), []
        now = await self._finder.load(self.dataset, known=self._shown.index)
        left = await asyncio.to_thread(differences, decided_on, now, images)
        away = {one.image for one in left}
        kept = [image for image in images if image not in away]
        if left and not kept:
            self._decided_on = now
            raise ChangedSinceError(left)
        return kept, left
