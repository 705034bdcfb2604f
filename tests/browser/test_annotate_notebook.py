"""The annotate notebook in a real JupyterLab: run from top to bottom, then used by hand."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.browser.annotating import Canvas, eventually
from tests.browser.conftest import ROOT, LabPage, keep_picture

pytestmark = pytest.mark.browser

SETTINGS = "import os\nos.environ['WORKBENCH_TOUR'] = {folder!r}"


@pytest.mark.nightly
def test_the_notebook_runs_and_its_predictions_can_be_accepted(
    lab_page: LabPage, tmp_path: Path
) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "01_annotate.ipynb", as_version=4)
    settings = nbformat.v4.new_code_cell(SETTINGS.format(folder=str(tmp_path)))
    notebook.cells.insert(0, settings)
    nbformat.write(notebook, lab_page.lab.folder / "annotate.ipynb")
    lab_page.open_notebook("annotate.ipynb")
    lab_page.run_all()
    outputs = lab_page.page.locator(".jp-OutputArea-output").all_inner_texts()
    assert any("python   " in text and "revert   " in text for text in outputs), outputs

    labels = tmp_path / "annotate" / "data" / "shapes" / "labels" / "train"
    assert (labels / "shapes_00000.txt").read_text() == ""
    assert not (labels / "shapes_00001.txt").exists()
    canvas = Canvas(lab_page.page)
    canvas.root.scroll_into_view_if_needed()
    canvas.wait_for("shapes_00009.jpg")
    # In the panel of the second cell the image with the predictions is a few steps back.
    place = canvas.root.get_by_label("Number of the image to go to")
    place.fill("2")
    place.press("Enter")
    canvas.wait_for("shapes_00001.jpg")
    canvas.root.get_by_text("2 to review", exact=True).wait_for()
    keep_picture(lab_page.page, "notebook-review")
    canvas.press("Shift+Enter")
    eventually(lambda: [row[0] for row in _rows(labels / "shapes_00001.txt")], ["2", "0"])
    canvas.press("Control+z")
    eventually((labels / "shapes_00001.txt").exists, False)
    canvas.root.get_by_text("2 to review", exact=True).wait_for()


def _rows(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []
