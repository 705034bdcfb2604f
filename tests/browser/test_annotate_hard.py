"""The annotate panel where others give up: huge images, thousands of boxes, a busy kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import pytest

from tests.browser.annotating import (
    Canvas,
    eventually,
    pixel_rows,
    scene,
    write_dataset,
    yolo_row,
)
from tests.browser.conftest import Lab, LabPage, keep_picture

pytestmark = pytest.mark.browser

PANEL = """
from workbench import AnnotatePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = AnnotatePanel({name!r}, split="train", stores=stores)
panel
"""
HUGE = (12_000, 8_000)
BUSY_S = 6
RUN_CODE = """(code) => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    kernel.requestExecute({ code });
}"""
KERNEL_IS_BUSY = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    return kernel.status === "busy";
}"""
# How many CSS pixels of a row and a column of the canvas of the moving box are painted.
PAINTED = """() => {
    const canvas = document.querySelector("canvas.wb-active");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 3; i < data.length; i += 4) count += data[i] > 0;
    return count;
}"""
SCALE = "() => JSON.parse(document.querySelector('.wb-stage').dataset.viewport).scale"


def show(lab_page: LabPage, root: Path) -> Canvas:
    data = str(root.parent)
    cell = PANEL.format(data=data, models=f"{data}-models", name=root.name)
    lab_page.lab.write_notebook(f"{root.name}.ipynb", cell)
    lab_page.open_notebook(f"{root.name}.ipynb")
    lab_page.run_all()
    canvas = Canvas(lab_page.page)
    canvas.wait_for_any()
    return canvas


def boxes_of(root: Path) -> Any:
    return lambda: pixel_rows(root / "labels" / "train" / "img_0.txt")


@pytest.fixture
def dataset(lab: Lab) -> Path:
    return write_dataset(lab.folder, f"hard_{uuid4().hex[:8]}", images=1)


def test_a_huge_image_is_shown_reduced_and_labelled_to_the_pixel(
    lab_page: LabPage, dataset: Path
) -> None:
    width, height = HUGE
    tile = scene(3, 1000, 1000)
    picture = np.tile(tile, (height // 1000, width // 1000, 1))
    picture[4000:4012, 6000:6020] = (0, 0, 255)
    cv2.imwrite(str(dataset / "images" / "train" / "img_0.jpg"), picture)
    labels = dataset / "labels" / "train" / "img_0.txt"
    labels.unlink()

    canvas = show(lab_page, dataset)
    status = canvas.root.locator(".wb-status")
    status.get_by_text("12000 × 8000 (picture reduced to 72%, boxes exact)").wait_for()
    keep_picture(lab_page.page, "huge")
    canvas.stage.focus()
    lab_page.page.mouse.move(*canvas.at(6000, 4000))
    for _ in range(16):
        lab_page.page.mouse.wheel(0, -300)
    lab_page.page.wait_for_function(f"() => ({SCALE})() > 8")
    keep_picture(lab_page.page, "huge-zoomed")
    canvas.drag((6000, 4000), (6020, 4012))

    def corners() -> Any:
        if not labels.exists():
            return None
        cls, x, y, w, h = map(float, labels.read_text().split())
        edges = (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height
        return int(cls), *(round(edge, 2) for edge in edges)

    eventually(corners, (0, 6000, 4000, 6020, 4012))


def test_one_box_more_among_two_thousand(lab_page: LabPage, dataset: Path) -> None:
    rows = [
        (n % 3, 2 + n % 50 * 12, 2 + n // 50 * 8, 11 + n % 50 * 12, 8 + n // 50 * 8)
        for n in range(2000)
    ]
    (dataset / "labels" / "train" / "img_0.txt").write_text("".join(yolo_row(*r) for r in rows))
    canvas = show(lab_page, dataset)
    canvas.root.get_by_text("2000 boxes", exact=True).wait_for()
    keep_picture(lab_page.page, "two-thousand")
    canvas.drag((100, 350), (300, 460))
    expected = [*rows, (0, 100, 350, 300, 460)]
    eventually(boxes_of(dataset), expected)
    canvas.press("Control+a", "Shift+ArrowDown")
    eventually(boxes_of(dataset), [(c, x0, y0 + 10, x1, y1 + 10) for c, x0, y0, x1, y1 in expected])
    canvas.press("Control+z", "Control+z")
    eventually(boxes_of(dataset), rows)
    canvas.wait_saved()


def test_boxes_are_drawn_at_once_while_the_kernel_is_busy(lab_page: LabPage, dataset: Path) -> None:
    canvas, page, before = show(lab_page, dataset), lab_page.page, boxes_of(dataset)()
    done = dataset / "done"
    page.evaluate(
        RUN_CODE,
        f"import time, pathlib; time.sleep({BUSY_S}); pathlib.Path({str(done)!r}).touch()",
    )
    page.wait_for_function(KERNEL_IS_BUSY)
    page.mouse.move(*canvas.at(450, 300))
    page.mouse.down()
    page.mouse.move(*canvas.at(500, 350))
    page.mouse.move(*canvas.at(550, 400))
    page.wait_for_function(f"() => ({PAINTED})() > 500")
    page.mouse.up()
    canvas.root.get_by_text("3 boxes", exact=True).wait_for()
    canvas.press("Escape")
    canvas.drag((20, 300), (80, 400))
    canvas.root.get_by_text("4 boxes", exact=True).wait_for()
    drawn = [*before, (0, 450, 300, 550, 400), (0, 20, 300, 80, 400)]
    assert not done.exists()
    eventually(boxes_of(dataset), drawn)
    canvas.wait_saved()
    eventually(done.exists, True)


@pytest.mark.nightly
def test_a_reloaded_page_shows_what_was_there(lab_page: LabPage, dataset: Path) -> None:
    canvas, before = show(lab_page, dataset), boxes_of(dataset)()
    canvas.drag((450, 300), (550, 400))
    canvas.wait_saved()
    drawn = [*before, (0, 450, 300, 550, 400)]
    eventually(boxes_of(dataset), drawn)
    lab_page.execute("docmanager:save")
    lab_page.page.reload()
    canvas = Canvas(lab_page.page)
    canvas.wait_for("img_0.jpg")
    canvas.root.get_by_text("3 boxes", exact=True).wait_for()
    canvas.drag((20, 300), (80, 400))
    eventually(boxes_of(dataset), [*drawn, (0, 20, 300, 80, 400)])
    canvas.wait_saved()
