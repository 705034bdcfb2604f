"""Images that are added from the kernel's machine: files, folders, and frames of a video."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from workbench.datasets.actions import NewFile, Upload
from workbench.datasets.changes import counted
from workbench.datasets.formats.file_names import POINTABLE
from workbench.datasets.formats.importing import has_annotations
from workbench.datasets.formats.tar import is_archive
from workbench.datasets.prelabelling import Prelabelled
from workbench.errors import ArchiveError, ImportFormatError, NotFoundError
from workbench.panels.shared.offers import FINDS_MORE
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.plain_files import files_below

BATCH = 128
"""Files that are added at once: between batches the user can stop."""

BATCH_BYTES = 64 * 2**20
"""Bytes of frames or files from a browser that are held at once."""

_JPEG_QUALITY = 95


def new_files(path: Path, *, every: int = 1) -> Iterable[NewFile]:
    """Return what there is to add at a path.

    Parameters
    ----------
    path : Path
        An image, a folder (with all below it) or a video.
    every : int
        Of a video, every how many frames one is taken.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`, or nothing that can be added.
    """
    path = path.expanduser()
    if path.is_dir():
        found = sorted(p for p in files_below(path) if p.suffix.lower() in IMAGE_EXTENSIONS)
        if not found:
            wanted = ", ".join(sorted(IMAGE_EXTENSIONS))
            raise NotFoundError(
                f"{path}: expected images in this folder ({wanted}), found none; choose another"
            )
        return found
    if not path.is_file():
        raise NotFoundError(
            f"{path}: there is no such file or folder on the kernel's machine; check the path"
        )
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        return [path]
    return video_frames(path, every=every)


def is_dataset(path: Path) -> bool:
    """Whether what lies at a path has labels, or is an archive or an annotation file."""
    if path.is_file():
        return is_archive(path.name) or path.suffix.lower() in POINTABLE
    try:
        return path.is_dir() and has_annotations(path)
    except (ArchiveError, ImportFormatError):
        return True  # of annotations that are refused; the plan says why


def video_frames(path: Path, *, every: int) -> Iterator[tuple[str, bytes]]:
    """Yield frames of a video as named JPEGs, ``clip_000120.jpg`` for frame 120.

    Raises
    ------
    NotFoundError
        If the file is no video that can be read.
    ValueError
        If `every` is less than 1.
    """
    import cv2

    if every < 1:
        raise ValueError(f"every: expected 1 or more frames, found {every}")
    video = cv2.VideoCapture(str(path))
    stem = re.sub(r"[^\w.-]+", "_", path.stem)
    try:
        number = 0
        while video.grab():
            if number % every == 0:
                good, frame = video.retrieve()
                if good:
                    _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                    yield f"{stem}_{number:06d}.jpg", bytes(jpeg)
            number += 1
        if number == 0:
            raise NotFoundError(f"{path}: expected an image, a folder or a video, found neither")
    finally:
        video.release()


def batches(files: Iterable[NewFile]) -> Iterator[list[NewFile]]:
    """Yield files in lists of at most `BATCH`, and of bytes not much over `BATCH_BYTES`."""
    batch: list[NewFile] = []
    held = 0
    for file in files:
        batch.append(file)
        held += len(file[1]) if isinstance(file, tuple) else 0
        if len(batch) == BATCH or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def describe(upload: Upload, split: str) -> str:
    """Return in words what became of an upload."""
    text = f"{counted(len(upload.added), 'image')} added to {split}."
    if not upload.refused:
        return text
    rest = len(upload.refused) - 1
    more = f" And {rest:,} more." if rest else ""
    refused = counted(len(upload.refused), "file")
    return f"{text} {refused} refused: {refusal_text(*upload.refused[0])}.{more}"


def refusal_text(name: str, why: str) -> str:
    """Return why a file was not added; many reasons begin with its name already."""
    return why if why.startswith(name) else f"{name}: {why}"


def describe_suggestions(done: Prelabelled) -> str:
    """Return a sentence for people about what a labeller found."""
    images, source = counted(done.images, "image"), done.source
    known = f", {counted(done.known, 'image')} looked at before" if done.known else ""
    failed = f", {counted(len(done.failed), 'image')} could not be read" if done.failed else ""
    rest = f"{known}{failed}."
    if done.boxes:
        boxes = counted(done.boxes, "box", "boxes")
        return f"{boxes} suggested on {images} by {source}{rest} Annotate shows them for review."
    if done.images:
        return f"Nothing was found on {images} by {source}{rest} {FINDS_MORE}"
    return f"There is no new image for {source}{rest}"
