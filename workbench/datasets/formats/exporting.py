"""A dataset, or some of it, in the form that another tool reads."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.formats.accounts import Extras, import_accounts
from workbench.datasets.formats.outgoing import (
    DECIMALS,
    OutBoxes,
    OutItem,
    OutTable,
    columns_of,
)
from workbench.datasets.formats.writers import WRITERS
from workbench.errors import AlreadyExistsError, ImportFormatError, NotFoundError
from workbench.geometry import xywh_to_xyxy
from workbench.owner_loop import OwnerLoop
from workbench.persistence import DataStores, links
from workbench.persistence.archive import FolderSink, empty_splits, require_free, write_zip
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.models import (
    SPLITS,
    Annotation,
    ImageKey,
    LabelTable,
    Progress,
    no_progress,
)
from workbench.persistence.rules import require_distinct_by_case
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.stopping import watched_in_thread

if TYPE_CHECKING:
    import pandas as pd

_IMAGES = ("copy", "link", "none")
_SAME = 1e-6
_NAMED = 5
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What will be written, and what the format cannot hold; nothing has been written.

    Parameters
    ----------
    format : str
    num_images, num_boxes : int
    classes : list of str
    notes : list of str
    items : list of OutItem
        The pictures with their boxes.
    """

    format: str
    num_images: int
    num_boxes: int
    classes: list[str]
    notes: list[str]
    _stores: DataStores = field(repr=False)
    _dataset: str = field(repr=False)
    items: list[OutItem] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        """Return the plan in a few lines."""
        counts = f"{counted(self.num_images, 'image')}, {counted(self.num_boxes, 'box', 'boxes')}"
        return "\n".join(
            [f"{self.format}: {counts}", f"classes: {', '.join(self.classes)}", *self.notes]
        )

    async def write(
        self,
        to: Path | str | BinaryIO,
        *,
        images: str = "copy",
        overwrite: bool = False,
        progress: Progress = no_progress,
    ) -> Path | None:
        """Write it: all of it, or nothing.

        Parameters
        ----------
        to : Path, str or binary file
            A folder that is not there yet or is empty; an archive, if it ends in ``.zip``; or
            something open for writing, which gets a zip archive.
        images : str
            ``copy`` pictures, ``link`` them (in a folder, where the disk can), or ``none``.
        overwrite : bool
            Replace an archive that is there, when the new one is complete. A folder that holds
            something is never replaced.

        Raises
        ------
        AlreadyExistsError
            If the folder holds something, or the archive is there and was not to be replaced.
        NotFoundError
            If there is no folder to write into.
        StorageError, ReadOnlyError
            If the disk is full, or may not be written to.
        InvalidDatasetError
            If two images would be one file on a disk that ignores upper and lower case.
        """
        if images not in _IMAGES:
            raise ImportFormatError(
                f"images: expected one of {', '.join(_IMAGES)}, found {images!r}"
            )
        owner = OwnerLoop()
        place = os.fspath(to) if isinstance(to, str | Path) else "a stream"
        with in_our_words(f"{self._dataset}, export to {place}"):

            def work(report: Progress) -> Path | None:
                return self._write(to, images, overwrite, report, owner)

            return await watched_in_thread(f"export to {place}", work, progress)

    def _write(
        self,
        to: Path | str | BinaryIO,
        images: str,
        overwrite: bool,
        progress: Progress,
        owner: OwnerLoop,
    ) -> Path | None:
        if images != "none":
            for split in SPLITS:  # as for an archive of the store
                require_distinct_by_case(
                    (i.filename for i in self.items if i.split == split), split
                )
        entries = self._entries(images != "none", owner)
        if not isinstance(to, str | Path):
            with tempfile.TemporaryDirectory(prefix=scratch_prefix("export")) as scratch:
                path = write_zip(Path(scratch) / "out.zip", entries, progress=progress)
                with path.open("rb") as file:
                    shutil.copyfileobj(file, to, _BLOCK_BYTES)
            return None
        target = Path(to).expanduser().absolute()
        if target.suffix.lower() == ".zip":
            require_free(target, overwrite=overwrite)
            return write_zip(target, entries, progress=progress, total=len(self.items))
        return self._write_folder(target, entries, images == "link", progress)

    def _entries(self, with_images: bool, owner: OwnerLoop) -> Iterator[tuple[str, str | bytes]]:
        writer = WRITERS[self.format]
        yield from writer.files(self.items, self.classes)
        if self.format == "yolo":
            # Every folder that data.yaml names has to be there, also an empty one.
            used = {item.split for item in self.items} if with_images else set()
            yield from empty_splits(f"images/{split}/" for split in used)
        if not with_images:
            return
        home = os.fspath(owner.wait_for(self._stores.dataset.get(self._dataset)).path)
        root = os.path.realpath(home)
        outside: list[str] = []
        folders: dict[str, links.Split] = {}
        on_disk: dict[str, bool] = {}
        for item in self.items:
            name = writer.picture.format(split=item.split, filename=item.filename)
            if item.split not in folders:
                folder = links.Split.look(root, f"images/{item.split}", outside)
                folders[item.split] = folder
                on_disk[item.split] = Path(folder.path).is_dir()
            # Links within the dataset lead here; what is read is what was looked at.
            _, path = folders[item.split].entry(item.filename, outside)
            if outside:
                raise links.refusal(self._dataset, home, outside, "nothing was exported")
            if on_disk[item.split]:
                yield name, path
                continue
            read = self._stores.image.read_bytes(self._dataset, item.split, item.filename)
            yield name, owner.wait_for(read)

    def _write_folder(
        self,
        target: Path,
        entries: Iterator[tuple[str, str | bytes]],
        link: bool,
        progress: Progress,
    ) -> Path:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise AlreadyExistsError(
                f"{target}: expected no such folder, or an empty one; nothing was written: choose "
                f"another name, or empty it yourself first"
            )
        if not target.parent.is_dir():
            raise NotFoundError(
                f"{target}: expected a folder {target.parent} to write into, found none; make it "
                f"first, or choose another"
            )
        prefix = scratch_prefix("export", target.parent)
        building = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            sink = FolderSink(building)
            for done, (name, content) in enumerate(entries, start=1):
                if name.endswith("/"):
                    (building / name).mkdir(parents=True, exist_ok=True)
                elif isinstance(content, bytes):
                    sink.write(name, content)
                elif not (link and _linked(content, building / name)):
                    sink.write_chunks(name, _blocks(content))
                progress(done, len(self.items))
            building.chmod(0o755)
            if target.exists():
                target.rmdir()
            building.rename(target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return target


def _linked(source: str, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        return False
    return True


def _blocks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


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
    ImportFormatError
        If there is no such format, class or split.
    NotFoundError
        If there is no such dataset.
    """
    if format not in WRITERS:
        raise ImportFormatError(f"format: expected one of {', '.join(WRITERS)}, found {format!r}")
    info = await stores.dataset.get(name)
    wanted = list(info.classes if classes is None else classes)
    for what, unknown in (
        ("class", set(wanted) - set(info.classes)),
        ("split", set(splits or ()) - set(SPLITS)),
    ):
        if unknown:
            raise ImportFormatError(
                f"{name}: expected a {what} of the dataset, found {min(unknown)!r}"
            )
    keys = [(image.split, image.filename) for image in await stores.image.list(name)]
    chosen = set(keys if only is None else only)
    if where:
        from workbench.datasets.dataset import Dataset

        chosen &= set(await Dataset(stores, name).query(where))
    keys = [k for k in keys if k in chosen and (splits is None or k[0] in splits)]
    notes: list[str] = []
    items = await _items(stores, name, keys, info.classes, wanted, format, notes)
    _note_losses(format, items, wanted, notes)
    boxes = sum(len(item.boxes or ()) for item in items)
    return ExportPlan(format, len(items), boxes, wanted, notes, stores, name, items)


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
    broken = await _rows_beyond_boxes(stores, name) if format == "yolo" or table.problems else {}
    extras = await _extras(stores, name)
    sizes = await stores.image.measure_many(name, keys)
    columns, ends = _columns(table, sizes, classes, wanted, extras)
    items = []
    unread = start = 0
    for key, size, labelled, stop in zip(
        keys, sizes.tolist(), table.labelled.tolist(), ends, strict=True
    ):
        width, height = size
        rows, problem = broken.get(key, ([], ""))
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
    chosen = class_id >= 0
    owner, boxes = table.image_index[chosen], table.boxes[chosen]
    corners = xywh_to_xyxy(boxes) * np.tile(sizes.astype(np.float64), 2)[owner]
    ends = np.cumsum(np.bincount(owner, minlength=len(sizes))).tolist()
    made = OutTable(class_id[chosen], np.round(corners, DECIMALS))
    for number, filename in enumerate(table.filenames if extras else ()):
        if carried := extras.get(filename):
            start = ends[number - 1] if number else 0
            for place, box in enumerate(boxes[start : ends[number]].tolist(), start):
                extra = next((e for b, e in carried if _is_same(b, box)), None)
                if extra is not None:
                    made.extras[place] = extra
    return made, ends


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
    stores: DataStores, name: str
) -> dict[ImageKey, tuple[list[str], str]]:
    """Return the label files that are no plain boxes: rows to be kept, and what is wrong.

    Rows are kept where Ultralytics reads them: polygons alone, or boxes with the keypoints that
    ``data.yaml`` announces. Others (mixed, six columns) are written as boxes.
    """
    inspection = await stores.label.inspect(name)
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
    if not writer.keeps_order:
        unused = set(classes) - {classes[n] for n in np.unique(found.class_id).tolist()}
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
