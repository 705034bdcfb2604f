"""A tiny dataset of drawn shapes, a tiny training on it, and a guard against the network."""

from __future__ import annotations

import asyncio
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage
from workbench.training.config import TrainingConfig
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner

CLASSES = ["square", "disc"]
TINY = {
    "dataset": "shapes",
    "base_model": "yolo11n.yaml",
    "image_size": 64,
    "batch": 4,
    "workers": 0,
    "device": "cpu",
}
# Nobody waits for so many: a run that is to be stopped, paused or killed cannot be over before.
ENDLESS = {**TINY, "epochs": 500, "patience": 0}

# Python imports a module of this name when it starts, in every process that inherits the path.
_GUARD = """
import os, sys
def guard(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host in (None, "", "localhost", "::1") or str(host).startswith("127."):
        return
    with open(os.environ["NETWORK_GUARD_LOG"], "a") as log:
        log.write(f"{event} {host} by {sys.argv}\\n")
    raise OSError(f"no network in tests: {host}")
sys.addaudithook(guard)
"""


def install_network_guard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every process started from here on log, and fail in, each use of the network."""
    (folder / "sitecustomize.py").write_text(_GUARD)
    log = folder / "network.log"
    monkeypatch.setenv("NETWORK_GUARD_LOG", str(log))
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(folder), *([inherited] if inherited else [])])
    monkeypatch.setenv("PYTHONPATH", path)
    return log


def shapes(num_train: int, num_val: int, size: int = 64) -> Iterator[NewImage]:
    """Pictures with one or two squares and discs on a noisy ground, with their boxes."""
    rng = np.random.default_rng(7)
    for split, count in (("train", num_train), ("val", num_val)):
        for number in range(count):
            picture = rng.integers(90, 140, (size, size, 3), dtype=np.uint8)
            boxes = [_draw(picture, rng) for _ in range(rng.integers(1, 3))]
            yield NewImage(f"{split}_{number:03d}.png", split, picture, boxes)


def _draw(picture: np.ndarray, rng: np.random.Generator) -> Annotation:
    size = picture.shape[0]
    class_id = int(rng.integers(2))
    side = int(rng.integers(size // 4, size // 2))
    left, top = (int(value) for value in rng.integers(0, size - side, 2))
    if class_id == 0:
        cv2.rectangle(picture, (left, top), (left + side - 1, top + side - 1), (30, 30, 220), -1)
    else:
        middle = (left + side // 2, top + side // 2)
        cv2.circle(picture, middle, side // 2, (220, 60, 30), -1)
    centre = ((left + side / 2) / size, (top + side / 2) / size)
    return Annotation(class_id, *centre, side / size, side / size)


async def make_shapes(stores: Stores, num_train: int = 12, num_val: int = 4) -> None:
    """Put the dataset ``shapes`` into the stores."""
    await stores.dataset.create_from("shapes", CLASSES, shapes(num_train, num_val))


@dataclass(frozen=True)
class Trained:
    """What is left of one training that ran to its end."""

    stores: Stores
    runner: TrainingRunner
    run: Run
    cwd_before: set[str]
    cwd_after: set[str]
    network_log: Path


def _names_here() -> set[str]:
    return {path.name for path in Path.cwd().iterdir()}


_KEY = pytest.StashKey[Trained]()


def trained_once(config: pytest.Config, base: Path) -> Trained:
    """Train two epochs on the shapes, the first time that a session asks for it."""
    if _KEY not in config.stash:
        config.stash[_KEY] = asyncio.run(_train(base))
    return config.stash[_KEY]


async def _train(base: Path) -> Trained:
    stores = create_stores(data_dir=base / "data", models_dir=base / "models")
    await make_shapes(stores)
    runner = TrainingRunner(stores, base / "runs")
    cwd_before = _names_here()
    with pytest.MonkeyPatch.context() as monkeypatch:
        guard = base / "guard"
        guard.mkdir()
        network_log = install_network_guard(guard, monkeypatch)
        run = await runner.start(TrainingConfig(**TINY, epochs=2))
    await run.wait()
    return Trained(stores, runner, run, cwd_before, _names_here(), network_log)


def poisoned(trained: Trained, folder: Path, target: Path) -> Path:
    """Good weights with a call before their model: they still load, after the call."""
    source = trained.run.path / "weights" / "best.pt"
    call = f"cposix\nsystem\n(Vtouch {target}\ntR0".encode()
    path = folder / "stranger.pt"
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(path, "w") as bad:
        for member in good.infolist():
            content = good.read(member)
            if member.filename.endswith("data.pkl"):
                content = content[:2] + call + content[2:]
            bad.writestr(member, content)
    return path
