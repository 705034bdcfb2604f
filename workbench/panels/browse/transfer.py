"""What pages of a browse panel say of imports and exports, and what they are told.

How an import goes: files are dropped -> ``arrive`` pieces -> `Arrivals` puts them together on disk
-> `ImportModel.look` -> its `page` -> the trait ``transfer`` of the gallery -> the page shows the
plan -> ``import`` messages change it, apply it, undo it. A download goes the other way: ``fetch``
asks for one piece after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.panels.browse.export_model import ExportModel
from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.import_model import ImportModel
from workbench.panels.browse.import_words import Key
from workbench.panels.browse.importing import typed_path
from workbench.panels.browse.model import BrowseModel
from workbench.panels.shared.arrivals import Arrivals
from workbench.panels.shared.changing import ChangingModel, first_dataset
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey

KINDS = frozenset(("arrive", "import", "export", "fetch"))
"""Messages that are answered here."""


class TransferPages:
    """The pages of an import or an export, in place of the gallery.

    Parameters
    ----------
    stores : Stores
    model : BrowseModel
    gallery : Gallery
        The way to the pages.
    opened : callable
        Opens another dataset in the panel: ``await opened(dataset)``.
    """

    def __init__(
        self,
        stores: Stores,
        model: BrowseModel,
        gallery: Gallery,
        opened: Callable[[str], Awaitable[Any]],
    ) -> None:
        self._opened = opened
        self._model = model
        self._gallery = gallery
        self._arrivals = Arrivals()
        self._arriving = asyncio.Lock()  # pieces are put together in the order in which they came
        self.imports = ImportModel(stores, self._dataset_changed, self._arrivals.named)
        self.exports = ExportModel(stores, self._groups)
        for own in (self.imports, self.exports):
            own.observe(self._show_page, "page")
            own.observe(self._show_state, ("status", "work"))
        imports, exports = self.imports, self.exports
        self._imports: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "choose": lambda m: imports.choose(str(m["key"]), m["value"]),
            "aim": lambda m: imports.aim(str(m["dataset"])),
            "rename": self._rename,
            "apply": lambda _: self._apply(),
            "undo": self._undo,
            "accounts": lambda _: imports.show_accounts(model.dataset),
            "account": lambda m: imports.show_account(str(m["id"])),
            "lines": lambda m: imports.open_lines(_key(m)),
            "pictures": lambda m: self._show_pictures(m),
            "dataset": lambda _: self._open_dataset(),
            "close": lambda _: self._close(),
        }
        self._exports: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "look": lambda _: exports.look(model.dataset),
            "choose": lambda m: exports.choose(str(m["key"]), str(m["value"])),
            "write": lambda m: exports.write(typed_path(str(m["path"]))),
            "prepare": self._prepare,
            "close": lambda _: self._close(),
        }

    @property
    def shown(self) -> ChangingModel | None:
        """The model whose page is shown; None: the gallery is."""
        for own in (self.imports, self.exports):
            if own.page or own.work.what:
                return own
        return None

    async def answer(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Do what a page asks, see `workbench.panels.browse.gallery`."""
        kind = message["kind"]
        if kind == "arrive":
            await self._take_piece(message, bytes(buffers[0]) if buffers else b"")
        elif kind == "fetch":
            await self._send_piece(message)
        else:
            known = self._imports if kind == "import" else self._exports
            action = str(message.get("action"))
            if action not in known:
                raise ValueError(f"action {action!r}: expected one of {', '.join(known)}")
            await known[action](message)

    async def look(self, path: Path, origin: str = "") -> None:
        """Show the plan of an import."""
        self.exports.close()
        await self.imports.look(path, self._model.dataset, origin)

    def stop(self) -> None:
        """Stop what is under way, also what a page is sending or taking."""
        self.imports.stop()
        self.exports.stop()
        if not self.imports.page:
            self._arrivals.clear()
        self.exports.forget_download()

    def close(self) -> None:
        """Forget everything."""
        self.imports.close()
        self.exports.close()
        self._arrivals.clear()

    # Files that come and go

    async def _take_piece(self, message: Mapping[str, Any], piece: bytes) -> None:
        answer = {"kind": "arrived", "to": message["session"], "batch": message["batch"]}
        if not int(message["index"]) and not int(message["offset"]):
            self.close()  # what was dropped before is not wanted any more
        try:
            async with self._arriving:
                arrived = await asyncio.to_thread(self._arrivals.take, message, piece)
        except (WorkbenchError, OSError):
            self._arrivals.clear()
            self._gallery.send(answer | {"refused": True})
            raise
        self._gallery.send(answer)
        if arrived is not None:
            await self.look(arrived.path, arrived.origin)

    async def _send_piece(self, message: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"to": message["session"]}
        try:
            name, total, data = await self.exports.piece(int(message["start"]))
        except (WorkbenchError, OSError):
            self._gallery.send(answer | {"kind": "no_piece"})
            raise
        answer |= {"kind": "piece", "start": message["start"], "total": total, "name": name}
        self._gallery.send(answer, buffers=[data])

    async def _prepare(self, message: Mapping[str, Any]) -> None:
        try:
            await self.exports.prepare()
        except BaseException:
            self._gallery.send({"kind": "no_piece", "to": message["session"]})
            raise

    # What is done

    async def _rename(self, message: Mapping[str, Any]) -> None:
        self.imports.rename(str(message["name"]))

    async def _apply(self) -> None:
        await self.imports.apply()
        self._arrivals.clear()

    async def _undo(self, message: Mapping[str, Any]) -> None:
        await self.imports.undo(confirmed=message.get("confirmed") is True)
        if not self.imports.page:
            self._model.status = self.imports.status

    async def _show_pictures(self, message: Mapping[str, Any]) -> None:
        key = _key(message)
        if key is None:
            return
        dataset, images = await self.imports.pictures(key)
        self.imports.close()
        if dataset != self._model.dataset:
            await self._opened(dataset)
        await self._model.narrow(images, f"of the import: {key[2]}")

    async def _open_dataset(self) -> None:
        dataset = str(self.imports.page.get("dataset", ""))
        self.imports.close()
        if dataset and dataset != self._model.dataset:
            await self._opened(dataset)

    async def _close(self) -> None:
        self.close()

    async def _dataset_changed(self, dataset: str) -> None:
        if self._model.dataset and self._model.dataset != dataset:
            return
        if await self._model.manager.exists(dataset):
            await (self._model.refresh() if self._model.dataset else self._opened(dataset))
            return
        other = await first_dataset(self._model.manager, self._model)
        if other is not None:
            await self._opened(other)

    def _groups(self) -> dict[str, tuple[str, list[ImageKey] | None]]:
        """Return what of the dataset can go out; what is most likely meant comes first."""
        listing = self._model.listing
        groups: dict[str, tuple[str, list[ImageKey] | None]] = {}
        if listing is None:
            return groups
        selected = self._model.selected()
        if selected:
            groups["selection"] = (f"what is selected ({len(selected):,})", selected)
        if listing.mode != "trash" and (listing.query or listing.only is not None):
            images = listing.keys(((0, len(listing)),))
            words = listing.query or "what is shown"
            groups["listed"] = (f"what is listed: {words} ({len(images):,})", images)
        groups["all"] = (f"the whole dataset ({len(listing.index):,})", None)
        return groups

    # What is shown

    def _show_page(self, _change: Any) -> None:
        self._gallery.transfer = self.imports.page or self.exports.page

    def _show_state(self, _change: Any) -> None:
        self._gallery.transfer_state = {
            "status": asdict(own.status) if (own := self.shown) else {},
            "progress": asdict(own.work) if own and own.work.what else {},
        }


def _key(message: Mapping[str, Any]) -> Key | None:
    found = message.get("key")
    if not found:
        return None
    unit, outcome, reason = map(str, found)
    return unit, outcome, reason
