"""The value objects that stores take and return. Frozen; they know no files and no widgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SPLITS: tuple[str, str, str] = ("train", "val", "test")

ImageKey = tuple[str, str]
"""What identifies an image in a dataset: ``(split, filename)``."""

Progress = Callable[[int, int], None]
"""``progress(done, total)``, called from the thread that works; raise from it to cancel."""


def no_progress(done: int, total: int) -> None:
    """Stand-in for a progress callback where nobody listens."""


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


def _no_images() -> dict[str, int]:
    return dict.fromkeys(SPLITS, 0)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What a dataset is called, where it lies and what is in it.

    Parameters
    ----------
    name : str
    path : Path
        Its folder, the one that holds ``data.yaml``.
    classes : list of str
        Class names; the position is the class id.
    num_images : dict of str to int
        Number of images by split.
    created_at, modified_at : datetime or None
        With time zone. The second is the last change of an image, a label or the classes.
    """

    name: str
    path: Path
    classes: list[str]
    num_images: dict[str, int] = field(default_factory=_no_images)
    created_at: datetime | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImportedDataset(DatasetInfo):
    """A dataset that was just imported, with what the import has to report.

    Parameters
    ----------
    notes : list of str
        One sentence for each thing that was dropped, skipped or changed on the way in.
    """

    notes: list[str] = field(default_factory=list)


def with_notes(info: DatasetInfo, notes: Sequence[str]) -> ImportedDataset:
    """Return the facts of a dataset together with what its import has to report."""
    return ImportedDataset(
        name=info.name,
        path=info.path,
        classes=info.classes,
        num_images=info.num_images,
        created_at=info.created_at,
        modified_at=info.modified_at,
        notes=list(notes),
    )


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """One image of a dataset.

    Parameters
    ----------
    filename : str
    split : str
        ``"train"``, ``"val"`` or ``"test"``.
    path : Path
    width, height : int
        Pixels, as the picture is shown (EXIF rotation applied). 0 in a listing, which
        opens no file.
    size_bytes : int
    has_labels : bool
        Whether a label file exists, also an empty one.
    modified_at : float
        Time of the file's last change, in seconds since the epoch.
    """

    filename: str
    split: str
    path: Path
    width: int = 0
    height: int = 0
    size_bytes: int = 0
    has_labels: bool = False
    modified_at: float = 0.0


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
    """

    filenames: list[str]
    splits: list[str]
    labelled: npt.NDArray[np.bool_]
    image_index: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    problems: list[Exception] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.class_id)

    def class_counts(self, num_classes: int = 0) -> npt.NDArray[np.int64]:
        """Count the boxes by class id, shape ``(max(num_classes, highest id + 1),)``."""
        return np.bincount(self.class_id, minlength=num_classes).astype(np.int64)

    def boxes_per_image(self) -> npt.NDArray[np.int64]:
        """Count the boxes of each image, shape ``(images,)``."""
        return np.bincount(self.image_index, minlength=len(self.filenames)).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageTable:
    """Every image of a dataset in columns, in the order of `ImageStore.list`.

    Parameters
    ----------
    filenames : list of str
        ``images`` for short below.
    split : ndarray of int8, shape (images,)
        Index into `SPLITS`.
    size_bytes, modified_ns : ndarray of int64, shape (images,)
        Size of the file, and time of its last change in nanoseconds since the epoch.
    label_bytes, label_modified_ns : ndarray of int64, shape (images,)
        The same of the label file; -1 where an image has none.
    classes : list of str
        Of the dataset at the same moment.
    settings_revision : str
        Changes whenever the classes do, or anything else that tells how to read a label file.
    """

    filenames: list[str]
    split: npt.NDArray[np.int8]
    size_bytes: npt.NDArray[np.int64]
    modified_ns: npt.NDArray[np.int64]
    label_bytes: npt.NDArray[np.int64]
    label_modified_ns: npt.NDArray[np.int64]
    classes: list[str]
    settings_revision: str

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.filenames)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A trained model in the store.

    Parameters
    ----------
    name : str
    path : Path
        Of the weights file.
    base_model : str
        What training started from, for instance ``"yolo11n.pt"``.
    dataset_name : str
    created_at : datetime or None
    epochs_completed : int
    best_map50 : float or None
        Best mAP50 on the validation split, 0..1; None if it was never measured.
    is_active : bool
        Whether this is the model that labels and predicts.
    metrics : dict of str to float
        All that was handed to `ModelStore.save`.
    class_names : list of str
    details : dict
        Anything else worth keeping (training configuration, dataset version); JSON types.
    weights_state : str
        ``"ok"``, ``"missing"`` or ``"changed"`` (other bytes than were saved).
    """

    name: str
    path: Path
    base_model: str = ""
    dataset_name: str = ""
    created_at: datetime | None = None
    epochs_completed: int = 0
    best_map50: float | None = None
    is_active: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    class_names: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    weights_state: str = "ok"


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """Something deleted that can be restored.

    Parameters
    ----------
    id : str
        What `restore` and `purge` take. Ids sort by time.
    kind : str
        ``"dataset"``, ``"image"``, ``"label"`` or ``"model"``.
    name : str
        Of what was deleted.
    split : str
        Of the image or label; else empty.
    deleted_at : datetime
    """

    id: str
    kind: str
    name: str
    split: str
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image on its way into a dataset, as importers and generators hand it over.

    Parameters
    ----------
    filename : str
        Name it will have; the extension picks the codec if `content` is an array.
    split : str
    content : Path, bytes or ndarray
        A file to copy byte for byte, the encoded bytes, or a frame (uint8, BGR, HWC).
    annotations : list of Annotation or None
        None: not labelled yet (no label file). Empty: reviewed, nothing in it.
    """

    filename: str
    split: str
    content: Path | bytes | npt.NDArray[np.uint8]
    annotations: list[Annotation] | None = None


@dataclass(frozen=True, slots=True)
class ImageMove:
    """One image's way from a split to another."""

    filename: str
    from_split: str
    to_split: str


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What `DatasetStore.import_zip` accepts before it calls an archive a bomb.

    Parameters
    ----------
    max_total_bytes : int
        Unpacked size of all members together.
    max_ratio : float
        Unpacked over packed size, judged over the whole archive and for each member
        larger than 1 MB.
    max_members : int
    """

    max_total_bytes: int = 500 * 2**30
    max_ratio: float = 100.0
    max_members: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen view of a dataset in a folder of its own, for a training run.

    Parameters
    ----------
    path : Path
        The folder.
    data_yaml : Path
    num_images, num_labelled : dict of str to int
        By split.
    digest : str
        Of the classes and every label's bytes and image's name, size and split: two
        snapshots with one digest trained on the same labels.
    """

    path: Path
    data_yaml: Path
    num_images: dict[str, int]
    num_labelled: dict[str, int]
    digest: str


Metrics = Mapping[str, float]
