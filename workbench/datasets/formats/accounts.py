"""Accounts of imports, kept with the dataset, and what boxes carry that YOLO cannot hold."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from workbench.datasets.changes import undoing
from workbench.datasets.formats.columns import PlainRows, Row
from workbench.datasets.formats.ledger import Ledger
from workbench.errors import (
    ConflictError,
    ImportFormatError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence import DataStores
from workbench.persistence.models import Annotation
from workbench.persistence.stamps import PARTS, Stamp
from workbench.persistence.stored_json import MALFORMED, loads, time_of
from workbench.persistence.stores.merging import WayBack

_log = logging.getLogger(__name__)
_AS_MADE = "import.made"
_NAMED = 5

Extras = dict[str, list[tuple[Annotation, dict[str, Any]]]]
"""What boxes carry beyond YOLO, by the file name of their picture."""


@dataclass(frozen=True, slots=True)
class Account:
    """One import into a dataset.

    Parameters
    ----------
    id : str
        Sorts by time.
    at : datetime
    source : str
        What was imported: its path at that time.
    ledger : Ledger
    notes : list of str
    extras : dict
        What boxes carried that YOLO has no place for (difficult, occluded, attributes, tracks,
        scores), by file name; with the box, as it was then.
    pictures : dict of str to str
        What the pictures are called that the ledger speaks of: ``train/a.jpg``, by their names
        in the source.
    way_back : WayBack, optional
        Of an import into a dataset that there was; see `take_back_import`.
    classes : tuple of list of str
        What the dataset's classes were before such an import, and after it.
    undone : bool
        Whether it was taken back.
    made : bool
        Whether this import made the dataset.
    """

    id: str
    at: datetime
    source: str
    ledger: Ledger
    notes: list[str] = field(default_factory=list)
    # Of many images these are long: the account can be the last line of a cell.
    extras: Extras = field(default_factory=dict, repr=False)
    pictures: dict[str, str] = field(default_factory=dict, repr=False)
    way_back: WayBack | None = field(default=None, repr=False)
    classes: tuple[list[str], list[str]] = ([], [])
    undone: bool = False
    made: bool = False

    @property
    def can_be_taken_back(self) -> bool:
        """Whether the way back is known, and there is anything to take back."""
        way = self.way_back
        if self.made:
            return not self.undone
        return way is not None and bool(way.added or way.edits or way.replaced)

    def to_bytes(self) -> bytes:
        """Return what is kept of it."""
        extras = {
            name: [[box.class_id, *box.xywh, extra] for box, extra in found]
            for name, found in self.extras.items()
        }
        content = {
            "format": 1,
            "at": self.at.isoformat(),
            "source": self.source,
            "ledger": self.ledger.to_json(),
            "notes": self.notes,
            "extras": extras,
            "pictures": self.pictures,
            "undone": self.undone,
            "made": self.made,
        }
        if self.way_back is not None:
            content["way_back"] = {**asdict(self.way_back), "classes": self.classes}
        return json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "replace")

    @classmethod
    def from_bytes(cls, identity: str, data: bytes) -> Account:
        """Return the account that `to_bytes` has written.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            content = loads(data)
            extras: Extras = {
                str(name): [(Annotation(int(c), *map(float, box)), dict(e)) for c, *box, e in found]
                for name, found in content["extras"].items()
            }
            return cls(
                identity,
                time_of(content["at"]),
                str(content["source"]),
                Ledger.from_json(content["ledger"]),
                [str(note) for note in content["notes"]],
                extras,
                {str(name): str(own) for name, own in content.get("pictures", {}).items()},
                *_way_back(content.get("way_back")),
                content.get("undone") is True,
                content.get("made") is True,
            )
        except MALFORMED as error:
            raise ValueError(f"expected an account of an import, found {error!r}") from error


def _way_back(content: Any) -> tuple[WayBack | None, tuple[list[str], list[str]]]:
    if content is None:
        return None, ([], [])
    before, after = content["classes"]
    return WayBack(
        [(str(split), str(filename)) for split, filename in content["added"]],
        [str(edit) for edit in content["edits"]],
        [str(entry) for entry in content["replaced"]],
        str(content["labels"]),
    ), ([str(name) for name in before], [str(name) for name in after])


def new_account(
    source: str,
    ledger: Ledger,
    notes: list[str],
    rows: Iterable[tuple[str, Iterable[Row]]],
    ids: Mapping[str, int],
    targets: Mapping[str, str],
    *,
    made: bool = False,
) -> Account:
    """Return the account of an import that happens now.

    Parameters
    ----------
    rows : iterable of (str, iterable of Row)
        Boxes by the file name that their picture has in the dataset.
    ids : mapping of str to int
        Of the classes.
    targets : mapping of str to str
        Where each picture lies in the dataset (``images/train/a.jpg``), by its name in the source.
    made : bool
        Whether it makes the dataset.
    """
    now = datetime.now(UTC)
    identity = f"{now:%Y%m%dt%H%M%S}.{now.microsecond:06d}-{os.urandom(4).hex()}"
    extras: Extras = {}
    for filename, boxes in rows:
        if isinstance(boxes, PlainRows) and not boxes.has_extras():
            continue
        found = [
            (Annotation(ids[r.label], r.x, r.y, r.width, r.height), dict(r.extra))
            for r in boxes
            if r.extra
        ]
        if found:
            extras[filename] = found
    told = {e.picture for e in ledger.entries if e.picture}
    pictures = {
        name: target.partition("/")[2] for name in sorted(told) if (target := targets.get(name))
    }
    return Account(identity, now, source, ledger, list(notes), extras, pictures, made=made)


async def import_accounts(stores: DataStores, dataset: str) -> list[Account]:
    """Return the accounts of all imports into a dataset, oldest first.

    One that is damaged is left out: it came from elsewhere, and no label depends on it.
    """
    accounts = []
    for identity, data in (await stores.dataset.load_imports(dataset)).items():
        try:
            accounts.append(Account.from_bytes(identity, data))
        except ValueError:
            continue
    return accounts


async def note_as_made(stores: DataStores, dataset: str) -> None:
    """Keep what tells whether a dataset changes that an import has just made, see `work_since`.

    The import has happened, so this raises no more; without a note `work_since` does not know.
    """
    try:
        stamp = json.dumps(asdict(await stores.dataset.stamp(dataset)))
        await stores.dataset.save_cache(dataset, _AS_MADE, stamp.encode())
    except (OSError, WorkbenchError) as error:
        _log.warning("%s was imported, which is not noted: %s", dataset, error)


async def work_since(stores: DataStores, dataset: str) -> str:
    """Return in words whether anything was done to a dataset since an import made it.

    Returns
    -------
    str
        Empty: nothing was.
    """
    now = await stores.dataset.stamp(dataset)
    kept = await stores.dataset.load_cache(dataset, _AS_MADE)
    try:
        before = None if kept is None else Stamp(**loads(kept))
    except MALFORMED:
        before = None
    if before is None:
        return f"{dataset}: it is not known whether it was worked on since it was imported"
    changed = now.changed_since(before)
    parts = " and ".join(part for part in PARTS if part in changed)
    return f"{dataset} has been worked on since it was imported ({parts})" if parts else ""


async def take_back_import(
    stores: DataStores, dataset: str, account: Account | str, *, confirmed: bool = False
) -> None:
    """Take an import into a dataset back, as one; its account is kept.

    Classes that it brought go too, unless boxes that were drawn since use them. A dataset that
    the import made goes to the trash as a whole.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    account : Account or str
        One of `import_accounts`, or its ``id``.
    confirmed : bool
        Whether a dataset that the import made goes to the trash also with work done since.

    Raises
    ------
    ConflictError
        If that would destroy what was done since, or was done before; nothing is undone then.
    ImportFormatError
        If the account does not know the way back: it is of an earlier release, or has come along
        with a copy of the dataset.
    NotFoundError
        If the dataset has no such account, or is not there any more.
    """
    account = await _as_it_is_kept(stores, dataset, account)
    if account.undone:
        raise ConflictError(f"{account.source}: this import was undone already")
    if account.made:
        await _take_back_all(stores, dataset, account, confirmed)
        return
    if account.way_back is None:
        raise ImportFormatError(
            f"{account.source}: the way back from this import is not known. Go back to a version "
            "in Curate, or delete the pictures, or the dataset that it made"
        )
    with undoing(f"import of {account.source}"):
        told = replace(account, way_back=None, undone=True).to_bytes()
        await stores.dataset.take_back(
            dataset, account.way_back, (account.id, told), account.classes
        )


async def _as_it_is_kept(stores: DataStores, dataset: str, account: Account | str) -> Account:
    """Return what the dataset says of an import now: who asks may have read it long ago."""
    given = account if isinstance(account, Account) else None
    identity = account if isinstance(account, str) else account.id
    try:
        accounts = await import_accounts(stores, dataset)
    except NotFoundError as error:
        if given is None or not given.made:
            raise
        raise NotFoundError(
            f"{dataset}: the dataset that this import made is not there any more, so the import "
            f"was taken back already, or the dataset was deleted or renamed; the trash has it in "
            f"the first two cases"
        ) from error
    found = next((one for one in accounts if one.id == identity), given)
    if found is None:
        known = ", ".join(repr(one.id) for one in accounts[-_NAMED:]) or "none"
        raise NotFoundError(
            f"{dataset}: expected the id of one of its imports, found {identity!r}; the last are "
            f"{known}, and import_accounts returns all"
        )
    return found


async def _take_back_all(
    stores: DataStores, dataset: str, account: Account, confirmed: bool
) -> None:
    makers = [one.id for one in await import_accounts(stores, dataset) if one.made]
    if makers[-1:] != [account.id]:
        raise ImportFormatError(
            f"{account.source}: this import made another dataset, which {dataset} is a copy of; "
            "nothing was undone"
        )
    if not confirmed and (words := await work_since(stores, dataset)):
        raise ConflictError(
            f"{words}: undoing the import would take that along, so nothing was undone. Confirm it "
            "to move the whole dataset to the trash"
        )
    await stores.dataset.delete(dataset)
