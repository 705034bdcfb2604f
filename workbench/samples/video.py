"""A short video of generated scenes, to stand in for a camera."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import cv2

from workbench.samples.scenes import checked_size, moving_scenes

# Encoders that the wheels of opencv-python hold on every platform. H.264 is not among them.
_CODECS = {".avi": "MJPG", ".mp4": "mp4v"}


def write_video(
    path: Path | str,
    *,
    seconds: float = 6.0,
    fps: float = 15.0,
    image_size: int | tuple[int, int] = (320, 240),
    seed: int = 0,
) -> Path:
    """Write a video of drifting shapes; a file of that name is replaced once it is complete.

    Blocks while it encodes, about a second for the default; see `moving_scenes` for what
    is on it.

    Parameters
    ----------
    path : Path or str
        Ends in ``.avi`` (Motion JPEG) or ``.mp4`` (MPEG-4 Part 2, which players know but
        most browsers do not). Its folder is made if missing.
    seconds, fps : float
    image_size : int or (int, int)
        Side of a square, or width and height, in pixels.
    seed : int
        Not negative.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the extension or a number cannot be.
    OSError
        If this build of OpenCV cannot encode it, or the disk is full.
    """
    path = Path(path)
    size = checked_size(image_size)
    count = round(seconds * fps)
    if path.suffix.lower() not in _CODECS:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(_CODECS)}")
    if count < 1:
        raise ValueError(f"{seconds} seconds at {fps} frames per second are not one frame")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the goal, so that the rename stays on one file system and is atomic; OpenCV
    # picks the container by the extension.
    temporary = path.with_name(f".{uuid4().hex}{path.suffix.lower()}")
    try:
        _encode(temporary, count, fps, size, seed)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _encode(path: Path, count: int, fps: float, size: tuple[int, int], seed: int) -> None:
    codec = _CODECS[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    try:
        if not writer.isOpened():
            raise OSError(f"{path}: OpenCV {cv2.__version__} cannot write {codec}; try .avi")
        for scene in moving_scenes(count, fps=fps, image_size=size, seed=seed):
            writer.write(scene.frame)
    finally:
        writer.release()
    # The writer reports no failure of its own: a full disk shows only in what can be read back.
    reader = cv2.VideoCapture(str(path))
    try:
        written = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        reader.release()
    if written != count:
        raise OSError(f"{path}: expected {count} frames, found {written}; is the disk full?")
