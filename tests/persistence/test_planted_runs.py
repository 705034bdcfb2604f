"""A folder of runs from a stranger: what is noted there leads nowhere and hangs nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import InvalidDatasetError
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")

READERS: dict[str, Callable[[RunFolder], object]] = {
    "config.json": RunFolder.read_job,
    "process.json": RunFolder.read_process,
    "queued.json": RunFolder.read_queued,
    "registered.json": RunFolder.read_registered,
}
CONTENTS = {"empty": b"", "list": b"[]", "deep": b"[" * 100_000, "null": b"null", "bytes": b"\xff"}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs that wait; ``bad`` is a stranger's."""
    for number, name in enumerate(("bad", "good")):
        folder = RunFolder(tmp_path / "runs" / name)
        folder.path.mkdir(parents=True)
        folder.write_job({"dataset": name})
        folder.write_queued(float(number))
        folder.write_process(ProcessRecord.of_this_process())
        folder.write_registered("net", 1)
    return tmp_path / "runs"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", *CONTENTS, "object"])
@pytest.mark.parametrize("name", READERS)
def test_what_a_run_noted(runs: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = runs / "bad" / name
    content = path.read_bytes()
    path.unlink()
    if kind == "link":
        (tmp_path / "elsewhere.json").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere.json")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(CONTENTS.get(kind, b'{"attempt": {}, "pid": "x", "place": []}'))
    bad = RunFolder(runs / "bad")
    if (name, kind) == ("config.json", "object"):
        assert bad.read_job() == {"attempt": {}, "pid": "x", "place": []}
    else:
        with pytest.raises(InvalidDatasetError, match=name):
            READERS[name](bad)
    queue = RunQueue(runs)
    assert "good" in [folder.id for folder in queue.waiting()]
    assert "good" in [folder.id for folder in queue.going_on()]
