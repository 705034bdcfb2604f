"""What a training uses of the machine, measured from inside its process."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import psutil

from workbench.training.events import ResourcesUsed


class ResourceMeter:
    """Measures this process and its children.

    Holds no process, so that Ultralytics can pickle it: it is made anew where it arrives.
    """

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._processes = {}

    def measure(self) -> ResourcesUsed:
        """Return what is used now; processor time counts from the last call."""
        cpu = memory = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):  # a child that ends just now
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
        used, total = _gpu_memory()
        return ResourcesUsed(
            time=time.time(),
            cpu_percent=round(cpu, 1),
            memory=memory,
            memory_free=float(psutil.virtual_memory().available),
            gpu_memory=used,
            gpu_memory_total=total,
        )

    def _family(self) -> list[psutil.Process]:
        # The same objects each time: they remember what to count processor time from.
        me = self._processes.setdefault(0, psutil.Process())
        found = {child.pid: child for child in me.children(recursive=True)}
        self._processes = {0: me} | {
            pid: self._processes.get(pid, child) for pid, child in found.items()
        }
        return list(self._processes.values())


def _gpu_memory() -> tuple[float, float]:
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0.0, 0.0
    device = torch.cuda.current_device()
    total = torch.cuda.get_device_properties(device).total_memory
    return float(torch.cuda.memory_reserved(device)), float(total)
