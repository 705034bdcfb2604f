"""A full disk, a folder that goes, a kernel that is killed: what was told as saved is there."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.capture.scripted import Recorder, picture, wait_until, wait_until_recording
from workbench.capture.controller import CaptureController
from workbench.capture.events import CaptureFailed, ImageSaved
from workbench.capture.generated_feed import GeneratedFeed
from workbench.capture.push_feed import PushFeed
from workbench.capture.settings import CaptureSettings
from workbench.persistence import Stores, create_stores

ALL = CaptureSettings(min_difference=0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB that really fills up."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def all_intact(events: Recorder, folder: Path) -> None:
    saved = {event.info.filename for event in events.of(ImageSaved)}
    on_disk = {path.name for path in folder.iterdir()}
    assert saved == on_disk
    for name in saved:
        assert cv2.imread(str(folder / name)) is not None


def test_a_full_disk_stops_capture_and_all_that_was_saved_is_intact(
    small_disk: Path, tmp_path: Path, recorder: Recorder
) -> None:
    stores = create_stores(data_dir=small_disk, models_dir=tmp_path / "models")
    asyncio.run(stores.dataset.create("cups"))
    feed = GeneratedFeed(realtime=False, image_size=(320, 240))
    capture = CaptureController(stores, feed, "cups", settings=ALL, listener=recorder)
    with feed:
        capture.record()
        wait_until(lambda: capture.status.failure)
        assert capture.flush(20)
    assert not capture.status.recording
    assert "the disk is full" in capture.status.failure
    saved = len(recorder.of(ImageSaved))
    assert f"{saved} images of this session are saved and intact" in capture.status.failure
    assert recorder.of(CaptureFailed) == [CaptureFailed(capture.status.failure)]
    assert saved >= 10
    all_intact(recorder, small_disk / "cups/images/train")
    # With room again it goes on.
    for path in list((small_disk / "cups/images/train").iterdir())[:5]:
        path.unlink()
    with feed:
        capture.record(until=1)
        assert capture.flush(20)
    assert capture.status.failure == ""
    assert capture.status.saved == saved + 1


def test_a_limit_on_file_sizes_is_told_like_a_full_disk(
    stores: Stores, push: PushFeed, images: Path, recorder: Recorder
) -> None:
    rng = np.random.default_rng(0)
    capture = CaptureController(stores, push, "cups", listener=recorder)
    push.push(picture())
    capture.shoot()
    assert capture.flush(20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        push.push(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8))  # 300 KB as a JPEG
        capture.shoot()
        assert capture.flush(20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert "limit on files" in capture.status.failure
    assert capture.status.saved == 1
    all_intact(recorder, images / "train")


def test_a_dataset_that_goes_while_recording(
    stores: Stores, push: PushFeed, images: Path, recorder: Recorder
) -> None:
    capture = CaptureController(stores, push, "cups", settings=ALL, listener=recorder)
    push.push(picture())
    capture.record()
    wait_until_recording(capture)
    push.push(picture())
    wait_until(lambda: capture.status.saved == 1)
    shutil.rmtree(images.parent)
    push.push(picture())
    wait_until(lambda: capture.status.failure)
    assert "'cups' is not there" in capture.status.failure
    assert capture.flush(20)
    assert push.unacknowledged == 0
    assert not images.exists()  # nobody has made half of a dataset


def test_a_dataset_that_never_was(stores: Stores, push: PushFeed) -> None:
    push.push(picture())
    capture = CaptureController(stores, push, "spoons")
    capture.shoot()
    assert capture.flush(20)
    assert "'spoons' is not there" in capture.status.failure
    assert "Nothing was saved" in capture.status.failure


_RECORDING = """
import asyncio, sys, time
from pathlib import Path
from workbench.capture.controller import CaptureController
from workbench.capture.events import ImageSaved
from workbench.capture.generated_feed import GeneratedFeed
from workbench.capture.settings import CaptureSettings
from workbench.persistence import create_stores

stores = create_stores(data_dir=Path(sys.argv[1]), models_dir=Path(sys.argv[1]) / "models")
asyncio.run(stores.dataset.create("cups"))

def tell(event):
    if isinstance(event, ImageSaved):
        print(event.info.filename, flush=True)

feed = GeneratedFeed(realtime=False, image_size=64)
capture = CaptureController(
    stores, feed, "cups", settings=CaptureSettings(min_difference=0), listener=tell
)
feed.start()
capture.record()
time.sleep(3600)
"""


def test_a_kernel_killed_while_recording_loses_nothing_that_was_told(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _RECORDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.read().split("\n")[:-1]  # the last line may be cut off
    process.wait()
    process.stdout.close()

    async def look() -> tuple[list[str], set[str]]:
        stores = create_stores(data_dir=tmp_path, models_dir=tmp_path / "models")
        infos = await stores.image.list("cups")
        for info in infos:
            assert (await stores.image.load("cups", "train", info.filename)).shape == (64, 64, 3)
        return [i.filename for i in infos], {name for _, name in await stores.image.sources("cups")}

    names, with_source = asyncio.run(look())
    assert set(told) <= set(names)
    assert len(told) >= 40
    assert with_source == set(names)
