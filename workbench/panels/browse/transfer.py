"""What pages of a browse panel say of imports and exports, and what they are told.

An import goes as in every panel, see `workbench.panels.shared.import_pages`. A download goes the
other way: ``fetch`` asks for one piece after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.datasets.formats.accounts import Account
from workbench.errors import WorkbenchError
from workbench.panels.browse.export_model import ExportModel
from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.model import BrowseModel
from workbench.panels.shared.changing import ChangingModel, first_dataset
from workbench.panels.shared.import_pages import KINDS as IMPORT_KINDS
from workbench.panels.shared.import_pages import ImportPages
from workbench.panels.shared.status import Status
from workbench.panels.shared.typed_path import typed_path
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey

KINDS = IMPORT_KINDS | {"export", "fetch"}
"""Messages that are answered here."""


class TransferPages:
    """The pages of an import or an export, in place of the gallery; the `ImportHost` of it.

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
        self._importing = ImportPages(stores, self, lambda message: gallery.send(dict(message)))
        self.imports = self._importing.model
        self.exports = ExportModel(stores, self._groups)
        for own in (self.imports, self.exports):
            own.observe(self._show_page, "page")
            own.observe(self._show_state, ("status", "work"))
        exports = self.exports
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
        if kind in IMPORT_KINDS:
            if kind == "arrive":
                self.exports.close()
            await self._importing.answer(message, bytes(buffers[0]) if buffers else b"")
        elif kind == "fetch":
            await self._send_piece(message)
        else:
            action = str(message.get("action"))
            if action not in self._exports:
                raise ValueError(f"action {action!r}: expected one of {', '.join(self._exports)}")
            await self._exports[action](message)

    async def look(self, path: Path, origin: str = "") -> None:
        """Show the plan of an import."""
        self.exports.close()
        await self._importing.look(path, origin)

    def stop(self) -> None:
        """Stop what is under way, also what a page is sending or taking."""
        self._importing.stop()
        self.exports.stop()
        self.exports.forget_download()

    def close(self) -> None:
        """Forget everything."""
        self._importing.close()
        self.exports.close()

    # The host of an import

    @property
    def dataset(self) -> str:
        """The one that is open."""
        return self._model.dataset

    async def changed(self, dataset: str) -> None:
        """Show what a dataset has now, or another one if it is gone."""
        if self._model.dataset and self._model.dataset != dataset:
            return
        if await self._model.manager.exists(dataset):
            await (self._model.refresh() if self._model.dataset else self._opened(dataset))
            return
        other = await first_dataset(self._model.manager, self._model)
        if other is not None:
            await self._opened(other)

    async def open_dataset(self, dataset: str) -> None:
        """Show a dataset in the gallery."""
        if dataset != self._model.dataset:
            await self._opened(dataset)

    async def show_pictures(self, dataset: str, images: list[ImageKey], words: str) -> None:
        """Show some pictures in the gallery."""
        await self.open_dataset(dataset)
        await self._model.narrow(images, words)

    def applied(self, dataset: str, account: Account) -> None:
        """Do nothing: the accounts of the dataset have the way back."""

    def undone(self, account: Account, status: Status) -> None:
        """Say above the gallery that an import was taken back."""
        self._model.status = status

    # Files that go

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

    # Inside

    async def _close(self) -> None:
        self.close()

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
