"""How findings are put right: what is shown first, what is done, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from workbench.datasets.actions import Actions, moved_back
from workbench.datasets.changes import BoxRef, Change, counted, nothing_to_undo, undoing
from workbench.datasets.health.findings import Repair
from workbench.datasets.health.links import Links
from workbench.datasets.health.reencoding import NewBytes
from workbench.errors import ConflictError, NotFoundError, WorkbenchError
from workbench.persistence import DataStores
from workbench.persistence.inspection import ImageReplacement, LabelFileReport, LabelRepair
from workbench.persistence.models import Annotation, ImageKey, ImageMove

_SHOWN = 20
RowChanges = Mapping[int, Annotation | None]


class Repairs:
    """Makes the repairs of one dataset.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    sharing : collection of (str, str)
        Images that share a label file with another. No repair takes one of them elsewhere:
        the labels would go along, or stand in the way, and be missing from the other.
    links : Links
        What lies elsewhere, and is left as it is: the rest is repaired without it.
    """

    def __init__(
        self, stores: DataStores, dataset: str, sharing: Collection[ImageKey], links: Links
    ) -> None:
        self._stores = stores
        self._dataset = dataset
        self._actions = Actions(stores, dataset)
        self._sharing = frozenset(sharing)
        self._links = links
        self._repaired: set[ImageKey] = set()

    def trash_images(self, title: str, images: Sequence[ImageKey]) -> Repair:
        """Move images with their labels to the trash."""
        keys, left_out = _sorted(images, self._why_files_stay)
        text = f"{counted(len(keys), 'image')} with their labels go to the trash"
        lines = [*left_out, *map(_path, keys)]
        return self._repair(title, _saying(text, lines), keys, lambda: self._actions.delete(keys))

    def trash_labels(self, title: str, images: Sequence[ImageKey]) -> Repair:
        """Move label files to the trash."""
        keys, left_out = _sorted(images, self._why_labels_stay)
        text = f"{counted(len(keys), 'image')} become unlabelled; the label files go to the trash"
        lines = [*left_out, *map(_path, keys)]
        return self._repair(
            title, _saying(text, lines), keys, lambda: self._actions.clear_labels(keys)
        )

    def trash_orphans(self, title: str, orphans: Sequence[tuple[str, str]]) -> Repair:
        """Move label files without an image to the trash."""
        names = list(orphans)
        text = f"{counted(len(names), 'label file goes', 'label files go')} to the trash"

        async def apply() -> Change:
            entries = await self._stores.label.delete_orphans(self._dataset, names)
            return self._restorable(
                f"{counted(len(names), 'label file')} moved to the trash",
                [entry.id for entry in entries],
            )

        paths = (f"labels/{split}/{name}" for split, name in names)
        return self._repair(title, _saying(text, paths), [], apply)

    def remove_boxes(self, title: str, boxes: Sequence[BoxRef]) -> Repair:
        """Remove boxes of label files that can be read."""
        images = dict.fromkeys(ref.image for ref in boxes)
        keys, left_out = _sorted(images, self._why_labels_stay)
        kept = frozenset(keys)
        refs = [ref for ref in boxes if ref.image in kept]
        text = f"{counted(len(refs), 'box', 'boxes')} on {counted(len(keys), 'image')} removed"
        lines = [*left_out, *(f"{_path(ref.image)}: box {ref.position}" for ref in refs)]
        return self._repair(
            title, _saying(text, lines), keys, lambda: self._actions.delete_boxes(refs)
        )

    def change_rows(
        self, title: str, changes: Sequence[tuple[LabelFileReport, RowChanges]]
    ) -> Repair:
        """Replace or remove rows of label files, whether these can be read or not."""
        wanted = {(report.split, report.filename): (report, rows) for report, rows in changes}
        keys, left_out = _sorted(wanted, self._why_labels_stay)
        repairs = {key: LabelRepair(wanted[key][0].revision, wanted[key][1]) for key in keys}
        lines = [line for key in keys for line in _row_lines(*wanted[key])]
        files = counted(len(repairs), "label file")
        text = f"{counted(len(lines), 'row')} of {files} changed"
        empty = sum(_is_emptied(*wanted[key]) for key in keys)
        if empty:
            text += f"; {counted(empty, 'image has', 'images have')} no box left"
            left_out.append(
                "an image without a box left counts as reviewed, with nothing to find in it: clear "
                "its labels if there may be something"
            )

        async def apply() -> Change:
            edits = await self._stores.label.repair_many(self._dataset, repairs, what="repair")
            return self._revertible(text, edits)

        return self._repair(title, _saying(text, [*left_out, *lines]), keys, apply)

    def replace_images(self, title: str, images: Sequence[ImageKey], new_bytes: NewBytes) -> Repair:
        """Give images other bytes, and perhaps another extension."""
        keys, left_out = _sorted(images, self._why_files_stay)

        async def plan() -> tuple[list[ImageReplacement], list[str]]:
            contents = await self._stores.image.read_many(self._dataset, keys)
            return await asyncio.to_thread(_plan_replacements, keys, contents, new_bytes)

        async def preview() -> str:
            replacements, problems = await plan()
            text = f"{counted(len(replacements), 'image')} replaced; the old files go to the trash"
            lines = [
                f"{r.split}/{r.filename} -> {r.new_filename}: {len(r.expected):,} bytes become "
                f"{len(r.data):,}"
                for r in replacements
            ]
            return _say(text, [*left_out, *problems, *lines])

        async def apply() -> Change:
            replacements, _ = await plan()
            entries = await self._stores.image.replace_many(self._dataset, replacements)
            text = f"{counted(len(entries), 'image')} replaced"
            ids = [entry.id for entry in entries]

            async def undo() -> None:
                with undoing(text):
                    await self._stores.image.undo_replace(self._dataset, ids)

            return Change(text, undo if ids else nothing_to_undo)

        return self._repair(title, preview, keys, apply)

    def move_images(
        self, title: str, moves: Sequence[ImageMove], left_out: Sequence[str] = ()
    ) -> Repair:
        """Move images to other splits."""
        wanted = {(way.from_split, way.filename): way for way in moves}
        keys, staying = _sorted(wanted, self._why_files_stay)
        ways = [wanted[key] for key in keys]
        text = f"{counted(len(ways), 'image')} moved to another split with their labels"
        lines = [f"{w.from_split}/{w.filename} -> {w.to_split}" for w in ways]

        async def apply() -> Change:
            await self._stores.image.move_many(self._dataset, ways)
            return moved_back(self._stores, self._dataset, ways, "moved to another split")

        return self._repair(title, _saying(text, [*staying, *left_out, *lines]), keys, apply)

    def _why_files_stay(self, image: ImageKey) -> str:
        """Say why an image can be neither moved nor deleted; nothing if it can."""
        if image in self._sharing:
            return (
                "which shares its label file with an image of the same name and another "
                "extension; rename one of them in the file manager first"
            )
        if self._links.fix_files(image):
            return "whose folder is a link that leads out of the dataset"
        return ""

    def _why_labels_stay(self, image: ImageKey) -> str:
        """Say why the labels of an image cannot be changed; nothing if they can."""
        if self._links.fix_labels(image):
            return "whose labels are behind a link that leads out of the dataset"
        return ""

    def _repair(
        self,
        title: str,
        preview: Callable[[], Awaitable[str]],
        images: Collection[ImageKey],
        apply: Callable[[], Awaitable[Change]],
    ) -> Repair:
        """Return a repair that says so if an earlier one is why it cannot be made any more."""

        async def after_others() -> Change:
            try:
                change = await apply()
            except (ConflictError, NotFoundError) as error:
                again = sorted(self._repaired.intersection(images))
                if not again:
                    raise
                raise ConflictError(
                    f"{self._dataset}: {_path(again[0])} was changed by another repair of the same "
                    f"check, so that this one does not fit any more; nothing was done. Check the "
                    f"dataset again, and repair what is left"
                ) from error
            self._repaired.update(images)
            return change

        return Repair(title, preview, after_others)

    def _restorable(self, text: str, entries: list[str]) -> Change:
        async def undo() -> None:
            with undoing(text):
                await self._stores.image.restore_many(self._dataset, entries)

        return Change(text, undo)

    def _revertible(self, text: str, edits: list[str]) -> Change:
        async def undo() -> None:
            with undoing(text):
                await self._stores.label.revert_many(self._dataset, edits, what="undo")

        return Change(text, undo if edits else nothing_to_undo)


def _sorted(
    images: Iterable[ImageKey], why_it_stays: Callable[[ImageKey], str]
) -> tuple[list[ImageKey], list[str]]:
    """Return images that can be repaired, and a line on each other one."""
    why = {image: why_it_stays(image) for image in images}
    keys = [image for image, reason in why.items() if not reason]
    return keys, [f"left as it is: {_path(i)}, {reason}" for i, reason in why.items() if reason]


def _is_emptied(report: LabelFileReport, rows: RowChanges) -> bool:
    """Whether no row of a label file is left."""
    return all(row.position in rows and rows[row.position] is None for row in report.rows)


def _plan_replacements(
    keys: Sequence[ImageKey], contents: Sequence[bytes | Exception], new_bytes: NewBytes
) -> tuple[list[ImageReplacement], list[str]]:
    replacements, problems = [], []
    for (split, filename), data in zip(keys, contents, strict=True):
        try:
            if isinstance(data, Exception):
                raise data
            new_filename, new = new_bytes(filename, data)
        except (WorkbenchError, OSError) as error:
            problems.append(f"left as it is: {split}/{filename}: {error}")
            continue
        replacements.append(ImageReplacement(split, filename, new_filename, new, data))
    return replacements, problems


def _row_lines(report: LabelFileReport, rows: RowChanges) -> list[str]:
    lines = []
    for row in report.rows:
        if row.position in rows:
            box = rows[row.position]
            new = (
                "removed"
                if box is None
                else " ".join([str(box.class_id), *(f"{value:.6g}" for value in box.xywh)])
            )
            lines.append(
                f"{_path((report.split, report.filename))}, line {row.line}: "
                f"{row.text[:60]!r} -> {new}"
            )
    return lines


def _path(key: ImageKey) -> str:
    return "/".join(key)


def _saying(text: str, lines: Iterable[str]) -> Callable[[], Awaitable[str]]:
    kept = list(lines)

    async def preview() -> str:
        return _say(text, kept)

    return preview


def _say(text: str, lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return "\n".join([text, *lines[:_SHOWN], *more])
