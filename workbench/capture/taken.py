"""The images that a capture has saved: counting them, taking them back, bringing them back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from workbench.capture.events import ImageSaved
from workbench.capture.recording import Tally
from workbench.persistence import ImageStore, LabelStore
from workbench.persistence.models import TrashEntry


class Taken:
    """The images of one session, oldest first.

    Parameters
    ----------
    image_store : ImageStore
    dataset : str
    lock : threading.Condition
        Held while anything here is changed or read.
    changed : callable
        Called, without the lock, after images were taken back or brought back.
    label_store : LabelStore, optional
        Tells whether somebody has worked on the boxes that a model has found.
    """

    def __init__(
        self,
        image_store: ImageStore,
        dataset: str,
        lock: threading.Condition,
        changed: Callable[[], None],
        label_store: LabelStore | None = None,
    ) -> None:
        self.tally = Tally()
        self._image_store = image_store
        self._label_store = label_store
        self._dataset = dataset
        self._lock = lock
        self._changed = changed
        self._recent: list[ImageSaved] = []
        self._undone: list[tuple[ImageSaved, TrashEntry]] = []

    @property
    def recent(self) -> list[ImageSaved]:
        """Those that were saved and not taken back."""
        with self._lock:
            return list(self._recent)

    @property
    def num_undone(self) -> int:
        """How many of those that were taken back can be brought back."""
        with self._lock:
            return len(self._undone)

    def add(self, written: Sequence[ImageSaved]) -> None:
        """Note images that are on disk; what was undone before can no longer be redone."""
        with self._lock:
            self._recent += written
            self._undone.clear()
            for saved in written:
                self.tally.count(saved, 1)

    def last(self, count: int) -> list[ImageSaved]:
        """Return the last images."""
        with self._lock:
            return self._recent[-count:] if count > 0 else []

    def last_burst(self) -> list[ImageSaved]:
        """Return the images of the last burst."""
        with self._lock:
            burst = self._recent[-1].burst if self._recent else ""
            return [saved for saved in self._recent if saved.burst == burst]

    async def take_back(self, images: Sequence[ImageSaved]) -> list[ImageSaved]:
        """Move images to the trash, all or none; return them.

        Those that somebody has moved, deleted, replaced or labelled since are left alone.
        """
        taken = [saved for saved in images if await self._is_as_saved(saved)]
        keys = [(saved.info.split, saved.info.filename) for saved in taken]
        entries = await self._image_store.delete_many(self._dataset, keys) if keys else []
        with self._lock:
            self._recent = [saved for saved in self._recent if saved not in images]
            # The newest first, so that redo brings the oldest back first, as it was taken.
            self._undone += reversed([*zip(taken, entries, strict=True)])
            for saved in taken:
                self.tally.count(saved, -1)
        self._changed()
        return taken

    async def bring_back(self) -> ImageSaved | None:
        """Bring back the image that was taken back last; None if there is none."""
        with self._lock:
            if not self._undone:
                return None
            saved, entry = self._undone.pop()
        await self._image_store.restore(self._dataset, entry.id)
        with self._lock:
            self._recent.append(saved)
            self.tally.count(saved, 1)
        self._changed()
        return saved

    async def _is_as_saved(self, saved: ImageSaved) -> bool:
        """Whether nobody has done anything to an image since."""
        key = (saved.info.split, saved.info.filename)
        if not await self._image_store.exists(self._dataset, *key):
            return False
        now = await self._image_store.get(self._dataset, *key)
        if (now.size_bytes, now.has_labels) != (saved.info.size_bytes, saved.info.has_labels):
            return False
        if self._label_store is None or not now.has_labels:
            return True
        boxes = await self._label_store.load(self._dataset, *key)
        edits = await self._label_store.history(self._dataset, *key)
        return len(boxes) == saved.num_boxes and not edits
