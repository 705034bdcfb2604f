"""The label store: written once, over the storage contract."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.inspection import LabelInspection, LabelRepair
from workbench.persistence.models import (
    Annotation,
    ImageKey,
    LabelData,
    LabelEdit,
    LabelTable,
    RowPatch,
    TrashEntry,
)
from workbench.persistence.stopping import done_in_thread
from workbench.persistence.stores import (
    label_edits,
    label_inspection,
    label_reading,
    suggestion_log,
)
from workbench.persistence.stores.dataset import Dataset, label_key
from workbench.persistence.stores.label_saves import LabelSaves, Save
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.suggestion_blocks import SuggestionBlock

T = TypeVar("T")


@speaks_plainly
class LabelStore:
    """The labels of a dataset's images.

    Errors are the same for every method: `InvalidNameError` (a ``ValueError``) for a
    dataset, split or file name that cannot be, `NotFoundError` (a ``FileNotFoundError``)
    for a dataset or image that is not there.

    Parameters
    ----------
    places : DatasetPlaces
        Where the datasets are.
    """

    def __init__(self, places: DatasetPlaces) -> None:
        self._places = places
        self._saves = LabelSaves()

    async def _read(self, name: str, work: Callable[[Dataset], T]) -> T:
        """Return what some work, which only reads, finds in a dataset."""
        dataset = self._places.open(name)
        return await asyncio.to_thread(dataset.consistently, lambda: work(dataset))

    async def _change(self, name: str, work: Callable[[Dataset], T]) -> T:
        dataset = self._places.open(name)
        return await done_in_thread(f"a change of dataset {name}", work, dataset)

    async def save(
        self,
        dataset: str,
        split: str,
        filename: str,
        annotations: Sequence[Annotation],
        *,
        expected_revision: str | None = None,
        discard_other_rows: bool = False,
        what: str = "",
        decided: Sequence[SuggestionBlock] = (),
    ) -> LabelData:
        """Replace the labels of one image; durable when this returns.

        Parameters
        ----------
        filename : str
            Of the image.
        annotations : sequence of Annotation
            Boxes partly outside the image are clipped. An empty sequence writes an empty
            label file: reviewed, nothing in it.
        expected_revision : str, optional
            The revision that the caller last saw.
        discard_other_rows : bool
            Agree that polygons, keypoints or confidences in the file become plain boxes.
        what : str
            In a word what the edit was, for the history.
        decided : sequence of SuggestionBlock
            As for `save_many`.

        Returns
        -------
        LabelData
            What the file holds now, with its revision.

        Raises
        ------
        InvalidBoxError
            If a box is NaN, empty inside the image, or of an unknown class.
        ConflictError
            If `expected_revision` is given and the file has another.
        LossySaveError
            If the file has rows that are not plain boxes, or cannot be read at all, and
            `discard_other_rows` is false.
        """
        # Copied, because the caller may go on editing its list while the thread works.
        boxes = list(annotations)
        also = suggestion_log.noted(decided)
        save = Save(split, filename, boxes, expected_revision, discard_other_rows, what, also)
        return await self._saves.save(self._places.open(dataset), save)

    async def save_many(
        self,
        dataset: str,
        labels: Mapping[tuple[str, str], Sequence[Annotation]],
        *,
        expected: Mapping[tuple[str, str], str] | None = None,
        what: str = "",
        decided: Sequence[SuggestionBlock] = (),
    ) -> list[str]:
        """Replace the labels of many images, keyed ``(split, filename)``: all, or none.

        Parameters
        ----------
        expected : mapping, optional
            `LabelData.revision` of some of the images, as somebody has seen them.
        what : str
            In a word what the edit was, for the history.
        decided : sequence of SuggestionBlock
            What a person has rejected, or restored, in the same go: kept with the labels, or
            not at all either; see `ImageStore.add_suggestions`.

        Returns
        -------
        list of str
            The edits made, for `revert_many`; files that stay as they are have none.

        Raises
        ------
        ConflictError
            If a file has another revision than expected.
        LossySaveError
            If a file has rows that are not plain boxes, or cannot be read at all.
        """
        copied = {key: list(annotations) for key, annotations in labels.items()}
        seen = dict(expected or {})
        also = suggestion_log.noted(decided)
        return await self._change(
            dataset,
            lambda one: label_edits.write_many(
                one, _found(one, copied), _found(one, seen), what, also
            ),
        )

    async def patch_many(
        self,
        dataset: str,
        patches: Mapping[tuple[str, str], Sequence[RowPatch] | None],
        *,
        what: str = "",
    ) -> list[str]:
        """Change or remove single rows of many images' label files: all, or none.

        Parameters
        ----------
        patches : mapping
            By ``(split, filename)``; None instead of patches empties the label file, or
            makes an empty one: reviewed, nothing in it.
        what : str
            In a word what the edit was, for the history.

        Returns
        -------
        list of str
            The edits made, for `revert_many`; files that stay as they are have none.

        Raises
        ------
        ConflictError
            If a row is not there, or holds another box than the patch expects.
        InvalidBoxError
            If a class id is none of the dataset's.
        LabelFormatError
            If a label file whose rows shall change cannot be read.
        """
        copied = {key: None if rows is None else list(rows) for key, rows in patches.items()}
        return await self._change(
            dataset, lambda one: label_edits.patch(one, _found(one, copied), what)
        )

    async def load(self, dataset: str, split: str, filename: str) -> list[Annotation]:
        """Return the boxes of an image, in the file's order; empty if it has no label file.

        Raises
        ------
        LabelFormatError
            If the file cannot be read; names file and line.
        """
        return (await self.get(dataset, split, filename)).annotations

    async def get(self, dataset: str, split: str, filename: str) -> LabelData:
        """Return the boxes of an image with the revision of its label file."""
        return await self._read(
            dataset, lambda one: label_reading.read(one, *one.find(split, filename))
        )

    async def load_all(self, dataset: str, split: str | None = None) -> LabelTable:
        """Return every box of a split, or of all splits, in columns."""
        return await self._read(dataset, lambda one: label_reading.load_all(one, split))

    async def load_many(self, dataset: str, images: Sequence[ImageKey]) -> LabelTable:
        """Return the boxes of some images in columns, the images in the given order.

        An image that is not there (any more) is one without a label file here.
        """
        keys = list(images)
        return await self._read(
            dataset, lambda one: label_reading.load_many(one, one.find_many(keys))
        )

    async def inspect(
        self, dataset: str, *, only: Collection[ImageKey] | None = None
    ) -> LabelInspection:
        """Look closely at all label files: rows as they stand there, and files without an image.

        Nothing is clipped, skipped or refused, so that what is wrong can be shown and mended.

        Parameters
        ----------
        dataset : str
        only : collection of (str, str), optional
            The label files of just these images; no orphans then.
        """
        chosen = None if only is None else frozenset(only)
        return await self._read(dataset, lambda one: label_inspection.inspect(one, chosen))

    async def repair_many(
        self, dataset: str, repairs: Mapping[ImageKey, LabelRepair], *, what: str = ""
    ) -> list[str]:
        """Replace or remove bad rows of many label files: all, or none.

        Returns
        -------
        list of str
            The edits made, for `revert_many`.

        Raises
        ------
        ConflictError
            If a file was changed since it was inspected.
        InvalidBoxError
            If a new box is none.
        """
        copied = dict(repairs)
        return await self._change(
            dataset, lambda one: label_edits.repair(one, _found(one, copied), what)
        )

    async def delete_orphans(
        self, dataset: str, orphans: Sequence[tuple[str, str]]
    ) -> list[TrashEntry]:
        """Move label files without an image to the trash: all, or none.

        `ImageStore.restore_many` brings them back together.

        Parameters
        ----------
        orphans : sequence of (str, str)
            As `inspect` returns them.

        Raises
        ------
        ConflictError
            If an image has come to one of them.
        NotFoundError
            If one is not there.
        """
        copied = list(orphans)
        return await self._change(dataset, lambda one: label_edits.delete_orphans(one, copied))

    async def exists(self, dataset: str, split: str, filename: str) -> bool:
        """Whether the image has a label file, also an empty one."""

        def work(one: Dataset) -> bool:
            one.read()
            key = one.find(split, filename)
            one.require_image(*key)
            return one.has_value(label_key(*key))

        return await self._read(dataset, work)

    async def delete(
        self,
        dataset: str,
        split: str,
        filename: str,
        *,
        expected_revision: str | None = None,
        what: str = "",
    ) -> TrashEntry:
        """Move an image's label file to the trash: the image is unlabelled again.

        Parameters
        ----------
        expected_revision, what
            As for `save`.

        Raises
        ------
        ConflictError
            If `expected_revision` is given and the file has another.
        NotFoundError
            If it has no label file.
        """
        return await self._change(
            dataset,
            lambda one: label_edits.delete(
                one, *one.find(split, filename), expected_revision, what
            ),
        )

    async def delete_many(
        self, dataset: str, images: Sequence[tuple[str, str]], *, what: str = ""
    ) -> list[TrashEntry]:
        """Move the label files of many images to the trash: all, or none.

        Images, given as ``(split, filename)``, that have none are passed over.
        `ImageStore.restore_many` brings them back together.
        """
        keys = list(images)
        return await self._change(
            dataset,
            lambda one: label_edits.delete_many(one, [one.find(*key) for key in keys], what),
        )

    async def restore(self, dataset: str, entry_id: str) -> LabelData:
        """Bring a deleted label file back.

        Raises
        ------
        AlreadyExistsError
            If the image has been labelled again.
        """
        return await self._change(dataset, lambda one: label_edits.restore(one, entry_id))

    async def history(
        self,
        dataset: str,
        split: str | None = None,
        filename: str | None = None,
        *,
        limit: int | None = None,
    ) -> list[LabelEdit]:
        """Return how labels came to be what they are, oldest edit first.

        Parameters
        ----------
        split, filename : str, optional
            One image, also under the names and in the splits that it had before. Without
            `filename`, all images (of `split`).
        limit : int, optional
            Only the last so many edits.
        """

        def work(one: Dataset) -> list[LabelEdit]:
            if filename is not None and split is not None:
                return label_edits.history(one, *one.find(split, filename), limit)
            return label_edits.history(one, split, filename, limit)

        return await self._read(dataset, work)

    async def revert(self, dataset: str, edit_id: str) -> LabelData:
        """Put an image's labels back to what they were before an edit, byte for byte.

        This is an edit too, and stands in the history.

        Raises
        ------
        NotFoundError
            If the history has no such edit, or the image is not there any more.
        """
        return await self._change(dataset, lambda one: label_edits.revert(one, edit_id))

    async def revert_many(
        self,
        dataset: str,
        edit_ids: Sequence[str],
        *,
        what: str = "",
        decided: Sequence[SuggestionBlock] = (),
    ) -> None:
        """Undo edits of many images: all, or none, and only what nobody has changed since.

        Parameters
        ----------
        decided : sequence of SuggestionBlock
            As for `save_many`.

        Raises
        ------
        ConflictError
            If an image's labels are not what its edit left; names the image.
        NotFoundError
            If the history has no such edit, or an image is not there any more.
        """
        ids = list(edit_ids)
        also = suggestion_log.noted(decided)
        await self._change(dataset, lambda one: label_edits.revert_many(one, ids, what, also))

    async def move(self, dataset: str, filename: str, from_split: str, to_split: str) -> None:
        """Move an image's label file to another split.

        Does nothing if the image has none there, because it is unlabelled or because
        `ImageStore.move` took the labels along.

        Raises
        ------
        NotFoundError
            If neither split has the image.
        AlreadyExistsError
            If the target split has a label file of this name.
        """
        await self._change(
            dataset, lambda one: label_edits.move(one, filename, from_split, to_split)
        )


def _found(dataset: Dataset, by_image: Mapping[ImageKey, T]) -> dict[ImageKey, T]:
    """Return what belongs to images under their names as they are stored."""
    return {dataset.find(*key): value for key, value in by_image.items()}
