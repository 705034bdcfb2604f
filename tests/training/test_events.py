"""Events survive their way through a line of text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InvalidDatasetError
from workbench.training.curves import curves_of
from workbench.training.events import (
    BatchFinished,
    Cancelled,
    CheckpointSaved,
    DataFetched,
    EpochFinished,
    EpochStarted,
    Event,
    Failed,
    Finished,
    Paused,
    Placed,
    Prepared,
    Queued,
    ResourcesUsed,
    SamplesSaved,
    Started,
    Stopped,
    Warned,
    format_event,
    parse_event,
)
from workbench.training.progress import RunProgress, advance_all

EVENTS: list[Event] = [
    Queued(time=0.5, changes={"batch": 8, "cache": False}),
    Placed(time=0.6, where="http://head:8265", task="workbench-1", node="näher"),
    DataFetched(time=0.7, files=16, bytes=2_000_000),
    Started(time=1.0, base_model="yolo11n.pt", pretrained=True, note="Größe “n”", epochs=3),
    Prepared(
        time=2.0, device="cpu", train_images=9, val_images=3, batches=2, versions={"torch": "2"}
    ),
    Warned(time=2.5, text="one image is damaged"),
    EpochStarted(time=3.0, epoch=1, epochs=3),
    BatchFinished(time=4.0, epoch=1, epochs=3, batch=2, batches=2, losses={"box_loss": 1.5}),
    CheckpointSaved(time=5.0, epoch=1, best=True),
    EpochFinished(
        time=6.0,
        epoch=1,
        epochs=3,
        seconds=3.0,
        metrics={"map50": 0.5},
        losses={"box_loss": 1.5},
        val_losses={"box_loss": 1.6},
        complete=False,
    ),
    Finished(time=7.0, epochs_completed=3, metrics={"best_map50": 0.5}, early=True),
    SamplesSaved(time=6.1, epoch=1, names=["größe.jpg"]),
    ResourcesUsed(time=6.2, cpu_percent=150.0, memory=2e9, memory_free=1e9, gpu_memory=1e9),
    Stopped(time=7.0, epochs_completed=2, metrics={}),
    Paused(time=7.0, epochs_completed=2, metrics={"best_map50": 0.5}),
    Failed(
        time=7.0,
        message="no",
        traceback="Traceback\n  line\n",
        kind="out of memory",
        suggestions=[{"batch": 4}],
    ),
    Cancelled(time=7.0),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_line_unchanged(event: Event) -> None:
    line = format_event(event)
    assert "\n" not in line
    assert parse_event(line) == event


def test_every_class_of_event_is_tried_above() -> None:
    names = {cls.__name__ for cls in Event.__subclasses__()}
    assert {type(event).__name__ for event in EVENTS} == names


def test_only_the_ends_of_a_run_are_final() -> None:
    final = {type(event) for event in EVENTS if event.final}
    assert final == {Finished, Stopped, Paused, Failed, Cancelled}


def test_a_line_is_json_that_names_its_event() -> None:
    content = json.loads(format_event(Warned(time=1.5, text="careful")))
    assert content == {"event": "Warned", "time": 1.5, "text": "careful", "is_silent": False}


def test_a_warning_of_before_says_nothing_of_silence() -> None:
    known = parse_event('{"event": "Warned", "time": 1.5, "text": "careful"}')
    assert known == Warned(time=1.5, text="careful", is_silent=False)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_blew_up_is_valid_json_and_comes_back_as_nan(loss: float) -> None:
    event = BatchFinished(time=1, epoch=1, epochs=1, batch=1, batches=1, losses={"box": loss})
    line = format_event(event)
    json.loads(line, parse_constant=pytest.fail)
    parsed = parse_event(line)
    assert isinstance(parsed, BatchFinished)
    assert math.isnan(parsed.losses["box"])


def test_fields_of_a_newer_version_are_left_out() -> None:
    line = '{"event": "Warned", "time": 1.0, "text": "x", "colour": "red"}'
    assert parse_event(line) == Warned(time=1.0, text="x")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "3",
        '{"time": 1.0}',
        '{"event": "Exploded", "time": 1.0}',
        '{"event": ["Warned"], "time": 1.0}',
        '{"event": "Warned", "time": 1.0}',
    ],
)
def test_a_line_that_is_no_event_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"expected|needs"):
        parse_event(line)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("odd", ["x", -1.5, [5], {"a": []}, True, 10**400, None])
def test_a_value_of_another_kind_makes_no_event_that_cannot_be_counted_with(
    event: Event, odd: object
) -> None:
    """A stranger's line is left out, or what is read of it is what its fields say."""
    content = json.loads(format_event(event))
    for name in content.keys() - {"event"}:
        line = json.dumps({**content, name: odd})
        found = [*_read([line])]
        assert all(type(getattr(e, name)) is type(getattr(event, name)) for e in found)
        progress = advance_all(RunProgress(), [*found, event])
        assert progress.fraction >= 0
        assert progress.node_hours is not None
        curves_of(progress)
        progress.best()


def _read(lines: list[str]) -> Iterator[Event]:
    for line in lines:
        with suppress(InvalidDatasetError):
            yield parse_event(line)


@given(st.text())
def test_no_text_does_anything_worse_than_raise_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"expected|needs"):
        parse_event(line)
