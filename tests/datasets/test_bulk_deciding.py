"""Many suggestions decided at once: all or nothing, told in the history, taken back as one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets.bulk_deciding import (
    Rule,
    accept_by_rule,
    allowed,
    applied_rules,
    decide_many,
    load_waiting,
    take_back,
)
from workbench.datasets.dataset import Dataset
from workbench.datasets.deciding import decide, waiting_on
from workbench.errors import ConflictError, NotFoundError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource, new_block

ONE, TWO = SuggestionSource("model", "one", "aa" * 32), SuggestionSource("model", "two", "bb" * 32)
LEFT = Prediction(0, 0.25, 0.5, 0.25, 0.5, 0.95)
RIGHT = Prediction(1, 0.75, 0.5, 0.25, 0.5, 0.5)
NEAR_LEFT = Prediction(0, 0.26, 0.5, 0.25, 0.5, 0.92)
UNKNOWN = Prediction(7, 0.5, 0.5, 0.1, 0.1, 1.0)
A, B, C = ("train", "a.png"), ("train", "b.png"), ("val", "c.png")


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    """Image c has a label where a suggestion is; nobody knows class 7."""
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    pixels = np.full((64, 64, 3), 90, np.uint8)
    labels = {C: [Annotation(0, *LEFT.xywh)]}
    await made.image.add_many(
        "cups",
        [NewImage(name, split, pixels, labels.get((split, name))) for split, name in (A, B, C)],
    )
    await made.image.add_suggestions(
        "cups",
        [
            new_block(ONE, {B: [LEFT, RIGHT], A: [RIGHT, UNKNOWN], C: [LEFT, RIGHT]}),
            new_block(TWO, {B: [NEAR_LEFT]}),
        ],
    )
    return made


def label_files(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "data/cups/labels"
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*.txt"))}


async def test_one_image_is_decided_on_in_one_go(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be a second one could be missing after a kill."""
    waiting = await waiting_on(stores, "cups", B)
    monkeypatch.setattr(stores.image, "add_suggestions", None)
    labels = await decide(stores, "cups", waiting, accept=[0], reject=[1])
    assert len(labels.annotations) == 1
    left = await waiting_on(stores, "cups", B)
    assert [one.class_id for one in left.suggestions] == []


async def test_what_waits_is_what_nothing_answers(stores: Stores) -> None:
    waiting = await load_waiting(stores, "cups")
    found = [(waiting.key(place), waiting.suggestion(place)) for place in range(len(waiting))]
    assert [(key, one.class_id, one.source) for key, one in found] == [
        (A, 1, ONE.id),
        (B, 0, ONE.id),
        (B, 1, ONE.id),
        (B, 0, TWO.id),
        (C, 1, ONE.id),
    ]
    assert waiting.scores.tolist() == pytest.approx([0.5, 0.95, 0.5, 0.92, 0.5])


async def test_many_are_decided_and_taken_back_as_one(stores: Stores, tmp_path: Path) -> None:
    before = label_files(tmp_path)
    waiting = await load_waiting(stores, "cups")
    done = await decide_many(stores, "cups", waiting, accept=[0, 1, 3, 4], reject=[2])
    # What two sources propose at one place is one box.
    assert (done.accepted, done.rejected, done.left) == (3, 1, {})
    assert done.change.description == (
        "3 suggested boxes accepted on 3 images, 1 suggested box rejected"
    )
    assert label_files(tmp_path) == {
        "train/a.txt": "1 0.75000000 0.50000000 0.25000000 0.50000000\n",
        "train/b.txt": "0 0.25000000 0.50000000 0.25000000 0.50000000\n",
        "val/c.txt": before["val/c.txt"] + "1 0.75000000 0.50000000 0.25000000 0.50000000\n",
    }
    [edit] = await stores.label.history("cups", *A)
    assert edit.what == "accepted from model one (aaaaaaaa), model two (bbbbbbbb)"
    assert len(await load_waiting(stores, "cups")) == 0
    await done.change.undo()
    assert label_files(tmp_path) == before
    assert len(await load_waiting(stores, "cups")) == 5


async def test_what_is_accepted_and_rejected_together_is_one_change(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_again(*_: object) -> None:
        raise AssertionError("a second change, before which the kernel may have died")

    waiting = await load_waiting(stores, "cups")
    places = {waiting.key(place): place for place in range(len(waiting))}
    monkeypatch.setattr(stores.image, "add_suggestions", not_again)
    done = await decide_many(stores, "cups", waiting, accept=[places[A]], reject=[places[C]])
    assert (done.accepted, done.rejected) == (1, 1)
    assert (await stores.image.suggestions("cups")).of(*C) != []
    assert [*(await stores.image.suggestions("cups")).rejected] == [C]
    await done.change.undo()
    assert (await stores.image.suggestions("cups")).rejected == {}
    assert len(await load_waiting(stores, "cups")) == len(waiting)


async def test_nothing_is_undone_over_newer_work(stores: Stores, tmp_path: Path) -> None:
    done = await decide_many(stores, "cups", await load_waiting(stores, "cups"), accept=[0, 4])
    await stores.label.save("cups", *A, [Annotation(0, 0.5, 0.5, 0.1, 0.1)])
    after = label_files(tmp_path)
    with pytest.raises(ConflictError):
        await done.change.undo()
    assert label_files(tmp_path) == after


async def test_images_that_cannot_be_changed_are_left_and_told(
    stores: Stores, tmp_path: Path
) -> None:
    waiting = await load_waiting(stores, "cups")
    (tmp_path / "data/cups/labels/train/a.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n")
    await stores.image.delete("cups", *B)
    done = await decide_many(stores, "cups", waiting, accept=range(5))
    assert done.accepted == 1
    assert set(done.left) == {A, B}
    assert "more than a box" in done.left[A]


async def test_boxes_without_an_area_do_not_wait(stores: Stores) -> None:
    other = SuggestionSource("model", "stranger", "cc" * 32)
    empty = [Prediction(0, 0.5, 0.5, 0, 0.5, 1.0), Prediction(0, 1.0, 0.5, 1e-9, 0.5, 1.0)]
    half_outside = Prediction(0, 1.0, 1.0, 1.0, 1.0, 1.0)
    await stores.image.add_suggestions("cups", [new_block(other, {A: [*empty, half_outside]})])
    done = await accept_by_rule(stores, "cups", Rule(1.0, sources=1))
    assert (done.accepted, done.left) == (1, {})
    assert await stores.label.load("cups", *A) == [Annotation(0, 0.75, 0.75, 0.5, 0.5)]


async def test_a_rule_is_taken_back_whatever_the_source_calls_itself(stores: Stores) -> None:
    name = "a\nrule 00000000: mine, accepted from \x1b[31m" + "x" * 100_000
    await stores.image.add_suggestions(
        "cups", [new_block(SuggestionSource("model", name), {A: [LEFT]})]
    )
    before = await stores.label.load_all("cups")
    done = await accept_by_rule(stores, "cups", Rule(0.9, sources=1), images=[A])
    assert done.accepted == 1
    edit = (await stores.label.history("cups", *A))[-1]
    assert edit.what.isprintable()
    assert len(edit.what) < 400
    [applied] = await applied_rules(stores, "cups")
    await take_back(stores, "cups", applied.id)
    assert (await stores.label.load_all("cups")).class_counts(2).tolist() == (
        before.class_counts(2).tolist()
    )


async def test_a_picture_with_very_many_suggestions_takes_little_memory(stores: Stores) -> None:
    many = 3_000  # of two sources; each with each other at once: 900 MB
    grid = np.linspace(0.05, 0.95, many)
    rows = [Prediction(0, x, 0.5, 0.00001, 0.5, 0.95) for x in grid.tolist()]
    for source in (ONE, TWO):
        await stores.image.add_suggestions("cups", [new_block(source, {A: rows})])
    waiting = await load_waiting(stores, "cups")
    tracemalloc.start()
    try:
        places = allowed(waiting, Rule(0.9, sources=2))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(places) == 2 * many + 2  # and LEFT of b, by both
    assert peak < 200e6


async def test_both_cannot_be_decided(stores: Stores) -> None:
    waiting = await load_waiting(stores, "cups")
    with pytest.raises(ValueError, match="both accepted and rejected"):
        await decide_many(stores, "cups", waiting, accept=[1], reject=[1])


async def test_a_rule_says_what_it_allows(stores: Stores) -> None:
    waiting = await load_waiting(stores, "cups")
    assert allowed(waiting, Rule(0.9, 2)) == [1, 3]
    assert allowed(waiting, Rule(0.93, 2)) == []
    assert allowed(waiting, Rule(0.5, 1, classes=(1,))) == [0, 2, 4]
    assert str(Rule(0.9, 2)) == "from 90 % where 2 sources agree"
    assert str(Rule(0.5, 1)) == "from 50 %"
    for wrong in ({"score": 2.0}, {"sources": 0}):
        with pytest.raises(ValueError, match="expected"):
            Rule(**wrong)  # type: ignore[arg-type]


async def test_what_a_rule_has_done_is_marked_and_taken_back(
    stores: Stores, tmp_path: Path
) -> None:
    before = label_files(tmp_path)
    first = await Dataset(stores, "cups").accept_by_rule(Rule(0.9, 2))
    assert first.accepted == 1
    second = await accept_by_rule(stores, "cups", Rule(0.4, 1), images=[A, C])
    assert second.accepted == 2
    [one, two] = await applied_rules(stores, "cups")
    assert (one.rule, len(one.edits)) == ("from 90 % where 2 sources agree", 1)
    assert (two.rule, len(two.edits)) == ("from 40 %", 2)
    # On an image that somebody has worked on since nothing is taken back.
    await stores.label.save("cups", *A, [])
    assert await take_back(stores, "cups", two.id) == 1
    assert label_files(tmp_path)["val/c.txt"] == before["val/c.txt"]
    assert label_files(tmp_path)["train/a.txt"] == ""
    assert [rule.id for rule in await applied_rules(stores, "cups")] == [one.id]
    with pytest.raises(NotFoundError, match="nothing left"):
        await take_back(stores, "cups", two.id)
