"""The models panel in a real JupyterLab, with a tiny real model and Chromium's pretended camera."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.capturing import CAMERA
from tests.browser.conftest import VIEWPORT, Lab, LabPage, find_chromium, keep_picture
from tests.helpers.models import add_model, make_found, spread_weights
from tests.helpers.training import Trained, poisoned, trained_once
from workbench.persistence import create_stores

pytestmark = pytest.mark.browser

CELL = """
from workbench import ModelsPanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = ModelsPanel(stores)
panel
"""
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")
SECONDS = 1000
COUNTED = re.compile(r"^(\d+) of (\d+) box(?:es)?, by (\w+)$")


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the dataset ``found``, two models, and weights of a stranger."""
    home = tmp_path_factory.mktemp("models")
    base = tmp_path_factory.mktemp("trained")

    async def arrange(trained: Trained) -> None:
        stores = create_stores(home / "data", home / "models")
        weights = spread_weights(trained, home / "tiny.pt")
        await add_model(stores, "older", weights)
        await add_model(stores, "newer", weights)
        await make_found(stores, 4)
        poisoned(trained, home, home / "touched")

    # Playwright has an event loop of its own in this thread.
    with ThreadPoolExecutor(1) as thread:
        trained = thread.submit(trained_once, request.config, base).result()
        thread.submit(lambda: asyncio.run(arrange(trained))).result()
    return home


@pytest.fixture(scope="module")
def panel_page(browser: Browser, lab: Lab, home: Path) -> Iterator[LabPage]:
    """One page with the panel for all tests of this module, in a Chromium with a camera."""
    chromium = browser.browser_type.launch(
        executable_path=find_chromium(), args=[*ARGUMENTS, *CAMERA]
    )
    page = chromium.new_context(viewport=VIEWPORT).new_page()
    shown = LabPage(page, lab)
    page.on("pageerror", shown.note_error)
    page.on("request", lambda request: _refuse_far(shown, request.url))
    data, models = str(home / "data"), str(home / "models")
    lab.write_notebook("models.ipynb", CELL.format(data=data, models=models))
    shown.open_notebook("models.ipynb")
    shown.run_all()
    expect(_model(page, "newer")).to_have_attribute("aria-pressed", "true", timeout=30 * SECONDS)
    yield shown
    chromium.close()
    lab.shut_down_kernels()
    assert shown.errors == []


@pytest.fixture
def page(request: pytest.FixtureRequest, panel_page: LabPage) -> Iterator[Page]:
    yield panel_page.page
    keep_picture(panel_page.page, request.node.name)
    assert panel_page.page.locator(".jp-Notebook .jp-Cell").count() == 1, "a key reached JupyterLab"


def _refuse_far(shown: LabPage, url: str) -> None:
    if not url.startswith((shown.lab.url, "blob:", "data:")):
        shown.errors.append(f"the page asked for {url}")


def _panel(page: Page) -> Locator:
    return page.locator(".jp-OutputArea .wb-panel").first


def _button(page: Page, name: str) -> Locator:
    # By its words: the letter that draws its icon would be part of its name for Playwright.
    words = re.compile(rf"^\s*{name}\s*$")
    return _panel(page).locator("button.widget-button:visible").filter(has_text=words)


def _model(page: Page, name: str) -> Locator:
    return _panel(page).locator(".wbm-choose").get_by_text(name, exact=True)


def _turn(page: Page, name: str) -> None:
    _panel(page).get_by_role("tab", name=name, exact=True).click()


def _counted(page: Page) -> tuple[int, int, str]:
    """How many boxes are shown, of how many, and by which model."""
    words = page.locator(".wbt-words")
    expect(words).to_have_text(COUNTED, timeout=60 * SECONDS)
    found = COUNTED.match(words.inner_text())
    assert found is not None
    return int(found[1]), int(found[2]), found[3]


def test_a_model_is_activated_renamed_noted_deleted_and_restored(page: Page, home: Path) -> None:
    panel = _panel(page)
    _model(page, "newer").focus()
    page.keyboard.press("ArrowDown")
    expect(_model(page, "older")).to_be_focused()
    name = panel.get_by_role("textbox", name="Name").first
    expect(name).to_have_value("older")
    _button(page, "Make active").click()
    expect(_button(page, "Make inactive")).to_be_visible()
    name.fill("best so far")
    _button(page, "Rename").click()
    expect(_model(page, "best so far")).to_be_visible()
    assert (home / "models" / "best so far" / "weights.pt").is_file()
    panel.get_by_role("textbox", name="Note").fill("before the relabelling")
    _button(page, "Save note").click()
    expect(page.locator(".wb-status-line")).to_contain_text("Note of best so far saved")
    _button(page, "Delete").click()
    expect(_model(page, "best so far")).to_have_count(0)
    _turn(page, "Trash")
    expect(panel.get_by_label("Deleted")).to_contain_text("best so far")
    _button(page, "Restore").click()
    expect(_model(page, "best so far")).to_be_visible()
    _button(page, "Undo: .*").click()
    expect(_model(page, "best so far")).to_have_count(0)
    _button(page, "Undo: .*").click()
    expect(_model(page, "best so far")).to_be_visible()
    _turn(page, "About")
    expect(panel.get_by_role("textbox", name="Note")).to_have_value("before the relabelling")


def test_a_picture_is_tried_and_the_slider_acts_at_once(page: Page) -> None:
    _model(page, "newer").click()
    _turn(page, "Try")
    slider = _panel(page).get_by_role("slider", name="Confidence from")
    _button(page, "Find objects").click()
    shown, found, by = _counted(page)
    assert (by, 0 < shown <= found) == ("newer", True)
    slider.focus()
    page.keyboard.press("Home")
    assert _counted(page)[:2] == (found, found)
    boxes = page.locator(".wbc-boxes rect")
    expect(boxes).to_have_count(found)
    page.keyboard.press("End")
    assert _counted(page)[0] < found
    expect(boxes).to_have_count(_counted(page)[0])
    slider.fill("0.25")
    assert _counted(page)[:2] == (shown, found)
    keep_picture(page, "models_try_light")


def test_the_camera_is_looked_at_until_its_page_is_hidden(page: Page, panel_page: LabPage) -> None:
    _panel(page).locator(".wbc-source select").first.select_option("browser")
    _panel(page).get_by_role("button", name="Start", exact=True).click()
    page.wait_for_function("() => document.querySelector('.wb-trial video').videoWidth > 0")
    assert _counted(page)[2] == "newer"
    track = page.evaluate_handle(
        "() => document.querySelector('.wb-trial video').srcObject.getTracks()[0]"
    )
    assert track.evaluate("(track) => track.readyState") == "live"
    panel_page.set_theme("JupyterLab Dark")
    keep_picture(page, "models_camera_dark")
    panel_page.set_theme("JupyterLab Light")
    _turn(page, "About")
    page.wait_for_function("(track) => track.readyState === 'ended'", arg=track)
    _turn(page, "Try")
    start = _panel(page).get_by_role("button", name="Start", exact=True)
    expect(start).to_be_visible()
    expect(page.locator(".wbt-words")).to_have_text("")


@pytest.mark.nightly
def test_a_source_of_the_kernel_is_looked_at_and_stopped(page: Page) -> None:
    _turn(page, "Try")
    _panel(page).locator(".wbc-source select").first.select_option("generated")
    _panel(page).get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".wb-trial canvas[data-painted]")).to_be_visible(timeout=30 * SECONDS)
    assert _counted(page)[2] == "newer"
    keep_picture(page, "models_generated")
    _panel(page).get_by_role("button", name="Stop", exact=True).click()
    expect(_panel(page).get_by_role("button", name="Start", exact=True)).to_be_visible()
    expect(page.locator(".wbt-words")).to_have_text("")


def test_a_file_is_uploaded_and_one_with_code_is_asked_about(page: Page, home: Path) -> None:
    _turn(page, "Import")
    panel = _panel(page)
    files = panel.get_by_label("Upload a weights file")
    files.set_input_files(home / "tiny.pt")
    expect(_model(page, "tiny")).to_be_visible(timeout=60 * SECONDS)
    stored = home / "models" / "tiny" / "weights.pt"
    assert stored.read_bytes() == (home / "tiny.pt").read_bytes()
    files.set_input_files(home / "stranger.pt")
    alert = panel.get_by_role("alert")
    expect(alert).to_contain_text("posix.system", timeout=30 * SECONDS)
    expect(alert).to_contain_text("stranger.pt")
    keep_picture(page, "models_import")
    _button(page, "Leave it as it is").click()
    expect(alert).to_be_hidden()
    assert not (home / "touched").exists()
    expect(_model(page, "stranger")).to_have_count(0)


def test_a_model_is_exported_and_downloaded(page: Page, home: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the export extra is not installed")
    _model(page, "newer").click()
    _turn(page, "Export")
    panel = _panel(page)
    panel.get_by_role("textbox", name="Into the folder").fill(str(tmp_path / "out"))
    panel.get_by_role("textbox", name="Into the folder").press("Tab")
    _button(page, "Export").click()
    expect(panel.get_by_text("It finds the same")).to_be_visible(timeout=120 * SECONDS)
    assert (tmp_path / "out" / "newer.onnx").stat().st_size > 1_000_000
    with page.expect_download() as download:
        panel.get_by_role("button", name="Download the weights").click()
    assert download.value.suggested_filename == "newer.pt"
    download.value.save_as(tmp_path / "mine.pt")
    stored = home / "models" / "newer" / "weights.pt"
    assert (tmp_path / "mine.pt").read_bytes() == stored.read_bytes()
