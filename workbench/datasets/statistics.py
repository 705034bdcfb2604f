"""Numbers about a dataset, as tables and as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.index import (
    BACKGROUND,
    LABELLED,
    STATES,
    UNLABELLED,
    UNREADABLE,
    DatasetIndex,
)
from workbench.persistence.models import SPLITS, LabelTable

if TYPE_CHECKING:
    import pandas as pd

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HEAT_MAP_CELLS = 32
"""Cells along each side of the heat map of centres."""

LARGEST_TABLE = 2**24  # up to here, ticking off a table is quicker than sorting pairs


@dataclass(frozen=True)
class Statistics:
    """Numbers about a dataset.

    Arrays are named for what they hold; methods that end in ``_frame`` return a pandas
    DataFrame. All is computed when it is first asked for.

    Parameters
    ----------
    index : DatasetIndex
    """

    index: DatasetIndex

    @classmethod
    def of_labels(cls, table: LabelTable, classes: list[str]) -> Statistics:
        """Return the statistics of labels alone: image sizes, in bytes or pixels, stay unknown.

        Parameters
        ----------
        table : LabelTable
            As `LabelStore.load_all` returns it.
        classes : list of str
        """
        unknown = np.zeros(len(table.filenames), dtype=np.int64)
        num_boxes = table.boxes_per_image()
        state = np.where(num_boxes > 0, LABELLED, BACKGROUND).astype(np.uint8)
        state[~table.labelled] = UNLABELLED
        numbers = {split: number for number, split in enumerate(SPLITS)}
        return cls(
            DatasetIndex(
                classes=classes,
                filenames=table.filenames,
                split=np.array([numbers[split] for split in table.splits], dtype=np.int8),
                size_bytes=unknown,
                modified_ns=unknown,
                label_bytes=unknown,
                label_modified_ns=unknown,
                state=state,
                num_boxes=num_boxes,
                image_index=table.image_index,
                class_id=table.class_id,
                boxes=table.boxes,
                width=unknown.astype(np.int32),
                height=unknown.astype(np.int32),
                predicted=unknown.astype(np.bool_),
            )
        )

    # --- arrays -------------------------------------------------------------------------

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.index)

    @property
    def num_boxes(self) -> int:
        """Number of boxes."""
        return len(self.index.class_id)

    @cached_property
    def images_by_state(self) -> Integers:
        """Images by split and state, shape (splits, states); see `SPLITS` and `STATES`."""
        return _cross_table(self.index.split, self.index.state, (len(SPLITS), len(STATES)))

    @cached_property
    def boxes_by_class(self) -> Integers:
        """Boxes by class and split, shape (classes, splits)."""
        shape = (len(self.index.classes), len(SPLITS))
        return _cross_table(self.index.class_id, self._split_of_box, shape)

    @cached_property
    def images_by_class(self) -> Integers:
        """Images that have a box of each class, by class and split, shape (classes, splits)."""
        images, classes = self._images_and_classes
        shape = (len(self.index.classes), len(SPLITS))
        return _cross_table(classes, self.index.split[images], shape)

    @cached_property
    def boxes_per_image(self) -> Integers:
        """Images by their number of boxes and split, shape (most boxes + 1, splits).

        Unlabelled and unreadable images are left out: their number of boxes is not known.
        """
        known = self._is_labelled
        num_boxes = self.index.num_boxes[known]
        shape = (int(num_boxes.max(initial=0)) + 1, len(SPLITS))
        return _cross_table(num_boxes, self.index.split[known], shape)

    @cached_property
    def co_occurrence(self) -> Integers:
        """Images that have boxes of both of two classes, shape (classes, classes).

        The diagonal has the images with a box of that class.
        """
        num_classes = len(self.index.classes)
        if self._has_class is not None:
            has = self._has_class.astype(np.float32)  # exact: no more than 2**24 images
            return np.asarray(has.T @ has, dtype=np.int64)[:num_classes, :num_classes]
        images, classes = self._images_and_classes
        counts = np.zeros((num_classes, num_classes), dtype=np.int64)
        # The pairs are sorted by image: those `step` apart meet as long as images have so
        # many classes. Most have few, so this ends soon.
        for step in range(num_classes):
            same = images[step:] == images[: len(images) - step]
            if not same.any():
                break
            first, second = classes[: len(classes) - step][same], classes[step:][same]
            pairs = np.bincount(first * num_classes + second, minlength=num_classes**2)
            counts += pairs.reshape(counts.shape)
        return counts + np.triu(counts, 1).T

    @cached_property
    def areas(self) -> Floats:
        """Each box's part of its image's area, shape (boxes,)."""
        return np.asarray(self.index.boxes[:, 2] * self.index.boxes[:, 3], dtype=np.float64)

    @cached_property
    def aspects(self) -> Floats:
        """Width over height of each box, shape (boxes,).

        In pixels where the image's size is known, else of the normalised box, which is as
        much in a square image. NaN for a box without height.
        """
        widths, heights = self.index.boxes[:, 2].copy(), self.index.boxes[:, 3].copy()
        known = (self.index.width > 0)[self.index.image_index]
        owners = self.index.image_index[known]
        widths[known] *= self.index.width[owners]
        heights[known] *= self.index.height[owners]
        aspects = np.full(len(widths), np.nan)
        np.divide(widths, heights, out=aspects, where=heights > 0)
        return aspects

    def centres(
        self, class_id: int | None = None, *, split: str | None = None, cells: int = HEAT_MAP_CELLS
    ) -> Integers:
        """Return a heat map of where boxes have their centres.

        Parameters
        ----------
        class_id : int, optional
            Of one class only.
        split : str, optional
            Of one split only.
        cells : int
            Along each side.

        Returns
        -------
        ndarray of int64, shape (cells, cells)
            Number of boxes; rows run down the image, columns to the right.
        """
        wanted = np.ones(self.num_boxes, dtype=np.bool_)
        if class_id is not None:
            wanted &= self.index.class_id == class_id
        if split is not None:
            wanted &= self._split_of_box == SPLITS.index(split)
        place = np.clip((self.index.boxes[wanted, :2] * cells).astype(np.int64), 0, cells - 1)
        return _cross_table(place[:, 1], place[:, 0], (cells, cells))

    @cached_property
    def _is_labelled(self) -> npt.NDArray[np.bool_]:
        return np.isin(self.index.state, (BACKGROUND, LABELLED))

    @cached_property
    def _split_of_box(self) -> npt.NDArray[np.int8]:
        return self.index.split[self.index.image_index]

    @cached_property
    def _images_and_classes(self) -> tuple[Integers, Integers]:
        """Image and class of each pair of which the image has a box, by image and class."""
        num_classes = max(len(self.index.classes), 1)
        if self._has_class is not None:
            pairs = np.flatnonzero(self._has_class)
        else:
            pairs = np.unique(self.index.image_index * num_classes + self.index.class_id)
        return pairs // num_classes, pairs % num_classes

    @cached_property
    def _has_class(self) -> npt.NDArray[np.bool_] | None:
        """Whether each image has a box of each class, shape (images, classes or 1).

        None for so many images and classes that sorting pairs is better.
        """
        shape = (len(self.index), max(len(self.index.classes), 1))
        if shape[0] * shape[1] > LARGEST_TABLE:
            return None
        has = np.zeros(shape, dtype=np.bool_)
        has[self.index.image_index, self.index.class_id] = True
        return has

    # --- tables -------------------------------------------------------------------------

    def summary_frame(self) -> pd.DataFrame:
        """Return a row for each split and one for all: images by state, boxes, boxes per image.

        ``predicted`` are those of the unlabelled for which predictions wait for review.
        ``boxes_per_image`` is the mean over images with a readable label file.
        """
        import pandas as pd

        states = np.vstack((self.images_by_state, self.images_by_state.sum(axis=0)))
        boxes = np.append(self.boxes_by_split, self.num_boxes)
        labelled = states[:, BACKGROUND] + states[:, LABELLED]
        frame = pd.DataFrame({"images": states.sum(axis=1)}, index=[*SPLITS, "all"])
        for number in (LABELLED, BACKGROUND, UNLABELLED, UNREADABLE):
            frame[STATES[number]] = states[:, number]
        of_split = np.bincount(self.index.split[self.index.predicted], minlength=len(SPLITS))
        frame["predicted"] = np.append(of_split, of_split.sum())
        frame["boxes"] = boxes
        frame["boxes_per_image"] = np.divide(
            boxes, labelled, out=np.zeros(len(boxes)), where=labelled > 0
        )
        frame.index.name = "split"
        return frame

    @cached_property
    def boxes_by_split(self) -> Integers:
        """Boxes of each split, shape (splits,)."""
        return np.bincount(self._split_of_box, minlength=len(SPLITS)).astype(np.int64)

    def classes_frame(self) -> pd.DataFrame:
        """Return a row for each class: boxes and images of each split, sizes of its boxes.

        ``median_area`` is a part of the image's area; NaN for a class without boxes.
        """
        import pandas as pd

        frame = pd.DataFrame(
            {"class": self.index.classes, "boxes": self.boxes_by_class.sum(axis=1)}
        )
        for number, split in enumerate(SPLITS):
            frame[f"{split}_boxes"] = self.boxes_by_class[:, number]
        frame["images"] = self.images_by_class.sum(axis=1)
        for number, split in enumerate(SPLITS):
            frame[f"{split}_images"] = self.images_by_class[:, number]
        frame["share"] = frame["boxes"] / max(self.num_boxes, 1)
        areas = pd.Series(self.areas).groupby(self.index.class_id).median()
        frame["median_area"] = areas.reindex(range(len(frame)))
        frame.index.name = "class_id"
        return frame

    def boxes_frame(self) -> pd.DataFrame:
        """Return a row for each box: image, split, class, normalised xywh, area and aspect."""
        import pandas as pd

        index = self.index
        x, y, width, height = index.boxes.T
        names = pd.Categorical.from_codes(
            np.where(index.class_id < len(index.classes), index.class_id, -1),
            pd.Index(index.classes),
        )
        return pd.DataFrame(
            {
                "filename": np.array(index.filenames, dtype=object)[index.image_index],
                "split": pd.Categorical.from_codes(self._split_of_box, pd.Index(SPLITS)),
                "class_id": index.class_id,
                "class": names,
                "x": x,
                "y": y,
                "width": width,
                "height": height,
                "area": self.areas,
                "aspect": self.aspects,
            }
        )

    def images_frame(self) -> pd.DataFrame:
        """Return a row for each image: split, state, boxes, bytes, pixels, time of change (UTC).

        Width and height are missing (``<NA>``) where they are not known.
        """
        import pandas as pd

        index = self.index
        return pd.DataFrame(
            {
                "filename": index.filenames,
                "split": pd.Categorical.from_codes(index.split, pd.Index(SPLITS)),
                "state": pd.Categorical.from_codes(index.state.astype(np.int8), pd.Index(STATES)),
                "boxes": index.num_boxes,
                "size_bytes": index.size_bytes,
                "width": pd.Series(index.width, dtype="Int32").mask(index.width <= 0),
                "height": pd.Series(index.height, dtype="Int32").mask(index.height <= 0),
                "modified": pd.to_datetime(index.modified_ns, unit="ns", utc=True),
            }
        )

    def image_sizes_frame(self) -> pd.DataFrame:
        """Return a row for each size in pixels, the most common first, with its images."""
        import pandas as pd

        known = self.index.width > 0
        sizes = pd.DataFrame({"width": self.index.width[known], "height": self.index.height[known]})
        counted = sizes.value_counts().rename("images").reset_index()
        return counted.sort_values(["images", "width"], ascending=False, ignore_index=True)

    def co_occurrence_frame(self) -> pd.DataFrame:
        """Return `co_occurrence` with the names of the classes on both sides."""
        import pandas as pd

        return pd.DataFrame(self.co_occurrence, self.index.classes, self.index.classes)


def _cross_table(
    rows: npt.NDArray[Any], columns: npt.NDArray[Any], shape: tuple[int, int]
) -> Integers:
    """Count how often each pair of a row and a column occurs."""
    pairs = rows.astype(np.int64) * shape[1] + columns
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
