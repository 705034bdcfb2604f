from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.datasets.dataset import Dataset
from workbench.datasets.review_queue import class_weights
from workbench.datasets.walks import plan_walk
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, ImageKey, NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource, new_block

ONE, TWO = SuggestionSource("model", "one"), SuggestionSource("model", "two")


def box(score: float, class_id: int = 0, x: float = 0.25) -> Prediction:
    return Prediction(class_id, x, 0.5, 0.25, 0.5, score)


def key(name: str) -> ImageKey:
    return "train", f"{name}.png"


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    pixels = np.full((48, 64, 3), 90, np.uint8)
    names = ("sure", "doubt", "rare", "nothing", "done")
    many = [Annotation(0, 0.5, 0.5, 0.1, 0.1)] * 9 + [Annotation(1, 0.5, 0.5, 0.1, 0.1)]
    await made.image.add_many(
        "cups",
        [NewImage(f"{n}.png", "train", pixels, many if n == "done" else None) for n in names],
    )
    await made.image.add_suggestions(
        "cups",
        [
            new_block(
                ONE,
                {
                    key("sure"): [box(0.95), box(0.9, x=0.75)],
                    key("doubt"): [box(0.5), box(0.6, x=0.75)],
                    key("rare"): [box(0.5, class_id=1)],
                    key("nothing"): [],
                    key("done"): [box(0.5)],
                },
            )
        ],
    )
    return made


async def test_what_teaches_most_comes_first(stores: Stores) -> None:
    queue = await Dataset(stores, "cups").review_queue()
    # The one doubtful spoon counts three times, as there is one label of it for nine of cups.
    assert [(one.key, one.reason) for one in queue] == [
        (key("rare"), "few labels of spoon"),
        (key("doubt"), "2 boxes in doubt"),
        (key("sure"), "0 boxes in doubt"),
    ]
    assert [round(one.value, 3) for one in queue] == [3.0, 1.8, 0.3]


async def test_the_safest_first_for_quick_wins(stores: Stores) -> None:
    queue = await Dataset(stores, "cups").review_queue(order="safest")
    assert queue[0].key == key("sure")
    assert queue[0].reason == "2 boxes, the least sure 90%"
    assert {one.key for one in queue} == {key("sure"), key("doubt"), key("rare")}
    with pytest.raises(ValueError, match="expected one of teaching, safest"):
        await Dataset(stores, "cups").review_queue(order="best")  # type: ignore[arg-type]


async def test_sources_that_disagree_are_a_reason(stores: Stores) -> None:
    seen = {key("sure"): [box(0.9)], key("nothing"): [box(0.97), box(0.97, x=0.75)]}
    await stores.image.add_suggestions("cups", [new_block(TWO, seen)])
    queue = {one.key: one for one in await Dataset(stores, "cups").review_queue("train")}
    assert queue[key("sure")].reason == "1 box on which sources disagree"
    assert queue[key("nothing")].reason == "2 boxes on which sources disagree"
    assert await Dataset(stores, "cups").review_queue("val") == []


@pytest.mark.parametrize(
    ("only", "names"),
    [("teaching", ["rare", "doubt", "sure"]), ("safest", ["sure", "doubt", "rare"])],
)
async def test_a_walk_follows_the_queue(stores: Stores, only: str, names: list[str]) -> None:
    walk = await plan_walk(stores, "cups", "train", only=only)
    assert walk.filenames[0] == f"{names[0]}.png"
    assert set(walk.filenames) == {f"{name}.png" for name in names}


def test_rare_classes_count_more_up_to_a_bound() -> None:
    assert class_weights(np.array([100, 25, 1, 0])).tolist() == [1, 2, 3, 3]
    assert class_weights(np.array([0, 0])).tolist() == [1, 1]
    assert class_weights(np.array([], dtype=np.int64)).tolist() == []
