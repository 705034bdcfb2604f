"""Where a run stands follows from its events alone."""

from __future__ import annotations

import pytest

from workbench.training.events import (
    BatchFinished,
    Cancelled,
    EpochFinished,
    EpochStarted,
    Event,
    Failed,
    Finished,
    Prepared,
    Started,
    Stopped,
    Warned,
)
from workbench.training.progress import RunProgress, advance, advance_all

BEGUN: list[Event] = [
    Started(time=0, base_model="m", pretrained=False, note="from scratch", epochs=4),
    Prepared(time=10, device="cpu", train_images=8, val_images=2, batches=2),
    EpochStarted(time=10, epoch=1, epochs=4),
    BatchFinished(time=15, epoch=1, epochs=4, batch=1, batches=2, losses={"box_loss": 3.0}),
]


def after(*events: Event) -> RunProgress:
    progress = RunProgress()
    for event in events:
        progress = advance(progress, event)
    assert advance_all(RunProgress(), events) == progress
    return progress


def test_before_anything_happened_it_starts() -> None:
    progress = RunProgress()
    assert (progress.state, progress.fraction, progress.seconds_left) == ("starting", 0.0, None)


def test_fraction_and_time_left_count_batches() -> None:
    progress = after(*BEGUN)
    assert progress.state == "running"
    assert progress.note == "from scratch"
    assert progress.fraction == pytest.approx(1 / 8)
    assert progress.seconds_left == pytest.approx(35.0)
    assert progress.losses == {"box_loss": 3.0}


def test_finished_epochs_are_kept_and_only_whole_ones_counted() -> None:
    whole = EpochFinished(time=20, epoch=1, epochs=4, seconds=10, metrics={"map50": 0.2})
    cut = EpochFinished(time=22, epoch=2, epochs=4, seconds=2, complete=False)
    progress = after(*BEGUN, whole, EpochStarted(time=20, epoch=2, epochs=4), cut)
    assert progress.history == (whole, cut)
    assert progress.epochs_completed == 1
    assert (progress.epoch, progress.batch) == (2, 0)


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (
            Finished(time=30, epochs_completed=2, metrics={"best_map50": 0.5}, early=True),
            "finished",
        ),
        (Stopped(time=30, epochs_completed=2, metrics={"best_map50": 0.5}), "stopped"),
    ],
)
def test_an_end_brings_the_metrics(event: Event, state: str) -> None:
    progress = after(*BEGUN, event)
    assert (progress.state, progress.is_over, progress.epochs_completed) == (state, True, 2)
    assert progress.metrics == {"best_map50": 0.5}
    assert progress.seconds_left is None
    assert (progress.fraction == 1.0) is (state == "finished")


def test_a_failure_says_why() -> None:
    progress = after(*BEGUN, Failed(time=20, message="disk full", traceback="Traceback"))
    assert (progress.state, progress.message) == ("failed", "disk full")
    assert progress.traceback == "Traceback"


def test_a_cancelled_run_is_over() -> None:
    assert after(*BEGUN, Cancelled(time=20)).is_over


def test_warnings_add_up() -> None:
    warned = after(Warned(time=1, text="a"), Warned(time=2, text="b"))
    assert warned.warnings == ("a", "b")


def test_epochs_after_the_checkpoint_are_reported_again() -> None:
    again = Started(time=90, base_model="m", pretrained=False, note="", epochs=4, epochs_done=1)
    epochs = [EpochFinished(time=20.0 + n, epoch=n, epochs=4, seconds=1.0) for n in (1, 2, 3)]
    progress = after(*BEGUN, Warned(time=16, text="a"), *epochs, again, epochs[1])
    assert [epoch.epoch for epoch in progress.history] == [1, 2]
    assert progress.warnings == ("a",)
    assert progress.epochs_completed == 2
