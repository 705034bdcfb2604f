"""The stores of this process: set once, found everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.errors import NotStartedError
from workbench.persistence import (
    Stores,
    create_memory_stores,
    get_dataset_store,
    get_image_store,
    get_label_store,
    get_model_store,
    get_stores,
    set_stores,
)

ACCESSORS = [get_stores, get_dataset_store, get_image_store, get_label_store, get_model_store]


@pytest.fixture(autouse=True)
def _no_stores() -> Iterator[None]:
    set_stores(None)
    yield
    set_stores(None)


@pytest.mark.parametrize("accessor", ACCESSORS, ids=lambda f: f.__name__)
def test_there_is_nothing_before_start_up(accessor: Callable[[], object]) -> None:
    with pytest.raises(NotStartedError, match="set_stores"):
        accessor()


def test_the_accessors_return_what_was_set() -> None:
    stores = create_memory_stores()
    set_stores(stores)
    assert get_stores() is stores
    assert get_dataset_store() is stores.dataset
    assert get_image_store() is stores.image
    assert get_label_store() is stores.label
    assert get_model_store() is stores.model
    set_stores(None)
    with pytest.raises(NotStartedError):
        get_stores()


async def test_the_shared_fixture_is_on_tmp_path(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    assert get_stores() is persistence_stores
    info = await get_dataset_store().create("pets", classes=["cat"])
    assert info.path.is_relative_to(tmp_path)
    assert (info.path / "data.yaml").is_file()


async def test_memory_stores_know_nothing_of_each_other() -> None:
    first, second = create_memory_stores(), create_memory_stores()
    await first.dataset.create("pets")
    assert await second.dataset.list() == []


def test_the_stores_need_neither_torch_nor_widgets(tmp_path: Path) -> None:
    """A fresh process: what is imported stays imported in this one."""
    code = """
import sys
from workbench.persistence import create_memory_stores, create_stores
create_memory_stores()
create_stores(sys.argv[1], sys.argv[1])
heavy = {"torch", "torchvision", "ultralytics", "ipywidgets", "anywidget", "IPython", "matplotlib"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.strip() == "[]"
