"""The value objects of labels: boxes, label files, and changes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from workbench.persistence.counting import counted


@dataclass(frozen=True, slots=True)
class Annotation:
    """One labelled box.

    Parameters
    ----------
    class_id : int
        Index into the dataset's classes.
    x, y : float
        Centre of the box, normalised to 0..1 of the image's width and height.
    width, height : float
        Size of the box, normalised likewise.
    """

    class_id: int
    x: float
    y: float
    width: float
    height: float

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """The box as normalised xywh, centre first."""
        return (self.x, self.y, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Prediction(Annotation):
    """A box that a model proposes: an annotation with a confidence in 0..1."""

    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class LabelData:
    """The labels of one image.

    Parameters
    ----------
    filename : str
        Of the image.
    split : str
    annotations : list of Annotation
    revision : str
        Changes whenever the label file's bytes change; ``""`` while there is no label
        file. Pass it to `LabelStore.save` to be told of changes by others.
    other_rows : int
        Rows that are more than a plain box (polygon, keypoints, confidence), of which
        `annotations` holds the box only.
    """

    filename: str
    split: str
    annotations: list[Annotation]
    revision: str = ""
    other_rows: int = 0


@dataclass(frozen=True, slots=True)
class RowPatch:
    """One row of a label file to change; whatever stands behind its class id stays as it is.

    Parameters
    ----------
    position : int
        Of the row, as `LabelStore.load` counts the boxes.
    class_id : int or None
        The class that it gets; None removes the row.
    expected : Annotation, optional
        The box that the caller takes the row for.
    """

    position: int
    class_id: int | None
    expected: Annotation | None = None


@dataclass(frozen=True, slots=True)
class ClassRewrite:
    """A change of classes and of the label files that use them, as it was done.

    Parameters
    ----------
    id : str
        What `DatasetStore.undo_rewrite` takes.
    label_files : int
        How many label files hold other bytes now.
    boxes_removed : int
        Boxes of deleted classes.
    """

    id: str
    label_files: int
    boxes_removed: int


@dataclass(frozen=True, slots=True)
class LabelEdit:
    """One change of an image's labels, as the history keeps it.

    Parameters
    ----------
    id : str
        What `LabelStore.revert` takes.
    at : datetime
        With time zone.
    filename, split : str
        Of the image at that time; it may have been renamed or moved since.
    before, after : list of Annotation or None
        The boxes; None while there was no label file.
    what : str
        In a word what was done, as far as whoever did it has said: ``"draw"``, ``"undo"``.
    """

    id: str
    at: datetime
    filename: str
    split: str
    before: list[Annotation] | None
    after: list[Annotation] | None
    what: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LabelTable:
    """Every box of a split (or of all) in columns.

    Parameters
    ----------
    filenames, splits : list of str
        Of every image, with labels or not; ``images`` for short below.
    labelled : ndarray of bool, shape (images,)
        Whether the image has a label file.
    image_index : ndarray of int64, shape (boxes,)
        For each box, the position of its image in `filenames`; ascending.
    class_id : ndarray of int64, shape (boxes,)
    boxes : ndarray of float64, shape (boxes, 4)
        Normalised xywh.
    problems : list of LabelFormatError
        Label files that could not be read; their images have no boxes here.
    irregular : ndarray of int64
        Positions in `filenames` of the images whose label files hold anything but plain boxes, in
        ascending order: those in `problems`, and those with polygons, keypoints, confidences or
        numbers of another kind. All others are rows of a class id and four decimals.
    unread : ndarray of int64
        Positions of those whose label files were not given out, say for want of permission: they
        are in `problems`, too, which says nothing of what such a file holds.
    """

    filenames: list[str]
    splits: list[str]
    labelled: npt.NDArray[np.bool_]
    image_index: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    problems: list[Exception] = field(default_factory=list)
    irregular: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    unread: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.class_id)

    def __repr__(self) -> str:
        """Say how much there is: all of it, asyncio would write and throw away, too."""
        bad = f", {counted(len(self.problems), 'unreadable file')}" if self.problems else ""
        images = counted(len(self.filenames), "image")
        return f"<LabelTable: {counted(len(self), 'box', 'boxes')} of {images}{bad}>"

    def class_counts(self, num_classes: int = 0) -> npt.NDArray[np.int64]:
        """Count the boxes by class id, shape ``(max(num_classes, highest id + 1),)``."""
        return np.bincount(self.class_id, minlength=num_classes).astype(np.int64)

    def boxes_per_image(self) -> npt.NDArray[np.int64]:
        """Count the boxes of each image, shape ``(images,)``."""
        return np.bincount(self.image_index, minlength=len(self.filenames)).astype(np.int64)

    def annotations_by_image(self) -> Iterator[list[Annotation]]:
        """Yield the boxes of each image, in the order of `filenames`."""
        begin = 0
        for end in self.boxes_per_image().cumsum().tolist():
            class_ids, boxes = self.class_id[begin:end].tolist(), self.boxes[begin:end].tolist()
            yield [
                Annotation(class_id, xywh[0], xywh[1], xywh[2], xywh[3])
                for class_id, xywh in zip(class_ids, boxes, strict=True)
            ]
            begin = end
