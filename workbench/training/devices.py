"""Which devices there are, and which of them a setting means; without importing torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_SECONDS_FOR_ANSWER = 10.0
_MEBIBYTE = 2**20
_GIBIBYTE = 2**30


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU, as its driver describes it; memory in bytes."""

    index: int
    name: str
    memory: int
    memory_free: int


def gpus() -> list[Gpu]:
    """Return the NVIDIA GPUs that torch would count, in its order.

    Asks the driver's own tool, because torch takes seconds to import. Empty where the tool
    is missing, which does not prove that there is no GPU; see `may_have_gpu`.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None or torch_is_for_cpu():
        return []
    query = "--query-gpu=name,memory.total,memory.free"
    try:
        answer = subprocess.run(
            [tool, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SECONDS_FOR_ANSWER,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # a tool without a driver
        return []
    found = [_parse(number, line) for number, line in enumerate(answer.stdout.splitlines())]
    return _visible([gpu for gpu in found if gpu is not None])


def may_have_gpu() -> bool:
    """Whether there may be a GPU, of any kind, that `gpus` does not know of."""
    if torch_is_for_cpu():
        return False
    paths = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")
    return sys.platform == "win32" or any(Path(path).exists() for path in paths)


def device_choices(found: Sequence[Gpu]) -> list[tuple[str, str]]:
    """Return what there is to train on, the automatic choice first.

    Parameters
    ----------
    found : sequence of Gpu
        As `gpus` returns them.

    Returns
    -------
    list of (str, str)
        In words, and as `workbench.training.config.TrainingConfig.device` names it.
    """
    if found:
        automatic = f"GPU {found[0].index}"
    else:
        automatic = "the GPU, if torch finds one" if may_have_gpu() else "the processor"
    choices = [(f"Automatic: {automatic}", "")]
    choices += [
        (f"GPU {gpu.index}: {gpu.name}, {gpu.memory / _GIBIBYTE:.0f} GiB", str(gpu.index))
        for gpu in found
    ]
    if len(found) > 1:
        every = ",".join(str(gpu.index) for gpu in found)
        choices.append((f"All {len(found)} GPUs", every))
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        choices.append(("Apple GPU", "mps"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [*choices, (f"Processor, {cores} cores", "cpu")]


def device_keys(device: str) -> frozenset[str]:
    """Return which devices a setting occupies, so that runs can take turns on them.

    Parameters
    ----------
    device : str
        As in `workbench.training.config.TrainingConfig`.
    """
    text = device.replace("cuda:", "").replace("cuda", "0").strip("[]() ").lower()
    if not text:
        return frozenset({"gpu 0"} if gpus() or may_have_gpu() else {"cpu"})
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return frozenset(f"gpu {part}" if part.isdigit() else part for part in parts)


def torch_is_for_cpu() -> bool:
    """Say whether the installed torch was built without any GPU, without importing it."""
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


def _parse(number: int, line: str) -> Gpu | None:
    try:
        name, total, free = (cell.strip() for cell in line.rsplit(",", 2))
        return Gpu(number, name, int(total) * _MEBIBYTE, int(free) * _MEBIBYTE)
    except ValueError:  # a GPU that does not tell, such as one that is divided (MIG)
        return None


def _visible(found: list[Gpu]) -> list[Gpu]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return found
    numbers = [part.strip() for part in chosen.split(",") if part.strip()]
    if not all(number.isdigit() for number in numbers):  # by their ids: trust that they exist
        return found if numbers else []
    by_number = {gpu.index: gpu for gpu in found}
    there = [by_number[int(number)] for number in numbers if int(number) in by_number]
    return [Gpu(place, gpu.name, gpu.memory, gpu.memory_free) for place, gpu in enumerate(there)]
