"""The trash: what is deleted can be brought back until it is purged.

Each deleted thing has a folder ``.workbench/trash/<id>/`` with ``entry.json`` and its files. Ids
begin with the time, so that they sort by it.

An entry says where its files were, and a stranger may have written it. One that leads
anywhere else than to where something of ours can have been is left alone, and logged.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import PASSING, InvalidDatasetError, NotFoundError, WorkbenchError
from workbench.persistence.disk_errors import as_ours
from workbench.persistence.models import SPLITS, TrashEntry
from workbench.persistence.rules import trash_entry
from workbench.persistence.storage import Change, Move, Storage, Write
from workbench.persistence.storage.keys import is_plain, parts_of
from workbench.persistence.storage.layout import Place, PlaceOf
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json, time_of
from workbench.persistence.yolo.label_text import MAX_BYTES
from workbench.persistence.yolo.names import HIDDEN, can_be_name, is_image_name

_log = logging.getLogger(__name__)
TRASH = f"{HIDDEN}/trash"
"""Key of the folder of all entries."""

GONE = ".gone"
"""What the name of an entry ends with that is about to be removed."""

_EXPECTED = "what was deleted and where it was"
_MOST_BYTES = 1 << 20
_KINDS = {
    Place.MODEL: {"folder", "link"},
    Place.IMAGE: {"value", "link"},
    Place.LABELS: {"value"},
}


@dataclass(frozen=True, slots=True)
class Trash:
    """A trash folder.

    Parameters
    ----------
    storage : Storage
        What was deleted was, and is still, in here.
    place_of : callable
        What a key is, see `layout`; only some can have been deleted.
    """

    storage: Storage
    place_of: PlaceOf


@dataclass(frozen=True, slots=True)
class Trashed:
    """A trash entry with the way back.

    Parameters
    ----------
    entry : TrashEntry
    folder : str
        Key of the entry.
    files : list of (str, str)
        Name inside `folder`, and the key it had.
    has_twin : bool
        Whether it is an image that had its label file together with another.
    """

    entry: TrashEntry
    folder: str
    files: list[tuple[str, str]]
    has_twin: bool = False

    def to_bytes(self) -> bytes:
        """Return the bytes of ``entry.json``."""
        # In ASCII: names of files need not be UTF-8 and then hold lone surrogates.
        return json.dumps(
            {
                "kind": self.entry.kind,
                "name": self.entry.name,
                "split": self.entry.split,
                "deleted_at": self.entry.deleted_at.isoformat(),
                "files": self.files,
                "has_twin": self.has_twin,
            }
        ).encode()


def new_entry(
    trash: Trash,
    kind: str,
    name: str,
    originals: list[str],
    split: str = "",
    *,
    has_twin: bool = False,
) -> Trashed:
    """Describe something that is about to move to the trash; nothing is written yet."""
    entry = trash_entry(kind, name, split)
    files = [(_kept_name(i, path), path) for i, path in enumerate(originals)]
    return Trashed(entry, f"{TRASH}/{entry.id}", files, has_twin)


def _kept_name(number: int, path: str) -> str:
    name = f"{number}-{os.path.basename(path)}"
    # A name may be as long as the file system takes, and then there is no room for more.
    return name if can_be_name(name) else f"{number}-long{os.path.splitext(path)[1]}"


def put_away(
    trash: Trash,
    kind: str,
    split: str,
    name: str,
    originals: list[str],
    *,
    has_twin: bool = False,
) -> tuple[TrashEntry, list[Change]]:
    """Return a new entry, and the changes by which what is at some keys moves into it."""
    trashed = new_entry(trash, kind, name, originals, split, has_twin=has_twin)
    changes: list[Change] = [Write(f"{trashed.folder}/entry.json", trashed.to_bytes())]
    changes += [Move(key, f"{trashed.folder}/{file}") for file, key in trashed.files]
    return trashed.entry, changes


def list_entries(trash: Trash) -> list[Trashed]:
    """Return what is in the trash, oldest first."""
    found = []
    for name in _names(trash):
        if not name.endswith(GONE):
            try:
                entry = _read(trash, name)
            except InvalidDatasetError as error:
                _log.warning("trash entry left out: %s", error)
                continue
            if entry is not None:
                found.append(entry)
    return found


def _names(trash: Trash) -> list[str]:
    try:
        return sorted(trash.storage.list(TRASH).folders)
    except InvalidDatasetError as error:
        _log.warning("left unread: %s", error)
        return []


def find(trash: Trash, entry_id: str) -> Trashed:
    """Return one entry.

    Raises
    ------
    NotFoundError
        If it is not in the trash.
    InvalidDatasetError
        If it is none that we can have written.
    """
    found = _read(trash, entry_id) if is_plain(entry_id) else None
    if found is None:
        raise NotFoundError(
            f"{entry_id!r} is not in the trash ({trash.storage.where}/{TRASH}): purged or "
            f"restored? list_trash() names what is"
        )
    return found


def find_kind(trash: Trash, entry_id: str, kind: str) -> Trashed:
    """Return one entry of a kind; raises as `find` does, also for one of another kind."""
    found = find(trash, entry_id)
    if found.entry.kind != kind:
        raise NotFoundError(f"{entry_id!r} in the trash is of kind {found.entry.kind}, not {kind}")
    return found


def read_images(trash: Trash, entry_ids: Sequence[str]) -> list[bytes | Exception]:
    """Return the bytes of deleted images, or what keeps one from being read."""
    contents: list[bytes | Exception] = []
    for entry_id in entry_ids:
        try:
            contents.append(_read_image(trash, find(trash, entry_id)))
        except PASSING:  # it is the matter with none of them
            raise
        except WorkbenchError as error:
            contents.append(error)
        except OSError as error:
            contents.append(as_ours(error, f"{trash.storage.where}/{TRASH}/{entry_id}"))
    return contents


def _read_image(trash: Trash, trashed: Trashed) -> bytes:
    for name, original in trashed.files:
        if is_image_name(os.path.basename(original)):
            return trash.storage.read(f"{trashed.folder}/{name}")
    raise NotFoundError(f"{trashed.entry.id!r} holds the labels of {trashed.entry.name}, no image")


def read_labels(trash: Trash) -> dict[str, bytes]:
    """Return the label files in the trash, by their keys there."""
    keys = [
        f"{found.folder}/{name}"
        for found in list_entries(trash)
        for name, original in found.files
        if original.startswith("labels/")
    ]
    contents = dict(zip(keys, trash.storage.read_many(keys, most=MAX_BYTES), strict=True))
    for data in contents.values():
        if isinstance(data, Exception):
            raise data
    return {key: data for key, data in contents.items() if isinstance(data, bytes)}


def doomed(trash: Trash, entry_id: str | None, kinds: frozenset[str]) -> list[Trashed]:
    """Return the entries to purge: one, or all of the given kinds."""
    if entry_id is not None:
        return [find(trash, entry_id)]
    return [found for found in list_entries(trash) if found.entry.kind in kinds]


def leftovers(trash: Trash) -> list[str]:
    """Return the keys of what is left of entries that were purged or restored."""
    left = []
    for name in _names(trash):
        try:
            is_left = name.endswith(GONE) or (
                _read(trash, name) is None and not _is_untold(trash, name)
            )
        except InvalidDatasetError:  # not for us to destroy
            continue
        if is_left:
            left.append(f"{TRASH}/{name}")
    return left


def _is_untold(trash: Trash, name: str) -> bool:
    """Whether there are files in an entry's folder, and nothing that says what they are.

    No change of ours leaves that behind, so it is not for us to destroy.
    """
    held = trash.storage.list(f"{TRASH}/{name}")
    names = [*held.names, *held.folders]
    return "entry.json" not in names and any(not found.endswith(".tmp") for found in names)


def _read(trash: Trash, name: str) -> Trashed | None:
    """Return an entry, None if it is gone.

    Raises
    ------
    InvalidDatasetError
        If we cannot have written it.
    """
    place = f"{TRASH}/{name}"
    try:
        data = trash.storage.read(f"{place}/entry.json", most=_MOST_BYTES)
    except NotFoundError:
        return None
    path = f"{trash.storage.where}/{place}/entry.json"
    content = parse_json(data, path, _EXPECTED)
    try:
        entry = TrashEntry(
            id=name,
            kind=_text(content["kind"]),
            name=_text(content["name"]),
            split=_text(content["split"]),
            deleted_at=time_of(content["deleted_at"]),
        )
        files = [(_text(file), _text(original)) for file, original in content["files"]]
        has_twin = bool(content.get("has_twin"))
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error
    _require_plausible(trash, path, entry, files)
    # Whoever restores or purges the entry lets go of its folder, so it must tell of all there is.
    told = {"entry.json", *(file for file, _ in files)}
    held = trash.storage.list(place)
    untold = [n for n in (*held.names, *held.folders) if n not in told and n[0] != "."]
    if untold:
        raise malformed(path, _EXPECTED, f"nothing of the file {untold[0]!r} beside it")
    there = [_is_there(trash, path, f"{place}/{file}", original) for file, original in files]
    # A folder whose files never arrived, or have been restored, is no entry.
    if not any(there):
        return None
    return Trashed(entry, place, files, has_twin)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where text should be")
    return value


def _require_plausible(
    trash: Trash, path: str, entry: TrashEntry, files: Sequence[tuple[str, str]]
) -> None:
    """Make sure that an entry leads only to where something of ours can have been."""
    if not is_plain(entry.name) or (entry.split and entry.split not in SPLITS):
        raise malformed(path, _EXPECTED, f"{entry.split}/{entry.name}")
    if not files:
        raise malformed(path, _EXPECTED, "no file")
    for name, original in files:
        try:
            place = trash.place_of(parts_of(original))
        except InvalidDatasetError:
            place = None
        if place not in _KINDS or not is_plain(name) or name == "entry.json":
            raise malformed(path, _EXPECTED, f"the file {name!r} of {original!r}")


def _is_there(trash: Trash, path: str, key: str, original: str) -> bool:
    """Whether an entry has a file; a link may be in the place of an image or a model only."""
    if not trash.storage.exists(key):
        return False
    place = trash.place_of(parts_of(original))
    if place is not None and _kind(trash.storage, key) not in _KINDS[place]:
        raise malformed(path, _EXPECTED, f"{key.rpartition('/')[2]!r}, which is no file")
    return True


def _kind(storage: Storage, key: str) -> str:
    try:
        if storage.head(key) is not None:
            return "value"
    except InvalidDatasetError:  # something else than a value
        pass
    try:
        storage.list(key)
    except InvalidDatasetError:  # nor a folder
        return "link"
    return "folder"
