"""Sweeps over runs whose events are written by the test, so that nothing trains."""

from __future__ import annotations

import time
from pathlib import Path

from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.sweep_folder import SweepFolder
from workbench.training.config import BaseModel, TrainingConfig, TrainingJob
from workbench.training.events import EpochFinished, Finished, Queued, Started
from workbench.training.sweeps.halving import Halving
from workbench.training.sweeps.plan import SweepNotes, SweepPlan, TrialNotes
from workbench.training.telling import tell


def job(run_id: str = "") -> TrainingJob:
    """The job of a trial."""
    return TrainingJob(
        run_id=run_id,
        config=TrainingConfig(dataset="cups", epochs=9, device="cpu"),
        base_model=BaseModel(source="yolo11n.yaml", label="yolo11n.yaml", pretrained=False),
        class_names=["cup"],
        data_yaml="data/data.yaml",
        digest="0" * 64,
        num_images={},
        num_labelled={},
        warnings=[],
        created_at="2026-01-01T00:00:00+00:00",
        version="0",
        sweep="20260101-000000-cups",
    )


def sweep_of(runs: Path, *names: str, halving: Halving | None = None) -> SweepFolder:
    """A sweep whose trials have these runs."""
    folder = SweepFolder(runs / "sweeps" / "20260101-000000-cups")
    folder.path.mkdir(parents=True)
    settings = [{"seed": number} for number in range(len(names))]
    plan = SweepPlan(settings=settings, jobs=[job() for _ in names], halving=halving, at_once=9)
    plan.write(folder)
    folder.mark_own()
    SweepNotes(trials=tuple(TrialNotes(run=name) for name in names)).write(folder)
    return folder


def run_of(runs: Path, name: str, *curve: float, is_over: bool = True) -> RunFolder:
    """A run that has measured so much after each of its epochs."""
    folder = RunFolder(runs / name)
    folder.path.mkdir(parents=True)
    folder.write_job(job(name).to_json())
    folder.write_process(ProcessRecord.of_this_process())
    now = time.time()
    tell(folder, Queued(time=now))
    tell(folder, Started(time=now, base_model="x", pretrained=False, note="", epochs=9))
    for epoch, value in enumerate(curve, 1):
        add_epoch(folder, epoch, value)
    if is_over:
        metrics = {"best_map50_95": max(curve), "best_map50": max(curve)}
        tell(folder, Finished(time=now, epochs_completed=len(curve), metrics=metrics))
    return folder


def add_epoch(folder: RunFolder, epoch: int, value: float) -> None:
    """Let a run have completed one more epoch."""
    metrics = {"map50_95": value, "map50": value}
    tell(
        folder,
        EpochFinished(time=time.time(), epoch=epoch, epochs=9, seconds=1.0, metrics=metrics),
    )
