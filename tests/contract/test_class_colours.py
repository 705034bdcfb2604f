"""Colours of classes: kept under their names in ``data.yaml``, and taken along by every change."""

from __future__ import annotations

import pytest

from tests.helpers.backends import Backend
from workbench.errors import InvalidDatasetError, NotFoundError

WRITTEN = b"""train: images/train
val: images/val
names: [cat, dog, bird]  # in this order
colors: {dog: '#FF8800', cat: red, 7: '#000000', bird: [1, 2]}
# the end
"""


@pytest.fixture
async def set_(backend: Backend) -> str:
    await backend.arrange("set", {"data.yaml": WRITTEN})
    return "set"


async def colours(backend: Backend, name: str = "set") -> list[str]:
    found = (await backend.stores.dataset.get(name)).colours
    assert (await backend.stores.image.scan(name)).colours == found
    return found


async def test_what_is_no_colour_is_none(backend: Backend, set_: str) -> None:
    assert await colours(backend) == ["", "#FF8800", ""]


async def test_a_dataset_has_none_at_first(backend: Backend) -> None:
    await backend.stores.dataset.create("new", ["cat"])
    assert await colours(backend, "new") == []


async def test_colours_are_set_and_taken_away(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    await ds.set_colours(set_, {"bird": "#00AA00", "dog": ""})
    assert await colours(backend) == ["", "", "#00aa00"]
    await ds.set_colours(set_, {"bird": ""})
    assert await colours(backend) == []


@pytest.mark.parametrize(
    ("chosen", "error"),
    [({"cow": "#000000"}, NotFoundError), ({"cat": "red"}, InvalidDatasetError)],
)
async def test_what_cannot_be_is_refused(
    backend: Backend, set_: str, chosen: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await backend.stores.dataset.set_colours(set_, chosen)
    assert await colours(backend) == ["", "#FF8800", ""]


async def test_they_follow_a_class_to_another_name_and_place(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    await ds.update_classes(set_, ["cat", "hound", "bird"])
    assert await colours(backend) == ["", "#FF8800", ""]
    done = await ds.rewrite_classes(set_, ["bird", "wolf"], {0: None, 1: 1, 2: 0})
    assert await colours(backend) == ["", "#FF8800"]
    await ds.undo_rewrite(set_, done.id)
    assert await colours(backend) == ["", "#FF8800", ""]


async def test_of_two_that_become_one_the_other_keeps_its_own(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    await ds.set_colours(set_, {"cat": "#111111"})
    await ds.rewrite_classes(set_, ["cat", "bird"], {0: 0, 1: 0, 2: 1})
    assert await colours(backend) == ["#111111", ""]


async def test_they_come_back_with_a_version(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    await ds.freeze(set_, "one")
    await ds.set_colours(set_, {"dog": ""})
    await ds.restore_version(set_, "one")
    assert await colours(backend) == ["", "#FF8800", ""]
