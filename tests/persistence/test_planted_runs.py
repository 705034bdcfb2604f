"""A folder of runs from a stranger: what is noted there leads nowhere and hangs nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.test_config import a_job
from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.run_queue import RunQueue
from workbench.training.progress import FAILED
from workbench.training.reading import RunReader

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")

READERS: dict[str, Callable[[RunFolder], object]] = {
    "config.json": RunFolder.read_job,
    "process.json": RunFolder.read_process,
    "queued.json": RunFolder.read_queued,
    "registered.json": RunFolder.read_registered,
    "verdict.json": RunFolder.read_verdict,
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
        folder.write_verdict({"model": "net"})
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
    if name in {"config.json", "verdict.json"} and kind == "object":
        assert READERS[name](bad) == {"attempt": {}, "pid": "x", "place": []}
    else:
        with pytest.raises(InvalidDatasetError, match=name):
            READERS[name](bad)
    queue = RunQueue(runs)
    assert "good" in [folder.id for folder in queue.waiting()]
    assert "good" in [folder.id for folder in queue.going_on()]


ODD = {
    "link": lambda path, home: path.symlink_to(home),
    "dangling": lambda path, home: path.symlink_to(home.parent / "nothing"),
    "loop": lambda path, home: path.symlink_to(path.name),
    "pipe": lambda path, home: os.mkfifo(path),
    "folder": lambda path, home: path.mkdir(),
}
WORK: dict[str, Callable[[RunFolder], object]] = {
    "events.jsonl": lambda run: (run.read_events(), run.append_event("{}"), run.drop_half_event()),
    "log.txt": lambda run: (run.log_tail(), os.close(run.open_log())),
    "pause": lambda run: (run.pause_requested(), run.request_pause(), run.clear_requests()),
    "give-way": lambda run: (run.way_requested(), run.request_way(1.0)),
    "stop": lambda run: (run.stop_requested(), run.request_stop(), run.clear_requests()),
    "reserve": lambda run: (run.make_reserve(), run.free_reserve()),
    "samples": lambda run: (run.samples(1), run.write_sample(1, "a", b"x")),
    "samples/00001": lambda run: (run.samples(1), run.write_sample(1, "a", b"x")),
    "samples/00001/a.jpg": lambda run: run.samples(1),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", WORK)
def test_what_a_run_writes(runs: Path, tmp_path: Path, name: str, kind: str) -> None:
    """Nothing is read or written through it, nothing hangs, and the file is named."""
    home = tmp_path / "id_rsa"
    home.write_bytes(b"PRIVATE KEY\n")
    bad = RunFolder(runs / "bad")
    path = bad.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    ODD[kind](path, home)
    found: object = ()
    told = bad.id
    try:
        found = WORK[name](bad)
    except WorkbenchError as error:
        told = str(error)
    assert name in told or bad.id in told
    assert home.read_bytes() == b"PRIVATE KEY\n"
    assert not (tmp_path / "nothing").exists()
    assert "PRIVATE" not in str(found)
    assert path not in (found if isinstance(found, list) else ())


def test_a_run_whose_events_are_odd_is_shown_as_failed(runs: Path) -> None:
    folder = RunFolder(runs / "bad")
    folder.write_job(a_job().to_json())
    os.mkfifo(folder.events_path)
    progress = RunReader(folder).read()
    assert progress.state == FAILED
    assert "events.jsonl: expected an ordinary file, found a pipe" in progress.message
