"""Evaluate and predict with a really trained model, beside Ultralytics on the same images.

    python benchmarks/evaluation.py --voc path/to/BCCD --epochs 2
    python benchmarks/evaluation.py --quick            # generated shapes, anywhere

First a model is trained, from the bare architecture unless ``--weights`` names some. Then
product and baseline alternate in this process: the evaluation of a split beside Ultralytics'
``val`` on the same images, which must give the same numbers to three decimals; and the
prediction of a folder beside ``model.predict`` on one file after the other, which must find
the same boxes. ``--check`` makes the exit status 1 where a bound or a number is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import Row, alternate, print_table, timed  # noqa: E402
from workbench import import_dataset, samples  # noqa: E402
from workbench.evaluation.coco import to_frame  # noqa: E402
from workbench.evaluation.evaluation import Evaluation  # noqa: E402
from workbench.evaluation.evaluator import Evaluator  # noqa: E402
from workbench.evaluation.metrics import Metrics  # noqa: E402
from workbench.labelling.predictor import Predictor  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import NewImage, Prediction  # noqa: E402
from workbench.training.config import TrainingConfig  # noqa: E402
from workbench.training.environment import import_ultralytics  # noqa: E402
from workbench.training.runner import TrainingRunner  # noqa: E402

DATASET, MODEL = "bench", "bench"
EVALUATION_BOUND, FOLDER_BOUND = 1.2, 1.0
DECIMALS = 5e-4
"""Numbers that differ by less are the same to three decimals."""
_SAME_BOX = 1.0  # pixels; scaling in a batch or alone rounds differently in the last bits


async def bring_in(stores: Stores, args: argparse.Namespace) -> None:
    """Import the Pascal VOC folder, or make a dataset of generated scenes."""
    if args.voc:
        await import_dataset(stores, args.voc, name=DATASET)
        return
    scenes = samples.scenes(40 if args.quick else 200)
    images = (
        NewImage(f"scene_{number:03d}.jpg", "val" if number % 2 else "train", frame, boxes)
        for number, (frame, boxes) in enumerate(scenes)
    )
    await stores.dataset.create_from(DATASET, samples.CLASSES, images)


async def provide_model(stores: Stores, folder: Path, args: argparse.Namespace) -> str:
    """Register the given weights, or train some; return the model's name."""
    if args.weights:
        await stores.model.save(MODEL, args.weights, str(args.weights), DATASET)
        return MODEL
    runner = TrainingRunner(stores, folder / "runs")
    run = await runner.start(
        TrainingConfig(
            dataset=DATASET,
            base_model="yolo11n.yaml",
            epochs=args.epochs,
            image_size=args.imgsz,
            batch=8,
            cache="ram",
            model_name=MODEL,
            extra={"optimizer": "AdamW", "lr0": 0.002},
        )
    )
    progress = await run.wait()
    if progress.state != "finished":
        raise SystemExit(f"training is {progress.state}: {run.path}")
    return run.read_model_name()


class Subject:
    """Both sides, loaded and ready."""

    def __init__(self, stores: Stores, folder: Path, weights: Path, args: argparse.Namespace):
        self.loop = asyncio.new_event_loop()
        self.stores, self.folder, self.args = stores, folder, args
        self.predictor = Predictor(stores, device="cpu")
        self.evaluator = Evaluator(stores, self.predictor)
        self.yolo = import_ultralytics().YOLO(str(weights))
        logging.getLogger("ultralytics").setLevel(logging.ERROR)
        self.data = self.run(stores.dataset.snapshot(DATASET, folder / "view", labelled_only=True))
        self.paths = sorted((self.data.path / "images" / args.split).iterdir())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for something asynchronous."""
        return self.loop.run_until_complete(work)

    def evaluate(self) -> Evaluation:
        """Evaluate with the product, predicting every image."""
        return self.run(
            self.evaluator.evaluate(DATASET, self.args.split, model=MODEL, refresh=True)
        )

    def validate(self) -> Any:
        """Evaluate with the baseline."""
        return self.yolo.val(
            data=str(self.data.data_yaml),
            split=self.args.split,
            device="cpu",
            plots=False,
            verbose=False,
            project=str(self.folder / "val"),
        )

    def predict_folder(self) -> list[list[Prediction]]:
        """Predict all images with the product."""
        return self.run(self.predictor.predict_many(self.paths, self.args.confidence, model=MODEL))

    def predict_in_a_loop(self) -> list[Any]:
        """Predict one image after the other with the baseline."""
        return [
            self.yolo.predict(
                str(path), conf=self.args.confidence, device="cpu", verbose=False, save=False
            )[0]
            for path in self.paths
        ]


def paired_numbers(ours: Metrics, theirs: Any) -> dict[str, tuple[float, float]]:
    """Return our numbers beside those of Ultralytics' ``val``, by name."""
    rows = {
        "precision": (ours.precision, float(theirs.box.mp)),
        "recall": (ours.recall, float(theirs.box.mr)),
        "mAP50": (ours.map50, float(theirs.box.map50)),
        "mAP75": (ours.map75, float(theirs.box.map75)),
        "mAP50-95": (ours.map, float(theirs.box.map)),
    }
    for row, ap50, ap in zip(ours.classes, theirs.box.ap50, theirs.box.ap, strict=True):
        rows[f"AP50 {row.name}"] = (row.ap50, float(ap50))
        rows[f"AP50-95 {row.name}"] = (row.ap, float(ap))
    return rows


def compare_numbers(subject: Subject) -> bool:
    """Print the numbers of both sides; return whether they are the same."""
    evaluation, theirs = subject.evaluate(), subject.validate()
    rows = paired_numbers(evaluation.metrics, theirs)
    good = True
    print(f"\n{len(evaluation.filenames)} images, {len(evaluation.truth)} labels, ", end="")
    print(f"{len(evaluation.detections)} predictions; workbench, ultralytics:")
    for name, (mine, other) in rows.items():
        same = abs(mine - other) < DECIMALS
        good = good and same
        print(f"  {name:22} {mine:.5f} {other:.5f} {'' if same else 'DIFFERENT'}")
    print("\nby size of the object, as COCO counts:")
    print(to_frame(evaluation.by_size).round(4).to_string())
    for note in evaluation.notes:
        print(f"  note: {note}")
    return good


def compare_boxes(subject: Subject) -> bool:
    """Print how many boxes both sides predict; return whether they are the same."""
    ours, theirs = subject.predict_folder(), subject.predict_in_a_loop()
    apart, counts = 0.0, [0, 0]
    for mine, other in zip(ours, theirs, strict=True):
        counts[0] += len(mine)
        counts[1] += len(other.boxes)
        if len(mine) == len(other.boxes) and mine:
            size = np.tile(other.orig_shape[::-1], 2)
            boxes = np.array([one.xywh for one in mine]) * size
            # To the nearest: boxes of nearly equal confidence may change places.
            each = np.abs(boxes[:, np.newaxis] - other.boxes.xywh.numpy()).max(axis=2).min(axis=1)
            apart = max(apart, float(each.max()))
    good = counts[0] == counts[1] and apart < _SAME_BOX
    print(f"\nfolder of {len(ours)}: {counts[0]} boxes, in a loop {counts[1]}, ", end="")
    print(f"at most {apart:.3g} pixels apart {'' if good else 'DIFFERENT'}")
    return good


def measure(subject: Subject, rounds: int) -> list[Row]:
    """Time both pairs."""

    def pair(product: Callable[[], object], baseline: Callable[[], object]) -> Any:
        return alternate(lambda: timed(product), lambda: timed(baseline), rounds)

    return [
        Row(
            f"evaluate {len(subject.paths)} images",
            "ultralytics val",
            pair(subject.evaluate, subject.validate),
            EVALUATION_BOUND,
        ),
        Row(
            f"predict {len(subject.paths)} files",
            "model.predict in a loop",
            pair(subject.predict_folder, subject.predict_in_a_loop),
            FOLDER_BOUND,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voc", type=Path, help="Pascal VOC folder; default: generated scenes")
    parser.add_argument("--weights", type=Path, help="a trained model; default: train one")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--split", default="val")
    parser.add_argument("--confidence", type=float, default=0.25, help="for the folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few images at 64 pixels, 2 rounds")
    parser.add_argument("--check", action="store_true", help="exit 1 where a bound is missed")
    args = parser.parse_args()
    if args.quick:
        args.epochs, args.imgsz, args.rounds = 1, 64, 2
    with tempfile.TemporaryDirectory(prefix="workbench-evaluation-") as name:
        folder = Path(name)
        stores = create_stores(data_dir=folder / "data", models_dir=folder / "models")

        async def prepare() -> Path:
            await bring_in(stores, args)
            return await stores.model.load(await provide_model(stores, folder, args))

        subject = Subject(stores, folder, asyncio.run(prepare()), args)
        good = compare_numbers(subject)
        good = compare_boxes(subject) and good
        rows = measure(subject, args.rounds)
        print()
        print_table(rows)
        subject.predictor.close()
    missed = [row for row in rows if row.missed]
    return 1 if args.check and (missed or not good) else 0


if __name__ == "__main__":
    sys.exit(main())
