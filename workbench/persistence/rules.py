"""What every implementation of the stores checks and converts in the same way."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import (
    AlreadyExistsError,
    ClassesInUseError,
    ConflictError,
    InvalidDatasetError,
    InvalidFrameError,
    NotFoundError,
)
from workbench.persistence.counting import counted
from workbench.persistence.foreign_text import is_whole
from workbench.persistence.image_bounds import decode_bounded, header_of
from workbench.persistence.models import TrashEntry
from workbench.persistence.yolo.data_yaml import is_colour

Frame = npt.NDArray[np.uint8]

JPEG_QUALITY = 95
_MOST_SHOWN = 200
_MAX_CLASS_NAME = 200


def check_colours(colours: Mapping[str, str], classes: Sequence[str]) -> dict[str, str]:
    """Return colours by class name as they are written; raises as `DatasetStore.set_colours`."""
    for name, colour in colours.items():
        if name not in classes:
            raise NotFoundError(f"there is no class {name!r}; there are {', '.join(classes)}")
        if colour != "" and not is_colour(colour):
            raise InvalidDatasetError(
                f"class {name!r}: expected a colour such as #ff8800, found {_shown(colour)}"
            )
    return {name: colour.lower() for name, colour in colours.items()}


def check_classes(classes: Sequence[str]) -> list[str]:
    """Return `classes` as a list, or say what is wrong with it.

    Raises
    ------
    InvalidDatasetError
        If it is a single string, or a name is no string, empty, or occurs twice.
    """
    if isinstance(classes, str):
        raise InvalidDatasetError(f'classes: expected a list of names, found "{classes}"')
    names = list(classes)
    for class_id, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or len(name) > _MAX_CLASS_NAME:
            raise InvalidDatasetError(f"class {class_id}: expected a name, found {_shown(name)}")
        if any(ord(char) < 32 for char in name):
            raise InvalidDatasetError(f"class {class_id}: {_shown(name)} holds a control character")
        if not is_whole(name):
            raise InvalidDatasetError(f"class {class_id}: {_shown(name)} holds half a character")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InvalidDatasetError(
            f"classes: {', '.join(map(repr, twice[:5]))}{', ...' * (len(twice) > 5)} occur more "
            f"than once; names must differ"
        )
    return names


def _shown(name: object) -> str:
    """Word a name for an error: its beginning, if it is an endless one."""
    text = repr(name)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def check_classes_seen(
    dataset: str, classes: Sequence[str], expected: Sequence[str] | None
) -> None:
    """Make sure that the classes are those that somebody has decided on.

    Parameters
    ----------
    dataset : str
        For the message.
    classes : sequence of str
        As they are.
    expected : sequence of str, optional
        None: whatever they are.

    Raises
    ------
    ConflictError
        If they have changed.
    """
    if expected is not None and list(expected) != list(classes):
        raise ConflictError(
            f"{dataset}: the classes are {', '.join(classes)} by now, not "
            f"{', '.join(expected)}; look again"
        )


def check_classes_suffice(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> None:
    """Make sure that every class id that boxes use keeps a class.

    Parameters
    ----------
    counts : ndarray of int64
        Number of boxes by class id.

    Raises
    ------
    ClassesInUseError
        With the counts of the ids that would be left over.
    """
    orphans = [
        f"{i} ({counted(n, 'box', 'boxes')})"
        for i, n in enumerate(counts.tolist())
        if n and i >= len(classes)
    ]
    if orphans:
        raise ClassesInUseError(
            f"{counted(len(classes), 'class is', 'classes are')} too few: labels use the class "
            f"ids {', '.join(orphans)}; "
            f"keep those classes, or remove their boxes first"
        )


def check_prompts(prompts: Mapping[int, Sequence[str]], num_classes: int) -> dict[int, list[str]]:
    """Return prompts by class id as plain lists, or raise `InvalidDatasetError`."""
    checked: dict[int, list[str]] = {}
    for class_id, texts in prompts.items():
        if not isinstance(class_id, int) or not 0 <= class_id < num_classes:
            raise InvalidDatasetError(
                f"prompts: class id {class_id!r}: expected one of 0 to {num_classes - 1}"
            )
        if isinstance(texts, str) or not all(
            isinstance(t, str) and t.strip() and is_whole(t) for t in texts
        ):
            raise InvalidDatasetError(
                f"prompts of class {class_id}: expected a list of texts, found {texts!r}"
            )
        checked[class_id] = list(texts)
    return checked


def check_frame(frame: Any) -> Frame:
    """Return `frame` if it can be stored.

    Raises
    ------
    InvalidFrameError
        If it is not uint8 with shape ``(height, width, 3)``.
    """
    wanted = "a uint8 array of shape (height, width, 3), BGR"
    if not isinstance(frame, np.ndarray):
        raise InvalidFrameError(f"frame: expected {wanted}, found {type(frame).__name__}")
    if frame.dtype != np.uint8:
        raise InvalidFrameError(f"frame: expected {wanted}, found dtype {frame.dtype}")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise InvalidFrameError(f"frame: expected {wanted}, found shape {frame.shape}")
    return frame


def encode(frame: Frame, filename: str) -> bytes:
    """Encode a frame in the codec that the extension of `filename` names.

    Raises
    ------
    InvalidFrameError
        If the codec cannot hold it (WebP and JPEG have a largest size).
    """
    import cv2

    extension = os.path.splitext(filename)[1].lower()
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if extension in {".jpg", ".jpeg"} else []
    try:
        good, data = cv2.imencode(extension, np.ascontiguousarray(check_frame(frame)), options)
    except cv2.error as error:
        raise InvalidFrameError(f"{filename}: the frame cannot be encoded: {error}") from error
    if not good:
        height, width = frame.shape[:2]
        raise InvalidFrameError(f"{filename}: {width} x {height} pixels cannot be encoded so")
    return bytes(data)


def decode(data: bytes, where: str) -> Frame:
    """Decode an image to BGR with its EXIF rotation applied.

    Raises
    ------
    InvalidFrameError
        If `data` is no image, damaged, or has too many pixels; names `where`.
    """
    import cv2

    return decode_bounded(data, where, cv2.IMREAD_COLOR)


def check_decodes(data: bytes, where: str) -> None:
    """Make sure that an image decodes, in less time and memory than `decode` takes.

    Raises
    ------
    InvalidFrameError
        If `data` is no image, damaged, or has too many pixels; names `where`.
    """
    import cv2

    # The smallest that a JPEG can be decoded at; its bytes are gone through all the same.
    is_jpeg = data.startswith(b"\xff\xd8")
    grey = cv2.IMREAD_REDUCED_GRAYSCALE_8 if is_jpeg else cv2.IMREAD_GRAYSCALE
    decode_bounded(data, where, grey | cv2.IMREAD_IGNORE_ORIENTATION)


def image_size(data: bytes, where: str) -> tuple[int, int]:
    """Return width and height of an encoded image as it is shown, from its header alone.

    Raises
    ------
    InvalidFrameError
        If `data` is no image; names `where`.
    """
    return header_of(data, where).shown


def require_distinct_by_case(filenames: Iterable[str], split: str) -> None:
    """Make sure that images can be unpacked on a disk that ignores upper and lower case.

    Raises
    ------
    InvalidDatasetError
        Names two images that would overwrite each other there.
    """
    seen: dict[str, str] = {}
    for filename in filenames:
        other = seen.setdefault(filename.casefold(), filename)
        if other != filename:
            raise InvalidDatasetError(
                f"{split} has {other} and {filename}, which are one file on Windows and macOS; "
                f"rename one of them before exporting"
            )


def no_same_stem(filename: str, other: str, split: str) -> AlreadyExistsError:
    """Return the error for two images that would share one label file."""
    return AlreadyExistsError(
        f"{filename}: {split} has {other}, which differs only in its extension; "
        f"the two would share one label file, so rename one of them"
    )


def check_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics as plain floats (numpy's are no JSON)."""
    return {str(name): float(value) for name, value in metrics.items()}


def changed_details(details: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return details with some replaced; those that are None are left out.

    Raises
    ------
    ValueError
        If a change is more than JSON can hold.
    """
    try:
        copied = json.loads(json.dumps(dict(changes), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"details: expected JSON types, found {changes!r}: {error}") from error
    return {name: value for name, value in {**details, **copied}.items() if value is not None}


def trash_entry(kind: str, name: str, split: str = "") -> TrashEntry:
    """Describe something that is about to be deleted; ids begin with the time and sort by it."""
    now = datetime.now(UTC)
    identity = f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}-{os.urandom(4).hex()}"
    return TrashEntry(identity, kind, name, split, now)
