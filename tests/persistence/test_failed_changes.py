"""A change that raises has not happened, then or later; reading goes on meanwhile."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.helpers.archives import small_dataset
from tests.helpers.crash_points import BIRD, BOX
from tests.helpers.failing_calls import LASTING, FailingCalls, failing
from tests.helpers.folders import quick_folder
from tests.helpers.pictures import jpeg
from workbench.errors import ReadOnlyError
from workbench.persistence import Stores, create_stores
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import ImageMove, NewImage
from workbench.persistence.stores.merging import Merge

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults as POSIX has them")

YAML = "names: [cat, dog, bird]\ntrain: images/train\nval: images/val\n"
CHANGES: dict[str, Callable[[Stores], Awaitable[object]]] = {
    "save": lambda s: s.label.save("pets", "train", "a.jpg", [BIRD]),
    "save many": lambda s: s.label.save_many(
        "pets", {("train", "a.jpg"): [BIRD], ("val", "b.jpg"): [BIRD]}
    ),
    "move many": lambda s: s.image.move_many("pets", [ImageMove("a.jpg", "train", "val")]),
    "delete many": lambda s: s.image.delete_many("pets", [("train", "a.jpg"), ("val", "b.jpg")]),
    "replace": lambda s: s.image.replace_many(
        "pets", [ImageReplacement("train", "a.jpg", "a.jpg", jpeg(9), jpeg(1))]
    ),
    "merge": lambda s: s.dataset.merge(
        "pets",
        Merge(
            ["cat", "dog", "bird"],
            ["cat", "dog", "bird", "fox"],
            [NewImage("n.jpg", "train", jpeg(8), [BIRD])],
            [ImageReplacement("train", "a.jpg", "a.jpg", jpeg(9), jpeg(1))],
            {("val", "b.jpg"): [BIRD]},
            lambda _: ("account", b"{}"),
        ),
    ),
}


def make(root: Path) -> None:
    """Write two datasets as another tool would have."""
    for name in ("others", "pets"):
        for path, data in small_dataset().items():
            target = root / "data" / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        (root / "data" / name / "data.yaml").write_text(YAML)


def open_stores(root: Path) -> Stores:
    return create_stores(root / "data", root / "models")


def files_of(root: Path) -> dict[str, bytes]:
    """Everything but locks, counters and what the next writer sweeps away."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("lock", "generation") and path.parent.name != "tmp"
    }


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("error", LASTING, ids=lambda error: errno.errorcode[error])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
async def test_what_raised_did_not_happen(change: str, error: int, lasting: bool) -> None:
    """Whichever call fails (here every fourth): it can be made once the fault is over."""
    with quick_folder() as root:
        make(root / "base")
        first, raised = 2, 0
        while True:
            first += 4
            here = shutil.copytree(root / "base", root / str(first))
            stores = open_stores(here)
            await stores.dataset.save_prompts("pets", {})  # the hidden folder is complete now
            before = files_of(here / "data")
            try:
                with failing(FailingCalls(str(here), error, first, lasting)) as calls:
                    await CHANGES[change](stores)
            except OSError:
                raised += 1
                assert calls.struck
                for again in (stores, open_stores(here)):
                    assert [d.name for d in await again.dataset.list()] == ["others", "pets"]
                    assert files_of(here / "data") == before, f"call {first}"
                await CHANGES[change](open_stores(here))
            assert files_of(here / "data") != before
            shutil.rmtree(here)
            if not calls.struck:
                break
        assert raised > 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path)
    return tmp_path


async def test_a_split_that_cannot_be_written_stops_only_the_change(root: Path) -> None:
    """It is said in our words, everything can be read meanwhile, and the change is not made."""
    stores, pets = open_stores(root), root / "data/pets"
    before = {p: p.read_bytes() for p in (pets / "labels").rglob("*.txt")}
    with failing(FailingCalls(str(pets / "labels/val"), errno.EACCES, 1, True, False)):
        with pytest.raises(ReadOnlyError, match="labels/val"):
            await CHANGES["save many"](stores)
        assert [d.name for d in await stores.dataset.list()] == ["others", "pets"]
        assert await stores.label.load("pets", "train", "a.jpg") == [BOX]
        await stores.label.save("pets", "train", "a.jpg", [BIRD])
    assert await open_stores(root).label.load("pets", "val", "b.jpg") == []
    assert {p: p.read_bytes() for p in (pets / "labels").rglob("*.txt")} != before
    assert not (pets / ".workbench/tx").exists()


async def test_what_cannot_be_taken_back_yet_can_be_read(root: Path) -> None:
    """The disk becomes read-only at any moment of a move, also between its renames."""
    first = 0
    while True:
        first += 1
        stores = create_stores(shutil.copytree(root / "data", root / f"{first}"), root / "models")
        calls = FailingCalls(str(root / f"{first}"), errno.EACCES, first, lasting=True)
        with failing(calls):
            try:
                await stores.image.move("pets", "a.jpg", "train", "test")
            except ReadOnlyError:
                assert len(await stores.image.list("pets")) == 2
                assert len(await stores.dataset.list()) == 2
            else:
                break
        assert await stores.label.load("pets", "train", "a.jpg") == [BOX]
    assert first > 5


async def test_a_crash_during_taking_back_is_taken_back(root: Path) -> None:
    """Of a move, the image's half was undone, and the label's half was not."""
    pets = root / "data/pets"
    folder = pets / ".workbench/tx/1-0-dead.tmp"
    folder.mkdir(parents=True)
    (pets / "labels/test").mkdir(parents=True)
    (pets / "labels/train/a.txt").rename(pets / "labels/test/a.txt")
    (folder / "old-2").write_bytes(b"")
    (pets / "labels/val").mkdir()
    (pets / "labels/val/b.txt").write_bytes(b"1 0.5 0.5 0.25 0.25\n")
    (pets / ".workbench/history").mkdir()
    (pets / ".workbench/history/2025-01.jsonl").write_bytes(b"\n{}\n{}")
    (folder / "plan.json").write_text(
        json.dumps(
            {
                "steps": [
                    ["labels/train/a.txt", "labels/test/a.txt", False],
                    ["images/train/a.jpg", "images/test/a.jpg", False],
                    [".workbench/tx/1-0-dead.tmp/0", "labels/val/b.txt", True],
                ],
                "appended": [[".workbench/history/2025-01.jsonl", 3]],
                "made": ["labels/test"],
            }
        )
    )
    stores = open_stores(root)
    assert await stores.label.load("pets", "train", "a.jpg") == [BOX]
    assert (pets / "labels/val/b.txt").read_bytes() == b""
    assert (pets / ".workbench/history/2025-01.jsonl").read_bytes() == b"\n{}"
    assert not (pets / "labels/test").exists()
    assert not (pets / ".workbench/tx").exists()


async def test_an_edit_whose_rename_never_came_leaves_no_line_in_the_history(root: Path) -> None:
    stores, pets = open_stores(root), root / "data/pets"
    await stores.label.save("pets", "train", "a.jpg", [BIRD])
    (log,) = (pets / ".workbench/history").iterdir()
    size = log.stat().st_size
    with log.open("ab") as file:
        file.write(b"\n{}")
    (pets / f".workbench/tmp/1-0-dead.tmp@history@{log.name}@{size}").write_bytes(b"0 0.5")
    (pets / ".workbench/generation").write_bytes((7).to_bytes(8, "little"))
    assert len(await open_stores(root).label.history("pets")) == 1
    assert log.stat().st_size == size
    assert list((pets / ".workbench/tmp").iterdir()) == []


async def test_a_plan_of_an_older_version_is_not_done_twice(root: Path) -> None:
    """All of it was done: an image went to the trash, and a new one came to its place."""
    pets = root / "data/pets"
    entry = pets / ".workbench/trash/1"
    entry.mkdir(parents=True)
    (pets / "images/train/a.jpg").rename(entry / "0-a.jpg")
    (pets / "images/train/a.jpg").write_bytes(jpeg(9))
    folder = pets / ".workbench/tx/1-0-dead.tmp"
    folder.mkdir(parents=True)
    plan = [
        ["images/train/a.jpg", ".workbench/trash/1/0-a.jpg"],
        [".workbench/tx/1-0-dead.tmp/0", "images/train/a.jpg"],
    ]
    (folder / "plan.json").write_text(json.dumps(plan))
    assert await open_stores(root).image.read_bytes("pets", "train", "a.jpg") == jpeg(9)
    assert (entry / "0-a.jpg").read_bytes() == jpeg(1)
