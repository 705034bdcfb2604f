"""What stands beside the images and is small: their tags, and the accounts of imports."""

from __future__ import annotations

import asyncio
import logging

from workbench.errors import ConflictError, NotFoundError
from workbench.persistence.storage import Storage, Write
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.tags import Tags, check_tags, renamed, tags_bytes, tags_from
from workbench.persistence.yolo.names import HIDDEN, check_cache_key

_log = logging.getLogger(__name__)
_TAGS = f"{HIDDEN}/tags.json"
_IMPORTS = f"{HIDDEN}/imports"


def read_tags(storage: Storage) -> dict[str, list[str]]:
    """Return file names by tag."""
    try:
        return tags_from(storage.read(_TAGS), f"{storage.where}/{_TAGS}")
    except NotFoundError:
        return {}


def tags_written(tags: Tags) -> Write:
    """Return the change that lets a dataset have these tags."""
    return Write(_TAGS, tags_bytes(tags))


def tags_renamed(storage: Storage, old: str, new: str, *, keep_old: bool) -> list[Write]:
    """Return the changes that let the tags follow an image that gets another name.

    Parameters
    ----------
    keep_old : bool
        Whether an image of the old name is still there, in another split.
    """
    tags = read_tags(storage)
    if not any(old in names for names in tags.values()):
        return []
    return [tags_written(renamed(tags, old, new, keep_old=keep_old))]


def read_imports(storage: Storage) -> dict[str, bytes]:
    """Return the accounts of imports by their keys, oldest first."""
    names = sorted(name for name in storage.list(_IMPORTS).names if name.endswith(".json"))
    contents = storage.read_many([f"{_IMPORTS}/{name}" for name in names])
    found: dict[str, bytes] = {}
    for name, content in zip(names, contents, strict=True):
        if isinstance(content, Exception):
            _log.warning("the account %s of an import is left unread: %s", name, content)
        elif content is not None:
            found[name.removesuffix(".json")] = content
    return found


class SideData:
    """The part of a dataset store that keeps tags and accounts of imports."""

    _places: DatasetPlaces

    async def get_tags(self, name: str) -> dict[str, list[str]]:
        """Return file names by tag, both sorted.

        A tag belongs to a file name: it stays when the image moves to another split, goes
        with it when it is renamed, and waits for it while it is in the trash. So there may
        be names here that no image has.
        """

        def work() -> dict[str, list[str]]:
            storage = self._places.storage(name)
            return storage.consistently(lambda: read_tags(storage))

        return await asyncio.to_thread(work)

    async def save_tags(self, name: str, tags: Tags, *, expected: Tags | None = None) -> None:
        """Keep file names by tag, replacing all earlier ones; a tag without names is dropped.

        Parameters
        ----------
        expected : mapping, optional
            The tags that the caller last saw.

        Raises
        ------
        ConflictError
            If `expected` is given and the tags are others.
        InvalidDatasetError
            If a tag is empty, too long, or holds quotes or control characters.
        """
        checked = check_tags(tags)
        wanted = None if expected is None else check_tags(expected)

        def work() -> None:
            with self._places.changing(name) as (storage, writer):
                if wanted is not None and read_tags(storage) != wanted:
                    raise ConflictError(
                        f"{name}: somebody else has changed the tags meanwhile; get them again"
                    )
                writer.commit([tags_written(checked)])

        await asyncio.to_thread(work)

    async def load_imports(self, name: str) -> dict[str, bytes]:
        """Return the accounts of imports into the dataset by their keys, oldest first."""
        return await asyncio.to_thread(lambda: read_imports(self._places.storage(name)))

    async def save_import(self, name: str, key: str, data: bytes) -> None:
        """Keep the account of an import with the dataset.

        Parameters
        ----------
        key : str
            As for `save_cache`; keys sort by time.
        """
        path = f"{_IMPORTS}/{check_cache_key(key)}.json"

        def work() -> None:
            with self._places.changing(name) as (_, writer):
                writer.commit([Write(path, bytes(data))])

        await asyncio.to_thread(work)
