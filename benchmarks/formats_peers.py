"""One task of `benchmarks/formats.py`, done by another tool, in a Python where that is installed.

    python formats_peers.py supervision read-coco FOLDER TARGET

Prints a line of JSON: seconds, pictures, boxes, and by how many bytes memory grew at most. The
time does not include the import of the tool. Boxes are counted one by one, since some tools read
a file only when its boxes are asked for.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(next(row for row in text.splitlines() if row.startswith("VmHWM")).split()[1]) * 1024


def reset_peak() -> int:
    """Forget what importing has taken; return what the process has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def supervision(task: str, folder: Path, target: Path) -> tuple[int, int]:
    """Read with supervision, and write."""
    import supervision as sv

    verb, form = task.split("-")
    read: dict[str, Callable[[], Any]] = {
        "yolo": lambda: sv.DetectionDataset.from_yolo(
            str(folder / "yolo/images/train"),
            str(folder / "yolo/labels/train"),
            str(folder / "yolo/data.yaml"),
        ),
        "coco": lambda: sv.DetectionDataset.from_coco(
            str(folder / "coco/images/train"),
            str(folder / "coco/annotations/instances_train.json"),
        ),
        "voc": lambda: sv.DetectionDataset.from_pascal_voc(
            str(folder / "voc/JPEGImages"), str(folder / "voc/Annotations")
        ),
    }
    if verb != "export":
        START.append(time.perf_counter())
    found = read["yolo" if verb == "export" else form]()
    if verb == "export":
        START.append(time.perf_counter())
        if form == "coco":
            found.as_coco(annotations_path=str(target / "coco.json"))
        else:
            found.as_yolo(
                annotations_directory_path=str(target / "labels"),
                data_yaml_path=str(target / "data.yaml"),
            )
    if verb == "import":
        found.as_yolo(str(target / "images"), str(target / "labels"), str(target / "data.yaml"))
    boxes = sum(len(item) for item in found.annotations.values())
    return len(found.image_paths), boxes


def datumaro(task: str, folder: Path, target: Path) -> tuple[int, int]:
    """Read with datumaro, and write."""
    from datumaro.components.dataset import Dataset

    verb, form = task.split("-")
    names = {"yolo": "yolo", "coco": "coco", "voc": "voc"}
    kind = "yolo" if verb == "export" else form
    if verb != "export":
        START.append(time.perf_counter())
    found = Dataset.import_from(str(folder / kind), names[kind])
    if verb == "export":
        found.init_cache()
        START.append(time.perf_counter())
        name = "coco_instances" if form == "coco" else "yolo"
        found.export(str(target / "out"), name, save_media=False)
    if verb == "import":
        found.export(str(target / "out"), "yolo", save_media=True)
    counts = [len(item.annotations) for item in found]
    return len(counts), sum(counts)


def pylabel(task: str, folder: Path, target: Path) -> tuple[int, int]:
    """Read with pylabel, and write."""
    from pylabel import importer

    verb, form = task.split("-")
    read: dict[str, Callable[[], Any]] = {
        "yolo": lambda: importer.ImportYoloV5(
            path=str(folder / "yolo/labels/train"),
            path_to_images="../../images/train",
            img_ext="jpg",
        ),
        "coco": lambda: importer.ImportCoco(
            str(folder / "coco/annotations/instances_train.json"),
            path_to_images="../images/train",
        ),
        "voc": lambda: importer.ImportVOC(
            path=str(folder / "voc/Annotations"), path_to_images="../JPEGImages"
        ),
    }
    if verb != "export":
        START.append(time.perf_counter())
    found = read["yolo" if verb == "export" else form]()
    if verb == "export":
        START.append(time.perf_counter())
        if form == "coco":
            found.export.ExportToCoco(output_path=str(target / "coco.json"))
        else:
            found.export.ExportToYoloV5(output_path=str(target / "labels"))
    if verb == "import":
        found.export.ExportToYoloV5(output_path=str(target / "labels"), copy_images=True)
    return int(found.df["img_filename"].nunique()), len(found.df)


START: list[float] = []


def main() -> None:
    """Do one task."""
    tool, task, folder, target = sys.argv[1:]
    work = {"supervision": supervision, "datumaro": datumaro, "pylabel": pylabel}[tool]
    __import__(tool if tool != "pylabel" else "pylabel.importer")
    before = reset_peak()
    pictures, boxes = work(task, Path(folder), Path(target))
    seconds = time.perf_counter() - START[0]
    found = {"seconds": seconds, "pictures": pictures, "boxes": boxes, "grown": peak() - before}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
