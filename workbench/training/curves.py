"""What happened in a run, epoch by epoch, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.training.progress import RunProgress

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("precision", "recall", "map50", "map50_95")


def curves_of(progress: RunProgress) -> pd.DataFrame:
    """Return losses and metrics by epoch.

    Returns
    -------
    DataFrame
        One row for each epoch, with ``epoch`` (counted from 1) as the index: ``seconds``;
        ``precision``, ``recall``, ``map50``, ``map50_95`` on val (0..1); ``train/<loss>``
        and ``val/<loss>`` for each loss that the model has. NaN where one is not known.
    """
    import pandas as pd

    rows = [
        {
            "epoch": epoch.epoch,
            "seconds": epoch.seconds,
            **{name: epoch.metrics.get(name, float("nan")) for name in METRICS},
            **{f"train/{name}": value for name, value in epoch.losses.items()},
            **{f"val/{name}": value for name, value in epoch.val_losses.items()},
        }
        for epoch in progress.history
    ]
    table = pd.DataFrame(rows, columns=None if rows else ["epoch", "seconds", *METRICS])
    return table.astype({"epoch": int}).set_index("epoch").astype(float)
