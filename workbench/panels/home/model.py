"""The model behind the home page: all datasets, and what is done with a whole one.

No widgets: traits carry state, coroutines do the work, stores are handed in.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from workbench.datasets.changes import Change, undoing
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats.accounts import Account, take_back_import
from workbench.datasets.index import DatasetIndex
from workbench.datasets.manager import DatasetFacts, DatasetManager
from workbench.datasets.thumbnails import Thumbnail, Thumbnails
from workbench.errors import ConflictError, WorkbenchError
from workbench.panels.home.cards import as_card, next_step, summary
from workbench.panels.shared.changing import ChangingModel, sentence
from workbench.panels.shared.readings import Readings
from workbench.panels.shared.status import Status
from workbench.persistence import Stores, both, one_look, together
from workbench.persistence.models import DatasetInfo, ImageKey, TrashEntry

PICTURE_SIDE = 360

_log = logging.getLogger(__name__)


_Pictured = list[tuple[ImageKey, int]]
"""Images that can stand for their dataset, the best first, and when each was last changed."""
_TRIES = 6
"""So many are tried where those before cannot be read."""


class HomeModel(ChangingModel):
    """Knows all datasets, and makes, renames, duplicates, deletes and restores them.

    Parameters
    ----------
    stores : Stores

    Notes
    -----
    Used on one event loop.
    """

    cards: traitlets.List[dict[str, Any]] = traitlets.List(help="see `as_card`; by name")
    trash: traitlets.List[dict[str, str]] = traitlets.List(help="deleted datasets, newest first")

    def __init__(self, stores: Stores) -> None:
        super().__init__()
        self._stores = stores
        self._datasets = DatasetManager.on(stores)
        self._thumbnails = Thumbnails(stores)
        self._readings = Readings()
        self._pictured: dict[str, _Pictured] = {}  # what was found for the cards, by dataset
        self._imports: dict[str, Change] = {}  # those that can be undone, by their accounts

    async def refresh(self) -> None:
        """Look again which datasets there are, and how far each is."""
        is_news = self._readings.begin()
        cards, trash = await one_look(self._read)
        if not is_news():
            return
        with self.hold_trait_notifications():
            self.cards = cards
            self.trash = [
                {"id": one.id, "name": one.name, "at": one.deleted_at.isoformat()}
                for one in reversed(trash)
            ]

    async def picture(self, name: str) -> bytes | None:
        """Return a picture of a dataset as JPEG; None if there is none."""
        data = await self._thumbnail(name, self._pictured.get(name))
        if data is None:  # nobody has read the dataset yet, or the image is gone since
            data = await self._thumbnail(name, _pictured(await self._index(name)))
        return data

    async def _thumbnail(self, name: str, wanted: _Pictured | None) -> bytes | None:
        for key, modified_ns in wanted or ():
            [made] = await self._thumbnails.get(
                name, [key], size=PICTURE_SIDE, modified_ns=[modified_ns]
            )
            if isinstance(made, Thumbnail):
                return made.data
        return None

    async def _index(self, name: str) -> DatasetIndex:
        return await Dataset(self._stores, name).index()

    # What is done with a whole dataset

    async def create(self, name: str, classes: Sequence[str] = ()) -> DatasetInfo:
        """Make an empty dataset."""
        names = [one.strip() for one in classes if one.strip()]
        async with self._doing("Making the dataset", wait=True):
            info = await self._datasets.create(name.strip(), names)
            await self._made(f"dataset {info.name!r} made", info.name)
            return info

    async def pack(self, name: str, folder: Path) -> Path:
        """Write all of a dataset into a zip archive in a folder, and return its path."""
        async with self._doing(f"Packing {name}", wait=True) as progress:
            return await self._datasets.export_zip(name, folder, progress=progress)

    async def rename(self, name: str, new_name: str, *, seen: str = "") -> DatasetInfo:
        """Give a dataset another name.

        Parameters
        ----------
        seen : str
            What its card said, see `summary`; refused if that is not true any more.

        Raises
        ------
        ConflictError
            If it is not.
        """
        async with self._doing("Renaming", wait=True):
            await self._require_as_seen(name, seen)
            info = await self._datasets.rename(name, new_name.strip())

            async def undo() -> None:
                with undoing("rename"):
                    await self._datasets.rename(info.name, name)

            await self._done(f"dataset {name!r} is called {info.name!r} now", undo)
            return info

    async def duplicate(self, name: str, new_name: str, *, seen: str = "") -> DatasetInfo:
        """Make a copy of a dataset; see `rename` for `seen`."""
        async with self._doing("Copying", wait=True) as progress:
            await self._require_as_seen(name, seen)
            info = await self._datasets.duplicate(name, new_name.strip(), progress=progress)
            await self._made(f"{name!r} copied into {info.name!r}", info.name)
            return info

    async def delete(self, name: str, *, seen: str = "") -> None:
        """Move a dataset to the trash; see `rename` for `seen`."""
        async with self._doing("Deleting", wait=True):
            await self._require_as_seen(name, seen)
            entry = await self._datasets.delete(name)

            async def undo() -> None:
                with undoing("delete"):
                    await self._datasets.restore(entry.id)

            await self._done(f"dataset {name!r} is in the trash", undo)

    async def trust_links(self, name: str, folders: Sequence[str]) -> None:
        """Say that the links of a dataset to these folders are one's own.

        Parameters
        ----------
        name : str
        folders : sequence of str
            What its card said of them; refused if they lead elsewhere by now.

        Raises
        ------
        ConflictError
            If they do.
        """
        async with self._doing("Looking at the links", wait=True):
            if await self._links_out(name) != sorted(folders):
                await self.refresh()
                raise ConflictError(
                    f"the links of {name!r} lead elsewhere since you looked. Nothing was said of "
                    "them; look again, and repeat it if they are your own."
                )
            before = await self._datasets.trusted_links(name)
            await self._datasets.trust_links(name, only=[Path(folder) for folder in folders])

            async def undo() -> None:
                with undoing("trust in the links"):
                    await self._datasets.distrust_links(name, but=before)

            await self._done(f"the links of {name!r} are followed now", undo)

    async def distrust_links(self, name: str) -> None:
        """Take back that the links of a dataset are one's own."""
        async with self._doing("Taking back what was said", wait=True):
            before = await self._datasets.trusted_links(name)
            await self._datasets.distrust_links(name)

            async def undo() -> None:
                with undoing("distrust of the links"):
                    await self._datasets.trust_links(name, only=before)

            await self._done(f"the links of {name!r} are not followed any more", undo)

    async def restore(self, entry_id: str) -> DatasetInfo:
        """Bring a deleted dataset back."""
        async with self._doing("Restoring", wait=True):
            info = await self._datasets.restore(entry_id)
            await self._made(f"dataset {info.name!r} is back", info.name)
            return info

    def note_import(self, dataset: str, account: Account) -> None:
        """Remember an import that was done, so that it can be undone from here."""

        async def undo() -> None:
            await take_back_import(self._stores, dataset, account)

        made = f"dataset {dataset!r} brought in"
        what = made if account.made else f"import of {account.source} into {dataset!r}"
        change = Change(what, undo)
        self._imports[account.id] = change
        self._note(change)
        self.status = Status(sentence(what))

    def forget_import(self, account: Account) -> None:
        """Forget an import that was undone from its account."""
        change = self._imports.pop(account.id, None)
        if change is not None:
            self._forget_change(change)

    async def undo(self) -> None:
        """Take the last change back.

        Raises
        ------
        ConflictError
            If things have changed since; nothing is undone then.
        """
        async with self._doing("Undoing", wait=True):
            what = await self._undo_last()
            await self.refresh()
            self.status = Status(f"Undone: {what}." if what else "There is nothing to undo.")

    def close(self) -> None:
        """End the threads and free the pictures."""
        self._thumbnails.close()

    # Inside

    async def _done(self, what: str, undo: Callable[[], Awaitable[None]]) -> None:
        self._note(Change(what, undo))
        await self.refresh()
        self.status = Status(sentence(what))

    async def _made(self, what: str, name: str) -> None:
        """Note that a dataset was made; undone unless somebody has worked in it since."""
        made = summary(await self._datasets.facts(name))

        async def undo() -> None:
            with undoing(what):
                await self._require_as_seen(name, made)
                await self._datasets.delete(name)

        await self._done(what, undo)

    async def _require_as_seen(self, name: str, seen: str) -> None:
        if not seen:
            return
        now = summary(await self._datasets.facts(name))
        if now != seen:
            await self.refresh()
            raise ConflictError(
                f"{name!r} was changed elsewhere since you chose: it had {seen}; it has {now} now. "
                f"Nothing was done; look again, and repeat it if you still want it."
            )

    async def _read(self) -> tuple[list[dict[str, Any]], list[TrashEntry]]:
        (found, trained), trash = await both(self._known(), self._datasets.list_trash())
        self._pictured = {
            facts.info.name: pictured
            for facts in found
            if facts.index is not None and (pictured := _pictured(facts.index))
        }
        cards = [self._card(facts, trained.get(facts.info.name)) for facts in found]
        return await together(cards), trash

    async def _known(self) -> tuple[list[DatasetFacts], dict[str, datetime]]:
        return await both(self._datasets.list_facts(), self._trained())

    async def _trained(self) -> dict[str, datetime]:
        """Return when the newest model of each dataset was made."""
        found = [
            (info.created_at, info.dataset_name)
            for info in await self._stores.model.list()
            if info.created_at is not None
        ]
        return {name: made for made, name in sorted(found)}

    async def _card(self, facts: DatasetFacts, trained_at: datetime | None) -> dict[str, Any]:
        links, trusted = await self._links_out(facts.info), await self._links_trusted(facts.info)
        if facts.index is None:
            return as_card(facts, None, links, trusted)
        num_newer = 0
        if trained_at is not None:
            since_ns = int(trained_at.timestamp() * 1e9)
            num_newer = int((facts.index.label_modified_ns > since_ns).sum())
        door = next_step(facts, trained_at=trained_at, num_newer=num_newer)
        return as_card(facts, door, links, trusted)

    async def _links_out(self, dataset: str | DatasetInfo) -> list[str]:
        try:
            return [str(folder) for folder in await self._datasets.untrusted_links(dataset)]
        except WorkbenchError as error:
            # What is wrong with such a folder is on its card, from whoever reads the dataset.
            _log.debug("the links of a dataset are not looked at: %s", error)
            return []

    async def _links_trusted(self, dataset: DatasetInfo) -> list[str]:
        return [str(folder) for folder in await self._datasets.trusted_links(dataset)]


def _pictured(index: DatasetIndex) -> _Pictured:
    """Return the images with the most boxes, which say most; of equals the first."""
    places = np.argsort(-index.num_boxes, kind="stable")[:_TRIES].tolist()
    return [(index.key(place), int(index.modified_ns[place])) for place in places]
