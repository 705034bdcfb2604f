"""Stores in a folder, and feeds whose every frame the test decides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capture.scripted import Recorder
from workbench.capture.push_feed import PushFeed
from workbench.persistence import Stores, create_stores


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    return made


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "data/cups/images"


@pytest.fixture
def push() -> Iterator[PushFeed]:
    feed = PushFeed(window=1000)
    feed.start()
    yield feed
    feed.stop()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
