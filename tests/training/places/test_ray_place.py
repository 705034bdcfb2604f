"""Addresses of clusters, what is said before a run, and what a node refuses. No cluster needed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.training import TINY, Trained, make_shapes
from workbench.errors import InvalidConfigError, SetupError, TrainingError
from workbench.own_python import python_path
from workbench.persistence import Stores
from workbench.persistence.process_record import ProcessRecord
from workbench.persistence.run_folder import RunFolder
from workbench.training.config import TrainingConfig
from workbench.training.events import Cancelled, Finished, Paused, Placed, Queued
from workbench.training.places import node, place_at, trial, trial_head
from workbench.training.places.local import LocalPlace
from workbench.training.places.ray import RayPlace
from workbench.training.places.replaced import VARIABLE
from workbench.training.places.trial import free_port
from workbench.training.places.versions import versions_here
from workbench.training.progress import RunProgress, advance
from workbench.training.runner import TrainingRunner
from workbench.training.telling import tell


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("http://head:8265", RayPlace("http://head:8265")),
        ("https://head:443", RayPlace("https://head:443")),
        ("ray://head:10001", RayPlace("http://head:8265")),
        ("ray://[::1]:10001", RayPlace("http://[::1]:8265")),
        ("http://head:8265?cpus=4&gpus=1", RayPlace("http://head:8265", 4.0, 1.0)),
    ],
)
def test_an_address_becomes_that_of_the_jobs(where: str, place: RayPlace) -> None:
    assert place_at(where) == place
    assert place_at(place.address) == place


def test_ray_stands_for_the_cluster_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert place_at("ray") == RayPlace("http://10.0.0.1:8265")
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(InvalidConfigError, match="RAY_ADDRESS is not set"):
        place_at("ray")


@pytest.mark.parametrize(
    "where",
    [
        *("", "ftp://head", "http://", "http://head:port", "http://me:secret@head:8265"),
        *("http://head:8265?cpus=many", "http://head:8265?cpus=-1", "http://head:8265?memory=4"),
    ],
)
def test_anything_else_is_refused(where: str) -> None:
    with pytest.raises(InvalidConfigError, match="where: expected 'local', 'ray'"):
        place_at(where)


@pytest.mark.parametrize(
    ("device", "gpus"), [("", 0), ("cpu", 0), ("0", 1), ("0,1", 2), ("cuda:1", 1), ("cuda", 1)]
)
def test_a_run_gets_the_gpus_that_its_device_names(device: str, gpus: int) -> None:
    config = TrainingConfig(dataset="any", device=device)
    assert RayPlace("http://head:8265").gpus_for(config) == gpus
    assert RayPlace("http://head:8265", gpus=0.5).gpus_for(config) == 0.5
    assert RayPlace("http://head:8265").devices(config) == frozenset()


async def test_a_cluster_that_does_not_answer_is_said_before_anything_starts(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    await make_shapes(persistence_stores)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    where = f"http://127.0.0.1:{free_port()}"
    [problem] = await runner.check(TrainingConfig(**TINY), where=where)
    assert problem.text == f"no Ray cluster answers at {where} (Connection refused)"
    with pytest.raises(TrainingError, match="no Ray cluster answers"):
        await runner.start(TrainingConfig(**TINY), where=where)
    assert await runner.list_runs() == []


def test_a_trial_cluster_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(trial, "_command", lambda *_: broken)
    with pytest.raises(TrainingError, match=r"did not start on this machine \(exit status 3\)"):
        trial.TrialCluster()


def test_a_node_is_told_the_port_of_its_agent() -> None:
    node = ["raylet", "--dashboard_agent_command=python agent.py --listen-port=4711 --node-id=5"]
    assert trial_head.telling_the_port(node) == [*node, "--dashboard_agent_listen_port=4711"]
    for other in (["gcs_server"], ["raylet", "--dashboard_agent_command=agent --listen-port=0"]):
        assert trial_head.telling_the_port(other) == other


def test_a_trial_cluster_ends_with_a_process_that_is_killed() -> None:
    head = """
import subprocess
from workbench.training.places.trial_head import end_with_input
end_with_input()
subprocess.run(["sh", "-c", "sleep 300 & sleep 300"])
"""
    script = """
import sys
from workbench.training.places import trial
trial._command = lambda *_: [sys.executable, "-c", sys.argv[1]]
trial.TrialCluster()
"""
    command = [sys.executable, "-c", script, head]
    with subprocess.Popen(command, env={**os.environ, **python_path()}) as owner:
        one = psutil.Process(owner.pid)
        while len(below := one.children(recursive=True)) < 4:  # the head, sh and what that does
            time.sleep(0.05)
        owner.kill()
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []


async def test_without_ray_the_way_to_it_is_said(
    persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_shapes(persistence_stores)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "workbench.training.places.ray.find_spec",
        lambda name: None if name == "ray" else find(name),
    )
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    [problem] = await runner.check(TrainingConfig(**TINY), where="http://127.0.0.1:1")
    assert problem.remedy == "pip install 'yolo-workbench[ray]'"
    monkeypatch.setattr(trial, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match="yolo-workbench"):
        trial.TrialCluster()


def test_a_node_with_other_versions_is_refused_and_they_are_named(
    trained: Trained, tmp_path: Path
) -> None:
    folder = _sent(trained, tmp_path, {**versions_here(), "ultralytics": "9.9.9", "python": "2.7"})
    with pytest.raises(SystemExit) as ended:
        node.main(folder.path, "task-1")
    assert ended.value.code == 3
    [line] = folder.events_path.read_text().splitlines()
    event = json.loads(line)
    assert event["event"] == "Failed"
    assert "instead of 9.9.9" in event["message"]
    assert "instead of 2.7" in event["message"]
    assert "`pip install ultralytics==9.9.9` there" in event["message"]


def test_a_node_that_does_not_see_the_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node, "_SECONDS_TO_APPEAR", 0.3)
    with pytest.raises(SystemExit) as ended:
        node.main(tmp_path / "nowhere", "task-1")
    assert ended.value.code == 3
    assert f"does not see the run's folder {tmp_path / 'nowhere'}" in capsys.readouterr().out


def test_a_job_that_was_given_up_does_not_train_when_it_begins_after_all(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "_SECONDS_TO_APPEAR", 0.3)
    folder = _sent(trained, tmp_path, versions_here())
    with pytest.raises(SystemExit):
        node.main(folder.path, "task-0")
    assert not folder.events_path.exists()


def test_what_is_kept_of_nodes_is_the_last_one_and_the_time_on_all() -> None:
    where = "http://head:8265"
    events = [
        Queued(time=0.0),
        Placed(time=10.0, where=where, task="a"),
        Placed(time=3600.0, where=where, task="a", node="one"),
        Placed(time=7200.0, where=where, task="b"),
        Placed(time=9000.0, where=where, task="b", node="two"),
    ]
    progress = RunProgress()
    states = []
    for event in events:
        progress = advance(progress, event)
        states.append(progress.state)
    assert states == ["waiting", "waiting", "starting", "waiting", "starting"]
    progress = advance(progress, Finished(time=10_800.0, epochs_completed=1))
    assert (progress.node, progress.node_hours) == ("two", 1.5)


async def test_a_cluster_that_only_a_run_names_is_not_spoken_to(
    trained: Trained,
    persistence_stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = _sent(trained, tmp_path, versions_here())
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        folder.write_job({**folder.read_job(), "where": url})
        tell(folder, Queued(time=1.0))
        tell(folder, Placed(time=2.0, where=url, task="task-1", node="theirs"))
        [run] = await TrainingRunner(persistence_stores, tmp_path / "runs").list_runs()
        assert (await run.refresh()).state == "starting"
        assert "to which nobody on this machine has sent anything" in caplog.text
        with pytest.raises(TrainingError, match=f"set RAY_ADDRESS={url}"):
            await run.cancel()
        await run.pause()
        tell(folder, Paused(time=3.0, epochs_completed=0))
        shutil.copytree(trained.run.path / "data", folder.data_dir)
        await run.resume()
        progress = await run.refresh()
        assert (progress.state, url in progress.message) == ("failed", True)
        assert folder.read_keeper() is None
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_cancel_is_remembered_where_the_cluster_does_not_answer(
    trained: Trained, persistence_stores: Stores, tmp_path: Path
) -> None:
    folder = _sent(trained, tmp_path, versions_here())
    url = f"http://127.0.0.1:{free_port()}"
    folder.write_job({**folder.read_job(), "where": url})
    folder.mark_own()
    tell(folder, Queued(time=1.0))
    tell(folder, Placed(time=2.0, where=url, task="task-1", node="theirs"))
    place_at(url).name_as_own()
    folder.write_keeper(ProcessRecord.of_this_process())  # one that asks the cluster in vain
    [run] = await TrainingRunner(persistence_stores, tmp_path / "runs").list_runs()
    began = time.monotonic()
    await run.cancel()
    assert time.monotonic() - began < 30
    assert (await run.refresh()).state == "cancelling"
    assert folder.cancel_requested()
    tell(folder, Cancelled(time=3.0))  # the keeper, once the cluster is back
    assert (await run.refresh()).state == "cancelled"


@pytest.mark.parametrize("where", ["nowhere at all://", 5, None, ["local"]])
async def test_a_run_that_names_no_place_holds_up_no_other(
    trained: Trained,
    persistence_stores: Stores,
    tmp_path: Path,
    where: Any,
) -> None:
    folder = _sent(trained, tmp_path, versions_here())
    folder.write_job({**folder.read_job(), "where": where})
    folder.mark_own()
    folder.write_queued(1.0)
    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    assert await runner.list_runs() == []
    assert folder.read_queued() is None
    assert "The run could not be started" in folder.events_path.read_text()


def test_this_machine_is_a_place_like_any_other() -> None:
    assert isinstance(place_at("local"), LocalPlace)


def _sent(trained: Trained, tmp_path: Path, versions: dict[str, str]) -> RunFolder:
    """The folder of a run that was sent to a cluster as ``task-1``."""
    folder = RunFolder(tmp_path / "runs" / trained.run.id)
    folder.path.mkdir(parents=True)
    job: dict[str, Any] = trained.run.job.to_json()
    folder.write_job({**job, "where": "http://head:8265?cpus=1"})
    folder.write_task({"id": "task-1", "versions": versions, "epochs_done": 0, "tries": 1})
    assert folder.job_age() < time.time()
    return folder


@pytest.mark.parametrize("by", ["another task", "none"])
def test_a_process_whose_run_was_taken_away_ends_itself(tmp_path: Path, by: str) -> None:
    folder = RunFolder(tmp_path)
    script = """
import sys, time
from pathlib import Path
from workbench.persistence.run_folder import RunFolder
from workbench.training.places.replaced import end_when_replaced
end_when_replaced(RunFolder(Path(sys.argv[1])))
print("at work", flush=True)
time.sleep(120)
"""
    folder.write_task({"id": "mine"})
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, **python_path(), VARIABLE: "mine"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with started as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            with pytest.raises(subprocess.TimeoutExpired):  # the task is its own
                process.wait(1.5)
            if by == "none":
                folder.remove_task()
            else:
                folder.write_task({"id": "another"})
            assert process.wait(30) == 4
            assert "another task than mine" in process.stdout.read()
        finally:
            process.kill()
