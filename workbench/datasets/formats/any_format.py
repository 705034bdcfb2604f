"""One way in for whatever another tool has exported: a folder or a zip; YOLO, COCO, Pascal VOC."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.datasets.formats import coco, voc
from workbench.datasets.formats.naming import default_name, require_free
from workbench.persistence import DataStores
from workbench.persistence.archive import FolderSink, Survey, survey, unpack
from workbench.persistence.models import ImportedDataset, Progress, no_progress


async def import_dataset(
    stores: DataStores,
    path: Path | str,
    name: str | None = None,
    *,
    progress: Progress = no_progress,
) -> ImportedDataset:
    """Make a dataset out of what another tool has exported; the original stays as it is.

    Folders and zip archives in YOLO format go through `DatasetStore.import_folder` and
    `DatasetStore.import_zip`, whatever their layout. Where there is not one YOLO label but
    annotations in COCO's or Pascal VOC's form, those are converted: see
    `workbench.datasets.formats.coco` and `workbench.datasets.formats.voc`.

    Parameters
    ----------
    path : Path or str
        A folder or a zip archive.
    name : str, optional
        Of the dataset to make; default: that of the folder, or of the archive without ``.zip``.
    progress : callable

    Returns
    -------
    ImportedDataset
        Its `notes` say what was dropped, renamed or made up.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    ArchiveError, ImportFormatError
        If it cannot be imported; the message says why, and nothing is left behind.
    AlreadyExistsError
        If the name is taken.
    """
    place, found = await asyncio.to_thread(_look, Path(path))
    if name is None:
        name = default_name(place)
    await require_free(stores, name)
    is_folder = await asyncio.to_thread(place.is_dir)
    if not found.num_labels and _any_ends(found.names, ".json"):
        labels = await asyncio.to_thread(coco.find_labels, place)
        if labels:
            return await coco.import_coco(stores, place, name, labels=labels, progress=progress)
    if found.num_labels or not _any_ends(found.names, ".xml"):
        bring = stores.dataset.import_folder if is_folder else stores.dataset.import_zip
        return await bring(place, name, progress=progress)
    if is_folder:
        return await _voc_or_pictures(stores, place, name, progress)
    with tempfile.TemporaryDirectory(prefix="workbench-import-") as folder:
        sink = FolderSink(Path(folder))
        await asyncio.to_thread(unpack, place, sink)
        return await _voc_or_pictures(stores, Path(folder), name, progress)


def _look(path: Path) -> tuple[Path, Survey]:
    place = path.expanduser().absolute()
    return place, survey(place)


def _any_ends(names: Sequence[str], extension: str) -> bool:
    return any(name.lower().endswith(extension) for name in names)


async def _voc_or_pictures(
    stores: DataStores, folder: Path, name: str, progress: Progress
) -> ImportedDataset:
    if (await asyncio.to_thread(voc.detect, folder)).confidence:
        return await voc.import_voc(stores, folder, name, progress=progress)
    return await stores.dataset.import_folder(folder, name, progress=progress)


def has_annotations(path: Path | str) -> bool:
    """Whether a folder or a zip archive is a dataset, of which pictures alone would be a loss.

    Names are looked at, and the head of an annotation.

    Raises
    ------
    NotFoundError, ArchiveError
        As `import_dataset`.
    """
    place, found = _look(Path(path))
    if found.num_labels or (_any_ends(found.names, ".json") and coco.find_labels(place)):
        return True
    is_zip = place.suffix.lower() == ".zip"
    return _any_ends(found.names, ".xml") and (is_zip or bool(voc.detect(place).confidence))
