"""A workbench whose datasets and models are in a bucket: every panel, in a real JupyterLab."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.annotating import Canvas, eventually
from tests.browser.browsing import Gallery
from tests.browser.conftest import LabPage, keep_picture
from tests.storage.s3_proxy import BUCKET, S3Proxy, environment, s3_server
from workbench.persistence import create_stores
from workbench.persistence.storage.bucket import open_bucket
from workbench.samples import DETECTOR, create_shapes
from workbench.training.weights_check import import_weights

pytestmark = pytest.mark.browser

DATA, MODELS = f"s3://{BUCKET}/data", f"s3://{BUCKET}/models"
IMAGE, NEXT = "shapes_00000", "shapes_00001"
LATE = "shapes_00006"
SECONDS = 1000
CELL = """
import os
os.environ.update({environment!r})
from workbench import Workbench
Workbench({data!r}).open("shapes", "Home")
"""


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """A server with the dataset ``shapes``, and the detector that comes with the samples."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache of the test"))
    with s3_server() as proxy:
        for name, value in environment(proxy).items():
            monkeypatch.setenv(name, value)
        # Playwright has an event loop of its own in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(_arrange())).result()
        yield proxy


async def _arrange() -> None:
    stores = create_stores(DATA, MODELS)
    await create_shapes(stores, "shapes", num_images=12, seed=3, unlabelled=2)
    await import_weights(stores, DETECTOR, "detector")
    await stores.model.set_active("detector")


def _boxes(name: str) -> int:
    """Count the boxes of a training image, as another program finds them; -1 without labels."""
    (data,) = open_bucket(f"{DATA}/shapes").read_many([f"labels/train/{name}.txt"])
    return len(data.splitlines()) if isinstance(data, bytes) else -1


def _turn(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def _look_around(page: Page, s3: S3Proxy) -> None:
    """Look at what shows datasets."""
    card = page.get_by_role("region", name="Datasets").get_by_role("listitem", name="shapes")
    expect(card).to_contain_text("10 of 12 labelled", timeout=60 * SECONDS)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.wbh-picture')]"
        ".some((one) => one.style.backgroundImage)"
    )
    assert "unknown" not in card.inner_text()
    keep_picture(page, "bucket-home")
    s3.inject("InternalError", "GET", f"{LATE}.jpg", times=sys.maxsize)
    _turn(page, "Browse")
    gallery = Gallery(page)
    why = page.get_by_text(f"{LATE}.jpg: expected an answer, found InternalError").first
    why.wait_for(timeout=60 * SECONDS)
    s3.heal()  # and it comes without anybody's asking
    gallery.wait_painted()
    why.wait_for(state="hidden")
    gallery.wait_count("12 images")
    keep_picture(page, "bucket-browse")


def _annotate(page: Page, s3: S3Proxy) -> None:
    """Draw boxes, also while the server is gone and before it is back."""
    _turn(page, "Annotate")
    canvas = Canvas(page)
    canvas.wait_for(f"{IMAGE}.jpg")
    canvas.drag((10, 10), (60, 60))
    eventually(lambda: _boxes(IMAGE), 1, 30)
    canvas.wait_saved()
    s3.inject("cut", times=sys.maxsize)
    canvas.drag((90, 90), (140, 140))
    kept = canvas.root.get_by_text("Your edits are kept in this browser").first
    expect(kept).to_contain_text("expected an answer", timeout=60 * SECONDS)
    keep_picture(page, "bucket-gone")
    canvas.drag((20, 90), (60, 140))
    canvas.press("Escape", "d")
    canvas.wait_for(f"{NEXT}.jpg")  # which was fetched before
    s3.heal()
    eventually(lambda: _boxes(IMAGE), 3, 60)
    canvas.wait_saved()
    keep_picture(page, "bucket-back")


def _check_and_evaluate(page: Page) -> None:
    _turn(page, "Curate")
    page.locator("button.widget-button:visible", has_text="Check").click()
    page.locator(".curate-finding").first.wait_for(timeout=60 * SECONDS)
    keep_picture(page, "bucket-curate")
    _turn(page, "Capture")
    page.get_by_role("button", name="Start camera").wait_for()
    _turn(page, "Train")
    page.locator(".wb-note:visible", has_text="Images: train").wait_for(timeout=60 * SECONDS)
    _turn(page, "Evaluate")
    page.locator("button.widget-button:visible", has_text="Evaluate").click()
    status = page.locator(".wb-status-line:visible", has_text="2 images of shapes/val")
    status.first.wait_for(timeout=90 * SECONDS)
    keep_picture(page, "bucket-evaluate")
    _turn(page, "Models")
    expect(page.locator(".wbm-choose:visible").first).to_contain_text("detector")
    keep_picture(page, "bucket-models")


def test_every_panel(s3: S3Proxy, lab_page: LabPage, tmp_path: Path) -> None:
    told = environment(s3) | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    lab_page.lab.write_notebook("bucket.ipynb", CELL.format(environment=told, data=DATA))
    lab_page.open_notebook("bucket.ipynb")
    lab_page.run_all()
    _look_around(lab_page.page, s3)
    _annotate(lab_page.page, s3)
    _check_and_evaluate(lab_page.page)
