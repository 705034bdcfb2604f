"""A folder of images as a feed."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from workbench.capture.feed import Feed
from workbench.capture.frames import Frame, Pause
from workbench.capture.playback import Playback
from workbench.errors import InvalidFrameError, NotFoundError
from workbench.persistence.image_reading import read_image
from workbench.persistence.yolo.names import IMAGE_EXTENSIONS

_log = logging.getLogger(__name__)
_JPEG = frozenset({".jpg", ".jpeg"})
_HALTED = Pause(0.02)


class FolderFeed(Feed):
    """The images of a folder, by name. JPEG files are handed on without being re-encoded.

    Nothing is lost: a slow consumer holds the feed up. The sequence number of a frame is the
    place of its file, from 0, and its time the file's last change. Files that are no images
    are left out and logged.

    Parameters
    ----------
    path : Path or str
    every : int
        Each so many images, one.
    fps : float or None
        How many images a second to show; None: as fast as they are taken.

    Raises
    ------
    NotFoundError
        If there is no such folder, or no image in it.
    """

    def __init__(self, path: Path | str, *, every: int = 1, fps: float | None = None) -> None:
        folder = Path(path).expanduser()
        if every < 1:
            raise ValueError(f"every: expected 1 or more, found {every}")
        if fps is not None and not fps > 0:
            raise ValueError(f"fps: expected more than 0, found {fps}")
        if not folder.is_dir():
            raise NotFoundError(f"{folder}: no such folder; check the path")
        self.files = sorted(
            file for file in folder.iterdir() if file.suffix.lower() in IMAGE_EXTENSIONS
        )
        if not self.files:
            known = ", ".join(sorted(IMAGE_EXTENSIONS))
            raise NotFoundError(f"{folder}: no images in this folder; expected files of {known}")
        self.playback = Playback()
        super().__init__(
            partial(_frames, self.files, every, fps, self.playback),
            name=folder.name,
            patient=True,
            stall_after=None,
        )

    def seek(self, image: int) -> None:
        """Go to an image by its place; a feed that is not running starts there next."""
        self.playback.seek(image)


def _frames(
    files: list[Path], every: int, fps: float | None, playback: Playback
) -> Iterator[Frame | Pause]:
    playback.rewind()
    index = 0
    while True:
        order = playback.next_order()
        index = index if order.position is None else order.position
        if not order.show:
            yield _HALTED
            continue
        if index >= len(files):
            return
        number, index = index, index + (1 if order.exactly else every)
        frame = _read(files[number], number)
        if frame is None:
            continue
        playback.shown(number)
        yield frame
        if fps is not None:
            yield Pause(1 / fps)


def _read(path: Path, number: int) -> Frame | None:
    try:
        data, changed = read_image(str(path)), os.stat(path).st_mtime  # noqa: PTH116
        frame = Frame(None, changed, number, encoded=data)
        if path.suffix.lower() in _JPEG:
            return frame
        return Frame(frame.image, changed, number)
    except (OSError, InvalidFrameError) as error:
        _log.warning("image left out of the feed: %s: %s", path, error)
        return None
