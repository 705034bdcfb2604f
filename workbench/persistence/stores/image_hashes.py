"""SHA-256 of a dataset's images, read once and kept until a value changes."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from workbench.errors import InvalidDatasetError, NotFoundError
from workbench.persistence.image_bounds import MAX_BYTES
from workbench.persistence.models import SPLITS, Progress
from workbench.persistence.storage import Mark, Storage
from workbench.persistence.stored_json import MALFORMED, inflate, packed, parse_json
from workbench.persistence.stores import caches
from workbench.persistence.stores.dataset import Dataset, image_key

_CACHE = "image-hashes-1"
_EXPECTED = "hashes of images"
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file's time tells a later change, on the coarsest of clocks."""

Hashes = dict[str, tuple[Mark, str]]
"""SHA-256 of images by ``split/filename``, each with the mark of what was read."""


def hash_images(dataset: Dataset, progress: Progress) -> Hashes:
    """Return the hashes of all images; reads only those that have changed since the last time.

    Takes no lease, so that everybody can work meanwhile. What changes until one is taken is read
    again then.
    """
    known = _load_hashes(dataset)
    keys = [(split, name) for split in SPLITS for name in dataset.image_names(split)]
    marks = {split: dataset.storage.marks(f"images/{split}") for split in SPLITS}
    hashes: Hashes = {}
    for done, (split, filename) in enumerate(keys, start=1):
        mark, old = marks[split].get(filename), known.get(f"{split}/{filename}")
        if mark is None:
            refuse_odd(dataset, image_key(split, filename))
            continue  # moved or deleted meanwhile
        if old is None or old[0] != mark:
            _require_bound(dataset, image_key(split, filename), mark[0])
            try:
                old = mark, sha256_of(dataset.storage, image_key(split, filename))
            except NotFoundError:
                continue
        hashes[f"{split}/{filename}"] = old
        progress(done, len(keys))
    newest = time.time_ns() - _SETTLED
    settled = {key: value for key, value in hashes.items() if _is_settled(value[0], newest)}
    if settled != known:
        data = packed(lambda: [json.dumps(settled).encode()], 1)
        caches.save(dataset, _CACHE, data)
    return hashes


def _require_bound(dataset: Dataset, key: str, size: int) -> None:
    if size > MAX_BYTES:
        raise InvalidDatasetError(
            f"{dataset.at(key)}: expected an image of at most {MAX_BYTES:,} bytes, found {size:,}; "
            f"delete it, or move it away"
        )


def _is_settled(mark: Mark, newest: int) -> bool:
    stamp = mark[1]
    return isinstance(stamp, str) or stamp < newest


def _load_hashes(dataset: Dataset) -> Hashes:
    data = caches.load(dataset, _CACHE)
    if data is None:
        return {}
    try:
        content: Any = parse_json(inflate(data, _CACHE, _EXPECTED), _CACHE, _EXPECTED)
        return {
            key: ((size, stamp, place), sha256)
            for key, ((size, stamp, place), sha256) in content.items()
        }
    except MALFORMED:  # derived again below
        return {}


def refuse_odd(dataset: Dataset, key: str) -> None:
    """Raise `InvalidDatasetError` if something is at an image's key that is no value."""
    if dataset.storage.head(key) is None and dataset.storage.exists(key):
        raise InvalidDatasetError(
            f"{dataset.at(key)}: expected an image, found a link to a file that is not there; "
            f"repair or delete it (Health lists all of them)"
        )


def sha256_of(storage: Storage, key: str) -> str:
    """Return the SHA-256 of the bytes of a key; raises as `Storage.open_read` does."""
    with storage.open_read(key) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
