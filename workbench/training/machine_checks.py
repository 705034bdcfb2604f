"""Whether the machine can do a training run: its device, its memory, its disk.

How much a run will need is known roughly at best, so that only what cannot work at all is
an error.
"""

from __future__ import annotations

import platform
import re
from importlib.util import find_spec
from pathlib import Path

import psutil

from workbench.persistence.models import DatasetInfo
from workbench.persistence.run_folder import free_space
from workbench.training.config import BaseModel, TrainingConfig
from workbench.training.devices import Gpu, gpus, may_have_gpu
from workbench.training.problems import ERROR, WARNING, Problem

_GIBIBYTE = 2**30
_PIXELS = 640 * 640
# GiB that one image of 640 pixels keeps for the backward pass (all tensors that autograd
# saved, in 32 bits), and MiB of a checkpoint with its optimizer; measured with yolo11.
_ACTIVATIONS = {"n": 0.21, "s": 0.39, "m": 0.83, "l": 1.1, "x": 1.6}
_CHECKPOINT_MIB = {"n": 26, "s": 94, "m": 200, "l": 250, "x": 570}
_OVERHEAD = 1.25  # the loss, gradients, and what is held for a moment only
_PROCESS = 0.8 * _GIBIBYTE  # Python, torch and Ultralytics by themselves
_HALF_PRECISION = 0.6  # of the memory, where a GPU computes in mixed precision
# last and best, ours and Ultralytics', and one that is being written
_CHECKPOINT_COPIES = 5
_HANDS_OVER = "cloudpickle"
_SCALE = re.compile(r"\d+-?([nsmlx])(?:[-._]|$)")


def check_machine(
    info: DatasetInfo, config: TrainingConfig, base: BaseModel, runs_dir: Path
) -> list[Problem]:
    """Return what speaks against a run on this machine. Asks drivers: for a thread."""
    found = gpus()
    problems = _check_device(config, found)
    if problems:
        return problems
    on_gpu = gpus_of(config.device, found)
    scale = scale_of(base.label)
    return [
        *_check_batch(config, bool(on_gpu) or may_have_gpu()),
        *_check_several(config),
        *_check_memory(config, scale, on_gpu),
        *_check_cache(info, config),
        *check_disk(config, scale, runs_dir),
    ]


def scale_of(label: str) -> str:
    """Return the scale in the name of an architecture, ``"n"`` to ``"x"``; else ``"m"``."""
    match = _SCALE.search(label.lower())
    return match.group(1) if match else "m"


def estimated_memory(config: TrainingConfig, scale: str) -> float:
    """Return about how many bytes training takes in 32 bits, for a batch that is given."""
    activations = _ACTIVATIONS[scale] * _GIBIBYTE * config.image_size**2 / _PIXELS
    return config.batch * activations * _OVERHEAD


def needed_memory(config: TrainingConfig, scale: str, num_gpus: int) -> float:
    """Return about how many bytes a run takes: of each GPU, or of the machine if it uses none."""
    needed = estimated_memory(config, scale)
    return needed * _HALF_PRECISION / num_gpus if num_gpus else needed + _PROCESS


def gpus_of(device: str, found: list[Gpu]) -> list[Gpu]:
    """Return those of the GPUs there are that a setting means."""
    device = device.strip().lower().replace("cuda:", "")
    if not device:
        return found[:1]
    numbers = {part.strip() for part in device.split(",")}
    return [gpu for gpu in found if str(gpu.index) in numbers]


def _check_device(config: TrainingConfig, found: list[Gpu]) -> list[Problem]:
    device = config.device.strip().lower()
    if device == "mps" and platform.system() != "Darwin":
        text = "device 'mps' is for Apple computers"
        return [Problem(ERROR, text, "take '' or 'cpu'", settings=(("device", ""),))]
    numbers = [part.strip() for part in device.replace("cuda:", "").split(",")]
    if not all(number.isdigit() for number in numbers):
        return []  # "", "cpu", "mps", or something that only torch can judge
    missing = [number for number in numbers if int(number) not in {gpu.index for gpu in found}]
    if not missing or (not found and may_have_gpu()):
        return []
    there = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in found)
    return [
        Problem(
            ERROR,
            f"device {config.device!r}: GPU {', '.join(missing)} is not there"
            if found
            else f"device {config.device!r}: torch finds no GPU on this machine",
            f"there are {there}" if found else "take 'cpu', or leave it empty",
            settings=(("device", ""),),
        )
    ]


def _check_batch(config: TrainingConfig, has_gpu: bool) -> list[Problem]:
    automatic = isinstance(config.batch, float) or config.batch < 1
    if automatic and "," in config.device:
        text = f"batch {config.batch} is measured on one GPU only, and {config.device} are several"
        return [Problem(ERROR, text, "give a number, a multiple of the number of GPUs")]
    if automatic and (config.device.strip().lower() == "cpu" or not has_gpu):
        text = f"batch {config.batch} is measured on a GPU, and this run has none"
        remedy = "Ultralytics takes 16; give a number to choose"
        return [Problem(WARNING, text, remedy, settings=(("batch", 16),))]
    return []


def _check_several(config: TrainingConfig) -> list[Problem]:
    """Ultralytics hands a run to its processes, one for each GPU, by a package of its own choice.

    It would install that without asking, which no run of ours may.
    """
    if "," not in config.device or find_spec(_HANDS_OVER):
        return []
    text = (
        f"device {config.device!r}: on several GPUs Ultralytics needs {_HANDS_OVER}, not installed"
    )
    return [Problem(ERROR, text, f"`pip install {_HANDS_OVER}`, or take one GPU")]


def _check_memory(config: TrainingConfig, scale: str, on_gpu: list[Gpu]) -> list[Problem]:
    if isinstance(config.batch, float) or config.batch < 1:
        return []
    needed = needed_memory(config, scale, len(on_gpu))
    if on_gpu:
        free, where = float(min(gpu.memory_free for gpu in on_gpu)), "GPU memory"
        note = "or end what else uses the GPU"
    else:
        free, where = float(psutil.virtual_memory().available), "memory"
        note = "or close other programs"
    if needed <= free:
        return []
    fits = max(int(config.batch * free / needed), 1)
    return [
        Problem(
            WARNING,
            f"Batch {config.batch} at {config.image_size} pixels takes about {_gib(needed)} of "
            f"{where}, and {_gib(free)} are free",
            f"take a batch of about {fits}, or a smaller image size, {note}",
            settings=(("batch", fits),),
        )
    ]


def _check_cache(info: DatasetInfo, config: TrainingConfig) -> list[Problem]:
    if config.cache != "ram":
        return []
    images = info.num_images.get("train", 0) + info.num_images.get("val", 0)
    needed, free = images * config.image_size**2 * 3, psutil.virtual_memory().available
    if needed <= free:
        return []
    text = f"cache 'ram' takes up to {_gib(needed)}, and {_gib(free)} are free"
    return [Problem(WARNING, text, "take 'disk', or no cache", settings=(("cache", "disk"),))]


def check_disk(config: TrainingConfig, scale: str, runs_dir: Path) -> list[Problem]:
    """Return what speaks against a run where its files would go."""
    needed = _CHECKPOINT_MIB[scale] * 2**20 * _CHECKPOINT_COPIES
    free = free_space(runs_dir)
    text = f"The run's checkpoints take about {_gib(needed)}, and {_gib(free)} are free"
    remedy = f"free some space on the disk of {runs_dir}"
    if needed > free:
        return [Problem(ERROR, text, remedy)]
    return [Problem(WARNING, text, remedy)] if 2 * needed > free else []


def _gib(size: float) -> str:
    return f"{size / _GIBIBYTE:.1f} GiB"
