"""Images, labels, classes and an account that come into a dataset together, and leave as one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import cast

import numpy as np

from workbench.errors import ConflictError, InvalidDatasetError, LabelFormatError
from workbench.persistence.counting import counted
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import Annotation, ImageKey, NewImage
from workbench.persistence.rules import check_classes
from workbench.persistence.storage import Append, Change, Move, Remove, Write, Writer
from workbench.persistence.stores import image_adding, image_replacing, image_trash, label_edits
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, label_key
from workbench.persistence.stores.label_reading import load_all, parse, read_whole
from workbench.persistence.stores.prompt_file import read_prompts
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import HIDDEN, check_cache_key
from workbench.persistence.yolo.yaml_text import rewritten

IMPORTS = f"{HIDDEN}/imports"
"""Where the accounts of imports are kept."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """What takes a merge back, see `DatasetStore.take_back`.

    Parameters
    ----------
    added : list of (str, str)
        New images, as ``(split, filename)``.
    edits : list of str
        Of the labels of images that were there.
    replaced : list of str
        Trash entries of images that others took the place of.
    labels : str
        Digest of the label files of the new images.
    """

    added: list[ImageKey] = field(default_factory=list)
    edits: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """What comes into a dataset; see `DatasetStore.merge`.

    Parameters
    ----------
    before, after : list of str
        The dataset's classes, as somebody has seen them, and those that it gets: the same, with
        others behind them.
    images : sequence of NewImage
    replacements : sequence of ImageReplacement
    labels : dict of (str, str) to list of Annotation
        For images that are there, all boxes that they will have.
    account : callable
        Called with the way back; returns key and bytes of what is kept with the dataset, see
        `DatasetStore.load_imports`.
    seen : mapping of (str, str) to sequence of Annotation or None
        The boxes that some of the images in `labels` had when it was decided what they will have;
        None: no labels. Where there are others by now, nothing happens.
    """

    before: list[str]
    after: list[str]
    images: Sequence[NewImage]
    replacements: Sequence[ImageReplacement]
    labels: dict[ImageKey, list[Annotation]]
    account: Callable[[WayBack], tuple[str, bytes]]
    seen: Mapping[ImageKey, Sequence[Annotation] | None] = field(default_factory=dict)


class _OneCommit(Dataset):
    """A dataset whose lease is held already, and where all that is committed becomes one commit.

    Whoever works in it reads what was there before.
    """

    __slots__ = ("changes", "yaml")

    def __init__(self, dataset: Dataset, yaml: DataYaml) -> None:
        super().__init__(dataset.name, dataset.storage)
        self.yaml = yaml
        self.changes: list[Change] = []

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """Return what the classes will be, and what collects the changes."""
        yield self.yaml, cast(Writer, self)

    def commit(self, changes: Sequence[Change]) -> None:
        """Note changes for the one commit; see `Writer.commit`."""
        self.changes += changes

    def in_one(self) -> list[Change]:
        """Return all changes, of each log one that appends."""
        logs: dict[str, Append] = {}
        for change in self.changes:
            if isinstance(change, Append):
                known = logs.get(change.key, replace(change, data=b""))
                durable = known.durable or change.durable
                logs[change.key] = Append(change.key, known.data + change.data, durable)
        return [*(one for one in self.changes if not isinstance(one, Append)), *logs.values()]


def merge(dataset: Dataset, what: Merge) -> WayBack:
    """Bring all of it into a dataset, or nothing; see `DatasetStore.merge`."""
    after = check_classes(what.after)
    with dataset.leased() as (yaml, writer):
        if yaml.classes != what.before:
            raise ConflictError(
                f"{dataset.name}: the classes have changed since the import was planned; nothing "
                f"was imported, so plan it again"
            )
        if after[: len(yaml.classes)] != yaml.classes:
            raise InvalidDatasetError(
                f"{dataset.name}: expected the classes {yaml.classes} and others behind them, "
                f"found {after}; nothing was imported"
            )
        one = _OneCommit(dataset, DataYaml(after, yaml.extra))
        if after != yaml.classes:
            present = dataset.storage.read(DATA_YAML)
            one.commit([Write(DATA_YAML, rewritten(present, DataYaml(after, yaml.extra)))])
        keys = image_adding.distinct_keys(what.images)
        # Each into its place-to-be, so that they are not in memory all at once.
        contents = [
            writer.stage(BytesIO(image_adding.content_bytes(image, key[1])))
            for image, key in zip(what.images, keys, strict=True)
        ]
        one.commit(image_adding.additions(dataset, one.yaml, what.images, keys, contents))
        replaced = image_replacing.replace(one, what.replacements)
        _require_as_seen(one, what.seen)
        edits = label_edits.write_many(one, what.labels, {}, "import")
        written = {
            change.key: change.data
            for change in one.changes
            if isinstance(change, Write) and isinstance(change.data, bytes)
        }
        labels = _digest(keys, [written.get(label_key(*key)) for key in keys])
        way = WayBack(keys, edits, [entry.id for entry in replaced], labels)
        one.commit([_account_written(*what.account(way))])
        writer.commit(one.in_one())
    return way


def take_back(
    dataset: Dataset,
    way: WayBack,
    account: tuple[str, bytes],
    classes: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> None:
    """Take a merge back, all of it or nothing; see `DatasetStore.take_back`."""
    with dataset.leased() as (yaml, writer):
        one = _OneCommit(dataset, yaml)
        keys = [dataset.find(*key) for key in way.added]
        found = dataset.storage.read_many([label_key(*key) for key in keys])
        if _digest(keys, found) != way.labels:
            for key in keys:
                dataset.require_image(*key)
            raise ConflictError(
                f"{dataset.name}: boxes have been changed since on some of the "
                f"{counted(len(keys), 'image')} that came in; undoing would destroy that work, so "
                f"nothing was undone"
            )
        label_edits.revert_many(one, way.edits, "undo")
        image_replacing.undo(one, way.replaced)
        image_trash.delete(one, keys)
        one.commit([*_fewer_classes(one, *classes), _account_written(*account)])
        writer.commit(one.in_one())


def _fewer_classes(one: _OneCommit, before: Sequence[str], after: Sequence[str]) -> list[Change]:
    """Return the change that takes classes back, if nothing but what is changed uses them."""
    fewer = list(after[: len(before)])
    if not one.yaml.classes == list(after) != fewer == list(before):
        return []
    table = load_all(one, None)
    changed = {
        change.source if isinstance(change, Move) else change.key
        for change in one.changes
        if isinstance(change, Move | Remove | Write)
    }
    stays = np.array(
        [label_key(*key) not in changed for key in zip(table.splits, table.filenames, strict=True)],
        dtype=np.bool_,
    )
    used = table.class_id[stays[table.image_index]]
    if max([*used.tolist(), *read_prompts(one.storage)], default=-1) >= len(before):
        return []
    present = one.storage.read(DATA_YAML)
    return [Write(DATA_YAML, rewritten(present, DataYaml(fewer, one.yaml.extra)))]


def _require_as_seen(
    dataset: _OneCommit, seen: Mapping[ImageKey, Sequence[Annotation] | None]
) -> None:
    """Raise `ConflictError` if an image has other labels than somebody has seen."""
    found = read_whole(dataset.storage, [label_key(*key) for key in seen])
    for (key, boxes), data in zip(seen.items(), found, strict=True):
        where = dataset.at(label_key(*key))
        try:
            now = None if data is None else parse(data, where, dataset.yaml).annotations
        except LabelFormatError:
            continue  # it could not be read then either; whoever writes says so
        if now != (None if boxes is None else list(boxes)):
            dataset.require_image(*key)  # where it is gone, that is what is said
            raise ConflictError(
                f"{where}: these labels have been changed since the import was planned; nothing "
                f"was imported, so plan it again"
            )


def _account_written(key: str, data: bytes) -> Write:
    return Write(f"{IMPORTS}/{check_cache_key(key)}.json", data)


def _digest(keys: Sequence[ImageKey], contents: Sequence[bytes | Exception | None]) -> str:
    """Return what tells whether label files are still what they were."""
    found = hashlib.sha256()
    for (split, filename), data in zip(keys, contents, strict=True):
        state = repr(data).encode() if isinstance(data, Exception) else data or b""
        head = f"{split}/{filename}/{data is not None}/{len(state)}\n"
        found.update(head.encode("utf-8", "surrogatepass") + state)
    return found.hexdigest()
