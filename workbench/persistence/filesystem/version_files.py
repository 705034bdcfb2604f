"""What versions are on disk: ``versions/<name>.version`` and ``versions/objects/ab/<sha256>``."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from workbench.errors import AlreadyExistsError, InvalidDatasetError, NotFoundError
from workbench.persistence import versions
from workbench.persistence.filesystem import (
    cache_files,
    class_files,
    dataset_files,
    history_files,
    tag_files,
)
from workbench.persistence.filesystem.atomic import (
    fsync_folder,
    remove_file,
    sync_tree,
    temporary_name,
)
from workbench.persistence.filesystem.cloning import Cloner
from workbench.persistence.filesystem.data_yaml import DataYaml
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names, label_stems
from workbench.persistence.filesystem.journal import Transaction
from workbench.persistence.filesystem.label_table import read_file
from workbench.persistence.filesystem.paths import check_name, stem
from workbench.persistence.models import SPLITS, ImageKey, Progress
from workbench.persistence.tags import tags_bytes
from workbench.persistence.version_models import VersionComparison, VersionInfo
from workbench.persistence.versions import Contents, Entry, Restoration

_SUFFIX = ".version"
_CACHE = "image-hashes-1"
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file's time tells a later change, on the coarsest of clocks."""

Stamp = tuple[int, int, int]
"""Size in bytes, time of change in nanoseconds, inode."""
Hashes = dict[str, tuple[Stamp, str]]
"""SHA-256 of images by ``split/filename``, each with the stamp of the file that was read."""


def freeze(
    folder: DatasetFolder, version: str, note: str, progress: Progress, *, automatic: bool = False
) -> VersionInfo:
    """Keep the dataset as it is now under a name."""
    path = _path(folder, version)
    _require_new(path, version)
    hashes = _hash_images(folder, progress)
    with folder.writing() as yaml:
        return _freeze(folder, yaml, path, note, hashes, automatic=automatic)[0]


def _freeze(
    folder: DatasetFolder,
    yaml: DataYaml,
    path: str,
    note: str,
    hashes: Hashes,
    *,
    automatic: bool,
) -> tuple[VersionInfo, Contents]:
    name = os.path.basename(path).removesuffix(_SUFFIX)
    _require_new(path, name)
    contents = _present(folder, yaml, hashes)
    os.makedirs(folder.paths.versions, exist_ok=True)
    cloner, new = Cloner(folder.journal.tmp), False
    for (split, filename), entry in contents.images.items():
        kept = _object(folder, entry.sha256)
        try:
            if os.stat(kept).st_size == entry.size:
                continue
        except FileNotFoundError:
            os.makedirs(os.path.dirname(kept), exist_ok=True)
        cloner.clone(folder.paths.image(split, filename), kept)
        new = True
    if new:
        sync_tree(folder.paths.versions)
    info = contents.info(name, note, automatic=automatic)
    folder.journal.write(path, versions.to_bytes(info, contents))
    return info, contents


def list_all(folder: DatasetFolder) -> list[VersionInfo]:
    """Return the versions, oldest first."""
    folder.read()
    found = []
    for path in _paths(folder):
        with open(path, "rb") as file:
            found.append(versions.read_info(file.readline(), path))
    return sorted(found, key=lambda info: (info.created_at, info.name))


def compare(
    folder: DatasetFolder, first: str | None, second: str | None, progress: Progress
) -> VersionComparison:
    """Return what is different in the second version; None is the dataset as it is now."""
    hashes = _hash_images(folder, progress) if first is None or second is None else {}

    def contents(version: str | None) -> Contents:
        if version is not None:
            return _read(folder, version)[1]
        return folder.consistently(lambda: _present(folder, folder.read(), hashes))

    return versions.compare(contents(first), contents(second))


def restore(folder: DatasetFolder, version: str, progress: Progress) -> VersionInfo:
    """Make the dataset what it was; return the version that keeps what it is now."""
    _read(folder, version)
    hashes = _hash_images(folder, progress)
    with folder.writing() as yaml:
        _, wanted = _read(folder, version)
        now = f"{datetime.now(UTC):%Y-%m-%d %H.%M.%S.%f}"
        kept, present = _freeze(
            folder,
            yaml,
            _path(folder, f"before restoring, {now}"),
            f"as it was before {version!r} was restored",
            hashes,
            automatic=True,
        )
        plan = versions.plan_restoration(present, wanted)
        _require_no_stray_labels(folder, plan, present)
        with (
            _clones(folder, plan, present, wanted) as clones,
            folder.journal.transaction() as change,
        ):
            _plan_images(folder, change, plan, clones)
            _plan_rest(folder, change, plan, present, wanted)
    return kept


def delete(folder: DatasetFolder, version: str) -> None:
    """Remove a version, and the images that no other one has."""
    path = _path(folder, version)
    with folder.writing():
        if not remove_file(path):
            raise _unknown(folder, version)
        fsync_folder(folder.paths.versions)
        used = versions.shas(versions.from_bytes(read_file(p), p)[1] for p in _paths(folder))
        objects = f"{folder.paths.versions}/objects"
        for part in os.listdir(objects) if os.path.isdir(objects) else ():
            for name in os.listdir(f"{objects}/{part}"):
                if name not in used:
                    remove_file(f"{objects}/{part}/{name}")


# --- reading ------------------------------------------------------------------------------


def _path(folder: DatasetFolder, version: str) -> str:
    return f"{folder.paths.versions}/{check_name(version, 'version name')}{_SUFFIX}"


def _paths(folder: DatasetFolder) -> list[str]:
    base = folder.paths.versions
    names = sorted(os.listdir(base)) if os.path.isdir(base) else []
    return [f"{base}/{name}" for name in names if name.endswith(_SUFFIX)]


def _object(folder: DatasetFolder, sha256: str) -> str:
    return f"{folder.paths.versions}/objects/{sha256[:2]}/{sha256}"


def _read(folder: DatasetFolder, version: str) -> tuple[VersionInfo, Contents]:
    folder.read()
    path = _path(folder, version)
    try:
        return versions.from_bytes(read_file(path), path)
    except FileNotFoundError:
        raise _unknown(folder, version) from None


def _unknown(folder: DatasetFolder, version: str) -> NotFoundError:
    names = ", ".join(os.path.basename(p).removesuffix(_SUFFIX) for p in _paths(folder))
    return NotFoundError(f"{folder.name} has no version {version!r}; it has {names or 'none'}")


def _require_new(path: str, version: str) -> None:
    if os.path.lexists(path):
        raise AlreadyExistsError(
            f"there is a version {version!r} already; versions never change, so choose another name"
        )


def _present(folder: DatasetFolder, yaml: DataYaml, hashes: Hashes) -> Contents:
    images = {}
    for split in SPLITS:
        stems = label_stems(folder, split)
        for filename in image_names(folder, split):
            path = folder.paths.image(split, filename)
            stamp = _stamp(path)
            known = hashes.get(f"{split}/{filename}")
            sha256 = known[1] if known is not None and known[0] == stamp else _sha256(path)
            label = None
            if stem(filename) in stems:
                label = read_file(folder.paths.label(split, filename))
            images[split, filename] = Entry(sha256, stamp[0], label)
    return Contents(
        yaml=yaml,
        prompts=dataset_files.read_prompts(folder.paths),
        tags=tag_files.read(folder),
        images=images,
        trash=class_files.trashed_labels(folder),
    )


# --- hashes -------------------------------------------------------------------------------


def _hash_images(folder: DatasetFolder, progress: Progress) -> Hashes:
    """Return the hashes of all images; reads only those that have changed since the last time.

    Takes no lock, so that everybody can work meanwhile. What changes until the lock is
    taken is read again then.
    """
    known = _load_hashes(folder)
    keys = [(split, name) for split in SPLITS for name in image_names(folder, split)]
    hashes: Hashes = {}
    for done, (split, filename) in enumerate(keys, start=1):
        key, path = f"{split}/{filename}", folder.paths.image(split, filename)
        try:
            stamp = _stamp(path)
            old = known.get(key)
            unchanged = old is not None and old[0] == stamp
            hashes[key] = old if old is not None and unchanged else (stamp, _sha256(path))
        except FileNotFoundError:  # moved or deleted meanwhile
            continue
        progress(done, len(keys))
    newest = time.time_ns() - _SETTLED
    settled = {key: value for key, value in hashes.items() if value[0][1] < newest}
    if settled != known:
        data = zlib.compress(json.dumps(settled).encode(), 1)
        cache_files.save(folder, _CACHE, data)
    return hashes


def _load_hashes(folder: DatasetFolder) -> Hashes:
    data = cache_files.load(folder, _CACHE)
    if data is None:
        return {}
    try:
        content: Any = json.loads(zlib.decompress(data))
        return {
            key: ((size, modified, inode), sha256)
            for key, ((size, modified, inode), sha256) in content.items()
        }
    except (ValueError, TypeError, AttributeError, zlib.error):  # derived again below
        return {}


def _stamp(path: str) -> Stamp:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- restoring ----------------------------------------------------------------------------


def _require_no_stray_labels(folder: DatasetFolder, plan: Restoration, present: Contents) -> None:
    """Make sure that no image finds the labels of another that is long gone."""
    owned = {(split, stem(filename)) for split, filename in present.images}
    coming = [*plan.place, *((way.to_split, way.filename) for way in plan.moves)]
    for split, filename in coming:
        label = folder.paths.label(split, filename)
        if (split, stem(filename)) not in owned and os.path.lexists(label):
            raise AlreadyExistsError(
                f"{folder.name}: {label} has labels without an image; remove that file first"
            )


@contextmanager
def _clones(
    folder: DatasetFolder, plan: Restoration, present: Contents, wanted: Contents
) -> Iterator[dict[ImageKey, str]]:
    """Make checked clones of all images to place; yield their paths, and leave none behind."""
    copies = {entry.sha256: key for key, entry in present.images.items()}
    cloner = Cloner(folder.journal.tmp)
    clones: dict[ImageKey, str] = {}
    try:
        for key in plan.place:
            source = _sound_source(folder, key, wanted.images[key], copies)
            clones[key] = temporary_name(folder.journal.tmp)
            cloner.clone(source, clones[key])
        if clones:
            sync_tree(folder.journal.tmp)
        yield clones
    finally:
        for path in clones.values():
            remove_file(path)


def _sound_source(
    folder: DatasetFolder, key: ImageKey, entry: Entry, copies: dict[str, ImageKey]
) -> str:
    candidates = [_object(folder, entry.sha256)]
    if entry.sha256 in copies:
        candidates.append(folder.paths.image(*copies[entry.sha256]))
    for path in candidates:
        if os.path.isfile(path) and _sha256(path) == entry.sha256:
            return path
    raise InvalidDatasetError(
        f"{folder.name}: the version's {'/'.join(key)} is lost: {candidates[0]} is missing, or "
        f"another program has written into it. Nothing was changed"
    )


def _plan_images(
    folder: DatasetFolder, change: Transaction, plan: Restoration, clones: dict[ImageKey, str]
) -> None:
    paths = folder.paths
    for way in plan.moves:
        change.rename(
            paths.image(way.from_split, way.filename), paths.image(way.to_split, way.filename)
        )
    for split, filename in plan.remove:
        change.remove(paths.image(split, filename))
    for (split, filename), clone in clones.items():
        change.rename(clone, paths.image(split, filename))


def _plan_rest(
    folder: DatasetFolder,
    change: Transaction,
    plan: Restoration,
    present: Contents,
    wanted: Contents,
) -> None:
    for path in plan.unlink:
        change.remove(f"{folder.paths.root}/{path}")
    for path, data in (plan.write | plan.trash).items():
        change.write(f"{folder.paths.root}/{path}", data)
    if wanted.yaml != present.yaml:
        change.write(folder.paths.data_yaml, wanted.yaml.to_bytes())
    if wanted.prompts != present.prompts:
        change.write(folder.paths.prompts, dataset_files.prompts_bytes(wanted.prompts))
    if wanted.tags != present.tags:
        change.write(folder.paths.tags, tags_bytes(wanted.tags))
    if plan.records:
        history_files.plan_append(folder, change, plan.records)
