"""What the pages of a browse panel ask, and what they are told.

How thumbnails travel: the page asks for a few dozen places of a listing -> `BrowseModel.page`
reads and shrinks them in threads -> they go back in messages of under a megabyte, until the
page calls the request off. How an action travels: a button is pressed -> ``do`` -> a command
of `BrowseModel` -> `Actions` -> the stores -> a new listing -> the traits of the gallery.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from workbench.datasets.actions import Change, Upload
from workbench.datasets.changes import nothing_to_undo
from workbench.datasets.formats.file_names import POINTABLE, VIDEOS
from workbench.datasets.formats.tar import ARCHIVES
from workbench.errors import (
    PASSING,
    ConflictError,
    NotFoundError,
    WorkbenchError,
)
from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.importing import is_dataset, new_files
from workbench.panels.browse.listing import Item, Listing, checked_ranges
from workbench.panels.browse.model import BrowseModel
from workbench.panels.browse.suggesting import SuggestingPages
from workbench.panels.browse.transfer import KINDS as TRANSFER_KINDS
from workbench.panels.browse.transfer import TransferPages
from workbench.panels.shared.status import Status
from workbench.panels.shared.typed_path import typed_path
from workbench.panels.shared.uploads import MAX_FILE_BYTES, Arrived, Uploads
from workbench.persistence import IMAGE_EXTENSIONS

MESSAGE_BYTES = 900_000
"""More picture bytes than this do not go into one message."""
AT_ONCE = 16
"""So many pictures are made before a request is looked at again: it may be called off."""
FIRST = 4
"""So many in the first piece of an answer, twice as many in each one after it: something is seen
soon, and most go together."""
AGAIN_S = 2.0
"""So long after no answer came it is asked for again."""
MAX_SIDE = 1024
LISTINGS_KEPT = 3
"""A page may still ask about the listing before the last."""

_NO_CHANGE = Change("0 images added", nothing_to_undo)
_NOTHING = {
    "images": "No image matches. Change the filter, or clear it with the × at its end.",
    "objects": "No box matches. Change the filter, or clear it with the × at its end.",
    "suggested": "No suggestion waits here. Suggest boxes proposes some on the images you select.",
    "trash": "Nothing in the trash matches.",
}


def _nothing(listing: Listing) -> str:
    """Return what a gallery says in which nothing is listed."""
    if listing.mode == "images" and not len(listing.index):
        return "No images yet: drop some here, or press Add images."
    if listing.mode == "objects" and not listing.index.num_boxes.any():
        return "No boxes yet: draw some in the annotator, or let a model suggest some."
    if listing.mode == "trash" and not listing.trash:
        return "The trash is empty."
    return _NOTHING[listing.mode]


class BrowsePages:
    """The pages that show a browse panel.

    Parameters
    ----------
    model : BrowseModel
    gallery : Gallery
        The way to the pages.
    annotate : callable
        Opens images in the annotator: ``await annotate(listing, place)``; a place of None
        stands for the selection.
    transfer : TransferPages
        The pages of imports and exports.
    suggesting : SuggestingPages
        Who can be asked to suggest boxes.
    """

    def __init__(
        self,
        model: BrowseModel,
        gallery: Gallery,
        annotate: Callable[[Listing, int | None], Awaitable[None]],
        transfer: TransferPages,
        suggesting: SuggestingPages,
    ) -> None:
        self._model = model
        self._gallery = gallery
        self._annotate = annotate
        self.transfer = transfer
        self._uploads = Uploads()
        self._added: dict[tuple[str, int], Upload] = {}  # of uploads that are not over, so far
        self._adding = asyncio.Lock()  # files are added in the order in which they came
        self._listings: deque[Listing] = deque(maxlen=LISTINGS_KEPT)
        self._open: set[tuple[str, int]] = set()  # requests under way
        self._in_turn = asyncio.Lock()  # used on the owner loop only
        self._chosen_by = ""
        gallery.accept = sorted(IMAGE_EXTENSIONS)
        gallery.max_bytes = MAX_FILE_BYTES
        gallery.imports = sorted({*ARCHIVES, *POINTABLE, *VIDEOS} - {".txt"})
        model.observe(self._show_listing, "listing")
        model.observe(self._show_selection, "selection")
        model.observe(self._show_state, ("problem", "status", "work", "undo_text"))
        self._actions: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "move": lambda m: model.move(str(m["split"])),
            "delete": lambda _: model.delete(),
            "background": lambda _: model.mark_background(),
            "clear": lambda _: model.clear_labels(),
            "tag": lambda m: model.tag(str(m["tag"])),
            "untag": lambda m: model.untag(str(m["tag"])),
            "reclassify": lambda m: model.reclassify(int(m["class_id"])),
            "split_off": lambda m: model.split_off(str(m["name"])),
            "delete_boxes": lambda _: model.delete_boxes(),
            "copy": lambda m: model.copy_into(str(m["name"])),
            "suggest": suggesting.suggest,
            "fetch_files": lambda _: suggesting.fetch(),
            "sift": lambda m: model.sift(str(m["order"]), float(m["least"])),
            "accept": lambda _: model.accept(),
            "reject": lambda _: model.reject(),
            "accept_rest": lambda m: model.accept_rest(int(m["first"]), int(m["last"])),
            "widen": lambda _: model.widen(),
            "refresh": lambda _: model.refresh(),
            "restore": lambda _: model.restore(),
            "undo": lambda _: model.undo(),
            "import": self._import,
            "annotate": lambda _: self._annotate_selection(),
        }

    def open_request(self, message: Mapping[str, Any]) -> None:
        """Note a request for items; may be on any thread, before `answer`."""
        self._open.add((str(message["session"]), int(message["id"])))

    def call_off(self, message: Mapping[str, Any]) -> None:
        """Note that a request for items is not needed any more; may be on any thread."""
        self._open.discard((str(message["session"]), int(message["id"])))

    async def answer(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Do what a page asks, see `workbench.panels.browse.gallery`."""
        kind = message["kind"]
        if kind in TRANSFER_KINDS:
            await self.transfer.answer(message, buffers)
            return
        if self._model.listing is None and message.get("action") != "import":
            return
        if kind == "want":
            await self._send_items(message)
        elif kind == "select":
            self._select(message)
        elif kind == "query":
            await self._model.search(str(message["text"]))
        elif kind == "complete":
            self._send_completions(message)
        elif kind == "mode":
            await self._model.show(str(message["mode"]))
        elif kind == "open":
            await self._open_item(message)
        elif kind == "upload":
            await self._take_piece(message, buffers)
        elif kind == "stop":
            self._model.stop()
            self.transfer.stop()
            self._forget_uploads(str(message["session"]))
        elif kind == "do":
            await self._do(message)

    # Items

    async def _send_items(self, message: Mapping[str, Any]) -> None:
        request = (str(message["session"]), int(message["id"]))
        listing = self._listing(message)
        side = min(max(int(message["level"]), 16), MAX_SIDE)
        places: list[int] = []
        if listing is not None:
            ranges = checked_ranges(message["ranges"], len(listing))
            places = [place for start, end in ranges for place in range(start, end)]
        first, told = FIRST, Status()
        try:
            while listing is not None and request in self._open:
                try:
                    async with self._in_turn:  # what was asked for first is seen first
                        await self._send_in_pieces(message, listing, places, side, first)
                except PASSING as error:  # it is asked for until it comes
                    first = 1  # one may be what keeps the others away
                    self._model.status = told = Status(str(error), "problem")
                    await asyncio.sleep(AGAIN_S)
                else:
                    break
        except WorkbenchError as error:
            self._send_parts(message, [], is_last=True, problem=str(error))
            raise
        finally:
            self._open.discard(request)
        if told.text and self._model.status == told:
            self._model.status = Status()

    async def _send_in_pieces(
        self, message: Mapping[str, Any], listing: Listing, left: list[int], side: int, first: int
    ) -> None:
        """Send items, and take away from `left` what was sent, while they are wanted.

        Raises
        ------
        UnreachableError, BusyError
            If some of them do not come; they are the last that are left.
        """
        request = (str(message["session"]), int(message["id"]))
        at_once = first
        while request in self._open:
            now = left[:at_once]
            at_once = min(2 * at_once, AT_ONCE)
            try:
                page = await self._model.page(listing, now, side) if now else []
            except PASSING:
                left[:] = left[len(now) :] + now
                raise
            if request not in self._open:
                return
            del left[: len(now)]
            self._send_parts(message, page, is_last=not left)
            if not left:
                return

    def _send_parts(
        self,
        request: Mapping[str, Any],
        page: list[tuple[Item, bytes | None]],
        *,
        is_last: bool,
        problem: str = "",
    ) -> None:
        items: list[dict[str, Any]] = []
        buffers: list[bytes] = []

        def send(done: bool) -> None:
            answer = {
                "kind": "items",
                "to": request["session"],
                "id": request["id"],
                "listing": request["listing"],
                "level": request["level"],
                "items": list(items),
                "done": done,
                "problem": problem,
            }
            self._gallery.send(answer, buffers=list(buffers))
            items.clear()
            buffers.clear()

        for item, picture in page:
            if picture is not None and sum(map(len, buffers)) + len(picture) > MESSAGE_BYTES:
                send(False)
            fields = item.as_message()
            if picture is not None:
                fields |= {"picture": True, "buffer": len(buffers)}
                buffers.append(picture)
            items.append(fields)
        send(is_last)

    def _listing(self, message: Mapping[str, Any]) -> Listing | None:
        number = message.get("listing")
        return next((one for one in self._listings if one.number == number), None)

    # What is done

    def _select(self, message: Mapping[str, Any]) -> None:
        listing = self._model.listing
        if listing is None or message["listing"] != listing.number:
            return  # chosen in a list that is not shown any more
        self._chosen_by = str(message["session"])
        self._model.select(checked_ranges(message["ranges"], len(listing)))
        self._chosen_by = ""

    def _send_completions(self, message: Mapping[str, Any]) -> None:
        found = self._model.complete(str(message["text"]), int(message["cursor"]))
        self._gallery.send(
            {
                "kind": "completions",
                "to": message["session"],
                "seq": message["seq"],
                "items": [asdict(completion) for completion in found],
            }
        )

    async def _open_item(self, message: Mapping[str, Any]) -> None:
        listing = self._listing(message)
        place = int(message["position"])
        if listing is not None and listing.mode != "trash" and 0 <= place < len(listing):
            await self._annotate(listing, place)

    async def _annotate_selection(self) -> None:
        listing = self._model.listing
        if listing is not None and self._model.selected():
            await self._annotate(listing, None)

    async def _do(self, message: Mapping[str, Any]) -> None:
        action = str(message.get("action"))
        if action not in self._actions:
            known = ", ".join(sorted(self._actions))
            raise ValueError(f"action {action!r}: expected one of {known}")
        try:
            await self._actions[action](message)
        except (NotFoundError, ConflictError):
            await self._model.refresh()  # somebody else has been here: show what there is now
            raise

    async def _import(self, message: Mapping[str, Any]) -> None:
        path = typed_path(str(message["path"]))
        # A folder with a million files takes seconds to list.
        if await asyncio.to_thread(is_dataset, path):
            await self.transfer.look(path)
            return
        files = await asyncio.to_thread(new_files, path, every=int(message["every"]))
        total = len(files) if isinstance(files, list) else 0
        await self._model.add_files(
            files,
            str(message["split"]),
            class_name=str(message.get("class_name", "")),
            total=total,
        )

    async def _take_piece(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        piece = bytes(buffers[0]) if buffers else b""
        try:
            arrived = self._uploads.take(message, piece)
        finally:
            # Also after an error: the page goes on with the next file.
            self._gallery.send(
                {"kind": "uploaded", "to": message["session"], "batch": message["batch"]}
            )
        if arrived is not None:
            async with self._adding:
                await self._add((str(message["session"]), int(message["batch"])), arrived)

    async def _add(self, batch: tuple[str, int], arrived: Arrived) -> None:
        """Add what has come of an upload; all that belongs together is undone as one."""
        before = self._added.pop(batch, None) or Upload(_NO_CHANGE)
        before = replace(before, refused=[*before.refused, *arrived.refusals])
        upload = await self._model.add_files(
            arrived.files,
            arrived.split,
            class_name=arrived.class_name,
            total=len(arrived.files),
            before=before,
        )
        if not arrived.is_last:
            self._added[batch] = upload

    def close(self) -> None:
        """Drop what has come of uploads, and what waits to be downloaded."""
        self._uploads.clear()
        self.transfer.close()

    def _forget_uploads(self, session: str) -> None:
        self._uploads.forget(session)
        for batch in [batch for batch in self._added if batch[0] == session]:
            del self._added[batch]

    # What is shown

    def _show_listing(self, change: Mapping[str, Any]) -> None:
        listing: Listing = change["new"]
        self._listings.append(listing)
        with self._gallery.hold_sync():
            self._gallery.classes = listing.index.classes
            self._gallery.colours = listing.index.colours
            self._gallery.tags = sorted(listing.index.tags)
            self._gallery.listing = {
                "id": listing.number,
                "total": len(listing),
                "of": len(listing.index),
                "mode": listing.mode,
                "query": listing.query,
                "dataset": listing.dataset,
                "keep": listing.keep,
                "empty": _nothing(listing),
                "only": "" if listing.only is None else listing.only.words,
            }
            self._send_selection()

    def _show_selection(self, _change: Mapping[str, Any]) -> None:
        self._send_selection()

    def _send_selection(self) -> None:
        listing = self._model.listing
        if listing is not None:
            ranges = [list(pair) for pair in self._model.selection]
            self._gallery.selection = {
                "listing": listing.number, "ranges": ranges, "by": self._chosen_by
            }  # fmt: skip

    def _show_state(self, _change: Mapping[str, Any]) -> None:
        with self._gallery.hold_sync():
            self._gallery.problem = self._model.problem
            self._gallery.status = asdict(self._model.status)
            self._gallery.progress = asdict(self._model.work) if self._model.work.what else {}
            self._gallery.undo = self._model.undo_text
