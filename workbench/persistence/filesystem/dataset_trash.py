"""The trash of whole datasets, which no transaction can hold: what is purged goes by renames."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import opened_folder
from workbench.persistence.stores.trash import GONE, TRASH, Trash, Trashed, leftovers

_log = logging.getLogger(__name__)


def discard(trash: Trash, entries: Sequence[Trashed]) -> None:
    """Remove entries for good, where no transaction can do it: all, or none."""
    # Renamed first, so that no crash leaves an entry with only some of its files.
    root, done = trash.storage.where, list[str]()
    with opened_folder(f"{root}/{TRASH}") as folder:
        try:
            for trashed in entries:
                inside.rename(root, trashed.folder, f"{trashed.folder}{GONE}")
                done.append(trashed.folder)
            folder.sync()
        except BaseException:
            for name in done:
                inside.rename(root, f"{name}{GONE}", name)
            raise
    sweep(trash)


def sweep(trash: Trash) -> None:
    """Remove what is left of entries that were purged or restored, as far as that can be."""
    try:
        for key in leftovers(trash):
            inside.remove(trash.storage.where, key)
    except OSError as error:
        _log.warning("what was purged from %s is removed later: %s", trash.storage.where, error)
