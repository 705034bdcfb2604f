"""Whether a hand gets what it drew, how much the whole job asks of it, how soon panels answer.

    python benchmarks/hand.py --check                       # 500 boxes, twice, and the whole job
    python benchmarks/hand.py --check --data path/to/bccd   # over pictures and boxes of your own
    python benchmarks/hand.py --quick                       # 60 boxes, for a look
    python benchmarks/hand.py --check --job                 # the whole job alone
    python benchmarks/hand.py --check --panels              # how prompt the panels are, alone

A scripted hand opens the annotator in a JupyterLab and draws every box of the pictures anew, corner
to corner, with a digit before it where the class changes and nothing between the drags. It does so
in the order of the label files, and again in an order by chance, from corners by chance. Then the
label files are compared with what was drawn. ``--check`` exits 1 unless every box is there with its
class, each edge within a pixel, and there is none that nobody drew.

Then, from an empty folder and a zip of 40 pictures, it does the whole job, to a trained model and
a dataset in the browser's downloads; see ``benchmarks/job.py``. ``--check`` exits 1 unless that
takes at most 20 clicks and keys beside drawing and nothing in a panel moves by itself after it was
painted.

Last, each panel is opened on 20,000 images, and each control in sight is used; see
``benchmarks/promptness.py``. ``--check`` exits 1 unless each shows something useful within 1 second
the first time and 0.5 the second, and 95 of 100 inputs are painted within 50 ms.

``--data`` takes whatever Workbench imports: a folder, an archive, an annotation file. Without it
the pictures are made: cells as dense as on a blood smear, platelets on top of them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks import promptness  # noqa: E402
from benchmarks.job import Job, do_job  # noqa: E402
from benchmarks.measure import print_columns, say  # noqa: E402
from tests.browser.annotating import Canvas  # noqa: E402
from tests.browser.conftest import VIEWPORT, LabPage, find_chromium, running_lab  # noqa: E402

BOXES, QUICK = 500, 60
WITHIN = 1.0
"""Pixels of the picture by which an edge may differ."""
SMALLEST = 6
"""Boxes with a shorter side are left out: at the size of the stage they are clicks."""
SAVED_WITHIN_S = 10
CELL = """
from workbench import AnnotatePanel, create_stores
panel = AnnotatePanel({name!r}, stores=create_stores({data!r}, {models!r}))
panel
"""

Box = tuple[int, int, int, int, int]
"""Class, left, top, right, bottom in whole pixels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and the boxes that a hand shall draw on it."""

    name: str
    data: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass
class Outcome:
    """What became of the drags over some pictures."""

    order: str
    drags: int = 0
    keys: int = 0
    right: int = 0
    wrong: int = 0
    missing: int = 0
    extra: int = 0
    seconds: float = 0.0

    @property
    def is_perfect(self) -> bool:
        """Whether each drag made its box and nothing else."""
        return self.drags > 0 and self.right == self.drags and self.extra == 0

    def compare(self, drawn: Sequence[Box], found: Sequence[Sequence[float]]) -> None:
        """Count what is in a label file against what was drawn, in the order of drawing."""
        for wanted, row in zip_longest(drawn, found):
            if wanted is None:
                self.extra += 1
            elif row is None:
                self.missing += 1
            elif row[0] == wanted[0] and max(np.abs(np.subtract(row, wanted))) <= WITHIN:
                self.right += 1
            else:
                self.wrong += 1

    def cells(self) -> tuple[str, ...]:
        """Return the outcome as text."""
        numbers = (self.drags, self.keys, self.right, self.wrong, self.missing, self.extra)
        verdict = "met" if self.is_perfect else "MISSED"
        return (self.order, *map(str, numbers), f"{self.seconds:.0f} s", verdict)


_HEADINGS = ("order", "drags", "keys", "right", "moved or wrong", "missing", "extra", "took", "")


def made_pictures(boxes: int) -> Iterator[Picture]:
    """Yield pictures of overlapping cells with platelets on them, until there are enough boxes."""
    rng = np.random.default_rng(15)
    number = 0
    while boxes > 0:
        picture = np.full((480, 640, 3), (214, 210, 226), np.uint8)
        found: list[Box] = []
        for row in range(6):
            for column in range(7):
                centre = rng.integers(-14, 15, 2) + np.array([48 + column * 88, 44 + row * 78])
                radii = rng.integers(34, 52, 2)
                found.append(_blob(picture, 0, centre, radii, (150, 130, 205)))
                if rng.random() < 0.3:
                    at = centre + rng.integers(-20, 21, 2)
                    found.append(_blob(picture, 1, at, rng.integers(6, 11, 2), (150, 60, 120)))
        wanted = [box for box in found if min(box[3] - box[1], box[4] - box[2]) >= SMALLEST]
        yield _picture(f"cells_{number:02}.png", picture, wanted[:boxes])
        boxes -= len(wanted)
        number += 1


def _blob(
    picture: np.ndarray, cls: int, centre: np.ndarray, radii: np.ndarray, colour: tuple[int, ...]
) -> Box:
    axes = (int(radii[0]), int(radii[1]))
    middle = (int(centre[0]), int(centre[1]))
    cv2.ellipse(picture, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.ellipse(picture, middle, axes, 0, 0, 360, (110, 80, 160), 1, cv2.LINE_AA)
    height, width = picture.shape[:2]
    return (
        cls,
        max(middle[0] - axes[0], 0),
        max(middle[1] - axes[1], 0),
        min(middle[0] + axes[0], width),
        min(middle[1] + axes[1], height),
    )


def _picture(name: str, pixels: np.ndarray, boxes: Sequence[Box]) -> Picture:
    done, data = cv2.imencode(".png", pixels)
    if not done:
        raise RuntimeError(f"{name} could not be encoded")
    return Picture(name, data.tobytes(), pixels.shape[1], pixels.shape[0], tuple(boxes))


async def imported_pictures(source: Path, boxes: int) -> tuple[list[str], list[Picture]]:
    """Return classes and labelled pictures of a dataset, until there are enough boxes."""
    from workbench import create_stores, import_dataset

    pictures: list[Picture] = []
    with tempfile.TemporaryDirectory() as home:
        stores = create_stores(Path(home, "data"), Path(home, "models"))
        info = await import_dataset(stores, source, name="truth")
        for image in await stores.image.list("truth"):
            if boxes <= 0:
                break
            labels = await stores.label.load("truth", image.split, image.filename)
            pixels = await stores.image.load("truth", image.split, image.filename)
            height, width = pixels.shape[:2]
            found = [
                (
                    one.class_id,
                    round((one.x - one.width / 2) * width),
                    round((one.y - one.height / 2) * height),
                    round((one.x + one.width / 2) * width),
                    round((one.y + one.height / 2) * height),
                )
                for one in labels
            ]
            found = [box for box in found if min(box[3] - box[1], box[4] - box[2]) >= SMALLEST]
            if found:
                name = f"{len(pictures):04}_{Path(image.filename).stem}.png"
                pictures.append(_picture(name, pixels, found[:boxes]))
            boxes -= len(found)
    return info.classes, pictures


def write_dataset(root: Path, classes: Sequence[str], pictures: Sequence[Picture]) -> None:
    """Write pictures without labels, in YOLO layout."""
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (root / kind / split).mkdir(parents=True)
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(classes))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")
    for picture in pictures:
        (root / "images" / "train" / picture.name).write_bytes(picture.data)


def rows_of(file: Path, picture: Picture) -> list[tuple[float, ...]]:
    """Return the rows of a label file as class and pixels of the corners."""
    rows = []
    for line in file.read_text().splitlines():
        cls, x, y, width, height = map(float, line.split())
        left, top = (x - width / 2) * picture.width, (y - height / 2) * picture.height
        right, bottom = (x + width / 2) * picture.width, (y + height / 2) * picture.height
        rows.append((cls, left, top, right, bottom))
    return rows


def draw(canvas: Canvas, root: Path, pictures: Sequence[Picture], *, by_chance: bool) -> Outcome:
    """Draw all boxes of all pictures and compare what was saved."""
    outcome = Outcome("by chance" if by_chance else "of the files")
    rng = random.Random(15)
    begin = time.perf_counter()
    current = 0
    for place, picture in enumerate(pictures):
        if place:
            canvas.press("d")
            outcome.keys += 1
        canvas.wait_for(picture.name)
        boxes = list(picture.boxes)
        if by_chance:
            rng.shuffle(boxes)
        for cls, left, top, right, bottom in boxes:
            if cls != current:
                # A box that was only just drawn takes class keys: first it is let go.
                canvas.press("Escape", str((cls + 1) % 10))
                outcome.keys += 2
                current = cls
            corners = [((left, top), (right, bottom)), ((left, bottom), (right, top))]
            start, end = rng.choice(corners) if by_chance else corners[0]
            if by_chance and rng.random() < 0.5:
                start, end = end, start
            canvas.drag(start, end)
            outcome.drags += 1
        file = root / "labels" / "train" / f"{Path(picture.name).stem}.txt"
        _wait_for_rows(canvas, file, len(boxes))
        outcome.compare(boxes, rows_of(file, picture) if file.exists() else [])
    outcome.seconds = time.perf_counter() - begin
    return outcome


def _wait_for_rows(canvas: Canvas, file: Path, count: int) -> None:
    """Wait until a file has the rows of all drags, or has not got them for a while."""
    deadline = time.monotonic() + SAVED_WITHIN_S
    while time.monotonic() < deadline:
        if file.exists() and len(file.read_text().splitlines()) >= count:
            break
        time.sleep(0.05)
    canvas.wait_saved()


def run(classes: Sequence[str], pictures: Sequence[Picture]) -> list[Outcome]:
    """Draw everything in both orders, in a JupyterLab of its own."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="workbench-hand-") as home:
        folder = Path(home, "lab")
        folder.mkdir()
        with running_lab(Path(home, "jupyter"), folder) as lab, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            for name in ("files", "chance"):
                root = folder / "data" / name
                write_dataset(root, classes, pictures)
                cell = CELL.format(name=name, data=str(root.parent), models=f"{home}/models")
                lab.write_notebook(f"{name}.ipynb", cell)
                page = LabPage(browser.new_page(viewport=VIEWPORT), lab)
                page.open_notebook(f"{name}.ipynb")
                page.run_all()
                canvas = Canvas(page.page)
                canvas.wait_for(pictures[0].name)
                canvas.stage.focus()
                say(f"drawing {sum(len(p.boxes) for p in pictures)} boxes, order: {name} ...")
                outcomes.append(draw(canvas, root, pictures, by_chance=name == "chance"))
                page.page.close()
            browser.close()
    return outcomes


def run_job() -> Job:
    """Do the whole job, in a JupyterLab of its own."""
    with tempfile.TemporaryDirectory(prefix="workbench-job-") as home:
        folder = Path(home, "lab")
        folder.mkdir()
        with running_lab(Path(home, "jupyter"), folder) as lab, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            job = do_job(browser, lab, Path(home))
            browser.close()
    return job


def main() -> int:
    """Measure and print; return 1 if a bound was asked for and missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 where a bound is missed")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} boxes, not {BOXES}")
    parser.add_argument("--job", action="store_true", help="the whole job alone")
    parser.add_argument("--panels", action="store_true", help="how prompt the panels are, alone")
    parser.add_argument(
        "--data", type=Path, help="pictures with boxes, in a form that imports read"
    )
    options = parser.parse_args()
    is_whole = not (options.job or options.panels)
    is_good = True
    if is_whole:
        drawn = _draw_all(options)
        if drawn is None:
            return 2
        is_good = drawn
    if is_whole or options.job:
        job = run_job()
        print(*job.lines(), sep="\n")
        is_good &= job.is_met
    if is_whole or options.panels:
        prompt, still = promptness.measure(options.quick)
        print_columns(promptness.HEADINGS, [one.cells() for one in prompt])
        print(*promptness.lines(prompt, still), sep="\n")
        is_good &= all(one.is_met for one in prompt) and promptness.is_painted_soon(prompt)
    return int(options.check and not is_good)


def _draw_all(options: argparse.Namespace) -> bool | None:
    """Draw, compare and print; return whether all is right, or None if there is nothing to draw."""
    wanted = QUICK if options.quick else BOXES
    if options.data is None:
        classes, pictures = ["cell", "platelet"], list(made_pictures(wanted))
    else:
        classes, pictures = asyncio.run(imported_pictures(options.data, wanted))
    if not pictures:
        print(f"{options.data}: expected pictures with boxes, found none", file=sys.stderr)
        return None
    source = "made pictures" if options.data is None else str(options.data)
    print(f"{sum(len(p.boxes) for p in pictures)} boxes on {len(pictures)} pictures: {source}")
    outcomes = run(classes, pictures)
    print_columns(_HEADINGS, [outcome.cells() for outcome in outcomes])
    return all(outcome.is_perfect for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
