"""Saves of single label files: those that wait at the same time are committed together.

A save is acknowledged when it is on disk, and takes the dataset's lock until then. Fifty
clients that save one after the other would wait for fifty forced writes of their own. So
whoever has the lock takes along all that have come meanwhile, each checked by itself: one
transaction, a few forced writes, and then each gets its own answer. A save that comes alone
is done as ever, without a plan.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from workbench.errors import WorkbenchError
from workbench.persistence.history import EditRecord, new_edit
from workbench.persistence.models import Annotation, ImageKey, LabelData
from workbench.persistence.storage import Append, Storage, Write, Writer
from workbench.persistence.stores import history_log
from workbench.persistence.stores.dataset import Dataset, label_key
from workbench.persistence.stores.label_edits import require_plain
from workbench.persistence.stores.label_reading import read_existing, require_revision
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import clean_annotations, format_labels, revision_of

_MOST = 256
"""Saves in one transaction: the first of them waits for the last one to be written."""


@dataclass(slots=True)
class Save:
    """One image's labels that shall be replaced; see `LabelStore.save`."""

    split: str
    filename: str
    boxes: Sequence[Annotation]
    expected_revision: str | None
    discard_other_rows: bool
    what: str
    outcome: Future[LabelData] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A save that may be carried out, and what it will have done."""

    save: Save
    key: ImageKey
    new: bytes
    edit: EditRecord
    result: LabelData


class LabelSaves:
    """The saves that wait, of all datasets of one store."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: dict[str, deque[Save]] = {}

    async def save(self, dataset: Dataset, save: Save) -> LabelData:
        """Replace the labels of one image, together with whatever else waits; durable at the end.

        Raises
        ------
        WorkbenchError, OSError
            As `LabelStore.save` does; a save that raises leaves the others alone.
        """
        root = dataset.storage.where
        with self._mutex:
            somebody_works = root in self._waiting
            self._waiting.setdefault(root, deque()).append(save)
        if not somebody_works:
            try:
                # Not awaited by itself: it goes on for the others when this one is cancelled.
                asyncio.get_running_loop().run_in_executor(None, self._work, dataset)
            except RuntimeError as error:  # the loop is being closed, and takes nothing more
                self._refuse_all(root, error)
        return await asyncio.wrap_future(save.outcome)

    def _work(self, dataset: Dataset) -> None:
        """Carry out what waits for one dataset until nothing does."""
        root = dataset.storage.where
        while (saves := self._next(root)) is not None:
            try:
                with dataset.leased() as (yaml, writer):
                    saves += self._come_meanwhile(root)
                    _carry_out(dataset, yaml, writer, saves)
            except BaseException as error:  # noqa: BLE001  each of them is told; none may hang
                for save in saves:
                    if not save.outcome.done():
                        save.outcome.set_exception(error)

    def _next(self, root: str) -> list[Save] | None:
        """Return some that wait; None if there are none: the next one finds nobody at work."""
        with self._mutex:
            if not self._waiting[root]:
                del self._waiting[root]
                return None
            return self._taken(root)

    def _come_meanwhile(self, root: str) -> list[Save]:
        with self._mutex:
            return self._taken(root)

    def _taken(self, root: str) -> list[Save]:
        queue = self._waiting[root]
        taken = [queue.popleft() for _ in range(min(len(queue), _MOST))]
        # One whose caller has gone before it was begun is not carried out.
        return [save for save in taken if save.outcome.set_running_or_notify_cancel()]

    def _refuse_all(self, root: str, error: Exception) -> None:
        with self._mutex:
            refused = self._waiting.pop(root)
        for save in refused:
            save.outcome.set_exception(error)


def _carry_out(dataset: Dataset, yaml: DataYaml, writer: Writer, saves: Sequence[Save]) -> None:
    """Do all of it, in the order in which it came; needs the lock."""
    left = deque(saves)
    while left:
        batch: dict[ImageKey, _Checked] = {}
        while left:
            save = left[0]
            try:
                key = dataset.find(save.split, save.filename)
                if key in batch:  # decided on what the one before it will have written
                    break
                checked = _check(dataset, yaml, save, key)
            except Exception as error:  # noqa: BLE001  its caller is told, the others go on
                save.outcome.set_exception(error)
            else:
                batch[key] = checked
            left.popleft()
        _write(dataset.storage, writer, list(batch.values()))


def _check(dataset: Dataset, yaml: DataYaml, save: Save, key: ImageKey) -> _Checked:
    split, filename = key
    where = dataset.at(label_key(split, filename))
    old = read_existing(dataset, split, filename)
    require_revision(old, save.expected_revision, where)
    clean = clean_annotations(save.boxes, len(yaml.classes), f"{split}/{filename}")
    new = format_labels(clean)
    if old is not None and not save.discard_other_rows:
        require_plain(old, where, yaml)
    edit = new_edit(split, filename, old, new, save.what)
    result = LabelData(filename, split, clean, revision_of(new))
    return _Checked(save, key, new, edit, result)


def _write(storage: Storage, writer: Writer, batch: list[_Checked]) -> None:
    changes = [one for one in batch if one.edit.before != one.new]
    if len(changes) > 1:
        try:
            writer.commit(_changes(storage, changes))
        except (OSError, WorkbenchError):
            # None of it happened. One of them cannot be written: each by itself, so that it
            # is the only one that fails.
            pass
        else:
            changes = []
    failed = set()
    for one in changes:
        try:
            writer.commit(_changes(storage, [one]))
        except (OSError, WorkbenchError) as error:
            failed.add(one.key)
            one.save.outcome.set_exception(error)
    for one in batch:
        if one.key not in failed:
            one.save.outcome.set_result(one.result)


def _changes(storage: Storage, batch: Sequence[_Checked]) -> list[Write | Append]:
    edits = [one.edit for one in batch]
    writes = [Write(label_key(*one.key), one.new) for one in batch]
    return [*writes, *history_log.noted(storage, edits)]
