"""What versions are on disk: ``versions/<name>.version`` and ``versions/objects/ab/<sha256>``."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from workbench.errors import AlreadyExistsError, InvalidDatasetError, NotFoundError
from workbench.persistence import links, version_comparison, versions
from workbench.persistence.filesystem import class_files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_hashes import (
    Hashes,
    hash_images,
    sha256_of,
    stamp_of,
)
from workbench.persistence.models import SPLITS, ImageKey, Progress
from workbench.persistence.plain_files import read_file
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import (
    remove_file,
    rename,
    temporary_name,
)
from workbench.persistence.storage.local.cloning import Cloner
from workbench.persistence.storage.local.journal import Transaction
from workbench.persistence.storage.local.lock import making
from workbench.persistence.storage.local.syncing import sync_tree
from workbench.persistence.stores import history_log, side_data
from workbench.persistence.version_models import VersionComparison, VersionInfo
from workbench.persistence.versions import Contents, Entry, Restoration
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import read_labels
from workbench.persistence.yolo.names import HIDDEN, check_name, stem
from workbench.persistence.yolo.yaml_text import rewritten

_log = logging.getLogger(__name__)
_SUFFIX = ".version"
_LONGEST_LINE = 1 << 22
_MOST_BYTES = 1 << 31
_PARTS = frozenset(f"{number:02x}" for number in range(256))


def freeze(
    folder: DatasetFolder, version: str, note: str, progress: Progress, *, automatic: bool = False
) -> VersionInfo:
    """Keep the dataset as it is now under a name."""
    path = _path(folder, version)
    _require_new(path, version)
    hashes = hash_images(folder, progress)
    with folder.writing() as yaml, _swept_if_it_fails(folder), making(folder.paths.root):
        info, contents = _freeze(folder, yaml, path, note, hashes, automatic=automatic)
        folder.journal.write(path, versions.to_bytes(info, contents))
    return info


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
    files = [(f"images/{split}", filename) for split, filename in contents.images]
    files += [
        (f"labels/{split}", f"{stem(filename)}.txt")
        for (split, filename), entry in contents.images.items()
        if entry.label is not None
    ]
    links.require_inside(folder.name, folder.paths.root, files, "no version was made")
    os.makedirs(folder.paths.versions, exist_ok=True)
    _put_objects_in_order(folder)
    cloner, new = Cloner(), False
    for (split, filename), entry in contents.images.items():
        kept = _object(folder, entry.sha256)
        try:
            status = os.lstat(kept)
            if stat.S_ISREG(status.st_mode) and status.st_size == entry.size:
                continue
        except FileNotFoundError:
            os.makedirs(os.path.dirname(kept), exist_ok=True)
        _clone(folder, cloner, folder.paths.image(split, filename), kept)
        new = True
    if new:
        sync_tree(folder.paths.versions)
    serial = max((known.serial for known in list_all(folder)), default=0) + 1
    return contents.info(name, note, automatic=automatic, serial=serial), contents


def _clone(folder: DatasetFolder, cloner: Cloner, source: str, target: str) -> None:
    temporary = temporary_name(folder.journal.tmp)
    try:
        with open(source, "rb", buffering=0) as original:
            cloner.copy(original, temporary)
        rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            remove_file(temporary)
        raise


@contextmanager
def _swept_if_it_fails(folder: DatasetFolder) -> Iterator[None]:
    """Remove images that were kept for a version that did not come to be."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            _sweep(folder)
        raise


def list_all(folder: DatasetFolder) -> list[VersionInfo]:
    """Return the versions, oldest first."""
    folder.read()
    found = []
    for path in _paths(folder):
        try:
            with (
                inside.reading(folder.paths.root, folder.paths.below(path)) as descriptor,
                os.fdopen(descriptor, "rb", closefd=False) as file,
            ):
                line = file.readline(_LONGEST_LINE)
            found.append(versions.read_info(line, path))
        except (InvalidDatasetError, FileNotFoundError) as error:
            _log.warning("version left out of the list: %s", error)
    return sorted(found, key=versions.age)


def compare(
    folder: DatasetFolder, first: str | None, second: str | None, progress: Progress
) -> VersionComparison:
    """Return what is different in the second version; None is the dataset as it is now."""
    hashes = hash_images(folder, progress) if first is None or second is None else {}

    def contents(version: str | None) -> Contents:
        if version is not None:
            return read(folder, version)[1]
        return folder.consistently(lambda: _present(folder, folder.read(), hashes))

    return version_comparison.compare(contents(first), contents(second))


def restore(folder: DatasetFolder, version: str, progress: Progress) -> VersionInfo:
    """Make the dataset what it was; return the version that keeps what it is now."""
    read(folder, version)
    hashes = hash_images(folder, progress)
    with folder.writing() as yaml, _swept_if_it_fails(folder), making(folder.paths.root):
        _, wanted = read(folder, version)
        known = list_all(folder)
        name = versions.automatic_name(info.name for info in known)
        note = f"as it was before {version!r} was restored"
        path = _path(folder, name)
        kept, present = _freeze(folder, yaml, path, note, hashes, automatic=True)
        plan = versions.plan_restoration(present, wanted)
        _require_no_stray_labels(folder, plan, present)
        with (
            _clones(folder, plan, present, wanted) as clones,
            folder.journal.transaction() as change,
        ):
            _plan_images(folder, change, plan, clones)
            _plan_rest(folder, change, plan, present, wanted)
            change.write(path, versions.to_bytes(kept, present))
            for old in versions.superseded([*known, kept], {version, name}):
                change.remove(_path(folder, old))
        _sweep_later(folder)
    return kept


def keep(folder: DatasetFolder, version: str) -> VersionInfo:
    """Keep an automatic version until somebody deletes it."""
    with folder.writing():
        info, contents = read(folder, version)
        if info.automatic:
            info = replace(info, automatic=False)
            folder.journal.write(_path(folder, version), versions.to_bytes(info, contents))
    return info


def delete(folder: DatasetFolder, version: str) -> None:
    """Remove a version, and the images that no other one has."""
    path = _path(folder, version)
    with folder.writing():
        if not os.path.lexists(path):
            raise _unknown(folder, version)
        with folder.journal.transaction() as change:
            change.remove(path)
        _sweep_later(folder)


def _sweep_later(folder: DatasetFolder) -> None:
    """Remove images that no version has any more; what cannot go now goes the next time."""
    try:
        _sweep(folder)
    except OSError as error:
        _log.warning("%s: images of removed versions stay for now: %s", folder.name, error)


def _sweep(folder: DatasetFolder) -> None:
    try:
        used = versions.shas(_read(folder, path)[1] for path in _paths(folder))
    except InvalidDatasetError as error:
        # That version may have the last copy of an image.
        _log.warning("no image of a version is removed as long as one cannot be read: %s", error)
        return
    _put_objects_in_order(folder)
    root, objects = folder.paths.root, f"{folder.paths.below(folder.paths.versions)}/objects"
    for part in inside.names(root, objects):
        for name in inside.names(root, f"{objects}/{part}"):
            if name not in used:
                inside.remove(root, f"{objects}/{part}/{name}")


def _put_objects_in_order(folder: DatasetFolder) -> None:
    """Set aside what would lead our own images elsewhere."""
    root, base = folder.paths.root, folder.paths.below(folder.paths.versions)
    inside.put_in_order(root, base, {"objects"}, (), aside=HIDDEN)
    inside.put_in_order(root, f"{base}/objects", _PARTS, (), aside=HIDDEN)


# --- reading ------------------------------------------------------------------------------


def _path(folder: DatasetFolder, version: str) -> str:
    return f"{folder.paths.versions}/{check_name(version, 'version name')}{_SUFFIX}"


def _paths(folder: DatasetFolder) -> list[str]:
    base = folder.paths.versions
    try:
        names = inside.names(folder.paths.root, folder.paths.below(base))
    except InvalidDatasetError as error:
        _log.warning("left unread: %s", error)
        return []
    return [f"{base}/{name}" for name in names if name.endswith(_SUFFIX)]


def _object(folder: DatasetFolder, sha256: str) -> str:
    return f"{folder.paths.versions}/objects/{sha256[:2]}/{sha256}"


def read(folder: DatasetFolder, version: str) -> tuple[VersionInfo, Contents]:
    """Return what a version keeps."""
    folder.read()
    path = _path(folder, version)
    try:
        return _read(folder, path)
    except FileNotFoundError:
        raise _unknown(folder, version) from None


def _read(folder: DatasetFolder, path: str) -> tuple[VersionInfo, Contents]:
    data = inside.read(folder.paths.root, folder.paths.below(path), most=_MOST_BYTES)
    return versions.from_bytes(data, path)


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
        stems = folder.label_stems(split)
        for filename in folder.image_names(split):
            path = folder.paths.image(split, filename)
            if os.path.islink(path) and not os.path.exists(path):
                raise InvalidDatasetError(
                    f"{path}: expected an image, found a link to a file that is not there; "
                    f"repair or delete it (Health lists all of them)"
                )
            stamp = stamp_of(path)
            known = hashes.get(f"{split}/{filename}")
            sha256 = known[1] if known is not None and known[0] == stamp else sha256_of(path)
            label = None
            if stem(filename) in stems:
                label = read_labels(folder.paths.label(split, filename))
            images[split, filename] = Entry(sha256, stamp[0], label)
    return Contents(
        yaml=yaml,
        prompts=side_data.read_prompts(folder.storage),
        tags=side_data.read_tags(folder.storage),
        images=images,
        trash=class_files.trashed_labels(folder),
    )


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
    cloner = Cloner()
    clones: dict[ImageKey, str] = {}
    try:
        for key in plan.place:
            source = sound_source(folder, key, wanted.images[key], copies)
            clones[key] = temporary_name(folder.journal.tmp)
            _clone(folder, cloner, source, clones[key])
        if clones:
            sync_tree(folder.journal.tmp)
        yield clones
    finally:
        # What has been placed is gone from there; the next writer removes the rest.
        for path in clones.values():
            with suppress(OSError):
                remove_file(path)


def sound_source(
    folder: DatasetFolder, key: ImageKey, entry: Entry, copies: dict[str, ImageKey]
) -> str:
    """Return where the bytes of a version's image lie, checked; any of `copies` will do."""
    candidates = [_object(folder, entry.sha256)]
    if entry.sha256 in copies:
        candidates.append(folder.paths.image(*copies[entry.sha256]))
    for path in candidates:
        is_kept = path == candidates[0]
        if is_kept and not inside.is_file(folder.paths.root, folder.paths.below(path)):
            continue
        if os.path.isfile(path) and sha256_of(path) == entry.sha256:
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
        data = rewritten(read_file(folder.paths.data_yaml), wanted.yaml)
        change.write(folder.paths.data_yaml, data)
    if wanted.prompts != present.prompts:
        change.add(side_data.prompts_written(wanted.prompts))
    if wanted.tags != present.tags:
        change.add(side_data.tags_written(wanted.tags))
    if plan.records:
        change.add(*history_log.noted(folder.storage, plan.records, durable=True))
