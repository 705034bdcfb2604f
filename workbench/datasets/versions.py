"""Versions of a dataset: frozen, compared with each other, and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from workbench.datasets.changes import Change, counted, undoing
from workbench.errors import ConflictError
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress
from workbench.persistence.version_models import VersionComparison, VersionInfo

if TYPE_CHECKING:
    import builtins

    import pandas as pd


class Versions:
    """The named, immutable versions of one dataset.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    """

    def __init__(self, stores: DataStores, dataset: str) -> None:
        self._stores = stores
        self._dataset = dataset

    async def freeze(
        self, name: str, note: str = "", *, progress: Progress = no_progress
    ) -> VersionInfo:
        """Keep the dataset as it is now; see `VersionStore.freeze`."""
        return await self._stores.dataset.freeze(self._dataset, name, note, progress=progress)

    async def list(self) -> builtins.list[VersionInfo]:
        """Return all versions, oldest first, with those that restoring made by itself."""
        return await self._stores.dataset.list_versions(self._dataset)

    async def compare(
        self, first: str | None, second: str | None = None, *, progress: Progress = no_progress
    ) -> VersionComparison:
        """Return what is different in `second`; None is the dataset as it is now."""
        return await self._stores.dataset.compare_versions(
            self._dataset, first, second, progress=progress
        )

    async def restore(self, name: str, *, progress: Progress = no_progress) -> Change:
        """Make the dataset what it was when `name` was frozen: all of it, or nothing.

        The state before is kept as an automatic version, so that this can be undone in any
        later session too, by restoring that one; the newest 20 of these stay. Undoing
        through the returned change is refused if anything has changed since.
        """
        store = self._stores.dataset
        kept = await store.restore_version(self._dataset, name, progress=progress)
        text = f"version {name!r} restored"

        async def undo() -> None:
            with undoing(text):
                if await store.compare_versions(self._dataset, name, None):
                    raise ConflictError(
                        f"{self._dataset} has been changed since {name!r} was restored; nothing "
                        f"was undone. Its state before that is the version {kept.name!r}"
                    )
                await store.restore_version(self._dataset, kept.name)

        return Change(text, undo)

    async def delete(self, name: str) -> None:
        """Remove a version for good; this cannot be undone."""
        await self._stores.dataset.delete_version(self._dataset, name)


def to_frame(comparison: VersionComparison) -> pd.DataFrame:
    """Return a comparison as a table.

    Returns
    -------
    DataFrame
        One row for each difference: ``change`` (``"image added"``, ``"image removed"``,
        ``"image changed"``, ``"moved"``, ``"boxes"``, ``"unreadable"``), ``split``,
        ``filename``, ``from_split``, ``boxes_added``, ``boxes_removed``.
    """
    import pandas as pd

    return pd.DataFrame(differences(comparison), columns=Difference._fields)


class Difference(NamedTuple):
    """One row of a comparison; see `to_frame`."""

    change: str
    split: str
    filename: str
    from_split: str
    boxes_added: int
    boxes_removed: int


def differences(comparison: VersionComparison) -> list[Difference]:
    """Return a comparison as the rows of a table; see `to_frame`."""
    rows: list[Difference] = []
    for change, keys in (
        ("image added", comparison.added),
        ("image removed", comparison.removed),
        ("image changed", comparison.changed),
        ("unreadable", comparison.unreadable),
    ):
        rows += [Difference(change, split, filename, "", 0, 0) for split, filename in keys]
    rows += [
        Difference("moved", m.to_split, m.filename, m.from_split, 0, 0) for m in comparison.moved
    ]
    rows += [
        Difference("boxes", d.split, d.filename, "", d.boxes_added, d.boxes_removed)
        for d in comparison.labels
    ]
    return rows


def in_words(found: VersionComparison) -> str:
    """Return a comparison as a sentence."""
    parts = [
        f"{counted(len(images), 'image')} {what}"
        for images, what in (
            (found.added, "added"),
            (found.removed, "removed"),
            (found.changed, "changed"),
            (found.moved, "moved"),
        )
        if images
    ]
    if found.boxes_added or found.boxes_removed:
        on = counted(len(found.labels), "image")
        added = counted(found.boxes_added, "box", "boxes")
        parts.append(f"{added} added, {found.boxes_removed:,} removed on {on}")
    elif found.labels:
        parts.append(f"labels of {counted(len(found.labels), 'image')} changed")
    parts += [f"class {old!r} renamed to {new!r}" for old, new in found.renamed.items()]
    before, after = found.classes
    if [found.renamed.get(name, name) for name in before] != after:
        was, now = (", ".join(classes) or "none" for classes in (before, after))
        parts.append(f"classes {was} became {now}")
    return ("; ".join(parts) if parts else "No difference") + "."
