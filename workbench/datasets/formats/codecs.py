"""Pictures that training does not read as they are, taken apart into plain ones.

TIFFs of several pages and pictures of more than 8 bits by OpenCV; animations, AVIF and JPEG 2000
by Pillow; HEIC by pillow-heif, which is an extra because of its size. The size is looked at
before any pixel is decoded, and of a file with many pictures one is in memory at a time.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.errors import ImportFormatError, InvalidFrameError
from workbench.persistence.image_bounds import MAX_BYTES, max_pixels, require_whole
from workbench.persistence.image_header import ImageHeader, tiff_pages, whole_header

MAX_PAGES = 10_000
"""Pictures that are taken out of one file."""

MAX_TOTAL_PIXELS = 10_000_000_000
"""Pixels of all of these together."""

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

Pixels = npt.NDArray[Any]

BATCH_PIXELS = 32_000_000
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_JP2 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_BROKEN = (
    *(OSError, SyntaxError, EOFError, ValueError, IndexError, TypeError, KeyError),
    *(OverflowError, ArithmeticError, struct.error, MemoryError, RuntimeError),
    *(AssertionError, AttributeError),  # where Pillow takes for granted what a file did not say
)
"""What the decoders raise at damaged files."""


def kind_of_picture(head: bytes) -> str:
    """Return what a file is by its first bytes; empty: nothing that is taken apart here."""
    if head[4:8] == b"ftyp":
        # The brands it is made for; the first may be the general one.
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, 40, 4))]
        if any(brand in _AVIF for brand in brands):
            return "AVIF"
        if any(brand in _HEIF for brand in brands):
            return "HEIC"
    if head.startswith(b"GIF8"):
        return "GIF"
    if head.startswith(_JP2):
        return "JPEG 2000"
    if head[:2] in (b"P4", b"P5", b"P6", b"P1", b"P2", b"P3"):
        return "PNM"
    if head.startswith((b"II", b"MM")):
        return "TIFF"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return ""


def pictures_in(data: bytes, name: str) -> Iterator[Pixels]:
    """Yield the pictures in a file: grey or BGR, of whatever type its values are.

    Raises
    ------
    InvalidFrameError
        If it is damaged, or larger than pictures may be; names `name`.
    ImportFormatError
        If it is HEIC and what reads that is not installed.
    """
    if len(data) > MAX_BYTES:
        raise InvalidFrameError(f"{name}: expected at most {MAX_BYTES} bytes, found {len(data)}")
    kind = kind_of_picture(data[:64])
    read = _READERS.get(kind)
    if read is None:
        raise InvalidFrameError(
            f"{name}: expected TIFF, PNG, GIF, HEIC, AVIF, JPEG 2000 or PNM, found none of them"
        )
    total = 0
    try:
        for number, picture in enumerate(read(data, name), start=1):
            total += picture.shape[0] * picture.shape[1]
            if number > MAX_PAGES or total > MAX_TOTAL_PIXELS:
                raise InvalidFrameError(
                    f"{name}: expected at most {MAX_PAGES:,} pictures of "
                    f"{MAX_TOTAL_PIXELS / 1e9:g} thousand million pixels together, "
                    f"found more; take it apart"
                )
            yield picture
    except (InvalidFrameError, ImportFormatError):
        raise
    except _BROKEN as error:
        raise InvalidFrameError(
            f"{name}: damaged {kind}: {str(error) or 'it cannot be decoded'}"
        ) from error


def require_size(width: int, height: int, name: str, layers: float = 1.0) -> None:
    """Make sure that a picture is small enough to be decoded.

    Raises
    ------
    InvalidFrameError
        If it is not.
    """
    if not 0 < width * height * layers <= max_pixels():
        raise InvalidFrameError(
            f"{name}: expected at most {max_pixels() / 1e6:g} million pixels, found "
            f"{width} x {height}; make it smaller"
        )


def _by_opencv(data: bytes, name: str) -> Iterator[Pixels]:
    import cv2

    try:
        yield from _pages_by_opencv(data, name)
    except cv2.error as error:  # no kind of what Python raises itself
        said = " ".join(str(error).split())
        raise InvalidFrameError(
            f"{name}: damaged, or in a form that is not known: {said}"
        ) from error


def _pages_by_opencv(data: bytes, name: str) -> Iterator[Pixels]:
    import cv2

    header = whole_header(data)
    if header is None:
        raise InvalidFrameError(f"{name}: damaged header")
    if data[:2] not in (b"II", b"MM"):
        require_size(header.width, header.height, name, header.layers + header.bits / 8)
        require_whole(data, name)
        yield _decoded(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), name)
        return
    pages = tiff_pages(data)
    if not 0 < len(pages) <= MAX_PAGES:
        raise InvalidFrameError(
            f"{name}: expected a TIFF of at most {MAX_PAGES} pages, found "
            f"{'more' if pages else 'it damaged'}"
        )
    buffer = np.frombuffer(data, np.uint8)
    start = 0
    while start < len(pages):
        end = _end_of_batch(pages, start, name)
        good, found = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, None, (start, end))
        if not good or len(found) != end - start:
            raise InvalidFrameError(f"{name}: page {start + 1} is damaged, or in no known form")
        for page, header in zip(found, pages[start:end], strict=True):
            yield _upright(_decoded(page, name), header)
        start = end


def _end_of_batch(pages: Sequence[ImageHeader], start: int, name: str) -> int:
    """Return the page before which to stop, so that few pixels are in memory at once."""
    total, end = 0, start
    for page in pages[start:]:
        require_size(page.width, page.height, name, page.layers + page.bits / 8)
        total += page.width * page.height
        if end > start and total > BATCH_PIXELS:
            break
        end += 1
    return end


def _upright(picture: Pixels, header: ImageHeader) -> Pixels:
    """Turn a picture as its EXIF orientation says, since its copy has none."""
    flips: dict[int, Callable[[Pixels], Pixels]] = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p.swapaxes(0, 1)[:, ::-1],
        7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
        8: lambda p: p.swapaxes(0, 1)[::-1],
    }
    flip = flips.get(header.orientation)
    return picture if flip is None else np.ascontiguousarray(flip(picture))


def _decoded(picture: Any, name: str) -> Pixels:
    if picture is None:
        raise InvalidFrameError(f"{name}: damaged, or in a form that is not known")
    found = np.asarray(picture)
    if found.ndim == 3 and found.shape[2] in (1, 2):
        found = found[:, :, 0]
    if found.ndim == 3 and found.shape[2] > 3:
        found = found[:, :, :3]
    return found


def opened_picture(data: bytes, formats: Sequence[str]) -> PillowImage:
    """Open a picture with Pillow; the ``PIL.Image.Image`` that this returns is to be closed.

    Parameters
    ----------
    data : bytes
    formats : sequence of str
        As Pillow calls them; no other reader of Pillow is tried.

    Raises
    ------
    OSError
        ``PIL.UnidentifiedImageError`` is one: if it is no such picture.
    """
    from PIL import Image, UnidentifiedImageError

    # Not by `Image.open`: Ultralytics, once imported, replaces it by one that installs a
    # package for HEIC when Pillow does not know a picture.
    Image.init()
    for name in formats:
        make, accept = Image.OPEN.get(name, (None, None))
        if make is None or (accept is not None and accept(data[:16]) is not True):
            continue
        try:
            return make(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # what Pillow's own readers raise for what is none of theirs
    raise UnidentifiedImageError(f"expected a picture as {' or '.join(formats)}, found none")


def _by_pillow(data: bytes, name: str) -> Iterator[Pixels]:
    from PIL import Image, ImageSequence

    header = whole_header(data)
    if header is not None:
        require_size(header.width, header.height, name, header.layers)
    try:
        with opened_picture(data, ("GIF", "AVIF", "JPEG2000", "PPM")) as picture:
            require_size(*picture.size, name)
            for page in ImageSequence.Iterator(picture):
                require_size(*page.size, name)
                yield _array(page)
    except Image.DecompressionBombError as error:
        raise InvalidFrameError(f"{name}: {error}") from error


def _by_heif(data: bytes, name: str) -> Iterator[Pixels]:
    try:
        import pillow_heif
    except ImportError:
        raise ImportFormatError(
            f"{name}: is HEIC, for which pillow-heif is needed; install it (pip install "
            f"'yolo-workbench[heic]'), or choose convert='no' to leave such pictures out"
        ) from None
    found = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    for page in found:
        require_size(*page.size, name, 2.0)
        yield _array(page.to_pillow())


def _array(picture: Any) -> Pixels:
    """Return a Pillow image as grey or BGR; what is transparent is white, as on a page."""
    if picture.mode in ("I;16", "I;16B", "I", "F"):
        return np.asarray(picture)
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        from PIL import Image

        clear = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", clear.size, (255, 255, 255, 255)), clear)
    return np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1])


_READERS: dict[str, Callable[[bytes, str], Iterator[Pixels]]] = {
    "TIFF": _by_opencv,
    "PNG": _by_opencv,
    "GIF": _by_pillow,
    "AVIF": _by_pillow,
    "JPEG 2000": _by_pillow,
    "PNM": _by_pillow,
    "HEIC": _by_heif,
}
