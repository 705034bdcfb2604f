"""A disk that is full, read-only or broken under runs, sweeps and models is told of in words."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.helpers.failing_calls import FailingCalls, failing
from tests.helpers.training import TINY, make_shapes
from workbench.errors import ReadOnlyError, StorageError, WorkbenchError
from workbench.persistence import Stores, create_stores
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue
from workbench.persistence.sweep_folder import SweepFolder
from workbench.persistence.work_folder import WorkFolder
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
from workbench.training.sweeps.sweep import Sweep

FAULTS = [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE]
CONFIG = TrainingConfig(**TINY, epochs=1)
Step = Callable[[], Awaitable[object]]


@pytest.fixture
async def runner(
    persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrainingRunner:
    """A runner that does all but start a process."""
    for place in ("runner", "run"):
        monkeypatch.setattr(f"workbench.training.{place}.start_due", lambda *_: [])
    monkeypatch.setattr(Sweep, "start", lambda _: None)
    await make_shapes(persistence_stores)
    return TrainingRunner(persistence_stores, tmp_path / "runs")


async def bare_errors(folder: Path, fault: int, steps: dict[str, Step]) -> dict[str, str]:
    """Return what is no error of ours, of each step while nothing goes below a folder."""
    found = {}
    for name, step in steps.items():
        calls = FailingCalls(str(folder), fault, first=1, lasting=True, relative=False)
        with failing(calls):
            try:
                await step()
            except WorkbenchError:
                pass
            except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
                found[name] = repr(error)
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
async def test_whatever_is_asked_of_runs_is_told_in_our_words(
    runner: TrainingRunner, tmp_path: Path, fault: int
) -> None:
    run = await runner.start(CONFIG)
    sweep = await runner.sweep(CONFIG, {"seed": [1, 2]})

    async def called(method: Callable[[], object]) -> object:
        return method()

    steps: dict[str, Step] = {
        "start": lambda: runner.start(CONFIG),
        "sweep": lambda: runner.sweep(CONFIG, {"seed": [1, 2]}),
        "cross_validate": lambda: runner.cross_validate(CONFIG, folds=2),
        "list_runs": runner.list_runs,
        "list_sweeps": runner.list_sweeps,
        "list_waiting": runner.list_waiting,
        "reorder": lambda: runner.reorder([run.id]),
        "get": lambda: runner.get(run.id),
        "verdict": lambda: run.write_verdict({}),
        "read_verdict": run.read_verdict,
        "give_way": lambda: run.give_way(1),
        "read_progress": lambda: called(run.read_progress),
        "read_log": lambda: called(run.read_log),
        "samples": lambda: called(lambda: run.samples(1)),
        "refresh": run.refresh,
        "pause": run.pause,
        "resume": run.resume,
        "stop": run.stop,
        "cancel": run.cancel,
        "events": lambda: anext(run.events()),
        "sweep.refresh": sweep.refresh,
        "sweep.read_table": lambda: called(sweep.read_table),
        "sweep.resume": sweep.resume,
    }
    assert await bare_errors(tmp_path / "runs", fault, steps) == {}


@pytest.mark.parametrize("kind", [RunFolder, SweepFolder])
def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path: Path, kind: type[WorkFolder]) -> None:
    parent = tmp_path / kind.below
    parent.mkdir(exist_ok=True)
    # The first call makes the parent, where it does no harm. Then the folder, and each in it.
    for call in range(2, 3 + len(kind.inner)):
        calls = FailingCalls(str(tmp_path), errno.EROFS, first=call)
        with failing(calls), pytest.raises(ReadOnlyError) as caught:
            kind.create(tmp_path, "shapes")
        assert str(caught.value).startswith(f"{parent}: no folder for a {kind.what} can be made")
        assert str(caught.value).endswith("mount it so, or copy the data elsewhere")
        assert not list(parent.glob("*shapes"))


def test_a_queue_and_stores_that_cannot_be_made_say_so(tmp_path: Path) -> None:
    def queue() -> None:
        with RunQueue(tmp_path / "runs").lock():
            raise AssertionError("locked")

    for make in (queue, lambda: create_stores(tmp_path / "data", tmp_path / "models")):
        calls = FailingCalls(str(tmp_path), errno.ENOSPC, first=1, lasting=True)
        with failing(calls), pytest.raises(StorageError, match="expected room on the disk"):
            make()
