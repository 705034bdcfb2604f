"""Whatever is not there under its name is said with what is, and with what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from workbench.errors import NotFoundError
from workbench.persistence import create_stores
from workbench.persistence.similar import instead
from workbench.weights.facts import facts_of


@pytest.mark.parametrize(
    ("name", "names", "hint"),
    [
        ("blod", ["cells", "blood"], "did you mean 'blood'? list() names all"),
        ("x", ["a"], "there is 'a'; list() names all"),
        ("x", ["d", "c", "b", "a"], "there are 'a', 'b', 'c', ...; list() names all"),
        ("x", [], "make one"),
    ],
)
def test_what_is_there_is_named(name: str, names: list[str], hint: str) -> None:
    assert instead(name, names, all_of_them="list()", none="make one") == hint


async def test_stores_say_what_there_is(tmp_path: Path) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    with pytest.raises(NotFoundError, match="there is none yet: create"):
        await stores.dataset.get("blod")
    with pytest.raises(NotFoundError, match="there is none yet: train one"):
        await stores.model.get("best")
    await stores.dataset.create("blood", ["cell"])
    for other in ("bloods", "plain"):  # no datasets: none of them is meant
        (tmp_path / "data" / other).mkdir()
    with pytest.raises(NotFoundError, match=r"did you mean 'blood'\? list\(\) names all"):
        await stores.image.list("blod")
    with pytest.raises(NotFoundError, match=r"its folder has no data\.yaml; bring it in with"):
        await stores.dataset.get("plain")
    picture = tmp_path / "data" / "blood" / "images" / "val" / "a.jpg"
    await asyncio.to_thread(picture.write_bytes, b"")
    with pytest.raises(NotFoundError, match=r"no image 'a\.jpg' in train .*; it is in val"):
        await stores.image.load("blood", "train", "a.jpg")
    weights = tmp_path / "best.pt"
    await asyncio.to_thread(weights.write_bytes, b"")
    await stores.model.save("cells_v1", weights, base_model="", dataset_name="blood")
    with pytest.raises(NotFoundError, match="did you mean 'cells_v1'"):
        await stores.model.get("cells_v2")


@pytest.mark.parametrize(
    ("checkpoint", "found"),
    [
        ({"epoch": 1, "best": 2}, "a table of epoch, best"),
        ([1], "a list by itself"),
        ({}, "an empty table"),
    ],
)
def test_a_file_without_a_model_is_said_with_what_it_holds(checkpoint: object, found: str) -> None:
    with pytest.raises(ValueError, match=rf"with a model in it, found {found}; take the best\.pt"):
        facts_of(checkpoint, "a.pt")
