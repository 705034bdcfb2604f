"""The files of a run, looked at as files."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from workbench.errors import NotFoundError
from workbench.persistence.run_folder import ProcessRecord, RunFolder
from workbench.persistence.run_queue import RunQueue


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "cells")


def test_ids_sort_by_time_name_the_dataset_and_never_collide(tmp_path: Path) -> None:
    moments = [datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 10)]
    ids = [RunFolder.create(tmp_path, "cells", moment).id for moment in moments]
    assert ids == ["20260102-030405-cells", "20260102-030405-cells-2", "20260110-000000-cells"]
    assert sorted(ids) == ids


def test_a_folder_is_a_run_once_its_job_is_written(folder: RunFolder) -> None:
    runs_dir = folder.path.parent
    assert RunFolder.find_all(runs_dir) == []
    folder.write_job({"format": 1})
    assert RunFolder.find_all(runs_dir) == [folder]
    assert folder.read_job() == {"format": 1}


def test_a_folder_without_a_job_is_no_run(folder: RunFolder) -> None:
    with pytest.raises(NotFoundError, match="no training run here"):
        folder.read_job()


def test_no_runs_where_no_folder_is(tmp_path: Path) -> None:
    assert RunFolder.find_all(tmp_path / "nothing") == []


def test_events_are_read_on_from_where_one_stopped(folder: RunFolder) -> None:
    assert folder.read_events() == ([], 0)
    folder.append_event("one")
    lines, offset = folder.read_events()
    assert lines == ["one"]
    folder.append_event("zwölf")
    assert folder.read_events(offset) == (["zwölf"], offset + len("zwölf\n".encode()))


@pytest.mark.parametrize("half", [b'{"ev', "zwö".encode()[:-1]])
def test_a_line_that_is_still_being_written_waits(folder: RunFolder, half: bytes) -> None:
    folder.events_path.write_bytes(b"one\n" + half)
    assert folder.read_events() == (["one"], 4)
    with folder.events_path.open("ab") as file:
        file.write(b"!\n")
    lines, _ = folder.read_events(4)
    assert len(lines) == 1
    assert lines[0].endswith("!")


def test_half_a_line_of_a_killed_writer_is_cut_off(folder: RunFolder) -> None:
    folder.drop_half_event()
    assert not folder.events_path.exists()
    folder.events_path.write_bytes(b"one\n{half")
    folder.drop_half_event()
    folder.append_event("two")
    assert folder.events_path.read_bytes() == b"one\ntwo\n"


def test_a_line_whole_to_its_end_is_not_cut_off(folder: RunFolder) -> None:
    folder.append_event("one")
    folder.drop_half_event()
    assert folder.events_path.read_bytes() == b"one\n"


def test_kept_weights_replace_the_earlier_ones_and_leave_no_rest(
    folder: RunFolder, tmp_path: Path
) -> None:
    assert folder.weights.find("best.pt") is None
    for content in (b"first", b"second"):
        (tmp_path / "w.pt").write_bytes(content)
        folder.weights.keep(tmp_path / "w.pt", "best.pt")
    assert [path.name for path in folder.weights.folder.iterdir()] == ["best.pt"]
    assert (folder.weights.folder / "best.pt").read_bytes() == b"second"


def test_kept_weights_are_untouched_when_the_next_ones_cannot_be_read(
    folder: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "w.pt").write_bytes(b"first")
    folder.weights.keep(tmp_path / "w.pt", "best.pt")
    with pytest.raises(FileNotFoundError):
        folder.weights.keep(tmp_path / "gone.pt", "best.pt")
    assert (folder.weights.folder / "best.pt").read_bytes() == b"first"
    assert [path.name for path in folder.weights.folder.iterdir()] == ["best.pt"]


def test_the_end_of_the_log(folder: RunFolder) -> None:
    assert folder.log_tail() == ""
    descriptor = folder.open_log()
    os.write(descriptor, b"x" * 50 + b"the end")
    os.close(descriptor)
    assert folder.log_tail(7) == "the end"


def test_a_stop_is_asked_for_with_a_file(folder: RunFolder) -> None:
    assert not folder.stop_requested()
    folder.request_stop()
    assert (folder.path / "stop").is_file()
    assert folder.stop_requested()


def test_a_process_is_recognised_while_it_lives(folder: RunFolder) -> None:
    assert folder.read_process() is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    created = psutil.Process(child.pid).create_time()
    mine = ProcessRecord.of_this_process()
    folder.write_process(ProcessRecord(child.pid, created, mine.host))
    record = folder.read_process()
    assert record is not None
    assert record.find() is not None
    child.kill()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert record.find() is None
    assert ProcessRecord.of_ended(child.pid).find() is None


def test_another_process_that_got_the_same_number_is_not_mistaken() -> None:
    mine = ProcessRecord.of_this_process()
    assert mine.find() is not None
    assert ProcessRecord(mine.pid, mine.created - 100, mine.host).find() is None


def test_nothing_is_claimed_about_processes_of_another_machine() -> None:
    mine = ProcessRecord.of_this_process()
    other = ProcessRecord(mine.pid, mine.created, mine.host + "-2")
    assert not other.is_here()
    assert other.find() is None


async def test_the_lock_lets_one_in_at_a_time(folder: RunFolder) -> None:
    inside, most = 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with RunFolder(folder.path).lock():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(5)))
    assert most == 1


# --- checkpoints, requests, the queue


def zipped(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return path


def test_the_newest_whole_checkpoint_comes_first(folder: RunFolder) -> None:
    assert folder.weights.checkpoints() == []
    own = zipped(folder.weights.own / "last.pt", b"new" * 1000)
    kept = zipped(folder.weights.folder / "last.pt", b"old" * 1000)
    os.utime(kept, (1, 1))
    assert folder.weights.checkpoints() == [own, kept]
    whole = own.read_bytes()
    own.write_bytes(whole[:-40])
    assert folder.weights.checkpoints() == [kept]
    own.write_bytes(whole.replace(b"newnew", b"new!ew", 1))  # bits that have changed
    assert folder.weights.checkpoints() == [kept]
    own.write_bytes(b"")
    assert folder.weights.checkpoints() == [kept]


def test_the_same_weights_under_two_names_part_when_one_is_replaced(folder: RunFolder) -> None:
    source = folder.path / "source.pt"
    source.write_bytes(b"first")
    folder.weights.keep(source, "last.pt")
    folder.weights.keep_same("last.pt", "best.pt")
    source.write_bytes(b"second")
    folder.weights.keep(source, "last.pt")
    assert (folder.weights.folder / "best.pt").read_bytes() == b"first"
    assert (folder.weights.folder / "last.pt").read_bytes() == b"second"
    assert {path.name for path in folder.weights.folder.iterdir()} == {"best.pt", "last.pt"}
    folder.weights.put_back(folder.weights.folder / "best.pt", "best.pt")
    assert (folder.weights.own / "best.pt").read_bytes() == b"first"


def test_requests_are_told_and_forgotten(folder: RunFolder) -> None:
    assert (folder.stop_requested(), folder.pause_requested()) == (False, "")
    folder.request_stop()
    folder.request_pause()
    assert (folder.stop_requested(), folder.pause_requested()) == (True, "epoch")
    folder.request_pause(now=True)
    assert folder.pause_requested() == "now"
    folder.clear_requests()
    assert (folder.stop_requested(), folder.pause_requested()) == (False, "")


def test_runs_wait_in_the_order_in_which_they_came_or_were_put(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path / "runs")
    assert queue.waiting() == []
    folders = [RunFolder.create(queue.runs_dir, name) for name in ("a", "b", "c", "d")]
    for one in (folders[2], folders[0], folders[1]):
        one.write_job({})
        with queue.lock():
            queue.append(one)
    folders[3].write_queued(0.0)  # no job: a run that never came to be
    ids = [one.id for one in folders]
    assert [one.id for one in queue.waiting()] == [ids[2], ids[0], ids[1]]
    queue.reorder([ids[1], "gone", ids[1]])
    assert [one.id for one in queue.waiting()] == [ids[1], ids[2], ids[0]]
    folders[1].remove_queued()
    assert [one.id for one in queue.waiting()] == [ids[2], ids[0]]


def test_only_runs_with_a_living_process_go_on(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path / "runs")
    alive, dead, elsewhere = (RunFolder.create(queue.runs_dir, name) for name in "abc")
    me = ProcessRecord.of_this_process()
    alive.write_process(me)
    dead.write_process(ProcessRecord(me.pid, me.created - 100, me.host))
    elsewhere.write_process(ProcessRecord(me.pid, me.created, "another machine"))
    assert queue.going_on() == [alive]
    assert queue.going_on(except_pid=me.pid) == []


def test_the_model_that_came_of_a_run_is_noted_with_its_attempt(folder: RunFolder) -> None:
    assert folder.read_registered() is None
    (folder.path / "registered.json").write_text('{"model": "old"}')
    assert folder.read_registered() == ("old", 0)
    folder.write_registered("new", 2)
    assert folder.read_registered() == ("new", 2)
