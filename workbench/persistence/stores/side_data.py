"""What stands beside the images and is small: tags, prompts, caches, the accounts of imports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from workbench.errors import ConflictError, NotFoundError
from workbench.persistence.rules import check_prompts
from workbench.persistence.stopping import Stop, done_in_thread, to_its_end
from workbench.persistence.storage import Storage, Write
from workbench.persistence.stores import caches, merging
from workbench.persistence.stores.merging import IMPORTS, Merge, WayBack
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.stores.prompt_file import prompts_written, read_prompts
from workbench.persistence.tags import Tags, check_tags, renamed, tags_bytes, tags_from
from workbench.persistence.yolo.names import HIDDEN, check_cache_key

_log = logging.getLogger(__name__)
TAGS = f"{HIDDEN}/tags.json"


def read_tags(storage: Storage) -> dict[str, list[str]]:
    """Return file names by tag."""
    try:
        return tags_from(storage.read(TAGS), f"{storage.where}/{TAGS}")
    except NotFoundError:
        return {}


def tags_written(tags: Tags) -> Write:
    """Return the change that lets a dataset have these tags."""
    return Write(TAGS, tags_bytes(tags))


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
    names = sorted(name for name in storage.list(IMPORTS).names if name.endswith(".json"))
    contents = storage.read_many([f"{IMPORTS}/{name}" for name in names])
    found: dict[str, bytes] = {}
    for name, content in zip(names, contents, strict=True):
        if isinstance(content, Exception):
            _log.warning("the account %s of an import is left unread: %s", name, content)
        elif content is not None:
            found[name.removesuffix(".json")] = content
    return found


class SideData:
    """The part of a dataset store that keeps tags, prompts, caches and accounts of imports."""

    _places: DatasetPlaces

    async def get_tags(self, name: str) -> dict[str, list[str]]:
        """Return file names by tag, both sorted.

        A tag belongs to a file name: it stays when the image moves to another split, goes
        with it when it is renamed, and waits for it while it is in the trash. So there may
        be names here that no image has.
        """
        dataset = self._places.open(name)

        def work() -> dict[str, list[str]]:
            dataset.read()
            return read_tags(dataset.storage)

        return await asyncio.to_thread(dataset.consistently, work)

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

        await done_in_thread(f"a change of dataset {name}", work)

    async def load_imports(self, name: str) -> dict[str, bytes]:
        """Return the accounts of imports into the dataset by their keys, oldest first."""
        return await asyncio.to_thread(lambda: read_imports(self._places.storage(name)))

    async def merge(self, name: str, what: Merge) -> WayBack:
        """Bring images, labels, classes and an account of them in: all of it, or nothing at all.

        Raises
        ------
        ConflictError
            If the classes are not what somebody has seen.
        AlreadyExistsError, InvalidNameError, LossySaveError
            As `ImageStore.add_many`, `ImageStore.replace_many` and `LabelStore.save_many` do.
        """
        dataset = self._places.open(name)
        stop = Stop()

        def account(way: WayBack) -> tuple[str, bytes]:
            made = what.account(way)
            stop.check()  # the last chance: what comes now is the commit
            return made

        work = asyncio.to_thread(merging.merge, dataset, replace(what, account=account))
        return await to_its_end(f"import into {name}", work, stop)

    async def take_back(
        self,
        name: str,
        way: WayBack,
        account: tuple[str, bytes],
        classes: tuple[Sequence[str], Sequence[str]] = ((), ()),
    ) -> None:
        """Take a merge back: all of it, or nothing.

        The images that it brought go to the trash. Its classes go where they are still the last
        ones, and neither boxes nor prompts use them.

        Parameters
        ----------
        name : str
        way : WayBack
        account : (str, bytes)
            Key and bytes of what is said of the merge from now on.
        classes : (sequence of str, sequence of str)
            Those before the merge, and those after it.

        Raises
        ------
        ConflictError
            If labels or images are not what the merge left.
        NotFoundError
            If something of it is not there any more.
        """
        dataset = self._places.open(name)
        what = f"taking back an import into {name}"
        await done_in_thread(what, merging.take_back, dataset, way, account, classes)

    async def save_prompts(self, name: str, prompts: Mapping[int, Sequence[str]]) -> None:
        """Keep text prompts (for YOLO-World and its like) by class id, replacing all earlier ones.

        Raises
        ------
        InvalidDatasetError
            If a class id is not one of the dataset's, or a prompt is empty.
        """
        dataset = self._places.open(name)

        def work() -> None:
            with dataset.leased() as (yaml, writer):
                checked = check_prompts(prompts, len(yaml.classes))
                writer.commit([prompts_written(checked)])

        await done_in_thread(f"a change of dataset {name}", work)

    async def get_prompts(self, name: str) -> dict[int, list[str]]:
        """Return the prompts by class id; empty if none were saved."""
        dataset = self._places.open(name)

        def work() -> dict[int, list[str]]:
            num_classes = len(dataset.read().classes)
            prompts = read_prompts(dataset.storage)
            # An archive from elsewhere may hold prompts for classes that it does not have.
            return {i: texts for i, texts in prompts.items() if i < num_classes}

        return await asyncio.to_thread(dataset.consistently, work)

    async def load_cache(self, name: str, key: str) -> bytes | None:
        """Return what `save_cache` kept under this key; None if there is nothing."""
        dataset = self._places.open(name)
        return await asyncio.to_thread(caches.load, dataset, check_cache_key(key))

    async def save_cache(self, name: str, key: str, data: bytes) -> None:
        """Keep something that was derived from the dataset and can be derived again.

        A cache is no edit: it changes no time and no revision, does not travel in archives
        and snapshots, and may be gone tomorrow. Where it cannot be written (a read-only
        disk), nothing is kept. It is replaced as a whole, so that no reader sees half of it.

        Parameters
        ----------
        key : str
            Of lower-case letters, digits, ``_``, ``-`` and ``.``, beginning and ending with
            a letter or a digit. Say in it, or in `data`, which format the data have.

        Raises
        ------
        InvalidNameError
            If `key` is anything else.
        """
        dataset = self._places.open(name)
        what = f"a cache of dataset {name}"
        await done_in_thread(what, caches.save, dataset, check_cache_key(key), bytes(data))

    async def drop_caches(self, name: str, keys: Iterable[str]) -> None:
        """Remove what `save_cache` kept under these keys, if it is there."""
        dataset = self._places.open(name)
        checked = [check_cache_key(key) for key in keys]
        await done_in_thread(f"a cache of dataset {name}", caches.drop, dataset, checked)
