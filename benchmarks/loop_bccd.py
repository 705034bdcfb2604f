"""Go once round the loop on real pictures: import, edit, train, register, predict, draw.

    python benchmarks/loop_bccd.py --voc path/to/BCCD --epochs 2
    python benchmarks/loop_bccd.py --quick            # generated shapes, anywhere
    python benchmarks/loop_bccd.py --quick --bucket   # data, models and runs in a bucket

``--voc`` takes any Pascal VOC folder; without it one of generated shapes is written, with a
box that has no area among them. Every step says what it found and how long it took. With
``--check`` the exit status is 1 where a step did not do what it should. Nothing is fetched:
training starts from the bare architecture unless ``--base`` names weights on this disk.
``--bucket`` takes the address of a bucket that is empty there; without an address, a server of
S3's kind is started on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import cv2

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.storage.s3_proxy import BUCKET, environment, s3_server  # noqa: E402
from workbench import plan_import, samples  # noqa: E402
from workbench.datasets.drawing import draw_boxes  # noqa: E402
from workbench.geometry import to_pixels  # noqa: E402
from workbench.labelling.predictor import Predictor  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import Annotation, DatasetInfo, ModelInfo, Prediction  # noqa: E402
from workbench.training.config import TrainingConfig  # noqa: E402
from workbench.training.events import EpochFinished, Prepared, Started  # noqa: E402
from workbench.training.runner import TrainingRunner  # noqa: E402

DATASET = "loop"
_DECIMALS_ON_DISK = 1e-8


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is kept: below a folder, or below an address in a bucket."""

    root: str

    def stores(self) -> Stores:
        """Return stores that know nothing yet."""
        return create_stores(data_dir=f"{self.root}/data", models_dir=f"{self.root}/models")

    @property
    def runs(self) -> str:
        """Where runs are recorded."""
        return f"{self.root}/runs"


@contextmanager
def places_for(folder: Path, bucket: str | None) -> Iterator[Places]:
    """Yield the places that were asked for; an empty bucket stands for a server of our own."""
    if bucket is None:
        yield Places(str(folder))
    elif bucket:
        yield Places(bucket.rstrip("/"))
    else:
        with s3_server() as s3:
            os.environ |= environment(s3)
            yield Places(f"s3://{BUCKET}")
            requests = ", ".join(f"{n} {kind}" for kind, n in sorted(s3.requests.items()))
            sent, got = (s3.bytes[way] / 2**20 for way in ("up", "down"))
            print(f"\nrequests: {requests}; {sent:.1f} MiB sent, {got:.1f} MiB received")


class Report:
    """Prints the steps and remembers what went wrong."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a heading, and how long what follows took."""
        print(f"\n== {title}")
        begin = time.perf_counter()
        yield
        print(f"   {time.perf_counter() - begin:.2f} s")

    def found(self, text: str) -> None:
        """Print something that was seen."""
        print(f"   {text}", flush=True)

    def check(self, good: bool, text: str) -> None:
        """Print whether something is as it should be."""
        print(f"   {'ok  ' if good else 'FAIL'} {text}", flush=True)
        if not good:
            self.failures.append(text)


def write_voc(folder: Path, num_images: int) -> Path:
    """Write generated shapes as a Pascal VOC folder; the first file has a box without area."""
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for number, (frame, boxes) in enumerate(samples.scenes(num_images)):
        stem = f"scene_{number:03d}"
        lists["val" if number % 5 == 4 else "train"].append(stem)
        cv2.imwrite(str(folder / "JPEGImages" / f"{stem}.jpg"), frame)
        root = ElementTree.Element("annotation")
        for box in boxes if number else [*boxes, replace(boxes[0], width=0.0)]:
            _add_object(root, box, frame.shape[1], frame.shape[0])
        ElementTree.ElementTree(root).write(folder / "Annotations" / f"{stem}.xml")
    for split, stems in lists.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems) + "\n")
    return folder


def _add_object(root: ElementTree.Element, box: Annotation, width: int, height: int) -> None:
    item = ElementTree.SubElement(root, "object")
    ElementTree.SubElement(item, "name").text = samples.CLASSES[box.class_id]
    corners = ElementTree.SubElement(item, "bndbox")
    values = to_pixels([box.xywh], width, height)[0].tolist()
    for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), values, strict=True):
        ElementTree.SubElement(corners, tag).text = f"{value:.6f}"


async def bring_in(stores: Stores, voc: Path, report: Report) -> DatasetInfo:
    plan = await plan_import(stores, voc)
    report.found(str(plan).splitlines()[0])
    info = await plan.apply(DATASET)
    notes = info.notes
    report.found(f"images: {info.num_images}")
    for split in info.num_images:
        table = await stores.label.load_all(DATASET, split)
        counts = dict(
            zip(info.classes, table.class_counts(len(info.classes)).tolist(), strict=True)
        )
        report.found(f"{split:5} boxes: {len(table)} {counts}")
        report.check(not table.problems, f"every label file of {split} can be read")
    report.found(f"notes: {len(notes)}")
    for note in notes:
        report.found(f"  {note}")
    pictures = sum(1 for _ in (voc / "JPEGImages").iterdir())
    imported = sum(info.num_images.values())
    report.check(imported == pictures, f"{imported} of the folder's {pictures} images are there")
    return info


async def edit(stores: Stores, places: Places, report: Report) -> None:
    """Move a box, add one, save, and read it back through stores that know nothing of it."""
    table = await stores.label.load_all(DATASET, "train")
    name = table.filenames[int(table.boxes_per_image().argmax())]
    before = await stores.label.get(DATASET, "train", name)
    first = before.annotations[0]
    moved = replace(first, x=min(max(first.x + 0.03, first.width / 2), 1 - first.width / 2))
    added = Annotation(first.class_id, x=0.5, y=0.5, width=0.2, height=0.25)
    wanted = [moved, *before.annotations[1:], added]
    saved = await stores.label.save(
        DATASET, "train", name, wanted, expected_revision=before.revision
    )
    after = await places.stores().label.get(DATASET, "train", name)
    report.found(f"{name}: {len(before.annotations)} boxes, one moved, one added")
    report.check(after.revision == saved.revision != before.revision, "the revision changed")
    report.check(
        len(after.annotations) == len(wanted) and all(map(_same_box, after.annotations, wanted)),
        f"{len(after.annotations)} boxes read back as they were saved",
    )


def _same_box(first: Annotation, second: Annotation) -> bool:
    apart = max(abs(a - b) for a, b in zip(first.xywh, second.xywh, strict=True))
    return first.class_id == second.class_id and apart <= _DECIMALS_ON_DISK


async def train(
    stores: Stores, runs_dir: str, args: argparse.Namespace, report: Report
) -> ModelInfo | None:
    runner = TrainingRunner(stores, runs_dir)
    extra = {} if args.voc else {"optimizer": "AdamW", "lr0": 0.002}
    run = await runner.start(
        TrainingConfig(
            dataset=DATASET,
            base_model=args.base,
            epochs=args.epochs,
            image_size=args.imgsz,
            batch=8,
            cache="ram",
            extra=extra,
        )
    )
    async for event in run.events():
        match event:
            case Started():
                report.found(event.note)
            case Prepared():
                report.found(
                    f"on {event.device}: {event.train_images} images to train on, "
                    f"{event.val_images} to validate on, {event.batches} batches an epoch"
                )
            case EpochFinished():
                numbers = ", ".join(f"{name} {value:.3f}" for name, value in event.metrics.items())
                report.found(f"epoch {event.epoch}: {event.seconds:.1f} s, {numbers}")
    progress = await run.wait()
    report.check(progress.state == "finished", f"the run is {progress.state}")
    model = await stores.model.get_active()
    report.check(
        model is not None and model.name == run.read_model_name(),
        f"the model {run.read_model_name()} is in the store and active",
    )
    return model


async def predict(stores: Stores, folder: Path, quick: bool, report: Report) -> None:
    predictor = Predictor(stores)
    info = await stores.dataset.get(DATASET)
    listed = await stores.image.list(DATASET, "val")
    name = listed[0].filename
    frame = await stores.image.load(DATASET, "val", name)
    # One epoch from random weights is unsure of everything; its best guesses still show
    # that model, classes and coordinates fit together.
    predictions = await predictor.predict(frame, confidence=0.25)
    if not predictions:
        report.found("nothing above a confidence of 0.25, so the 20 best guesses are drawn")
        predictions = (await predictor.predict(frame, confidence=0.001))[:20]
    predictor.close()
    report.found(f"{name}: {len(predictions)} boxes, best {_best(predictions)}")
    inside = all(
        0 <= p.class_id < len(info.classes)
        and min(p.x - p.width / 2, p.y - p.height / 2) >= -1e-6
        and max(p.x + p.width / 2, p.y + p.height / 2) <= 1 + 1e-6
        for p in predictions
    )
    report.check(inside, "every box is inside the image and of a known class")
    if not quick:
        report.check(bool(predictions), "the model proposes boxes")
    truth = await stores.label.load(DATASET, "val", name)
    for kind, boxes in (("labels", truth), ("predictions", predictions)):
        target = folder / f"{kind}.png"
        report.check(
            cv2.imwrite(str(target), draw_boxes(frame, boxes, info.classes)), f"drawn: {target}"
        )


def _best(predictions: list[Prediction]) -> str:
    return f"{max((p.confidence for p in predictions), default=0):.3f}"


async def loop(args: argparse.Namespace, folder: Path, places: Places) -> Report:
    report = Report()
    stores = places.stores()
    voc = args.voc or write_voc(folder / "voc", 24 if args.quick else 120)
    with report.step(f"import {voc}"):
        await bring_in(stores, voc, report)
    with report.step("edit one image's boxes"):
        await edit(stores, places, report)
    with report.step(f"train {args.epochs} epochs at {args.imgsz} pixels"):
        model = await train(stores, places.runs, args, report)
    if model is not None:
        map50 = "not measured" if model.best_map50 is None else f"{model.best_map50:.4f}"
        report.found(f"{model.name}: from {model.base_model}, mAP50 {map50}")
        with report.step("predict on an image of val"):
            await predict(stores, folder, args.quick, report)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voc", type=Path, help="Pascal VOC folder; default: generated shapes")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--imgsz", type=int, default=None, help="default: 320, shapes 160")
    parser.add_argument("--base", default="yolo11n.yaml", help="where training starts")
    parser.add_argument("--output", type=Path, help="keep everything here; default: a new folder")
    parser.add_argument("--bucket", nargs="?", const="", help="keep data, models and runs there")
    parser.add_argument("--quick", action="store_true", help="few images, one epoch at 64 pixels")
    parser.add_argument("--check", action="store_true", help="exit 1 where a step went wrong")
    args = parser.parse_args()
    if args.quick:
        args.epochs, args.imgsz = 1, 64
    args.imgsz = args.imgsz or (320 if args.voc else 160)
    folder = args.output or Path(tempfile.mkdtemp(prefix="workbench-loop-"))
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    with places_for(folder, args.bucket) as places:
        report = asyncio.run(loop(args, folder, places))
        print(f"\nall of it: {time.perf_counter() - begin:.1f} s, everything is in {places.root}")
    for failure in report.failures:
        print(f"FAILED: {failure}")
    return 1 if args.check and report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
