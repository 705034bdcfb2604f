"""New images, one or many at once, with their labels where they have some."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.history import new_edit
from workbench.persistence.image_reading import read_image
from workbench.persistence.models import ImageInfo, ImageKey, NewImage
from workbench.persistence.rules import encode, image_size, no_same_stem
from workbench.persistence.sources import SourceRecord
from workbench.persistence.storage import Change, Staged, Write
from workbench.persistence.stores import history_log, source_log
from workbench.persistence.stores.dataset import Dataset, image_key, label_key
from workbench.persistence.stores.image_facts import changed_info
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import clean_annotations, format_labels
from workbench.persistence.yolo.names import check_image, stem

_ENCODERS = 2
"""Threads that encode; the codecs let others run meanwhile."""


def write(
    dataset: Dataset, split: str, filename: str, data: bytes, *, overwrite: bool
) -> ImageInfo:
    """Store the encoded bytes of one image."""
    key = image_key(split, filename)
    size = image_size(data, dataset.at(key))
    with dataset.leased() as (_, writer):
        if not overwrite and dataset.storage.exists(key):
            raise AlreadyExistsError(
                f"{dataset.name}: {split} has an image {filename!r} already; choose another name"
            )
        dataset.require_free_stem(split, filename)
        writer.commit([Write(key, data)])
    return changed_info(dataset, (split, filename), size, size_bytes=len(data))


def add(
    dataset: Dataset, images: Sequence[NewImage], sources: Sequence[SourceRecord]
) -> list[ImageInfo]:
    """Store new images, with labels where they have some: all, or none."""
    dataset.read()
    keys = distinct_keys(images)
    # Encoding takes longest, and needs no lease.
    contents = _encoded(images, [filename for _, filename in keys])
    sizes = [image_size(data, filename) for data, (_, filename) in zip(contents, keys, strict=True)]
    with dataset.leased() as (yaml, writer):
        changes = additions(dataset, yaml, images, keys, contents)
        writer.commit([*changes, *source_log.noted(dataset.storage, sources)])
    return [
        changed_info(
            *(dataset, key, size),
            size_bytes=len(data),
            has_labels=image.annotations is not None,
        )
        for image, key, size, data in zip(images, keys, sizes, contents, strict=True)
    ]


def additions(
    dataset: Dataset,
    yaml: DataYaml,
    images: Sequence[NewImage],
    keys: Sequence[ImageKey],
    contents: Sequence[bytes | Staged],
) -> list[Change]:
    """Return the changes by which images come in, if there is room for them.

    Parameters
    ----------
    dataset : Dataset
        Whose lease is held.
    yaml : DataYaml
        With the classes that labels may have.
    images : sequence of NewImage
    keys, contents : sequence
        Of each, see `distinct_keys` and `content_bytes`.
    """
    for key in keys:
        dataset.require_free(*key)
    labels = _labels(images, keys, len(yaml.classes))
    edits = [new_edit(*key, None, data, "add") for key, data in labels.items()]
    return [
        *(Write(image_key(*key), data) for key, data in zip(keys, contents, strict=True)),
        *(Write(label_key(*key), data) for key, data in labels.items()),
        *history_log.noted(dataset.storage, edits),
    ]


def _encoded(images: Sequence[NewImage], filenames: Sequence[str]) -> list[bytes]:
    if len(images) < 2:
        return [*map(content_bytes, images, filenames)]
    with ThreadPoolExecutor(_ENCODERS, thread_name_prefix="encoder") as pool:
        return [*pool.map(content_bytes, images, filenames)]


def content_bytes(image: NewImage, filename: str) -> bytes:
    """Return the encoded bytes of a new image.

    Raises
    ------
    InvalidFrameError
        If they are no image.
    NotFoundError
        If the file is not there.
    """
    content = image.content
    if isinstance(content, (Path, str)):
        try:
            data = read_image(os.fspath(content))
        except FileNotFoundError:
            raise NotFoundError(
                f"{content}: expected an image file, found none; check the path"
            ) from None
        image_size(data, os.fspath(content))
        return data
    if isinstance(content, bytes):
        image_size(content, filename)
        return content
    return encode(content, filename)


def distinct_keys(images: Sequence[NewImage]) -> list[ImageKey]:
    """Return split and name of each image as they will be stored, if none shares a label file."""
    owners: dict[ImageKey, str] = {}
    keys = []
    for image in images:
        split, filename = check_image(image.split, image.filename)
        if (split, stem(filename)) in owners:
            raise no_same_stem(filename, owners[split, stem(filename)], split)
        owners[split, stem(filename)] = filename
        keys.append((split, filename))
    return keys


def _labels(
    images: Sequence[NewImage], keys: Sequence[ImageKey], num_classes: int
) -> dict[ImageKey, bytes]:
    """Return the bytes of the label files of those images that have labels."""
    return {
        key: format_labels(clean_annotations(image.annotations, num_classes, "/".join(key)))
        for image, key in zip(images, keys, strict=True)
        if image.annotations is not None
    }
