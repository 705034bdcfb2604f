"""Uploads that never end: they wait on the disk, and are gone with a kernel that was killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from workbench.persistence import scratch
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.scratch import scratch_prefix

_MB = 2**20
_UNFINISHED = """
import os, resource, signal, sys, tempfile
from workbench.panels.models.incoming import IncomingFile
from workbench.panels.shared.arrivals import Arrivals
from workbench.panels.shared.uploads import Uploads

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

kind, piece = sys.argv[1], bytes(2**20)
taker = {"images": Uploads, "folder": Arrivals, "weights": lambda: IncomingFile("w.pt")}[kind]()
before = peak()
for batch in range(3):
    for offset in range(0, 60 * 2**20, 2**20):
        assert not taker.take({
            "session": "s", "batch": batch, "index": 0, "files": 2, "name": "a.png",
            "path": "pets/a.png", "size": 61 * 2**20, "offset": offset, "split": "train",
        }, piece)
print(peak() - before, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _left(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.skipif(os.name == "nt", reason="resource and SIGKILL are POSIX's")
@pytest.mark.parametrize("kind", ["images", "folder", "weights"])
def test_three_of_60_mb_wait_on_the_disk_and_go_after_a_kill(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNFINISHED, kind],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert int(done.stdout) < 30  # MB
    # Pieces of images are in files without a name, which go with the process.
    assert _left(tmp_path) == (0 if kind == "images" else 60 * _MB)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch._remove_left.cache_clear()
    scratch_prefix("upload")
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_every_temporary_folder_says_whose_it_is() -> None:
    """Others are never removed after a kill; one has a way of its own."""
    own_way = {"api/upload_folder.py"}
    source = Path(scratch.__file__).parents[1]
    made = re.compile(r"(?:mkdtemp|TemporaryDirectory)\((?!.*prefix=(?:scratch_)?prefix)")
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if made.search(path.read_text(encoding="utf-8"))
    }
    assert found == own_way


def test_a_run_that_never_came_to_be_goes_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = RunFolder.create(tmp_path, "cups")
    made.write_note(RunFolder.marker, {})
    monkeypatch.setattr(shutil, "rmtree", lambda path: None)  # as if killed before
    made.remove()
    assert RunFolder.find_all(tmp_path) == []
    [left] = tmp_path.iterdir()
    monkeypatch.undo()
    parts = left.name.split("-")
    left.rename(tmp_path / "-".join([*parts[:2], str(2**22 + 1), *parts[3:]]))
    scratch._remove_left.cache_clear()
    RunFolder.create(tmp_path, "mugs").remove()
    assert list(tmp_path.iterdir()) == []


def test_only_folders_of_the_dead_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    living = Path(tempfile.mkdtemp(prefix=scratch_prefix("upload")))
    what, pid, created, host = living.name.removeprefix("workbench-").split("-")[:4]
    dead: dict[str, Any] = {"what": what, "pid": 2**22 + 1, "created": created, "host": host}

    def named(**changes: Any) -> Path:
        return tmp_path / "workbench-{what}-{pid}-{created}-{host}-x1y2".format(**dead | changes)

    kept = [named(host="0" * 8), tmp_path / "workbench-upload-abc", tmp_path / "other-1"]
    gone = [named(), named(pid=pid, created=int(created) - 100)]
    for folder in [*kept, *gone]:
        (folder / "deep").mkdir(parents=True)
    link = named(what="import")
    link.symlink_to(kept[0])
    scratch._remove_left.cache_clear()
    scratch_prefix("upload")
    assert sorted(tmp_path.iterdir()) == sorted([living, link, *kept])
    assert (kept[0] / "deep").is_dir()


MAKE = """
import sys
from pathlib import Path
from workbench.persistence.run_folder import RunFolder
made = RunFolder.create(Path(sys.argv[1]), sys.argv[2])
(made.data_dir / "images").mkdir(parents=True)
if sys.argv[2] == "ready":
    made.write_job({})
print(made.id)
"""


def test_what_a_killed_process_began_as_a_run_is_removed_by_the_next(tmp_path: Path) -> None:
    """Only what a process of ours noted as its own, and what is no run yet."""

    def left_by_another(name: str) -> RunFolder:
        command = [sys.executable, "-c", MAKE, str(tmp_path / "runs"), name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return RunFolder(tmp_path / "runs" / done.stdout.strip())

    ready, half = left_by_another("ready"), left_by_another("half")
    assert sorted(path.name for path in ready.path.iterdir()) == ["config.json", "data", "weights"]
    strangers = tmp_path / "runs" / "strangers"
    shutil.copytree(half.path, strangers)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(half.path / "maker.json", tmp_path / "elsewhere")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")

    mine = [RunFolder.create(tmp_path / "runs", "mine") for _ in range(2)]

    assert not half.path.exists()
    assert all(path.exists() for path in (ready.path, strangers, *(made.path for made in mine)))
    assert (tmp_path / "runs" / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "maker.json").exists()
