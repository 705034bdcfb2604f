"""A plan's pictures and labels on their way into a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.datasets.formats.accounts import new_account
from workbench.datasets.formats.columns import PlainRows, labels_in
from workbench.datasets.formats.row_text import label_texts
from workbench.datasets.formats.view import FolderView
from workbench.errors import ArchiveError
from workbench.persistence.archive import ArchiveContents, Sink
from workbench.persistence.archive.format import LARGE_BYTES
from workbench.persistence.archive.metadata import CHECKS, FACTS, problem_with
from workbench.persistence.disk_format import format_of, newer_problem
from workbench.persistence.models import SPLITS, Progress
from workbench.persistence.stores.dataset import label_key

if TYPE_CHECKING:
    from workbench.datasets.formats.contents import Contents
    from workbench.datasets.formats.reading import Picture

_BLOCK = 1000


def fill(view: FolderView, contents: Contents, sink: Sink, progress: Progress) -> ArchiveContents:
    """Hand everything that is taken to a sink, in the order of the source."""
    ids = {name: class_id for class_id, name in enumerate(contents.classes)}
    # A label file may be kept as it is if its class ids mean the same as before.
    same = contents.reading.classes == contents.classes[: len(contents.reading.classes)]
    pictures = {picture.name: picture for picture in contents.pictures}
    taken = [pictures[n] for n in view.names if n in pictures and n in contents.targets]
    labelled = label_files(taken, ids, same)
    total, done = len(pictures), 0
    # What was read for the plan was checked then.
    seen = contents.reading.used.intersection(contents.recognised.detection.files)
    images, labels = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
    for name in view.names:
        target = contents.targets.get(name)
        if target is None:
            if name not in seen:
                view.check(name)  # also of what is not taken: its name may be damaged
            continue
        picture = pictures.get(name)
        if picture is None:
            _copy_own(view, name, target, sink)
            continue
        if view.size(name) > LARGE_BYTES:
            sink.write_chunks(target, _ticking(view.chunks(name), progress, done, total))
        else:
            sink.write(target, view.read(name))
        _, split, filename = target.split("/")
        images[split] += 1
        if picture.rows is not None:
            sink.write(label_key(split, filename), next(labelled))
            labels[split] += 1
        done += 1
        progress(done, total)
    account = new_account(
        view.origin,
        contents.ledger,
        contents.notes,
        (
            (contents.targets[picture.name].rpartition("/")[2], picture.rows or ())
            for picture in contents.pictures
        ),
        ids,
        {picture.name: contents.targets[picture.name] for picture in contents.pictures},
        made=True,
    )
    sink.write(f".workbench/imports/{account.id}.json", account.to_bytes())
    return ArchiveContents(contents.classes, contents.reading.extra, contents.notes, images, labels)


def _copy_own(view: FolderView, name: str, target: str, sink: Sink) -> None:
    """Take one of our own files along; a damaged one would make the dataset unreadable."""
    if target not in CHECKS:
        sink.write_chunks(target, view.chunks(name))
        return
    data = view.read(name)
    newer = newer_problem(format_of(data)) if target == FACTS else None
    if newer is not None:
        expected, found, remedy = newer
        raise ArchiveError(f"{view.path}, {name}: expected {expected}, found {found}; {remedy}")
    if problem_with(target, data) is None:
        sink.write(target, data)


def label_files(
    pictures: Iterable[Picture], ids: Mapping[str, int], same_classes: bool
) -> Iterator[bytes]:
    """Yield the label file of each picture that has one."""
    block: list[Picture] = []
    for picture in pictures:
        if picture.rows is None:
            continue
        block.append(picture)
        if len(block) == _BLOCK:
            yield from _label_files(block, ids, same_classes)
            block = []
    yield from _label_files(block, ids, same_classes)


def _label_files(
    pictures: Sequence[Picture], ids: Mapping[str, int], same_classes: bool
) -> Iterator[bytes]:
    is_plain = [_in_columns(picture, same_classes) for picture in pictures]
    plain = [p.rows for p, good in zip(pictures, is_plain, strict=True) if good]
    rows = [found for found in plain if isinstance(found, PlainRows)]
    class_id = np.array(
        [ids[label] for found in rows for label in labels_in(found)], dtype=np.int64
    )
    boxes = np.concatenate([found.xywh() for found in rows]) if rows else np.empty((0, 4))
    texts = label_texts(class_id, boxes, np.array([len(found) for found in rows], dtype=np.int64))
    for picture, good in zip(pictures, is_plain, strict=True):
        yield next(texts) if good else _label_bytes(picture, ids, same_classes)


def _in_columns(picture: Picture, same_classes: bool) -> bool:
    """Whether all rows of a picture are made out of its columns."""
    return (
        isinstance(picture.rows, PlainRows)
        and not picture.rows.source.raw
        and not (picture.raw is not None and same_classes)
    )


def _label_bytes(picture: Picture, ids: Mapping[str, int], same_classes: bool) -> bytes:
    """Return the label file of a picture."""
    if picture.raw is not None and same_classes:
        return picture.raw
    return "".join(
        f"{ids[row.label]} {row.rest}\n"
        if row.rest is not None
        else f"{ids[row.label]} {row.x:.8f} {row.y:.8f} {row.width:.8f} {row.height:.8f}\n"
        for row in picture.rows or ()
    ).encode()


def _ticking(chunks: Iterator[bytes], progress: Progress, done: int, total: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress(done, total)
