"""Small pictures of images and boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.pictures import encoded, jpeg, rotated_jpeg
from workbench.datasets import thumbnails
from workbench.datasets.thumbnails import CropRequest, Frame, Thumbnail, Thumbnails
from workbench.errors import InvalidFrameError, NotFoundError
from workbench.persistence import Stores, create_memory_stores, create_stores

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def _decoded(picture: Thumbnail | Exception) -> Frame:
    assert isinstance(picture, Thumbnail)
    assert picture.data[:2] == b"\xff\xd8"
    return np.asarray(cv2.imdecode(np.frombuffer(picture.data, np.uint8), 1), dtype=np.uint8)


def _near(pixel: Frame, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() < 40)


def _flags(height: int = 400, width: int = 800) -> bytes:
    """Left half red, right half blue, a green square in the middle of the left half."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2], picture[:, width // 2 :] = RED, BLUE
    picture[height * 3 // 8 : height * 5 // 8, width * 3 // 16 : width * 5 // 16] = GREEN
    done, data = cv2.imencode(".png", picture)
    assert done
    return data.tobytes()


@pytest.fixture
async def stores() -> Stores:
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat"])
    await stores.image.save_bytes("pets", "train", "flags.png", _flags())
    await stores.image.save_bytes("pets", "train", "big.jpg", jpeg(1, 600, 1000))
    await stores.image.save_bytes("pets", "val", "tiny.jpg", jpeg(2, 12, 16))
    await stores.image.save_bytes("pets", "val", "turned.jpg", rotated_jpeg(3, 240, 320))
    return stores


async def test_a_picture_is_scaled_to_its_longer_side(stores: Stores) -> None:
    keys = [("train", "flags.png"), ("train", "big.jpg"), ("val", "tiny.jpg")]
    found = await Thumbnails(stores).get("pets", keys, size=100)
    assert [_decoded(picture).shape for picture in found] == [
        (50, 100, 3),
        (60, 100, 3),
        (12, 16, 3),
    ]
    sizes = [(p.width, p.height) for p in found if isinstance(p, Thumbnail)]
    assert sizes == [(800, 400), (1000, 600), (16, 12)]
    flags = _decoded(found[0])
    assert _near(flags[25, 25], GREEN)
    assert _near(flags[5, 25], RED)
    assert _near(flags[25, 75], BLUE)


@pytest.mark.parametrize("size", [30, 60, 100, 200, 320])
async def test_exif_rotation_is_applied_at_every_step(stores: Stores, size: int) -> None:
    (found,) = await Thumbnails(stores).get("pets", [("val", "turned.jpg")], size=size)
    assert isinstance(found, Thumbnail)
    assert (found.width, found.height) == (240, 320)
    whole = await stores.image.load("pets", "val", "turned.jpg")
    picture = _decoded(found)
    assert picture.shape == (size, round(size * 0.75), 3)
    expected = cv2.resize(whole, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(int) - expected.astype(int)).mean() < 6


async def test_no_more_is_decoded_than_needed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: list[int] = []
    real = cv2.imdecode

    def imdecode(data: Frame, flag: int) -> Frame:
        flags.append(flag)
        return np.asarray(real(data, flag), dtype=np.uint8)

    monkeypatch.setattr(thumbnails.cv2, "imdecode", imdecode)
    for size in (125, 126, 250, 500, 501, 5000):
        await Thumbnails(stores).get("pets", [("train", "big.jpg")], size=size)
    assert flags == [
        cv2.IMREAD_REDUCED_COLOR_8,
        cv2.IMREAD_REDUCED_COLOR_4,
        cv2.IMREAD_REDUCED_COLOR_4,
        cv2.IMREAD_REDUCED_COLOR_2,
        cv2.IMREAD_COLOR,
        cv2.IMREAD_COLOR,
    ]


async def test_what_cannot_be_shown_is_an_error_in_its_place(tmp_path: Path) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    info = await stores.dataset.create("pets", ["cat"])
    whole = encoded(".png", 1, 300, 300)
    for name, data in {
        "good.png": whole,
        "empty.jpg": b"",
        "text.jpg": b"no picture",
        "header.jpg": jpeg(1)[:20],
    }.items():
        (info.path / "images" / "val" / name).write_bytes(data)
    names = ["gone.jpg", "good.png", "empty.jpg", "text.jpg", "header.jpg"]
    found = await Thumbnails(stores).get("pets", [("val", name) for name in names], size=10)
    assert [type(picture) for picture in found] == [
        NotFoundError,
        Thumbnail,
        InvalidFrameError,
        InvalidFrameError,
        InvalidFrameError,
    ]
    assert "text.jpg" in str(found[3])


async def test_pictures_are_kept_until_the_image_changes(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    real = stores.image.read_many

    async def read_many(dataset: str, images: list[tuple[str, str]]) -> list[bytes | Exception]:
        reads.append(len(images))
        return await real(dataset, images)

    monkeypatch.setattr(stores.image, "read_many", read_many)
    pictures = Thumbnails(stores)
    keys = [("train", "flags.png"), ("train", "big.jpg")]
    first = await pictures.get("pets", keys, size=50, modified_ns=[1, 2])
    again = await pictures.get("pets", keys[::-1], size=50, modified_ns=[2, 1])
    assert again == first[::-1]
    assert reads == [2]
    await pictures.get("pets", keys, size=50, modified_ns=[1, 3])
    assert reads == [2, 1]
    await pictures.get("pets", keys, size=60, modified_ns=[1, 3])
    await pictures.get("pets", keys, size=50)
    assert reads == [2, 1, 2, 2]


async def test_kept_pictures_take_no_more_than_they_may(stores: Stores) -> None:
    key = [("train", "big.jpg")]
    (one,) = await Thumbnails(stores).get("pets", key, size=200)
    assert isinstance(one, Thumbnail)
    pictures = Thumbnails(stores, max_bytes=len(one.data) * 5 // 2)
    for stamp in (1, 2, 1, 3):
        await pictures.get("pets", key, size=200, modified_ns=[stamp])
    assert [wanted.stamp for wanted, _ in pictures._kept._pictures] == [1, 3]
    assert pictures._kept._bytes == 2 * len(one.data)


async def test_crops_show_their_boxes_with_a_margin(stores: Stores) -> None:
    boxes = [
        CropRequest(("train", "flags.png"), (0.25, 0.5, 0.125, 0.25)),  # the green square
        CropRequest(("val", "tiny.jpg"), (0.5, 0.5, 1.0, 1.0)),
        CropRequest(("train", "flags.png"), (0.95, 0.5, 0.1, 1.0)),  # at the right edge
    ]
    square, whole, edge = await Thumbnails(stores).crops("pets", boxes, size=120)
    assert isinstance(square, Thumbnail)
    assert (square.width, square.height) == (120, 120)
    picture = _decoded(square)
    assert picture.shape == (120, 120, 3)
    assert _near(picture[60, 60], GREEN)
    assert _near(picture[12, 12], GREEN)
    assert _near(picture[5, 5], RED)
    assert _decoded(whole).shape == (12, 16, 3)
    assert isinstance(edge, Thumbnail)
    assert (edge.width, edge.height) == (88, 400)
    assert _near(_decoded(edge)[60, 10], BLUE)


async def test_crops_of_one_image_decode_it_once(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    real = cv2.imdecode

    def imdecode(data: Frame, flag: int) -> Frame:
        decoded.append(flag)
        return np.asarray(real(data, flag), dtype=np.uint8)

    monkeypatch.setattr(thumbnails.cv2, "imdecode", imdecode)
    boxes = [CropRequest(("train", "big.jpg"), (x / 10, 0.5, 0.5, 0.5)) for x in range(1, 9)]
    found = await Thumbnails(stores).crops("pets", boxes, size=32)
    assert all(isinstance(picture, Thumbnail) for picture in found)
    assert len(decoded) == 1


async def test_crops_of_what_is_not_there_and_of_degenerate_boxes(stores: Stores) -> None:
    boxes = [
        CropRequest(("val", "gone.jpg"), (0.5, 0.5, 0.5, 0.5)),
        CropRequest(("train", "big.jpg"), (0.5, 0.5, 0.0, 0.0)),
        CropRequest(("train", "big.jpg"), (1.0, 1.0, 0.001, 0.001)),
    ]
    gone, *thin = await Thumbnails(stores).crops("pets", boxes, size=32)
    assert isinstance(gone, NotFoundError)
    assert all(isinstance(picture, Thumbnail) for picture in thin)


async def test_a_size_is_at_least_one_pixel(stores: Stores) -> None:
    with pytest.raises(ValueError, match="size"):
        await Thumbnails(stores).get("pets", [], size=0)
    with pytest.raises(ValueError, match="size"):
        await Thumbnails(stores).crops("pets", [], size=0)


async def test_a_dataset_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(NotFoundError):
        await Thumbnails(stores).get("nobody", [("train", "a.jpg")], size=10)
