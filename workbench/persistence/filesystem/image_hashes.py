"""SHA-256 of a dataset's images, read once and kept until a file changes."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from typing import Any

from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.image_reading import require_file
from workbench.persistence.models import SPLITS, Progress
from workbench.persistence.stored_json import MALFORMED, inflate, parse_json
from workbench.persistence.stores import caches

_CACHE = "image-hashes-1"
_EXPECTED = "hashes of images"
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file's time tells a later change, on the coarsest of clocks."""

Stamp = tuple[int, int, int]
"""Size in bytes, time of change in nanoseconds, inode."""
Hashes = dict[str, tuple[Stamp, str]]
"""SHA-256 of images by ``split/filename``, each with the stamp of the file that was read."""


def hash_images(folder: DatasetFolder, progress: Progress) -> Hashes:
    """Return the hashes of all images; reads only those that have changed since the last time.

    Takes no lock, so that everybody can work meanwhile. What changes until the lock is
    taken is read again then.
    """
    known = _load_hashes(folder)
    keys = [(split, name) for split in SPLITS for name in folder.image_names(split)]
    hashes: Hashes = {}
    for done, (split, filename) in enumerate(keys, start=1):
        key, path = f"{split}/{filename}", folder.paths.image(split, filename)
        try:
            stamp = stamp_of(path)
            old = known.get(key)
            unchanged = old is not None and old[0] == stamp
            hashes[key] = old if old is not None and unchanged else (stamp, sha256_of(path))
        except FileNotFoundError:  # moved or deleted meanwhile
            continue
        progress(done, len(keys))
    newest = time.time_ns() - _SETTLED
    settled = {key: value for key, value in hashes.items() if value[0][1] < newest}
    if settled != known:
        data = zlib.compress(json.dumps(settled).encode(), 1)
        caches.save(folder, _CACHE, data)
    return hashes


def _load_hashes(folder: DatasetFolder) -> Hashes:
    data = caches.load(folder, _CACHE)
    if data is None:
        return {}
    try:
        content: Any = parse_json(inflate(data, _CACHE, _EXPECTED), _CACHE, _EXPECTED)
        return {
            key: ((size, modified, inode), sha256)
            for key, ((size, modified, inode), sha256) in content.items()
        }
    except MALFORMED:  # derived again below
        return {}


def stamp_of(path: str) -> Stamp:
    """Return what tells a file from what it was; raises as `require_file` does."""
    status = require_file(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
