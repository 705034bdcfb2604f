"""Training runs side by side: what was set differently, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.training.curves import METRICS, curves_of
from workbench.training.progress import RunProgress
from workbench.training.run import Run

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"map50": "best_map50", "map50_95": "best_map50_95"}


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Some runs beside each other.

    Parameters
    ----------
    settings : DataFrame
        One row for each setting that is not the same in all runs, one column for each run.
        Arguments for Ultralytics have rows of their own (``extra.lr0``); ``data`` is the
        start of the digest of what a run trained on.
    metrics : DataFrame
        One row for each run: ``state``, ``epochs``, ``minutes``, ``best_epoch``,
        ``precision``, ``recall``, ``map50``, ``map50_95`` (0..1, of the best weights; NaN
        where nothing was measured), ``model``, ``dataset_version``.
    curves : DataFrame
        Long: the columns of `workbench.training.curves.curves_of`, with ``run`` before
        them, one row for each epoch of each run.
    """

    settings: pd.DataFrame
    metrics: pd.DataFrame
    curves: pd.DataFrame

    def over_each_other(self, column: str = "map50_95") -> pd.DataFrame:
        """Return one curve of all runs: a row for each epoch, a column for each run.

        Raises
        ------
        KeyError
            If `column` is none of `curves`.
        """
        table = self.curves.pivot(index="epoch", columns="run", values=column)
        return table.reindex(columns=list(self.metrics.index))


def compare_runs(runs: Sequence[Run]) -> RunComparison:
    """Put training runs beside each other.

    Parameters
    ----------
    runs : sequence of Run
        In the order in which they shall stand.
    """
    import pandas as pd

    progress = {run.id: run.read_progress() for run in runs}
    settings = pd.DataFrame({run.id: _settings(run) for run in runs}, dtype=object)
    differs = [len({repr(value) for value in row}) > 1 for row in settings.to_numpy().tolist()]
    metrics = pd.DataFrame([_result(run, progress[run.id]) for run in runs]).set_index("run")
    tables = [
        curves_of(progress[run.id]).reset_index().assign(run=run.id)
        for run in runs
        if progress[run.id].history
    ]
    curves = pd.concat(tables, ignore_index=True) if tables else _no_curves()
    columns = ["run", *(name for name in curves.columns if name != "run")]
    return RunComparison(settings[differs], metrics, curves[columns])


def _settings(run: Run) -> dict[str, Any]:
    content = run.config.to_json()
    extra = content.pop("extra")
    return {
        **content,
        **{f"extra.{name}": value for name, value in extra.items()},
        "started from": run.job.base_model.label,
        "data": run.job.digest[:12],
    }


def _result(run: Run, progress: RunProgress) -> dict[str, Any]:
    best = max(
        progress.history, key=lambda epoch: epoch.metrics.get("map50_95", -1.0), default=None
    )
    so_far = {} if best is None else best.metrics
    nothing = float("nan")
    return {
        "run": run.id,
        "state": progress.state,
        "epochs": progress.epochs_completed,
        "minutes": sum(epoch.seconds for epoch in progress.history) / 60,
        "best_epoch": 0 if best is None else best.epoch,
        **{
            name: progress.metrics.get(_NAMES.get(name, name), so_far.get(name, nothing))
            for name in METRICS
        },
        "model": run.read_model_name() or "",
        "dataset_version": run.job.dataset_version,
    }


def _no_curves() -> pd.DataFrame:
    return curves_of(RunProgress()).reset_index().assign(run="")
