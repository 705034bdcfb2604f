"""The part of the dataset store over plain files that keeps versions."""

from __future__ import annotations

import asyncio

from workbench.persistence.filesystem import version_files as files
from workbench.persistence.filesystem.dataset_folder import DatasetRoot
from workbench.persistence.models import Progress, no_progress
from workbench.persistence.version_models import VersionComparison, VersionInfo
from workbench.persistence.version_store import VersionStore


class FilesystemVersionStore(VersionStore):
    """Versions below ``<data_dir>/<dataset>/.workbench/versions/``."""

    _root: DatasetRoot

    async def freeze(
        self, name: str, version: str, note: str = "", *, progress: Progress = no_progress
    ) -> VersionInfo:
        """See `VersionStore.freeze`."""
        return await asyncio.to_thread(files.freeze, self._root.open(name), version, note, progress)

    async def list_versions(self, name: str) -> list[VersionInfo]:
        """See `VersionStore.list_versions`."""
        return await asyncio.to_thread(files.list_all, self._root.open(name))

    async def compare_versions(
        self, name: str, first: str | None, second: str | None, *, progress: Progress = no_progress
    ) -> VersionComparison:
        """See `VersionStore.compare_versions`."""
        folder = self._root.open(name)
        return await asyncio.to_thread(files.compare, folder, first, second, progress)

    async def restore_version(
        self, name: str, version: str, *, progress: Progress = no_progress
    ) -> VersionInfo:
        """See `VersionStore.restore_version`."""
        return await asyncio.to_thread(files.restore, self._root.open(name), version, progress)

    async def keep_version(self, name: str, version: str) -> VersionInfo:
        """See `VersionStore.keep_version`."""
        return await asyncio.to_thread(files.keep, self._root.open(name), version)

    async def delete_version(self, name: str, version: str) -> None:
        """See `VersionStore.delete_version`."""
        await asyncio.to_thread(files.delete, self._root.open(name), version)
