"""What broke is said in words that help; memory and disk run out for real."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.training import TINY, make_shapes
from tests.helpers.workers import hit_in_epoch
from workbench.errors import TrainingError
from workbench.persistence import create_stores
from workbench.training.config import TrainingConfig
from workbench.training.failures import DISK_FULL, KILLED, OUT_OF_MEMORY, explain, killed, smaller
from workbench.training.runner import TrainingRunner

CONFIG = TrainingConfig(dataset="cells", batch=16, image_size=640)
SMALLER = [{"batch": 8}, {"image_size": 480}]
HOME = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        Exception("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_that_ran_out_offers_a_smaller_batch_and_size(error: Exception) -> None:
    failure = explain(error, CONFIG)
    assert (failure.kind, failure.suggestions) == (OUT_OF_MEMORY, SMALLER)
    assert "Take a smaller batch (8) or a smaller image size (480)" in failure.message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_from_other_errors_of_files(number: int) -> None:
    assert explain(OSError(number, "no"), CONFIG).kind == DISK_FULL
    assert explain(OSError(errno.EACCES, "no"), CONFIG).kind == ""


def test_with_several_gpus_the_log_says_what_happened() -> None:
    error = subprocess.CalledProcessError(1, ["torchrun"])
    assert explain(error, CONFIG, "torch.OutOfMemoryError: CUDA out of memory").kind == (
        OUT_OF_MEMORY
    )
    assert explain(error, CONFIG, "KeyError").kind == ""
    assert explain(ValueError("no"), CONFIG, "CUDA out of memory").kind == ""


def test_a_killed_run_that_had_no_memory_left_ran_out_of_it() -> None:
    assert killed(CONFIG, "gone", 8e9, 1e8).kind == OUT_OF_MEMORY
    assert killed(CONFIG, "gone", 8e9, 8e9).kind == KILLED
    assert killed(CONFIG, "gone", 0, 0).kind == KILLED


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"batch": 1, "image_size": 32}, []),
        ({"batch": -1}, [{"batch": 8}, {"image_size": 480}]),
        ({"batch": 0.5}, [{"batch": 0.25}, {"image_size": 480}]),
        ({"cache": "ram"}, [{"cache": False}, *SMALLER]),
    ],
)
def test_what_needs_less_memory(settings: dict[str, object], changes: list[object]) -> None:
    assert smaller(TrainingConfig(dataset="cells", **settings)) == changes  # type: ignore[arg-type]


# Not from the start, because how much a start takes depends on the number of cores and on
# torch. Here all threads are there, and the next batch needs several times the room.
_STARVE = """
import psutil, resource, torch

def hit(trainer):
    small = torch.zeros(1, 3, 64, 64, device=trainer.device)
    trainer.model(small)  # starts the threads that share the work
    limit = psutil.Process().memory_info().vms + 64 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
async def test_a_run_whose_memory_runs_out_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await make_shapes(stores)
    hit_in_epoch(1, _STARVE, tmp_path, monkeypatch)
    run = await TrainingRunner(stores, tmp_path / "runs").start(
        TrainingConfig(**{**TINY, "image_size": 1024, "batch": 12})
    )
    with pytest.raises(TrainingError, match=r"Out of memory .*smaller batch \(6\)"):
        await run.wait()
    assert run.read_progress().failure_kind == OUT_OF_MEMORY
    assert run.read_progress().suggestions == ({"batch": 6}, {"image_size": 768})
    assert run.is_resumable()


_FULL = """
import asyncio, json, sys
from pathlib import Path
from tests.helpers.training import TINY, make_shapes
from workbench.errors import TrainingError
from workbench.persistence import create_stores
from workbench.persistence.run_weights import is_whole
from workbench.training.config import TrainingConfig
from workbench.training.events import EpochFinished, EpochStarted, Queued
from workbench.training.runner import TrainingRunner

small, home = Path(sys.argv[1]), Path(sys.argv[2])

async def main():
    stores = create_stores(home / "data", home / "models")
    await make_shapes(stores)
    run = await TrainingRunner(stores, small / "runs").start(
        TrainingConfig(**TINY, epochs=500, patience=0)
    )
    async for event in run.events():
        if isinstance(event, EpochStarted) and event.epoch == 2:
            break
    filler = small / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
    try:
        await run.wait()
    except TrainingError:
        pass
    first = run.read_progress()
    whole = is_whole(run.path / "weights" / "last.pt")
    filler.unlink()
    await run.resume()
    attempts = 0
    async for event in run.events():
        attempts += isinstance(event, Queued)
        if isinstance(event, EpochFinished) and attempts == 2:
            break
    await run.stop()
    last = await run.wait()
    print(json.dumps([first.state, first.failure_kind, whole, last.state,
                      first.epochs_completed, last.epochs_completed]))

asyncio.run(main())
"""


@pytest.mark.long
def test_a_disk_that_fills_up_is_told_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare(1), to mount a small disk")
    small = tmp_path / "small"
    small.mkdir()
    # Room for the checkpoints of one epoch, but less than a run asks for before it starts.
    script = (
        f"mount -t tmpfs -o size=180m tmpfs {small} && exec {sys.executable} - {small} {tmp_path}"
    )
    result = subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", script],
        input=_FULL,
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in result.stderr or "mount" in result.stderr:
        pytest.skip(f"no small disk can be mounted here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout.splitlines()[-1])
    assert outcome[:4] == ["failed", "disk full", True, "stopped"]
    assert 1 <= outcome[4] < outcome[5]
