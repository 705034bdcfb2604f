"""A dataset, or some of it, in the form that another tool reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.formats.accounts import Extras, import_accounts
from workbench.datasets.formats.export_plan import ExportPlan
from workbench.datasets.formats.outgoing import (
    DECIMALS,
    OutBoxes,
    OutItem,
    OutTable,
    columns_of,
)
from workbench.datasets.formats.writers import WRITERS, class_list
from workbench.errors import ExportError
from workbench.geometry import xywh_to_xyxy
from workbench.persistence import DataStores
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    ImageKey,
    LabelTable,
    Progress,
    no_progress,
)
from workbench.persistence.similar import similar
from workbench.persistence.storage.collector import paused_collector

if TYPE_CHECKING:
    import pandas as pd

_SAME = 1e-6
_NAMED = 5
_LISTED = 30
_AT_ONCE = 1 << 14
"""Boxes that are worked on at a time, for which the processor's cache has room."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Parameters
    ----------
    path : Path or None
        None for a stream.
    num_images, num_boxes : int
    notes : list of str
        What the format cannot hold.
    """

    path: Path | None
    num_images: int
    num_boxes: int
    notes: list[str]


async def plan_export(
    stores: DataStores,
    name: str,
    *,
    format: str,
    splits: Collection[str] | None = None,
    where: str = "",
    only: Collection[ImageKey] | None = None,
    classes: Sequence[str] | None = None,
) -> ExportPlan:
    """Say what an export would hold, and what the format cannot.

    Parameters
    ----------
    stores : DataStores
    name : str
        Of the dataset.
    format : str
        One of `workbench.datasets.formats.writers.WRITERS`.
    splits : collection of str, optional
        Just these.
    where : str
        A query; just the pictures that it finds, see `workbench.Dataset.query`.
    only : collection of (str, str), optional
        Just these pictures.
    classes : sequence of str, optional
        Just the boxes of these classes, which get their ids in this order.

    Raises
    ------
    ExportError
        If there is no such format, class or split.
    NotFoundError
        If there is no such dataset.
    """
    if format not in WRITERS:
        raise ExportError(f"format: expected one of {', '.join(WRITERS)}, found {format!r}")
    info = await stores.dataset.get(name)
    wanted = list(info.classes if classes is None else classes)
    for what, asked, there in (
        ("class", wanted, info.classes),
        ("split", list(splits or ()), list(SPLITS)),
    ):
        unknown = next((one for one in asked if one not in there), None)
        if unknown is not None:
            raise ExportError(f"{name}: {_there_is_no(what, str(unknown), there)}")
    keys = await stores.image.keys(name)
    if only is not None:
        chosen = set(only)
        keys = [key for key in keys if key in chosen]
    if where:
        from workbench.datasets.dataset import Dataset

        found = set(await Dataset(stores, name).query(where))
        keys = [key for key in keys if key in found]
    if splits is not None:
        keys = [key for key in keys if key[0] in splits]
    notes: list[str] = []
    items = await _items(stores, name, keys, info.classes, wanted, format, notes)
    _note_losses(format, items, wanted, notes)
    boxes = sum(item.boxes.stop - item.boxes.start for item in items if item.boxes is not None)
    home = os.fspath(info.path)
    return ExportPlan(format, len(items), boxes, wanted, notes, stores, name, home, items)


def _there_is_no(what: str, name: str, there: Sequence[str]) -> str:
    """Return that a name is none of those there are, with these; the nearest come first."""
    near = similar(name, there)
    hint = f"did you mean {' or '.join(map(repr, near))}? It has" if near else "it has"
    rest = [*near, *(one for one in there if one not in near)]
    more = f" and {len(rest) - _LISTED:,} more" if len(rest) > _LISTED else ""
    known = ", ".join(map(repr, rest[:_LISTED])) + more if rest else "none"
    return f"expected a {what} of the dataset, found {name!r}; {hint} {known}"


async def export(
    stores: DataStores,
    name: str,
    *,
    format: str,
    to: Path | str | BinaryIO,
    splits: Collection[str] | None = None,
    where: str = "",
    only: Collection[ImageKey] | None = None,
    classes: Sequence[str] | None = None,
    images: str = "copy",
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Exported:
    """Write a dataset in the form that another tool reads.

    Parameters are those of `plan_export` and of `ExportPlan.write`, which this is in one.

    Returns
    -------
    Exported
        Its `notes` say what the format cannot hold.
    """
    plan = await plan_export(
        stores, name, format=format, splits=splits, where=where, only=only, classes=classes
    )
    path = await plan.write(to, images=images, overwrite=overwrite, progress=progress)
    return Exported(path, plan.num_images, plan.num_boxes, plan.notes)


async def _items(
    stores: DataStores,
    name: str,
    keys: list[ImageKey],
    classes: list[str],
    wanted: list[str],
    format: str,
    notes: list[str],
) -> list[OutItem]:
    table = await stores.label.load_many(name, keys)
    if table.problems:
        notes.append(
            f"{counted(len(table.problems), 'label file')} left out as unreadable, its picture as "
            f"not labelled: {table.problems[0]}"
        )
    irregular = [keys[place] for place in table.irregular.tolist()]
    looked_at = irregular and (format == "yolo" or table.problems)
    broken = await _rows_beyond_boxes(stores, name, irregular) if looked_at else {}
    extras = await _extras(stores, name)
    sizes = await stores.image.measure_many(name, keys)
    columns, ends = _columns(table, sizes, classes, wanted, extras)
    items = []
    unread = start = 0
    with paused_collector():
        for key, size, labelled, stop in zip(
            keys, sizes.tolist(), table.labelled.tolist(), ends, strict=True
        ):
            width, height = size
            rows, problem = broken.get(key, ((), "")) if broken else ((), "")
            if not (width and height):
                unread += 1
            else:
                boxes = OutBoxes(columns, start, stop) if labelled and not problem else None
                kept = rows if rows and classes == wanted and boxes else ()
                items.append(OutItem(*key, width, height, boxes, kept))
            start = stop
    if unread:
        notes.append(f"{counted(unread, 'picture')} left out: what cannot be read does not go out")
    if format == "yolo":
        mixed = sum(
            1 for key in keys if key in broken and not broken[key][0] and not broken[key][1]
        )
        if mixed:
            notes.append(
                f"{counted(mixed, 'label file')} with boxes beside polygons, or with confidences, "
                f"for which Ultralytics drops the picture: the boxes are written"
            )
    return items


def _columns(
    table: LabelTable,
    sizes: npt.NDArray[np.int32],
    classes: Sequence[str],
    wanted: Sequence[str],
    extras: Extras,
) -> tuple[OutTable, list[int]]:
    """Return the boxes of the classes that are wanted, and where those of each picture end."""
    new_id = np.full(len(classes), -1, dtype=np.int64)
    for number, name in enumerate(wanted):
        new_id[classes.index(name)] = number
    class_id = new_id[table.class_id]
    owner, boxes = table.image_index, table.boxes
    if not (chosen := class_id >= 0).all():
        class_id, owner, boxes = class_id[chosen], owner[chosen], boxes[chosen]
    ends = np.cumsum(np.bincount(owner, minlength=len(sizes))).tolist()
    made = OutTable(class_id, _corners(boxes, owner, np.tile(sizes.astype(np.float64), 2)))
    for number, filename in enumerate(table.filenames if extras else ()):
        if carried := extras.get(filename):
            start = ends[number - 1] if number else 0
            for place, box in enumerate(boxes[start : ends[number]].tolist(), start):
                extra = next((e for b, e in carried if _is_same(b, box)), None)
                if extra is not None:
                    made.extras[place] = extra
    return made, ends


def _corners(
    boxes: npt.NDArray[np.float64], owner: npt.NDArray[np.int64], sizes: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return normalised xywh as corners in pixels of pictures of these sizes, some at a time."""
    corners = np.empty((len(boxes), 4))
    for start in range(0, len(boxes), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        corners[part] = np.round(xywh_to_xyxy(boxes[part]) * sizes[owner[part]], DECIMALS)
    return corners


def _is_same(one: Annotation, other: Sequence[float]) -> bool:
    """Whether a box has not moved since it came in."""
    return all(abs(p - q) < _SAME for p, q in zip(one.xywh, other, strict=True))


async def _extras(stores: DataStores, name: str) -> Extras:
    found: Extras = {}
    for account in await import_accounts(stores, name):
        for filename, boxes in account.extras.items():
            found.setdefault(filename, []).extend(boxes)
    return found


async def _rows_beyond_boxes(
    stores: DataStores, name: str, keys: Sequence[ImageKey]
) -> dict[ImageKey, tuple[list[str], str]]:
    """Return the label files that are no plain boxes: rows to be kept, and what is wrong.

    Rows are kept where Ultralytics reads them: polygons alone, or boxes with the keypoints that
    ``data.yaml`` announces. Others (mixed, six columns) are written as boxes.
    """
    inspection = await stores.label.inspect(name, only=keys)
    found: dict[ImageKey, tuple[list[str], str]] = {}
    for report in inspection.files:
        counts = {len(row.values) for row in report.rows}
        outlines = all(count >= 7 and count % 2 == 1 for count in counts)
        inside = all(0 <= v <= 1 for row in report.rows for v in row.values[1:])
        keep = bool(counts) and outlines and inside and not inspection.has_keypoints
        texts = [" ".join(row.text.split()) for row in report.rows] if keep else []
        if report.problem or counts - {5}:
            found[report.split, report.filename] = (texts, report.problem)
    return found


def _note_losses(format: str, items: list[OutItem], classes: list[str], notes: list[str]) -> None:
    writer = WRITERS[format]
    found = columns_of(items)
    if lost := _lost(found.extras.values(), writer.keeps):
        holding = [w.title for w in WRITERS.values() if w.keeps is None or lost.keys() <= w.keeps]
        # Some hold everything, so there are always several.
        named = ", ".join(f"{name} ({number:,})" for name, number in lost.most_common())
        notes.append(
            f"{writer.title} does not hold what boxes carry beyond their class: {named}; "
            f"{' and '.join([', '.join(holding[:-1]), holding[-1]])} hold it"
        )
    if not writer.keeps_order and not class_list(classes):
        unused = set(classes) - {classes[n] for n in set(found.class_id.tolist())}
        if unused:
            named = ", ".join(sorted(unused)[:_NAMED]) + ", ..." * (len(unused) > _NAMED)
            notes.append(f"{writer.title} does not hold classes without a box: {named}")
        if classes != sorted(classes):
            notes.append(f"{writer.title} does not hold the order of the classes")
    unlabelled = sum(item.boxes is None for item in items)
    if not items:
        notes.append("no picture fits what was chosen: there is none in it")
    if unlabelled:
        notes.append(f"{counted(unlabelled, 'picture')} not labelled yet: in no annotation file")


def _lost(extras: Iterable[Mapping[str, Any]], kept: Collection[str] | None) -> Counter[str]:
    """Count what boxes carry and a format does not hold, by name; attributes by their own."""
    lost: Counter[str] = Counter()
    for extra in extras if kept is not None else ():
        for name in extra.keys() - (kept or ()):
            inner = extra[name] if name == "attributes" else None
            lost.update(map(str, inner) if inner and isinstance(inner, Mapping) else [name])
    return lost


async def to_dataframe(
    stores: DataStores, name: str, *, where: str = "", splits: Collection[str] | None = None
) -> pd.DataFrame:
    """Return every box of a dataset as a table, a row for each, with corners in pixels."""
    import pandas as pd

    plan = await plan_export(stores, name, format="coco", where=where, splits=splits)
    columns = ["split", "filename", "width", "height", "class_id", "class_name"]
    rows = [
        (item.split, item.filename, item.width, item.height, b.class_id, plan.classes[b.class_id],
         *b[1:5])
        for item in plan.items
        for b in item.boxes or ()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*columns, "x0", "y0", "x1", "y1"])
