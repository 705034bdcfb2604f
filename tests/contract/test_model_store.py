"""What every model store does."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.helpers.names import BAD_NAMES
from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import ModelStore
from workbench.persistence.storage import Remove, Storage, Write

Call = Callable[[ModelStore, str], Awaitable[object]]

CALLS: list[tuple[str, Call]] = [
    ("get", lambda mdl, name: mdl.get(name)),
    ("load", lambda mdl, name: mdl.load(name)),
    ("set_active", lambda mdl, name: mdl.set_active(name)),
    ("rename", lambda mdl, name: mdl.rename(name, "other")),
    ("delete", lambda mdl, name: mdl.delete(name)),
]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(b"the weights")
    return path


@pytest.fixture
async def cats(mdl: ModelStore, weights: Path) -> str:
    await mdl.save(
        "cats",
        weights,
        "yolo11n.pt",
        "pets",
        3,
        {"best_map50": 0.87, "precision": 0.5},
        class_names=["cat", "dog"],
        details={"epochs": 3, "augment": {"mosaic": True}, "note": "é"},
    )
    return "cats"


async def test_save_keeps_everything(mdl: ModelStore, cats: str, weights: Path) -> None:
    info = await mdl.get(cats)
    assert (info.name, info.base_model, info.dataset_name) == ("cats", "yolo11n.pt", "pets")
    assert (info.epochs_completed, info.best_map50, info.is_active) == (3, 0.87, False)
    assert info.metrics == {"best_map50": 0.87, "precision": 0.5}
    assert info.class_names == ["cat", "dog"]
    assert info.details == {"epochs": 3, "augment": {"mosaic": True}, "note": "é"}
    assert info.weights_state == "ok"
    assert info.created_at is not None
    assert abs(info.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert info.path.suffix == ".pt"
    assert info.path != weights
    assert await mdl.list() == [info]


async def test_what_are_no_weights_is_said_at_once_and_kept(
    mdl: ModelStore, cats: str, weights: Path, tmp_path: Path
) -> None:
    info = await mdl.get(cats)
    assert info.weights_problem.startswith(f"{weights.name}: expected weights as torch writes them")
    assert "b'the '" in info.weights_problem
    assert (info.problem, info.weights_state) == ("", "ok")
    assert [each.weights_problem for each in await mdl.list()] == [info.weights_problem]
    assert (await mdl.load(cats)).read_bytes() == b"the weights"
    empty, zipped, other = tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c.onnx"
    for path, content in ((empty, b""), (zipped, b"PK\x03\x04rest"), (other, b"\x08\x07")):
        path.write_bytes(content)
        saved = await mdl.save(path.stem, path, "", "")
        assert saved.weights_problem == (await mdl.get(path.stem)).weights_problem
        assert bool(saved.weights_problem) == (path == empty)
        assert (await mdl.load(path.stem)).read_bytes() == content


async def test_the_store_has_its_own_copy(mdl: ModelStore, cats: str, weights: Path) -> None:
    weights.write_bytes(b"trained on")
    assert (await mdl.load(cats)).read_bytes() == b"the weights"
    weights.unlink()
    assert (await mdl.load(cats)).read_bytes() == b"the weights"


async def test_a_model_may_come_without_metrics(mdl: ModelStore, weights: Path) -> None:
    info = await mdl.save("raw", str(weights), "yolo11n.yaml", "pets")
    assert (info.best_map50, info.metrics, info.epochs_completed) == (None, {}, 0)


async def test_save_needs_a_weights_file(mdl: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.pt"):
        await mdl.save("cats", tmp_path / "gone.pt", "yolo11n", "pets")
    assert not await mdl.exists("cats")
    assert await mdl.list() == []


async def test_save_refuses_a_name_that_is_taken(
    mdl: ModelStore, cats: str, tmp_path: Path
) -> None:
    (tmp_path / "new.pt").write_bytes(b"new")
    with pytest.raises(AlreadyExistsError, match="cats"):
        await mdl.save("cats", tmp_path / "new.pt", "yolo11n", "pets")
    assert (await mdl.load("cats")).read_bytes() == b"the weights"


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
async def test_names_that_some_system_could_not_hold(
    mdl: ModelStore, cats: str, weights: Path, name: str
) -> None:
    with pytest.raises(InvalidNameError):
        await mdl.save(name, weights, "yolo11n", "pets")
    with pytest.raises(InvalidNameError):
        await mdl.rename(cats, name)
    assert [m.name for m in await mdl.list()] == ["cats"]


@pytest.mark.parametrize(("method", "call"), CALLS, ids=[name for name, _ in CALLS])
async def test_every_method_says_that_a_model_is_not_there(
    mdl: ModelStore, cats: str, method: str, call: Call
) -> None:
    await mdl.set_active(cats)
    with pytest.raises(NotFoundError, match="nobody"):
        await call(mdl, "nobody")
    active = await mdl.get_active()
    assert active is not None
    assert active.name == cats


EXISTS: list[tuple[str, Call]] = [("exists", lambda mdl, name: mdl.exists(name))]


@pytest.mark.parametrize(
    ("method", "call"), CALLS + EXISTS, ids=[name for name, _ in CALLS + EXISTS]
)
async def test_every_method_checks_the_name(
    mdl: ModelStore, cats: str, method: str, call: Call
) -> None:
    with pytest.raises(InvalidNameError):
        await call(mdl, "../cats")


async def test_composed_and_decomposed_unicode_is_one_model(mdl: ModelStore, weights: Path) -> None:
    composed = unicodedata.normalize("NFC", "Käfer é")
    info = await mdl.save(unicodedata.normalize("NFD", composed), weights, "yolo11n", "pets")
    assert info.name == composed
    assert await mdl.exists(composed)
    with pytest.raises(AlreadyExistsError):
        await mdl.save(composed, weights, "yolo11n", "pets")


async def test_an_active_model_is_the_same_in_any_unicode_form(
    mdl: ModelStore, weights: Path
) -> None:
    composed = unicodedata.normalize("NFC", "Käfer é")
    decomposed = unicodedata.normalize("NFD", composed)
    await mdl.save(composed, weights, "yolo11n", "pets")
    activated = await mdl.set_active(decomposed)
    assert activated is not None
    assert (activated.name, activated.is_active) == (composed, True)
    assert (await mdl.rename(decomposed, "other")).is_active
    await mdl.rename("other", decomposed)
    assert (await mdl.delete(decomposed)).name == composed
    assert await mdl.get_active() is None


async def test_exists(mdl: ModelStore, cats: str) -> None:
    assert await mdl.exists(cats)
    assert not await mdl.exists("dogs")


async def test_list_is_sorted(mdl: ModelStore, weights: Path) -> None:
    for name in ("b", "c", "a"):
        await mdl.save(name, weights, "yolo11n", "pets")
    await mdl.set_active("c")
    assert [(m.name, m.is_active) for m in await mdl.list()] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]


async def test_one_model_at_most_is_active(mdl: ModelStore, cats: str, weights: Path) -> None:
    assert await mdl.get_active() is None
    await mdl.save("dogs", weights, "yolo11n", "pets")
    activated = await mdl.set_active(cats)
    assert activated is not None
    assert (activated.name, activated.is_active) == (cats, True)
    assert await mdl.get_active() == activated == await mdl.get(cats)
    await mdl.set_active("dogs")
    assert [(m.name, m.is_active) for m in await mdl.list()] == [(cats, False), ("dogs", True)]
    assert await mdl.set_active(None) is None
    assert await mdl.get_active() is None


async def test_rename_keeps_facts_and_activity(mdl: ModelStore, cats: str) -> None:
    before = await mdl.set_active(cats)
    assert before is not None
    info = await mdl.rename(cats, "felines")
    assert (info.name, info.is_active, info.metrics) == ("felines", True, before.metrics)
    assert info.created_at == before.created_at
    assert await mdl.get_active() == info
    assert not await mdl.exists(cats)
    assert (await mdl.load("felines")).read_bytes() == b"the weights"


async def test_rename_of_another_model_leaves_the_active_one(
    mdl: ModelStore, cats: str, weights: Path
) -> None:
    await mdl.save("dogs", weights, "yolo11n", "pets")
    await mdl.set_active(cats)
    assert not (await mdl.rename("dogs", "wolves")).is_active
    active = await mdl.get_active()
    assert active is not None
    assert active.name == cats


async def test_rename_refuses_a_name_that_is_taken(
    mdl: ModelStore, cats: str, weights: Path
) -> None:
    await mdl.save("dogs", weights, "yolo11n", "farm")
    with pytest.raises(AlreadyExistsError, match="dogs"):
        await mdl.rename(cats, "dogs")
    assert (await mdl.get("dogs")).dataset_name == "farm"
    assert await mdl.exists(cats)


async def test_a_deleted_model_is_no_longer_active_and_comes_back(
    mdl: ModelStore, cats: str
) -> None:
    await mdl.set_active(cats)
    before = await mdl.get(cats)
    entry = await mdl.delete(cats)
    assert (entry.kind, entry.name, entry.split) == ("model", cats, "")
    assert await mdl.get_active() is None
    assert await mdl.list() == []
    assert not await mdl.exists(cats)
    with pytest.raises(NotFoundError):
        await mdl.load(cats)
    assert await mdl.list_trash() == [entry]

    info = await mdl.restore(entry.id)
    assert (info.name, info.metrics, info.created_at) == (cats, before.metrics, before.created_at)
    assert not info.is_active
    assert (await mdl.load(cats)).read_bytes() == b"the weights"
    assert await mdl.list_trash() == []


async def test_restore_refuses_a_name_that_is_taken_again(
    mdl: ModelStore, cats: str, tmp_path: Path
) -> None:
    entry = await mdl.delete(cats)
    (tmp_path / "new.pt").write_bytes(b"new")
    await mdl.save(cats, tmp_path / "new.pt", "yolo11n", "pets")
    with pytest.raises(AlreadyExistsError, match="cats"):
        await mdl.restore(entry.id)
    with pytest.raises(InvalidNameError):
        await mdl.restore(entry.id, name="../x")
    info = await mdl.restore(entry.id, name="old")
    assert info.name == "old"
    assert (await mdl.load("old")).read_bytes() == b"the weights"
    assert (await mdl.load(cats)).read_bytes() == b"new"


async def test_the_trash_is_in_order_and_can_be_emptied(mdl: ModelStore, weights: Path) -> None:
    entries = []
    for _ in range(3):
        await mdl.save("same", weights, "yolo11n", "pets")
        entries.append(await mdl.delete("same"))
    assert await mdl.list_trash() == entries
    assert sorted(e.id for e in entries) == [e.id for e in entries]
    assert await mdl.purge(entries[0].id) == 1
    assert await mdl.purge() == 2
    assert await mdl.list_trash() == []
    assert await mdl.purge() == 0


@pytest.mark.parametrize("entry_id", ["nothing", "../cats", "", "."])
async def test_trash_entries_that_are_not_there(mdl: ModelStore, cats: str, entry_id: str) -> None:
    with pytest.raises((NotFoundError, InvalidNameError)):
        await mdl.restore(entry_id)
    with pytest.raises((NotFoundError, InvalidNameError)):
        await mdl.purge(entry_id)
    assert await mdl.exists(cats)


@pytest.mark.parametrize("data", [b"something else entirely", b"not weights"])
async def test_weights_that_changed_are_noticed(
    mdl: ModelStore, cats: str, models: Storage, data: bytes
) -> None:
    models.commit([Write("cats/weights.pt", data)])
    assert (await mdl.get(cats)).weights_state == "changed"
    models.commit([Write("cats/weights.pt", b"the weights")])
    assert (await mdl.get(cats)).weights_state == "ok"


async def test_weights_that_vanished_are_noticed(
    mdl: ModelStore, cats: str, models: Storage
) -> None:
    path = models.local_path("cats/weights.pt")
    if path is not None:
        path.unlink()
    else:
        models.commit([Remove("cats/weights.pt")])
    assert (await mdl.get(cats)).weights_state == "missing"
    assert [m.name for m in await mdl.list()] == [cats]
    with pytest.raises(NotFoundError, match="cats"):
        await mdl.load(cats)


async def test_a_damaged_model_is_listed_and_refused_in_the_same_words(
    mdl: ModelStore, cats: str, weights: Path, models: Storage
) -> None:
    await mdl.save("dogs", weights, "yolo11n.pt", "pets")
    await mdl.set_active(cats)
    models.commit([Write("cats/model.json", b'{"base_model": 3}')])
    found, dogs = await mdl.list()
    assert (dogs.name, dogs.problem, dogs.weights_state) == ("dogs", "", "ok")
    assert (found.name, found.is_active, found.weights_state) == ("cats", True, "unknown")
    assert "cats/model.json" in found.problem
    assert await mdl.get_active() == found
    for use in (mdl.get, mdl.load, mdl.set_active):
        with pytest.raises(InvalidDatasetError) as refused:
            await use(cats)
        assert str(refused.value) == found.problem


async def test_a_damaged_model_goes_to_the_trash_and_back(
    mdl: ModelStore, cats: str, models: Storage
) -> None:
    await mdl.set_active(cats)
    models.commit([Write("cats/model.json", b"{")])
    entry = await mdl.delete(cats)
    assert await mdl.list() == []
    assert await mdl.get_active() is None
    assert (await mdl.restore(entry.id)).problem
    assert models.read("cats/model.json") == b"{"
    assert models.read("cats/weights.pt") == b"the weights"
