"""The model behind the browse panel: what is listed, what is selected, what is done to it.

No widgets: traits carry state, coroutines do the work, stores are handed in. Every action
is on the selection, is noted with the way back, and brings the listing up to date.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from workbench.datasets.actions import Actions, Change, NewFile, Upload
from workbench.datasets.changes import BoxRef, counted
from workbench.datasets.classes import ClassEditor
from workbench.datasets.formats.importing import import_dataset
from workbench.datasets.formats.naming import default_name
from workbench.panels.browse.importing import batches, describe, describe_dataset, refusal_text
from workbench.panels.browse.shown import ShownModel
from workbench.panels.shared.changing import Task, sentence
from workbench.panels.shared.status import Status, Work
from workbench.persistence.models import SPLITS, ImageKey, ImportedDataset


class BrowseModel(ShownModel):
    """Lists a dataset's images by a query, and acts on those that are selected.

    Parameters
    ----------
    stores : Stores
    images : sequence of (str, str), optional
        Only these are listed.

    Notes
    -----
    Used on one event loop. Long work runs in threads, and tells `work` how far it is.
    """

    # What is done to it: to what is selected when it is asked for

    async def move(self, split: str) -> None:
        """Move the selected images to another split."""
        images = self._images()
        await self._change(lambda do, _: do.move(images, split))

    async def delete(self) -> None:
        """Move the selected images to the trash."""
        images = self._images()
        await self._change(lambda do, _: do.delete(images))

    async def restore(self) -> None:
        """Put the selected deleted images and labels back to where they were."""
        entries = self._shown.entries(self.selection)
        if not entries:
            raise ValueError("nothing is selected: select in the trash what to restore")
        await self._change(lambda do, _: do.restore(entries))

    async def mark_background(self) -> None:
        """Say of the selected images that there is nothing in them."""
        images = self._images()
        await self._change(lambda do, _: do.mark_background(images))

    async def clear_labels(self) -> None:
        """Make the selected images unlabelled again."""
        images = self._images()
        await self._change(lambda do, _: do.clear_labels(images))

    async def tag(self, tag: str) -> None:
        """Hang a tag on the selected images."""
        images = self._images()
        await self._change(lambda do, _: do.tag(images, tag))

    async def untag(self, tag: str) -> None:
        """Take a tag off the selected images."""
        images = self._images()
        await self._change(lambda do, _: do.untag(images, tag))

    async def reclassify(self, class_id: int) -> None:
        """Give the selected boxes another class."""
        boxes = self._boxes()
        await self._change(lambda do, _: do.reclassify(boxes, class_id))

    async def split_off(self, name: str) -> None:
        """Make the selected boxes a class of their own, behind all others."""
        boxes, dataset = self._boxes(), self.dataset

        async def act(*_: object) -> Change:
            plan = await ClassEditor(self._stores, dataset).split_off(boxes, name)
            return await plan.apply()

        await self._change(act)

    async def delete_boxes(self) -> None:
        """Remove the selected boxes."""
        boxes = self._boxes()
        await self._change(lambda do, _: do.delete_boxes(boxes))

    async def copy_into(self, new_dataset: str) -> None:
        """Make a new dataset of the selected images."""
        images = self._images()
        await self._change(
            lambda do, task: do.copy_into(images, new_dataset, progress=task), "Copying"
        )

    async def export(self, zip_path: Path | str) -> Path:
        """Write the selected images with their labels as a zip archive; return where it is."""
        images = self._images()
        with self._showing("Exporting", at_once=False) as progress:
            path = await self._actions.export(images, Path(zip_path), progress=progress)
        self.status = Status(f"{counted(len(images), 'image')} exported to {path}")
        return path

    async def add_files(
        self,
        files: Iterable[NewFile],
        split: str = SPLITS[0],
        *,
        class_name: str = "",
        total: int = 0,
        before: Upload | None = None,
    ) -> Upload:
        """Add image files; what is refused is said in `status`. Stopping keeps what is there.

        Parameters
        ----------
        files : iterable of Path, str or (str, bytes)
        split : str
        class_name : str
            What is on them, as a suggestion for whoever annotates.
        total : int
            How many there will be, for progress.
        before : Upload, optional
            What was added by an earlier call, of files that belong together: it is told and
            undone with these, unless it was undone meanwhile.
        """
        actions = self._actions
        earlier: list[Upload] = []
        if before is not None and (not before.added or before.change in self._changes):
            earlier.append(before)
        uploads: list[Upload] = []
        parts = batches(files)
        try:
            with self._showing("Adding images", at_once=False) as task:
                while batch := await asyncio.to_thread(next, parts, None):
                    uploads.append(await actions.add_files(batch, split, class_name=class_name))
                    done = sum(len(u.added) + len(u.refused) for u in uploads)
                    task.show(Work(task.what, done, total))
                    if task.is_stopped:
                        break
        finally:
            upload = actions.joined([*earlier, *uploads])
            if upload.added:
                self._note(upload.change, instead=earlier[0].change if earlier else None)
            if any(part.added for part in uploads):
                await self.refresh()
        tone = "problem" if upload.refused else "info"
        refused = tuple(refusal_text(*refusal) for refusal in upload.refused)
        self.status = Status(describe(upload, split), tone, refused)
        return upload

    async def import_dataset(self, path: Path | str) -> ImportedDataset:
        """Make a dataset of what another tool has exported; the one that is shown stays.

        Parameters
        ----------
        path : Path or str
            A folder or a zip archive, see `workbench.import_dataset`. Its name is that of
            the dataset, with a number behind it if there is such a one.
        """
        place = Path(path)
        name = wanted = default_name(place)
        numbered = (f"{wanted}-{number}" for number in itertools.count(2))
        while await self._stores.dataset.exists(name):
            name = next(numbered)
        with self._showing("Importing the dataset") as task:
            made = await import_dataset(self._stores, place, name, progress=task)
        self.status = Status(describe_dataset(made), details=tuple(made.notes))
        return made

    async def undo(self) -> None:
        """Take the last change back.

        Raises
        ------
        ConflictError
            If that would destroy somebody's newer work; nothing is undone then.
        """
        async with self._doing("Undoing", wait=True, at_once=False):
            what = await self._undo_last()
        if not what:
            self.status = Status("There is nothing to undo.")
            return
        self.status = Status(f"Undone: {what}")
        await self.refresh()

    # Inside

    @property
    def _actions(self) -> Actions:
        return Actions(self._stores, self._shown.dataset)

    def _images(self) -> list[ImageKey]:
        images = self.selected()
        if not images:
            raise ValueError("no image is selected: select some first")
        return images

    def _boxes(self) -> list[BoxRef]:
        boxes = self._shown.boxes(self.selection)
        if not boxes:
            raise ValueError("no box is selected: show the objects and select some first")
        return boxes

    async def _change(
        self, act: Callable[[Actions, Task], Awaitable[Change]], what: str = "Changing"
    ) -> None:
        actions = self._actions  # of the dataset that is open now
        async with self._doing(what, wait=True, at_once=False) as task:
            change = await act(actions, task)
            self._note(change)
        self.status = Status(sentence(change.description))
        await self.refresh()
