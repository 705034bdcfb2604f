"""Imports of very many files: no step looks at all of them for each."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import PICTURE, folder
from workbench import plan_import
from workbench.datasets.formats import cvat, pairing
from workbench.datasets.formats.pairing import Pictures
from workbench.persistence import Stores

WORDS = ("images", "Labels", "train", "valid", "val", "test", "d1", "d2", "ds", "a")


@pytest.mark.parametrize("pattern", ["{}/a", "x/{}/{kind}/a", "{kind}/x/{}/a"])
def test_a_file_finds_its_picture_among_thousands_of_one_name(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    """Scenes that each have a folder, and in it a picture that is called like all others."""
    compared = 0
    likeness = pairing._likeness

    def counting(one: str, other: str) -> tuple[int, int]:
        nonlocal compared
        compared += 1
        return likeness(one, other)

    monkeypatch.setattr(pairing, "_likeness", counting)
    numbers = range(500)
    pictures = Pictures(pattern.format(n, kind="images") + ".jpg" for n in numbers)
    for number in numbers:
        own = pattern.format(number, kind="images") + ".jpg"
        assert pictures.like(pattern.format(number, kind="labels") + ".txt") == [own]
    assert compared <= 2 * len(numbers)


def test_what_is_left_out_early_would_not_have_been_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of folders at random, the same pictures as when each is compared."""
    draw = random.Random(3)

    def some_folder() -> str:
        return "".join(f"{draw.choice(WORDS)}/" for _ in range(draw.randint(0, 4)))

    for _ in range(60):
        names = {f"{some_folder()}x.{draw.choice(('jpg', 'png'))}" for _ in range(50)}
        files = [f"{some_folder()}x.txt" for _ in range(10)]
        any_split = draw.random() < 0.3
        pictures = Pictures(names, any_split=any_split)
        found = [pictures.like(file) for file in files]
        with monkeypatch.context() as patched:
            patched.setattr(pairing, "_MANY", 1000)
            pictures = Pictures(pictures.names, any_split=any_split)
            assert found == [pictures.like(file) for file in files]


async def test_cvats_files_of_pictures_do_not_look_for_frames(
    persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> dict[int, str]:
        raise AssertionError("there are no tracks")

    monkeypatch.setattr(cvat, "_frames_of", refuse)
    text = (
        '<annotations><image id="0" name="{0}.jpg" width="200" height="100"><box label="cat" '
        'xtl="20" ytl="10" xbr="80" ybr="60"/></image></annotations>'
    )
    files: dict[str, Any] = {f"{number}.jpg": PICTURE for number in range(3)}
    files |= {f"{number}.xml": text.format(number) for number in range(3)}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", files))
    assert plan.counts()["train"] == {"images": 3, "labelled": 3, "boxes": 3}
