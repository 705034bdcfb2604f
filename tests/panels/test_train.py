"""The train panel: its model alone, and its view with real widgets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from html import escape
from pathlib import Path
from unittest import mock

import pytest

from tests.helpers.training import CLASSES, TINY, make_shapes, shapes
from tests.helpers.waiting import eventually
from workbench.errors import InvalidConfigError, InvalidNameError, TrainingError
from workbench.panels.train import TrainPanel
from workbench.panels.train import settings as train_settings
from workbench.panels.train.model import TrainModel
from workbench.panels.train.words import STATE_WORDS, resources, status, suggestion
from workbench.persistence import Stores
from workbench.training import progress as progress_module
from workbench.training.config import TrainingConfig
from workbench.training.devices import Gpu
from workbench.training.events import BatchFinished, ResourcesUsed, Warned
from workbench.training.progress import RunProgress, advance, advance_all
from workbench.training.runner import TrainingRunner

QUICK = {name: value for name, value in TINY.items() if name != "dataset"}


@pytest.fixture
async def stores(persistence_stores: Stores) -> Stores:
    await make_shapes(persistence_stores)
    return persistence_stores


@pytest.fixture
def opened() -> list[tuple[str, ...]]:
    """Where doors of the panel led."""
    return []


@pytest.fixture
async def panel(
    stores: Stores, tmp_path: Path, opened: list[tuple[str, ...]]
) -> AsyncIterator[TrainPanel]:
    panel = TrainPanel("shapes", stores, tmp_path / "runs", go=lambda *where: opened.append(where))
    yield panel
    # Also those that the panel has not listed yet: who is forgotten trains on beside all others.
    for run in await TrainingRunner(stores, tmp_path / "runs").list_runs():
        await run.cancel()
    panel.close()


async def until(panel: TrainPanel, state: str) -> None:
    """Wait until the panel shows a state; fail if its run ends in another."""
    async with asyncio.timeout(120):
        while panel.progress.state != state:
            assert not panel.progress.is_over, panel.progress.message
            await asyncio.sleep(0.01)


def shown(panel: TrainPanel) -> list[str]:
    """The problems that the panel shows, as HTML."""
    return [line.children[0].value for line in panel.problem_list.children]


async def test_a_dataset_that_has_just_come_is_one_that_is_there(
    panel: TrainPanel, stores: Stores
) -> None:
    await panel.refresh()
    panel.follower.close()  # it was not followed when it came
    await stores.dataset.create("cups", ["cup"])
    panel.model.dataset = "cups"
    async with asyncio.timeout(20):
        await eventually(lambda: ("cups", "cups") in panel.form.dataset.options)


async def test_a_run_from_code_moves_the_view_to_the_end(
    panel: TrainPanel, stores: Stores, opened: list[tuple[str, ...]]
) -> None:
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
    assert panel.doors.layout.visibility == "hidden", "there is no model yet"
    progress = await panel.wait()
    heart.cancel()

    assert beats > 50, "the kernel's loop stood still while training went on"
    assert progress.state == "finished"
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 1
    assert "<b>Finished</b> · epoch" in panel.status.value
    assert "random weights" in panel.status.value
    assert f"model <b>{run.read_model_name()}</b> is in the store" in panel.status.value
    table = panel.charts.table
    await eventually(lambda: table.value.count("<tr>") == 3)
    assert "mAP50-95" in table.value
    assert panel.charts.plots is not None
    metrics, losses = (json.loads(text) for text in panel.charts.plots.figures)
    assert {trace["name"] for trace in losses["data"]} >= {"train box", "val box"}
    assert [trace["name"] for trace in metrics["data"]][-1] == "mAP50-95"
    assert all(len(trace["x"]) == 2 for trace in metrics["data"])
    await eventually(lambda: panel.charts.samples.value.count("data:image/jpeg") == 4)
    assert "after epoch 2" in panel.charts.samples.value
    assert not panel.start_button.disabled
    assert panel.stop_button.disabled
    assert panel.log_text.value == ""
    panel.log_button.value = True
    await eventually(lambda: "2 epochs completed" in panel.log_text.value)
    assert run.read_model_name() in panel.form.base_model.options
    [(words, run_id)] = panel.runs.runs.options
    assert run_id == run.id
    assert "finished" in words
    assert "2 of 2 epochs" in words
    active = await stores.model.get_active()
    assert active is not None
    assert active.name == run.read_model_name()
    assert panel.doors.layout.visibility == "visible"
    assert panel.doors.layout.display is None, "its place was kept"
    panel.evaluate_door.click()
    panel.suggest_door.click()
    assert opened == [(where, "shapes", active.name) for where in ("Evaluate", "Browse")]


async def test_buttons_start_and_cancel_and_a_second_panel_finds_the_run(
    panel: TrainPanel, stores: Stores, tmp_path: Path
) -> None:
    for name, value in QUICK.items():
        if name != "workers":
            setattr(panel.model, name, value)
    panel.form.epochs.value = 300
    panel.start_button.click()
    await until(panel, "running")
    assert panel.run is not None
    assert panel.run.config.epochs == 300
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
    panel.model.dataset = "<b>nothing</b>"
    assert panel.form.dataset.value == "<b>nothing</b>"
    with pytest.raises(InvalidNameError, match="holds a slash"):
        await panel.start()
    assert "<b>nothing" in panel.status_line.text
    assert panel.status_line.tone == "problem"
    assert not panel.start_button.disabled

    panel.form.dataset.value = "shapes"
    panel.form.base_model.value = "yolo99n"
    await eventually(lambda: "no architecture is called" in panel.form.hints["base_model"].value)
    panel.start_button.click()
    await eventually(lambda: "yolo99n" in panel.status_line.text)


async def test_a_dataset_is_asked_for_and_choosing_one_takes_the_message_away(
    stores: Stores, tmp_path: Path
) -> None:
    await stores.dataset.create("other", ["cup"])  # with one dataset only, that one is chosen
    panel = TrainPanel(None, stores, tmp_path / "runs")
    panel.start_button.click()
    await eventually(lambda: panel.status_line.text == "Choose a dataset first.")
    await eventually(lambda: "shapes" in panel.model.datasets)
    panel.form.dataset.value = "shapes"
    assert panel.status_line.text == ""
    panel.close()


async def test_a_number_that_is_too_small_is_said_and_not_changed(panel: TrainPanel) -> None:
    panel.form.epochs.value = 0
    assert panel.model.epochs == 0
    assert "Epochs: 1 is the least." in panel.form.hints["epochs"].value
    assert panel.start_button.disabled
    assert panel.start_button.tooltip == panel.copy_button.why == "Epochs: 1 is the least."
    with pytest.raises(InvalidConfigError, match="Epochs: 1 is the least"):
        await panel.start()
    assert panel.status_line.text == "Epochs: 1 is the least."
    panel.form.epochs.value = 3
    assert "is the least" not in panel.form.hints["epochs"].value
    assert panel.status_line.text == ""
    assert not panel.start_button.disabled


async def test_the_page_speaks_of_its_tick_box(panel: TrainPanel) -> None:
    panel.form.base_model.value = "yolo11n.pt"
    await eventually(lambda: "Allow download”" in panel.form.hints["base_model"].value)
    assert "allow_download" not in panel.form.hints["base_model"].value


async def test_a_form_shows_the_settings_and_writes_them_back(
    panel: TrainPanel, stores: Stores
) -> None:
    assert TrainModel("shapes", stores).config() == TrainingConfig(dataset="shapes")
    form = panel.form
    await panel.refresh()
    form.epochs.value, form.image_size.value, form.batch.value = 7, 480, 0.5
    form.device.value, form.allow_download.value = "cpu", True
    form.model_name.value, form.patience.value, form.seed.value = "mine", 3, 11
    form.cache.value, form.unlabelled_as_background.value = "ram", True
    form.arguments.value = "lr0=0.001 degrees=5"
    assert panel.model.config() == TrainingConfig(
        dataset="shapes",
        epochs=7,
        image_size=480,
        batch=0.5,
        device="cpu",
        allow_download=True,
        model_name="mine",
        patience=3,
        seed=11,
        cache="ram",
        unlabelled_as_background=True,
        extra={"lr0": 0.001, "degrees": 5},
    )
    form.batch.value = 8
    assert panel.model.config().batch == 8
    assert isinstance(panel.model.config().batch, int)


async def test_every_setting_is_explained_in_words(panel: TrainPanel) -> None:
    form = panel.form
    for name, control in form.controls.items():
        assert control.description
        assert escape(control.tooltip) in form.hints[name].value
        assert len(control.tooltip) > 20
    # `teaching` is no setting of somebody's: it is what is taught while a person draws.
    assert {item.name for item in fields(TrainingConfig)} == {
        *form.controls, "workers", "extra", "teaching"
    } - {"arguments"}  # fmt: skip


async def test_suggestions_follow_dataset_and_device_until_somebody_chooses(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu(0, "Fast", 24 * 2**30, 20 * 2**30)
    monkeypatch.setattr(train_settings, "gpus", lambda: [gpu])
    looked = mock.AsyncMock(side_effect=train_settings.data_facts)
    monkeypatch.setattr(train_settings, "data_facts", looked)
    panel = TrainPanel("shapes", stores, tmp_path / "runs")
    panel.follower.is_seen = False  # so that it looks only where it is told to
    model, form = panel.model, panel.form
    await panel.refresh()
    assert [value for _, value in form.device.options][:2] == ["", "0"]
    assert (model.epochs, model.image_size, model.batch) == (300, 64, 4)
    assert form.epochs.value == 300
    assert "Suggested: 300" in form.hints["epochs"].value
    assert "12 labelled images in train, on a GPU" in form.hints["epochs"].value
    assert form.follow_button.disabled

    form.device.value = "cpu"
    await eventually(lambda: form.epochs.value == 100)
    form.epochs.value = 20
    assert model.own == ("epochs",)
    await stores.dataset.create_from("large", CLASSES, shapes(6, 2, size=640))
    await panel.refresh()
    looked.reset_mock()
    form.dataset.value = "large"
    await eventually(lambda: form.image_size.value == 320)
    assert form.epochs.value == 20, "what somebody chose was overwritten"
    assert "Suggested: 100" in form.hints["epochs"].value

    assert not form.follow_button.disabled
    form.follow_button.click()
    assert form.epochs.value == 100
    assert form.follow_button.disabled
    form.device.value = ""
    await eventually(lambda: form.epochs.value == 300)
    assert looked.await_count == 2, "what it suggested was no reason to look once more"
    panel.close()


async def test_where_it_starts_and_what_is_typed_are_told_in_words(
    panel: TrainPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where pretrained weights may lie
    form = panel.form
    form.base_model.value = "yolo11n.yaml"
    await eventually(lambda: "as asked" in form.hints["base_model"].value)
    form.base_model.value = "yolo11s.pt"
    await eventually(lambda: "yolo11s.pt is not on this disk" in form.hints["base_model"].value)
    form.arguments.value = "mosiac=0.5"
    await eventually(lambda: "did you mean mosaic" in form.hints["arguments"].value)
    form.arguments.value = "mosaic=0.5"
    await eventually(lambda: "did you mean" not in form.hints["arguments"].value)


async def test_rare_settings_are_folded_away(panel: TrainPanel) -> None:
    more = panel.form.more
    assert more.content.children == (), "the page gets nothing of it before somebody asks"
    assert more.content.layout.display == "none"
    more.button.value = True
    assert panel.form.arguments in [field.children[0] for field in more.content.children[:-1]]
    assert more.content.layout.display is None


async def test_a_frozen_version_is_trained_on_and_named(panel: TrainPanel, stores: Stores) -> None:
    form = panel.form
    await stores.dataset.freeze("shapes", "v1")
    await stores.dataset.update_classes("shapes", [*CLASSES, "later"])
    await panel.refresh()
    assert [value for _, value in form.version.options] == ["", "v1"]
    assert "16 images" in form.version.options[1][0]
    form.version.value = "v1"
    run = await panel.start(epochs=1, **QUICK)
    assert run.job.dataset_version == "v1"
    assert run.job.class_names == CLASSES
    await panel.wait()
    active = await stores.model.get_active()
    assert active is not None
    assert active.details["dataset_version"] == "v1"
    assert active.class_names == CLASSES
    assert "version v1" in panel.status.value
    panel.model.dataset = "other"
    assert form.version.value == ""


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


async def test_a_run_is_paused_resumed_and_compared_while_others_queue(
    panel: TrainPanel, stores: Stores, tmp_path: Path
) -> None:
    first = await panel.start(epochs=300, **QUICK)
    await eventually(lambda: len(panel.progress.history) > 0)
    second = await panel.start(epochs=1, **QUICK)
    third = await panel.start(epochs=1, **{**QUICK, "batch": 2})
    assert panel.run is third
    assert panel.model.place == 2
    assert "number 2 in the queue" in panel.status.value
    assert panel.stop_button.disabled
    assert [run_id for _, run_id in panel.runs.runs.options] == [third.id, second.id, first.id]

    panel.runs.move_up.click()
    await eventually(lambda: panel.model.place == 1)
    assert panel.runs.move_up.disabled
    panel.cancel_button.click()
    await until(panel, "cancelled")
    assert second.read_progress().state == "waiting"

    panel.runs.runs.value = (first.id,)
    await eventually(lambda: panel.run is first)
    panel.pause_button.click()
    await eventually(lambda: panel.progress.state in {"pausing", "paused"})
    await eventually(lambda: panel.progress.state == "paused")
    assert "Paused" in panel.status.value
    assert panel.pause_button.disabled
    done = panel.progress.epochs_completed
    await eventually(
        lambda: second.read_progress().is_over
    )  # the device was free, so it had its turn

    panel.resume_button.click()
    await eventually(lambda: panel.progress.epochs_completed > done)
    panel.stop_button.click()
    await eventually(lambda: panel.progress.state == "stopped")
    assert [epoch.epoch for epoch in panel.progress.history][: done + 1] == list(range(1, done + 2))

    panel.runs.runs.value = (second.id, first.id)
    assert not panel.runs.compare.disabled
    panel.runs.compare.click()
    await eventually(lambda: "Settings that differ" in panel.charts.compared.value)
    assert "epochs" in panel.charts.compared.value
    assert panel.charts.plots is not None
    grid = panel.charts.plots
    await eventually(lambda: "mAP50-95 on val" in grid.figures[0])
    over = json.loads(grid.figures[0])
    assert [trace["name"] for trace in over["data"]] == [second.id, first.id]
    assert panel.run_view.layout.display == "none"
    panel.runs.back.click()
    await eventually(lambda: panel.run_view.layout.display is None)


async def test_problems_are_shown_with_remedies_before_the_start(
    panel: TrainPanel, stores: Stores
) -> None:
    for name, value in QUICK.items():
        if name != "workers":
            setattr(panel.model, name, value)
    panel.model.device = "7"
    panel.start_button.click()
    await eventually(lambda: panel.model.problems != ())
    [problem] = [each for each in panel.model.problems if "7" in each.text]
    assert any(escape(problem.remedy) in text for text in shown(panel))
    assert "cannot be started" in panel.problems_text.value
    assert panel.anyway_button.layout.display == "none"
    assert panel.run is None
    with pytest.raises(TrainingError, match="good enough"):
        await panel.model.start_anyway()

    panel.form.device.value = "cpu"
    assert panel.model.problems == ()
    assert panel.problems_view.layout.display == "none"


async def test_a_run_with_warnings_starts_when_somebody_says_so(
    panel: TrainPanel, stores: Stores
) -> None:
    await stores.dataset.update_classes("shapes", [*CLASSES, "never seen"])
    for name, value in QUICK.items():
        if name != "workers":
            setattr(panel.model, name, value)
    panel.form.epochs.value = 300
    panel.start_button.click()
    await eventually(lambda: panel.model.problems != ())
    assert "never seen" in "".join(shown(panel))
    assert "can be started" in panel.problems_text.value
    assert panel.run is None
    panel.anyway_button.click()
    await eventually(lambda: panel.run is not None)
    assert panel.model.problems == ()
    assert any("never seen" in text for text in panel.progress.warnings)


async def test_out_of_memory_is_answered_with_a_button(panel: TrainPanel, stores: Stores) -> None:
    run = await panel.start(epochs=300, **QUICK)
    await until(panel, "running")
    record = json.loads((run.path / "process.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    await eventually(lambda: panel.progress.state == "failed")
    assert not panel.resume_button.disabled
    smaller = next(
        each for each in panel.suggestions.children if each.description == "Resume with batch 2"
    )
    smaller.click()
    await eventually(lambda: not panel.progress.is_over)
    assert run.config.batch == 2
    assert panel.suggestions.children == ()


def test_every_state_has_words() -> None:
    states = {
        value
        for name, value in vars(progress_module).items()
        if name.isupper() and isinstance(value, str)
    }
    assert len(states) == 11
    assert states == set(STATE_WORDS)


def test_a_cancelled_run_that_can_go_on_is_not_said_to_be_lost() -> None:
    words = status("run", RunProgress(state="cancelled"), "", can_resume=True)
    assert "no model came of it" in words
    assert "it can be resumed" in words
    assert "nothing was kept" not in words


def test_use_of_the_machine_and_changes_in_words() -> None:
    used = ResourcesUsed(
        time=0, cpu_percent=150, memory=3 * 2**30, memory_free=2**29, gpu_memory_total=0
    )
    assert resources(used) == "processor 150 % of a core · memory 3.0 GiB (0.5 GiB free)"
    assert suggestion({"batch": 8}) == "Resume with batch 8"
    assert suggestion({"image_size": 480}) == "Resume with image size 480"
    assert suggestion({"cache": False}) == "Resume with no cache in RAM"


async def test_where_a_run_runs_is_chosen_and_copied(
    panel: TrainPanel, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await panel.refresh()
    where, model = panel.where, panel.model
    assert (model.where, where.view.children[1].layout.display) == ("local", "none")
    assert "where=" not in panel.copy_button.text
    where.place.value = "ray"
    assert (model.where, where.view.children[1].layout.display) == ("ray", None)
    where.address.value = "http://127.0.0.1:9"
    assert model.where == "http://127.0.0.1:9"
    assert "where='http://127.0.0.1:9'" in panel.copy_button.text
    # What stands against it is said as for any run, and nothing is started.
    await model.propose()
    assert any("no Ray cluster answers at http://127.0.0.1:9" in p.text for p in model.problems)
    assert not model.can_start_anyway
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    where.address.value = ""
    with pytest.raises(InvalidConfigError, match="RAY_ADDRESS is not set"):
        await panel.start(**QUICK)
    assert "RAY_ADDRESS is not set" in panel.status_line.text
    model.where = "local"
    assert (where.place.value, where.view.children[1].layout.display) == ("local", "none")
    assert model.rows == ()


def test_the_node_of_a_run_is_told_with_its_cost() -> None:
    progress = RunProgress(state="running", node="n1", node_since=1.0, updated_at=1801.0)
    assert "node n1, 0.50 node-hours" in status("id", progress, "")


def test_a_run_of_a_silent_cluster_promises_no_end() -> None:
    known = RunProgress(state="running", epoch=2, epochs=4, batch=1, batches=1, updated_at=60.0)
    known = replace(known, began_at=1.0)
    assert "Training …" in (before := status("id", known, ""))
    assert " left" in before
    silent = advance(known, Warned(time=70.0, text="Since 17:05 …", is_silent=True))
    assert silent == advance_all(known, [Warned(time=70.0, text="Since 17:05 …", is_silent=True)])
    words = status("id", silent, "")
    assert "Its cluster does not answer; what was last heard:" in words
    assert "epoch 2 of 4" in words
    assert not any(promise in words for promise in ("Training …", " left"))
    again = advance(
        silent, BatchFinished(time=80.0, epoch=3, epochs=4, batch=1, batches=2, losses={})
    )
    assert "Training …" in status("id", again, "")


def test_a_run_that_waits_again_shows_no_figures_of_before() -> None:
    progress = RunProgress(
        state="waiting", epoch=5, epochs=40, batch=2, batches=3, device="cpu", losses={"box": 3.01}
    )
    words = status("id", progress, "")
    assert "Waiting for its turn" in words
    assert not any(figure in words for figure in ("batch 2", "on cpu", "3.01"))
    words = status("id", replace(progress, state="running"), "")
    assert all(figure in words for figure in ("batch 2 of 3", "on cpu", "3.01"))
