"""Chosen frames are written as images, and failures are put into words."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.capture.detection import Predict
from workbench.capture.events import ImageSaved
from workbench.capture.frames import Frame, Image
from workbench.capture.recording import Chosen
from workbench.capture.settings import CaptureSettings
from workbench.errors import InvalidNameError, NotFoundError
from workbench.persistence import ImageStore
from workbench.persistence.counting import counted
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.sources import ImageSource

_JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the frames of a burst go, and what is noted with them."""

    dataset: str
    split: str
    burst: str
    feed: str
    settings: CaptureSettings


async def write(
    image_store: ImageStore, target: Target, chosen: Sequence[Chosen], predict: Predict | None
) -> list[ImageSaved]:
    """Store frames, all or none; they are durable when this returns."""
    settings = target.settings
    found: list[list[Prediction]] = [[] for _ in chosen]
    if predict is not None and settings.detections != "off":
        found = [await predict(one.frame.image) for one in chosen]
    as_labels = settings.detections == "labels" and predict is not None
    images, sources = [], []
    for one, boxes in zip(chosen, found, strict=True):
        labels = [Annotation(p.class_id, *p.xywh) for p in boxes] if as_labels else None
        images.append(NewImage(one.filename, target.split, _content(one.frame, settings), labels))
        sources.append(_source(target, one, [] if as_labels else boxes))
    infos = await image_store.add_many(target.dataset, images, sources=sources)
    return [
        ImageSaved(
            info=info,
            burst=target.burst,
            sequence=one.frame.sequence,
            captured_at=one.frame.time,
            sharpness=one.sharpness,
            blurred=one.sharpness < settings.min_sharpness,
            class_name=settings.class_name,
            num_boxes=len(boxes) if as_labels else 0,
        )
        for info, one, boxes in zip(infos, chosen, found, strict=True)
    ]


def _content(frame: Frame, settings: CaptureSettings) -> bytes | Image:
    if frame.encoded is not None and settings.extension in _JPEG:
        return frame.encoded
    return frame.image


def _source(target: Target, one: Chosen, predictions: list[Prediction]) -> ImageSource:
    return ImageSource(
        filename=one.filename,
        split=target.split,
        captured_at=datetime.fromtimestamp(one.frame.time, UTC),
        feed=target.feed,
        sequence=one.frame.sequence,
        burst=target.burst,
        class_name=target.settings.class_name,
        predictions=predictions,
        details={"sharpness": round(one.sharpness, 1)},
    )


def explain(error: Exception, dataset: str, saved: int) -> str:
    """Return what to tell somebody whose capture has stopped."""
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, NotFoundError | InvalidNameError):
        problem = f"the dataset {dataset!r} is not there (any more)"
        remedy = "plug its disk in again, restore it, or choose another dataset"
    elif code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        problem = "the disk is full, or a limit on files is reached"
        remedy = "free some space or choose a data folder on another disk, then record again"
    elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
        problem = "the dataset's folder cannot be written to"
        remedy = "get the permission, or choose a data folder of your own"
    elif code is not None:
        problem = "the disk or its connection has failed"
        remedy = "check it, then record again"
    else:
        problem = "an image could not be saved"
        remedy = "put that right, then record again"
    images = counted(saved, "image of this session is", "images of this session are")
    kept = f"{images} saved and intact" if saved else "nothing was saved"
    return f"Capture has stopped: {problem} ({error}). {remedy.capitalize()}. {kept.capitalize()}."
