"""Undo across sessions and restoring from Python, in a real JupyterLab; asserted on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.annotating import CELL, PLATELET, Canvas, eventually, labels_of, show
from tests.browser.conftest import LabPage, keep_picture

pytestmark = pytest.mark.browser

DRAWN = (0, 450, 300, 550, 400)
SECOND = (0, 20, 300, 60, 360)


def start_again(lab_page: LabPage, root: Path, more: tuple[str, ...] = ()) -> Canvas:
    """Another kernel, another page, and nothing kept in the browser."""
    lab_page.lab.shut_down_kernels()
    lab_page.page.evaluate("() => localStorage.clear()")
    return show(lab_page, root, more=more)


def test_undo_goes_on_where_the_last_session_ended(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.drag(DRAWN[1:3], DRAWN[3:])
    eventually(labels, [CELL, PLATELET, DRAWN])
    canvas.press("Escape")
    canvas.drag(SECOND[1:3], SECOND[3:])
    eventually(labels, [CELL, PLATELET, DRAWN, SECOND])
    canvas.wait_saved()

    canvas = start_again(lab_page, dataset)
    canvas.stage.focus()
    canvas.press("Control+z")
    eventually(labels, [CELL, PLATELET, DRAWN])
    canvas.wait_saved()

    # What was undone before does not come back; the button works like the key.
    canvas = start_again(lab_page, dataset)
    keep_picture(lab_page.page, "history-undo")
    canvas.root.get_by_role("button", name="Undo").click()
    eventually(labels, [CELL, PLATELET])
    canvas.root.locator('button[data-action="undo"][aria-disabled="true"]').wait_for()
    keep_picture(lab_page.page, "history-begin")
    canvas.stage.focus()
    canvas.press("Control+z", "Control+y", "Control+y")
    eventually(labels, [CELL, PLATELET, DRAWN, SECOND])


@pytest.mark.nightly
def test_undo_of_the_first_label_leaves_an_image_without_labels(
    lab_page: LabPage, dataset: Path
) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset, 1)
    canvas.stage.focus()
    canvas.press("d")
    canvas.wait_for("img_1.jpg")
    canvas.press("b")
    eventually(labels, [])
    canvas.wait_saved()
    canvas = start_again(lab_page, dataset)
    canvas.stage.focus()
    canvas.press("d")
    canvas.wait_for("img_1.jpg")
    canvas.press("Control+z")
    eventually(labels, ["no file"])
    canvas.root.get_by_text("not labelled", exact=True).wait_for()
    canvas.root.get_by_text("1 of 3 labelled").wait_for()


@pytest.mark.nightly
def test_what_python_restores_is_shown_and_can_be_undone(lab_page: LabPage, dataset: Path) -> None:
    canvas, labels = show(lab_page, dataset), labels_of(dataset)
    canvas.click(150, 140)
    canvas.press("Control+a", "Delete")
    eventually(labels, [])
    canvas.wait_saved()
    restore = "edits = await panel.history()\nawait panel.restore(edits[0])\nlen(edits)"
    lab_page.page.evaluate(
        """async (source) => {
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.sessionContext.session.kernel.requestExecute({ code: source }).done;
        }""",
        restore,
    )
    canvas.root.get_by_text("2 boxes", exact=True).wait_for()
    keep_picture(lab_page.page, "history-restored")
    assert labels() == [CELL, PLATELET]
    canvas.stage.focus()
    canvas.press("Control+z")
    eventually(labels, [])
