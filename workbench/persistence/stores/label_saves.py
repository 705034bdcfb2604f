"""Saves of single label files: those that wait at the same time are committed together.

A save is acknowledged when it is on disk, and takes the dataset's lock until then. Fifty
clients that save one after the other would wait for fifty forced writes of their own. So
whoever has the lock takes along all that have come meanwhile, each checked by itself: one
transaction, a few forced writes, and then each gets its own answer. A save that comes alone
is done as ever, without a plan.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from workbench.errors import WorkbenchError
from workbench.persistence.history import EditRecord, new_edit
from workbench.persistence.models import Annotation, ImageKey, LabelData
from workbench.persistence.stopping import Stop, to_its_end
from workbench.persistence.storage import Append, Storage, Write
from workbench.persistence.storage.keys import is_plain
from workbench.persistence.stores import history_log
from workbench.persistence.stores.dataset import Dataset, image_key, label_key
from workbench.persistence.stores.label_edits import require_plain
from workbench.persistence.stores.label_reading import read_existing, require_revision
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import clean_annotations, format_labels, revision_of

_log = logging.getLogger(__name__)

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
    also: Sequence[Append] = ()
    outcome: Future[LabelData] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Withdrawal(Stop):
    """Takes a save back that was not begun; one that was goes to its end."""

    outcome: Future[LabelData] = field(default_factory=Future)

    def ask(self) -> None:
        self.outcome.cancel()


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
        with self._mutex:
            somebody_works = dataset.name in self._waiting
            self._waiting.setdefault(dataset.name, deque()).append(save)
        if not somebody_works:
            try:
                # Not awaited by itself: it goes on for the others when this one is cancelled.
                asyncio.get_running_loop().run_in_executor(None, self._work, dataset)
            except RuntimeError as error:  # the loop is being closed, and takes nothing more
                self._refuse_all(dataset.name, error)
        answer = asyncio.wrap_future(save.outcome)
        where = f"labels of {save.filename} in {dataset.name}"
        return await to_its_end(where, answer, _Withdrawal(outcome=save.outcome))

    def _work(self, dataset: Dataset) -> None:
        """Carry out what waits for one dataset until nothing does."""
        while (some := self._next(dataset.name)) is not None:
            left, most = deque(some), _MOST
            while left:
                decided: list[_Batch] = []
                try:
                    self._carry_out(dataset, left, most, decided)
                except (OSError, WorkbenchError) as error:
                    # None of it happened. One of them cannot be written: each by itself, so that
                    # it is the only one that fails.
                    if decided and decided[-1].is_told:  # it did; what follows concerns nobody
                        _log.warning("%s: after its labels were saved: %s", dataset.name, error)
                    elif not decided:
                        _refuse(left, error)
                    elif len(decided[-1].checked) > 1:
                        most = 1
                    else:
                        decided[-1].tell(error)
                        _forget(left, decided[-1].num_taken)
                except BaseException as error:  # noqa: BLE001  each of them is told; none may hang
                    _refuse(left, error)

    def _carry_out(
        self, dataset: Dataset, saves: deque[Save], most: int, decided: list[_Batch]
    ) -> None:
        """Do the first of some saves and of those that come, as many as go into one commit.

        They are told as soon as they are durable: what the disk frees after that takes as long.
        """

        def decide(yaml: DataYaml) -> tuple[list[Write | Append], _Batch]:
            saves.extend(self._come_meanwhile(dataset.name))
            batch = _Batch.of(dataset, yaml, saves, most)
            decided.append(batch)
            return batch.changes(dataset.storage), batch

        asked = [(save.split, save.filename) for save in [*saves][:most] if is_plain(save.filename)]

        def done(batch: _Batch) -> None:
            batch.tell()
            _forget(saves, batch.num_taken)

        dataset.transact(
            decide,
            values=[label_key(*key) for key in asked],
            heads=[image_key(*key) for key in asked],
            done=done,
        )

    def _next(self, name: str) -> list[Save] | None:
        """Return some that wait; None if there are none: the next one finds nobody at work."""
        with self._mutex:
            if not self._waiting[name]:
                del self._waiting[name]
                return None
            return self._taken(name)

    def _come_meanwhile(self, name: str) -> list[Save]:
        with self._mutex:
            return self._taken(name)

    def _taken(self, name: str) -> list[Save]:
        queue = self._waiting[name]
        taken = [queue.popleft() for _ in range(min(len(queue), _MOST))]
        # One whose caller has gone before it was begun is not carried out.
        return [save for save in taken if save.outcome.set_running_or_notify_cancel()]

    def _refuse_all(self, name: str, error: Exception) -> None:
        with self._mutex:
            refused = self._waiting.pop(name)
        for save in refused:
            save.outcome.set_exception(error)


@dataclass(slots=True)
class _Batch:
    """Saves that are decided on together.

    Parameters
    ----------
    checked : list of _Checked
        Those that may be carried out.
    refused : list
        The others, and why.
    num_taken : int
        How many of those that wait these are, the first ones.
    is_told : bool
        Whether each has its answer.
    """

    checked: list[_Checked]
    refused: list[tuple[Save, Exception]]
    num_taken: int
    is_told: bool = False

    @classmethod
    def of(cls, dataset: Dataset, yaml: DataYaml, saves: Iterable[Save], most: int) -> _Batch:
        """Check saves in their order, as many as can be done at once."""
        batch: dict[ImageKey, _Checked] = {}
        refused: list[tuple[Save, Exception]] = []
        for save in saves:
            try:
                key = dataset.find(save.split, save.filename)
                # Of the same image: decided on what the one before it will have written.
                if key in batch or len(batch) == most:
                    break
                batch[key] = _check(dataset, yaml, save, key)
            except Exception as error:  # noqa: BLE001  its caller is told, the others go on
                refused.append((save, error))
        return cls([*batch.values()], refused, len(batch) + len(refused))

    def changes(self, storage: Storage) -> list[Write | Append]:
        """Return what is to be written."""
        changed = [one for one in self.checked if one.edit.before != one.new]
        writes = [Write(label_key(*one.key), one.new) for one in changed]
        noted = history_log.noted(storage, [one.edit for one in changed])
        return [*writes, *noted, *(change for one in self.checked for change in one.save.also)]

    def tell(self, failed: Exception | None = None) -> None:
        """Tell each what has become of it; if the commit has failed, with its error."""
        self.is_told = True
        for save, error in self.refused:
            save.outcome.set_exception(error)
        for one in self.checked:
            if failed is None:
                one.save.outcome.set_result(one.result)
            else:
                one.save.outcome.set_exception(failed)


def _refuse(saves: deque[Save], error: BaseException) -> None:
    """Tell all that nothing has become of them."""
    while saves:
        saves.popleft().outcome.set_exception(error)


def _forget(saves: deque[Save], count: int) -> None:
    for _ in range(count):
        saves.popleft()


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
