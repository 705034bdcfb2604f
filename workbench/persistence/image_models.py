"""The value objects of images: what there is, what comes, what moves and what was deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.persistence.counting import counted
from workbench.persistence.label_models import Annotation


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
        Time of the file's last change, in seconds since the epoch; 0 in a bucket.
    """

    filename: str
    split: str
    path: Path
    width: int = 0
    height: int = 0
    size_bytes: int = 0
    has_labels: bool = False
    modified_at: float = 0.0


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
        Size of the file, and time of its last change in nanoseconds since the epoch; of a bucket
        a number that is another one after each change.
    label_bytes, label_modified_ns : ndarray of int64, shape (images,)
        The same of the label file; -1 where an image has none.
    classes : list of str
        Of the dataset at the same moment.
    settings_revision : str
        Changes whenever the classes do, or anything else that tells how to read a label file.
    sources_revision : str
        Changes whenever `ImageStore.sources` is told of more images; empty: of none so far.
    colours : list of str
        `DatasetInfo.colours` at the same moment.
    """

    filenames: list[str]
    split: npt.NDArray[np.int8]
    size_bytes: npt.NDArray[np.int64]
    modified_ns: npt.NDArray[np.int64]
    label_bytes: npt.NDArray[np.int64]
    label_modified_ns: npt.NDArray[np.int64]
    classes: list[str]
    settings_revision: str
    sources_revision: str = ""
    colours: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.filenames)

    def __repr__(self) -> str:
        """Say how much there is; see `LabelTable`."""
        return f"<ImageTable: {counted(len(self), 'image')}>"


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
class TrashEntry:
    """Something deleted that can be restored.

    Parameters
    ----------
    id : str
        What `restore` and `purge` take. Ids sort by time.
    kind : str
        ``"dataset"``, ``"model"``, ``"image"``, ``"label"``, ``"orphan"`` (a label file
        that had no image) or ``"replaced"`` (what an image was before it got other bytes).
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
