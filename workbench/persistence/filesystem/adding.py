"""Many new images at once: the work of `ImageStore.add_many` on one dataset's folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from workbench.errors import AlreadyExistsError
from workbench.persistence.filesystem.dataset_files import content_bytes
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import checked, info, require_free_stem
from workbench.persistence.history import new_edit
from workbench.persistence.models import ImageInfo, ImageKey, NewImage
from workbench.persistence.rules import no_same_stem
from workbench.persistence.sources import SourceRecord
from workbench.persistence.stores import history_log, source_log
from workbench.persistence.yolo.label_text import clean_annotations, format_labels
from workbench.persistence.yolo.names import stem

_ENCODERS = 2
"""Threads that encode; the codecs let others run meanwhile."""


def add(
    folder: DatasetFolder, images: Sequence[NewImage], sources: Sequence[SourceRecord]
) -> list[ImageInfo]:
    """Store new images, with labels where they have some: all, or none."""
    folder.read()
    keys = distinct_keys(images)
    # Encoding takes longest, and needs no lock.
    contents = _encoded(images, [filename for _, filename in keys])
    with folder.writing() as yaml:
        for split, filename in keys:
            if os.path.lexists(folder.paths.image(split, filename)):
                raise AlreadyExistsError(
                    f"{folder.name}: {split} has an image {filename!r} already"
                )
            require_free_stem(folder, split, filename)
        labels = new_labels(images, keys, len(yaml.classes))
        origins = source_log.noted(folder.storage, sources)
        if len(keys) == 1 and not labels:  # one rename is atomic by itself and needs no plan
            folder.journal.write(folder.paths.image(*keys[0]), contents[0], *origins)
        else:
            with folder.journal.transaction() as change:
                for key, data in zip(keys, contents, strict=True):
                    change.write(folder.paths.image(*key), data)
                for key, data in labels.items():
                    change.write(folder.paths.label(*key), data)
                edits = [new_edit(*key, None, data, "add") for key, data in labels.items()]
                change.add(*origins)
                change.add(*history_log.noted(folder.storage, edits))
    return [info(folder, *key, data) for key, data in zip(keys, contents, strict=True)]


def _encoded(images: Sequence[NewImage], filenames: Sequence[str]) -> list[bytes]:
    if len(images) < 2:
        return [*map(content_bytes, images, filenames)]
    with ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encoder") as pool:
        return [*pool.map(content_bytes, images, filenames)]


def distinct_keys(images: Sequence[NewImage]) -> list[ImageKey]:
    """Return split and name of each image as they stand on disk, if none shares a label file."""
    owners: dict[ImageKey, str] = {}
    keys = []
    for image in images:
        split, filename = checked(image.split, image.filename)
        if (split, stem(filename)) in owners:
            raise no_same_stem(filename, owners[split, stem(filename)], split)
        owners[split, stem(filename)] = filename
        keys.append((split, filename))
    return keys


def new_labels(
    images: Sequence[NewImage], keys: Sequence[ImageKey], num_classes: int
) -> dict[ImageKey, bytes]:
    """Return the bytes of the label files of those images that have labels."""
    return {
        key: format_labels(clean_annotations(image.annotations, num_classes, "/".join(key)))
        for image, key in zip(images, keys, strict=True)
        if image.annotations is not None
    }
