"""A hand at the capture panel, and the cameras that Chromium can pretend to have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Locator, Page, expect

from workbench.persistence import create_stores
from workbench.persistence.sources import ImageSource

PANEL = """
from workbench import CapturePanel, create_stores
stores = create_stores(data_dir={data!r}, models_dir={models!r})
await stores.dataset.create({name!r}, ["cup", "spoon", "square", "disc"])
panel = CapturePanel({name!r}, stores)
panel
"""
CLIP_SIZE = (320, 240)
# Left and right half of the clip, as BGR. Far apart, so that swapped channels stand out.
LEFT, RIGHT = (200, 60, 30), (30, 60, 200)
# Allowed to everybody, for tests whose page has no permissions of its own.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
CAMERAS = ("--use-fake-device-for-media-stream=device-count=2",)
NO_CAMERA = ("--use-fake-device-for-media-stream=device-count=0",)


def two_colours() -> np.ndarray:
    """A picture whose left and right half are plain."""
    width, height = CLIP_SIZE
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2] = LEFT
    image[:, width // 2 :] = RIGHT
    return image


def write_clip(path: Path, image: np.ndarray, frames: int = 4) -> Path:
    """Write a still film in the format that Chromium plays as a camera (YUV4MPEG2)."""
    height, width = image.shape[:2]
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
        self.root: Locator = page.locator(".wb-camera").first
        self.record: Locator = self.root.locator(".wbc-record")
        self.card: Locator = self.root.locator(".wbc-card")

    def start(self) -> None:
        """Start the camera and wait until it shows something."""
        self.root.get_by_role("button", name="Start camera").click()
        self.wait_live()

    def wait_live(self) -> None:
        """Wait until the camera's picture is there."""
        self.page.wait_for_function(
            "() => document.querySelector('.wb-camera video').videoWidth > 0", timeout=20_000
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

    def wait_all_saved(self) -> None:
        """Wait until nothing is recorded any more, and all that was is on disk."""
        expect(self.root).to_have_attribute("data-recording", "false")
        expect(self.root).to_have_attribute("data-saving", "false")

    def problem(self, code: str) -> str:
        """Wait for a problem of this kind, and return its words."""
        self.root.locator(f'.wbc-card[data-code="{code}"]').wait_for(timeout=20_000)
        return self.card.inner_text()

    def hold_by_touch(self) -> Callable[[], None]:
        """Put a finger on the record button; return what lifts it."""
        self.record.scroll_into_view_if_needed()
        box = self.record.bounding_box()
        assert box is not None
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})

        def lift() -> None:
            devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            devtools.detach()

        return lift

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

    def label_of(self, image: Path) -> Path:
        """The label file of an image."""
        return self.folder / "labels" / image.parent.name / f"{image.stem}.txt"

    def proposed_on(self, image: Path) -> int:
        """Number of predictions that are kept for somebody to review."""
        stores = create_stores(self.folder.parent, self.folder.parent / "models")

        def read() -> dict[tuple[str, str], ImageSource]:
            return asyncio.run(stores.image.sources(self.folder.name))

        # Playwright has an event loop of its own in this thread.
        with ThreadPoolExecutor(1) as thread:
            sources = thread.submit(read).result()
        return len(sources[image.parent.name, image.name].predictions)
