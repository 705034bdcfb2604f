"""The index of a dataset: facts of all its images in columns, and how it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.columns import pack, pack_names, unpack, unpack_names
from workbench.datasets.places import find_places
from workbench.persistence.counting import counted
from workbench.persistence.models import SPLITS, ImageKey

UNLABELLED, BACKGROUND, LABELLED, UNREADABLE = range(4)
"""States of an image: no label file; an empty one; one with boxes; one that cannot be read."""
STATES = ("unlabelled", "background", "labelled", "unreadable")
"""Names of the states, by number."""

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_KIND = "workbench index 2"
_NUMBERS = {split: number for number, split in enumerate(SPLITS)}


@dataclass(frozen=True, slots=True, eq=False)
class DatasetIndex:
    """A dataset at one moment, in columns over its images and over its boxes.

    Parameters
    ----------
    classes : list of str
    filenames : list of str
        Of every image, by split and name; ``images`` for short below.
    split : ndarray of int8, shape (images,)
        Index into `SPLITS`.
    size_bytes, modified_ns : ndarray of int64, shape (images,)
        Of the image file; nanoseconds since the epoch.
    label_bytes, label_modified_ns : ndarray of int64, shape (images,)
        Of the label file; -1 where there is none.
    state : ndarray of uint8, shape (images,)
        `UNLABELLED`, `BACKGROUND`, `LABELLED` or `UNREADABLE`.
    num_boxes : ndarray of int64, shape (images,)
    image_index : ndarray of int64, shape (boxes,)
        For each box, the position of its image; ascending.
    class_id : ndarray of int64, shape (boxes,)
    boxes : ndarray of float64, shape (boxes, 4)
        Normalised xywh, in the label file's order.
    width, height : ndarray of int32, shape (images,)
        Pixels as the picture is shown; 0 where not known, see `Indexer.measure`; -1 where
        the file is no image.
    settings_revision : str
        See `ImageTable.settings_revision`.
    scanned_ns : int
        When the folders were listed, nanoseconds since the epoch.
    tags : mapping of str to ndarray of bool, shape (images,)
    proposed : ndarray of int32, shape (images,)
        Lowest class id of the boxes that a model proposed when the image was taken, see
        `ImageStore.sources`; -1 without any.
    sources_revision : str
        See `ImageTable.sources_revision`.
    predicted : ndarray of bool, shape (images,)
        Whether predictions wait for review: boxes of the dataset's classes were proposed,
        and nobody has labelled the image.
    order_by_similarity : ndarray of int64, shape (images,), or None
        Positions in an order that has alike images side by side, where it is known.
    colours : list of str
        `DatasetInfo.colours`.
    """

    classes: list[str]
    filenames: list[str]
    split: npt.NDArray[np.int8]
    size_bytes: Integers
    modified_ns: Integers
    label_bytes: Integers
    label_modified_ns: Integers
    state: npt.NDArray[np.uint8]
    num_boxes: Integers
    image_index: Integers
    class_id: Integers
    boxes: npt.NDArray[np.float64]
    width: npt.NDArray[np.int32]
    height: npt.NDArray[np.int32]
    settings_revision: str = ""
    scanned_ns: int = 0
    tags: Mapping[str, Mask] = field(default_factory=dict)
    proposed: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    sources_revision: str = ""
    predicted: Mask = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    order_by_similarity: Integers | None = None
    colours: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.filenames)

    def __repr__(self) -> str:
        """Say how much there is; see `LabelTable`."""
        boxes = counted(len(self.class_id), "box", "boxes")
        return f"<DatasetIndex: {counted(len(self), 'image')}, {boxes}>"

    def key(self, position: int) -> ImageKey:
        """Return what identifies the image at a position."""
        return SPLITS[self.split[position]], self.filenames[position]

    def keys(self, positions: Iterable[int] | Integers | None = None) -> list[ImageKey]:
        """Return what identifies the images at these positions; default: all."""
        if positions is None:
            positions = range(len(self))
        elif isinstance(positions, np.ndarray):
            positions = positions.tolist()
        split, names = self.split.tolist(), self.filenames
        return [(SPLITS[split[place]], names[place]) for place in positions]

    def positions(self, keys: Sequence[ImageKey]) -> Integers:
        """Return the positions of images; an image that is not there is left out."""
        names = [name for _, name in keys]
        splits = np.array([_NUMBERS.get(split, -1) for split, _ in keys], dtype=np.int8)
        found = find_places(self.filenames, self.split, names, splits)
        return found[found >= 0]

    def boxes_of(self, position: int) -> tuple[Integers, npt.NDArray[np.float64]]:
        """Return class ids, shape (n,), and boxes, shape (n, 4), of the image at a position."""
        first, last = np.searchsorted(self.image_index, (position, position + 1))
        return self.class_id[first:last], self.boxes[first:last]

    def is_same(self, other: DatasetIndex | None) -> bool:
        """Whether the other is this one, or what `Indexer.load` made of it without a change."""
        return (
            other is not None
            and self.filenames is other.filenames
            and self.classes == other.classes
            and self.colours == other.colours
            and self.tags.keys() == other.tags.keys()
            and all(np.array_equal(has, other.tags[tag]) for tag, has in self.tags.items())
        )

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """Areas of the boxes as parts of their images', shape (boxes,)."""
        return np.asarray(self.boxes[:, 2] * self.boxes[:, 3])

    @property
    def measured(self) -> bool:
        """Whether somebody has looked for width and height of all images."""
        return bool((self.width != 0).all())


_COLUMNS = (
    "split",
    "size_bytes",
    "modified_ns",
    "label_bytes",
    "label_modified_ns",
    "state",
    "num_boxes",
    "class_id",
    "boxes",
    "width",
    "height",
    "proposed",
)


def to_block(index: DatasetIndex) -> bytes:
    """Return an index as one block, for a cache; without what is derived or kept elsewhere."""
    facts = {
        "classes": index.classes,
        "settings_revision": index.settings_revision,
        "sources_revision": index.sources_revision,
        "scanned_ns": index.scanned_ns,
        "colours": index.colours,
    }
    arrays = {name: getattr(index, name) for name in _COLUMNS}
    return pack(_KIND, facts, {"filenames": pack_names(index.filenames), **arrays})


def from_block(block: bytes | None) -> DatasetIndex | None:
    """Return the index that `to_block` packed; None if it is none."""
    found = unpack(_KIND, block)
    if found is None:
        return None
    facts, arrays = found
    filenames = unpack_names(arrays.pop("filenames"))
    columns: dict[str, Any] = {**facts, **arrays}
    return DatasetIndex(
        filenames=filenames,
        image_index=np.repeat(np.arange(len(filenames)), arrays["num_boxes"]),
        **columns,
    )
