"""What the checks look at: gathered once, shared by all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import BoxRef
from workbench.datasets.duplicates import Duplicates
from workbench.datasets.fact_cache import Facts
from workbench.datasets.health.links import Links
from workbench.datasets.health.repairs import Repairs
from workbench.datasets.image_facts import GOOD
from workbench.persistence import DataStores
from workbench.persistence.inspection import LabelInspection
from workbench.persistence.models import SPLITS, Annotation, ImageKey, LabelTable


@dataclass(frozen=True)
class Evidence:
    """A dataset as it was at the time of the check.

    Parameters
    ----------
    classes : list of str
    duplicates : Duplicates
        With the listing and the facts of all images.
    labels : LabelTable
        The boxes of every label file that can be read.
    inspection : LabelInspection
        The label files that are not just plain boxes.
    stores : DataStores
    dataset : str
    """

    classes: list[str]
    duplicates: Duplicates
    labels: LabelTable
    inspection: LabelInspection
    stores: DataStores
    dataset: str

    @cached_property
    def repairs(self) -> Repairs:
        """Makes the repairs that findings offer."""
        sharing = [key for keys in self.sharing for key in keys]
        return Repairs(self.stores, self.dataset, sharing, self.links)

    @cached_property
    def links(self) -> Links:
        """The images and label files that are links out of the dataset, or lie behind one."""
        return Links(self.inspection.outside)

    @cached_property
    def sharing(self) -> list[list[ImageKey]]:
        """The groups of images that share a label file: they differ in the extension only."""
        by_stem: dict[tuple[str, str], list[ImageKey]] = defaultdict(list)
        for split, name in self.keys:
            by_stem[split, name.rpartition(".")[0]].append((split, name))
        return [keys for keys in by_stem.values() if len(keys) > 1]

    @property
    def facts(self) -> Facts:
        """The facts of each image, shape (images,)."""
        return self.duplicates.images.facts

    @cached_property
    def keys(self) -> list[ImageKey]:
        """What identifies each image, in the order of the facts."""
        table = self.duplicates.images.table
        return [
            (SPLITS[split], name)
            for split, name in zip(table.split.tolist(), table.filenames, strict=True)
        ]

    @cached_property
    def good(self) -> npt.NDArray[np.bool_]:
        """Whether each image decodes, shape (images,)."""
        return np.asarray(self.facts["state"] == GOOD)

    @cached_property
    def label_keys(self) -> list[ImageKey]:
        """What identifies each image of `labels`."""
        return list(zip(self.labels.splits, self.labels.filenames, strict=True))

    @cached_property
    def positions(self) -> npt.NDArray[np.int64]:
        """The place of each box in its label file, shape (boxes,)."""
        index = self.labels.image_index
        first = np.searchsorted(index, index, side="left")
        return np.arange(len(index), dtype=np.int64) - first

    @cached_property
    def sizes_of_labelled(self) -> npt.NDArray[np.int64]:
        """Width and height in pixels of each image of `labels`, shape (n, 2); 0 if unknown."""
        place = {key: position for position, key in enumerate(self.keys)}
        where = np.array([place.get(key, -1) for key in self.label_keys], dtype=np.int64)
        sizes = np.zeros((len(where), 2), dtype=np.int64)
        there = where >= 0
        sizes[there, 0] = self.facts["width"][where[there]]
        sizes[there, 1] = self.facts["height"][where[there]]
        return sizes

    def choose(self, chosen: npt.NDArray[np.bool_]) -> list[ImageKey]:
        """Return the keys of some of the images."""
        return [self.keys[position] for position in np.flatnonzero(chosen).tolist()]

    def box_ref(self, box: int) -> BoxRef:
        """Return a box of `labels` as findings name it."""
        labels = self.labels
        split, filename = self.label_keys[int(labels.image_index[box])]
        expected = Annotation(int(labels.class_id[box]), *labels.boxes[box].tolist())
        return BoxRef(split, filename, int(self.positions[box]), expected)


def images_of(boxes: list[BoxRef]) -> list[ImageKey]:
    """Return the images that boxes are on, each once."""
    return list(dict.fromkeys(box.image for box in boxes))
