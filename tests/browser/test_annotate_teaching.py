"""A model that is taught as a person goes, in a real JupyterLab; asserted on disk."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import cv2
import pytest

from tests.browser.annotating import Canvas, eventually
from tests.browser.conftest import Lab, LabPage, keep_picture
from tests.helpers.training import CLASSES, shapes
from workbench.geometry import to_pixels
from workbench.labelling.lessons import FIRST, is_held_out
from workbench.persistence.models import NewImage
from workbench.persistence.suggestion_blocks import parse_blocks

pytestmark = pytest.mark.browser

SIDE = 64
IMAGES = 14
LIMIT_S = 150
PANEL = """
from dataclasses import replace
from workbench import Workbench
from workbench.labelling import teaching

usual = teaching.lesson_config
teaching.lesson_config = lambda *args, **rest: replace(
    usual(*args, **rest), base_model="yolo11n.yaml", image_size=64, epochs=6
)
wb = Workbench({data!r})
panel = wb.annotate({name!r})
panel
"""


def made(folder: Path) -> tuple[Path, list[NewImage]]:
    """A dataset in YOLO layout, written by hand: all but one of the first ten have labels."""
    root = folder / f"taught_{uuid4().hex[:8]}" / "data" / "shapes"
    for kind in ("images", "labels"):
        for split in ("train", "val", "test"):
            (root / kind / split).mkdir(parents=True)
    listed = "".join(f"  {i}: {name}\n" for i, name in enumerate(CLASSES))
    (root / "data.yaml").write_text(
        f"train: images/train\nval: images/val\ntest: images/test\nnames:\n{listed}"
    )
    images = [*shapes(IMAGES, 0)]
    for number, image in enumerate(images):
        cv2.imwrite(str(root / f"images/train/pic_{number:02}.jpg"), image.content)
        rows = [f"{b.class_id} {b.x} {b.y} {b.width} {b.height}\n" for b in image.annotations or []]
        if number < FIRST - 1:
            (root / f"labels/train/pic_{number:02}.txt").write_text("".join(rows))
    return root, images


def looked_at(root: Path) -> set[str]:
    """The images on which a taught model has found something."""
    found = set()
    for file in (root / ".workbench/suggestions").glob("*.bin"):
        for block in parse_blocks(file.read_bytes(), str(file)):
            if block.kind != "rejected" and block.source.kind == "taught":
                counted = zip(block.images, block.counts, strict=True)
                found |= {key.partition("/")[2] for key, count in counted if count}
    return found


@pytest.mark.nightly  # minutes: a lesson is taught
def test_a_model_learns_from_what_is_drawn_and_suggests_the_rest(
    lab: Lab, lab_page: LabPage
) -> None:
    assert 0 < sum(is_held_out(f"pic_{number:02}.jpg") for number in range(FIRST)) < FIRST
    root, images = made(lab.folder)
    cell = PANEL.format(data=str(root.parent), name=root.name)
    notebook = f"{root.parents[1].name}.ipynb"
    lab.write_notebook(notebook, cell, f"await panel.show({FIRST - 1})")
    lab_page.open_notebook(notebook)
    lab_page.run_all()
    canvas = Canvas(lab_page.page)
    canvas.wait_for(f"pic_{FIRST - 1:02}.jpg")
    canvas.stage.focus()
    canvas.press("Shift+T")
    canvas.root.get_by_text("Learns after 1 more image").wait_for()

    boxes = images[FIRST - 1].annotations or []
    for box, (left, top, right, bottom) in zip(
        boxes, to_pixels([b.xywh for b in boxes], SIDE, SIDE).tolist(), strict=True
    ):
        canvas.press(str(box.class_id + 1))
        canvas.drag((left, top), (right, bottom))
    canvas.root.get_by_text("Learning from what is reviewed").wait_for()
    keep_picture(lab_page.page, "teaching")
    # The person goes on; what comes of it is there when they come to the next image.
    canvas.press("d")
    canvas.wait_for(f"pic_{FIRST:02}.jpg")
    canvas.root.get_by_text(re.compile("^Taught on .* to review, .* labelled$")).wait_for(
        timeout=LIMIT_S * 1000
    )
    keep_picture(lab_page.page, "taught")
    rest = {f"pic_{number:02}.jpg" for number in range(FIRST, IMAGES)}
    eventually(lambda: bool(looked_at(root)) and looked_at(root) <= rest, True)
    labelled = {path.stem for path in (root / "labels/train").glob("*.txt")}
    assert labelled == {f"pic_{number:02}" for number in range(FIRST)}
    canvas.press("Shift+T")
    canvas.root.get_by_text("Taught on ").wait_for(state="detached")
