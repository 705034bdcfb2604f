"""What the processes of `train_bccd` share: where things are, steps, and looks at the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import TrainingError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import ModelInfo
from workbench.persistence.run_folder import ProcessRecord, RunFolder
from workbench.training.config import TrainingConfig
from workbench.training.events import Event, Queued
from workbench.training.run import Run

DATASET = "blood"


@dataclass
class Step:
    """What one step has found, and what did not hold."""

    found: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Note something for the step's line."""
        self.found.append(text)

    def expect(self, holds: bool, text: str) -> None:
        """Note what does not hold although it should."""
        if not holds:
            self.wrong.append(text)


@dataclass(frozen=True)
class Session:
    """What every process of the three knows."""

    folder: Path
    epochs: int
    image_size: int
    quick: bool

    @property
    def stores(self) -> Stores:
        """The stores of all three."""
        return create_stores(self.folder / "data", self.folder / "models")

    @property
    def runs_dir(self) -> Path:
        """Where the run is kept."""
        return self.folder / "runs"

    @property
    def config(self) -> TrainingConfig:
        """What is trained."""
        # With a few hundred images and a few epochs, every batch has to count as a step.
        extra = {
            "optimizer": "AdamW",
            "lr0": 0.002,
            "nbs": 16,
            "warmup_epochs": 1,
            "close_mosaic": 4,
        }
        return TrainingConfig(
            dataset=DATASET,
            base_model="yolo11n.yaml",
            epochs=self.epochs,
            image_size=self.image_size,
            batch=16,
            device="cpu",
            workers=0,
            patience=0,
            cache="ram",
            extra=extra | ({"fraction": 0.2} if self.quick else {}),
        )

    @property
    def failures(self) -> list[str]:
        """What did not hold in any of the processes so far."""
        path = self.folder / "failures.txt"
        return path.read_text().splitlines() if path.exists() else []

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Print one line with what a step has found, and remember what did not hold."""
        step, begin = Step(), time.perf_counter()
        try:
            yield step
        except Exception as error:
            step.wrong.append(f"{type(error).__name__}: {error}")
            raise
        finally:
            taken = time.perf_counter() - begin
            mark = "FAIL" if step.wrong else "ok  "
            print(f"{mark} {title} [{taken:.1f} s]: {'; '.join(step.found)}", flush=True)
            # A file, because any of the processes may be killed.
            with (self.folder / "failures.txt").open("a") as file:
                for text in step.wrong:
                    print(f"     did not hold: {text}", flush=True)
                    file.write(f"{title}: {text}\n")


async def reach(run: Run, kind: type[Event], *, epoch: int = 0, attempt: int = 1) -> Any:
    """Wait for an event of an epoch, counted from 1, in an attempt, counted from 1."""
    attempts = 0
    async for event in run.events():
        attempts += isinstance(event, Queued)
        late_enough = attempts >= attempt and getattr(event, "epoch", 0) >= epoch
        if late_enough and isinstance(event, kind):
            return event
    raise TrainingError(
        f"no {kind.__name__} came: {run.read_progress().state} {run.read_progress().message}"
    )


def process_of(run: Run) -> ProcessRecord:
    """Return the process that trains."""
    record = RunFolder(run.path).read_process()
    assert record is not None
    return record


def holds_best_weights(run: Run, model: ModelInfo) -> bool:
    """Whether a model of the store is what the run has kept as its best weights."""
    best = RunFolder(run.path).weights.find("best.pt")
    return best is not None and best.read_bytes() == model.path.read_bytes()


def in_words(metrics: dict[str, float]) -> str:
    """Return the two numbers that everybody asks for."""
    both = [metrics.get(f"best_{name}", metrics.get(name)) for name in ("map50", "map50_95")]
    return " ".join(
        f"{name} {value:.3f}"
        for name, value in zip(("mAP50", "mAP50-95"), both, strict=True)
        if value is not None
    )
