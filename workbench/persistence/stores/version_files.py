"""What versions are in a storage: ``versions/<name>.version``, ``versions/objects/ab/<sha256>``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import compress

from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence import links, version_bytes, version_comparison, versions
from workbench.persistence.models import SPLITS, ImageKey, Progress
from workbench.persistence.storage import Change, Copy, Move, Remove, Write, Writer
from workbench.persistence.stores import history_log, prompt_file, side_data, trash
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, image_key, label_key
from workbench.persistence.stores.image_hashes import Hashes, hash_images, refuse_odd, sha256_of
from workbench.persistence.stores.label_reading import read_whole
from workbench.persistence.version_models import VersionComparison, VersionInfo
from workbench.persistence.versions import Contents, Entry, Restoration
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import HIDDEN, check_name, stem
from workbench.persistence.yolo.yaml_text import rewritten

_log = logging.getLogger(__name__)

VERSIONS = f"{HIDDEN}/versions"
"""Key of the folder of all versions of a dataset."""

_OBJECTS = f"{VERSIONS}/objects"
_SUFFIX = ".version"
_AT_ONCE = 4096
"""Images that are kept, or let go, by one commit."""


def freeze(dataset: Dataset, version: str, note: str, progress: Progress) -> VersionInfo:
    """Keep the dataset as it is now under a name."""
    key = _key(version)
    _require_new(dataset, key, version)
    hashes = hash_images(dataset, progress)
    with dataset.leased() as (yaml, writer):
        _require_new(dataset, key, version)
        contents = _present(dataset, yaml, hashes)
        info = contents.info(
            _name(key), note, automatic=False, serial=_next_serial(list_all(dataset))
        )
        kept = Write(key, version_bytes.to_bytes(info, contents), if_absent=True)
        _commit(dataset, writer, _not_kept(dataset, contents), [kept])
    return info


def list_all(dataset: Dataset) -> list[VersionInfo]:
    """Return the versions, oldest first."""
    dataset.read()
    found = []
    for key in _keys(dataset):
        try:
            with dataset.storage.open_read(key) as file:
                line = file.readline(version_bytes.LONGEST_LINE)
            found.append(version_bytes.read_info(line, dataset.at(key)))
        except (InvalidDatasetError, NotFoundError) as error:
            _log.warning("version left out of the list: %s", error)
    return sorted(found, key=versions.age)


def compare(
    dataset: Dataset, first: str | None, second: str | None, progress: Progress
) -> VersionComparison:
    """Return what is different in the second version; None is the dataset as it is now."""
    hashes = hash_images(dataset, progress) if first is None or second is None else {}

    def contents(version: str | None) -> Contents:
        if version is not None:
            return read(dataset, version)[1]
        return dataset.consistently(lambda: _present(dataset, dataset.read(), hashes))

    return version_comparison.compare(contents(first), contents(second))


def restore(dataset: Dataset, version: str, progress: Progress) -> VersionInfo:
    """Make the dataset what it was; return the version that keeps what it is now."""
    read(dataset, version)
    hashes = hash_images(dataset, progress)
    with dataset.leased() as (yaml, writer):
        _, wanted = read(dataset, version)
        known = list_all(dataset)
        present = _present(dataset, yaml, hashes)
        name = versions.automatic_name(info.name for info in known)
        note = f"as it was before {version!r} was restored"
        kept = present.info(name, note, automatic=True, serial=_next_serial(known))
        plan = versions.plan_restoration(present, wanted)
        _require_no_stray_labels(dataset, plan, present)
        copies = _not_kept(dataset, present)
        copies += _mended(dataset, plan, present, wanted)
        changes = [
            *_image_changes(plan, wanted),
            *_other_changes(dataset, plan, present, wanted),
            Write(_key(name), version_bytes.to_bytes(kept, present), if_absent=True),
        ]
        gone = versions.superseded([*known, kept], {version, name})
        changes += [Remove(_key(old)) for old in gone]
        _commit(dataset, writer, copies, changes)
        _sweep_later(dataset, writer)
    return kept


def keep(dataset: Dataset, version: str) -> VersionInfo:
    """Keep an automatic version until somebody deletes it."""
    with dataset.leased() as (_, writer):
        info, contents = read(dataset, version)
        if info.automatic:
            info = replace(info, automatic=False)
            writer.commit([Write(_key(version), version_bytes.to_bytes(info, contents))])
    return info


def delete(dataset: Dataset, version: str) -> None:
    """Remove a version, and the images that no other one has."""
    key = _key(version)
    with dataset.leased() as (_, writer):
        if not dataset.storage.exists(key):
            raise _unknown(dataset, version)
        writer.commit([Remove(key)])
        _sweep_later(dataset, writer)


def read(dataset: Dataset, version: str) -> tuple[VersionInfo, Contents]:
    """Return what a version keeps."""
    dataset.read()
    try:
        return _read(dataset, _key(version))
    except NotFoundError:
        raise _unknown(dataset, version) from None


def sound_source(
    dataset: Dataset, image: ImageKey, entry: Entry, copies: dict[str, ImageKey]
) -> str:
    """Return a key with the bytes of a version's image, checked; any of `copies` will do.

    Raises
    ------
    InvalidDatasetError
        If there is none.
    """
    candidates = [_object(entry.sha256)]
    if entry.sha256 in copies:
        candidates.append(image_key(*copies[entry.sha256]))
    for key in candidates:
        with suppress(NotFoundError, InvalidDatasetError):
            if sha256_of(dataset.storage, key) == entry.sha256:
                return key
    raise InvalidDatasetError(
        f"{dataset.name}: the version's {'/'.join(image)} is lost: {dataset.at(candidates[0])} is "
        f"missing, or another program has written into it. Nothing was changed"
    )


# --- what is there ------------------------------------------------------------------------


def _key(version: str) -> str:
    return f"{VERSIONS}/{check_name(version, 'version name')}{_SUFFIX}"


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(_SUFFIX)


def _keys(dataset: Dataset) -> list[str]:
    try:
        names = dataset.storage.names(VERSIONS)
    except InvalidDatasetError as error:
        _log.warning("left unread: %s", error)
        return []
    return [f"{VERSIONS}/{name}" for name in sorted(names) if name.endswith(_SUFFIX)]


def _object(sha256: str) -> str:
    return f"{_OBJECTS}/{sha256[:2]}/{sha256}"


def _objects(dataset: Dataset) -> dict[str, int]:
    """Return the keys of all images that are kept, and their sizes."""
    found: dict[str, int] = {}
    # What leads elsewhere is none of ours; the backend moves it away when something comes there.
    with suppress(InvalidDatasetError):
        for part in dataset.storage.list(_OBJECTS).folders:
            listing = dataset.storage.list(f"{_OBJECTS}/{part}")
            keys = [f"{_OBJECTS}/{part}/{name}" for name in listing.names]
            found.update(zip(keys, listing.sizes.tolist(), strict=True))
    return found


def _read(dataset: Dataset, key: str) -> tuple[VersionInfo, Contents]:
    with dataset.storage.open_read(key) as file:
        return version_bytes.from_file(file, dataset.at(key))


def _shas(dataset: Dataset, key: str) -> set[str]:
    with dataset.storage.open_read(key) as file:
        return version_bytes.shas_of(file, dataset.at(key))


def _unknown(dataset: Dataset, version: str) -> NotFoundError:
    names = ", ".join(map(_name, _keys(dataset)))
    return NotFoundError(f"{dataset.name} has no version {version!r}; it has {names or 'none'}")


def _require_new(dataset: Dataset, key: str, version: str) -> None:
    if dataset.storage.exists(key):
        raise AlreadyExistsError(
            f"there is a version {version!r} already; versions never change, so choose another name"
        )


def _next_serial(known: Sequence[VersionInfo]) -> int:
    return max((info.serial for info in known), default=0) + 1


def _present(dataset: Dataset, yaml: DataYaml, hashes: Hashes) -> Contents:
    """Return the contents of the dataset; hashes that are out of date are made again."""
    images: dict[ImageKey, Entry] = {}
    for split in SPLITS:
        marks = dataset.storage.marks(f"images/{split}")
        stems, names = dataset.label_stems(split), dataset.image_names(split)
        labelled = [stem(filename) in stems for filename in names]
        keys = [label_key(split, filename) for filename in compress(names, labelled)]
        labels = iter(read_whole(dataset.storage, keys))
        for filename, has_labels in zip(names, labelled, strict=True):
            label = next(labels) if has_labels else None
            key = image_key(split, filename)
            if filename not in marks:
                refuse_odd(dataset, key)
                raise dataset.storage.missing(key)
            known, mark = hashes.get(f"{split}/{filename}"), marks[filename]
            is_known = known is not None and known[0] == mark
            sha256 = known[1] if known and is_known else sha256_of(dataset.storage, key)
            images[split, filename] = Entry(sha256, mark[0], label)
    return Contents(
        yaml=yaml,
        prompts=prompt_file.read_prompts(dataset.storage),
        tags=side_data.read_tags(dataset.storage),
        images=images,
        trash=trash.read_labels(dataset.trash),
    )


# --- keeping ------------------------------------------------------------------------------


def _not_kept(dataset: Dataset, contents: Contents) -> list[Copy]:
    """Return the changes that keep those images that no version has yet."""
    labelled = [image for image, entry in contents.images.items() if entry.label is not None]
    keys = [image_key(*image) for image in contents.images]
    keys += [label_key(*image) for image in labelled]
    outside = dataset.storage.outside(keys)
    if outside:
        where = dataset.storage.where
        raise links.refusal(dataset.name, where, outside, "no version was made")
    there = _objects(dataset)
    wanted = {
        _object(entry.sha256): (image, entry.size) for image, entry in contents.images.items()
    }
    return [
        Copy(image_key(*image), kept)
        for kept, (image, size) in wanted.items()
        if there.get(kept) != size
    ]


def _commit(
    dataset: Dataset, writer: Writer, copies: Sequence[Copy], changes: Sequence[Change]
) -> None:
    """Keep images, as many at a time as fit into the memory, the last of them with `changes`."""
    # Before the version is there that needs them, they are nobody's, and no harm.
    last = max(len(copies) - _AT_ONCE, 0)
    with _swept_if_it_fails(dataset, writer):
        for start in range(0, last, _AT_ONCE):
            writer.commit(copies[start : min(start + _AT_ONCE, last)])
        writer.commit([*copies[last:], *changes])


@contextmanager
def _swept_if_it_fails(dataset: Dataset, writer: Writer) -> Iterator[None]:
    """Remove images that were kept for a version that did not come to be."""
    try:
        yield
    except BaseException:
        with suppress(OSError, WorkbenchError):
            _sweep(dataset, writer)
        raise


def _sweep_later(dataset: Dataset, writer: Writer) -> None:
    """Remove images that no version has any more; what cannot go now goes the next time."""
    try:
        _sweep(dataset, writer)
    except (OSError, WorkbenchError) as error:
        _log.warning("%s: images of removed versions stay for now: %s", dataset.name, error)


def _sweep(dataset: Dataset, writer: Writer) -> None:
    try:
        used: set[str] = set()
        for key in _keys(dataset):
            used |= _shas(dataset, key)
    except (InvalidDatasetError, NotFoundError) as error:
        # That version may have the last copy of an image.
        _log.warning("no image of a version is removed as long as one cannot be read: %s", error)
        return
    needed = {_object(sha256) for sha256 in used}
    unused = [Remove(key) for key in _objects(dataset) if key not in needed]
    for start in range(0, len(unused), _AT_ONCE):
        writer.commit(unused[start : start + _AT_ONCE])


# --- restoring ----------------------------------------------------------------------------


def _require_no_stray_labels(dataset: Dataset, plan: Restoration, present: Contents) -> None:
    """Make sure that no image finds the labels of another that is long gone."""
    owned = {(split, stem(filename)) for split, filename in present.images}
    coming = [*plan.place, *((way.to_split, way.filename) for way in plan.moves)]
    for split, filename in coming:
        label = label_key(split, filename)
        if (split, stem(filename)) not in owned and dataset.storage.exists(label):
            raise AlreadyExistsError(
                f"{dataset.name}: {dataset.at(label)} has labels without an image; "
                f"remove that file first"
            )


def _mended(dataset: Dataset, plan: Restoration, present: Contents, wanted: Contents) -> list[Copy]:
    """Make sure that all images to place are kept, and sound.

    Returns
    -------
    list of Copy
        The changes that make it so, where the dataset itself has the same bytes.
    """
    copies = {entry.sha256: image for image, entry in present.images.items()}
    found: dict[str, Copy] = {}
    for image in plan.place:
        entry = wanted.images[image]
        source, kept = sound_source(dataset, image, entry, copies), _object(entry.sha256)
        if source != kept:
            found[kept] = Copy(source, kept)
    return list(found.values())


def _image_changes(plan: Restoration, wanted: Contents) -> list[Change]:
    return [
        *(
            Move(image_key(way.from_split, way.filename), image_key(way.to_split, way.filename))
            for way in plan.moves
        ),
        *(Remove(image_key(*image)) for image in plan.remove),
        *(Copy(_object(wanted.images[image].sha256), image_key(*image)) for image in plan.place),
    ]


def _other_changes(
    dataset: Dataset, plan: Restoration, present: Contents, wanted: Contents
) -> list[Change]:
    changes: list[Change] = [Remove(path) for path in plan.unlink]
    changes += [Write(path, data) for path, data in (plan.write | plan.trash).items()]
    if wanted.yaml != present.yaml:
        changes.append(Write(DATA_YAML, rewritten(dataset.storage.read(DATA_YAML), wanted.yaml)))
    if wanted.prompts != present.prompts:
        changes.append(prompt_file.prompts_written(wanted.prompts))
    if wanted.tags != present.tags:
        changes.append(side_data.tags_written(wanted.tags))
    if plan.records:
        changes += history_log.noted(dataset.storage, plan.records, durable=True)
    return changes
