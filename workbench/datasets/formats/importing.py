"""One way in for whatever another tool has exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.datasets.formats.naming import absolute, default_name, require_free
from workbench.datasets.formats.plan import Imported, plan_import
from workbench.datasets.formats.recognising import recognise
from workbench.datasets.formats.view import FolderView
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress


async def import_dataset(
    stores: DataStores,
    path: Path | str,
    name: str | None = None,
    *,
    progress: Progress = no_progress,
    **choices: Any,
) -> Imported:
    """Make a dataset out of what another tool has exported; the original stays as it is.

    The same as `plan_import` and applying the plan.

    Parameters
    ----------
    path : Path or str
        A folder, an archive (zip, tar), or an annotation file.
    name : str, optional
        Of the dataset to make; default: that of the folder, or of the file without its
        extension.
    progress : callable
    **choices
        See `workbench.datasets.formats.choices.Choices`.

    Returns
    -------
    Imported
        Its `notes` say what was dropped, renamed or made up, and its `ledger` accounts for
        every file, picture and annotation.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    ArchiveError, ImportFormatError
        If it cannot be imported; the message says why, and nothing is left behind.
    AlreadyExistsError
        If the name is taken.
    """
    place = absolute(path)
    wanted = default_name(place) if name is None else name
    await require_free(stores, wanted)
    plan = await plan_import(stores, place, wanted, progress=progress, **choices)
    try:
        return await plan.apply(progress=progress)
    finally:
        plan.close()


def has_annotations(path: Path | str) -> bool:
    """Whether a folder or an archive is a dataset, of which pictures alone would be a loss.

    Raises
    ------
    NotFoundError, ArchiveError, ImportFormatError
        As `import_dataset`.
    """
    with FolderView.open(path) as view:
        found = recognise(view)
        return bool(found.format or found.unknown)
