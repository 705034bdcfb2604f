"""What is noted of a model after it was saved, in every model store."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import NotFoundError
from workbench.persistence import ModelStore


@pytest.fixture
async def cats(mdl: ModelStore, tmp_path: Path) -> str:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"the weights")
    details = {"state": "finished", "config": {"epochs": 3}}
    await mdl.save("cats", weights, "yolo11n.pt", "pets", 3, {"best_map50": 0.5}, details=details)
    return "cats"


async def test_a_detail_is_added_replaced_and_removed_and_the_rest_stays(
    mdl: ModelStore, cats: str
) -> None:
    before = await mdl.get(cats)
    told = await mdl.update_details(cats, {"note": "for Zoë", "state": "stopped"})
    assert told == await mdl.get(cats)
    assert told.details == {"state": "stopped", "config": {"epochs": 3}, "note": "for Zoë"}
    await mdl.update_details(cats, {"note": None, "state": "finished", "never there": None})
    assert await mdl.get(cats) == before


async def test_what_is_noted_moves_with_the_model(mdl: ModelStore, cats: str) -> None:
    await mdl.update_details(cats, {"note": "keep"})
    await mdl.rename(cats, "lions")
    entry = await mdl.delete("lions")
    assert (await mdl.restore(entry.id)).details["note"] == "keep"


async def test_later_changes_of_what_was_given_are_not_taken_over(
    mdl: ModelStore, cats: str
) -> None:
    tags = ["a"]
    await mdl.update_details(cats, {"tags": tags})
    tags.append("b")
    assert (await mdl.get(cats)).details["tags"] == ["a"]


@pytest.mark.parametrize("value", [object(), Path("x"), float("nan")])
async def test_what_json_cannot_hold_is_refused_and_nothing_changes(
    mdl: ModelStore, cats: str, value: object
) -> None:
    before = await mdl.get(cats)
    with pytest.raises(ValueError, match="details: expected JSON types"):
        await mdl.update_details(cats, {"note": "x", "value": value})
    assert await mdl.get(cats) == before


async def test_a_model_that_is_not_there_is_named(mdl: ModelStore) -> None:
    with pytest.raises(NotFoundError, match="cats"):
        await mdl.update_details("cats", {"note": "x"})
