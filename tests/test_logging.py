"""What a log tells about the joints: a program's own, where somebody asks for it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.helpers.archives import small_dataset
from workbench.capture.generated_feed import GeneratedFeed
from workbench.panels.browse.gallery import Gallery
from workbench.panels.capture.camera import Camera
from workbench.panels.models.widgets import Trial
from workbench.persistence import create_stores
from workbench.persistence.run_folder import RunFolder
from workbench.training.processes import spawn


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "workbench")


async def test_a_dataset_that_is_opened_and_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pets = tmp_path / "data" / "pets"
    for name, data in small_dataset().items():
        (pets / name).parent.mkdir(parents=True, exist_ok=True)
        (pets / name).write_bytes(data)
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    for _ in range(2):
        await stores.dataset.get("pets")
    assert [line for line in caplog.messages if "opened" in line] == [
        f"dataset opened: {pets}, 2 classes"
    ]
    await stores.image.move("pets", "a.jpg", "train", "val")
    [transaction] = [line for line in caplog.messages if "transaction" in line]
    assert transaction.startswith(f"{pets}: transaction ")
    assert transaction.endswith("of 3 steps")  # the image, its labels, a line of the history


async def test_a_change_that_a_crash_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await stores.dataset.create("pets", ["cat"])
    left = tmp_path / "data/pets/.workbench/tx/begun"
    left.mkdir(parents=True)
    await stores.dataset.save_prompts("pets", {0: ["a cat"]})
    assert f"{tmp_path / 'data/pets'}: a change was begun and never made: begun" in caplog.messages
    assert not left.exists()


def test_the_states_of_a_feed(caplog: pytest.LogCaptureFixture) -> None:
    feed = GeneratedFeed()
    with feed:
        next(iter(feed.frames()))
    assert caplog.messages == [
        f"feed {feed.name}: {state}" for state in ("opening", "live", "stopped")
    ]


@pytest.mark.parametrize("widget", [Gallery, Camera, Trial])
def test_a_message_that_is_refused(
    widget: type[Gallery | Camera | Trial], caplog: pytest.LogCaptureFixture
) -> None:
    widget()._handle_custom_msg({"kind": "erase"}, [])
    assert caplog.messages == ["a message of the page was refused: it is of the kind 'erase'"]


def test_a_run_that_is_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = RunFolder.create(tmp_path, "pets")
    process = spawn(folder)  # it finds no settings and ends
    process.wait(120)
    said = (
        f"training run {folder.path} started as process {process.pid} (workbench.training.worker)"
    )
    assert said in caplog.messages
    assert (folder.path / "log.txt").read_text() != ""
