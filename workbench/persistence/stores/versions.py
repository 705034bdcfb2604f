"""Named, immutable states of datasets."""

from __future__ import annotations

import asyncio

from workbench.persistence.models import Progress, no_progress
from workbench.persistence.stopping import done_in_thread, watched_in_thread
from workbench.persistence.stores import version_files as files
from workbench.persistence.stores.places import DatasetPlaces
from workbench.persistence.version_models import VersionComparison, VersionInfo


class VersionStore:
    """The part of a dataset store that keeps versions.

    Errors are the same for every method: `InvalidNameError` for a name that cannot be a
    version's, `NotFoundError` for a dataset or version that is not there. Versions do not
    travel in archives; they go where the dataset goes when it is renamed or deleted.
    """

    _places: DatasetPlaces

    async def freeze(
        self, name: str, version: str, note: str = "", *, progress: Progress = no_progress
    ) -> VersionInfo:
        """Keep the dataset as it is now: images, labels, classes, prompts and tags.

        Versions share the space of their images with one another, and with the working copy
        where the file system can (reflinks); what other programs write into the working
        copy reaches no version. Only images that have changed since the last time are read.

        Raises
        ------
        AlreadyExistsError
            If there is a version of that name; versions never change.
        """
        dataset = self._places.open(name)
        return await watched_in_thread(
            f"version {version} of dataset {name}",
            lambda report: files.freeze(dataset, version, note, report),
            progress,
        )

    async def list_versions(self, name: str) -> list[VersionInfo]:
        """Return the versions of a dataset, oldest first."""
        return await asyncio.to_thread(files.list_all, self._places.open(name))

    async def compare_versions(
        self, name: str, first: str | None, second: str | None, *, progress: Progress = no_progress
    ) -> VersionComparison:
        """Return what is different in the second version; None is the dataset as it is now.

        Classes that were renamed or have got other ids have the same boxes still.
        """
        dataset = self._places.open(name)
        return await asyncio.to_thread(files.compare, dataset, first, second, progress)

    async def restore_version(
        self, name: str, version: str, *, progress: Progress = no_progress
    ) -> VersionInfo:
        """Make the dataset what it was: all of it, or nothing.

        Label files in the trash get the class ids that the version's classes have.

        Returns
        -------
        VersionInfo
            The automatic version that keeps the state before; restoring it undoes this. Of
            automatic versions the newest 20 are kept, and the one that was restored.

        Raises
        ------
        InvalidDatasetError
            If an image of the version was damaged by another program, and the dataset has
            no copy of it either; nothing is changed.
        AlreadyExistsError
            If a label file without an image is in the way; names it.
        """
        dataset = self._places.open(name)
        return await watched_in_thread(
            f"version {version} of dataset {name}",
            lambda report: files.restore(dataset, version, report),
            progress,
        )

    async def keep_version(self, name: str, version: str) -> VersionInfo:
        """Keep an automatic version until somebody deletes it, because it is referred to.

        Others stay anyway.
        """
        what = f"version {version} of dataset {name}"
        return await done_in_thread(what, files.keep, self._places.open(name), version)

    async def delete_version(self, name: str, version: str) -> None:
        """Remove a version for good, with the images that no other one has."""
        what = f"version {version} of dataset {name}"
        await done_in_thread(what, files.delete, self._places.open(name), version)
