"""What single files tell about themselves."""

from __future__ import annotations

import pytest

from tests.helpers.pictures import encoded, jpeg, rotated_jpeg
from workbench.datasets.image_facts import (
    CORRUPT,
    FORMATS,
    GOOD,
    TRUNCATED,
    UNREAD,
    examine,
    jpeg_end,
    sniff,
)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp", ".webp", ".tiff"])
def test_each_format_is_known_and_decoded(extension: str) -> None:
    (fact,) = examine([encoded(extension, 1, 40, 60)])
    assert fact["state"] == GOOD
    assert (fact["width"], fact["height"]) == (60, 40)
    assert FORMATS[fact["format"]] == {".jpg": "jpeg"}.get(extension, extension[1:])


def test_what_is_no_image_is_corrupt() -> None:
    states = examine([b"", b"nothing", jpeg(1)[:20]])["state"].tolist()
    assert states == [CORRUPT, CORRUPT, TRUNCATED]


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp", ".webp"])
def test_what_is_cut_off_is_truncated(extension: str) -> None:
    data = encoded(extension, 1, 200, 200)
    halved, nearly_whole = examine([data[: len(data) // 2], data[:-1]])["state"].tolist()
    assert (halved, nearly_whole) == (TRUNCATED, TRUNCATED)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".webp"])
def test_bytes_behind_the_end_of_other_formats_do_no_harm(extension: str) -> None:
    assert examine([encoded(extension, 1, 60, 60) + bytes(1000)])["state"].tolist() == [GOOD]


def test_a_gif_has_its_size_though_no_dataset_may_hold_one() -> None:
    (fact,) = examine([encoded(".gif", 1, 40, 60)])
    assert (fact["state"], fact["width"], fact["height"]) == (GOOD, 60, 40)


def test_a_file_that_could_not_be_read_is_told_apart() -> None:
    assert examine([OSError("no"), jpeg(1)])["state"].tolist() == [UNREAD, GOOD]


def test_a_rotated_picture_has_the_size_that_is_shown() -> None:
    (fact,) = examine([rotated_jpeg(1, 40, 60)])
    assert (fact["width"], fact["height"], fact["orientation"]) == (40, 60, 6)


def test_the_end_of_a_jpeg_is_found_behind_a_preview_that_has_one_too() -> None:
    preview = b"\xff\xe1" + (2 + 6 + 4).to_bytes(2, "big") + b"Exif\0\0" + b"\xff\xd8\xff\xd9"
    data = jpeg(1)[:2] + preview + jpeg(1)[2:]
    assert jpeg_end(data) == len(data)
    assert jpeg_end(data + b"more") == len(data)
    assert jpeg_end(data[:-2]) is None
    assert examine([data + b"more"])["trailing"].tolist() == [4]


def test_formats_that_no_extension_stands_for_are_named() -> None:
    assert sniff(b"GIF89a....") == "gif"
    assert sniff(b"\0\0\0\x18ftypheic") == "heif"
    assert sniff(b"plain text") == ""
