"""What one image's bytes tell: whether it decodes, how it looks, whether its file is in order.

`examine` is pure: bytes in, facts out. One decode at a reduced size serves everything; for
a JPEG the reduction happens inside the decoder, in a fraction of the time.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.datasets.similarity import SIDE, Prints, shrink, take_prints
from workbench.errors import InvalidFrameError
from workbench.persistence.image_bounds import decode_bounded, require_decodable
from workbench.persistence.image_header import ImageHeader, whole_header

Grey = npt.NDArray[np.uint8]

UNREAD, GOOD, CORRUPT, TRUNCATED, TOO_LARGE = range(5)
"""States of an image: its file could not be read; decoded; no image or damaged; cut off; more
pixels than are decoded."""

FORMATS = ("", "jpeg", "png", "bmp", "webp", "tiff", "gif", "heif")
"""What the first bytes say that a file is; ``""`` for none of these."""
OF_EXTENSION = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".bmp": "bmp",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}

DTYPE = np.dtype(
    [
        ("state", "u1"),
        ("measured", "?"),  # whether the last four columns are known
        ("format", "u1"),  # index into FORMATS
        ("orientation", "u1"),  # EXIF, 1 to 8
        ("width", "<i4"),  # as shown, in pixels
        ("height", "<i4"),
        ("trailing", "<i8"),  # bytes behind a JPEG's end marker
        ("content", "<u8"),  # size of the file and checksum of its bytes
        ("hash", "<u8"),
        ("signature", "i1", (64,)),
        ("sharpness", "<f4"),  # variance of the Laplacian, over that of the smoothed picture's
        ("mean", "<f4"),  # grey level, 0 to 255
        ("highlight", "<f4"),  # 95th percentile of the grey levels
        ("white", "<f4"),  # share of pixels at 250 or above
    ]
)
"""One record for each image."""

VERSION = 3
"""Raised whenever `examine` would say something else of the same bytes."""

_SHORT_SIDE = 192  # pixels of the decoded picture: enough to tell blurred from sharp
_FLAT = 1.5  # grey levels; below, there is nothing to be sharp
_END = b"\xff\xd9"
# FF 00 is a coded FF, and restart markers belong to the scan.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
TAIL_BYTES = 64
"""Of a file, which tell in nearly all cases whether it is whole."""
_PNG_END = b"IEND\xaeB`\x82"  # the last chunk's name and checksum


def examine(contents: Sequence[bytes | Exception], measured: bool = True) -> npt.NDArray[np.void]:
    """Return the facts of many images, a record of `DTYPE` for each.

    Parameters
    ----------
    contents : sequence of bytes or Exception
        As `ImageStore.read_many` returns them.
    measured : bool
        Include sharpness and exposure, which need a larger picture than the hash does.
    """
    facts = np.zeros(len(contents), dtype=DTYPE)
    facts["orientation"] = 1
    facts["measured"] = measured
    small = np.zeros((len(contents), SIDE, SIDE), dtype=np.uint8)
    for position, data in enumerate(contents):
        if not isinstance(data, Exception):
            _examine_one(facts[position], data, small[position], measured)
    prints = take_prints(small)
    facts["hash"], facts["signature"] = prints.hashes, prints.signatures
    return facts


def prints_of(facts: npt.NDArray[np.void]) -> Prints:
    """Return what `similarity` compares."""
    return Prints(
        np.ascontiguousarray(facts["hash"]).astype(np.uint64),
        np.ascontiguousarray(facts["signature"]),
    )


def _examine_one(fact: np.void, data: bytes, small: Grey, measured: bool) -> None:
    # A third of the time of a cryptographic digest; the size and the picture's hash, which
    # `duplicates` compares as well, make it as sure as one.
    fact["content"] = (len(data) << 32 | zlib.crc32(data)) % (1 << 64)
    fact["format"] = FORMATS.index(sniff(data))
    header = whole_header(data)
    if header is not None:
        fact["width"], fact["height"] = header.shown
        fact["orientation"] = header.orientation
        try:
            require_decodable(data, "")
        except InvalidFrameError:
            fact["state"] = TOO_LARGE
            return
    end = jpeg_end(data) if data[:2] == b"\xff\xd8" else len(data)
    grey = _decode(data, header, _SHORT_SIDE if measured else SIDE)
    if grey is None:
        # OpenCV refuses what is cut off; to say so is more useful than "damaged".
        cut = end is None or _is_cut(data, header)
        fact["state"] = TRUNCATED if cut else CORRUPT
        return
    fact["state"] = TRUNCATED if end is None else GOOD
    fact["trailing"] = 0 if end is None else len(data) - end
    small[:] = shrink(grey)
    if measured:
        _measure(fact, grey)


def is_truncated(data: bytes) -> bool:
    """Whether a picture is cut off before its end, as `examine` says it."""
    header = whole_header(data)
    if data[:2] == b"\xff\xd8":  # its markers tell, whatever can be decoded of it
        return header is not None and jpeg_end(data) is None
    return _is_cut(data, header) and bool(examine([data], measured=False)["state"] == TRUNCATED)


def may_be_truncated(head: bytes, tail: bytes, size: int) -> bool:
    """Whether it takes the whole file to tell whether a picture is cut off.

    Parameters
    ----------
    head : bytes
        The beginning of the file, of 16 bytes at least.
    tail : bytes
        Its last bytes, `TAIL_BYTES` at least; both are all of it where it is shorter. Empty: they
        are not known, and nothing is told.
    size : int
        Of the whole file.
    """
    if not tail:
        return False
    if head[:2] == b"\xff\xd8":
        return not tail.endswith(_END)
    if head[:4] == b"RIFF":
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head[:2] == b"BM":
        return int.from_bytes(head[2:6], "little") > size
    return head[:4] == b"\x89PNG" and _PNG_END not in tail[-TAIL_BYTES:]


def sniff(data: bytes) -> str:
    """Return which of `FORMATS` the first bytes of a file belong to."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "heif"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    return ""


_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"GIF8", "gif"),
)


def _decode(data: bytes, header: ImageHeader | None, least_side: int) -> Grey | None:
    import cv2

    if header is None:
        return None
    short = min(header.width, header.height)
    mode = cv2.IMREAD_GRAYSCALE
    for factor, reduced in (
        (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
        (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
        (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    ):
        if short // factor >= least_side:
            mode = reduced
            break
    try:
        return decode_bounded(data, "", mode)
    except InvalidFrameError:
        return None


def _measure(fact: np.void, grey: Grey) -> None:
    import cv2

    counts = np.bincount(grey.reshape(-1), minlength=256)
    levels = np.arange(256)
    mean = float(counts @ levels / grey.size)
    variance = float(counts @ (levels - mean) ** 2 / grey.size)
    fact["mean"] = mean
    fact["highlight"] = np.searchsorted(np.cumsum(counts), 0.95 * grey.size)
    fact["white"] = counts[250:].sum() / grey.size
    if variance > _FLAT**2:
        fact["sharpness"] = _edginess(grey) / (_edginess(cv2.GaussianBlur(grey, (5, 5), 0)) + 0.5)


def _edginess(grey: npt.NDArray[Any]) -> float:
    """Return the variance of the Laplacian.

    By itself it says as much about what is on a picture as about its focus. What it loses
    when the picture is smoothed a little says more: a blurred one has little to lose.
    """
    import cv2

    return float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1].item() ** 2)


def jpeg_end(data: bytes) -> int | None:
    """Return where a JPEG ends: behind its end marker; None if it has none.

    The last two bytes decide in nearly all cases, as they do for Ultralytics. Otherwise
    the segments are walked (ITU-T T.81, annex B): an end marker inside a segment, say of
    the preview in its EXIF, is none.
    """
    if data.endswith(_END):
        return len(data)
    position = 2
    while 0 <= position < len(data) - 1:
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xD9:
            return position + 2
        if marker == 0xFF:
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            if marker == 0xDA:
                position = _after_scan(data, position)
    return None


def _after_scan(data: bytes, position: int) -> int:
    """Return where the next marker stands behind the coded pixels at `position`; -1 if nowhere."""
    found = _NEXT_MARKER.search(data, position)
    return -1 if found is None else found.start()


def _is_cut(data: bytes, header: ImageHeader | None) -> bool:
    """Return whether a file is shorter than it says itself that it is."""
    if sniff(data) == "webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if header is None:
        return False  # its first bytes look like an image's, the rest does not
    if data.startswith(b"BM"):
        return int.from_bytes(data[2:6], "little") > len(data)
    # A little may stand behind the end, of what others have appended.
    return data.startswith(b"\x89PNG") and _PNG_END not in data[-TAIL_BYTES:]
