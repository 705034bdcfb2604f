"""Runs in the background leave the machine, and their device, to a person."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.training import giving_way
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob
from workbench.training.giving_way import give_way
from workbench.training.queueing import make_room


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child
    child.communicate(b"\n", timeout=30)


def made(folder: Path, *, teaching: bool, device: str = "cpu") -> RunFolder:
    run = RunFolder.create(folder, "cups")
    job = TrainingJob(
        run_id=run.id,
        config=TrainingConfig(dataset="cups", teaching=20 if teaching else 0, device=device),
        base_model=BaseModel(source="yolo11n.yaml", label="yolo11n.yaml", pretrained=False),
        class_names=["cup"],
        data_yaml="data/data.yaml",
        digest="",
        num_images={},
        num_labelled={},
        warnings=[],
        created_at="2026-01-01T00:00:00+00:00",
        version="0",
    )
    run.write_job(job.to_json())
    return run


def test_nobody_is_waited_for_who_has_not_asked(tmp_path: Path) -> None:
    run = made(tmp_path, teaching=True)
    assert run.way_requested() == 0
    assert give_way(run) < giving_way.LONGEST_WAIT
    run.request_way(time.time() - 1)  # whoever asked is done, or gone
    assert give_way(run) < giving_way.LONGEST_WAIT


def test_a_request_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "LONGEST_WAIT", 0.2)
    run = made(tmp_path, teaching=True)
    until = time.time() + 3600
    run.request_way(until)
    assert run.way_requested() == until
    assert give_way(run) >= 0.2
    run.request_stop()
    monkeypatch.setattr(giving_way, "LONGEST_WAIT", 3600)
    give_way(run)  # who wants it to stop need not wait


def test_what_is_no_time_in_the_file_holds_nothing_up(tmp_path: Path) -> None:
    run = made(tmp_path, teaching=True)
    (run.path / "give-way").write_text("tomorrow")
    assert run.way_requested() == 0


def test_a_run_for_teaching_is_asked_to_end_for_a_run_of_a_person(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    record = ProcessRecord.of(psutil.Process(process.pid))
    runs = {
        name: made(tmp_path, teaching=teaching, device=device)
        for name, teaching, device in (
            ("lesson", True, "cpu"),
            ("other device", True, "0"),
            ("of a person", False, "cpu"),
        )
    }
    for run in runs.values():
        run.write_process(record)
    ended = made(tmp_path, teaching=True)
    make_room(tmp_path, frozenset({"cpu"}))
    assert {name for name, run in runs.items() if run.stop_requested()} == {"lesson"}
    assert not ended.stop_requested()
