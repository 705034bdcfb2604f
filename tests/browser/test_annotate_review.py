"""Reviewing suggestions in a real JupyterLab; asserted on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.annotating import HEIGHT, WIDTH, Canvas, eventually, labels_of, show
from tests.browser.conftest import LabPage, keep_picture
from workbench.persistence.models import Prediction
from workbench.persistence.suggestion_blocks import (
    SuggestionBlock,
    SuggestionSource,
    format_block,
    new_block,
    parse_blocks,
)

pytestmark = pytest.mark.browser

MODEL = SuggestionSource("model", "cells-1", "ab" * 32)
FIRST = (0, 80, 80, 160, 160)
SECOND = (1, 320, 80, 400, 200)
DOUBTFUL = (2, 480, 320, 560, 400)
UNLIKELY = (2, 80, 320, 160, 400)


def prediction(box: tuple[int, int, int, int, int], score: float) -> Prediction:
    cls, left, top, right, bottom = box
    x, y = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
    return Prediction(cls, x, y, (right - left) / WIDTH, (bottom - top) / HEIGHT, score)


@pytest.fixture
def suggested(dataset: Path) -> Path:
    """Four suggestions on the second image, one on the third."""
    found = [(FIRST, 0.9), (SECOND, 0.8), (DOUBTFUL, 0.4), (UNLIKELY, 0.1)]
    block = new_block(
        MODEL,
        {
            ("train", "img_1.jpg"): [prediction(*one) for one in found],
            ("train", "img_2.jpg"): [prediction(FIRST, 0.75)],
        },
    )
    write_block(dataset, block)
    return dataset


def write_block(dataset: Path, block: SuggestionBlock) -> None:
    """Suggest, as another program."""
    folder = dataset / ".workbench" / "suggestions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / block.file_name).write_bytes(format_block(block))


def rejected(dataset: Path) -> int:
    """How many suggestions are noted as rejected, less those that were restored."""
    file = dataset / ".workbench/suggestions/decisions.bin"
    blocks = parse_blocks(file.read_bytes(), str(file)) if file.exists() else []
    return sum(len(block) if block.kind == "rejected" else -len(block) for block in blocks)


def open_second(lab_page: LabPage, dataset: Path, notebook: str = "") -> Canvas:
    canvas = show(lab_page, dataset, notebook)
    canvas.stage.focus()
    canvas.press("d")
    canvas.wait_for("img_1.jpg")
    return canvas


@pytest.mark.smoke
def test_accept_fix_reject_and_undo_across_a_restart(lab_page: LabPage, suggested: Path) -> None:
    canvas = open_second(lab_page, suggested)
    labels = labels_of(suggested, 1)
    canvas.root.get_by_text("3 of 4 to review", exact=True).wait_for()
    bar = canvas.root.locator(".wb-review").bounding_box()
    assert bar is not None
    assert canvas.at(0, HEIGHT)[1] <= bar["y"]  # it covers nothing of the picture
    canvas.root.get_by_text("2 to review, 1 of 3 labelled", exact=True).wait_for()
    keep_picture(lab_page.page, "review")

    canvas.click(120, 120)
    canvas.press("Enter")
    eventually(labels, [FIRST])
    canvas.click(360, 140)
    canvas.drag((400, 140), (440, 140))  # an edge: fixed, and so accepted
    fixed = (1, 320, 80, 440, 200)
    eventually(labels, [FIRST, fixed])
    canvas.press("Escape", "Tab", "Tab", "Tab", "Backspace")  # in reading order the third
    eventually(lambda: rejected(suggested), 1)
    canvas.root.get_by_text("0 of 1 to review", exact=True).wait_for()

    # The slider shows the unlikely one, and hides it again.
    slider = canvas.root.get_by_role("slider", name="Show predictions from this score on")
    slider.fill("5")
    canvas.root.get_by_text("1 to review", exact=True).wait_for()
    slider.fill("50")
    canvas.root.get_by_text("0 of 1 to review", exact=True).wait_for()
    canvas.wait_saved()

    canvas = open_second(lab_page, suggested, "again.ipynb")
    canvas.press("Control+z")  # what was rejected comes back
    canvas.root.get_by_text("1 of 2 to review", exact=True).wait_for()
    eventually(lambda: rejected(suggested), 0)
    canvas.press("Control+z")
    eventually(labels, [FIRST])
    canvas.root.get_by_text("2 of 3 to review", exact=True).wait_for()
    canvas.press("Control+z")
    eventually(labels, ["no file"])
    canvas.root.get_by_text("3 of 4 to review", exact=True).wait_for()


def test_enter_accepts_what_is_shown_and_goes_on(lab_page: LabPage, suggested: Path) -> None:
    canvas = open_second(lab_page, suggested)
    canvas.press("Enter")
    canvas.wait_for("img_2.jpg")
    eventually(labels_of(suggested, 1), [FIRST, SECOND, DOUBTFUL])
    canvas.press("Enter")
    eventually(labels_of(suggested, 2), [FIRST])
    canvas.root.get_by_text("3 of 3 labelled", exact=True).wait_for()


def test_a_kernel_killed_in_the_middle_of_accepting_loses_nothing(
    lab_page: LabPage, suggested: Path
) -> None:
    canvas = open_second(lab_page, suggested)
    lab_page.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()"
    )
    canvas.click(360, 140)
    canvas.press("Backspace", "Shift+Enter")
    canvas.root.locator('.wb-save[data-state="not saved"]').wait_for(timeout=20_000)
    assert labels_of(suggested, 1)() == ["no file"]
    canvas = open_second(lab_page, suggested)
    eventually(labels_of(suggested, 1), [FIRST, DOUBTFUL])
    eventually(lambda: rejected(suggested), 1)
    canvas.wait_saved()
    canvas.root.get_by_text("0 of 1 to review", exact=True).wait_for()


def test_two_tabs_reviewing_the_same_do_not_fight(
    lab_page: LabPage, suggested: Path, open_lab_page: object
) -> None:
    assert callable(open_lab_page)
    mine = open_second(lab_page, suggested, "mine.ipynb")
    theirs = open_second(open_lab_page(), suggested, "theirs.ipynb")
    mine.press("Shift+Enter")
    eventually(labels_of(suggested, 1), [FIRST, SECOND, DOUBTFUL])
    theirs.press("Shift+Backspace")
    theirs.click(120, 360)
    theirs.drag((200, 300), (300, 400))
    theirs.root.get_by_role("button", name="Take the file's").click()
    theirs.wait_saved()
    assert labels_of(suggested, 1)() == [FIRST, SECOND, DOUBTFUL]


def test_what_another_program_suggests_appears_while_a_box_is_drawn(
    lab_page: LabPage, suggested: Path
) -> None:
    canvas = open_second(lab_page, suggested)
    canvas.root.get_by_text("3 of 4 to review", exact=True).wait_for()
    mouse = lab_page.page.mouse
    mouse.move(*canvas.at(200, 300))
    mouse.down()
    mouse.move(*canvas.at(260, 380), steps=3)
    # Another process, meanwhile: one suggestion somewhere else, one where the hand draws.
    drawn = (0, 200, 300, 300, 440)
    found = [prediction((1, 440, 80, 600, 240), 0.7), prediction(drawn, 0.6)]
    other = SuggestionSource("model", "cells-2", "cd" * 32)
    write_block(suggested, new_block(other, {("train", "img_1.jpg"): found}))
    canvas.root.get_by_text("5 of 6 to review", exact=True).wait_for()
    mouse.move(*canvas.at(300, 440), steps=3)
    mouse.up()
    eventually(labels_of(suggested, 1), [drawn])
    canvas.root.get_by_text("4 of 5 to review", exact=True).wait_for()
    canvas.press("Control+z")
    eventually(labels_of(suggested, 1), ["no file"])
    canvas.root.get_by_text("5 of 6 to review", exact=True).wait_for()


@pytest.mark.nightly
def test_how_reviewing_looks(lab_page: LabPage, suggested: Path) -> None:
    scores = {"cell": 0.85, "crystal": 0.05}
    best = {"model": "cells-1", "split": "val", "images": 40, "scores": scores}
    cache = suggested / ".workbench" / "cache"
    cache.mkdir(exist_ok=True)
    (cache / f"thresholds-{MODEL.digest[:40]}.json").write_text(json.dumps(best))
    canvas = open_second(lab_page, suggested)
    use_best = canvas.root.get_by_role("button", name="Use the evaluation's thresholds")
    use_best.wait_for()
    keep_picture(lab_page.page, "light")
    use_best.click()
    canvas.root.get_by_text("4 to review", exact=True).wait_for()
    use_best.wait_for(state="hidden")
    lab_page.set_theme("JupyterLab Dark")
    canvas.click(360, 140)
    keep_picture(lab_page.page, "dark")
    lab_page.set_theme("JupyterLab Light")
    lab_page.page.set_viewport_size({"width": 760, "height": 950})
    lab_page.page.wait_for_timeout(300)
    keep_picture(lab_page.page, "narrow")
    canvas.root.locator(".wb-review").wait_for()


def test_the_picture_is_clear_of_the_bars_on_a_phone(
    open_lab_page: Callable[..., LabPage], suggested: Path
) -> None:
    lab_page = open_lab_page(viewport={"width": 390, "height": 664}, has_touch=True, is_mobile=True)
    canvas = open_second(lab_page, suggested)
    canvas.root.get_by_text("3 of 4 to review", exact=True).wait_for()
    lab_page.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def free() -> float:
        bar = canvas.root.locator(".wb-review").bounding_box()
        stage = canvas.stage.bounding_box()
        assert bar is not None
        assert stage is not None
        # While the side bar of JupyterLab goes, there is hardly any page.
        return bar["y"] - stage["y"] if bar["width"] > 200 else 0.0

    eventually(lambda: free() >= 150, True)
    keep_picture(lab_page.page, "review-phone")
