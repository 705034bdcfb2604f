"""One image of a walk with its labels, in a form that a browser can show."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.errors import PASSING, LabelFormatError, NotFoundError, WorkbenchError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageInfo, LabelData

MAX_PIXELS = 50_000_000
"""Larger images are sent reduced: more than any screen shows, more than browsers bear."""
NOT_FOR_BROWSERS = (".tif", ".tiff")

UNREADABLE = "unreadable"
"""Stands for the revision of a label file that cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One image of the walk with its labels, as far as they could be loaded.

    Compared by identity: opening an image anew is news, also if nothing has changed.

    Parameters
    ----------
    key : str
        Identity of the image, also across kernels.
    split, filename : str
    index : int
        Place in the walk.
    token : str
        Changes with the image's bytes.
    width, height : int
        Pixels of the stored image; 0 if it could not be read.
    content : bytes
        An encoded image that browsers decode; may have fewer pixels.
    labels : LabelData
    problem : str
        What is wrong with the image or its labels, for people.
    editable : bool
        Whether boxes can be drawn and saved.
    asked_by : mapping or None
        Whatever `AnnotateModel.open` was given, to recognise the answer.
    """

    key: str
    split: str
    filename: str
    index: int
    token: str
    width: int
    height: int
    content: bytes
    labels: LabelData
    problem: str = ""
    editable: bool = True
    asked_by: Mapping[str, Any] | None = None

    def pixel_boxes(self, annotations: Sequence[Annotation] | None = None) -> geometry.Boxes:
        """Return boxes (default: the labels) as pixel xyxy, float64, shape ``(n, 4)``."""
        chosen = self.labels.annotations if annotations is None else annotations
        return geometry.to_pixels([a.xywh for a in chosen], self.width, self.height)


class PictureLoader:
    """Loads images of a split with their labels, whatever state their files are in.

    Parameters
    ----------
    stores : Stores
    dataset : str
    split : str
    """

    def __init__(self, stores: Stores, dataset: str, split: str) -> None:
        self._stores = stores
        self._dataset = dataset
        self._split = split

    async def load(
        self,
        key: str,
        name: str,
        index: int,
        *,
        plain: bool = False,
        asked_by: Mapping[str, Any] | None = None,
    ) -> Picture:
        """Load an image; what is wrong with it or its labels becomes `Picture.problem`.

        Parameters
        ----------
        key, name, index, asked_by
            See `Picture`.
        plain : bool
            Encode the pixels anew, for a browser that cannot decode the stored bytes.

        Raises
        ------
        UnreachableError, BusyError
            If nobody can tell now what is there.
        """
        problems: list[str] = []
        info, content = await self._image(name, plain, problems)
        labels = await self._labels(name, problems, has_image=bool(content))
        return Picture(
            key=key,
            split=self._split,
            filename=name,
            index=index,
            token=f"{info.size_bytes}-{info.modified_at}{'-plain' if plain else ''}",
            width=info.width,
            height=info.height,
            content=content,
            labels=labels,
            problem=" ".join(problems),
            editable=bool(content),
            asked_by=asked_by,
        )

    async def _image(self, name: str, plain: bool, problems: list[str]) -> tuple[ImageInfo, bytes]:
        images = self._stores.image
        nothing = ImageInfo(name, self._split, path=Path(name))
        try:
            info = await images.get(self._dataset, self._split, name)
            is_huge = info.width * info.height > MAX_PIXELS
            if plain or is_huge or name.lower().endswith(NOT_FOR_BROWSERS):
                pixels = await images.load(self._dataset, self._split, name)
                return info, await asyncio.to_thread(_encoded, pixels)
            return info, await images.read_bytes(self._dataset, self._split, name)
        except NotFoundError:
            problems.append(f"{name} is no longer there: it was moved, renamed or deleted.")
        except PASSING:
            raise
        except (WorkbenchError, OSError) as error:
            problems.append(f"{name} cannot be shown: {error}")
        return nothing, b""

    async def _labels(self, name: str, problems: list[str], *, has_image: bool) -> LabelData:
        try:
            labels = await self._stores.label.get(self._dataset, self._split, name)
        except LabelFormatError as error:
            problems.append(f"The label file cannot be read: {error}")
            return LabelData(name, self._split, [], revision=UNREADABLE)
        except NotFoundError as error:
            if has_image:  # else it is said already
                problems.append(f"The labels cannot be read: {error}")
            return LabelData(name, self._split, [])
        if labels.other_rows:
            problems.append(
                f"{labels.other_rows} row(s) of the label file are more than a box (polygon, "
                f"keypoints or confidence). Their boxes are shown; before an edit is saved "
                f"you will be asked."
            )
        return labels


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode BGR pixels as JPEG, reduced to `MAX_PIXELS`."""
    import cv2

    height, width = pixels.shape[:2]
    if width * height > MAX_PIXELS:
        factor = (MAX_PIXELS / (width * height)) ** 0.5
        size = (max(int(width * factor), 1), max(int(height * factor), 1))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return bytes(encoded)
