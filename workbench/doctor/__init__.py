"""Check a machine for what Workbench needs, and say what to do about each problem."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workbench.doctor.findings import Finding, Status, report
from workbench.doctor.machine import (
    check_browser,
    check_camera,
    check_data_folder,
    check_datasets,
    check_gpu,
    check_models,
    check_shared_memory,
)
from workbench.doctor.probing import run_probe
from workbench.doctor.software import (
    check_opencv,
    check_python,
    check_requirements,
    check_torch_pair,
    check_widget_front_end,
)

__all__ = ["Finding", "Status", "examine", "report"]


def examine(data_dir: Path) -> list[Finding]:
    """Look at this machine: a few seconds, nothing is changed and nothing asked of the network.

    Parameters
    ----------
    data_dir : Path
        The folder that holds the datasets, or will. The models are looked for beside it.

    Returns
    -------
    list of Finding
        In the order in which a person would go through them.
    """
    torch = run_probe("torch")
    return [
        check_python(),
        *check_requirements(),
        check_opencv(),
        check_torch_pair(torch),
        check_gpu(torch, has_nvidia=Path("/proc/driver/nvidia/version").exists()),
        check_widget_front_end(),
        check_camera(run_probe("camera"), sys.platform),
        check_browser(os.environ),
        check_data_folder(data_dir),
        *check_datasets(data_dir),
        *check_models(data_dir.expanduser().absolute().parent / "models"),
        *check_shared_memory(Path("/dev/shm")),
    ]
