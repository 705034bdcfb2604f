"""What this computer offers: GPU, camera, browser, disk, shared memory."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from workbench.doctor.findings import Finding, Status
from workbench.errors import InvalidDatasetError
from workbench.persistence.scratch import scratch_prefix

if TYPE_CHECKING:
    from workbench.persistence.models import DatasetInfo

_GIB = 2**30
_FREE_NEEDED = 1 * _GIB
_FREE_COMFORTABLE = 10 * _GIB
_SHARED_MEMORY_COMFORTABLE = 1 * _GIB
_NAMED = 3
_CPU = "training runs on the CPU"


def check_gpu(probe: Mapping[str, Any], *, has_nvidia: bool) -> Finding:
    """Judge what training can run on.

    Parameters
    ----------
    probe : mapping
        What the ``torch`` probe found.
    has_nvidia : bool
        Whether an NVIDIA driver is loaded, whatever PyTorch makes of it.
    """
    if "failure" in probe or probe["problem"] is not None:
        return Finding(Status.NOTE, "GPU", "not looked at, because PyTorch does not load")
    if probe["gpus"] and probe["gpu_problem"] is None:
        return Finding(Status.OK, "GPU", ", ".join(probe["gpus"]))
    if probe["gpus"]:
        return Finding(
            Status.PROBLEM,
            "GPU",
            f"{', '.join(probe['gpus'])} does not work: {probe['gpu_problem']}",
            "Install a PyTorch that has code for this GPU, or train with device='cpu'.",
        )
    if probe["mps"]:
        return Finding(Status.OK, "GPU", "Apple's GPU (device 'mps')")
    if not has_nvidia:
        return Finding(Status.NOTE, "GPU", f"none found: {_CPU}")
    if probe["cuda"] is None:
        return Finding(
            Status.NOTE,
            "GPU",
            f"there is an NVIDIA GPU, but this PyTorch was built without CUDA: {_CPU}",
            "Install a torch and torchvision that were both built for CUDA.",
        )
    return Finding(
        Status.NOTE,
        "GPU",
        f"PyTorch, built for CUDA {probe['cuda']}, does not reach the NVIDIA GPU: {_CPU}"
        + (f" ({probe['gpu_problem']})" if probe["gpu_problem"] else ""),
        "Update the NVIDIA driver; in a container, start it with access to the GPU (--gpus all).",
    )


def check_camera(probe: Mapping[str, Any], platform: str) -> Finding:
    """Judge the cameras of the computer that the kernel runs on.

    Parameters
    ----------
    probe : mapping
        What the ``camera`` probe found.
    platform : str
        `sys.platform`.
    """
    elsewhere = "The browser's camera, video files and folders of pictures work without one."
    if "failure" in probe:
        return Finding(Status.NOTE, "Camera", f"not usable: {probe['failure']}", elsewhere)
    if probe["locked"]:
        return Finding(
            Status.PROBLEM,
            "Camera",
            f"{', '.join(probe['locked'])} cannot be opened by {_user()}",
            f"Run `sudo usermod -aG video {_user()}` and log in again.",
        )
    working = {name: size for name, size in probe["cameras"].items() if size is not None}
    if working:
        return Finding(
            Status.OK, "Camera", ", ".join(f"{name} {size}" for name, size in working.items())
        )
    if probe["cameras"] and platform == "linux":
        return Finding(
            Status.NOTE,
            "Camera",
            f"{', '.join(probe['cameras'])} gave no picture",
            "Close the program that uses it, or unplug it and plug it in again. " + elsewhere,
        )
    return Finding(Status.NOTE, "Camera", "none at this computer", elsewhere)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id may have no name
        return "this user"


def check_browser(environ: Mapping[str, str]) -> Finding:
    """Say where the page must come from so that the browser lets it use a camera.

    Browsers offer ``getUserMedia`` only to pages from https or from localhost (W3C, "Media
    Capture and Streams", secure contexts).
    """
    if environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return Finding(
            Status.NOTE,
            "Browser",
            "this is a JupyterHub: the browser's camera works if its address begins with https://",
            "To use this environment in the JupyterLab you are in, run "
            "`python -m ipykernel install --user --name workbench` and choose that kernel.",
        )
    if environ.get("TERM_PROGRAM") == "vscode":
        return Finding(
            Status.NOTE,
            "Browser",
            "notebooks inside VS Code have no camera",
            "Run `workbench lab` and open the address that it prints in a browser.",
        )
    if environ.get("SSH_CONNECTION"):
        return Finding(
            Status.NOTE,
            "Browser",
            "you are connected over SSH: a page opened under this machine's name has no camera, "
            "one under https:// or localhost has",
            "Forward the port with the line that `workbench lab` prints, "
            "and open its localhost address.",
        )
    return Finding(
        Status.OK,
        "Browser",
        "pages from localhost may use the camera; "
        "under another name of this machine they need https://",
    )


def check_data_folder(folder: Path) -> Finding:
    """Write, lock and delete a file where the datasets go, and look at the free space.

    Parameters
    ----------
    folder : Path
        The data folder; if it does not exist, the nearest folder above it is tried.
    """
    folder = folder.expanduser().absolute()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    other = "Choose another folder, or give this user write access to it."
    if not existing.is_dir():
        return Finding(Status.PROBLEM, "Data", f"{existing} is a file, not a folder", other)
    try:
        prefix = scratch_prefix("doctor", existing)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=existing) as trial:
            (Path(trial) / "file").write_bytes(b"x")
            with FileLock(Path(trial) / "lock", timeout=5):
                pass
    except (OSError, NotImplementedError) as error:
        return Finding(Status.PROBLEM, "Data", f"{existing} cannot be used: {error}", other)
    free = shutil.disk_usage(existing).free
    if folder.parent not in (existing, existing.parent):
        return Finding(
            Status.NOTE,
            "Data",
            f"{folder} is not there, nor is the folder above it: the first that is there is "
            f"{existing}, with {free / _GIB:.1f} GiB free",
            "If the name is meant like this, nothing is to be done: the folders are made when the "
            "first dataset is.",
        )
    return judge_free_space(folder, free, exists=existing == folder)


def check_datasets(folder: Path) -> list[Finding]:
    """Find the datasets that cannot be read, and those whose links lead out of them.

    Parameters
    ----------
    folder : Path
        The data folder, which need not exist.
    """
    import asyncio

    from workbench.persistence import DatasetStore
    from workbench.persistence.stores.folders import DatasetRoot

    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        return []
    infos = asyncio.run(DatasetStore(DatasetRoot(folder)).list())
    damaged = [
        Finding(
            Status.PROBLEM,
            "Dataset",
            f"{info.name} is damaged: {info.problem}",
            f"Look at {info.path}; the other datasets can be used meanwhile.",
            shared="a dataset is damaged",
        )
        for info in infos
        if info.problem
    ]
    leading_out = [_links_found(info) for info in infos if not info.problem]
    return damaged + [finding for finding in leading_out if finding is not None]


def _links_found(info: DatasetInfo) -> Finding | None:
    """Return what is to be said of links that lead out of a dataset, if there are some."""
    from workbench.persistence.links import remedy_of_folder, untrusted_links

    try:
        folders = untrusted_links(str(info.path))
    except InvalidDatasetError as error:
        return Finding(
            Status.PROBLEM,
            "Dataset",
            str(error),
            f"Look at {info.path}; the other datasets can be used meanwhile.",
            shared="a dataset cannot be looked through",
        )
    if not folders:
        return None
    more = f" and {len(folders) - _NAMED} more" if len(folders) > _NAMED else ""
    return Finding(
        Status.NOTE,
        "Dataset",
        f"{info.name} has links that lead out of it, to {', '.join(folders[:_NAMED])}{more}: what "
        f"lies there is shown and trained on, and goes into no export and no version",
        f"{remedy_of_folder(str(info.path))}.",
        shared="a dataset has links that lead out of it",
    )


def check_models(folder: Path) -> list[Finding]:
    """Find the models whose facts cannot be read.

    Parameters
    ----------
    folder : Path
        The folder of the models, which need not exist.
    """
    import asyncio

    from workbench.persistence.opening import model_store

    if not folder.is_dir():
        return []
    return [
        Finding(
            Status.PROBLEM,
            "Model",
            f"{info.name} is damaged: {info.problem}",
            f"Put {info.path}/model.json back from a copy, or delete the model in the models "
            f"panel, which moves it to the trash; the other models can be used meanwhile.",
            shared="a model is damaged",
        )
        for info in asyncio.run(model_store(folder).list())
        if info.problem
    ]


def judge_free_space(folder: Path, free: int, *, exists: bool) -> Finding:
    """Judge `free` bytes for a data folder that can be written."""
    text = f"{folder} {'is' if exists else 'will be made, its place is'} writable, "
    text += f"{free / _GIB:.1f} GiB free"
    more = "Make room, or choose a folder on a larger disk."
    if free < _FREE_NEEDED:
        return Finding(Status.PROBLEM, "Data", text, more)
    if free < _FREE_COMFORTABLE:
        return Finding(Status.NOTE, "Data", f"{text}: little for training runs", more)
    return Finding(Status.OK, "Data", text)


def check_shared_memory(folder: Path) -> list[Finding]:
    """Find containers whose shared memory is too small for PyTorch's loading processes.

    Parameters
    ----------
    folder : Path
        Where shared memory is mounted; a system without it has no such limit.
    """
    if not folder.is_dir():
        return []
    total = shutil.disk_usage(folder).total
    if total >= _SHARED_MEMORY_COMFORTABLE:
        return []
    return [
        Finding(
            Status.NOTE,
            "Shared memory",
            f"{total / 2**20:.0f} MiB: training may end with a bus error",
            "Start the container with --shm-size=2g, or train with workers=0.",
        )
    ]
