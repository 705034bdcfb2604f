"""Teach the small detector that comes with the samples: ``python -m tools.sample_detector``.

It learns generated scenes only, from random numbers and the architecture ``yolo11n.yaml``, so that
no weights of anybody else are in it. Five minutes on two CPU cores. What is written holds layers,
numbers and how it was measured: no paths and no settings of the machine that it was taught on.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from workbench import samples
from workbench.persistence import create_stores
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner
from workbench.training.weights_check import load_rewritten, rewritten_weights

SEED = 7
"""Not that of the tour: what the tour shows it has never seen."""
IMAGES, EPOCHS, SIDE = 480, 25, 160
ARCHITECTURE = "yolo11n.yaml"


async def teach(folder: Path) -> Path:
    """Train it in a folder; return its weights."""
    stores = create_stores(folder / "data", folder / "models")
    await samples.create_shapes(stores, num_images=IMAGES, seed=SEED)
    config = TrainingConfig(
        dataset="shapes",
        base_model=ARCHITECTURE,
        epochs=EPOCHS,
        image_size=SIDE,
        cache="ram",
        workers=0,
        model_name="shapes",
        extra={"optimizer": "AdamW", "lr0": 0.002, "close_mosaic": 5},
    )
    run = await TrainingRunner(stores, folder / "runs").start(config)
    await run.wait()
    return await stores.model.load("shapes")


def write(weights: Path, target: Path, epochs: int = EPOCHS, side: int = SIDE) -> None:
    """Write what is needed of a checkpoint: the network in half precision, and what it can do."""
    import torch

    found = load_rewritten(rewritten_weights(weights))
    arguments = {"task": "detect", "model": ARCHITECTURE, "epochs": epochs, "imgsz": side}
    model = found["model"].half()
    model.args = arguments
    model.yaml["yaml_file"] = ARCHITECTURE
    kept: dict[str, Any] = {
        name: found[name] for name in ("date", "version", "license", "docs", "train_metrics")
    }
    kept["train_results"] = {"epoch": found["train_results"]["epoch"]}
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**kept, "epoch": -1, "train_args": arguments, "model": model}, target)


def main() -> None:
    """Teach it, or write what was taught."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, help="of a run that was this one")
    parser.add_argument("--out", type=Path, default=samples.DETECTOR)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-teach-") as folder:
        weights = options.weights or asyncio.run(teach(Path(folder)))
        write(weights, options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
