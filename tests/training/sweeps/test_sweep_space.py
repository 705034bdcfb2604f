"""What is tried, which trials end early, and how folds are dealt: no training."""

from __future__ import annotations

import pytest

from workbench.errors import InvalidConfigError, TrainingError
from workbench.training.config import TrainingConfig
from workbench.training.sweeps.halving import Halving
from workbench.training.sweeps.space import Between, draw_trials, parse_space, with_settings
from workbench.training.sweeps.starting import deal_folds


def test_a_grid_has_each_combination_once() -> None:
    assert draw_trials({"image_size": [320, 640], "lr0": [0.1, 0.01]}) == [
        {"image_size": 320, "lr0": 0.1},
        {"image_size": 320, "lr0": 0.01},
        {"image_size": 640, "lr0": 0.1},
        {"image_size": 640, "lr0": 0.01},
    ]


def test_random_trials_are_the_same_for_a_seed_and_within_the_space() -> None:
    space = {"lr0": Between(1e-4, 0.1, log=True), "epochs": Between(5, 9), "optimizer": ["SGD"]}
    drawn = draw_trials(space, 40, seed=3)
    assert drawn == draw_trials(space, 40, seed=3) != draw_trials(space, 40, seed=4)
    assert all(1e-4 <= trial["lr0"] <= 0.1 for trial in drawn)
    assert sum(trial["lr0"] < 0.01 for trial in drawn) > 15  # two of three, by the logarithm
    assert {trial["epochs"] for trial in drawn} <= {5, 6, 7, 8, 9}
    assert all(isinstance(trial["epochs"], int) for trial in drawn)


def test_trials_of_a_grid_are_drawn_without_repeating_one() -> None:
    drawn = draw_trials({"batch": [1, 2, 4], "seed": [0, 1]}, 5)
    assert len({tuple(trial.items()) for trial in drawn}) == 5
    assert len(draw_trials({"batch": [1, 2]}, 9)) == 2


@pytest.mark.parametrize(
    ("space", "trials", "words"),
    [
        ({}, None, "at least one setting"),
        ({"dataset": ["a", "b"]}, None, "dataset: it is the same"),
        ({"lr0": Between(0.0, 1.0)}, None, "lr0: a range has no end"),
        ({"optimizer": "SGD"}, None, "optimizer: expected a list"),
        ({"seed": list(range(1001))}, None, "at most 1000 trials, found 1,001"),
        ({"seed": [1]}, 0, "trials: expected 1 to 1000"),
    ],
)
def test_a_space_that_cannot_be_is_refused(space: dict, trials: int | None, words: str) -> None:
    with pytest.raises(InvalidConfigError, match=words):
        draw_trials(space, trials)


@pytest.mark.parametrize(("low", "high", "log"), [(1, 1, False), (2, 1, False), (0, 1, True)])
def test_a_range_that_holds_nothing_is_refused(low: float, high: float, log: bool) -> None:
    with pytest.raises(InvalidConfigError):
        Between(low, high, log=log)


def test_settings_of_ours_and_of_ultralytics_come_to_their_places() -> None:
    config = TrainingConfig(dataset="cups", extra={"degrees": 5})
    made = with_settings(config, {"image_size": 320, "lr0": 0.1})
    assert (made.image_size, made.extra) == (320, {"degrees": 5, "lr0": 0.1})
    with pytest.raises(InvalidConfigError, match="epochs"):
        with_settings(config, {"epochs": 0})


def test_a_space_is_typed_line_by_line() -> None:
    text = "image_size: 320, 640\n\nlr0: 0.001 to 0.1 log\nepochs: 5 to 9\noptimizer: SGD,AdamW"
    assert parse_space(text) == {
        "image_size": [320, 640],
        "lr0": Between(0.001, 0.1, log=True),
        "epochs": Between(5, 9),
        "optimizer": ["SGD", "AdamW"],
    }
    for line in ("image_size", "image_size:", ": 3", "lr0: low to high"):
        with pytest.raises(InvalidConfigError):
            parse_space(line)


def test_one_in_three_goes_on() -> None:
    rule = Halving(first=2, factor=3)
    assert list(rule.rungs(30)) == [2, 6, 18]
    assert not rule.ends([0.1, 0.2], [], 2)
    others = [[0.5, 0.4], [0.3, 0.3], [0.9]]  # the last has not come so far
    assert rule.ends([0.1, 0.2], others, 2)
    assert rule.ends([0.1, 0.4], others, 2)
    assert not rule.ends([0.5, 0.1], others, 2)  # its best counts, and one as good is not better
    assert not rule.ends([0.1, 0.4], [*others, [0, 0], [0, 0]], 2)  # of five, two go on
    assert not rule.ends([0.0, 0.0, 0.9], [[0.0, 0.0, 0.1]] * 5, 2)


@pytest.mark.parametrize("settings", [{"first": 0}, {"factor": 1}, {"first": 1.5}])
def test_a_rule_that_cannot_be_is_refused(settings: dict) -> None:
    with pytest.raises(InvalidConfigError):
        Halving(**settings)


def test_folds_hold_each_image_once_and_keep_groups_together() -> None:
    names = [f"video{video}_{frame:03d}.jpg" for video in range(7) for frame in range(video + 1)]
    images = [("val" if n % 4 == 0 else "train", name) for n, name in enumerate(names)]
    folds = deal_folds([*images, ("test", "x_1.jpg")], 3, "name")
    assert sorted(name for fold in folds for name in fold) == sorted(
        "/".join(key) for key in images
    )
    assert [len(fold) for fold in folds] == [10, 9, 9]
    homes = [{name.split("/")[1].split("_")[0] for name in fold} for fold in folds]
    assert sum(map(len, homes)) == 7
    assert folds == deal_folds(images, 3, "name")
    with pytest.raises(TrainingError, match="8 folds need as many groups of images, and there are"):
        deal_folds(images, 8, "name")
