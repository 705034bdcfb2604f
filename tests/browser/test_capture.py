"""The capture panel in a real JupyterLab, with the cameras that Chromium can pretend to have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.annotating import eventually
from tests.browser.capturing import (
    CAMERAS,
    CLIP_SIZE,
    LEFT,
    NO_CAMERA,
    PANEL,
    RIGHT,
    CaptureHand,
    two_colours,
    write_clip,
)
from tests.browser.conftest import VIEWPORT, Lab, LabPage, find_chromium, keep_picture
from tests.helpers.models import add_model, spread_weights
from tests.helpers.training import trained_once
from workbench.persistence import create_stores

pytestmark = pytest.mark.browser

ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP lab.test 127.0.0.1",
)
PHONE = {"width": 390, "height": 844}
# What a JPEG file at high quality may change of a plain colour, per channel.
TOLERANCE = 6
# Until a model is loaded for the first time, on a machine that is busy.
MODEL_TIMEOUT_MS = 180_000
OpenPanel = Callable[..., CaptureHand]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.y4m", two_colours())


@pytest.fixture(scope="module")
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    # Playwright has an event loop of its own in this thread.
    with ThreadPoolExecutor(1) as thread:
        trained = thread.submit(trained_once, request.config, folder).result()
        return thread.submit(spread_weights, trained, folder / "sees.pt").result()


@pytest.fixture(scope="module")
def context_with(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Give profiles by their cameras, each made once: JupyterLab's own files stay cached.

    Each camera needs a Chromium of its own; they share the Playwright of the package.
    """
    started: dict[tuple[str, ...], Browser] = {}
    contexts: dict[tuple[tuple[str, ...], bool], BrowserContext] = {}

    def give(arguments: tuple[str, ...], *, touch: bool) -> BrowserContext:
        if arguments not in started:
            started[arguments] = browser.browser_type.launch(
                executable_path=find_chromium(), args=[*ARGUMENTS, *arguments]
            )
        if (arguments, touch) not in contexts:
            contexts[arguments, touch] = started[arguments].new_context(
                viewport=PHONE if touch else VIEWPORT,
                has_touch=touch,
                is_mobile=touch,
                permissions=["camera"],
            )
        return contexts[arguments, touch]

    yield give
    for one in started.values():
        one.close()


@pytest.fixture
def open_panel(
    request: pytest.FixtureRequest, lab: Lab, context_with: Callable[..., BrowserContext]
) -> Iterator[OpenPanel]:
    """Open a notebook with a capture panel on a new dataset; errors of the page fail the test."""
    pages: list[LabPage] = []

    def open_one(
        *cameras: str, host: str = "", touch: bool = False, weights: Path | None = None
    ) -> CaptureHand:
        name = f"cups_{uuid4().hex[:8]}"
        models = lab.folder / f"models_{name}"
        if weights is not None:
            put_model(models, weights)
        page = context_with(cameras or CAMERAS, touch=touch).new_page()
        seen = lab if not host else Lab(lab.url.replace("127.0.0.1", host), lab.token, lab.folder)
        lab_page = LabPage(page, seen)
        page.on("pageerror", lab_page.note_error)
        pages.append(lab_page)
        lab.write_notebook(
            f"{name}.ipynb",
            PANEL.format(data=str(lab.folder / "data"), models=str(models), name=name),
        )
        lab_page.open_notebook(f"{name}.ipynb")
        if touch:
            page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        lab_page.run_all()
        hand = CaptureHand(page, lab.folder / "data" / name)
        hand.root.wait_for()
        return hand

    yield open_one
    errors = [error for page in pages for error in page.errors]
    for lab_page in pages:
        if not lab_page.page.is_closed():
            keep_picture(lab_page.page, request.node.name)
            lab_page.page.close()
    lab.shut_down_kernels()
    assert errors == []


def put_model(folder: Path, weights: Path) -> None:
    stores = create_stores(folder.parent / "data", folder)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(add_model(stores, "sees", weights))).result()


def all_are_whole(files: list[Path]) -> bool:
    """Whether every file is a JPEG from its first to its last byte, and no other is there."""
    contents = [file.read_bytes() for file in files]
    return all(c[:2] == b"\xff\xd8" and c[-2:] == b"\xff\xd9" for c in contents)


def test_colours_on_disk_are_those_of_the_camera(open_panel: OpenPanel, clip: Path) -> None:
    hand = open_panel(*CAMERAS, f"--use-file-for-fake-video-capture={clip}")
    hand.start()
    hand.record.click()
    hand.wait_saved(1)
    (file,) = hand.images()
    image = cv2.imread(str(file))
    assert image is not None
    assert image.shape == (CLIP_SIZE[1], CLIP_SIZE[0], 3)
    quarter = CLIP_SIZE[0] // 4
    for colour, at in ((LEFT, quarter), (RIGHT, 3 * quarter)):
        seen = image[60:180, at - 40 : at + 40].reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - colour).max() <= TOLERANCE, (colour, seen)


def test_tap_delete_undo_and_redo(open_panel: OpenPanel) -> None:
    hand = open_panel()
    hand.fill("Shows", "cup")
    undo, redo = (hand.root.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    expect(hand.record).to_have_attribute("aria-disabled", "true")
    expect(undo).to_have_attribute("title", "Nothing was taken yet.")
    expect(redo).to_have_attribute("title", "Nothing was undone.")
    hand.record.click(force=True)
    why = hand.root.get_by_text("No frames come yet: press Start")
    why.wait_for()
    hand.start()
    why.wait_for(state="detached")
    hand.record.click()
    hand.wait_saved(1)
    hand.record.click()
    hand.wait_saved(2)
    cells = hand.root.locator(".wbc-strip li")
    expect(cells).to_have_count(2)
    hand.page.wait_for_function(
        "() => [...document.querySelectorAll('.wbc-strip img')].every((i) => i.naturalWidth > 0)"
    )
    expect(hand.root.locator(".wbc-tag")).to_have_text("cup 2")
    first, second = hand.images()
    assert first.name.startswith("cup_")
    cells.first.hover()
    cells.first.get_by_role("button").click()
    hand.wait_saved(1)
    expect(cells).to_have_count(1)
    assert hand.images() == [first]
    redo.click()
    hand.wait_saved(2)
    expect(redo).to_have_attribute("aria-disabled", "true")
    expect(undo).to_have_attribute("aria-disabled", "false")
    assert hand.images() == [first, second]
    hand.root.press("Control+z")
    hand.wait_saved(1)
    assert hand.images() == [first]


def test_holding_space_is_a_burst_and_no_key_reaches_the_notebook(open_panel: OpenPanel) -> None:
    hand = open_panel()
    hand.start()
    hand.root.focus()
    cells_before = hand.page.locator(".jp-Cell").count()
    hand.page.keyboard.down(" ")
    hand.wait_more_than(5)
    expect(hand.root).to_have_attribute("data-recording", "true")
    hand.page.keyboard.up(" ")
    hand.wait_all_saved()
    for key in ("a", "b", "d", "d"):
        hand.page.keyboard.press(key)
    assert hand.page.locator(".jp-Cell").count() == cells_before
    names = [file.name for file in hand.images()]
    bursts = {name.rpartition("_")[0] for name in names}
    assert len(bursts) == 1
    numbers = [int(name.rpartition("_")[2].removesuffix(".jpg")) for name in names]
    assert numbers == list(range(1, len(names) + 1))  # none is missing
    assert all_are_whole(hand.images())


NOTE_COUNTDOWN = """() => {
    const count = document.querySelector('.wbc-count');
    window.countdown = [];
    new MutationObserver(() => window.countdown.push(count.textContent))
        .observe(count, { childList: true, characterData: true, subtree: true });
}"""


@pytest.mark.nightly
def test_burst_until_n_after_a_countdown(open_panel: OpenPanel) -> None:
    hand = open_panel()
    hand.root.get_by_role("radio", name="Burst").click()
    hand.fill("Until", "4")
    hand.fill("Countdown", "1")
    hand.choose("Split", "val")
    hand.start()
    hand.page.evaluate(NOTE_COUNTDOWN)
    hand.record.click()
    hand.wait_saved(4)
    hand.wait_all_saved()
    assert hand.page.evaluate("() => window.countdown") == ["1", ""]
    assert len(hand.images("val")) == 4
    assert hand.images("train") == []


def test_permission_denied(open_panel: OpenPanel) -> None:
    hand = open_panel()
    hand.page.context.clear_permissions()
    hand.root.get_by_role("button", name="Start camera").click()
    words = hand.problem("denied")
    assert "allow the camera" in words
    expect(hand.card.get_by_role("button", name="Try again")).to_be_visible()
    expect(hand.card.get_by_role("button", name="Upload pictures")).to_be_visible()
    hand.page.context.grant_permissions(["camera"])
    hand.card.get_by_role("button", name="Try again").click()
    hand.wait_live()


def test_no_camera_and_pictures_from_files_instead(open_panel: OpenPanel, tmp_path: Path) -> None:
    hand = open_panel(*NO_CAMERA)
    hand.root.get_by_role("button", name="Start camera").click()
    assert "no camera" in hand.problem("none")
    picture = tmp_path / "mine.png"
    cv2.imwrite(str(picture), np.full((30, 40, 3), 90, np.uint8))
    with hand.page.expect_file_chooser() as chooser:
        hand.card.get_by_role("button", name="Upload pictures").click()
    chooser.value.set_files(picture)
    hand.root.get_by_text("1 picture added to train").wait_for()
    assert [file.read_bytes() for file in hand.images()] == [picture.read_bytes()]


@pytest.mark.nightly
def test_two_cameras_can_be_chosen_between(open_panel: OpenPanel) -> None:
    hand = open_panel()
    hand.start()
    device = hand.root.get_by_label("Camera", exact=True)
    expect(device.locator("option")).to_have_count(3)
    used = "() => document.querySelector('.wb-camera video').srcObject?.getVideoTracks()[0].label"
    before = hand.page.evaluate(used)
    labels = device.locator("option").all_inner_texts()[1:]
    other = next(label for label in labels if label != before)
    device.select_option(label=other)
    eventually(lambda: hand.page.evaluate(used), other)
    hand.wait_live()
    hand.record.click()
    hand.wait_saved(1)


def test_camera_is_unplugged_while_recording(open_panel: OpenPanel) -> None:
    hand = open_panel()
    hand.root.get_by_role("radio", name="Burst").click()
    hand.start()
    hand.record.click()
    hand.wait_more_than(2)
    # Chromium cannot pull the plug of its camera; the event is what a page gets of it.
    hand.page.evaluate(
        "() => document.querySelector('.wb-camera video').srcObject.getVideoTracks()[0]"
        ".dispatchEvent(new Event('ended'))"
    )
    assert "unplugged" in hand.problem("unplugged")
    hand.wait_all_saved()
    saved = len(hand.images())
    hand.wait_saved(saved)
    assert all_are_whole(hand.images())
    hand.card.get_by_role("button", name="Try again").click()
    hand.wait_live()
    hand.record.click()
    hand.wait_more_than(saved)


@pytest.mark.nightly
def test_insecure_origin_is_explained(open_panel: OpenPanel, lab: Lab) -> None:
    """A page by http that does not come from localhost has no camera at all."""
    port = lab.url.rstrip("/").rpartition(":")[2]
    hand = open_panel(host="lab.test")
    words = hand.problem("insecure")
    assert "https" in words
    assert f"ssh -L {port}:localhost:{port}" in words
    hand.card.get_by_role("button", name="Kernel's camera").click()
    # This machine may have a camera or none: the panel has changed over in both cases.
    expect(hand.root.get_by_label("Source of pictures")).to_have_value("camera")


def test_tab_is_closed_while_recording(open_panel: OpenPanel, lab: Lab) -> None:
    hand = open_panel()
    hand.root.get_by_role("radio", name="Burst").click()
    hand.start()
    hand.record.click()
    hand.wait_more_than(3)
    hand.page.close()
    assert all_are_whole(final_images(hand, lab))


def test_kernel_is_restarted_while_recording(open_panel: OpenPanel, lab: Lab) -> None:
    hand = open_panel()
    hand.root.get_by_role("radio", name="Burst").click()
    hand.start()
    hand.record.click()
    hand.wait_more_than(3)
    hand.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    assert "restarted" in hand.problem("kernel")
    assert hand.page.evaluate("() => document.querySelector('.wb-camera video').srcObject") is None
    files = final_images(hand, lab)
    assert len(files) > 3
    assert all_are_whole(files)


@pytest.mark.nightly
def test_feed_of_the_kernel_on_a_phone(open_panel: OpenPanel) -> None:
    """Touch, a narrow page, pictures that come from the kernel; a tap, and a burst by holding."""
    hand = open_panel(touch=True)
    hand.root.get_by_label("Source of pictures").select_option("generated")
    hand.root.get_by_role("button", name="Start", exact=True).tap()
    hand.root.locator("canvas[data-painted]").wait_for()
    hand.record.tap()
    hand.wait_saved(1)
    assert cv2.imread(str(hand.images()[0])).shape == (480, 640, 3)
    lift = hand.hold_by_touch()
    expect(hand.root).to_have_attribute("data-recording", "true")
    hand.wait_more_than(3)
    lift()
    hand.wait_all_saved()
    hand.wait_saved(len(hand.images()))
    fits = "(root) => root.clientWidth > 250 && root.scrollWidth <= root.clientWidth"
    assert hand.root.evaluate(fits)  # nothing sticks out
    assert hand.root.evaluate(CUT_OFF) == []


CUT_OFF = """(root) => {
    const edge = root.getBoundingClientRect();
    const shown = [...root.querySelectorAll("button, input, select, label, summary, .wbc-split")]
        .filter((one) => one.checkVisibility() && !one.closest(".wbc-strip"));
    return shown.filter((one) => {
        const box = one.getBoundingClientRect();
        return box.left < edge.left || box.right > edge.right;
    }).map((one) => one.outerHTML.slice(0, 80));
}"""


def test_a_model_draws_its_boxes_and_they_are_saved(
    open_panel: OpenPanel, clip: Path, weights: Path
) -> None:
    camera = (*CAMERAS, f"--use-file-for-fake-video-capture={clip}")
    hand = open_panel(*camera, weights=weights)
    hand.start()
    hand.root.locator("summary").click()
    hand.fill("Surer than", "0.01")
    hand.root.get_by_label("Model", exact=True).check()
    boxes = hand.root.locator(".wbc-boxes rect")
    boxes.first.wait_for(state="attached", timeout=MODEL_TIMEOUT_MS)
    names = set(hand.root.locator(".wbc-boxes text").all_text_contents())
    assert {name.split()[0] for name in names} <= {"square", "disc"}
    hand.choose("Save of it", "labels")
    in_use = hand.root.locator(".wbc-in-use")
    expect(in_use).to_have_text("saves labels")
    hand.record.click()
    hand.wait_saved(1)
    (labelled,) = hand.images()
    rows = hand.label_of(labelled).read_text().splitlines()
    assert rows
    assert {row.split()[0] for row in rows} <= {"2", "3"}  # the dataset's square and disc
    expect(hand.root.locator(".wbc-notes").first).to_contain_text(f"{len(rows)} box")
    hand.choose("Save of it", "predictions")
    expect(in_use).to_have_text("saves predictions")
    hand.record.click()
    hand.wait_saved(2)
    (proposed,) = set(hand.images()) - {labelled}
    assert not hand.label_of(proposed).exists()
    assert hand.proposed_on(proposed) == len(rows)


def final_images(hand: CaptureHand, lab: Lab) -> list[Path]:
    """Return the images once the kernel is gone, so that nobody adds any."""
    lab.shut_down_kernels()
    return hand.images()
