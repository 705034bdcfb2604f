"""Teach the detector that a first lesson starts from: ``python -m tools.start_detector``.

Where pretrained weights are not on a disk, what is taught as somebody annotates would start from
random numbers, and ten images are few to learn from what a thing is at all. This one has seen drawn
things of many kinds (`tools.start_scenes`) and nothing else, so that no weights and no pictures of
anybody else are in it. Half an hour on two CPU cores.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

import cv2

from tools.sample_detector import ARCHITECTURE, write
from tools.start_scenes import FAMILIES, scenes
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import NewImage
from workbench.training.base_models import START
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner

SEED = 11
IMAGES, EPOCHS, SIDE = 6_000, 8, 192
_VAL_EVERY = 20
_AT_ONCE = 500


async def teach(folder: Path) -> Path:
    """Train it in a folder; return its weights."""
    stores = create_stores(folder / "data", folder / "models")
    await _draw(stores)
    config = TrainingConfig(
        dataset="things",
        base_model=ARCHITECTURE,
        epochs=EPOCHS,
        image_size=SIDE,
        batch=16,
        cache="ram",
        workers=0,
        patience=0,
        model_name="things",
        extra={
            "optimizer": "AdamW",
            "lr0": 0.002,
            "nbs": 16,
            "warmup_epochs": 0.5,
            "close_mosaic": 2,
        },
    )
    run = await TrainingRunner(stores, folder / "runs").start(config)
    await run.wait()
    return await stores.model.load("things")


async def _draw(stores: Stores) -> None:
    await stores.dataset.create("things", classes=list(FAMILIES))
    new = []
    for number, (frame, boxes) in enumerate(scenes(IMAGES, seed=SEED)):
        split = "train" if number % _VAL_EVERY else "val"
        quality = [cv2.IMWRITE_JPEG_QUALITY, 60 + number % 40]
        content = cv2.imencode(".jpg", frame, quality)[1].tobytes()
        new.append(NewImage(f"{number:05}.jpg", split, content, boxes))
        if len(new) == _AT_ONCE:
            await stores.image.add_many("things", new)
            new = []
    await stores.image.add_many("things", new)


def main() -> None:
    """Teach it, or write what was taught."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, help="of a run that was this one")
    parser.add_argument("--out", type=Path, default=START)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-teach-") as folder:
        weights = options.weights or asyncio.run(teach(Path(folder)))
        write(weights, options.out, EPOCHS, SIDE)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
