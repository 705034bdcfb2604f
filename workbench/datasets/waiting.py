"""All boxes that wait for review, beside the dataset's index: to be listed, chosen and decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.datasets.index_table import DatasetIndex
from workbench.datasets.places import find_places
from workbench.persistence.models import SPLITS, Annotation, ImageKey
from workbench.persistence.suggestions import Suggestion, SuggestionTable, without_covered

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class WaitingBoxes:
    """Suggestions that no label covers and nobody has rejected, in columns.

    Parameters
    ----------
    table : SuggestionTable
        Where they come from.
    index : DatasetIndex
        Of the dataset, with what waits in place of the labels' boxes: queries that judge boxes
        judge these. What it says of images is what is true of them.
    rows : ndarray of int64, shape (waiting,)
        The place in `table` of each of the index's boxes.
    """

    table: SuggestionTable
    index: DatasetIndex
    rows: Integers

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.rows)

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """The score of each, 0..1."""
        return self.table.score[self.rows]

    def key(self, place: int) -> ImageKey:
        """Return the image of one."""
        return self.index.key(int(self.index.image_index[place]))

    def suggestion(self, place: int) -> Suggestion:
        """Return one of them."""
        row = int(self.rows[place])
        source = self.table.sources[int(self.table.source_index[row])]
        x, y, width, height = self.table.boxes[row].tolist()
        class_id, score = int(self.table.class_id[row]), float(self.table.score[row])
        return Suggestion(class_id, x, y, width, height, score, source.id)

    def source_of(self, place: int) -> str:
        """Return what people call the source of one."""
        return str(self.table.sources[int(self.table.source_index[self.rows[place]])])


def waiting_boxes(index: DatasetIndex, table: SuggestionTable) -> WaitingBoxes:
    """Return what waits for review in a dataset.

    Parameters
    ----------
    index : DatasetIndex
        Of the dataset, as it is now.
    table : SuggestionTable
        Likewise.
    """
    names = [name for _, name in table.images]
    numbers = np.array([SPLITS.index(split) for split, _ in table.images], dtype=np.int8)
    places = find_places(index.filenames, index.split, names, numbers)
    counts = np.diff(table.first)
    image = places[np.repeat(np.arange(len(counts)), counts)]
    waits = image >= 0
    decided = np.array([key in table.rejected for key in table.images], dtype=np.bool_)
    decided |= (
        (places >= 0) & (index.num_boxes[np.maximum(places, 0)] > 0) if len(places) else False
    )
    for number in np.flatnonzero(decided & (counts > 0) & (places >= 0)).tolist():
        first, last = int(table.first[number]), int(table.first[number + 1])
        waits[first:last] &= _undecided(index, table, number, int(places[number]))
    rows = np.flatnonzero(waits)
    rows = rows[np.argsort(image[rows], kind="stable")]
    shown = replace(
        index,
        image_index=image[rows].astype(np.int64),
        class_id=table.class_id[rows].astype(np.int64),
        boxes=table.boxes[rows].astype(np.float64),
    )
    return WaitingBoxes(table, shown, rows)


def _undecided(
    index: DatasetIndex, table: SuggestionTable, number: int, place: int
) -> npt.NDArray[np.bool_]:
    """Return which suggestions for an image neither labels nor a person have answered."""
    key = table.images[number]
    every = table.of(*key, rejected=True)
    kept = set(map(id, without_covered(table.without_rejected(key, every), _labels(index, place))))
    return np.array([id(one) in kept for one in every], dtype=np.bool_)


def _labels(index: DatasetIndex, place: int) -> list[Annotation]:
    class_ids, boxes = index.boxes_of(place)
    return [
        Annotation(class_id, *xywh)
        for class_id, xywh in zip(class_ids.tolist(), boxes.tolist(), strict=True)
    ]
