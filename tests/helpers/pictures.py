"""Small pictures, as arrays and as encoded bytes."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]


def frame(seed: int = 0, height: int = 24, width: int = 32) -> Frame:
    """A smooth picture, BGR, that differs from seed to seed and survives JPEG well."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (3, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height)), dtype=np.uint8)


def encoded(extension: str = ".jpg", seed: int = 0, height: int = 24, width: int = 32) -> bytes:
    """The bytes of an image file."""
    done, data = cv2.imencode(extension, frame(seed, height, width))
    assert done
    return data.tobytes()


def jpeg(seed: int = 0, height: int = 24, width: int = 32) -> bytes:
    return encoded(".jpg", seed, height, width)


def rotated_jpeg(seed: int = 0, height: int = 24, width: int = 32) -> bytes:
    """A JPEG stored `height` x `width` whose EXIF says: show it turned by 90 degrees.

    EXIF orientation 6, as phones write it (CIPA DC-008, tag 0x0112).
    """
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    plain = jpeg(seed, height, width)
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
