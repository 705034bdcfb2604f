"""What importers share: notes that do not flood, and splits by share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.importing import Notes, split_by_ratio
from workbench.errors import ImportFormatError


def test_a_flood_of_one_kind_is_counted_and_drowns_no_other() -> None:
    notes = Notes(limit=2)
    for number in range(5):
        notes.add("boxes left out", f"box {number}")
    notes.add("names", "a name")

    assert notes.as_list() == ["box 0", "box 1", "… and 3 more: boxes left out", "a name"]


_RATIOS = st.dictionaries(
    st.sampled_from(["train", "val", "test"]), st.floats(0.01, 10), min_size=1
)


@given(st.sets(st.text(max_size=5), max_size=60), _RATIOS, st.integers(0, 99))
def test_everyone_gets_one_split_and_no_split_is_empty_without_need(
    names: set[str], ratios: dict[str, float], seed: int
) -> None:
    assigned = split_by_ratio(names, ratios, seed)

    assert assigned.keys() == names
    assert assigned == split_by_ratio(sorted(names, reverse=True), ratios, seed)
    if len(names) >= len(ratios):
        assert set(assigned.values()) == ratios.keys()


@pytest.mark.parametrize("ratios", [{}, {"valid": 1.0}, {"train": 0.0}, {"val": float("nan")}])
def test_ratios_that_cannot_be_are_named(ratios: dict[str, float]) -> None:
    with pytest.raises(ImportFormatError, match="splits"):
        split_by_ratio(["a"], ratios)
