"""Trash folders: what is deleted can be brought back until it is purged.

Each deleted thing has a folder ``<trash>/<id>/`` with ``entry.json`` and its files. Ids
begin with the time, so that they sort by it.

An entry says where its files were, and a stranger may have written it. One that leads
anywhere else than to where something of ours can have been is left alone, and logged.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workbench.errors import InvalidDatasetError, NotFoundError, WorkbenchError
from workbench.persistence.models import SPLITS, TrashEntry
from workbench.persistence.rules import trash_entry
from workbench.persistence.storage.keys import is_plain, parts_of
from workbench.persistence.storage.layout import Place, PlaceOf
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import opened_folder
from workbench.persistence.stored_json import malformed
from workbench.persistence.yolo.names import HIDDEN, is_image_name

_log = logging.getLogger(__name__)
_TRASH = f"{HIDDEN}/trash"
_GONE = ".gone"
_EXPECTED = "what was deleted and where it was"
_MOST_BYTES = 1 << 20
_DELETED = frozenset({Place.IMAGE, Place.LABELS, Place.MODEL})


@dataclass(frozen=True, slots=True)
class Trash:
    """A trash folder.

    Parameters
    ----------
    root : str
        The folder whose hidden folder holds it.
    place_of : callable
        What a path below the root is, see `plans`; only some can have been deleted.
    """

    root: str
    place_of: PlaceOf

    @property
    def path(self) -> str:
        """Where the entries are."""
        return f"{self.root}/{_TRASH}"


@dataclass(frozen=True, slots=True)
class Trashed:
    """A trash entry with the way back.

    Parameters
    ----------
    entry : TrashEntry
    folder : str
        Of the entry.
    files : list of (str, str)
        Name inside `folder`, and the path it had, relative to the root that was emptied.
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
    files = [(f"{i}-{os.path.basename(path)}", path) for i, path in enumerate(originals)]
    return Trashed(entry, f"{trash.path}/{entry.id}", files, has_twin)


def list_entries(trash: Trash) -> list[Trashed]:
    """Return what is in the trash, oldest first."""
    found = []
    for name in _names(trash):
        if not name.endswith(_GONE):
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
        return inside.names(trash.root, _TRASH)
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
        raise NotFoundError(f"{entry_id!r} is not in the trash ({trash.path}): purged or restored?")
    return found


def read_images(trash: Trash, entry_ids: Sequence[str]) -> list[bytes | Exception]:
    """Return the bytes of deleted images, or what keeps one from being read."""
    contents: list[bytes | Exception] = []
    for entry_id in entry_ids:
        try:
            contents.append(_read_image(trash, find(trash, entry_id)))
        except (WorkbenchError, OSError) as error:
            contents.append(error)
    return contents


def _read_image(trash: Trash, trashed: Trashed) -> bytes:
    for name, original in trashed.files:
        if is_image_name(os.path.basename(original)):
            return inside.read(trash.root, f"{_TRASH}/{trashed.entry.id}/{name}")
    raise NotFoundError(f"{trashed.entry.id!r} holds the labels of {trashed.entry.name}, no image")


def doomed(trash: Trash, entry_id: str | None, kinds: frozenset[str]) -> list[Trashed]:
    """Return the entries to purge: one, or all of the given kinds."""
    if entry_id is not None:
        return [find(trash, entry_id)]
    return [found for found in list_entries(trash) if found.entry.kind in kinds]


def discard(trash: Trash, entries: Sequence[Trashed]) -> None:
    """Remove entries for good, where no transaction can do it: all, or none."""
    # Renamed first, so that no crash leaves an entry with only some of its files.
    done: list[str] = []
    with opened_folder(trash.path) as sync:
        try:
            for trashed in entries:
                name = f"{_TRASH}/{trashed.entry.id}"
                inside.rename(trash.root, name, f"{name}{_GONE}")
                done.append(name)
            sync()
        except BaseException:
            for name in done:
                inside.rename(trash.root, f"{name}{_GONE}", name)
            raise
    sweep(trash)


def sweep(trash: Trash) -> None:
    """Remove what is left of entries that were purged or restored, as far as that can be."""
    try:
        for name in _names(trash):
            try:
                is_left = name.endswith(_GONE) or _read(trash, name) is None
            except InvalidDatasetError:  # not ours, so it is left alone
                continue
            if is_left:
                inside.remove(trash.root, f"{_TRASH}/{name}")
    except OSError as error:
        _log.warning("what was purged from %s is removed later: %s", trash.path, error)


def _read(trash: Trash, name: str) -> Trashed | None:
    """Return an entry, None if it is gone.

    Raises
    ------
    InvalidDatasetError
        If we cannot have written it.
    """
    place = f"{_TRASH}/{name}"
    try:
        content = inside.read_json(trash.root, f"{place}/entry.json", _EXPECTED, most=_MOST_BYTES)
    except FileNotFoundError:
        return None
    path = f"{trash.path}/{name}/entry.json"
    try:
        entry = TrashEntry(
            id=name,
            kind=_text(content["kind"]),
            name=_text(content["name"]),
            split=_text(content["split"]),
            deleted_at=datetime.fromisoformat(content["deleted_at"]),
        )
        files = [(_text(file), _text(original)) for file, original in content["files"]]
        has_twin = bool(content.get("has_twin"))
        if entry.deleted_at.tzinfo is None:
            raise ValueError(f"a time without time zone, {content['deleted_at']!r}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise malformed(path, _EXPECTED, error) from error
    _require_plausible(trash, path, entry, files)
    there = [_is_there(trash, path, f"{place}/{file}", original) for file, original in files]
    # A folder whose files never arrived, or have been restored, is no entry.
    if not any(there):
        return None
    return Trashed(entry, f"{trash.path}/{name}", files, has_twin)


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
        if place not in _DELETED or not is_plain(name) or name == "entry.json":
            raise malformed(path, _EXPECTED, f"the file {name!r} of {original!r}")


def _is_there(trash: Trash, path: str, name: str, original: str) -> bool:
    """Whether an entry has a file; a link may be in the place of an image only."""
    mode = inside.mode_of(trash.root, name)
    place = trash.place_of(parts_of(original))
    is_right = {
        Place.MODEL: stat.S_ISDIR(mode) or stat.S_ISLNK(mode),
        Place.IMAGE: stat.S_ISREG(mode) or stat.S_ISLNK(mode),
        Place.LABELS: stat.S_ISREG(mode),
    }
    if mode and place is not None and not is_right[place]:
        raise malformed(path, _EXPECTED, f"{os.path.basename(name)!r}, which is no file")
    return bool(mode)
