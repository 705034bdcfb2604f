from __future__ import annotations

import pytest

from workbench.labelling.class_mapping import guess_mapping

MODEL = {0: "Person", 1: "traffic_light", 2: "cats", 3: "sofa", 4: "bus"}


def test_names_are_guessed() -> None:
    mapping = guess_mapping(
        MODEL, ["cat", "traffic light", "couch", "bus"], {2: ["a sofa"], 9: ["person"]}
    )
    assert mapping.by_name == {
        "traffic_light": "traffic light",
        "cats": "cat",
        "sofa": "couch",
        "bus": "bus",
    }
    assert mapping.chosen[0] is None
    assert str(mapping) == (
        "traffic_light → traffic light, cats → cat, sofa → couch, bus → bus, 1 class left out"
    )
    assert mapping.to_frame().values.tolist()[:2] == [
        ["Person", None],
        ["traffic_light", "traffic light"],
    ]


def test_the_same_name_comes_before_one_in_other_case() -> None:
    mapping = guess_mapping({0: "WBC", 1: "wbc", 2: "Wbc"}, ["RBC", "WBC", "wbc"])
    assert mapping.by_name == {"WBC": "WBC", "wbc": "wbc", "Wbc": "WBC"}


def test_one_class_needs_no_name() -> None:
    assert guess_mapping({0: "item"}, ["cell"]).by_name == {"item": "cell"}
    assert guess_mapping({0: "item", 1: "x"}, ["cell"]).by_name == {}
    assert str(guess_mapping({}, ["cell"])) == "no classes"


def test_a_guess_can_be_changed() -> None:
    mapping = guess_mapping(MODEL, ["cat", "human"])
    changed = mapping.with_changes({"Person": "human", "cats": None})
    assert changed.by_name == {"Person": "human"}
    with pytest.raises(ValueError, match="'dog': expected a class of the model, one of Person"):
        mapping.with_changes({"dog": "cat"})
    with pytest.raises(ValueError, match="'dog': expected a class of the dataset, one of cat"):
        mapping.with_changes({"Person": "dog"})
