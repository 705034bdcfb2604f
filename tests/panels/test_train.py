"""The train panel: its model alone, and its view with real widgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.training import TINY, make_shapes
from workbench.errors import InvalidConfigError, InvalidNameError, TrainingError
from workbench.panels.train import TrainPanel
from workbench.panels.train_model import TrainModel
from workbench.persistence import Stores
from workbench.training.config import TrainingConfig
from workbench.training.progress import RunProgress

QUICK = {name: value for name, value in TINY.items() if name != "dataset"}


@pytest.fixture
async def stores(persistence_stores: Stores) -> Stores:
    await make_shapes(persistence_stores)
    return persistence_stores


@pytest.fixture
async def panel(stores: Stores, tmp_path: Path) -> AsyncIterator[TrainPanel]:
    panel = TrainPanel("shapes", stores, tmp_path / "runs")
    yield panel
    await panel.cancel()
    panel.close()


async def until(panel: TrainPanel, state: str) -> None:
    """Wait until the panel shows a state."""
    reached = asyncio.Event()

    def look(_: object = None) -> None:
        if panel.progress.state == state:
            reached.set()
        elif panel.progress.is_over:
            pytest.fail(f"{panel.progress.state}: {panel.progress.message}")

    panel.model.observe(look, names="progress")
    look()
    await reached.wait()
    panel.model.unobserve(look, names="progress")


async def test_a_run_from_code_moves_the_view_to_the_end(panel: TrainPanel, stores: Stores) -> None:
    fractions: list[float] = []
    panel.bar.observe(lambda change: fractions.append(change["new"]), names="value")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.01)

    heart = asyncio.create_task(beat())
    run = await panel.start(epochs=2, **QUICK)
    assert panel.start_button.disabled
    assert not panel.stop_button.disabled
    progress = await panel.wait()
    heart.cancel()

    assert beats > 50, "the kernel's loop stood still while training went on"
    assert progress.state == "finished"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 1
    assert "Finished." in panel.status.value
    assert "random weights" in panel.status.value
    assert f"model <b>{run.model_name}</b> is active" in panel.status.value
    assert panel.table.value.count("<tr>") == 3
    assert "mAP50-95" in panel.table.value
    assert not panel.start_button.disabled
    assert panel.stop_button.disabled
    assert panel.log_text.value == ""
    panel.log_button.value = True
    assert "2 epochs completed" in panel.log_text.value
    assert run.model_name in panel.base_model.options
    active = await stores.model.get_active()
    assert active is not None
    assert active.name == run.model_name


async def test_buttons_start_and_cancel_and_a_second_panel_finds_the_run(
    panel: TrainPanel, stores: Stores, tmp_path: Path
) -> None:
    for name, value in QUICK.items():
        if name != "workers":
            setattr(panel.model, name, value)
    panel.epochs.value = 300
    panel.start_button.click()
    await until(panel, "running")
    assert panel.run is not None
    assert panel.run.config.epochs == 300
    with pytest.raises(TrainingError, match="goes on already"):
        await panel.start(epochs=1, **QUICK)

    second = TrainPanel(stores=stores, runs_dir=tmp_path / "runs")
    await second.refresh()
    assert second.run is not None
    assert second.run.id == panel.run.id
    assert "Training" in second.status.value

    second.cancel_button.click()
    await until(panel, "cancelled")
    await until(second, "cancelled")
    assert "Cancelled" in panel.status.value
    assert not panel.start_button.disabled
    assert await stores.model.list() == []
    second.close()


async def test_what_cannot_start_is_said_in_the_panel(panel: TrainPanel) -> None:
    panel.dataset.value = "<b>nothing</b>"
    with pytest.raises(InvalidNameError, match="separator"):
        await panel.start()
    assert panel.error_box.value.startswith("<div")
    assert "&lt;b&gt;nothing" in panel.error_box.value
    assert not panel.start_button.disabled

    panel.dataset.value = "shapes"
    panel.base_model.value = "yolo99n"
    failed = asyncio.Event()
    panel.model.observe(lambda change: change["new"] and failed.set(), names="error")
    panel.start_button.click()
    await failed.wait()
    assert "yolo99n" in panel.error_box.value


async def test_a_form_shows_the_settings_and_writes_them_back(panel: TrainPanel) -> None:
    default = TrainingConfig(dataset="shapes")
    assert panel.model.config() == default
    assert (panel.epochs.value, panel.image_size.value) == (default.epochs, default.image_size)
    panel.epochs.value, panel.image_size.value, panel.batch.value = 7, 320, 0.5
    panel.device.value, panel.allow_download.value = "cpu", True
    assert panel.model.config() == TrainingConfig(
        dataset="shapes", epochs=7, image_size=320, batch=0.5, device="cpu", allow_download=True
    )
    panel.batch.value = 8
    assert panel.model.config().batch == 8
    assert isinstance(panel.model.config().batch, int)


async def test_every_setting_is_explained_in_words(panel: TrainPanel) -> None:
    cells = panel.form.children
    explained = dict(zip(cells[1::3], cells[2::3], strict=True))
    for widget in (panel.epochs, panel.base_model, panel.image_size, panel.allow_download):
        assert len(explained[widget].value) > 40


async def test_an_unknown_setting_is_an_error(stores: Stores) -> None:
    with pytest.raises(InvalidConfigError, match="epoch: no such setting"):
        TrainModel("shapes", stores).config(epoch=3)


async def test_the_only_dataset_is_chosen_and_runs_lie_beside_the_datasets(
    stores: Stores, tmp_path: Path
) -> None:
    model = TrainModel(stores=stores)
    await model.refresh()
    assert model.dataset == "shapes"
    assert model.datasets == ["shapes"]
    run = await model.start(**{**QUICK, "device": "no such device"})
    assert run.path.parent == tmp_path / "runs"
    await run.cancel()


async def test_waiting_for_no_run_is_an_error(panel: TrainPanel) -> None:
    with pytest.raises(TrainingError, match="call start"):
        await panel.wait()


async def test_a_failed_run_says_why_without_becoming_markup(panel: TrainPanel) -> None:
    await panel.start(epochs=1, **QUICK)
    panel.model.progress = RunProgress(state="failed", message="<script>boom</script>")
    assert "&lt;script&gt;boom" in panel.status.value
    assert "<script>" not in panel.status.value
