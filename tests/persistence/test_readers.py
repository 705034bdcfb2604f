"""Readers hold no lock, and see a change of several files as a whole all the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.folders import quick_folder
from tests.helpers.pictures import jpeg
from workbench.errors import NotFoundError
from workbench.persistence import create_stores
from workbench.persistence.models import Annotation

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
MOVES = 300

MOVER = """
import asyncio, sys
from pathlib import Path
from workbench.persistence import create_stores

async def move_about(folder, moves):
    stores = create_stores(folder / "data", folder / "models")
    for i in range(moves):
        way = ("train", "val") if i % 2 == 0 else ("val", "train")
        await stores.image.move("pets", "a.jpg", *way)

asyncio.run(move_about(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:  # the quicker the writer, the sooner a reader meets it
        yield path


async def test_no_reader_meets_an_image_without_its_moved_labels(folder: Path) -> None:
    stores = create_stores(folder / "data", folder / "models")
    await stores.dataset.create("pets", ["cat"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    await stores.label.save("pets", "train", "a.jpg", [BOX])

    async def read_all_the_time() -> tuple[int, list[str]]:
        reads, wrong = 0, []
        while mover.poll() is None:
            for split in ("train", "val"):
                reads += 1
                try:
                    found = await stores.label.load("pets", split, "a.jpg")
                except NotFoundError:
                    continue
                if found != [BOX]:
                    wrong.append(f"read {reads}: the image is in {split}, its labels are {found}")
            images = [(i.split, i.has_labels) for i in await stores.image.list("pets")]
            if images not in ([("train", True)], [("val", True)]):
                wrong.append(f"read {reads}: listed {images}")
            if len(await stores.label.load_all("pets")) != 1:
                wrong.append(f"read {reads}: load_all has not the one box")
        return reads, wrong

    mover = subprocess.Popen(
        [sys.executable, "-c", MOVER, str(folder), str(MOVES)], cwd=Path(__file__).parents[2]
    )
    reads, wrong = await read_all_the_time()
    assert mover.returncode == 0
    assert reads > MOVES // 10
    assert wrong == []
