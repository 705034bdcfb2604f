"""Image files on their way into a dataset, from a folder or from a browser."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workbench.datasets.changes import Change, counted, nothing_to_undo, undoing
from workbench.errors import AlreadyExistsError, ConflictError, InvalidNameError, WorkbenchError
from workbench.persistence import IMAGE_EXTENSIONS, DataStores
from workbench.persistence.image_reading import read_image
from workbench.persistence.models import SPLITS, ImageKey, NewImage, Progress, no_progress
from workbench.persistence.plain_files import files_below
from workbench.persistence.sources import ImageSource

NewFile = Path | str | tuple[str, bytes]
"""A file or folder on this machine, or a name with the bytes that a browser has sent."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of files that were to be added.

    Parameters
    ----------
    change : Change
        Undoing it moves the added images to the trash.
    added : list of (str, str)
        As ``(split, filename)``.
    refused : list of (str, str)
        Name of the file, and why it was not added.
    """

    change: Change
    added: list[ImageKey] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


async def add_files(
    stores: DataStores,
    dataset: str,
    files: Iterable[NewFile],
    split: str = SPLITS[0],
    *,
    class_name: str = "",
    progress: Progress = no_progress,
) -> Upload:
    """Add image files to a split, byte for byte; what is refused keeps no other from coming.

    Parameters
    ----------
    files : iterable of Path, str or (str, bytes)
        Files, folders (with all below them), or names with their bytes. Nothing that is in
        the dataset is replaced, whatever its split.
    split : str
    class_name : str
        What is on them, kept as a suggestion for whoever annotates; empty: nothing is said.
    progress : callable

    Raises
    ------
    InvalidNameError
        If there is no such split.
    """
    if split not in SPLITS:
        raise InvalidNameError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    present = {image.filename for image in await stores.image.list(dataset)}
    pending = await asyncio.to_thread(lambda: list(_expanded(files)))
    added: list[ImageKey] = []
    refused: list[tuple[str, str]] = []
    for done, item in enumerate(pending, start=1):
        name, content = (item.name, item) if isinstance(item, Path) else item
        try:
            if name in present:
                raise AlreadyExistsError(
                    f"the dataset has an image {name!r} already; rename the file"
                )
            data = (
                await asyncio.to_thread(read_image, str(content))
                if isinstance(content, Path)
                else content
            )
            filename = await _add(stores, dataset, split, name, data, class_name)
        except (WorkbenchError, OSError) as error:
            refused.append((str(item) if isinstance(item, Path) else name, str(error)))
        else:
            present.add(filename)
            added.append((split, filename))
        progress(done, len(pending))
    return Upload(_change(stores, dataset, added), added, refused)


def joined(stores: DataStores, dataset: str, uploads: Sequence[Upload]) -> Upload:
    """Return several uploads into a dataset as one, which is undone as a whole."""
    added = [key for upload in uploads for key in upload.added]
    refused = [refusal for upload in uploads for refusal in upload.refused]
    return Upload(_change(stores, dataset, added), added, refused)


async def _add(
    stores: DataStores, dataset: str, split: str, name: str, data: bytes, class_name: str
) -> str:
    """Add one image; return the name that it has now."""
    if not class_name:
        info = await stores.image.save_bytes(dataset, split, name, data, overwrite=False)
        return info.filename
    name = unicodedata.normalize("NFC", name)  # as it will be called
    source = ImageSource(name, split, datetime.now(UTC), feed="upload", class_name=class_name)
    new = NewImage(name, split, data)
    (info,) = await stores.image.add_many(dataset, [new], sources=[source])
    return info.filename


def _expanded(files: Iterable[NewFile]) -> Iterator[Path | tuple[str, bytes]]:
    for item in files:
        if isinstance(item, tuple):
            yield item
            continue
        path = Path(item)
        if path.is_dir():
            yield from sorted(
                found for found in files_below(path) if found.suffix.lower() in IMAGE_EXTENSIONS
            )
        else:
            yield path


def _change(stores: DataStores, dataset: str, added: list[ImageKey]) -> Change:
    text = f"{counted(len(added), 'image')} added"
    if not added:
        return Change(text, nothing_to_undo)

    async def undo() -> None:
        with undoing(text):
            for key in added:
                if await stores.label.exists(dataset, *key):
                    raise ConflictError(
                        f"{'/'.join(key)} has been labelled since it was added, so nothing was "
                        f"undone; delete the images that you do not need"
                    )
            await stores.image.delete_many(dataset, added)

    return Change(text, undo)
