"""An import into a dataset that exists: labels for its pictures, more pictures, or both.

A picture of the source is one that the dataset has if its bytes are the same, or if its name and
its size in pixels are. Where the source has no pictures, its annotations are for those that the
dataset has. Classes of the same name are one; others are appended, so no box changes its class.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.datasets.changes import Change, counted, nothing_to_undo, undoing
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.accounts import new_account
from workbench.datasets.formats.choices import Choices, choices_from
from workbench.datasets.formats.ledger import ANNOTATIONS, PICTURES, Entry, Ledger
from workbench.datasets.formats.naming import absolute
from workbench.datasets.formats.plan import Contents, contents_of
from workbench.datasets.formats.reading import Picture, Row
from workbench.datasets.formats.view import CONVERTIBLE, VIDEOS, FolderView
from workbench.errors import ConflictError, ImportFormatError
from workbench.persistence import DataStores
from workbench.persistence.archive.directory import fold
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    ImageKey,
    NewImage,
    Progress,
    no_progress,
)

_EXISTING = ("keep", "add", "replace")
_NEW = ("add", "leave")
_BATCH = 256
_SAME = 6
"""Decimals in which two boxes have to agree to be one."""


class _DatasetView(FolderView):
    """A source of annotations whose pictures are those of a dataset."""

    def __init__(self, source: FolderView, heads: Mapping[ImageKey, bytes]) -> None:
        super().__init__(source.path, source.focus)
        self._source = source
        self.keys = {f"images/{split}/{filename}": (split, filename) for split, filename in heads}
        self._pixels = {name: heads[key] for name, key in self.keys.items()}
        self.names = [*source.names, *self.keys]
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


@dataclass(slots=True)
class MergePlan:
    """What will come of an import into a dataset; nothing has been written.

    Parameters
    ----------
    dataset : str
    classes : list of str
        Of the dataset afterwards.
    labels : dict of (str, str) to list of Annotation
        For pictures that are there, all that they will have.
    new, found : dict of str to (str, str)
        New pictures, and those that are there, by their names in the source.
    ledger : Ledger
    notes : list of str
    questions : list of str
    """

    dataset: str
    classes: list[str]
    labels: dict[ImageKey, list[Annotation]]
    new: dict[str, ImageKey]
    found: dict[str, ImageKey]
    ledger: Ledger
    notes: list[str]
    questions: list[str]
    _stores: DataStores
    _view: FolderView
    _pictures: dict[str, Picture]
    _before: list[str] = field(default_factory=list)

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
        info = await self._stores.dataset.get(self.dataset)
        if info.classes != self._before:
            raise ConflictError(
                f"{self.dataset}: the classes have changed since the import was planned; nothing "
                f"was imported, so plan it again"
            )
        added: list[ImageKey] = []
        edits: list[str] = []
        try:
            if self.classes != self._before:
                await self._stores.dataset.update_classes(self.dataset, self.classes)
            added += await self._add(progress)
            if self.labels:
                await self._stores.label.save_many(self.dataset, self.labels)
                edits += [await self._last_edit(key) for key in self.labels]
        except BaseException:
            await self._take_back(added, edits)
            raise
        finally:
            self._view.close()
        labelled = list(self.labels)
        await self._keep_account()
        return Merged(self._change(added, edits), added, labelled, self.ledger, self.notes)

    async def _keep_account(self) -> None:
        ids = {name: class_id for class_id, name in enumerate(self.classes)}
        rows = [
            (key[1], self._pictures[name].rows or ())
            for name, key in (self.new | self.found).items()
            if name in self.new or key in self.labels
        ]
        account = new_account(str(self._view.path), self.ledger, self.notes, rows, ids)
        await self._stores.dataset.save_import(self.dataset, account.id, account.to_bytes())

    async def _add(self, progress: Progress) -> list[ImageKey]:
        if not self.new:
            return []
        ids = {name: class_id for class_id, name in enumerate(self.classes)}
        with tempfile.TemporaryDirectory(prefix="workbench-import-") as scratch:
            images = await asyncio.to_thread(self._unpacked, Path(scratch), ids, progress)
            infos = await self._stores.image.add_many(self.dataset, images)
        return [(info.split, info.filename) for info in infos]

    def _unpacked(
        self, scratch: Path, ids: Mapping[str, int], progress: Progress
    ) -> list[NewImage]:
        images = []
        for done, (name, (split, filename)) in enumerate(self.new.items(), start=1):
            path = scratch / f"{done}{Path(filename).suffix}"
            with path.open("wb") as file:
                file.writelines(self._view.chunks(name))
            rows = self._pictures[name].rows
            boxes = None if rows is None else _annotations(rows, ids)
            images.append(NewImage(filename, split, path, boxes))
            progress(done, len(self.new))
        return images

    async def _last_edit(self, key: ImageKey) -> str:
        edits = await self._stores.label.history(self.dataset, *key)
        return edits[-1].id

    def _change(self, added: list[ImageKey], edits: list[str]) -> Change:
        text = (
            f"{counted(len(added), 'image')} and labels of {counted(len(edits), 'image')} imported"
        )
        if not added and not edits:
            return Change(text, nothing_to_undo)

        async def undo() -> None:
            with undoing(text):
                await self._take_back(added, edits)

        return Change(text, undo)

    async def _take_back(self, added: Sequence[ImageKey], edits: Sequence[str]) -> None:
        if edits:
            await self._stores.label.revert_many(self.dataset, edits, what="undo")
        if added:
            await self._stores.image.delete_many(self.dataset, added)
        info = await self._stores.dataset.get(self.dataset)
        if info.classes == self.classes != self._before:
            await self._stores.dataset.update_classes(self.dataset, self._before)

    def close(self) -> None:
        """Close the source."""
        self._view.close()


async def plan_merge(
    stores: DataStores,
    path: Path | str,
    dataset: str,
    *,
    existing: str = "keep",
    new: str = "add",
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
    **choices
        See `Choices`; ``classes`` maps the source's classes to the dataset's.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`, or no such dataset.
    ArchiveError, ImportFormatError
        If it cannot be imported.
    """
    for text, allowed in ((existing, _EXISTING), (new, _NEW)):
        if text not in allowed:
            raise ImportFormatError(f"expected one of {', '.join(allowed)}, found {text!r}")
    chosen = choices_from(Choices(), choices)
    info = await stores.dataset.get(dataset)
    view = await asyncio.to_thread(FolderView.open, absolute(path), may_be_bare=True)
    try:
        keys = [(image.split, image.filename) for image in await stores.image.list(dataset)]
        if not (view.pictures or view.others(CONVERTIBLE | VIDEOS)):
            view = _DatasetView(view, await _heads(stores, dataset, keys))
        contents = await asyncio.to_thread(contents_of, view, chosen, progress)
        view = contents.view
        found = await _matches(stores, dataset, keys, view, contents)
        return await _planned(stores, dataset, info.classes, view, contents, found, existing, new)
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
    for picture in contents.pictures:
        same_length = lengths.get(view.size(picture.name), [])
        key: ImageKey | None = await _same_bytes(stores, dataset, same_length, view, picture.name)
        if key is None:
            base = fold(picture.name.rpartition("/")[2])
            key = await _same_size(stores, dataset, named.get(base, []), picture)
        if key is not None and key not in found.values():
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
    dataset: str,
    before: list[str],
    view: FolderView,
    contents: Contents,
    found: Mapping[str, ImageKey],
    existing: str,
    new: str,
) -> MergePlan:
    used = {row.label for picture in contents.pictures for row in picture.rows or ()}
    classes = before + [name for name in contents.classes if name in used - set(before)]
    ids = {name: class_id for class_id, name in enumerate(classes)}
    infos = {(i.split, i.filename): i.has_labels for i in await stores.image.list(dataset)}
    taken = {(split, fold(_stem(filename))) for split, filename in infos}
    labels: dict[ImageKey, list[Annotation]] = {}
    fresh: dict[str, ImageKey] = {}
    pictures = {picture.name: picture for picture in contents.pictures}
    ledger = contents.ledger
    for name, picture in pictures.items():
        key = found.get(name)
        if key is None:
            if new == "leave":
                _leave(ledger, picture, why.NOT_HERE, picture.rows or (), whole=True)
                continue
            fresh[name] = _free(contents.targets[name], taken)
        elif picture.rows is None:
            continue
        elif infos[key] and existing == "keep":
            _leave(ledger, picture, why.LABELLED_ALREADY, picture.rows)
        else:
            boxes = _annotations(picture.rows, ids)
            if infos[key] and existing == "add":
                old = await stores.label.load(dataset, *key)
                seen = {_rounded(box) for box in old}
                boxes = old + [box for box in boxes if _rounded(box) not in seen]
            labels[key] = boxes
    ledger.check()
    notes = [*contents.notes, *ledger.sentences()]
    notes = list(dict.fromkeys(notes))
    return MergePlan(
        *(dataset, classes, labels, fresh, dict(found), ledger, notes, contents.questions),
        *(stores, view, pictures, list(before)),
    )


def _leave(
    ledger: Ledger, picture: Picture, reason: str, rows: Sequence[Row], *, whole: bool = False
) -> None:
    split = picture.split or SPLITS[0]
    for _ in rows:
        ledger.add(Entry(ANNOTATIONS, "left", reason, picture.name, 0, picture.name, split))
    ledger.taken[ANNOTATIONS] -= len(rows)
    ledger.by_split[ANNOTATIONS, split] -= len(rows)
    if whole:
        ledger.add(Entry(PICTURES, "left", reason, picture.name, 0, picture.name, split))
        ledger.taken[PICTURES] -= 1
        ledger.by_split[PICTURES, split] -= 1


def _free(target: str, taken: set[tuple[str, str]]) -> ImageKey:
    """Return a key whose label file no other picture has, and keep it."""
    _, split, filename = target.split("/")
    stem, suffix = _stem(filename), filename[len(_stem(filename)) :]
    name, number = filename, 2
    while (split, fold(_stem(name))) in taken:
        name = f"{stem}_{number}{suffix}"
        number += 1
    taken.add((split, fold(_stem(name))))
    return split, name


def _annotations(rows: Sequence[Row], ids: Mapping[str, int]) -> list[Annotation]:
    return [Annotation(ids[r.label], r.x, r.y, r.width, r.height) for r in rows]


def _rounded(box: Annotation) -> tuple[float, ...]:
    return (box.class_id, *(round(value, _SAME) for value in box.xywh))


def _stem(filename: str) -> str:
    return filename[: filename.rfind(".")]
