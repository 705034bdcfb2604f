"""Trash folders: what is deleted can be brought back until it is purged.

Each deleted thing has a folder ``<trash>/<id>/`` with ``entry.json`` and its files. Ids
begin with the time, so that they sort by it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workbench.errors import NotFoundError
from workbench.persistence.filesystem.atomic import fsync_folder, remove_tree
from workbench.persistence.filesystem.label_table import read_file
from workbench.persistence.filesystem.paths import is_image_name
from workbench.persistence.models import TrashEntry
from workbench.persistence.rules import trash_entry

_log = logging.getLogger(__name__)
_GONE = ".gone"


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
    trash: str,
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
    return Trashed(entry, f"{trash}/{entry.id}", files, has_twin)


def list_entries(trash: str) -> list[Trashed]:
    """Return what is in the trash, oldest first."""
    try:
        names = sorted(os.listdir(trash))
    except FileNotFoundError:
        return []
    entries = (_read(f"{trash}/{name}") for name in names if not name.endswith(_GONE))
    return [found for found in entries if found is not None]


def find(trash: str, entry_id: str) -> Trashed:
    """Return one entry.

    Raises
    ------
    NotFoundError
        If it is not in the trash.
    """
    found = None if os.path.basename(entry_id) != entry_id else _read(f"{trash}/{entry_id}")
    if found is None:
        raise NotFoundError(f"{entry_id!r} is not in the trash ({trash}): purged or restored?")
    return found


def read_images(trash: str, entry_ids: Sequence[str]) -> list[bytes | Exception]:
    """Return the bytes of deleted images, or what keeps one from being read."""
    contents: list[bytes | Exception] = []
    for entry_id in entry_ids:
        try:
            contents.append(_read_image(find(trash, entry_id)))
        except (NotFoundError, OSError) as error:
            contents.append(error)
    return contents


def _read_image(trashed: Trashed) -> bytes:
    for name, original in trashed.files:
        if is_image_name(os.path.basename(original)):
            return read_file(f"{trashed.folder}/{name}")
    raise NotFoundError(f"{trashed.entry.id!r} holds the labels of {trashed.entry.name}, no image")


def purge(trash: str, entry_id: str | None, kinds: frozenset[str]) -> int:
    """Remove one entry, or all of the given kinds, for good; return how many."""
    if entry_id is not None:
        _discard(find(trash, entry_id).folder)
        return 1
    doomed = [found for found in list_entries(trash) if found.entry.kind in kinds]
    for found in doomed:
        _discard(found.folder)
    _sweep(trash)
    return len(doomed)


def _discard(folder: str) -> None:
    # Renamed first, so that no crash leaves an entry with only some of its files.
    os.rename(folder, f"{folder}{_GONE}")
    fsync_folder(os.path.dirname(folder))
    remove_tree(f"{folder}{_GONE}")


def _sweep(trash: str) -> None:
    """Remove what crashes left of entries that were purged or restored."""
    for name in os.listdir(trash) if os.path.isdir(trash) else ():
        if name.endswith(_GONE) or _read(f"{trash}/{name}") is None:
            remove_tree(f"{trash}/{name}")


def _read(folder: str) -> Trashed | None:
    try:
        with open(f"{folder}/entry.json", "rb") as file:
            content = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        _log.warning("trash entry left out: %s/entry.json: %s", folder, error)
        return None
    entry = TrashEntry(
        id=os.path.basename(folder),
        kind=content["kind"],
        name=content["name"],
        split=content["split"],
        deleted_at=datetime.fromisoformat(content["deleted_at"]),
    )
    files = [(name, original) for name, original in content["files"]]
    # A folder whose files never arrived, or have been restored, is no entry.
    if files and not any(os.path.lexists(f"{folder}/{name}") for name, _ in files):
        return None
    return Trashed(entry, folder, files, bool(content.get("has_twin")))
