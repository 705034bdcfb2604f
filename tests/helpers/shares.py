"""Tables of operations that are made by several processes, each with a share of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def in_shares(
    module: str, folder: Path, every: int, *, shares: int = 2, quiet: bool = False
) -> dict[str, list[str]]:
    """Return what the processes of a module print together.

    Parameters
    ----------
    module : str
        Takes a folder, the number of its share, how many shares there are, and of how many cases
        it does one; prints a JSON object.
    folder : Path
    every : int
    shares : int
    quiet : bool
        Whether what it says besides is dropped: faults are logged.
    """
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, (folder, share, shares, every))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            # One thread, so that forking is safe.
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )
        for share in range(shares)
    ]
    outputs = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * shares
    table: dict[str, list[str]] = {}
    for output in outputs:
        table |= json.loads(output)
    return table
