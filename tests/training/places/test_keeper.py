"""What follows a run on a cluster, beside a cluster that is played. No Ray needed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.sweeps import add_epoch, job
from workbench.persistence.run_folder import RunFolder
from workbench.training.events import Finished, Placed, Queued
from workbench.training.places import keeper
from workbench.training.places.jobs import (
    ClusterTroubledError,
    ClusterUnreachableError,
    JobState,
    refusal,
)
from workbench.training.telling import tell

WHERE = "http://head:8265"
RUNNING = JobState("RUNNING")
NODE_LOST = JobState("FAILED", "Job supervisor actor died because its node has died")
TROUBLE = ClusterTroubledError("No available agent to submit job, please try again later.")


class PlayedCluster:
    """Answers by turns, when something is sent and when it is asked; a function is called first."""

    def __init__(self, sending: list[Any], states: list[Any]) -> None:
        self.sent: list[str] = []
        self._sending, self._states = iter(sending), iter(states)

    def submit(self, job_id: str, *_: Any, **__: Any) -> None:
        self.sent.append(job_id)
        self._say(self._sending)

    def state(self, _: str) -> Any:
        return self._say(self._states)

    def last_words(self, _: str) -> str:
        return ""

    def _say(self, answers: Iterator[Any]) -> Any:
        answer = next(answers)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that nobody has sent yet."""
    folder = RunFolder(tmp_path / "runs" / "run-1")
    folder.path.mkdir(parents=True)
    folder.write_job({**job("run-1").to_json(), "where": WHERE})
    tell(folder, Queued(time=time.time()))
    return folder


@pytest.fixture
def follow(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[[PlayedCluster], None]:
    def run(cluster: PlayedCluster) -> None:
        for name in ("_POLL_SECONDS", "SECONDS_TO_LET_GO"):
            monkeypatch.setattr(keeper, name, 0.0)
        monkeypatch.setattr(keeper, "ClusterJobs", lambda _: cluster)
        keeper.keep(folder)

    return run


def begin(folder: RunFolder, epochs: int = 0) -> JobState:
    """Tell what a node tells: that it has the run, and what it has learned."""
    task = keeper.task_of(folder)
    assert task is not None
    tell(folder, Placed(time=time.time(), where=WHERE, task=task.id, node="one"))
    for epoch in range(1, epochs + 1):
        add_epoch(folder, epoch, 0.5)
    return RUNNING


def finish(folder: RunFolder) -> JobState:
    tell(folder, Finished(time=time.time(), epochs_completed=9))
    return JobState("SUCCEEDED", exit_code=0)


def told(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    events = map(json.loads, folder.events_path.read_text().splitlines())
    return [event for event in events if event["event"] == kind]


def test_a_head_that_takes_no_jobs_yet_is_waited_for(
    folder: RunFolder, follow: Callable[[PlayedCluster], None]
) -> None:
    cluster = PlayedCluster(
        [TROUBLE, TROUBLE, None],
        [None, TROUBLE, None, ClusterUnreachableError("gone"), lambda: finish(folder)],
    )
    follow(cluster)
    assert len(cluster.sent) == 3
    assert len(set(cluster.sent)) == 1
    assert len(told(folder, "Placed")) == 1
    assert not told(folder, "Failed")


def test_a_head_that_never_takes_jobs_is_said(
    folder: RunFolder, follow: Callable[[PlayedCluster], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_SECONDS_OF_TROUBLE", 0.0)
    with pytest.raises(ClusterTroubledError):
        follow(PlayedCluster([TROUBLE], []))
    [failed] = told(folder, "Failed")
    assert "could not be followed on its cluster: No available agent" in failed["message"]


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (
            NODE_LOST,
            "lost (its node has ended, or Ray there has: `ray status` says which nodes are left)",
        ),
        (None, "gone without a word (the cluster does not know it any more)"),
    ],
    ids=["the node", "the head"],
)
def test_a_run_that_was_lost_is_sent_again_and_that_is_said(
    folder: RunFolder,
    follow: Callable[[PlayedCluster], None],
    lost: JobState | None,
    reason: str,
) -> None:
    cluster = PlayedCluster(
        [None, TROUBLE, None],
        [
            lambda: begin(folder, epochs=2),
            lost,
            None,
            lambda: begin(folder),
            lambda: finish(folder),
        ],
    )
    follow(cluster)
    first, second, third = cluster.sent
    assert first != second == third
    [warning] = told(folder, "Warned")
    text = f"The run on one is {reason}; it goes on from its last checkpoint"
    assert warning["text"] == text


def test_a_cancel_while_the_head_is_gone_is_carried_out_once_it_is_back(
    folder: RunFolder, follow: Callable[[PlayedCluster], None]
) -> None:
    def gone() -> ClusterUnreachableError:
        folder.request_cancel()
        return ClusterUnreachableError("gone")

    cluster = PlayedCluster([None], [lambda: begin(folder, epochs=2), gone, gone, None])
    follow(cluster)
    assert len(cluster.sent) == 1
    assert len(told(folder, "Cancelled")) == 1
    assert not told(folder, "Warned")
    assert keeper.task_of(folder) is None  # by which a process that lives on knows


def test_a_cancel_does_not_wait_for_a_cluster_that_is_gone_for_good(
    folder: RunFolder, follow: Callable[[PlayedCluster], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_SECONDS_TO_BE_HEARD", 0.0)
    silence = ClusterUnreachableError("gone")

    def cancelled() -> ClusterUnreachableError:
        folder.request_cancel()
        return silence

    follow(PlayedCluster([None], [lambda: begin(folder, epochs=2), silence, cancelled]))
    assert len(told(folder, "Cancelled")) == 1
    assert keeper.task_of(folder) is None  # by which a process that lives on knows


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Request failed with status code 500: No available agent.", ClusterTroubledError),
        ("Request failed with status code 404: Job abc does not exist.", None),
        ("Request failed with status code 400: no such environment, 500 tried.", None),
    ],
)
def test_what_a_cluster_cannot_now_is_no_refusal(words: str, kind: type[Exception] | None) -> None:
    error = refusal(WHERE, words)
    assert words in str(error)
    assert isinstance(error, ClusterUnreachableError) == (kind is not None)


def test_a_cluster_that_is_silent_is_said_and_that_it_is_back(
    folder: RunFolder, follow: Callable[[PlayedCluster], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_SECONDS_UNTIL_TOLD", 0.0)
    gone = ClusterUnreachableError("http://head:8265 does not answer")
    states = [lambda: begin(folder), gone, gone, RUNNING, RUNNING, lambda: finish(folder)]
    follow(PlayedCluster([None], states))
    silent, back = (event["text"] for event in told(folder, "Warned"))
    assert [event["is_silent"] for event in told(folder, "Warned")] == [True, False]
    assert "http://head:8265 does not answer" in silent
    assert "goes on" in silent
    assert "answers again" in back


def test_a_short_silence_is_not_said(
    folder: RunFolder, follow: Callable[[PlayedCluster], None]
) -> None:
    gone = ClusterUnreachableError("http://head:8265 does not answer")
    states = [lambda: begin(folder), gone, RUNNING, lambda: finish(folder)]
    follow(PlayedCluster([None], states))
    assert not told(folder, "Warned")
