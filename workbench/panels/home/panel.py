"""The home page: cards of the datasets, new ones, and doors to what comes next.

How a click travels: a card's button -> ``do`` -> a command of `HomeModel` -> `DatasetManager` ->
the stores -> the model's traits -> the page. A door goes to ``go``, which opens another panel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.panels import shared
from workbench.panels.home.bringing import Go, ImportsOfHome, ShowPictures
from workbench.panels.home.model import HomeModel
from workbench.panels.home.transfer import HomeTransfer
from workbench.panels.shared.background import Background
from workbench.panels.shared.changing import ChangingModel
from workbench.panels.shared.esm import bundle, style_sheet
from workbench.panels.shared.following import Follower, News
from workbench.panels.shared.import_pages import ImportPages
from workbench.panels.shared.refusing import refusal
from workbench.panels.shared.status import Status, StoppedError, in_words
from workbench.panels.shared.typed_path import typed_path
from workbench.persistence import Stores, get_stores

STATIC = Path(__file__).parent / "static"

_PARTS: dict[Any, dict[str, type]] = {
    "picture": {"name": str},
    "go": {"panel": str, "name": str},
    "import": {"action": str},
    "download": {"name": str},
    "fetch": {"start": int},
}
"""What a message of some kinds must have; a browser sends what it likes."""


def _is_whole(message: Mapping[str, Any]) -> bool:
    kind = message.get("kind")
    parts = _PARTS.get(kind, {}) if isinstance(kind, str) else {}
    return all(type(message.get(name)) is part for name, part in parts.items())


class HomeView(anywidget.AnyWidget):
    """Cards of datasets.

    ===========  =============================================================================
    from page
    ===========  =============================================================================
    do           an ``action`` on dataset ``name``, see `HomePanel`
    go           open ``panel`` on dataset ``name``
    picture      a picture of dataset ``name`` is in sight
    arrive       a piece of what was dropped or chosen, see `ImportPages`
    import       an ``action`` of the import whose page is shown; ``look`` at ``path`` begins one
    download     pack dataset ``name`` for this page (``session``)
    fetch        send the piece of it that begins at byte ``start``
    stop         stop what is under way
    ===========  =============================================================================

    The kernel answers ``picture`` with ``name`` and a JPEG as the only buffer, ``arrive`` with
    ``arrived``, ``download`` with ``packed`` and ``fetch`` with ``piece``, or with ``no_piece``. A
    ``do`` that has a mark in ``ask``, since a form waits for it, is answered with ``answered``:
    its ``problem`` is for the form, or empty if it was done.
    """

    _esm = bundle(STATIC / "home.mjs")
    _css = style_sheet(*shared.LOOK, shared.STATIC / "pages.css", STATIC / "home.css")

    cards = traitlets.List(traitlets.Dict(), help="see `as_card`").tag(sync=True)
    trash = traitlets.List(traitlets.Dict(), help="`id`, `name` and `at` of each").tag(sync=True)
    ready = traitlets.Bool(False, help="whether it is known what there is").tag(sync=True)
    status = traitlets.Dict(help="`text` and `tone` of what happened last").tag(sync=True)
    page = traitlets.Dict(
        help="what is shown of an import in place of the cards; `kind` says which"
    ).tag(sync=True)
    work = traitlets.Dict(help="`what` is under way, `done` of `total`").tag(sync=True)
    undo = traitlets.Unicode("", help="what undo would take back").tag(sync=True)
    where = traitlets.Unicode("", help="the folder that holds the datasets").tag(sync=True)
    running: traitlets.List[dict[str, Any]] = traitlets.List(
        help="`id`, `text` and `share` of each training run that is not over"
    ).tag(sync=True)


class HomePanel:
    """See which datasets there are, and make, bring in, copy, delete and restore them.

    Parameters
    ----------
    stores : Stores, optional
        Default: those of `get_stores`.
    go : callable, optional
        ``go(panel, dataset)`` opens another panel; without it there are no doors.
    show : callable, optional
        ``show(dataset, images, words)`` opens some pictures.
    where : str
        The folder that holds the datasets, to be shown.

    Attributes
    ----------
    view : HomeView
        What is shown; to put the panel among other widgets.
    model : HomeModel
    imports : ImportModel
        What is brought in: looked at, applied, undone.
    """

    def __init__(
        self,
        stores: Stores | None = None,
        *,
        go: Go | None = None,
        show: ShowPictures | None = None,
        where: str = "",
    ) -> None:
        stores = stores or get_stores()
        self.model = HomeModel(stores)
        self.view = HomeView(where=where)
        self._stores, self._go = stores, go
        # In a bucket each look at a dataset is a request, so these are read when one turns here.
        self._follows_cards = not stores.dataset.is_far
        self._start_lock = asyncio.Lock()  # used on the owner loop only
        self._background = Background(self._report)
        self.follower = Follower(stores, self._background, self._catch_up)
        host = ImportsOfHome(self.model, go, show)
        self._importing = ImportPages(stores, host, lambda message: self._tell(message, []))
        self.imports = self._importing.model
        self.model.observe(self._show, ("cards", "trash", "status", "work", "undo_text"))
        self.imports.observe(self._show, ("page", "status", "work"))
        self.view.on_msg(self._receive)
        self._transfer = HomeTransfer(self.model, self._tell)
        self._background.spawn(self._ready)

    # From Python

    async def refresh(self) -> None:
        """Look again which datasets there are."""
        await self._background.run(self._refresh)

    def close(self) -> None:
        """Stop the panel's work and take it off the page."""
        self.follower.close()
        self.model.stop()
        self._background.close()
        self._transfer.stop()
        self._importing.close()
        self.model.close()
        self.view.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # On the owner loop

    async def _ready(self) -> None:
        async with self._start_lock:
            if not self.view.ready:
                await self.follower.follow("")
                await self._read()
                self.view.ready = True

    async def _refresh(self) -> None:
        await self._ready()
        await self._read()

    async def _read(self) -> None:
        if self._follows_cards:
            await self.follower.follow_others(await self._stores.dataset.names())
        await self.model.refresh()

    async def _catch_up(self, news: News) -> None:
        if not self.view.ready:
            await self._ready()
        else:
            async with self.model.at_rest():
                await self._read()

    def _receive(self, _widget: Any, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        kind = message.get("kind") if _is_whole(message) else None
        session = str(message.get("session", ""))
        if kind == "do":
            self._background.spawn(lambda: self._answer(message))
        elif kind == "picture":
            self._background.spawn(lambda: self._send_picture(str(message["name"])))
        elif kind == "go":
            if self._go is not None:
                self._go(str(message["panel"]), str(message["name"]))
        elif kind in ("arrive", "import"):
            piece = bytes(buffers[0]) if buffers else b""
            self._background.spawn(lambda: self._import(message, piece))
        elif kind == "download":
            self._background.spawn(lambda: self._transfer.pack(str(message["name"]), session))
        elif kind == "fetch":
            self._background.spawn(lambda: self._transfer.send(int(message["start"]), session))
        elif kind == "stop":
            self.model.stop()
            self._background.spawn(self._stop_transfer)
        else:
            text = refusal(message)
            self._background.spawn(lambda: self._refuse(text))

    async def _import(self, message: Mapping[str, Any], piece: bytes) -> None:
        await self._ready()
        if message.get("action") == "look":
            await self._importing.look(typed_path(str(message["path"])))
        else:
            await self._importing.answer(message, piece)

    async def _stop_transfer(self) -> None:
        self._transfer.stop()
        self._importing.stop()

    def _tell(self, message: Mapping[str, Any], buffers: list[bytes]) -> None:
        self.view.send(dict(message), buffers=buffers)

    async def _answer(self, message: Mapping[str, Any]) -> None:
        to = str(message.get("ask", ""))
        problem = ""
        try:
            await self._do(message)
        except Exception as error:
            if not to:
                raise
            problem = in_words(error)
        if to:
            self._tell({"kind": "answered", "to": to, "problem": problem}, [])

    async def _do(self, message: Mapping[str, Any]) -> None:
        await self._ready()
        action, name = message.get("action"), str(message.get("name", ""))
        to, seen = str(message.get("to", "")), str(message.get("seen", ""))
        model = self.model
        if action == "create":
            info = await model.create(name, str(message.get("classes", "")).split(","))
            self._open("Browse", info.name)
        elif action == "rename":
            await model.rename(name, to, seen=seen)
        elif action == "duplicate":
            await model.duplicate(name, to, seen=seen)
        elif action == "delete":
            await model.delete(name, seen=seen)
        elif action == "trust_links":
            await model.trust_links(name, [str(folder) for folder in message.get("folders", ())])
        elif action == "distrust_links":
            await model.distrust_links(name)
        elif action == "restore":
            await model.restore(str(message["id"]))
        elif action == "undo":
            await model.undo()
        else:
            raise ValueError(f"action {action!r}: expected one that the page knows")

    def _open(self, panel: str, dataset: str) -> None:
        if self._go is not None:
            self._go(panel, dataset)

    async def _send_picture(self, name: str) -> None:
        data = await self.model.picture(name)
        if data is not None:
            self.view.send({"kind": "picture", "name": name}, buffers=[data])

    @property
    def _told(self) -> ChangingModel:
        """What the page tells of: an import while one is shown, else all datasets."""
        return self.imports if self._importing.is_shown else self.model

    def _show(self, _change: Any) -> None:
        model, told = self.model, self._told
        with self.view.hold_sync():
            self.view.cards, self.view.trash = list(model.cards), list(model.trash)
            self.view.status = {"text": told.status.text, "tone": told.status.tone}
            self.view.work = asdict(told.work) if told.work.what else {}
            self.view.page = dict(self.imports.page)
            self.view.undo = model.undo_text

    async def _refuse(self, text: str) -> None:
        self.model.status = Status(text, "problem")

    def _report(self, error: Exception) -> None:
        tone = "info" if isinstance(error, StoppedError) else "problem"
        self._told.status = Status(in_words(error), tone)
