"""Pictures with more pixels than anybody should decode: their header is read, and no more."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.helpers.hostile import png, png_chunk, progressive_jpeg
from tests.helpers.pictures import encoded, jpeg
from workbench import import_dataset
from workbench.datasets.dataset import Dataset
from workbench.datasets.formats.codecs import pictures_in
from workbench.datasets.image_facts import TOO_LARGE, examine
from workbench.datasets.thumbnails import Thumbnail, Thumbnails, decode_reduced
from workbench.datasets.uploads import add_files
from workbench.errors import InvalidFrameError
from workbench.panels.annotate.picture import PictureLoader
from workbench.persistence import Stores, create_stores, image_header
from workbench.persistence.image_bounds import (
    COLOUR_PIXELS,
    MAX_BYTES,
    VARIABLE,
    require_decodable,
)
from workbench.persistence.image_header import MAX_PARTS, is_cut_off, whole_header
from workbench.persistence.rules import check_decodes, decode, image_size

HUGE = png(30_000, 30_000, depth=1)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "data" / "sky"
    for folder in ("images/train", "labels/train", "images/val", "labels/val"):
        (base / folder).mkdir(parents=True)
    (base / "data.yaml").write_text("names: [star]\n")
    for split in ("train", "val"):
        (base / f"images/{split}/good.jpg").write_bytes(jpeg(1, 48, 64))
        (base / f"labels/{split}/good.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (base / "images/train/huge.png").write_bytes(HUGE)
    return base


def test_a_header_needs_no_pixels() -> None:
    assert len(HUGE) < 200_000
    assert image_size(HUGE, "huge.png") == (30_000, 30_000)


@pytest.mark.parametrize("work", [decode, check_decodes, require_decodable])
def test_too_many_pixels_are_refused_in_a_sentence_that_names_the_bound(
    work: Callable[[bytes, str], object],
) -> None:
    with pytest.raises(InvalidFrameError, match=r"huge\.png: .*100 million.*30000 x 30000") as e:
        work(HUGE, "huge.png")
    assert VARIABLE in str(e.value)


def test_the_bound_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    small = png(50, 40)
    assert decode(small, "small").shape == (40, 50, 3)
    monkeypatch.setenv(VARIABLE, "1999")
    with pytest.raises(InvalidFrameError, match="50 x 40"):
        decode(small, "small")
    monkeypatch.setenv(VARIABLE, "2000")
    assert decode(small, "small").shape == (40, 50, 3)


async def test_one_huge_picture_keeps_nothing_else_from_being_used(
    stores: Stores, base: Path
) -> None:
    images = stores.image
    assert (await images.get("sky", "train", "huge.png")).width == 30_000
    with pytest.raises(InvalidFrameError, match=r"huge\.png"):
        await images.load("sky", "train", "huge.png")
    with pytest.raises(InvalidFrameError, match="30000"):
        await images.save_bytes("sky", "train", "more.png", HUGE)
    keys = [("train", "good.jpg"), ("train", "huge.png")]
    assert (await images.measure_many("sky", keys)).tolist() == [[64, 48], [30_000, 30_000]]
    thumbnails = Thumbnails(stores)
    try:
        good, huge = await thumbnails.get("sky", keys, size=32)
    finally:
        thumbnails.close()
    assert isinstance(good, Thumbnail)
    assert isinstance(huge, InvalidFrameError)
    picture = await PictureLoader(stores, "sky", "train").load("k", "huge.png", 0)
    assert not picture.editable
    assert "30000 x 30000" in picture.problem


async def test_health_names_it(stores: Stores, base: Path) -> None:
    report = await Dataset(stores, "sky").health()
    [finding] = [one for one in report.findings if one.kind == "too-large"]
    assert finding.images == [("train", "huge.png")]
    assert finding.severity == "error"
    assert "corrupt" not in {one.kind for one in report.findings}


async def test_it_is_imported_like_any_other_file(stores: Stores, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (export / "huge.png").write_bytes(HUGE)
    (export / "huge.xml").write_text(
        "<annotation><size><width>9</width><height>9</height></size><object><name>cup</name>"
        "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>300</xmax><ymax>300</ymax></bndbox></object>"
        "</annotation>"
    )
    (export / "good.jpg").write_bytes(jpeg())
    info = await import_dataset(stores, export, "voc")
    assert info.num_images["train"] + info.num_images["val"] + info.num_images["test"] == 2
    (export / "huge.xml").unlink()
    (export / "labels.json").write_text(
        '{"images": [{"id": 1, "file_name": "huge.png", "width": 9, "height": 9}],'
        '"categories": [{"id": 1, "name": "cup"}],'
        '"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 300, 300]}]}'
    )
    assert (await import_dataset(stores, export, "coco")).num_images["train"] == 2


async def test_an_upload_is_refused_and_the_others_come(stores: Stores, base: Path) -> None:
    upload = await add_files(stores, "sky", [("more.png", HUGE), ("new.jpg", jpeg(3))])
    assert upload.added == [("train", "new.jpg")]
    [(name, why)] = upload.refused
    assert name == "more.png"
    assert "100 million" in why


async def test_files_that_are_too_long_or_no_files_are_not_read(stores: Stores, base: Path) -> None:
    long = base / "images/train/long.png"
    with long.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidFrameError, match=r"long\.png: .*256 MB"):
        await stores.image.load("sky", "train", "long.png")
    [found] = await stores.image.read_many("sky", [("train", "long.png")])
    assert isinstance(found, InvalidFrameError)
    facts = examine([found])
    assert facts["state"].tolist() == [0]
    if hasattr(os, "mkfifo"):
        pipe = base.parent.parent / "pipe.png"
        os.mkfifo(pipe)
        upload = await add_files(stores, "sky", [pipe])
        assert "expected an image file" in upload.refused[0][1]


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF, 10_000])
@pytest.mark.parametrize("kind", [b"IDAT", b"IEND"])
def test_a_png_does_not_get_the_memory_that_a_part_of_it_names(length: int, kind: bytes) -> None:
    """OpenCV would take four gigabytes, for most of a minute, for a file of some bytes."""
    whole = cv2.imencode(".png", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
    place = whole.index(kind) - 4
    data = whole[:place] + length.to_bytes(4) + whole[place + 4 :]
    for use in (decode, lambda *args: list(pictures_in(*args))):
        with pytest.raises(InvalidFrameError, match=r"x\.png: expected a whole PNG"):
            use(data, "x.png")
    assert decode(whole + b"more behind the end", "x.png").shape == (16, 16, 3)


def test_a_png_that_is_cut_off_was_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
    data = cv2.imencode(".png", noise)[1].tobytes()
    for length in range(50, len(data), 37):
        assert is_cut_off(data[:length])
        assert cv2.imdecode(np.frombuffer(data[:length], np.uint8), cv2.IMREAD_COLOR) is None
    assert not is_cut_off(data)
    monkeypatch.setattr(image_header, "_MAX_CHUNKS", 9)
    assert is_cut_off(data[:33] + png_chunk(b"tEXt", b"") * 9 + data[33:])


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    few = progressive_jpeg(4_000, 4_000, 2)
    header = whole_header(few)
    assert header is not None
    assert header.has_scans
    assert decode(few, "few").shape == (4_000, 4_000, 3)
    many = progressive_jpeg(4_000, 4_000, 200)
    with pytest.raises(InvalidFrameError, match="200 over 4000 x 4000"):
        decode(many, "many")
    assert examine([many])["state"].tolist() == [TOO_LARGE]


def _tiff(*tags: tuple[int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHIII"[:-1], tag, 4, 1, value) for tag, value in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("data", "layers"),
    [
        (_tiff((256, 100), (257, 100), (322, 60_000), (323, 60_000)), 240_001),
        (_tiff((256, 9_000), (257, 9_000), (277, 4)), 3),
        (png(9_000, 9_000, before=png_chunk(b"acTL", bytes(8))), 4),
        (png(9_000, 9_000, before=png_chunk(b"eXIf", _tiff((0x0112, 6)))), 2),
        (b"GIF89a" + struct.pack("<HH", 9_000, 9_000), 4),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x00\x30\x00\x00\x30\x00", 4),
    ],
    ids=["TIFF of one tile", "TIFF of one strip", "APNG", "turned PNG", "GIF", "animated WebP"],
)
def test_what_else_takes_memory_counts_as_well(data: bytes, layers: float) -> None:
    header = whole_header(data)
    assert header is not None
    assert header.layers >= layers
    with pytest.raises(InvalidFrameError, match="times their memory"):
        require_decodable(data, "x")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 5_000_000,
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 1_000_000,
        b"\xff\xd8" + bytes(5_000_000),
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", bytes([0, 0, 0, 9] * 3)) + bytes(12) * 500_000,
        b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\1\0\0\1\0\0" + bytes(8) * 500_000,
        b"II*\0\x08\0\0\0\xff\xff" + bytes(12) * 70_000,
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 8 + bytes(20) * 70_000,
    ],
    ids=["fill bytes", "segments", "zeros", "chunks", "WebP chunks", "tags", "BigTIFF tags"],
)
def test_a_header_without_end_is_given_up(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    real = struct.unpack_from

    def counted(*args: object) -> object:
        nonlocal steps
        steps += 1
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(struct, "unpack_from", counted)
    whole_header(data)
    assert steps <= 2 * MAX_PARTS + 10


SAVED: list[tuple[str, dict[str, object]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("BMP", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_deflate"}),
    ("TIFF", {"big_tiff": True}),
    ("GIF", {}),
]


@given(
    saved=st.sampled_from(SAVED),
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    orientation=st.integers(0, 8),
)
@example(saved=SAVED[5], width=16_000, height=1, orientation=0)
def test_the_header_says_what_pillow_shows(
    saved: tuple[str, dict[str, object]], width: int, height: int, orientation: int
) -> None:
    kind, options = saved
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    file = io.BytesIO()
    extra = {} if kind in {"BMP", "GIF"} else {"exif": exif}
    Image.new("RGB", (width, height)).save(file, kind, **extra, **options)
    data = file.getvalue()
    header = whole_header(data)
    assert header is not None
    with Image.open(io.BytesIO(data)) as image:
        assert header.shown == ImageOps.exif_transpose(image).size
    check_decodes(data, "x")


@given(
    start=st.sampled_from(
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            b"BM",
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"GIF89a",
            b"RIFF1234WEBPVP8X",
            b"",
        ]
    ),
    rest=st.binary(max_size=120),
)
@example(start=b"II+\0", rest=b"\x08\0\0\0" + b"\xff" * 8)
def test_whatever_the_bytes_only_our_error_comes_out(start: bytes, rest: bytes) -> None:
    try:
        width, height = image_size(start + rest, "x")
    except InvalidFrameError:
        return
    assert 0 < width < 2**31
    assert 0 < height < 2**31


def test_a_picture_too_large_for_colours_is_shown_in_grey() -> None:
    side = int(COLOUR_PIXELS**0.5) // 2 * 2 + 2
    shown = decode_reduced(png(side, side, depth=1), "large.png", 100)
    assert shown.shape == (side // 2, side // 2, 3)
    assert not shown.any()


def test_a_reduced_jpeg_may_be_larger_and_keeps_its_colours() -> None:
    picture = cv2.imdecode(np.frombuffer(encoded(".jpg", 5, 80, 80), np.uint8), cv2.IMREAD_COLOR)
    large = cv2.imencode(".jpg", cv2.resize(picture, (7_200, 7_200)))[1].tobytes()
    shown = decode_reduced(large, "large.jpg", 100)
    assert shown.shape == (900, 900, 3)
    assert (shown.max(axis=2).astype(int) - shown.min(axis=2)).max() > 20
