"""A model whose facts cannot be read stands beside the others, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workbench import Workbench
from workbench.capture.push_feed import PushFeed
from workbench.cli import main
from workbench.errors import InvalidDatasetError
from workbench.evaluation.evaluator import Evaluator
from workbench.labelling.predictor import Predictor
from workbench.panels.capture.model import CaptureModel
from workbench.panels.evaluate.model import EvaluateModel
from workbench.panels.models import ModelsPanel
from workbench.persistence import Stores
from workbench.training.base_models import resolve_base_model


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    """Models ``net``, which is damaged and active, and ``sound``."""
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"PK\x03\x04 and so on")
    with Workbench(tmp_path / "data") as workbench:
        for name in ("net", "sound"):
            await workbench.stores.model.save(name, weights, "yolo11n.pt", "pets")
        await workbench.stores.model.set_active("net")
        (tmp_path / "models/net/model.json").write_text('{"<img src=x>":')
        yield workbench.stores


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[ModelsPanel]:
    made = ModelsPanel(stores)
    await made.refresh()
    yield made
    made.close()


async def test_the_table_names_it_and_its_page_says_what_is_wrong(panel: ModelsPanel) -> None:
    rows = {row["name"]: row["problem"] for row in panel.table.rows}
    assert rows == {"sound": "", "net": "damaged"}
    panel.model.chosen = "net"
    assert "net/model.json" in panel.details.facts.value
    assert "<img" not in panel.details.facts.value
    off = (panel.details.rename, panel.details.save_note, panel.exports.export, panel.trial.run)
    assert all(widget.disabled for widget in off)
    assert not panel.details.delete.disabled
    panel.model.chosen = "sound"
    assert not any(widget.disabled for widget in off)


async def test_it_is_deleted_and_the_delete_undone(panel: ModelsPanel, tmp_path: Path) -> None:
    await panel.model.delete("net")
    assert not (tmp_path / "models/net").exists()
    assert [info.name for info in panel.models] == ["sound"]
    await panel.model.undo()
    assert (tmp_path / "models/net/model.json").read_text() == '{"<img src=x>":'
    assert {info.name for info in panel.models} == {"net", "sound"}


async def test_another_is_made_active_in_its_place(panel: ModelsPanel, stores: Stores) -> None:
    await panel.model.activate("sound")
    with pytest.raises(InvalidDatasetError, match=r"net/model\.json"):
        await panel.model.activate("net")
    await panel.model.undo()
    assert await stores.model.get_active() is None


async def test_others_offer_what_can_be_used(stores: Stores) -> None:
    evaluate = EvaluateModel(stores, Evaluator(stores, Predictor(stores, device="cpu")))
    await evaluate.refresh()
    assert [info.name for info in evaluate.models] == ["sound"]
    with pytest.raises(InvalidDatasetError, match=r"net/model\.json"):
        await resolve_base_model("net", stores.model)


async def test_the_capture_panel_opens_all_the_same(stores: Stores) -> None:
    predictor = Predictor(stores, device="cpu")
    capture = CaptureModel(stores, PushFeed(), predictor)
    await capture.refresh()
    assert capture.active_model == "net"
    with pytest.raises(InvalidDatasetError, match=r"net/model\.json"):
        await predictor.predict_many([])
    predictor.close()


def test_the_doctor_says_it_too(
    stores: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--data", str(tmp_path / "data")]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "net is damaged" in said
    assert "sound is damaged" not in said


async def test_what_are_no_weights_and_odd_details_are_said_on_the_page(tmp_path: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"an error page")
    with Workbench(tmp_path / "data") as workbench:
        store = workbench.stores.model
        await store.save("net", weights, "", "", details={"config": 7, "epochs_planned": "many"})
        made = ModelsPanel(workbench.stores)
        await made.refresh()
        made.model.chosen = "net"
        assert [row["problem"] for row in made.table.rows] == ["no weights"]
        assert "expected weights as torch writes them" in made.details.facts.value
        assert "of many" in made.details.facts.value
