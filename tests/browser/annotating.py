"""A hand at the annotate panel: image coordinates in, mouse and keys out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from playwright.sync_api import Locator, Page

if TYPE_CHECKING:
    from tests.browser.conftest import LabPage

WIDTH, HEIGHT = 640, 480
CLASSES = ["cell", "platelet", "crystal"]
CELL = (0, 100, 100, 200, 180)
PLATELET = (1, 300, 50, 420, 250)
PANEL = """
from workbench import AnnotatePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = AnnotatePanel({name!r}, split="train", stores=stores)
panel
"""


def scene(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A textured picture with a few discs, uint8 BGR."""
    random = np.random.default_rng(seed)
    coarse = random.integers(90, 190, (8, 10, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(9):
        centre = (int(random.integers(40, width - 40)), int(random.integers(40, height - 40)))
        colour = tuple(int(c) for c in random.integers(40, 255, 3))
        cv2.circle(picture, centre, int(random.integers(15, 45)), colour, -1, cv2.LINE_AA)
    return picture


def write_dataset(folder: Path, name: str, images: int = 3) -> Path:
    """A dataset in YOLO layout, written by hand; the first image has two boxes."""
    root = folder / "data" / name
    for kind in ("images", "labels"):
        for split in ("train", "val", "test"):
            (root / kind / split).mkdir(parents=True)
    listed = "\n".join(f"  {i}: {c}" for i, c in enumerate(CLASSES))
    (root / "data.yaml").write_text(
        f"train: images/train\nval: images/val\ntest: images/test\nnames:\n{listed}\n"
    )
    for index in range(images):
        cv2.imwrite(str(root / "images" / "train" / f"img_{index}.jpg"), scene(index))
    (root / "labels" / "train" / "img_0.txt").write_text(yolo_row(*CELL) + yolo_row(*PLATELET))
    return root


def yolo_row(cls: int, left: float, top: float, right: float, bottom: float) -> str:
    """One line of a label file, from pixel corners."""
    x, y = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
    return f"{cls} {x:.8f} {y:.8f} {(right - left) / WIDTH:.8f} {(bottom - top) / HEIGHT:.8f}\n"


def pixel_rows(label_file: Path) -> list[tuple[int, float, float, float, float]]:
    """The rows of a label file as class and pixel corners, to a thousandth of a pixel."""
    rows = []
    for line in label_file.read_text().splitlines():
        cls, x, y, w, h = line.split()
        cx, cy, bw, bh = float(x) * WIDTH, float(y) * HEIGHT, float(w) * WIDTH, float(h) * HEIGHT
        left, top, right, bottom = cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2
        rows.append((int(cls), round(left, 3), round(top, 3), round(right, 3), round(bottom, 3)))
    return rows


def eventually(read: Callable[[], Any], expected: Any, timeout: float = 15) -> None:
    """Wait until ``read()`` gives `expected`, or fail with what it gave last."""
    deadline = time.monotonic() + timeout
    while True:
        found = read()
        if found == expected:
            return
        assert time.monotonic() < deadline, f"expected {expected!r}, found {found!r}"
        time.sleep(0.05)


class Canvas:
    """The annotator of a page, worked with mouse and keys."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root: Locator = page.locator(".wb-annotate").first
        self.stage: Locator = self.root.locator(".wb-stage")

    def wait_for(self, name: str) -> None:
        """Wait until the image of this name is painted."""
        self.page.wait_for_selector(f'.wb-stage[data-shown="{name}"]', timeout=30_000)

    def wait_for_any(self) -> None:
        """Wait until an image is painted."""
        self.page.wait_for_selector('.wb-stage[data-shown$=".jpg"]', timeout=30_000)

    def wait_saved(self) -> None:
        """Wait until the status line says that everything is saved."""
        self.root.locator('.wb-save[data-state="saved"]').wait_for()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where an image pixel's corner is on the page."""
        box = self.stage.bounding_box()
        assert box is not None
        view = json.loads(self.stage.get_attribute("data-viewport") or "")
        return box["x"] + x * view["scale"] + view["x"], box["y"] + y * view["scale"] + view["y"]

    def move_box(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with Ctrl held: the selected boxes move along."""
        self.page.keyboard.down("Control")
        self.drag(start, end)
        self.page.keyboard.up("Control")

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], button: Any = "left"
    ) -> None:
        """Press at one image point, move, release at another."""
        (x0, y0), (x1, y1) = self.at(*start), self.at(*end)
        self.page.mouse.move(x0, y0)
        self.page.mouse.down(button=button)
        self.page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
        self.page.mouse.move(x1, y1)
        self.page.mouse.up(button=button)

    def click(self, x: float, y: float, **options: Any) -> None:
        """Click on an image point."""
        self.page.mouse.click(*self.at(x, y), **options)

    def press(self, *keys: str) -> None:
        """Press keys, with the focus wherever it is."""
        for key in keys:
            self.page.keyboard.press(key)


def show(lab_page: LabPage, root: Path, notebook: str = "", more: tuple[str, ...] = ()) -> Canvas:
    """Open a notebook with the panel and `more` cells, run it, and wait for an image."""
    data = str(root.parent)
    name = notebook or f"{root.name}.ipynb"
    cell = PANEL.format(data=data, models=f"{data}-models", name=root.name)
    lab_page.lab.write_notebook(name, cell, *more)
    lab_page.open_notebook(name)
    lab_page.run_all()
    canvas = Canvas(lab_page.page)
    canvas.wait_for_any()
    return canvas


def labels_of(root: Path, index: int = 0) -> Callable[[], list[Any]]:
    """Read the rows of an image's label file, whenever it is called."""
    file = root / "labels" / "train" / f"img_{index}.txt"
    return lambda: pixel_rows(file) if file.exists() else ["no file"]
