"""Size and EXIF orientation of an image, from its header alone.

Pillow builds many objects for each file it opens, and for some PNGs decodes all pixels to
look for EXIF: a file of 2.6 MB with 30,000 x 30,000 pixels took it a minute and 3.5 GB. To
learn the sizes of 100,000 images, walking the headers by hand takes a fraction of the time,
and of any file no more than a bounded number of steps.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

HEAD_BYTES = 4096
"""Enough for the headers of nearly all files that come without a preview in their EXIF."""

TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange rows and columns (CIPA DC-008, tag 0x0112)."""

MAX_PARTS = 10_000
"""Segments, chunks or entries of a header that are looked at; real ones have some hundreds."""

_MAX_CHUNKS = 1_000_000
"""Of a PNG, which is written in pieces of 8 kB by some; more are not walked through."""

_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")

# JPEG markers, ITU-T T.81 table B.1: frames are C0 to CF without DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
# Tables, comments and application data stand before the frame in every file and say nothing here.
_PASSED = frozenset({0xC4, 0xDB, 0xDD, 0xE0, *range(0xE2, 0xF0), 0xFE})
_BASELINE = frozenset({0xC0, 0xC1})


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of an image says.

    Parameters
    ----------
    width, height : int
        Pixels as they are stored, before the orientation is applied.
    orientation : int
        EXIF orientation, 1 to 8; 1 is upright.
    layers : float
        How many times all pixels are in memory while the picture is decoded: a progressive
        JPEG keeps its coefficients beside them, an animation its canvases.
    has_scans : bool
        Whether it is a JPEG whose pixels come in many scans, each of them over all.
    bits : int
        Of each sample; more than 8 in what microscopes, scanners and depth cameras write.
    pages : int
        Pictures in a TIFF, of which only the first is shown.
    """

    width: int
    height: int
    orientation: int = 1
    layers: float = 1.0
    has_scans: bool = False
    bits: int = 8
    pages: int = 1

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
    return whole_header(head) if head.startswith((b"\xff\xd8", _PNG)) else None


def whole_header(data: bytes) -> ImageHeader | None:
    """Read the header of an image of any format that is read here, from all of its bytes.

    Returns
    -------
    ImageHeader or None
        None if it is damaged, or an image of none of the formats JPEG, PNG, BMP, WebP, TIFF
        and GIF (which some datasets have under the name of another).
    """
    for magic, walk in _WALKS:
        if data.startswith(magic):
            try:
                header = walk(data)
            except (IndexError, OverflowError, struct.error):  # it ends within the header
                return None
            if header is not None and max(header.width, header.height) <= _LONGEST_SIDE:
                return header
    return None


def _jpeg(data: bytes) -> ImageHeader | None:
    position, orientation = 2, 1
    for _ in range(MAX_PARTS):
        if data[position] != 0xFF:  # decoders skip what should not be there
            position = data.find(b"\xff", position)
            if position < 0:
                return None
        marker = data[position + 1]
        if marker in _PASSED:
            position += 2 + (data[position + 2] << 8 | data[position + 3])
            continue
        if marker == 0xFF:  # any number of fill bytes may precede a marker
            rest = data[position : position + _FILL_BYTES]
            position += max(len(rest) - len(rest.lstrip(b"\xff")) - 1, 1)
            continue
        if marker in _STANDALONE:
            position += 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            if not width or not height:  # given later, in a DNL segment, which few can read
                return None
            return _header_of_jpeg(width, height, orientation, marker not in _BASELINE)
        if marker in (_SCAN, _END):
            return None
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker == _APP1 and data[position + 4 : position + 10] == _EXIF:
            orientation = _exif_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return None


@lru_cache(maxsize=4096)
def _header_of_jpeg(width: int, height: int, orientation: int, several: bool) -> ImageHeader:
    """Return what such pictures have in common: most of a data set are alike."""
    return ImageHeader(width, height, orientation, 2.0 if several else 1.0, several)


def _png(data: bytes) -> ImageHeader | None:
    # PNG specification 11.2.1: IHDR is first; eXIf (11.3.5) may stand before the pixels.
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR" or not width or not height:
        return None
    position, orientation, layers = 8, 1, 1.0
    for _ in range(MAX_PARTS):
        kind = data[position + 4 : position + 8]
        if kind in (b"IDAT", b"IEND"):
            return _turned(width, height, orientation, layers, bits=max(data[24], 8))
        (length,) = struct.unpack_from(">I", data, position)
        if kind == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
        elif kind == b"acTL":
            layers = _ANIMATED
        position += 12 + length
    return None


def is_cut_off(data: bytes) -> bool:
    """Whether a PNG says of one of its chunks that it goes on behind the end of the file.

    OpenCV makes room for as much as a chunk says, up to 4 GB, before it reads any of it and finds
    that there is less. Other decoders, and those of other formats, take what is there.
    """
    if not data.startswith(_PNG):
        return False
    position = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if position + 12 > len(data):
            return True
        length, kind = _CHUNK.unpack_from(data, position)
        position += 12 + int(length)
        if kind == b"IEND":
            break
    else:
        return True
    return position > len(data)


def _turned(width: int, height: int, orientation: int, layers: float, bits: int = 8) -> ImageHeader:
    """Return the header of a format that is decoded first and turned then, in a copy."""
    layers += orientation != 1
    return ImageHeader(width, height, orientation, layers, False, bits)


def _bmp(data: bytes) -> ImageHeader | None:
    (length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if length == 12 else "<ii", data, 18)
    return ImageHeader(width, abs(height)) if width > 0 and height else None


def _gif(data: bytes) -> ImageHeader | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return ImageHeader(width, height, layers=_ANIMATED) if width and height else None


def _webp(data: bytes) -> ImageHeader | None:
    # https://developers.google.com/speed/webp/docs/riff_container
    if data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":  # RFC 6386, 9.1
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        return ImageHeader(width, height, layers=_WEBP) if width and height else None
    if kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, layers=_WEBP)
    if kind != b"VP8X":
        return None
    width = int.from_bytes(data[24:27], "little") + 1
    height = int.from_bytes(data[27:30], "little") + 1
    layers = _ANIMATED if data[20] & 0x02 else _WEBP
    return _turned(width, height, _webp_orientation(data) if data[20] & 0x08 else 1, layers)


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(MAX_PARTS):
        if position + 8 > len(data):
            break
        (length,) = struct.unpack_from("<I", data, position + 4)
        if data[position : position + 4] == b"EXIF":
            exif = data[position + 8 : position + 8 + length]
            return _exif_orientation(exif.removeprefix(_EXIF))
        position += 8 + length + length % 2
    return 1


def tiff_pages(data: bytes) -> list[ImageHeader]:
    """Read the headers of all pictures in a TIFF (up to 10,000); empty if one is damaged."""
    try:
        form = _tiff_form(data)
        pages = [] if form is None else [_tiff_page(data, form, s) for s in form.starts(data)]
    except (IndexError, OverflowError, struct.error):
        return []
    found = [page for page in pages if page is not None]
    return found if len(found) == len(pages) else []


def _tiff(data: bytes) -> ImageHeader | None:
    form = _tiff_form(data)
    if form is None:
        return None
    starts = form.starts(data)
    first = _tiff_page(data, form, starts[0])
    return None if first is None else replace(first, pages=len(starts))


@dataclass(frozen=True, slots=True)
class _TiffForm:
    """How a TIFF (TIFF 6.0, section 2) or a BigTIFF writes its directories."""

    order: str
    first: int
    count: str
    offset: str
    entry: str
    place: int

    def starts(self, data: bytes) -> list[int]:
        """Return where the directories begin, each of which is a picture."""
        found = {self.first: None}
        start = self.first
        while len(found) < MAX_PARTS:
            if start + struct.calcsize(self.count) > len(data):
                break
            (entries,) = struct.unpack_from(self.count, data, start)
            after = start + struct.calcsize(self.count) + entries * self.step
            if after + struct.calcsize(self.offset) > len(data):
                break
            (start,) = struct.unpack_from(self.offset, data, after)
            if not start or start in found:
                break
            found[start] = None
        return list(found)

    @property
    def step(self) -> int:
        """Bytes of an entry."""
        return self.place + struct.calcsize(self.offset)


def _tiff_form(data: bytes) -> _TiffForm | None:
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    if version == 42:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        return _TiffForm(order, start, f"{order}H", f"{order}I", f"{order}HHI", 8)
    if version == 43:
        (start,) = struct.unpack_from(f"{order}Q", data, 8)
        return _TiffForm(order, start, f"{order}Q", f"{order}Q", f"{order}HHQ", 12)
    return None


def _tiff_page(data: bytes, form: _TiffForm, start: int) -> ImageHeader | None:
    (entries,) = struct.unpack_from(form.count, data, start)
    start += struct.calcsize(form.count)
    values: dict[int, int] = {}
    for number in range(min(entries, MAX_PARTS)):
        at = start + number * form.step
        if at + form.step > len(data):
            break
        tag, kind, amount = struct.unpack_from(form.entry, data, at)
        if tag not in _TIFF_TAGS or kind not in _INTEGERS:
            continue
        inner, where = form.order + _INTEGERS[kind], at + form.place
        if tag == _BITS and amount * struct.calcsize(inner) > struct.calcsize(form.offset):
            # Those of three colours have no room in the entry, which says where they are.
            (where,) = struct.unpack_from(form.offset, data, where)
        if where + struct.calcsize(inner) <= len(data):
            values.setdefault(tag, struct.unpack_from(inner, data, where)[0])
    width, height = values.get(256, 0), values.get(257, 0)
    if not width or not height:
        return None
    orientation = values.get(_ORIENTATION, 1)
    # What is unpacked at once, a strip or a tile, which need not be as small as the picture.
    rows = values.get(323) or min(values.get(278, height), height)
    block = rows * (values.get(322) or width) * values.get(277, 1)
    layers = 1.0 + block * _TIFF_SAMPLE_BYTES / _BGR_BYTES / (width * height)
    orientation = orientation if 1 <= orientation <= 8 else 1
    return _turned(width, height, orientation, layers, min(max(values.get(_BITS, 8), 8), 64))


# Width, height, samples per pixel, rows per strip, width and length of a tile, orientation.
_BITS = 258
_TIFF_TAGS = frozenset({256, 257, _BITS, 277, 278, 322, 323, _ORIENTATION})
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_TIFF_SAMPLE_BYTES = 2
_BGR_BYTES = 3

# Grey ones are decoded in colours first.
_WEBP = 1.3
# Canvases of four channels: one to draw on, one that is shown.
_ANIMATED = 4.0
_FILL_BYTES = 1 << 16
_LONGEST_SIDE = 2**31 - 1

_WALKS: tuple[tuple[bytes, Callable[[bytes], ImageHeader | None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (_PNG, _png),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    (b"II", _tiff),
    (b"MM", _tiff),
    (b"GIF8", _gif),
)


def _exif_orientation(tiff: bytes) -> int:
    """Return the orientation in a TIFF header (TIFF 6.0, section 2); 1 if it has none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    for number in range(min(entries, MAX_PARTS)):
        place = start + 2 + 12 * number
        if place + 12 > len(tiff):
            return 1
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, place)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
