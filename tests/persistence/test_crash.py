"""A process dies in the middle of its work; the next one finds nothing lost and nothing by half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash import Arena, raised_in_memory
from tests.helpers.archives import small_dataset
from tests.helpers.crash_points import BOX, OPERATIONS
from tests.helpers.failing_calls import LASTING
from tests.helpers.folders import quick_folder
from tests.helpers.pictures import jpeg
from tests.helpers.shares import in_shares
from workbench.persistence import Stores
from workbench.persistence.models import Annotation

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, no fork")


# --- at random moments --------------------------------------------------------------------


def test_what_was_acknowledged_outlives_sigkill(tmp_path: Path) -> None:
    with Arena(tmp_path) as arena:
        for seed in range(12):
            arena.kill_once(seed)
    assert arena.tally.kills == 12
    assert arena.tally.operations > 0
    assert arena.tally.repairs > 0


def test_two_processes_killed_at_once_lose_nothing_either(tmp_path: Path) -> None:
    with Arena(tmp_path, "ab") as arena:
        for seed in range(4):
            arena.kill_once(seed)
    assert arena.tally.kills == 4


def test_two_processes_at_work_on_one_dataset_lose_nothing(tmp_path: Path) -> None:
    with Arena(tmp_path, "ab") as arena:
        arena.work_to_the_end(seed=7, steps=60)
    assert arena.tally.operations == 120
    assert not arena.tally.cut_off


def test_what_a_storage_in_memory_refuses_has_not_happened(tmp_path: Path) -> None:
    seen = raised_in_memory(tmp_path, seed=3, times=12)
    assert seen.by_call.total() == 12
    assert len(seen.by_operation) > 3


# --- at every step ------------------------------------------------------------------------


@pytest.fixture(
    scope="module",
    params=[6, pytest.param(1, marks=pytest.mark.nightly)],
    ids=["a sixth", "all"],
)
def deaths(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """What was wrong after deaths in each operation; two processes share the work.

    Of the many steps of a long operation, each sixth for every change, and all at night.
    """
    with quick_folder() as folder:
        return in_shares("tests.helpers.crash_points", folder, request.param)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_death_at_any_step_leaves_all_or_nothing(
    deaths: dict[str, list[str]], operation: str
) -> None:
    steps, *wrong = deaths[operation]
    assert int(steps.split()[0]) > 0
    assert wrong == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_death_in_the_purge_of_many_leaves_whole_entries_or_none() -> None:
    with quick_folder() as folder:
        worker = subprocess.run(
            [sys.executable, "-m", "tests.helpers.purge_points", str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            timeout=1500,
            check=True,
        )
    found = json.loads(worker.stdout)
    assert set(found) == {"datasets", "images", "models"}
    for steps, *wrong in found.values():
        assert int(steps.split()[0]) > 20
        assert wrong == []


# --- every call that fails ----------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_whichever_call_fails_what_raised_did_not_happen() -> None:
    """Every operation, every fault, and of the calls that it can strike each 45th.

    All of them take half an hour on two cores: the nightly job runs them, with
    ``WORKBENCH_FAULTS_EVERY=1``.
    """
    every = int(os.environ.get("WORKBENCH_FAULTS_EVERY", "45"))
    with quick_folder() as folder:
        table = in_shares("tests.helpers.fault_table", folder, every, quiet=True)
    assert len(table) == len(OPERATIONS) * len(LASTING)
    assert all(int(first.split()[0]) > 0 for first, *_ in table.values())
    assert {name: wrong for name, (_, *wrong) in table.items() if wrong} == {}


# --- what earlier deaths left on disk -----------------------------------------------------


@pytest.fixture
def pets(persistence_stores: Stores, tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "pets"
    for name, data in small_dataset().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def _transaction(pets: Path, plan: list[list[str]] | None, **staged: bytes) -> Path:
    folder = pets / ".workbench" / "tx" / "1-0-dead.tmp"
    folder.mkdir(parents=True)
    for name, data in staged.items():
        (folder / name).write_bytes(data)
    if plan is not None:
        (folder / "plan.json").write_text(json.dumps(plan))
    return folder


async def test_temporary_files_are_swept_by_the_next_writer(
    persistence_stores: Stores, pets: Path
) -> None:
    leftover = pets / ".workbench" / "tmp" / "1-0-dead.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(jpeg(5)[:100])
    await persistence_stores.label.save("pets", "val", "b.jpg", [BOX])
    assert not leftover.exists()
    assert [i.filename for i in await persistence_stores.image.list("pets")] == ["a.jpg", "b.jpg"]


async def test_a_change_that_was_not_committed_is_thrown_away(
    persistence_stores: Stores, pets: Path
) -> None:
    _transaction(pets, None, staged=b"1 0.5 0.5 0.1 0.1\n")
    assert await persistence_stores.label.load("pets", "train", "a.jpg") == [BOX]
    assert not (pets / ".workbench" / "tx").exists()


async def test_a_change_that_was_committed_is_completed(
    persistence_stores: Stores, pets: Path
) -> None:
    """A move of a.jpg, of which the image's half was done."""
    (pets / "images/test").mkdir()
    (pets / "images/train/a.jpg").rename(pets / "images/test/a.jpg")
    folder = _transaction(
        pets,
        [
            ["images/train/a.jpg", "images/test/a.jpg"],
            ["labels/train/a.txt", "labels/test/a.txt"],
            [".workbench/tx/1-0-dead.tmp/0", "labels/val/b.txt"],
        ],
        **{"0": b"1 0.5 0.5 0.25 0.25\n"},
    )
    label = persistence_stores.label
    assert await label.load("pets", "test", "a.jpg") == [BOX]
    assert await label.load("pets", "val", "b.jpg") == [Annotation(1, 0.5, 0.5, 0.25, 0.25)]
    assert not (pets / "labels/train/a.txt").exists()
    assert not folder.parent.exists()


@pytest.mark.parametrize("read", ["list", "load_all", "get", "export"])
async def test_every_reader_completes_it_first(
    persistence_stores: Stores, pets: Path, read: str, tmp_path: Path
) -> None:
    _transaction(pets, [["images/train/a.jpg", "images/val/a.jpg"]])
    if read == "list":
        found = {i.filename: i.split for i in await persistence_stores.image.list("pets")}
        assert found == {"a.jpg": "val", "b.jpg": "val"}
    elif read == "load_all":
        assert (await persistence_stores.label.load_all("pets", "train")).filenames == []
    elif read == "get":
        assert (await persistence_stores.dataset.get("pets")).num_images["val"] == 2
    else:
        await persistence_stores.dataset.export_zip("pets", tmp_path)
    assert (pets / "images/val/a.jpg").read_bytes() == jpeg(1)
    assert not (pets / ".workbench" / "tx").exists()
