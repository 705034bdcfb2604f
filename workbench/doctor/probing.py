"""Run a probe in a process of its own.

A broken PyTorch can end its process, a camera driver can hang or write over the
terminal: none of that may take the doctor with it.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Literal

from workbench.own_python import own_python, python_path

_TIMEOUT_S = 120.0


def run_probe(name: Literal["torch", "camera"], timeout: float = _TIMEOUT_S) -> dict[str, Any]:
    """Return what a probe of :mod:`workbench.doctor.probes` found.

    Parameters
    ----------
    name : str
        Which probe.
    timeout : float
        Seconds after which it is stopped.

    Returns
    -------
    dict
        The probe's answer, or ``{"failure": sentence}`` if it did not come to one; with a
        ``"late"`` beside it if it was only too slow.
    """
    command = own_python("-m", "workbench.doctor.probes", name)
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **python_path()},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failure": f"no answer within {timeout:.0f} s", "late": True}
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return {"failure": f"exit status {done.returncode}: {said[-1] if said else 'no message'}"}
    # Libraries may print as they like; the answer is the last line.
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
