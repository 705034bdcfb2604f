"""An import into a dataset that exists: labels for its pictures, more pictures, or both.

A picture of the source is one that the dataset has if its bytes are the same, or if its name and
its size in pixels are. Where the source has no pictures, its annotations are for those that the
dataset has. Classes of the same name are one; others are appended, so no box changes its class.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.datasets.changes import Change, counted, nothing_to_undo
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.accounts import Account, new_account, take_back_import
from workbench.datasets.formats.choices import Choices, choices_from
from workbench.datasets.formats.columns import Row, count_labels
from workbench.datasets.formats.contents import Contents, contents_of, leave
from workbench.datasets.formats.ledger import Ledger
from workbench.datasets.formats.naming import absolute
from workbench.datasets.formats.plan import PlanFacts
from workbench.datasets.formats.reading import Picture
from workbench.datasets.formats.view import CONVERTIBLE, UNPACKED, VIDEOS, FolderView
from workbench.errors import ImportFormatError
from workbench.persistence import DataStores
from workbench.persistence.archive.directory import fold
from workbench.persistence.disk_errors import in_our_words, plainly
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    ImageKey,
    NewImage,
    Progress,
    no_progress,
)
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.stores.dataset import image_key
from workbench.persistence.stores.merging import Merge, WayBack
from workbench.persistence.yolo.names import stem

_EXISTING = ("keep", "add", "replace")
_NEW = ("add", "leave")
_BATCH = 256
_SAME = 6
"""Decimals in which two boxes have to agree to be one."""


class _DatasetView(FolderView):
    """A source of annotations whose pictures are those of a dataset."""

    def __init__(self, source: FolderView, heads: Mapping[ImageKey, bytes]) -> None:
        super().__init__(source.path, source.focus)
        self.origin = source.origin
        self._source = source
        self.keys = {image_key(*key): key for key in heads}
        self._pixels = {name: heads[key] for name, key in self.keys.items()}
        self._list([*source.names, *self.keys])
        self.pictures = list(self.keys)
        self.notes = source.notes

    def size(self, name: str) -> int:
        return len(self._pixels[name]) if name in self._pixels else self._source.size(name)

    def read(self, name: str) -> bytes:
        return self._pixels[name] if name in self._pixels else self._source.read(name)

    def head(self, name: str, length: int = 4096) -> bytes:
        if name in self._pixels:
            return self._pixels[name][:length]
        return self._source.head(name, length)

    def close(self) -> None:
        self._source.close()


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of an import into a dataset.

    Parameters
    ----------
    change : Change
        Undoing it takes all of it back.
    added : list of (str, str)
        New pictures, as ``(split, filename)``.
    labelled : list of (str, str)
        Pictures that were there and got labels.
    ledger : Ledger
    notes : list of str
    """

    change: Change
    added: list[ImageKey]
    labelled: list[ImageKey]
    ledger: Ledger
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Target:
    """The dataset that is added to, with its classes before, and the choices about it."""

    dataset: str
    classes: list[str]
    existing: str
    new: str

    def __post_init__(self) -> None:
        for text, allowed in ((self.existing, _EXISTING), (self.new, _NEW)):
            if text not in allowed:
                raise ImportFormatError(f"expected one of {', '.join(allowed)}, found {text!r}")


@dataclass(frozen=True, slots=True)
class _Aims:
    """What happens to which pictures.

    Parameters
    ----------
    classes : list of str
        Of the dataset afterwards.
    labels : dict of (str, str) to list of Annotation
        For pictures that are there, all that they will have.
    new : dict of str to (str, str)
        New pictures, by their names in the source.
    found : dict of str to (str, str)
        Those that are there.
    replaced : dict of str to (str, str)
        New pictures that take the place of others with the same name.
    """

    classes: list[str]
    labels: dict[ImageKey, list[Annotation]]
    new: dict[str, ImageKey]
    found: dict[str, ImageKey]
    replaced: dict[str, ImageKey]


class MergePlan(PlanFacts):
    """What will come of an import into a dataset; nothing has been written.

    Parameters
    ----------
    stores : DataStores
    view : FolderView
        Stays open until the plan is applied, closed or forgotten.
    contents : Contents
    choices : Choices
    target : _Target
    aims : _Aims
    """

    def __init__(
        self,
        stores: DataStores,
        view: FolderView,
        contents: Contents,
        choices: Choices,
        target: _Target,
        aims: _Aims,
    ) -> None:
        super().__init__(contents, choices)
        self._stores = stores
        self._view = view
        self._close = weakref.finalize(self, view.close)
        self._target = target
        self._aims = aims
        self._pictures = {picture.name: picture for picture in contents.pictures}

    @property
    def dataset(self) -> str:
        """Name of the dataset that it adds to."""
        return self._target.dataset

    @property
    def existing(self) -> str:
        """What is done with pictures that have labels already, see `plan_merge`."""
        return self._target.existing

    @property
    def new_pictures(self) -> str:
        """What is done with pictures that the dataset does not have, see `plan_merge`."""
        return self._target.new

    @property
    def classes(self) -> list[str]:
        """The classes of the dataset afterwards, in their order."""
        return list(self._aims.classes)

    @property
    def labels(self) -> dict[ImageKey, list[Annotation]]:
        """For pictures that are there, all boxes that they will have."""
        return self._aims.labels

    @property
    def new(self) -> dict[str, ImageKey]:
        """New pictures, by their names in the source."""
        return self._aims.new

    @property
    def found(self) -> dict[str, ImageKey]:
        """Pictures that are there already, by their names in the source."""
        return self._aims.found

    @property
    def replaced(self) -> dict[str, ImageKey]:
        """New pictures that take the place of others of their name."""
        return self._aims.replaced

    @plainly
    async def choose(
        self,
        *,
        existing: str | None = None,
        new: str | None = None,
        progress: Progress = no_progress,
        **changes: Any,
    ) -> MergePlan:
        """Return the plan with other choices, see `plan_merge`.

        Raises
        ------
        ImportFormatError
            If there is no such choice or value.
        """
        choices = choices_from(self.choices, changes)
        target = replace(
            self._target, existing=existing or self.existing, new=new or self.new_pictures
        )
        made = await _planned(self._stores, target, self._view, choices, progress)
        self._close.detach()
        return made

    @plainly
    async def apply(self, *, progress: Progress = no_progress) -> Merged:
        """Do it: all of it, or nothing at all.

        Raises
        ------
        ImportFormatError
            If questions are open.
        ConflictError
            If the dataset's classes have changed since.
        """
        if self.questions:
            raise ImportFormatError("; ".join(self.questions))
        with (
            in_our_words(f"{self._contents.view.path}, {UNPACKED}"),
            tempfile.TemporaryDirectory(prefix=scratch_prefix("import")) as scratch,
        ):
            images = await asyncio.to_thread(self._unpacked, Path(scratch), progress)
            kept: list[Account] = []

            def account(way: WayBack) -> tuple[str, bytes]:
                kept.append(self._account(way))
                return kept[-1].id, kept[-1].to_bytes()

            replacements = await self._replacements()
            merge = Merge(
                self._target.classes, self.classes, images, replacements, self.labels, account
            )
            way = await self._stores.dataset.merge(self.dataset, merge)
        self.close()
        change = self._change(way, kept[-1])
        return Merged(change, way.added, list(self.labels), self.ledger, self.notes)

    def _account(self, way: WayBack) -> Account:
        ids = {name: class_id for class_id, name in enumerate(self.classes)}
        every = self.new | self.found | self.replaced
        rows = [
            (key[1], self._pictures[name].rows or ())
            for name, key in every.items()
            if name in self.new or key in self.labels
        ]
        places = {name: "/".join(("images", *key)) for name, key in every.items()}
        account = new_account(self._view.origin, self.ledger, self.notes, rows, ids, places)
        return replace(account, way_back=way, classes=(self._target.classes, self.classes))

    def _unpacked(self, scratch: Path, progress: Progress) -> list[NewImage]:
        """Return the new pictures, which are written to `scratch` on the way."""
        ids = {name: class_id for class_id, name in enumerate(self.classes)}
        images = []
        for done, (name, (split, filename)) in enumerate(self.new.items(), start=1):
            path = scratch / f"{done}{Path(filename).suffix}"
            with path.open("wb") as file:
                file.writelines(self._contents.view.chunks(name))
            rows = self._pictures[name].rows
            boxes = None if rows is None else _annotations(rows, ids)
            images.append(NewImage(filename, split, path, boxes))
            progress(done, len(self.new))
        return images

    async def _replacements(self) -> list[ImageReplacement]:
        """Return the new pictures that take the place of others."""
        made = []
        for name, (split, filename) in self.replaced.items():
            old = await self._stores.image.read_bytes(self.dataset, split, filename)
            data = await asyncio.to_thread(self._contents.view.read, name)
            renamed = stem(filename) + Path(name).suffix.lower()
            made.append(ImageReplacement(split, filename, renamed, data, old))
        return made

    def _change(self, way: WayBack, account: Account) -> Change:
        pictures = counted(len(way.added) + len(way.replaced), "image")
        text = f"{pictures} and labels of {counted(len(way.edits), 'image')} imported"
        if not (way.added or way.edits or way.replaced):
            return Change(text, nothing_to_undo)

        async def undo() -> None:
            await take_back_import(self._stores, self.dataset, account)

        return Change(text, undo)

    def close(self) -> None:
        """Close the source; the plan can no longer be applied or changed."""
        self._close()


@plainly
async def plan_merge(
    stores: DataStores,
    path: Path | str,
    dataset: str,
    *,
    existing: str = "keep",
    new: str = "add",
    origin: str = "",
    progress: Progress = no_progress,
    **choices: Any,
) -> MergePlan:
    """Plan an import into a dataset that exists.

    Parameters
    ----------
    stores : DataStores
    path : Path or str
        As for `plan_import`; may hold annotations alone.
    dataset : str
    existing : str
        What to do with pictures that have labels already: ``keep`` these, ``add`` to them or
        ``replace`` them.
    new : str
        ``add`` pictures that the dataset does not have, or ``leave`` them out.
    origin : str
        What the account shall call the source; default: its path.
    **choices
        See `Choices`; ``classes`` maps the source's classes to the dataset's.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`, or no such dataset.
    ArchiveError, ImportFormatError
        If it cannot be imported.
    """
    chosen = choices_from(Choices(), choices)
    info = await stores.dataset.get(dataset)
    target = _Target(info.name, info.classes, existing, new)
    view = await asyncio.to_thread(FolderView.open, absolute(path), may_be_bare=True)
    view.origin = origin or view.origin
    try:
        if not (view.pictures or view.others(CONVERTIBLE | VIDEOS)):
            keys = [(image.split, image.filename) for image in await stores.image.list(dataset)]
            view = _DatasetView(view, await _heads(stores, dataset, keys))
        return await _planned(stores, target, view, chosen, progress)
    except BaseException:
        view.close()
        raise


async def _heads(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey]
) -> dict[ImageKey, bytes]:
    heads: dict[ImageKey, bytes] = {}
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        for key, data in zip(batch, await stores.image.read_many(dataset, batch), strict=True):
            if isinstance(data, bytes):
                # Enough for the size; what has a longer header is kept whole.
                heads[key] = data if len(data) < 2**16 else data[: 2**16]
    return heads


async def _matches(
    stores: DataStores,
    dataset: str,
    keys: Sequence[ImageKey],
    view: FolderView,
    contents: Contents,
) -> dict[str, ImageKey]:
    """Return the dataset's picture for each of the source's that it has already."""
    if isinstance(view, _DatasetView):
        return dict(view.keys)
    view = contents.view
    table = await stores.image.scan(dataset)
    lengths: dict[int, list[ImageKey]] = {}
    for filename, split, size in zip(
        table.filenames, table.split.tolist(), table.size_bytes.tolist(), strict=True
    ):
        lengths.setdefault(size, []).append((SPLITS[split], filename))
    named: dict[str, list[ImageKey]] = {}
    for known in keys:
        named.setdefault(fold(known[1]), []).append(known)
    found: dict[str, ImageKey] = {}
    owned: set[ImageKey] = set()
    for picture in contents.pictures:
        same_length = lengths.get(view.size(picture.name), [])
        key: ImageKey | None = await _same_bytes(stores, dataset, same_length, view, picture.name)
        if key is None:
            base = fold(picture.name.rpartition("/")[2])
            key = await _same_size(stores, dataset, named.get(base, []), picture)
        if key is not None and key not in owned:
            owned.add(key)
            found[picture.name] = key
    return found


async def _same_bytes(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey], view: FolderView, name: str
) -> ImageKey | None:
    if not keys:
        return None
    digest = hashlib.sha256(await asyncio.to_thread(view.read, name)).digest()
    for key in keys:
        data = await stores.image.read_bytes(dataset, *key)
        if hashlib.sha256(data).digest() == digest:
            return key
    return None


async def _same_size(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey], picture: Picture
) -> ImageKey | None:
    if len(keys) != 1:
        return None
    sizes = await stores.image.measure_many(dataset, keys)
    return keys[0] if tuple(sizes[0].tolist()) == picture.size else None


async def _planned(
    stores: DataStores,
    target: _Target,
    view: FolderView,
    choices: Choices,
    progress: Progress,
) -> MergePlan:
    dataset = target.dataset
    contents = await asyncio.to_thread(contents_of, view, choices, progress)
    images = await stores.image.list(dataset)
    infos = {(image.split, image.filename): image.has_labels for image in images}
    found = await _matches(stores, dataset, list(infos), view, contents)
    used = set(count_labels(picture.rows for picture in contents.pictures))
    before = target.classes
    classes = before + [name for name in contents.classes if name in used - set(before)]
    ids = {name: class_id for class_id, name in enumerate(classes)}
    owners = {(split, fold(stem(filename))): (split, filename) for split, filename in infos}
    taken = set(owners)
    aims = _Aims(classes, {}, {}, found, {})
    ledger = contents.ledger
    for picture in contents.pictures:
        key = found.get(picture.name)
        if key is not None:
            if picture.rows is None:
                continue
            if infos[key] and target.existing == "keep":
                leave(ledger, picture, why.LABELLED_ALREADY)
                continue
            boxes = _annotations(picture.rows, ids)
            if infos[key] and target.existing == "add":
                old = await stores.label.load(dataset, *key)
                seen = {_rounded(box) for box in old}
                boxes = old + [box for box in boxes if _rounded(box) not in seen]
            aims.labels[key] = boxes
            continue
        if target.new == "leave":
            leave(ledger, picture, why.NOT_HERE, whole=True)
            continue
        _, split, filename = contents.targets[picture.name].split("/")
        place = split, fold(stem(filename))
        if place not in taken or choices.clashes == "rename":
            aims.new[picture.name] = _free(split, filename, taken)
        elif choices.clashes == "replace" and place in owners:
            key = owners.pop(place)
            aims.replaced[picture.name] = key
            if picture.rows is not None:
                aims.labels[key] = _annotations(picture.rows, ids)
        else:
            leave(ledger, picture, why.NAME_TAKEN, whole=True)
    ledger.check()
    contents.notes[:] = dict.fromkeys([*contents.notes, *ledger.sentences()])
    return MergePlan(stores, view, contents, choices, target, aims)


def _free(split: str, filename: str, taken: set[tuple[str, str]]) -> ImageKey:
    """Return a key whose label file no other picture has, and keep it."""
    base, suffix = stem(filename), filename[len(stem(filename)) :]
    name, number = filename, 2
    while (split, fold(stem(name))) in taken:
        name = f"{base}_{number}{suffix}"
        number += 1
    taken.add((split, fold(stem(name))))
    return split, name


def _annotations(rows: Sequence[Row], ids: Mapping[str, int]) -> list[Annotation]:
    return [Annotation(ids[r.label], r.x, r.y, r.width, r.height) for r in rows]


def _rounded(box: Annotation) -> tuple[float, ...]:
    return (box.class_id, *(round(value, _SAME) for value in box.xywh))
