"""Images that get another split or name, with their labels: all, or none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from workbench.errors import AlreadyExistsError, InvalidNameError
from workbench.persistence.history import new_moves
from workbench.persistence.models import SPLITS, ImageInfo, ImageKey, ImageMove
from workbench.persistence.storage import Change, Move
from workbench.persistence.stores import history_log
from workbench.persistence.stores.dataset import Dataset, image_key, label_key
from workbench.persistence.stores.image_facts import changed_info, measured
from workbench.persistence.stores.side_data import tags_renamed
from workbench.persistence.yolo.names import check_split, stem


def move_one(dataset: Dataset, way: ImageMove) -> ImageInfo:
    """Move one image, and return its facts."""
    [found] = _found(dataset, [way])
    size = measured(dataset, dataset.require_image(found.from_split, found.filename))
    _move(dataset, [found])
    return changed_info(dataset, (found.to_split, found.filename), size)


def move_many(dataset: Dataset, moves: Sequence[ImageMove]) -> None:
    """Move images with their label files to other splits: all, or none."""
    _move(dataset, _found(dataset, moves))


def _found(dataset: Dataset, moves: Sequence[ImageMove]) -> list[ImageMove]:
    """Return moves with the names as they are stored."""
    ways = []
    for way in moves:
        split, filename = dataset.find(way.from_split, way.filename)
        ways.append(ImageMove(filename, split, check_split(way.to_split)))
    return ways


def _move(dataset: Dataset, moves: Sequence[ImageMove]) -> None:
    taken: Counter[ImageKey] = Counter()
    changes: list[Change] = []
    with dataset.leased() as (_, writer):
        for way in moves:
            taken[way.to_split, stem(way.filename)] += 1
            if taken[way.to_split, stem(way.filename)] > 1:
                raise AlreadyExistsError(
                    f"{dataset.name}: {way.filename!r} would come to {way.to_split} twice"
                )
            source, target = (way.from_split, way.filename), (way.to_split, way.filename)
            changes += _way(dataset, source, target)
        ways = (((w.from_split, w.filename), (w.to_split, w.filename)) for w in moves)
        writer.commit([*changes, *history_log.noted(dataset.storage, new_moves(ways))])


def rename(dataset: Dataset, split: str, filename: str, new_filename: str) -> ImageInfo:
    """Give an image and its label file another name."""
    if os.path.splitext(filename)[1] != os.path.splitext(new_filename)[1]:
        raise InvalidNameError(
            f"{new_filename!r}: expected the extension of {filename!r}; renaming does not convert"
        )
    with dataset.leased() as (_, writer):
        size = measured(dataset, dataset.require_image(split, filename))
        source, target = (split, filename), (split, new_filename)
        stays = any(dataset.has_image(other, filename) for other in SPLITS if other != split)
        changes: list[Change] = [
            *_way(dataset, source, target),
            *tags_renamed(dataset.storage, filename, new_filename, keep_old=stays),
            *history_log.noted(dataset.storage, new_moves([(source, target)])),
        ]
        writer.commit(changes)
    return changed_info(dataset, (split, new_filename), size)


def _way(dataset: Dataset, source: ImageKey, target: ImageKey) -> list[Change]:
    """Return the changes by which an image and its labels come to another place."""
    key = dataset.require_image(*source)
    if source == target:
        return []
    dataset.require_free(*target)
    changes: list[Change] = [Move(key, image_key(*target))]
    label, new_label = label_key(*source), label_key(*target)
    if dataset.storage.exists(label):
        if dataset.storage.exists(new_label):
            raise AlreadyExistsError(
                f"{dataset.name}: {target[0]} has labels without an image at "
                f"{dataset.at(new_label)}; remove that file first"
            )
        changes.append(Move(label, new_label))
    return changes
