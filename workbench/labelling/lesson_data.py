"""The small dataset of a lesson: copies of what was reviewed, and of what is held out.

Nothing of the dataset itself is touched. The run keeps a frozen view of it in its own folder, so
that the copies are needed until it has begun only.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.labelling.lessons import repeats
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import ImageKey, NewImage
from workbench.persistence.scratch import scratch_prefix

_AT_ONCE = 32


def make_folder(runs_dir: Path) -> Path:
    """Make a folder for the copies, where there is room for a run."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=scratch_prefix("lesson", runs_dir), dir=runs_dir))


async def copies_of_each(stores: Stores, dataset: str, taught: Sequence[ImageKey]) -> int:
    """Return how often each image is to be there, see `workbench.labelling.lessons.repeats`."""
    known = set(taught)
    listed = await stores.image.list(dataset, "train")
    return repeats(len(taught), sum(i.size_bytes for i in listed if (i.split, i.filename) in known))


async def copied(
    stores: Stores,
    dataset: str,
    folder: Path,
    taught: Sequence[ImageKey],
    held_out: Sequence[ImageKey],
    copies: int,
) -> Stores:
    """Return stores in which the dataset is what is taught, and what is held out as val.

    The first copy of an image has its name.
    """
    view = create_stores(folder / "data", folder / "models")
    info = await stores.dataset.get(dataset)
    await view.dataset.create(info.name, info.classes)
    for split, images, times in (("train", taught, copies), ("val", held_out, 1)):
        for start in range(0, len(images), _AT_ONCE):
            some = images[start : start + _AT_ONCE]
            contents = await stores.image.read_many(dataset, some)
            table = await stores.label.load_many(dataset, some)
            boxes = table.annotations_by_image()
            new = [
                NewImage(_again(key[1], copy) if copy else key[1], split, data, list(known))
                for key, data, known in zip(some, contents, boxes, strict=True)
                for copy in range(times)
                if not isinstance(data, Exception)
            ]
            await view.image.add_many(info.name, new)
    return Stores(view.dataset, view.image, view.label, stores.model)


def _again(name: str, number: int) -> str:
    """Return a name for a copy of an image; it is no longer than names may be."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return f"{digest}-{number}{Path(name).suffix}"
