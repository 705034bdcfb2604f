"""What the image store does on disk; plain functions on one dataset's folder."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import repeat
from pathlib import Path

from workbench.errors import (
    AlreadyExistsError,
    InvalidFrameError,
    InvalidNameError,
)
from workbench.persistence.disk_errors import LEADS_NOWHERE
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_reading import read_image
from workbench.persistence.history import new_edit, new_moves
from workbench.persistence.models import SPLITS, ImageInfo, ImageMove, TrashEntry
from workbench.persistence.rules import image_size, no_same_stem
from workbench.persistence.storage.collector import paused_collector
from workbench.persistence.storage.local.journal import Transaction
from workbench.persistence.storage.local.open_folder import OpenFolder
from workbench.persistence.stores import history_log, trash
from workbench.persistence.stores.side_data import tags_renamed
from workbench.persistence.yolo.label_table import read_labels
from workbench.persistence.yolo.names import (
    IMAGE_EXTENSIONS,
    check_filename,
    check_split,
    is_image_name,
    stem,
)

_SET_FIELDS = [getattr(ImageInfo, field.name).__set__ for field in fields(ImageInfo)]
_SPELLINGS = sorted(IMAGE_EXTENSIONS | {extension.upper() for extension in IMAGE_EXTENSIONS})


def write(
    folder: DatasetFolder, split: str, filename: str, data: bytes, *, overwrite: bool
) -> ImageInfo:
    """Store the encoded bytes of one image."""
    with folder.writing():
        path = folder.paths.image(split, filename)
        if not overwrite and os.path.lexists(path):
            raise AlreadyExistsError(f"{folder.name}: {split} has an image {filename!r} already")
        require_free_stem(folder, split, filename)
        folder.journal.write(path, data)
    return info(folder, split, filename, data)


def require_free_stem(folder: DatasetFolder, split: str, filename: str) -> None:
    """Make sure that no other image would share the label file of `filename`."""
    for other in _of_same_stem(folder, split, filename):
        raise no_same_stem(filename, other, split)


def _of_same_stem(folder: DatasetFolder, split: str, filename: str) -> Iterator[str]:
    """Yield the other images that have the label file of `filename`: other tools make such."""
    base = folder.paths.images(split)
    own = stem(filename)
    for extension in _SPELLINGS:
        other = own + extension
        if other != filename and os.path.lexists(f"{base}/{other}"):
            # On a file system that ignores case, "a.JPG" is "a.jpg" itself.
            if os.path.lexists(f"{base}/{filename}") and os.path.samefile(
                f"{base}/{other}", f"{base}/{filename}"
            ):
                continue
            yield other


def info(folder: DatasetFolder, split: str, filename: str, data: bytes | None = None) -> ImageInfo:
    """Return one image's facts, read from `data` if the caller has the bytes at hand."""
    path = folder.image_path(split, filename)
    return sized_info(
        folder, split, filename, *image_size(read_image(path) if data is None else data, path)
    )


def measured(path: str) -> tuple[int, int]:
    """Return an image's width and height; a damaged one, which may be moved as well, has 0 x 0."""
    try:
        return image_size(read_image(path), path)
    except InvalidFrameError:
        return 0, 0


def sized_info(
    folder: DatasetFolder, split: str, filename: str, width: int, height: int
) -> ImageInfo:
    """Return the facts of an image whose size is known, without opening it."""
    path = folder.image_path(split, filename)
    status = os.stat(path)
    return ImageInfo(
        filename=filename,
        split=split,
        path=Path(path),
        width=width,
        height=height,
        size_bytes=status.st_size,
        has_labels=os.path.isfile(folder.paths.label(split, filename)),
        modified_at=status.st_mtime,
    )


def list_images(folder: DatasetFolder, split: str | None) -> list[ImageInfo]:
    """Return the facts of all images of one split, or of all, without opening a file."""
    folder.read()
    splits = SPLITS if split is None else (check_split(split),)
    with paused_collector():
        return [image for name in splits for image in _list_split(folder, name)]


def _list_split(folder: DatasetFolder, split: str) -> list[ImageInfo]:
    base = folder.paths.images(split)
    labelled = folder.label_stems(split)
    parent = Path(base)
    try:
        with OpenFolder(base) as images:
            found = _sizes_and_times(images)
    except FileNotFoundError:
        return []
    names = [name for name, _, _ in found]
    return _infos(
        names,
        repeat(split),
        [parent / name for name in names],
        repeat(0),
        repeat(0),
        [size for _, size, _ in found],
        [stem(name) in labelled for name in names],
        [modified for _, _, modified in found],
    )


def _infos(names: Sequence[str], *columns: Iterable[object]) -> list[ImageInfo]:
    """Make ``ImageInfo(name, ...)`` for each name, of columns with the other fields.

    A frozen class sets each field of each object by name, which would take as long as
    asking the kernel for all files' sizes. Column by column it takes less than half of that.
    """
    images = [object.__new__(ImageInfo) for _ in names]
    for set_field, column in zip(_SET_FIELDS, (names, *columns), strict=True):
        deque(map(set_field, images, column), maxlen=0)
    return images


def _sizes_and_times(images: OpenFolder) -> list[tuple[str, int, float]]:
    """Return name, size in bytes and time of change of each image, sorted by name."""
    found = []
    with images.scan() as entries:
        for entry in entries:
            if not is_image_name(entry.name):
                continue
            try:
                status = entry.stat()
            except OSError as error:
                if error.errno not in LEADS_NOWHERE:
                    raise
                continue
            if stat.S_ISREG(status.st_mode):
                # Not the `stat_result`s: 100,000 of them would keep the garbage collector busy.
                found.append((entry.name, status.st_size, status.st_mtime))
    found.sort()
    return found


def move(folder: DatasetFolder, moves: Sequence[ImageMove]) -> None:
    """Move images with their label files to other splits: all, or none."""
    taken: Counter[tuple[str, str]] = Counter()
    with folder.writing(), folder.journal.transaction() as change:
        for way in moves:
            taken[way.to_split, stem(way.filename)] += 1
            if taken[way.to_split, stem(way.filename)] > 1:
                raise AlreadyExistsError(
                    f"{folder.name}: {way.filename!r} would come to {way.to_split} twice"
                )
            _plan_move(folder, change, way.filename, way.from_split, way.filename, way.to_split)
        ways = (((w.from_split, w.filename), (w.to_split, w.filename)) for w in moves)
        change.add(*history_log.noted(folder.storage, new_moves(ways)))


def rename(folder: DatasetFolder, split: str, filename: str, new_filename: str) -> ImageInfo:
    """Give an image and its label file another name."""
    if os.path.splitext(filename)[1] != os.path.splitext(new_filename)[1]:
        raise InvalidNameError(
            f"{new_filename!r}: expected the extension of {filename!r}; renaming does not convert"
        )
    with folder.writing(), folder.journal.transaction() as change:
        size = measured(folder.image_path(split, filename))
        _plan_move(folder, change, filename, split, new_filename, split)
        stays = any(
            os.path.isfile(folder.paths.image(other, filename))
            for other in SPLITS
            if other != split
        )
        change.add(*tags_renamed(folder.storage, filename, new_filename, keep_old=stays))
        ways = new_moves([((split, filename), (split, new_filename))])
        change.add(*history_log.noted(folder.storage, ways))
    return sized_info(folder, split, new_filename, *size)


def _plan_move(
    folder: DatasetFolder, change: Transaction, old: str, source: str, new: str, target: str
) -> None:
    path = folder.image_path(source, old)
    if (old, source) == (new, target):
        return
    paths = folder.paths
    new_path, new_label = paths.image(target, new), paths.label(target, new)
    if os.path.lexists(new_path):
        raise AlreadyExistsError(f"{folder.name}: {target} has an image {new!r} already")
    require_free_stem(folder, target, new)
    change.rename(path, new_path)
    label = paths.label(source, old)
    if os.path.lexists(label):
        if os.path.lexists(new_label):
            raise AlreadyExistsError(
                f"{folder.name}: {target} has labels without an image at {new_label}; "
                f"remove that file first"
            )
        change.rename(label, new_label)


def delete(folder: DatasetFolder, images: Sequence[tuple[str, str]]) -> list[TrashEntry]:
    """Move images, given as ``(split, filename)``, with their labels to the trash: all, or none."""
    entries: dict[tuple[str, str], TrashEntry] = {}
    with folder.writing(), folder.journal.transaction() as change:
        for split, filename in dict.fromkeys(images):
            paths, has_twin = files_of(folder, split, filename, entries.keys())
            entries[split, filename] = plan_delete(
                folder, change, "image", split, filename, paths, has_twin=has_twin
            )
    return list(entries.values())


def files_of(
    folder: DatasetFolder, split: str, filename: str, going: Collection[tuple[str, str]]
) -> tuple[list[str], bool]:
    """Return the paths of an image and of its labels, and whether it shares these with others.

    Labels that images share go with the last of them: without those in `going` it may be this.
    """
    paths, label = [folder.image_path(split, filename)], folder.paths.label(split, filename)
    twins = [(split, other) for other in _of_same_stem(folder, split, filename)]
    if os.path.lexists(label) and all(twin in going for twin in twins):
        paths.append(label)
    return paths, bool(twins)


def plan_delete(
    folder: DatasetFolder,
    change: Transaction,
    kind: str,
    split: str,
    filename: str,
    originals: list[str],
    *,
    has_twin: bool = False,
) -> TrashEntry:
    """Add to a transaction that files move into a new entry of the dataset's trash."""
    keys = [folder.paths.below(path) for path in originals]
    entry, changes = trash.put_away(folder.trash, kind, split, filename, keys, has_twin=has_twin)
    change.add(*changes)
    return entry


def restore_image(folder: DatasetFolder, entry_id: str) -> ImageInfo:
    """Bring an image, with its labels, back to where it was."""
    with folder.writing():
        found = trash.find_kind(folder.trash, entry_id, "image")
        size = measured(folder.paths.at(f"{found.folder}/{found.files[0][0]}"))
        _restore(folder, [entry_id])
    return sized_info(folder, found.entry.split, found.entry.name, *size)


def restore_many(folder: DatasetFolder, entry_ids: Sequence[str]) -> None:
    """Bring the files of trash entries of any kind back to where they were: all, or none."""
    with folder.writing():
        _restore(folder, entry_ids)


def _restore(folder: DatasetFolder, entry_ids: Sequence[str]) -> None:
    found = [trash.find(folder.trash, entry_id) for entry_id in dict.fromkeys(entry_ids)]
    images = {(f.entry.split, f.entry.name) for f in found if f.entry.kind == "image"}
    taken: set[str] = set()
    edits = []
    with folder.journal.transaction() as change:
        for trashed in found:
            entry = trashed.entry
            if entry.kind == "image" and not trashed.has_twin:
                require_free_stem(folder, entry.split, entry.name)
            elif entry.kind == "label" and (entry.split, entry.name) not in images:
                folder.require_image(entry.split, entry.name)
            for name, original in trashed.files:
                target = f"{folder.paths.root}/{original}"
                # Two images of one stem would share their label file, so the stem is the place.
                place = original if trashed.has_twin else stem(original)
                if os.path.lexists(target) or place in taken:
                    raise AlreadyExistsError(f"{target} is taken again; rename or delete it first")
                taken.add(place)
                if entry.kind == "label":
                    data = read_labels(folder.paths.at(f"{trashed.folder}/{name}"))
                    edits.append(new_edit(entry.split, entry.name, None, data))
                change.rename(folder.paths.at(f"{trashed.folder}/{name}"), target)
            change.remove(folder.paths.at(trashed.folder))
        change.add(*history_log.noted(folder.storage, edits))


def checked(split: str, filename: str) -> tuple[str, str]:
    """Return a split and an image's name as they stand on disk; raises `InvalidNameError`."""
    return check_split(split), check_filename(filename)
