"""What :func:`workbench.doctor.probing.run_probe` runs: each probe prints one line of JSON."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any


def probe_torch() -> dict[str, Any]:
    """Look whether torch and torchvision load, and which GPUs they reach.

    Returns
    -------
    dict
        ``problem`` (str or None); without a problem also ``cuda`` (version it was built for, or
        None), ``gpus`` (names and GiB), ``gpu_problem`` (str or None) and ``mps`` (bool).
    """
    from workbench.training.environment import check_torch

    problem = check_torch()
    if problem is not None:
        return {"problem": problem}
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    gpus: list[str] = []
    gpu_problem = str(caught[0].message).splitlines()[0] if caught and not available else None
    if available:
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            gpus.append(f"{properties.name} ({properties.total_memory / 2**30:.0f} GiB)")
        try:
            # "Available" only says that a driver answers, not that this build has code for it.
            torch.ones(1, device="cuda").add(1).item()
        except RuntimeError as error:
            gpu_problem = str(error).splitlines()[0]
    return {
        "problem": None,
        "cuda": torch.version.cuda,
        "gpus": gpus,
        "gpu_problem": gpu_problem,
        "mps": torch.backends.mps.is_available(),
    }


def probe_camera() -> dict[str, Any]:
    """Open each camera of this computer and take one frame.

    Returns
    -------
    dict
        ``cameras``: device name -> size of its frame such as ``"640x480"``, or None if it gave
        none; ``locked``: devices that this user may not open.
    """
    import cv2

    cameras: dict[str, str | None] = {}
    locked: list[str] = []
    if sys.platform == "linux":
        devices: list[str | int] = [str(path) for path in sorted(Path("/dev").glob("video*"))]
    else:
        devices = [0]  # other systems have no list to read; the first camera is the usual one
    for device in devices:
        if isinstance(device, str) and not os.access(device, os.R_OK | os.W_OK):
            locked.append(device)
            continue
        capture = cv2.VideoCapture(device)
        arrived, frame = capture.read()
        capture.release()
        cameras[str(device)] = f"{frame.shape[1]}x{frame.shape[0]}" if arrived else None
    return {"cameras": cameras, "locked": locked}


if __name__ == "__main__":
    print(json.dumps({"torch": probe_torch, "camera": probe_camera}[sys.argv[1]]()))
