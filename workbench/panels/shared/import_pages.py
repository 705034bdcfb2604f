"""What the pages of an import say, and what they are told; in every panel that has one.

How an import goes: files are dropped -> ``arrive`` pieces -> `Arrivals` puts them together on disk
-> `ImportModel.look` -> its `page` -> a trait of the panel's widget -> the page shows the plan
-> ``import`` messages change it, apply it, undo it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from workbench.datasets.formats.accounts import Account
from workbench.errors import WorkbenchError
from workbench.panels.shared.arrivals import Arrivals
from workbench.panels.shared.changing import BusyError
from workbench.panels.shared.import_model import ImportModel
from workbench.panels.shared.import_words import Key, shortly
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey

KINDS = frozenset(("arrive", "import"))
"""Messages that are answered here."""

Tell = Callable[[Mapping[str, Any]], object]
"""Sends a message to the pages."""


class ImportHost(Protocol):
    """The panel in which an import is shown."""

    @property
    def dataset(self) -> str:
        """The one that is open; empty: none."""

    async def changed(self, dataset: str) -> None:
        """Take note that a dataset was made, changed or deleted."""

    async def open_dataset(self, dataset: str) -> None:
        """Show a dataset."""

    async def show_pictures(self, dataset: str, images: list[ImageKey], words: str) -> None:
        """Show some pictures of a dataset; `words` say which."""

    def applied(self, dataset: str, account: Account) -> None:
        """Take note of an import that was done."""

    def undone(self, account: Account, status: Status) -> None:
        """Take note of an import that was taken back, and say so."""


class ImportPages:
    """The pages of an import, in place of what a panel shows else.

    Parameters
    ----------
    stores : Stores
    host : ImportHost
    tell : callable

    Attributes
    ----------
    model : ImportModel
    """

    def __init__(self, stores: Stores, host: ImportHost, tell: Tell) -> None:
        self._host = host
        self._tell = tell
        self._arrivals = Arrivals()
        self._arriving = asyncio.Lock()  # pieces are put together in the order in which they came
        self.model = model = ImportModel(stores, host.changed, self._arrivals.named)
        self._actions: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "choose": lambda m: model.choose(str(m["key"]), m["value"]),
            "aim": lambda m: model.aim(str(m["dataset"])),
            "rename": self._rename,
            "apply": lambda _: self._apply(),
            "undo": self._undo,
            "accounts": lambda _: model.show_accounts(host.dataset),
            "account": lambda m: model.show_account(str(m["id"])),
            "lines": lambda m: model.open_lines(_key(m)),
            "pictures": self._show_pictures,
            "dataset": lambda _: self._open_dataset(),
            "close": lambda _: self._close(),
        }

    @property
    def is_shown(self) -> bool:
        """Whether there is something of an import to be seen."""
        return bool(self.model.page or self.model.work.what)

    async def answer(self, message: Mapping[str, Any], piece: bytes = b"") -> None:
        """Do what a page asks.

        Parameters
        ----------
        message : mapping
            ``arrive`` as for `Arrivals.take`; ``import`` with an ``action`` and what it needs.
        piece : bytes
            Of a file that arrives.

        Raises
        ------
        ValueError
            If there is no such action.
        """
        if message["kind"] == "arrive":
            await self._take_piece(message, piece)
            return
        action = str(message.get("action"))
        if action not in self._actions:
            raise ValueError(f"action {action!r}: expected one of {', '.join(self._actions)}")
        await self._actions[action](message)

    async def look(self, path: Path, origin: str = "", name: str = "") -> None:
        """Show the plan of an import, see `ImportModel.look`."""
        await self.model.look(path, self._host.dataset, origin, name=name)

    def stop(self) -> None:
        """Stop what is under way, also what a page is sending."""
        self.model.stop()
        if not self.model.page:
            self._arrivals.clear()

    def close(self) -> None:
        """Forget everything."""
        self.model.close()
        self._arrivals.clear()

    async def _take_piece(self, message: Mapping[str, Any], piece: bytes) -> None:
        answer = {"kind": "arrived", "to": message["session"], "batch": message["batch"]}
        try:
            async with self._arriving:
                if not int(message["index"]) and not int(message["offset"]):
                    await self._close()  # what was dropped before is not wanted any more
                arrived = await asyncio.to_thread(self._arrivals.take, message, piece)
        except BusyError:
            self._tell(answer | {"refused": True})
            raise
        except (WorkbenchError, OSError):
            self._arrivals.clear()
            self._tell(answer | {"refused": True})
            raise
        self._tell(answer)
        if arrived is not None:
            await self.look(arrived.path, arrived.origin, arrived.name)

    async def _rename(self, message: Mapping[str, Any]) -> None:
        self.model.rename(str(message["name"]))

    async def _apply(self) -> None:
        await self.model.apply()
        self._arrivals.clear()
        if self.model.account is not None:
            self._host.applied(str(self.model.page["dataset"]), self.model.account)

    async def _undo(self, message: Mapping[str, Any]) -> None:
        account = self.model.account
        await self.model.undo(confirmed=message.get("confirmed") is True)
        if account is not None and not self.model.page:
            self._host.undone(account, self.model.status)

    async def _show_pictures(self, message: Mapping[str, Any]) -> None:
        key = _key(message)
        if key is None:
            return
        account = self.model.account
        dataset, images = await self.model.pictures(key)
        self.model.close()
        said = shortly(account.ledger, key) if account is not None else key[2]
        await self._host.show_pictures(dataset, images, f"of the import: {said}")

    async def _open_dataset(self) -> None:
        dataset = str(self.model.page.get("dataset", ""))
        self.model.close()
        if dataset:
            await self._host.open_dataset(dataset)

    async def _close(self) -> None:
        await self.model.leave()
        self._arrivals.clear()


def _key(message: Mapping[str, Any]) -> Key | None:
    found = message.get("key")
    if not found:
        return None
    unit, outcome, reason = map(str, found)
    return unit, outcome, reason
