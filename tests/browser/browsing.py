"""A hand at the browse panel: what is shown, and mouse and keys on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from playwright.sync_api import Locator, Page

from tests.browser.annotating import CELL, CLASSES, PLATELET, scene, yolo_row

if TYPE_CHECKING:
    from tests.browser.conftest import LabPage

PANEL = """
from workbench import BrowsePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
panel = BrowsePanel({name!r}, stores)
panel
"""


def write_images(folder: Path, name: str, images: int = 12) -> Path:
    """A dataset in YOLO layout: every second image labelled, one background, the rest not."""
    root = folder / "data" / name
    for kind in ("images", "labels"):
        for split in ("train", "val", "test"):
            (root / kind / split).mkdir(parents=True)
    listed = "\n".join(f"  {i}: {c}" for i, c in enumerate(CLASSES))
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{listed}\n")
    for index in range(images):
        cv2.imwrite(str(root / "images" / "train" / f"img_{index:02}.jpg"), scene(index))
        label = root / "labels" / "train" / f"img_{index:02}.txt"
        if index % 2 == 0:
            label.write_text(yolo_row(*CELL) + (yolo_row(*PLATELET) if index % 4 == 0 else ""))
        elif index == 3:
            label.write_text("")
    return root


class Gallery:
    """The gallery of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root: Locator = page.locator(".wb-gallery").first
        self.grid: Locator = self.root.get_by_role("listbox", name="Images")
        self.query: Locator = self.root.get_by_role("combobox", name="Filter")

    def wait_painted(self) -> None:
        """Wait until all that is in sight is painted."""
        self.root.locator('.wbg-scroll[data-ready="true"]').wait_for(timeout=30_000)

    def wait_count(self, text: str) -> None:
        """Wait until the number of matches is this."""
        self.root.locator(".wbg-count", has_text=text).wait_for()

    def cell(self, name: str) -> Locator:
        """The cell of an image."""
        return self.grid.locator(".wbg-cell:visible", has_text=name).first

    def filter(self, text: str) -> None:
        """Type a query and press Enter."""
        self.query.fill(text)
        self.query.press("Enter")

    def button(self, name: str) -> Locator:
        """A button of the bars."""
        return self.root.get_by_role("button", name=name, exact=True)

    def wait_selected(self, count: int) -> None:
        """Wait until so many are selected."""
        self.root.get_by_text(f"{count:,} selected", exact=True).wait_for()

    def wait_message(self, text: str) -> None:
        """Wait until the status line says this."""
        self.root.locator(".wbg-message", has_text=text).wait_for()

    def names(self) -> list[str]:
        """The names that are shown, in order."""
        cells = self.grid.locator(".wbg-cell:visible").all()
        placed = [(int(c.get_attribute("aria-posinset") or 0), c) for c in cells]
        return [c.locator(".wbg-name").inner_text() for _, c in sorted(placed, key=lambda p: p[0])]


def show_gallery(lab_page: LabPage, root: Path) -> Gallery:
    """Open a notebook with a panel on a dataset, and wait for its pictures."""
    lab = lab_page.lab
    cell = PANEL.format(data=str(root.parent), models=str(lab.folder / "models"), name=root.name)
    notebook = f"{root.name}.ipynb"
    lab.write_notebook(notebook, cell)
    lab_page.open_notebook(notebook)
    lab_page.run_all()
    gallery = Gallery(lab_page.page)
    gallery.wait_painted()
    return gallery
