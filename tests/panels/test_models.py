"""The models panel without a page: real stores and a real model, asserted through raw files."""

from __future__ import annotations

import asyncio
import json
import pickle
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.helpers.models import add_model, spread_weights
from tests.helpers.training import Trained, poisoned, trained_once
from workbench.errors import AlreadyExistsError, ConflictError, InvalidModelError
from workbench.labelling.predictor import Predictor
from workbench.panels.models import ModelsPanel
from workbench.panels.models.incoming import IncomingFile
from workbench.panels.models.model import NOTE, ModelsModel
from workbench.panels.shared.pieces import PIECE_BYTES
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
    for _ in range(6000):  # two minutes, for a machine that is busy with other things
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


async def test_a_delete_and_a_restore_are_undone_one_after_the_other(model: ModelsModel) -> None:
    entry = await model.delete("older")
    await model.restore(entry.id)
    await model.undo()
    assert names(model) == ["newer"]
    await model.undo()
    assert names(model) == ["newer", "older"]
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


def send(panel: ModelsPanel, path: Path, piece: int) -> Callable[[], bool]:
    """Upload a file as a page does, each piece when the one before is acknowledged."""
    content = path.read_bytes()
    offsets = list(range(0, len(content), piece))
    upload = panel.imports.upload
    answers: list[str] = []

    def post() -> None:
        offset = offsets.pop(0)
        message = {"kind": "upload", "session": "page", "batch": 1, "name": path.name}
        message |= {"size": len(content), "offset": offset}
        upload._receive(None, message, [content[offset : offset + piece]])

    def answer(message: dict[str, object]) -> None:
        answers.append(str(message["kind"]))
        if answers[-1] == "uploaded" and offsets:
            post()

    upload.send = answer  # type: ignore[method-assign]
    post()
    return lambda: not offsets or "refused" in answers


async def test_uploaded_weights_become_a_model_under_their_own_name(
    panel: ModelsPanel, weights: Path
) -> None:
    send(panel, weights, 1_000_000)
    await until(lambda: "tiny" in names(panel.model))
    info = await panel.model._stores.model.get("tiny")
    assert info.path.read_bytes() == weights.read_bytes()
    assert info.details["imported_from"] == "tiny.pt"
    await until(lambda: panel.imports._incoming._folder is None)


async def test_uploaded_weights_with_code_are_asked_about_and_then_loaded(
    panel: ModelsPanel, trained: Trained, tmp_path: Path
) -> None:
    bait = tmp_path / "touched"
    send(panel, poisoned(trained, tmp_path, bait), 1_000_000)
    await until(lambda: panel.imports.confirmation.view.layout.display != "none")
    assert "stranger.pt" in panel.imports.confirmation._words.value
    assert not bait.exists()
    panel.imports.confirmation._yes.click()
    await until(lambda: "stranger" in names(panel.model))
    assert bait.exists()
    panel.imports.confirmation.withdraw()


async def test_pieces_of_two_uploads_are_not_mixed(panel: ModelsPanel, tmp_path: Path) -> None:
    incoming = IncomingFile("weights.pt")
    first = {"session": "a", "batch": 1, "name": "one.pt", "size": 4, "offset": 0}
    assert incoming.take(first, b"on") is None
    with pytest.raises(ValueError, match=r"two\.pt: another file is coming in"):
        incoming.take({**first, "session": "b", "name": "two.pt", "offset": 2}, b"wo")
    with pytest.raises(ValueError, match=r"one\.pt: expected the bytes from 2 on, found 3"):
        incoming.take({**first, "offset": 3}, b"e")
    whole = incoming.take({**first, "offset": 2}, b"e!")
    assert whole is not None
    assert whole.read_bytes() == b"one!"
    with pytest.raises(ValueError, match="cannot read it"):
        incoming.take({**first, "unreadable": True}, b"")
    incoming.clear()
    assert not whole.exists()


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
    assert max(len(piece[3]) for piece in sent) == PIECE_BYTES


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
    assert panel.undo_button.description.startswith("Undo: note of older")
    assert (await stores.model.get("older")).details == {NOTE: "the first"}
    assert panel.details.note.value == "the first"
    panel.details.activate.click()
    await until(lambda: panel.details.activate.description == "Make inactive")
    assert [row["name"] for row in panel.table.rows if row["is_active"]] == ["older"]


async def test_what_somebody_is_typing_outlives_a_refresh(panel: ModelsPanel) -> None:
    panel.details.note.value = "half a sen"
    await panel.refresh()
    assert panel.details.note.value == "half a sen"
    panel.table.chosen = "older"
    assert panel.details.note.value == ""


async def test_what_is_in_the_trash_is_restored_by_its_button(panel: ModelsPanel) -> None:
    panel.details.delete.click()
    await until(lambda: [entry.name for entry in panel.model.trash] == ["newer"])
    # The button is for somebody who sees it: it can be pressed a moment after the model is gone.
    await until(lambda: not panel.trash.restore.disabled)
    panel.trash.restore.click()
    await until(lambda: panel.status.text == "Model newer is back.")
    assert "newer" in names(panel.model)
    await until(lambda: panel.trash.restore.disabled)


async def test_weights_that_are_gone_or_changed_are_marked(
    panel: ModelsPanel, tmp_path: Path
) -> None:
    (tmp_path / "models" / "older" / "weights.pt").write_bytes(b"others")
    (tmp_path / "models" / "newer" / "weights.pt").unlink()
    await panel.refresh()
    problems = {row["name"]: row["problem"] for row in panel.table.rows}
    assert problems == {"newer": "its weights are gone", "older": "its weights were changed"}


async def test_a_model_keeps_its_curve_when_its_runs_folder_is_gone(trained: Trained) -> None:
    info = await trained.stores.model.get(trained.run.read_model_name())
    path = info.path.parent / "model.json"
    kept = json.loads(path.read_text())["details"]["curves"]
    history = trained.run.read_progress().history
    assert list(kept) == ["precision", "recall", "map50", "map50_95"]
    assert kept["map50_95"] == [round(epoch.metrics["map50_95"], 5) for epoch in history]
    assert len(kept["recall"]) == 2
    elsewhere = {"run_folder": "/nowhere/run", "run_id": "gone"}
    before = {name: info.details[name] for name in elsewhere}
    await trained.stores.model.update_details(info.name, elsewhere)
    panel = ModelsPanel(trained.stores)
    await panel.refresh()
    (row,) = [row for row in panel.table.rows if row["name"] == info.name]
    assert row["curve"] == kept["map50_95"]
    panel.close()
    await trained.stores.model.update_details(info.name, before)


async def test_the_curve_of_an_older_model_is_that_of_its_run(trained: Trained) -> None:
    info = await trained.stores.model.get(trained.run.read_model_name())
    await trained.stores.model.update_details(info.name, {"curves": None})
    panel = ModelsPanel(trained.stores)
    await panel.refresh()
    (row,) = [row for row in panel.table.rows if row["name"] == info.name]
    expected = [epoch.metrics["map50_95"] for epoch in trained.run.read_progress().history]
    assert row["curve"] == expected
    panel.close()
    await trained.stores.model.update_details(info.name, {"curves": info.details["curves"]})


async def test_a_failure_is_shown_in_words(panel: ModelsPanel) -> None:
    panel.imports.path.value = "/nowhere/best.pt"
    panel.imports.start.click()
    await until(lambda: panel.status.tone == "problem")
    assert "/nowhere/best.pt" in panel.status.text


async def test_where_there_is_no_model_doors_lead_to_one(persistence_stores: Stores) -> None:
    opened: list[str] = []
    panel = ModelsPanel(persistence_stores, go=lambda title, _dataset: opened.append(title))
    await panel.refresh()
    about = panel.details
    assert all(form.layout.display == "none" for form in about._forms), "there is none to name"
    assert "no model" not in about.facts.value.lower(), "the table says so already"
    panel.train_door.click()
    assert opened == ["Train"]
    panel.import_door.click()
    assert panel.tabs.titles[panel.tabs.selected_index] == "Import"
    assert panel.import_door.description == "Bring in weights"
    panel.close()
