"""The models panel without a page: real stores and a real model, asserted through raw files."""

from __future__ import annotations

import asyncio
import json
import pickle
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.models import add_model, make_found, spread_weights
from tests.helpers.training import Trained, trained_once
from workbench.errors import AlreadyExistsError, ConflictError, InvalidModelError, NotFoundError
from workbench.labelling.predictor import Predictor
from workbench.panels.models import ModelsPanel
from workbench.panels.models_model import NOTE, ModelsModel
from workbench.panels.models_transfer import PIECE
from workbench.persistence import Stores


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_once(request.config, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def weights(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spread_weights(trained, tmp_path_factory.mktemp("weights") / "tiny.pt")


@pytest.fixture
async def stores(persistence_stores: Stores, weights: Path) -> Stores:
    await add_model(persistence_stores, "older", weights)
    await add_model(persistence_stores, "newer", weights)
    return persistence_stores


@pytest.fixture
async def model(stores: Stores) -> AsyncIterator[ModelsModel]:
    predictor = Predictor(stores, device="cpu")
    made = ModelsModel(stores, predictor)
    await made.refresh()
    yield made
    predictor.close()


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[ModelsPanel]:
    made = ModelsPanel(stores)
    await made.refresh()
    yield made
    made.close()


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something that was clicked has come about."""
    for _ in range(500):
        if is_so():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not come about")


def facts(tmp_path: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((tmp_path / "models" / name / "model.json").read_text())
    return found


def names(model: ModelsModel) -> list[str]:
    return [info.name for info in model.models]


# Changes, each with the way back


async def test_models_are_listed_newest_first_and_the_active_one_is_chosen(
    model: ModelsModel,
) -> None:
    assert names(model) == ["newer", "older"]
    assert model.chosen == "newer"
    assert model.info is not None
    assert model.info.is_active


async def test_another_model_is_made_active_and_undone(model: ModelsModel, stores: Stores) -> None:
    await model.activate("older")
    active = await stores.model.get_active()
    assert active is not None
    assert active.name == "older"
    await model.activate(None)
    assert await stores.model.get_active() is None
    await model.undo()
    await model.undo()
    assert [info.name for info in model.models if info.is_active] == ["newer"]


async def test_a_rename_moves_the_folder_and_is_undone(model: ModelsModel, tmp_path: Path) -> None:
    await model.rename("newer", "  best so far ")
    assert (tmp_path / "models" / "best so far" / "weights.pt").is_file()
    assert model.chosen == "best so far"
    with pytest.raises(AlreadyExistsError):
        await model.rename("older", "best so far")
    await model.undo()
    assert names(model) == ["newer", "older"]


async def test_a_note_is_kept_with_the_model_and_undone(model: ModelsModel, tmp_path: Path) -> None:
    await model.note("older", " before the relabelling\n")
    assert facts(tmp_path, "older")["details"] == {NOTE: "before the relabelling"}
    await model.note("older", "")
    assert facts(tmp_path, "older")["details"] == {}
    await model.undo()
    await model.undo()
    assert facts(tmp_path, "older")["details"] == {}
    assert model.undo_text == ""


async def test_a_deleted_model_comes_back_active_as_it_was(
    model: ModelsModel, stores: Stores, tmp_path: Path
) -> None:
    await model.delete("newer")
    assert not (tmp_path / "models" / "newer").exists()
    assert names(model) == ["older"]
    assert [entry.name for entry in model.trash] == ["newer"]
    await model.undo()
    active = await stores.model.get_active()
    assert active is not None
    assert active.name == "newer"
    entry = await model.delete("older")
    await model.restore(entry.id)
    assert names(model) == ["newer", "older"]
    entry = await model.delete("older")
    await model.purge(entry.id)
    assert model.trash == []


async def test_an_undo_that_cannot_be_is_refused(model: ModelsModel, stores: Stores) -> None:
    await model.rename("older", "ancient")
    await stores.model.delete("ancient")
    with pytest.raises(ConflictError, match="nothing was undone"):
        await model.undo()


# In and out


async def test_weights_are_copied_under_the_models_name_and_nothing_is_overwritten(
    model: ModelsModel, weights: Path, tmp_path: Path
) -> None:
    target = await model.copy("newer", str(tmp_path / "out"))
    assert target == tmp_path / "out" / "newer.pt"
    assert target.read_bytes() == weights.read_bytes()
    target.write_bytes(b"mine")
    with pytest.raises(AlreadyExistsError, match=r"newer\.pt"):
        await model.copy("newer", str(tmp_path / "out"))
    assert target.read_bytes() == b"mine"


async def test_weights_of_a_file_become_a_model_and_undo_takes_them_out(
    model: ModelsModel, weights: Path
) -> None:
    info = await model.add(str(weights))
    assert info.name == "tiny"
    assert info.class_names == ["square", "disc"]
    assert model.chosen == "tiny"
    await model.undo()
    assert names(model) == ["newer", "older"]


class Evil:
    """A pickle that touches a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


async def test_weights_with_code_are_asked_about_and_not_loaded(
    panel: ModelsPanel, tmp_path: Path
) -> None:
    trap, bait = tmp_path / "evil.pt", tmp_path / "touched"
    with zipfile.ZipFile(trap, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps({"model": Evil(bait)}, protocol=2))
        archive.writestr("evil/version", "3\n")
    with pytest.raises(InvalidModelError, match="holds code"):
        await panel.model.add(str(trap))
    panel.imports.path.value = str(trap)
    panel.imports.start.click()
    await until(lambda: panel.imports.confirmation.view.layout.display != "none")
    assert not bait.exists()
    assert names(panel.model) == ["newer", "older"]


async def test_an_export_says_whether_it_predicts_the_same(
    model: ModelsModel, tmp_path: Path
) -> None:
    made = await model.export("newer", str(tmp_path / "out"), "torchscript")
    assert made.path == tmp_path / "out" / "newer.torchscript"
    assert made.path.stat().st_size == made.size_bytes > 1_000_000
    assert made.check.images > 0


async def test_a_download_comes_in_pieces_that_make_the_file(
    panel: ModelsPanel, weights: Path
) -> None:
    sent: list[tuple[str, int, int, bytes]] = []
    panel.exports.download.send_piece = lambda *piece: sent.append(piece)  # type: ignore[method-assign]
    start = 0
    while not sent or start < sent[-1][2]:
        panel.exports.download._receive(None, {"kind": "want", "start": start}, [])
        count = len(sent)
        await until(lambda count=count: len(sent) > count)
        start += len(sent[-1][3])
    assert {piece[0] for piece in sent} == {"newer.pt"}
    assert b"".join(piece[3] for piece in sent) == weights.read_bytes()
    assert max(len(piece[3]) for piece in sent) == PIECE


# Trying


async def test_a_model_looks_at_an_image_once_and_the_slider_chooses_among_the_boxes(
    panel: ModelsPanel, stores: Stores
) -> None:
    await make_found(stores, 2)
    await panel.refresh()
    trial = panel.trial
    assert trial.dataset.value == "found"
    assert trial.image.value == "image_00.png"
    trial.confidence.value = 0.05
    trial.run.click()
    await until(lambda: trial.words.value)
    found = panel.model.found
    assert found
    assert trial.words.value.startswith(f"{len(found)} of {len(found)} boxes")
    drawn = trial._image.value
    trial.confidence.value = 0.9
    await until(lambda: trial._image.value != drawn)
    assert trial.words.value.startswith(f"0 of {len(found)} boxes")
    assert panel.model.above(0.3) == [box for box in found if box.confidence >= 0.3]


async def test_a_picture_from_elsewhere_is_tried_and_what_is_none_is_refused(
    model: ModelsModel, trained: Trained
) -> None:
    frame = await trained.stores.image.load("shapes", "val", "val_000.png")
    _, data = cv2.imencode(".png", frame)
    await model.try_bytes("older", bytes(data), "mine.png")
    assert model.found_by == "older"
    np.testing.assert_array_equal(model.tried, frame)
    with pytest.raises(ValueError, match=r"note\.txt"):
        await model.try_bytes("older", b"no image", "note.txt")
    with pytest.raises(NotFoundError):
        await model.try_bytes("gone", bytes(data), "mine.png")


# The view


async def test_the_table_has_a_row_for_each_model_and_the_buttons_act_on_the_chosen_one(
    panel: ModelsPanel, stores: Stores
) -> None:
    rows = {row["name"]: row for row in panel.table.rows}
    assert list(rows) == ["newer", "older"]
    assert rows["newer"]["is_active"]
    assert rows["older"]["cells"][:6] == ["0.500", "0.250", "0.600", "0.700", "2", "found"]
    panel.table.chosen = "older"
    assert panel.details.name.value == "older"
    panel.details.note.value = "the first"
    panel.details.save_note.click()
    await until(lambda: panel.undo_button.tooltip.startswith("Undo: note of older"))
    assert (await stores.model.get("older")).details == {NOTE: "the first"}
    assert panel.details.note.value == "the first"
    panel.details.activate.click()
    await until(lambda: panel.details.activate.description == "Make inactive")
    assert [row["name"] for row in panel.table.rows if row["is_active"]] == ["older"]


async def test_weights_that_are_gone_or_changed_are_marked(
    panel: ModelsPanel, tmp_path: Path
) -> None:
    (tmp_path / "models" / "older" / "weights.pt").write_bytes(b"others")
    (tmp_path / "models" / "newer" / "weights.pt").unlink()
    await panel.refresh()
    problems = {row["name"]: row["problem"] for row in panel.table.rows}
    assert problems == {"newer": "its weights are gone", "older": "its weights were changed"}


async def test_the_curve_of_a_models_run_is_shown(trained: Trained) -> None:
    panel = ModelsPanel(trained.stores)
    await panel.refresh()
    (row,) = [row for row in panel.table.rows if row["name"] == trained.run.model_name]
    expected = [epoch.metrics["map50_95"] for epoch in trained.run.progress.history]
    assert len(expected) == 2
    assert row["curve"] == expected
    panel.close()


async def test_a_failure_is_shown_in_words(panel: ModelsPanel) -> None:
    panel.imports.path.value = "/nowhere/best.pt"
    panel.imports.start.click()
    await until(lambda: panel.status.tone == "problem")
    assert "/nowhere/best.pt" in panel.status.text
