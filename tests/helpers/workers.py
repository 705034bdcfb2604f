"""Processes that train, and to which something happens at a moment that a test chooses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_WORKER = """
import sys
from pathlib import Path
from workbench.persistence.run_folder import RunFolder
from workbench.training import worker
from workbench.training.reporter import Reporter

class Hit(Reporter):
    def on_train_epoch_start(self, trainer):
        super().on_train_epoch_start(trainer)
        if trainer.epoch + 1 == {epoch}:
            hit(trainer)

{hit}

worker.Reporter = Hit
worker.train(RunFolder(Path(sys.argv[1])))
"""


def hit_in_epoch(epoch: int, hit: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen to every worker from here on, when it begins an epoch.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    hit : str
        Source of a function ``hit(trainer)``, with all that it imports.
    folder : Path
        For the files that this takes.
    """
    script = folder / "worker.py"
    script.write_text(_WORKER.format(epoch=epoch, hit=hit))
    # The runner calls: python -P -m workbench.training.worker <run folder>
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$4"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
