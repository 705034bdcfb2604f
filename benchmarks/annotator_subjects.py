"""What `annotator.py` looks at: three annotators, the notebooks that show them, pictures, boxes."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from workbench.persistence import create_stores
from workbench.persistence.suggestion_blocks import SuggestionBlock, SuggestionSource

CLASSES = ["cell", "platelet", "crystal"]
LAG_SIZE = (1280, 720)
SHOWN = (840, 472)
"""Width and height of the stage in CSS pixels, near enough the same for all."""

PAPER = 128
"""Grey of the band in which the pictures of a walk have their box."""
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)]
"""Of the patch in the corner by which a painted picture is recognised, RGB."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One annotator.

    Parameters
    ----------
    name : str
    kind : str
        ``"canvas"`` or ``"svg"``: how it draws, see `annotator_probe.js`.
    root : str
        Selector of its outermost element.
    focus : str
        Selector of what takes its keys; "": it listens wherever the pointer is.
    next_key : str
        Key that leads to the next image.
    cell : str
        Notebook cell that shows the annotator on the pictures of a folder, to be formatted
        with ``folder`` and ``shown``.
    """

    name: str
    kind: str
    root: str
    focus: str
    next_key: str
    cell: str


_WORKBENCH = """
from workbench import AnnotatePanel, create_stores
folder = {folder!r}
stores = create_stores(data_dir=folder + "/data", models_dir=folder + "/models")
panel = AnnotatePanel("bench", split="train", stores=stores, height={shown[1]})
panel
"""
_IPYANNOTATIONS = """
import json, pathlib
from ipyannotations.images import BoxAnnotator
folder = pathlib.Path({folder!r})
found = json.loads((folder / "boxes.json").read_text())
def boxes(name):
    return [dict(type="box", label=b["label"], xyxy=tuple(b["xyxy"])) for b in found[name]]
annotator = BoxAnnotator(canvas_size={shown!r}, options=["cell", "platelet", "crystal"])
walk = iter(sorted((folder / "data/bench/images/train").iterdir()))
def show(_data=None):
    image = next(walk)
    annotator.display(image)
    annotator.canvas.data = boxes(image.name)
annotator.on_submit(show)
show()
annotator
"""
_BBOX_WIDGET = """
import json, pathlib
from jupyter_bbox_widget import BBoxWidget
folder = pathlib.Path({folder!r})
found = json.loads((folder / "boxes.json").read_text())
def boxes(name):
    corners = [(b["label"], *b["xyxy"]) for b in found[name]]
    return [dict(label=c, x=l, y=t, width=r - l, height=b - t) for c, l, t, r, b in corners]
walk = iter(sorted((folder / "data/bench/images/train").iterdir()))
first = next(walk)
widget = BBoxWidget(image=str(first), bboxes=boxes(first.name),
                    classes=["cell", "platelet", "crystal"])
widget.layout.width = "{shown[0]}px"
@widget.on_submit
def show():
    image = next(walk)
    widget.image = str(image)
    widget.bboxes = boxes(image.name)
widget
"""

WORKBENCH = Subject("Workbench", "canvas", ".wb-annotate", ".wb-stage", "d", _WORKBENCH)
OUTPUT = ".jp-OutputArea-output"
SUBJECTS = (
    WORKBENCH,
    Subject("ipyannotations", "canvas", OUTPUT, "", "Enter", _IPYANNOTATIONS),
    Subject("jupyter-bbox-widget", "svg", OUTPUT, ".wrapper", "Enter", _BBOX_WIDGET),
)

EMPTY_PAGE = f"""<!doctype html><body style="margin: 40px">
<canvas width="{SHOWN[0]}" height="{SHOWN[1]}"></canvas>
<script>
  const canvas = document.querySelector("canvas");
  const context = canvas.getContext("2d");
  let start = null;
  const at = (event) => [event.offsetX, event.offsetY];
  canvas.onpointerdown = (event) => (start = at(event));
  canvas.onpointerup = () => (start = null);
  canvas.onpointermove = (event) => {{
    if (!start) return;
    const [x, y] = at(event);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeRect(start[0], start[1], x - start[0], y - start[1]);
  }};
</script>"""


def write_still(folder: Path, boxes: int) -> None:
    """Write one white picture with this many boxes in its lower half."""
    width, height = LAG_SIZE
    picture = np.full((height, width, 3), 255, np.uint8)
    columns = 40
    rows = max(-(-boxes // columns), 1)
    step_x, step_y = width / columns, 0.5 * height / rows
    corners = []
    for number in range(boxes):
        left = round(number % columns * step_x) + 2
        top = round(0.46 * height + number // columns * step_y)
        right, bottom = left + round(step_x) - 6, top + max(round(min(step_y, 40)) - 4, 4)
        corners.append((number % len(CLASSES), (left, top, right, bottom)))
    _write(folder, {"still.jpg": (picture, corners)})


def write_walk(folder: Path, width: int, height: int, images: int) -> None:
    """Write pictures that can be told apart by `patch_of`, each with the box `box_of`."""
    random = np.random.default_rng(7)
    coarse = random.integers(60, 200, (height // 60, width // 60, 3), dtype=np.uint8)
    base = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = random.integers(0, 8, base.shape, dtype=np.uint8)
    found = {}
    for index in range(images):
        picture = cv2.add(base, np.roll(grain, index * 97, axis=1))
        picture[: height // 8, : width // 8] = COLOURS[index % len(COLOURS)][::-1]
        picture[round(0.4 * height) : round(0.7 * height)] = PAPER
        left, top, right, bottom = box_of(index)
        corners = (left * width, top * height, right * width, bottom * height)
        found[f"img_{index:02}.jpg"] = (picture, [(0, tuple(round(c) for c in corners))])
    _write(folder, found)


def write_review(folder: Path, width: int, height: int, images: int) -> None:
    """Write the pictures of `write_walk`, on which each box is suggested and none is a label."""
    write_walk(folder, width, height, images)
    for path in (folder / "data" / "bench" / "labels" / "train").iterdir():
        path.unlink()
    names = [f"train/img_{index:02}.jpg" for index in range(images)]
    corners = np.array([box_of(index) for index in range(images)], dtype=np.float32)
    middles, sides = (corners[:, 2:] + corners[:, :2]) / 2, corners[:, 2:] - corners[:, :2]
    block = SuggestionBlock(
        datetime.now(UTC),
        "suggested",
        SuggestionSource("model", "bench", "digest"),
        names,
        np.ones(images, np.int32),
        np.zeros(images, np.int32),
        np.concatenate([middles, sides], axis=1),
        np.full(images, 0.9, np.float32),
    )
    stores = create_stores(folder / "data", folder / "models")
    # Playwright's own loop runs in this thread.
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, stores.image.add_suggestions("bench", [block])).result()


def box_of(index: int) -> tuple[float, float, float, float]:
    """Corners of the one box of image `index`, as fractions of the picture."""
    left = 0.1 + 0.06 * (index % 12)
    return left, 0.45, left + 0.04, 0.65


def _write(folder: Path, found: dict[str, tuple[np.ndarray, list]]) -> None:
    """Write a dataset in YOLO layout, and the boxes as JSON for the other annotators."""
    root = folder / "data" / "bench"
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (root / kind / split).mkdir(parents=True)
    names = "\n".join(f"  {number}: {name}" for number, name in enumerate(CLASSES))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}\n")
    listed = {}
    for name, (picture, corners) in found.items():
        height, width = picture.shape[:2]
        cv2.imwrite(str(root / "images" / "train" / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        rows = [_row(class_id, box, width, height) for class_id, box in corners]
        (root / "labels" / "train" / name).with_suffix(".txt").write_text("".join(rows))
        listed[name] = [{"label": CLASSES[c], "xyxy": [int(v) for v in box]} for c, box in corners]
    (folder / "boxes.json").write_text(json.dumps(listed))


def _row(class_id: int, box: tuple[int, int, int, int], width: int, height: int) -> str:
    left, top, right, bottom = box
    x, y = (left + right) / 2 / width, (top + bottom) / 2 / height
    return (
        f"{class_id} {x:.8f} {y:.8f} {(right - left) / width:.8f} {(bottom - top) / height:.8f}\n"
    )
