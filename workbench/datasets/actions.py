"""What is done to a selection of images or boxes; each action is whole, and can be undone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from workbench.datasets.changes import BoxRef, Change, counted, nothing_to_undo, undoing
from workbench.datasets.uploads import NewFile, Upload, add_files, joined
from workbench.errors import ConflictError
from workbench.persistence import DataStores
from workbench.persistence.models import (
    SPLITS,
    ImageKey,
    ImageMove,
    Progress,
    RowPatch,
    TrashEntry,
    no_progress,
)

__all__ = ["Actions", "BoxRef", "Change", "NewFile", "Upload"]

_ATTEMPTS = 5
"""How often tags are changed again when somebody else changes them at the same moment."""


class Actions:
    """Actions on chosen images and boxes of one dataset.

    Parameters
    ----------
    stores : DataStores
    dataset : str

    Notes
    -----
    Images are given as ``(split, filename)``. Each action that changes the dataset happens
    as a whole or not at all, and returns a `Change` whose ``undo`` takes it back. All but
    those on tags, which belong to names, raise `NotFoundError` if an image is not there
    (any more).
    """

    def __init__(self, stores: DataStores, dataset: str) -> None:
        self._stores = stores
        self._dataset = dataset

    async def move(self, keys: Iterable[ImageKey], split: str) -> Change:
        """Move images with their labels to another split."""
        moves = [ImageMove(name, source, split) for source, name in _distinct(keys)]
        moves = [way for way in moves if way.from_split != split]
        await self._stores.image.move_many(self._dataset, moves)
        return moved_back(self._stores, self._dataset, moves, f"moved to {split}")

    async def delete(self, keys: Iterable[ImageKey]) -> Change:
        """Move images with their labels to the trash."""
        entries = await self._stores.image.delete_many(self._dataset, _distinct(keys))
        text = f"{counted(len(entries), 'image')} moved to the trash"
        return Change(text, partial(self._restore, [entry.id for entry in entries], text))

    async def restore(self, entry_ids: Collection[str]) -> Change:
        """Bring things from the trash back to where they were; see `ImageStore.list_trash`.

        Undoing moves them to the trash once more, with what was changed in them since.

        Raises
        ------
        AlreadyExistsError
            If a place is taken again.
        """
        trash = await self._stores.image.list_trash(self._dataset)
        entries = [entry for entry in trash if entry.id in frozenset(entry_ids)]
        await self._stores.image.restore_many(self._dataset, list(entry_ids))
        text = f"{counted(len(entries), 'item')} restored"
        return Change(text, partial(self._discard, entries, text))

    async def mark_background(self, keys: Iterable[ImageKey], *, num_boxes: int = 0) -> Change:
        """Say of images that there is nothing in them: each gets an empty label file.

        Boxes that they had are gone, until this is undone.

        Parameters
        ----------
        keys : iterable of (str, str)
        num_boxes : int
            How many that are, where it is known: the change says so.
        """
        images = _distinct(keys)
        edits = await self._stores.label.patch_many(
            self._dataset, dict.fromkeys(images), what="background"
        )
        text = f"{counted(len(images), 'image')} marked as background"
        return self._edited(text + _without(num_boxes), edits)

    async def clear_labels(self, keys: Iterable[ImageKey], *, num_boxes: int = 0) -> Change:
        """Make images unlabelled again, their files go to the trash; see `mark_background`."""
        entries = await self._stores.label.delete_many(self._dataset, _distinct(keys), what="clear")
        text = f"labels of {counted(len(entries), 'image')} cleared{_without(num_boxes)}"
        return Change(text, partial(self._restore, [entry.id for entry in entries], text))

    async def reclassify(self, boxes: Iterable[BoxRef], class_id: int) -> Change:
        """Give boxes another class.

        Raises
        ------
        ConflictError
            If a box is not there, or is another than ``BoxRef.expected``.
        InvalidBoxError
            If the dataset has no such class.
        """
        chosen = list(dict.fromkeys(boxes))
        edits = await self._stores.label.patch_many(
            self._dataset, row_patches(chosen, class_id), what="reclassify"
        )
        classes = (await self._stores.dataset.get(self._dataset)).classes
        text = f"{counted(len(chosen), 'box', 'boxes')} made {classes[class_id]!r}"
        return self._edited(text, edits)

    async def delete_boxes(self, boxes: Iterable[BoxRef]) -> Change:
        """Remove boxes; an image whose last box goes is background then, not unlabelled.

        Raises
        ------
        ConflictError
            If a box is not there, or is another than ``BoxRef.expected``.
        """
        chosen = list(dict.fromkeys(boxes))
        edits = await self._stores.label.patch_many(
            self._dataset, row_patches(chosen, None), what="delete boxes"
        )
        return self._edited(f"{counted(len(chosen), 'box', 'boxes')} deleted", edits)

    async def tag(self, keys: Iterable[ImageKey], tag: str) -> Change:
        """Add a tag to images. Images of the same name in other splits get it too."""
        names = {name for _, name in keys}
        added = await self._retag(tag, lambda old: old | names)
        text = f"{counted(len(names), 'image')} tagged {tag!r}"
        return Change(text, partial(self._undo_tag, tag, lambda now: now - added))

    async def untag(self, keys: Iterable[ImageKey], tag: str) -> Change:
        """Remove a tag from images."""
        names = {name for _, name in keys}
        removed = await self._retag(tag, lambda old: old - names)
        text = f"tag {tag!r} taken off {counted(len(removed), 'image')}"
        return Change(text, partial(self._undo_tag, tag, lambda now: now | removed))

    async def copy_into(
        self,
        keys: Iterable[ImageKey],
        new_dataset: str,
        *,
        progress: Progress = no_progress,
    ) -> Change:
        """Make a new dataset of images, with their labels, splits, tags and all classes.

        Undoing moves the new dataset to the trash, unless it was changed meanwhile.
        """
        images = _distinct(keys)
        made = await self._stores.dataset.copy_images(
            self._dataset, new_dataset, images, progress=progress
        )
        seen = await self._stores.dataset.stamp(made.name)
        text = f"{counted(len(images), 'image')} copied into {made.name!r}"

        async def undo() -> None:
            with undoing(text):
                if await self._stores.dataset.stamp(made.name) != seen:
                    raise ConflictError(
                        f"{made.name} has been changed since it was made; delete it yourself "
                        f"if you do not need it"
                    )
                await self._stores.dataset.delete(made.name)

        return Change(text, undo)

    async def export(
        self,
        keys: Iterable[ImageKey],
        zip_path: Path | str,
        *,
        overwrite: bool = True,
        progress: Progress = no_progress,
    ) -> Path:
        """Write images with their labels as a zip archive; see `DatasetStore.export_zip`."""
        return await self._stores.dataset.export_zip(
            self._dataset, zip_path, only=_distinct(keys), overwrite=overwrite, progress=progress
        )

    async def add_files(
        self,
        files: Iterable[NewFile],
        split: str = SPLITS[0],
        *,
        class_name: str = "",
        progress: Progress = no_progress,
    ) -> Upload:
        """Add image files; see `workbench.datasets.uploads.add_files`."""
        return await add_files(
            self._stores, self._dataset, files, split, class_name=class_name, progress=progress
        )

    def joined(self, uploads: Sequence[Upload]) -> Upload:
        """Return several uploads as one, which is undone as a whole."""
        return joined(self._stores, self._dataset, uploads)

    def _edited(self, text: str, edits: list[str]) -> Change:
        if not edits:
            return Change(text, nothing_to_undo)

        async def undo() -> None:
            with undoing(text):
                await self._stores.label.revert_many(self._dataset, edits, what="undo")

        return Change(text, undo)

    async def _restore(self, entries: list[str], text: str) -> None:
        with undoing(text):
            await self._stores.image.restore_many(self._dataset, entries)

    async def _discard(self, entries: Sequence[TrashEntry], text: str) -> None:
        """Move what was restored to the trash again."""
        with undoing(text):
            await self._stores.image.discard_many(self._dataset, entries)

    async def _undo_tag(self, tag: str, change: Callable[[set[str]], set[str]]) -> None:
        await self._retag(tag, change)

    async def _retag(self, tag: str, change: Callable[[set[str]], set[str]]) -> set[str]:
        """Change who has a tag; return the names that got or lost it."""
        for attempt in range(_ATTEMPTS):
            tags = await self._stores.dataset.get_tags(self._dataset)
            old = set(tags.get(tag, ()))
            new = change(old)
            try:
                wanted = {**tags, tag: sorted(new)}
                await self._stores.dataset.save_tags(self._dataset, wanted, expected=tags)
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.01 * attempt)
                continue
            break
        return old ^ new


def moved_back(stores: DataStores, dataset: str, moves: Sequence[ImageMove], what: str) -> Change:
    """Describe moves that have happened, with the way back."""
    text = f"{counted(len(moves), 'image')} {what}"
    back = [ImageMove(way.filename, way.to_split, way.from_split) for way in moves]

    async def undo() -> None:
        with undoing(text):
            await stores.image.move_many(dataset, back)

    return Change(text, undo)


def row_patches(
    boxes: Iterable[BoxRef], class_id: int | None
) -> Mapping[ImageKey, Sequence[RowPatch]]:
    """Return what `LabelStore.patch_many` takes to give boxes a class; None removes them."""
    patches: dict[ImageKey, list[RowPatch]] = defaultdict(list)
    for box in boxes:
        patches[box.image].append(RowPatch(box.position, class_id, box.expected))
    return patches


def _distinct(keys: Iterable[ImageKey]) -> list[ImageKey]:
    return list(dict.fromkeys((split, name) for split, name in keys))


def _without(num_boxes: int) -> str:
    """Return the end of a sentence on labels that are gone; empty: none is known of."""
    return f", {counted(num_boxes, 'box', 'boxes')} removed" if num_boxes else ""
