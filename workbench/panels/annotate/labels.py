"""The labels of a walk's images, as a canvas has them and as the label store has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench import geometry
from workbench.datasets.trail import Trail, read_trail, same_boxes
from workbench.errors import LabelFormatError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, LabelData

UNREADABLE = "unreadable"
"""Stands for the revision of a label file that cannot be read."""


@dataclass(frozen=True, slots=True)
class PixelBoxes:
    """Boxes as a canvas hands them over.

    Parameters
    ----------
    class_ids : sequence of int
    xyxy : ndarray of float64, shape (n, 4)
        Pixel xyxy of the stored image.
    """

    class_ids: Sequence[int]
    xyxy: geometry.Boxes


class LabelDesk:
    """Reads and writes the labels of one split, image by image.

    Parameters
    ----------
    stores : Stores
    dataset, split : str
    """

    def __init__(self, stores: Stores, dataset: str, split: str) -> None:
        self._labels = stores.label
        self._dataset = dataset
        self._split = split

    async def present(self, filename: str) -> LabelData | None:
        """Return what the label file of an image holds now; None if it cannot be read."""
        try:
            return await self._labels.get(self._dataset, self._split, filename)
        except LabelFormatError:
            return None

    async def trail(self, filename: str) -> tuple[LabelData, Trail]:
        """Return the labels of an image, and what undo and redo would lead to."""
        data = await self._labels.get(self._dataset, self._split, filename)
        edits = await self._labels.history(self._dataset, self._split, filename)
        return data, read_trail(edits, data.annotations if data.revision else None)

    async def write(
        self,
        filename: str,
        boxes: PixelBoxes | Sequence[Annotation] | None,
        *,
        size: tuple[int, int],
        revision: str,
        agreed: bool = False,
        what: str = "",
    ) -> LabelData:
        """Write the labels of an image; see `AnnotateModel.save`.

        Parameters
        ----------
        size : tuple of int
            Width and height of the image in pixels, which `PixelBoxes` need.
        """
        present = await self.present(filename)
        expected = None if revision == UNREADABLE else revision
        if boxes is None:
            return await self._remove(filename, present, expected, what)
        annotations = (
            _annotations(boxes, present, size) if isinstance(boxes, PixelBoxes) else list(boxes)
        )
        is_repeat = present is not None and present.revision not in {"", revision}
        if present is not None and is_repeat and same_boxes(present.annotations, annotations):
            return present  # this very edit was written before, and its answer got lost
        return await self._labels.save(
            self._dataset,
            self._split,
            filename,
            annotations,
            expected_revision=expected,
            discard_other_rows=agreed,
            what=what,
        )

    async def _remove(
        self, filename: str, present: LabelData | None, expected: str | None, what: str
    ) -> LabelData:
        if present is not None and not present.revision:
            return present  # nothing to remove, or removed before and the answer got lost
        await self._labels.delete(
            self._dataset, self._split, filename, expected_revision=expected, what=what
        )
        return LabelData(filename, self._split, [])


def _annotations(
    boxes: PixelBoxes, present: LabelData | None, size: tuple[int, int]
) -> list[Annotation]:
    """Pixel boxes as annotations; those that nobody moved keep their digits of the file."""
    stored: dict[tuple[float, ...], tuple[float, float, float, float]] = {}
    if present is not None:
        pixels = geometry.to_pixels([a.xywh for a in present.annotations], *size)
        pairs = zip(pixels.tolist(), present.annotations, strict=True)
        stored = {tuple(row): annotation.xywh for row, annotation in pairs}
    xywh = geometry.to_normalised(boxes.xyxy, *size).tolist()
    return [
        Annotation(class_id, *stored.get(tuple(row), tuple(fresh)))
        for class_id, row, fresh in zip(boxes.class_ids, boxes.xyxy.tolist(), xywh, strict=True)
    ]
