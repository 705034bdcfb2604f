"""A workbench gives panels on its own stores, all of the same kind, and closes them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

import workbench
from tests.storage.sqlite_storage import SqliteRoots, SqliteStorage
from workbench import Workbench, create_memory_stores, get_stores, set_stores
from workbench.errors import NotFoundError
from workbench.persistence import ModelStore, Stores
from workbench.persistence.opening import stores_over
from workbench.persistence.stores.catalogue import StoredCatalogue
from workbench.persistence.stores.runs import RunStore

PANELS = ("annotate", "browse", "capture", "curate", "train", "evaluate", "models")


@pytest.fixture
async def wb(tmp_path: Path) -> Any:
    bench = Workbench(tmp_path / "data")
    await bench.stores.dataset.create("cups", ["cup"])
    await bench.stores.dataset.create("pets", ["cat"])
    yield bench
    bench.close()


@pytest.fixture(autouse=True)
def no_stores_left() -> Iterator[None]:
    yield
    set_stores(None)


def shown(wb: Workbench, name: str) -> Any:
    """Return a panel of the workbench, by the name of its method."""
    return wb.models() if name == "models" else getattr(wb, name)("cups")


@pytest.mark.parametrize("name", PANELS)
async def test_a_panel_works_on_the_stores_of_its_workbench(wb: Workbench, name: str) -> None:
    set_stores(create_memory_stores())  # what other code in this process works on
    panel = shown(wb, name)
    assert type(panel) is getattr(workbench, f"{name.title()}Panel")
    assert isinstance(panel.view, ipywidgets.Widget)
    assert panel.model is not None
    if name not in ("annotate", "models"):
        await panel.open("cups")
        assert panel.model.dataset == "cups"
        await panel.open("pets")
        assert panel.model.dataset == "pets"
    await panel.refresh()
    panel.close()


@pytest.mark.parametrize("name", PANELS)
async def test_a_workbench_that_is_closed_closes_its_panels(wb: Workbench, name: str) -> None:
    panel = shown(wb, name)
    assert panel.view.comm is not None
    wb.close()
    assert panel.view.comm is None


@pytest.mark.parametrize("name", ["browse", "capture", "curate", "train", "evaluate"])
async def test_a_dataset_that_is_not_there_cannot_be_opened(wb: Workbench, name: str) -> None:
    panel = shown(wb, name)
    with pytest.raises(NotFoundError):
        await panel.open("saucers")
    panel.close()


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_says_what_it_does(name: str) -> None:
    assert inspect.getdoc(getattr(Workbench, name))


def stores_of_a_stranger(folder: Path) -> Stores:
    (folder / "sqlite").mkdir(exist_ok=True)
    catalogue = StoredCatalogue(SqliteRoots(folder / "sqlite"))
    return stores_over(catalogue, ModelStore(SqliteStorage(folder / "models.sqlite")))


async def test_a_workbench_stands_on_stores_of_one_s_own(tmp_path: Path) -> None:
    runs = RunStore(tmp_path / "work", SqliteStorage(tmp_path / "runs.sqlite"))
    with Workbench.over(stores_of_a_stranger(tmp_path), runs, where="pets.lab") as wb:
        assert get_stores() is wb.stores
        await wb.datasets.create("pets", ["cat"])
        panel = wb.browse("pets")
        await panel.open("pets")
        assert panel.model.dataset == "pets"
        assert wb.home().view.where == "pets.lab"
        assert wb.runs_dir == wb.runner.runs_dir == tmp_path / "work"
        assert await wb.runner.list_runs() == []
    again = Workbench.over(stores_of_a_stranger(tmp_path), tmp_path / "runs")
    assert [info.name for info in await again.datasets.list()] == ["pets"]
    assert again.runs_dir == tmp_path / "runs"
    again.close()
