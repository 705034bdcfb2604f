"""A hand at the capture panel, and the cameras that Chromium can pretend to have."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Locator, Page, expect

PANEL = """
from workbench import CapturePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir="models")
await stores.dataset.create({name!r}, ["cup", "spoon"])
panel = CapturePanel({name!r}, stores)
panel
"""
CLIP_SIZE = (320, 240)
# Left and right half of the clip, as BGR. Far apart, so that swapped channels stand out.
LEFT, RIGHT = (200, 60, 30), (30, 60, 200)
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
DENIED = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny")
NONE = ("--use-fake-device-for-media-stream=device-count=0", "--use-fake-ui-for-media-stream")
TWO = ("--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream")


def write_clip(path: Path, frames: int = 4) -> Path:
    """Write a film in two colours, in the format that Chromium plays as a camera (YUV4MPEG2)."""
    width, height = CLIP_SIZE
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2] = LEFT
    image[:, width // 2 :] = RIGHT
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for _ in range(frames):
            file.write(b"FRAME\n" + planes.tobytes())
    return path


class CaptureHand:
    """The capture panel of a page."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.root: Locator = page.locator(".wb-capture").first
        self.record: Locator = self.root.locator(".wbc-record")
        self.card: Locator = self.root.locator(".wbc-card")

    def start(self) -> None:
        """Start the camera and wait until it shows something."""
        self.root.get_by_role("button", name="Start camera").click()
        self.wait_live()

    def wait_live(self) -> None:
        """Wait until the camera's picture is there."""
        self.page.wait_for_function(
            "() => document.querySelector('.wb-capture video').videoWidth > 0", timeout=20_000
        )
        expect(self.root.get_by_role("button", name="Stop", exact=True)).to_be_visible()

    def wait_saved(self, count: int) -> None:
        """Wait until exactly so many are said to be saved."""
        self.root.locator(".wbc-total").get_by_text(f"{count} saved", exact=True).wait_for()

    def wait_more_than(self, count: int) -> None:
        """Wait until more than so many are saved."""
        self.page.wait_for_function(
            "(n) => parseInt(document.querySelector('.wbc-total').textContent) > n",
            arg=count,
            timeout=30_000,
        )

    def problem(self, code: str) -> str:
        """Wait for a problem of this kind, and return its words."""
        self.root.locator(f'.wbc-card[data-code="{code}"]').wait_for(timeout=20_000)
        return self.card.inner_text()

    def choose(self, label: str, value: str) -> None:
        """Choose something of a list."""
        self.root.get_by_label(label, exact=True).select_option(value)

    def fill(self, label: str, value: str) -> None:
        """Type into a field and leave it."""
        field = self.root.get_by_label(label, exact=True)
        field.fill(value)
        field.dispatch_event("change")

    def images(self, split: str = "train") -> list[Path]:
        """The image files on disk, by name."""
        return sorted((self.folder / "images" / split).iterdir())
