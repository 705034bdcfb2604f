"""Datasets of other libraries in memory: pycocotools' ``COCO``, supervision's ``DetectionDataset``.

Neither library is needed for anything else, so both are imported when they are asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.datasets.formats.choices import Choices, choices_from
from workbench.datasets.formats.coco import SHOWN
from workbench.datasets.formats.coco_writing import coco_pieces
from workbench.datasets.formats.contents import contents_of
from workbench.datasets.formats.exporting import plan_export
from workbench.datasets.formats.naming import absolute, require_free
from workbench.datasets.formats.outgoing import OutItem, columns_of
from workbench.datasets.formats.plan import Imported, ImportPlan
from workbench.datasets.formats.view import FolderView
from workbench.errors import ImportFormatError
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress

_ANNOTATIONS = "workbench-objects.coco.json"


async def to_coco(stores: DataStores, name: str, *, where: str = "") -> Any:
    """Return a dataset as the ``COCO`` object of pycocotools, which has to be installed.

    Parameters
    ----------
    stores : DataStores
    name : str
    where : str
        A query; just the pictures that it finds.
    """
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise _missing("pycocotools") from error
    plan = await plan_export(stores, name, format="coco", where=where)
    made = COCO()
    made.dataset = json.loads(b"".join(coco_pieces(plan.items, plan.classes)))
    made.createIndex()
    return made


async def from_coco(
    stores: DataStores,
    coco: Any,
    pictures: Path | str,
    name: str,
    *,
    progress: Progress = no_progress,
    **choices: Any,
) -> Imported:
    """Make a dataset of pycocotools' ``COCO`` object, or of what such a file says.

    Parameters
    ----------
    stores : DataStores
    coco : COCO or mapping
    pictures : Path or str
        The folder where the pictures are.
    name : str
        Of the dataset to make.
    progress : callable
    **choices
        See `Choices`.
    """
    content = coco if isinstance(coco, Mapping) else coco.dataset
    view = await asyncio.to_thread(FolderView.open, absolute(pictures))
    return await _made(stores, view, content, name, progress, choices)


async def to_supervision(stores: DataStores, name: str, *, where: str = "") -> Any:
    """Return a dataset as supervision's ``DetectionDataset``, which reads its pictures lazily.

    Pictures that nobody has labelled yet are left out: there is no place for that in it.

    Parameters
    ----------
    stores : DataStores
    name : str
    where : str
        A query; just the pictures that it finds.
    """
    try:
        import supervision
    except ImportError as error:
        raise _missing("supervision") from error
    plan = await plan_export(stores, name, format="coco", where=where)
    found = {}
    for item in plan.items:
        if item.boxes is None:
            continue
        info = await stores.image.get(name, item.split, item.filename)
        found[str(info.path)] = supervision.Detections(**_columns(item))
    return supervision.DetectionDataset(list(plan.classes), list(found), found)


def _columns(item: OutItem) -> dict[str, Any]:
    found = columns_of([item])
    return {"xyxy": found.corners.astype(np.float32), "class_id": found.class_id.astype(int)}


async def from_supervision(
    stores: DataStores,
    dataset: Any,
    name: str,
    *,
    progress: Progress = no_progress,
    **choices: Any,
) -> Imported:
    """Make a dataset of supervision's ``DetectionDataset``.

    Parameters
    ----------
    stores : DataStores
    dataset : DetectionDataset
        Of pictures on this disk, not in memory.
    name : str
        Of the dataset to make.
    progress : callable
    **choices
        See `Choices`.
    """
    view = await asyncio.to_thread(_viewed, dataset.image_paths)
    annotations: list[dict[str, Any]] = []
    for number, path in enumerate(dataset.image_paths, start=1):
        annotations += _rows(dataset.annotations[path], number)
    content = {
        "info": {"contributor": SHOWN},
        "images": [{"id": n, "file_name": file} for n, file in enumerate(view.names, start=1)],
        "annotations": annotations,
        "categories": [{"id": n, "name": str(c)} for n, c in enumerate(dataset.classes)],
    }
    return await _made(stores, view, content, name, progress, choices)


def _viewed(paths: Iterable[str]) -> FolderView:
    places = [absolute(path) for path in paths]
    missing = next((place for place in places if not place.is_file()), None)
    if missing is not None:
        raise ImportFormatError(
            f"{missing}: expected the pictures of the dataset on this disk, found no such file; "
            f"write them into a folder first (dataset.as_yolo) and import that"
        )
    return FolderView.of_files(_names(places))


def _names(places: Iterable[Path]) -> dict[str, Path]:
    """Return a name for each file: its own, with that of its folder where they differ in that."""
    places = list(places)
    homes = list(dict.fromkeys(place.parent for place in places))
    if len(homes) == 1:
        return {place.name: place for place in places}
    return {f"{homes.index(p.parent)}_{p.parent.name}/{p.name}": p for p in places}


def _rows(found: Any, number: int) -> list[dict[str, Any]]:
    """Return supervision's detections in a picture as annotations of COCO."""
    classes = found.class_id if found.class_id is not None else np.zeros(len(found), dtype=int)
    rows = []
    for index, (box, class_id) in enumerate(zip(found.xyxy.tolist(), classes, strict=True)):
        x0, y0, x1, y1 = box
        row: dict[str, Any] = {"id": 0, "image_id": number, "category_id": int(class_id)}
        row |= {"bbox": [x0, y0, x1 - x0, y1 - y0]}
        if found.confidence is not None:
            row["score"] = float(found.confidence[index])
        if found.tracker_id is not None:
            row["track_id"] = int(found.tracker_id[index])
        rows.append(row)
    return rows


async def _made(
    stores: DataStores,
    view: FolderView,
    content: Mapping[str, Any],
    name: str,
    progress: Progress,
    changes: Mapping[str, Any],
) -> Imported:
    await require_free(stores, name)
    choices = choices_from(Choices(format="coco"), changes)

    def plan() -> ImportPlan:
        folder = Path(view.new_folder())
        (folder / _ANNOTATIONS).write_text(json.dumps(content, default=float), encoding="utf-8")
        whole = view.with_made(folder, (), (), ())
        whole.focus = _ANNOTATIONS
        contents = contents_of(whole, choices, progress)
        return ImportPlan(stores, whole, contents, choices, name)

    try:
        return await (await asyncio.to_thread(plan)).apply(progress=progress)
    finally:
        view.close()


def _missing(library: str) -> ImportFormatError:
    return ImportFormatError(
        f"expected the library {library} to be installed, found none; pip install {library}"
    )
