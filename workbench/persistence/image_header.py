"""Size and EXIF orientation of an image, from its first few kilobytes.

Pillow builds many objects for each file it opens, and for some PNGs decodes all pixels to
look for EXIF. To learn the sizes of 100,000 images, walking the headers of the two common
formats by hand takes a fraction of that. What these walks do not know (other formats, a
header longer than the bytes at hand, anything odd) is left to `rules.image_size`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 4096
"""Enough for the headers of nearly all files that come without a preview in their EXIF."""

TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange rows and columns (CIPA DC-008, tag 0x0112)."""

_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
_PNG = b"\x89PNG\r\n\x1a\n"

# JPEG markers, ITU-T T.81 table B.1: frames are C0 to CF without DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of an image says.

    Parameters
    ----------
    width, height : int
        Pixels as they are stored, before the orientation is applied.
    orientation : int
        EXIF orientation, 1 to 8; 1 is upright.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as the picture is shown."""
        if self.orientation in TURNED:
            return self.height, self.width
        return self.width, self.height


def read_header(head: bytes) -> ImageHeader | None:
    """Read the header of a JPEG or PNG.

    Parameters
    ----------
    head : bytes
        The beginning of the file, or all of it.

    Returns
    -------
    ImageHeader or None
        None if these bytes do not tell.
    """
    try:
        if head[:2] == b"\xff\xd8":
            return _jpeg(head)
        if head[:8] == _PNG:
            return _png(head)
    except (IndexError, struct.error):  # the header is longer than the bytes at hand
        pass
    return None


def _jpeg(data: bytes) -> ImageHeader | None:
    position, orientation = 2, 1
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # any number of fill bytes may precede a marker
            position += 1
            continue
        if marker in _STANDALONE:
            position += 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            # A height of 0 is given later, in a DNL segment.
            return ImageHeader(width, height, orientation) if width and height else None
        if marker in (_SCAN, _END):
            return None
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker == _APP1 and data[position + 4 : position + 10] == _EXIF:
            orientation = _exif_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return None


def _png(data: bytes) -> ImageHeader | None:
    # PNG specification 11.2.1: IHDR is first; eXIf (11.3.5) may stand before the pixels.
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR" or not width or not height:
        return None
    position, orientation = 8, 1
    while (kind := data[position + 4 : position + 8]) != b"IDAT":
        if kind == b"IEND":
            break
        (length,) = struct.unpack_from(">I", data, position)
        if kind == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
        position += 12 + length
    return ImageHeader(width, height, orientation)


def _exif_orientation(tiff: bytes) -> int:
    """Return the orientation in a TIFF header (TIFF 6.0, section 2); 1 if it has none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    for number in range(entries):
        place = start + 2 + 12 * number
        if place + 12 > len(tiff):
            return 1
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
