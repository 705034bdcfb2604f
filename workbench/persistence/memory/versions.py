"""The part of the dataset store in memory that keeps versions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence import version_comparison, versions
from workbench.persistence.memory.classes import trashed_labels, write_labels
from workbench.persistence.memory.state import Dataset, State, StoredImage
from workbench.persistence.models import SPLITS, Progress, no_progress
from workbench.persistence.storage import Move
from workbench.persistence.stores.dataset import image_key
from workbench.persistence.version_models import VersionComparison, VersionInfo
from workbench.persistence.version_store import VersionStore
from workbench.persistence.versions import Contents, Entry
from workbench.persistence.yolo.names import check_name, stem


class MemoryVersionStore(VersionStore):
    """Versions in a dict."""

    _state: State

    async def freeze(
        self, name: str, version: str, note: str = "", *, progress: Progress = no_progress
    ) -> VersionInfo:
        """See `VersionStore.freeze`."""
        version = check_name(version, "version name")
        with self._state.reading(name) as (name, found):
            contents = _present(found, progress)
            return _keep(found, version, note, contents, automatic=False)

    async def list_versions(self, name: str) -> list[VersionInfo]:
        """See `VersionStore.list_versions`."""
        with self._state.reading(name) as (_, found):
            infos = [info for info, _ in found.versions.values()]
            return sorted(infos, key=versions.age)

    async def compare_versions(
        self, name: str, first: str | None, second: str | None, *, progress: Progress = no_progress
    ) -> VersionComparison:
        """See `VersionStore.compare_versions`."""
        with self._state.reading(name) as (name, found):
            sides = [
                _present(found, progress) if side is None else _require(found, name, side)
                for side in (first, second)
            ]
            return version_comparison.compare(*sides)

    async def restore_version(
        self, name: str, version: str, *, progress: Progress = no_progress
    ) -> VersionInfo:
        """See `VersionStore.restore_version`."""
        with self._state.writing(name) as (name, found):
            wanted, present = _require(found, name, version), _present(found, progress)
            name = versions.automatic_name(found.versions)
            note = f"as it was before {version!r} was restored"
            kept = _keep(found, name, note, present, automatic=True)
            _restore(found, present, wanted)
            known = [info for info, _ in found.versions.values()]
            _remove(found, versions.superseded(known, {version, name}))
            return kept

    async def keep_version(self, name: str, version: str) -> VersionInfo:
        """See `VersionStore.keep_version`."""
        with self._state.reading(name) as (name, found):
            contents = _require(found, name, version)
            info = replace(found.versions[version][0], automatic=False)
            found.versions[version] = (info, contents)
            return info

    async def delete_version(self, name: str, version: str) -> None:
        """See `VersionStore.delete_version`."""
        with self._state.reading(name) as (name, found):
            _require(found, name, version)
            _remove(found, [version])


def as_it_was(found: Dataset, name: str, version: str) -> Dataset:
    """Return a dataset as it was when a version was frozen, without its history."""
    contents = _require(found, name, version)
    then = Dataset(contents.yaml)
    then.created_at, then.modified_at = found.created_at, found.modified_at
    then.prompts = contents.prompts
    then.tags = dict(contents.tags)
    for (split, filename), entry in contents.images.items():
        then.images[split, filename] = StoredImage(found.objects[entry.sha256], time.time())
        if entry.label is not None:
            then.labels[split, stem(filename)] = entry.label
    return then


def _present(found: Dataset, progress: Progress) -> Contents:
    keys = [(split, filename) for split in SPLITS for filename in found.names(split)]
    images = {}
    for done, (split, filename) in enumerate(keys, start=1):
        data = found.images[split, filename].data
        label = found.labels.get((split, stem(filename)))
        images[split, filename] = Entry(hashlib.sha256(data).hexdigest(), len(data), label)
        progress(done, len(keys))
    return Contents(
        yaml=found.yaml,
        prompts=found.prompts,
        tags=found.tags,
        images=images,
        trash=trashed_labels(found),
    )


def _keep(
    found: Dataset, version: str, note: str, contents: Contents, *, automatic: bool
) -> VersionInfo:
    if version in found.versions:
        raise AlreadyExistsError(f"there is a version {version!r} already; choose another name")
    serial = max((info.serial for info, _ in found.versions.values()), default=0) + 1
    info = contents.info(version, note, automatic=automatic, serial=serial)
    found.versions[version] = (info, contents)
    for key, entry in contents.images.items():
        found.objects[entry.sha256] = found.images[key].data
    return info


def _remove(found: Dataset, doomed: Sequence[str]) -> None:
    for version in doomed:
        del found.versions[version]
    used = versions.shas(contents for _, contents in found.versions.values())
    found.objects = {sha: data for sha, data in found.objects.items() if sha in used}


def _require(found: Dataset, name: str, version: str) -> Contents:
    if check_name(version, "version name") not in found.versions:
        raise NotFoundError(f"{name} has no version {version!r}")
    return found.versions[version][1]


def _restore(found: Dataset, present: Contents, wanted: Contents) -> None:
    plan = versions.plan_restoration(present, wanted)
    for way in plan.moves:
        source, target = (way.from_split, way.filename), (way.to_split, way.filename)
        found.storage.commit([Move(image_key(*source), image_key(*target))])
    for key in plan.remove:
        del found.images[key]
    for key in plan.place:
        found.images[key] = StoredImage(found.objects[wanted.images[key].sha256], time.time())
    for path in plan.unlink:
        _, split, label = path.split("/", 2)
        del found.labels[split, label.removesuffix(".txt")]
    write_labels(found, plan.write | plan.trash)
    found.yaml = wanted.yaml
    found.prompts, found.tags = dict(wanted.prompts), dict(wanted.tags)
    found.note(plan.records)
