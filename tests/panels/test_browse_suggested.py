"""What models propose, as crops in Browse: listed, sifted, and decided many at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets.decided import ChangedSinceError
from workbench.panels.browse.model import BrowseModel
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource, new_block

MODEL = SuggestionSource("model", "cups-1", "ab" * 32)
SCORES = {"a.png": [0.9, 0.2], "b.png": [0.55], "c.png": [0.7]}


def proposed(place: int, score: float) -> Prediction:
    return Prediction(place % 2, 0.25 + 0.5 * place, 0.5, 0.25, 0.5, score)


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    made = create_stores(tmp_path / "data", tmp_path / "models")
    await made.dataset.create("cups", ["cup", "spoon"])
    pixels = np.full((64, 64, 3), 90, np.uint8)
    await made.image.add_many("cups", [NewImage(name, "train", pixels) for name in SCORES])
    found = {
        ("train", name): [proposed(place, score) for place, score in enumerate(scores)]
        for name, scores in SCORES.items()
    }
    await made.image.add_suggestions("cups", [new_block(MODEL, found)])
    return made


@pytest.fixture
async def model(stores: Stores) -> AsyncIterator[BrowseModel]:
    made = BrowseModel(stores)
    await made.open("cups")
    await made.show("suggested")
    yield made
    made.close()


def listed(model: BrowseModel) -> list[tuple[str, str, str]]:
    assert model.listing is not None
    items = [model.listing.item(place) for place in range(len(model.listing))]
    return [(item.name, item.label, item.badge) for item in items]


def choose(model: BrowseModel, *places: int) -> None:
    model.select(tuple((place, place + 1) for place in sorted(places)))


def label_files(tmp_path: Path) -> dict[str, int]:
    folder = tmp_path / "data/cups/labels/train"
    return {p.name: len(p.read_text().splitlines()) for p in sorted(folder.glob("*.txt"))}


SUREST = [
    ("a.png", "cup", "90%"),
    ("c.png", "cup", "70%"),
    ("b.png", "cup", "55%"),
    ("a.png", "spoon", "20%"),
]


async def test_crops_of_what_waits_are_listed_and_sifted(model: BrowseModel) -> None:
    assert listed(model) == SUREST
    await model.sift("doubtful")
    assert [badge for *_, badge in listed(model)] == ["55%", "70%", "20%", "90%"]
    await model.sift("images", 0.5)
    assert [name for name, *_ in listed(model)] == ["a.png", "b.png", "c.png"]
    await model.find("class:spoon")
    assert listed(model) == []
    await model.sift("surest")
    assert listed(model) == [("a.png", "spoon", "20%")]
    await model.find("b.png")
    assert listed(model) == [("b.png", "cup", "55%")]
    with pytest.raises(ValueError, match="order"):
        await model.sift("nicest")


async def test_each_has_a_picture_of_its_own(model: BrowseModel) -> None:
    assert model.listing is not None
    page = await model.page(model.listing, [0, 3], 64)
    assert [picture is not None for _, picture in page] == [True, True]
    assert page[0][0].note == "model cups-1 (abababab)"


async def test_the_rest_is_accepted_what_is_chosen_rejected_and_one_undo_takes_it_back(
    model: BrowseModel, tmp_path: Path
) -> None:
    choose(model, 1)
    await model.accept_rest(0, 3)
    assert label_files(tmp_path) == {"a.txt": 1, "b.txt": 1}
    assert model.status.text == (
        "2 suggested boxes accepted on 2 images, 1 suggested box rejected."
    )
    assert listed(model) == [("a.png", "spoon", "20%")]
    assert model.selection == ()
    await model.undo()
    assert label_files(tmp_path) == {}
    assert listed(model) == SUREST


async def test_chosen_ones_are_accepted_or_rejected(model: BrowseModel, tmp_path: Path) -> None:
    choose(model, 0, 2)
    await model.accept()
    choose(model, 1)
    await model.reject()
    assert label_files(tmp_path) == {"a.txt": 1, "b.txt": 1}
    assert listed(model) == [("c.png", "cup", "70%")]
    with pytest.raises(ValueError, match="no suggestion is chosen"):
        await model.accept()
    await model.accept_rest()
    assert label_files(tmp_path) == {"a.txt": 1, "b.txt": 1, "c.txt": 1}


async def test_a_choice_stays_with_its_crop_when_others_are_decided_elsewhere(
    model: BrowseModel, stores: Stores
) -> None:
    choose(model, 2)
    await stores.image.add_suggestions(
        "cups", [new_block(MODEL, {("train", "a.png"): [proposed(0, 0.9)]}, "rejected")]
    )
    await model.catch_up()
    assert listed(model) == SUREST[1:]
    assert model.selection == ((1, 2),)


async def test_elsewhere_nothing_is_accepted(model: BrowseModel) -> None:
    await model.show("objects")
    with pytest.raises(ValueError, match="show the suggested boxes"):
        await model.accept_rest()


async def test_an_image_that_was_labelled_elsewhere_is_left_as_it_is(
    model: BrowseModel, stores: Stores, tmp_path: Path
) -> None:
    drawn = Annotation(1, 0.5, 0.9, 0.1, 0.1)
    await stores.label.save("cups", "train", "a.png", [drawn])
    await model.accept_rest()
    assert label_files(tmp_path) == {"a.txt": 1, "b.txt": 1, "c.txt": 1}
    assert await stores.label.load("cups", "train", "a.png") == [drawn]
    assert "2 suggested boxes accepted on 2 images. 1 image was left" in model.status.text
    assert "train/a.png: was unlabelled, is 1 box now" in model.status.text
    # Whoever looks again and still wants it gets it.
    assert [name for name, *_ in listed(model)] == ["a.png", "a.png"]
    await model.accept_rest()
    assert label_files(tmp_path)["a.txt"] == 3
    await stores.image.add_suggestions(
        "cups", [new_block(MODEL, {("train", "c.png"): [proposed(1, 0.6)]})]
    )
    await model.catch_up()
    await stores.label.save("cups", "train", "c.png", [])
    choose(model, 0)
    with pytest.raises(ChangedSinceError, match=r"was 1 box, is background now"):
        await model.reject()
    await model.reject()
    assert listed(model) == []


async def test_what_was_undone_can_be_decided_again(model: BrowseModel, tmp_path: Path) -> None:
    """The listing shows what undo brought back: nobody else has changed it."""
    await model.accept_rest()
    await model.undo()
    assert listed(model) == SUREST
    await model.accept_rest()
    assert label_files(tmp_path) == {"a.txt": 2, "b.txt": 1, "c.txt": 1}
    assert not model.status.details


async def test_what_is_in_sight_is_decided_on_as_it_is_shown(
    model: BrowseModel, stores: Stores, tmp_path: Path
) -> None:
    """Where nothing is selected, and a look again has shown what somebody else has done."""
    choose(model, 3)
    await model.reject()
    await stores.label.save("cups", "train", "b.png", [Annotation(0, 0.5, 0.5, 0.1, 0.1)])
    await stores.label.delete("cups", "train", "b.png")
    await stores.label.save("cups", "train", "c.png", [Annotation(0, 0.1, 0.1, 0.1, 0.1)])
    await model.refresh()
    await model.accept_rest()
    assert not model.status.details
    assert label_files(tmp_path)["c.txt"] == 2
