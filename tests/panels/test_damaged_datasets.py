"""A dataset that cannot be read stands beside the others, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.archives import small_dataset
from tests.helpers.waiting import eventually
from workbench import Workbench
from workbench.cli import main
from workbench.panels.browse import BrowsePanel
from workbench.panels.tabs import WorkbenchTabs


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with ``damaged``, which is, and ``pets``, which is not."""
    for name in ("damaged", "pets"):
        for path, content in small_dataset().items():
            file = tmp_path / "data" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    (tmp_path / "data/damaged/data.yaml").write_text("names: <img src=x onerror=alert(1)>\n")
    return tmp_path / "data"


@pytest.fixture
async def workbench(data: Path) -> AsyncIterator[Workbench]:
    with Workbench(data) as workbench:
        yield workbench


@pytest.fixture
async def tabs(workbench: Workbench) -> WorkbenchTabs:
    return workbench.tabs


async def test_the_tabs_name_it_and_open_a_healthy_one(tabs: WorkbenchTabs) -> None:
    await eventually(lambda: bool(tabs._browse_box.children))
    assert tabs.dataset.options == (
        ("damaged (cannot be used)", "damaged"),
        ("pets (2 images)", "pets"),
    )
    assert (tabs.dataset.value, tabs.message.value) == ("pets", "")


async def test_whoever_chooses_it_is_told_what_is_wrong(tabs: WorkbenchTabs, data: Path) -> None:
    await eventually(lambda: bool(tabs._browse_box.children))
    tabs.dataset.value = "damaged"
    await eventually(lambda: not tabs._browse_box.children)
    assert "damaged/data.yaml" in tabs.message.value
    assert "write names: [...]" in tabs.message.value
    assert "<img" not in tabs.message.value
    (data / "damaged/data.yaml").write_text("names: [cat, dog]\n")
    await tabs.refresh()
    await eventually(lambda: bool(tabs._browse_box.children))
    assert tabs.message.value == ""


async def test_pickers_offer_what_can_be_opened(tabs: WorkbenchTabs) -> None:
    await tabs.refresh()
    assert tabs.train.model.datasets == ["pets"]
    assert tabs.evaluate.model.datasets == ["pets"]
    assert await tabs.models.model.datasets() == ["pets"]
    panel = BrowsePanel(None, tabs._stores)
    await eventually(lambda: panel.model.dataset == "pets")
    panel.close()


async def test_the_manager_says_it_too(workbench: Workbench) -> None:
    damaged, pets = await workbench.datasets.list_facts()
    assert (damaged.info.name, pets.info.name, pets.problem) == ("damaged", "pets", "")
    assert "damaged/data.yaml" in damaged.problem
    assert damaged.problem == damaged.info.problem


def test_the_doctor_says_it_too(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--data", str(data)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "damaged is damaged" in said
    assert "the other datasets can be used meanwhile" in said
