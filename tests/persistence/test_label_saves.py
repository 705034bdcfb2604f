"""Saves of single label files that wait for the lock together."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError, LossySaveError, NotFoundError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, LabelData, NewImage
from workbench.persistence.storage.local.lock import exclusive

ROOT = Path(__file__).parents[2]
COUNT = 40


def box(x: float) -> Annotation:
    return Annotation(0, x, 0.5, 0.1, 0.1)


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    new = [NewImage(f"{n:02}.jpg", "train", jpeg(n)) for n in range(COUNT)]
    new.append(NewImage("v.jpg", "val", jpeg(99)))
    await stores.dataset.create_from("pets", ["cat"], new, total=len(new))
    await stores.label.save("pets", "train", "00.jpg", [box(0.9)])
    return stores


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold the dataset's lock as another process would."""
    let_go, held = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(str(lock)):
            held.set()
            assert let_go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        yield
    finally:
        let_go.set()
        thread.join(60)


@asynccontextmanager
async def waiting(tmp_path: Path) -> AsyncIterator[list[asyncio.Task[LabelData]]]:
    """Let the saves that are put into the list wait for the lock until the end of the block."""
    tasks: list[asyncio.Task[LabelData]] = []
    with _locked(tmp_path / "data/pets/.workbench/lock"):
        yield tasks
        for _ in range(20):  # each of them is asked for before the lock is let go
            await asyncio.sleep(0)
    await asyncio.wait(tasks, timeout=60)


def start(stores: Stores, filename: str, x: float, **more: str) -> asyncio.Task[LabelData]:
    split = "val" if filename == "v.jpg" else "train"
    return asyncio.create_task(stores.label.save("pets", split, filename, [box(x)], **more))


def changes(tmp_path: Path) -> int:
    """How many changes of several files there have been so far."""
    counter = (tmp_path / "data/pets/.workbench/generation").read_bytes()
    return int.from_bytes(counter, "little") // 2


def rows(tmp_path: Path, filename: str) -> str:
    split = "val" if filename == "v.jpg" else "train"
    return (tmp_path / "data/pets/labels" / split / filename).with_suffix(".txt").read_text()


async def test_what_waits_together_is_one_change(stores: Stores, tmp_path: Path) -> None:
    before = changes(tmp_path)
    async with waiting(tmp_path) as tasks:
        tasks += [start(stores, f"{n:02}.jpg", 0.2 + n / 100) for n in range(COUNT)]
    for n, task in enumerate(tasks):
        assert float(rows(tmp_path, f"{n:02}.jpg").split()[1]) == pytest.approx(0.2 + n / 100)
        assert task.result() == await stores.label.get("pets", "train", f"{n:02}.jpg")
    assert changes(tmp_path) == before + 1
    edits = await stores.label.history("pets")
    assert [edit.filename for edit in edits[1:]] == [f"{n:02}.jpg" for n in range(COUNT)]
    first = edits[1]
    assert (first.before, first.after) == ([box(0.9)], [box(0.2)])


async def test_each_is_checked_by_itself(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "data/pets/labels/train/03.txt").write_text("0 .1 .1 .2 .1 .2 .2\n")
    async with waiting(tmp_path) as tasks:
        tasks += [
            start(stores, "00.jpg", 0.1, expected_revision="of another one"),
            start(stores, "01.jpg", 0.2, expected_revision=""),
            start(stores, "none.jpg", 0.3),
            start(stores, "03.jpg", 0.4),
            start(stores, "04.jpg", 0.5),
        ]
    kinds = [type(task.exception()) for task in tasks]
    assert kinds == [ConflictError, type(None), NotFoundError, LossySaveError, type(None)]
    assert float(rows(tmp_path, "00.jpg").split()[1]) == 0.9
    assert float(rows(tmp_path, "01.jpg").split()[1]) == 0.2
    assert float(rows(tmp_path, "04.jpg").split()[1]) == 0.5
    assert len(await stores.label.history("pets")) == 3


async def test_two_of_one_image_come_in_their_order(stores: Stores, tmp_path: Path) -> None:
    async with waiting(tmp_path) as tasks:
        tasks += [start(stores, "05.jpg", 0.1), start(stores, "06.jpg", 0.1)]
        tasks += [start(stores, "05.jpg", 0.2), start(stores, "05.jpg", 0.3, expected_revision="")]
    assert [type(task.exception()) for task in tasks] == [type(None)] * 3 + [ConflictError]
    assert float(rows(tmp_path, "05.jpg").split()[1]) == 0.2
    edits = await stores.label.history("pets", "train", "05.jpg")
    assert [edit.before for edit in edits] == [None, [box(0.1)]]


async def test_one_that_cannot_be_written_fails_alone(stores: Stores, tmp_path: Path) -> None:
    folder = tmp_path / "data/pets/labels/val"
    folder.rmdir()
    folder.write_text("in the way")
    async with waiting(tmp_path) as tasks:
        tasks += [start(stores, name, 0.25) for name in ("07.jpg", "v.jpg", "08.jpg")]
    assert tasks[0].exception() is tasks[2].exception() is None
    assert isinstance(tasks[1].exception(), OSError | ValueError)
    assert float(rows(tmp_path, "07.jpg").split()[1]) == 0.25
    assert float(rows(tmp_path, "08.jpg").split()[1]) == 0.25


async def test_who_gives_up_waiting_saves_nothing(stores: Stores, tmp_path: Path) -> None:
    async with waiting(tmp_path) as tasks:
        tasks.append(start(stores, "09.jpg", 0.1))
        await asyncio.sleep(0.05)  # the first one is at work: it waits for the lock
        tasks += [start(stores, "10.jpg", 0.1), start(stores, "11.jpg", 0.1)]
        await asyncio.sleep(0)
        tasks[1].cancel()
    assert tasks[1].cancelled()
    assert not (tmp_path / "data/pets/labels/train/10.txt").exists()
    assert float(rows(tmp_path, "09.jpg").split()[1]) == 0.1
    assert float(rows(tmp_path, "11.jpg").split()[1]) == 0.1
    await start(stores, "10.jpg", 0.4)
    assert float(rows(tmp_path, "10.jpg").split()[1]) == 0.4


async def test_all_are_told_that_the_dataset_is_gone(stores: Stores, tmp_path: Path) -> None:
    async with waiting(tmp_path) as tasks:
        tasks += [start(stores, f"{n:02}.jpg", 0.1) for n in range(3)]
        await asyncio.sleep(0.05)
        (tmp_path / "data/pets").rename(tmp_path / "data/gone")
    assert [type(task.exception()) for task in tasks] == [NotFoundError] * 3


# Killed in the middle

_SAVING = """
import asyncio, sys
from workbench.persistence import create_stores
from workbench.persistence.models import Annotation

async def client(stores, number):
    for turn in range(1, 1_000_000):
        box = Annotation(0, 0.5, 0.5, 0.25, turn / 1_000_000)
        await stores.label.save("pets", "train", f"{number:02}.jpg", [box])
        sys.stdout.write(f"{number} {turn}\\n")
        sys.stdout.flush()

async def main():
    stores = create_stores(sys.argv[1], sys.argv[2])
    await asyncio.gather(*(client(stores, number) for number in range(20)))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
async def test_labels_acknowledged_while_many_are_saved_outlive_sigkill(
    stores: Stores, tmp_path: Path
) -> None:
    pets = tmp_path / "data" / "pets"

    def height(number: int) -> float:
        return float((pets / f"labels/train/{number:02}.txt").read_text().split()[4])

    for _ in range(4):
        command = [sys.executable, "-c", _SAVING, str(tmp_path / "data"), str(tmp_path / "models")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        acknowledged: dict[int, int] = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            for count, line in enumerate(child.stdout):
                number, turn = map(int, line.split())
                acknowledged[number] = turn
                if count == 70:
                    child.send_signal(signal.SIGKILL)
            assert child.wait(60) == -signal.SIGKILL
        await stores.label.load_all("pets")  # the first to look takes back what is half done
        assert len(acknowledged) == 20
        for number, turn in acknowledged.items():
            # This one, or a later one whose acknowledgement was cut off.
            assert round(height(number) * 1_000_000) >= turn
        assert not (pets / ".workbench/tx").exists()
        for number in range(20):  # the next process begins at 1 again
            (pets / f"labels/train/{number:02}.txt").unlink()
