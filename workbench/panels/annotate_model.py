"""The model behind the annotate panel: walks images, loads them, saves finished edits.

No widgets: traits carry state, coroutines do the work, stores are handed in. An edit
carries the image that it belongs to and the revision of the label file that it is based
on, so that a late edit never lands on another image or on somebody else's work.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import traitlets

from workbench import geometry
from workbench.errors import LabelFormatError, NotFoundError, WorkbenchError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageInfo, LabelData, Prediction

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


class AnnotateModel(traitlets.HasTraits):
    """Walks the images of a split.

    Parameters
    ----------
    stores : Stores
    dataset : str
    split : str
    images : sequence of str, optional
        File names to walk, in this order; default: all of the split, by name.
    only : str, optional
        ``"unlabelled"`` or ``"labelled"``: leave the others out of the walk.
    """

    picture = traitlets.Instance(Picture, allow_none=True, help="the image that is open")
    labels = traitlets.Instance(
        LabelData, allow_none=True, help="of the open image, as last loaded or saved"
    )
    classes = traitlets.List(traitlets.Unicode(), help="names of the classes")
    total = traitlets.Int(0, help="images in the walk")
    labelled = traitlets.Int(0, help="images in the walk that have a label file")
    state = traitlets.Enum(
        ("saved", "saving", "not saved"), "saved", help="of the edits made so far"
    )
    why = traitlets.Unicode("", help="why something is not saved")

    def __init__(
        self,
        stores: Stores,
        dataset: str,
        split: str = "train",
        *,
        images: Sequence[str] | None = None,
        only: str | None = None,
    ) -> None:
        super().__init__()
        if only not in {None, "unlabelled", "labelled"}:
            raise ValueError(f'only is "unlabelled", "labelled" or None, found {only!r}')
        self._stores = stores
        self.dataset = dataset
        self.split = split
        self.walk = 0
        self._wanted = None if images is None else list(images)
        self._only = only
        self._scope = ""
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        self._labelled: set[str] = set()
        self._proposals: dict[str, list[Prediction]] = {}
        self._writes: Counter[str] = Counter()
        self._saving = 0
        self._failures: dict[str, str] = {}
        self._ticket = 0

    @property
    def scope(self) -> str:
        """How the keys of this dataset's images begin."""
        return self._scope

    @property
    def filenames(self) -> list[str]:
        """The images of the walk, in order."""
        return list(self._names)

    async def start(self) -> None:
        """Read the dataset's classes and the list of images; begins a new walk."""
        info = await self._stores.dataset.get(self.dataset)
        infos = {i.filename: i for i in await self._stores.image.list(self.dataset, self.split)}
        names = list(infos) if self._wanted is None else self._wanted
        missing = [name for name in names if name not in infos]
        if missing:
            shown = ", ".join(missing[:5])
            raise NotFoundError(
                f"{self.dataset}/{self.split} has no image {shown}"
                + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            )
        if self._only is not None:
            names = [n for n in names if infos[n].has_labels == (self._only == "labelled")]
        self._scope = f"{info.path}/{self.split}/"
        self._names = names
        self._places = {name: index for index, name in enumerate(names)}
        self._labelled = {name for name in names if infos[name].has_labels}
        self.walk += 1
        self.classes = info.classes
        self.total = len(names)
        self.labelled = len(self._labelled)

    async def open(self, index: int, *, asked_by: Mapping[str, Any] | None = None) -> Picture:
        """Load an image of the walk and make it `picture`.

        Of several that are asked for at once only the last becomes `picture`.

        Raises
        ------
        IndexError
            If the walk has no such place.
        """
        self._ticket += 1
        ticket = self._ticket
        picture = await self.load(index, asked_by=asked_by)
        if ticket == self._ticket:
            self.labels = picture.labels
            self.picture = picture
        return picture

    async def load(
        self, index: int, *, plain: bool = False, asked_by: Mapping[str, Any] | None = None
    ) -> Picture:
        """Load an image of the walk with its labels, without opening it.

        An image or label file that cannot be read is no exception here: `Picture.problem`
        says what is wrong, and the walk goes on.

        Parameters
        ----------
        plain : bool
            Encode the pixels anew, for a browser that cannot decode the stored bytes.
        """
        if not 0 <= index < len(self._names):
            raise IndexError(f"the walk has {len(self._names)} images, there is no number {index}")
        name = self._names[index]
        key = self._scope + name
        while True:
            writes = self._writes[key]
            picture = await self._load_once(key, name, index, plain, asked_by)
            # A save that ended meanwhile would make these labels old news.
            if writes == self._writes[key]:
                return picture

    def index_of(self, key: str) -> int | None:
        """Place of an image in the walk, or None."""
        return self._places.get(key.removeprefix(self._scope))

    def next_unlabelled(self, after: int) -> int | None:
        """Place of the next image without label file, from `after` on and round the end."""
        count = len(self._names)
        places = ((after + step) % count for step in range(1, count + 1))
        return next((i for i in places if self._names[i] not in self._labelled), None)

    def proposals(self, filename: str) -> list[Prediction]:
        """Predictions of an image that wait for review."""
        return list(self._proposals.get(filename, ()))

    def propose(self, filename: str, predictions: Sequence[Prediction]) -> None:
        """Replace the predictions of an image that wait for review; no label is touched."""
        self._proposals[filename] = list(predictions)

    async def save(
        self,
        key: str,
        revision: str,
        boxes: PixelBoxes | Sequence[Annotation],
        *,
        agreed: bool = False,
    ) -> LabelData:
        """Write the labels of an image.

        Parameters
        ----------
        key : str
            `Picture.key` of the image that was edited, which need not be open any more.
        revision : str
            Of the label file that the edit is based on.
        boxes : PixelBoxes or sequence of Annotation
        agreed : bool
            The user knows what is in the file and wants these boxes in its place.

        Raises
        ------
        ConflictError
            If the file has another revision, and other boxes than these.
        LossySaveError
            If rows would be lost that are not plain boxes, and `agreed` is false.
        NotFoundError
            If `key` belongs to another dataset or split, or the image is gone.
        """
        if not key.startswith(self._scope) or not self._scope:
            raise NotFoundError(f"{key} is not an image of {self.dataset}/{self.split}")
        name = key.removeprefix(self._scope)
        self._saving += 1
        self._failures.pop(key, None)
        self._refresh_state()
        try:
            data = await self._write(name, revision, boxes, agreed)
        except (WorkbenchError, OSError) as error:
            self._failures[key] = f"{name}: {error}"
            raise
        finally:
            self._saving -= 1
            self._refresh_state()
        self._writes[key] += 1
        self._note_saved(key, data)
        return data

    def forget_failure(self, key: str) -> None:
        """Note that an edit that could not be saved has been given up."""
        if self._failures.pop(key, None) is not None:
            self._refresh_state()

    async def current_labels(self, key: str) -> LabelData | None:
        """Return what the label file of an image holds now; None if it cannot be read."""
        name = key.removeprefix(self._scope)
        try:
            return await self._stores.label.get(self.dataset, self.split, name)
        except LabelFormatError:
            return None

    async def size_of(self, key: str) -> tuple[int, int]:
        """Width and height of an image in pixels."""
        if self.picture is not None and self.picture.key == key:
            return self.picture.width, self.picture.height
        name = key.removeprefix(self._scope)
        info = await self._stores.image.get(self.dataset, self.split, name)
        return info.width, info.height

    async def _load_once(
        self, key: str, name: str, index: int, plain: bool, asked_by: Mapping[str, Any] | None
    ) -> Picture:
        problems: list[str] = []
        info, content = await self._load_image(name, plain, problems)
        labels = LabelData(name, self.split, [])
        try:
            labels = await self._stores.label.get(self.dataset, self.split, name)
        except LabelFormatError as error:
            labels = LabelData(name, self.split, [], revision=UNREADABLE)
            problems.append(f"The label file cannot be read: {error}")
        except NotFoundError as error:
            if content:
                problems.append(f"The labels cannot be read: {error}")
        if labels.other_rows:
            problems.append(
                f"{labels.other_rows} row(s) of the label file are more than a box (polygon, "
                f"keypoints or confidence). Their boxes are shown; before an edit is saved "
                f"you will be asked."
            )
        has_picture = bool(content)
        return Picture(
            key=key,
            split=self.split,
            filename=name,
            index=index,
            token=f"{info.size_bytes}-{info.modified_at}{'-plain' if plain else ''}",
            width=info.width,
            height=info.height,
            content=content,
            labels=labels,
            problem=" ".join(problems),
            editable=has_picture,
            asked_by=asked_by,
        )

    async def _load_image(
        self, name: str, plain: bool, problems: list[str]
    ) -> tuple[ImageInfo, bytes]:
        images = self._stores.image
        nothing = ImageInfo(name, self.split, path=Path(name))
        try:
            info = await images.get(self.dataset, self.split, name)
            is_huge = info.width * info.height > MAX_PIXELS
            if plain or is_huge or name.lower().endswith(NOT_FOR_BROWSERS):
                pixels = await images.load(self.dataset, self.split, name)
                return info, await asyncio.to_thread(_encoded, pixels)
            return info, await images.read_bytes(self.dataset, self.split, name)
        except NotFoundError:
            problems.append(f"{name} is no longer there: it was moved, renamed or deleted.")
        except (WorkbenchError, OSError) as error:
            problems.append(f"{name} cannot be shown: {error}")
        return nothing, b""

    async def _write(
        self,
        name: str,
        revision: str,
        boxes: PixelBoxes | Sequence[Annotation],
        agreed: bool,
    ) -> LabelData:
        labels = self._stores.label
        key = self._scope + name
        present = await self.current_labels(key)
        if isinstance(boxes, PixelBoxes):
            annotations = _annotations(boxes, present, *await self.size_of(key))
        else:
            annotations = list(boxes)
        expected = None if revision == UNREADABLE else revision
        is_repeat = present is not None and present.revision != revision
        if is_repeat and present is not None and _same(present.annotations, annotations):
            return present  # this very edit was written before, and its answer got lost
        return await labels.save(
            self.dataset,
            self.split,
            name,
            annotations,
            expected_revision=expected,
            discard_other_rows=agreed,
        )

    def _note_saved(self, key: str, data: LabelData) -> None:
        if self.picture is not None and self.picture.key == key:
            self.labels = data
        if data.filename in self._places:
            self._labelled.add(data.filename)
            self.labelled = len(self._labelled)

    def _refresh_state(self) -> None:
        self.why = next(iter(self._failures.values()), "")
        self.state = "not saved" if self._failures else "saving" if self._saving else "saved"


def _annotations(
    boxes: PixelBoxes, present: LabelData | None, width: int, height: int
) -> list[Annotation]:
    """Pixel boxes as annotations; those that nobody moved keep their digits of the file."""
    stored: dict[tuple[float, ...], tuple[float, float, float, float]] = {}
    if present is not None:
        pixels = geometry.to_pixels([a.xywh for a in present.annotations], width, height)
        stored = {
            tuple(row): a.xywh for row, a in zip(pixels.tolist(), present.annotations, strict=True)
        }
    xywh = geometry.to_normalised(boxes.xyxy, width, height).tolist()
    return [
        Annotation(class_id, *stored.get(tuple(row), tuple(fresh)))
        for class_id, row, fresh in zip(boxes.class_ids, boxes.xyxy.tolist(), xywh, strict=True)
    ]


def _same(first: Sequence[Annotation], second: Sequence[Annotation]) -> bool:
    """Whether two lists hold the same boxes, but for the rounding of a label file."""
    if [a.class_id for a in first] != [a.class_id for a in second]:
        return False
    boxes = [geometry.as_boxes([a.xywh for a in side]) for side in (first, second)]
    return bool(np.allclose(boxes[0], boxes[1], rtol=0, atol=1e-6))


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
