"""Sizes read from the first bytes of a file, beside what Pillow says of the whole."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.helpers.pictures import jpeg, rotated_jpeg
from workbench.persistence.image_header import HEAD_BYTES, read_header


def _written(kind: str, width: int, height: int, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "maker"  # a tag before the orientation
    exif[0x0112] = orientation
    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, kind, exif=exif, **options)
    return data.getvalue()


@given(
    kind=st.sampled_from(["JPEG", "PNG"]),
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    orientation=st.integers(1, 8),
)
def test_the_header_says_what_pillow_shows(
    kind: str, width: int, height: int, orientation: int
) -> None:
    data = _written(kind, width, height, orientation)
    header = read_header(data[:HEAD_BYTES])
    assert header is not None
    assert (header.width, header.height, header.orientation) == (width, height, orientation)
    with Image.open(io.BytesIO(data)) as image:
        assert header.shown == ImageOps.exif_transpose(image).size


def test_progressive_jpegs_are_frames_too() -> None:
    header = read_header(_written("JPEG", 33, 21, 1, progressive=True))
    assert header is not None
    assert header.shown == (33, 21)


def test_exif_of_either_byte_order() -> None:
    little = read_header(rotated_jpeg(1, 24, 32))
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    plain = jpeg(1, 24, 32)
    big = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    assert little == read_header(big)
    assert little is not None
    assert little.shown == (24, 32)


@given(st.data())
def test_half_a_header_tells_nothing_or_the_truth(data: st.DataObject) -> None:
    whole = rotated_jpeg(3, 24, 32)
    header = read_header(whole[: data.draw(st.integers(0, len(whole)))])
    assert header is None or header == read_header(whole)


@pytest.mark.parametrize("start", [b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b""])
@given(rest=st.binary(max_size=80))
def test_no_bytes_raise(start: bytes, rest: bytes) -> None:
    header = read_header(start + rest)
    assert header is None or (header.width > 0 and header.height > 0)
