"""Splits by share, as importers deal them out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.importing import split_by_ratio
from workbench.errors import ImportFormatError

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
