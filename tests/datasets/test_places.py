"""Images found again in another listing, against the obvious way to do it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.datasets.places import find_places
from workbench.persistence.models import SPLITS

KEYS = st.tuples(st.integers(0, len(SPLITS) - 1), st.text("abÄ.", min_size=1, max_size=3))


def columns(keys: list[tuple[int, str]]) -> tuple[list[str], np.ndarray]:
    return [name for _, name in keys], np.array([number for number, _ in keys], dtype=np.int8)


@given(st.lists(KEYS, unique=True), st.lists(KEYS))
def test_each_is_found_where_it_is_or_not_at_all(
    present: list[tuple[int, str]], wanted: list[tuple[int, str]]
) -> None:
    expected = [present.index(key) if key in present else -1 for key in wanted]
    assert find_places(*columns(present), *columns(wanted)).tolist() == expected
    assert find_places(*columns(present), *columns(present)).tolist() == [*range(len(present))]


def test_a_split_that_does_not_exist_holds_nothing() -> None:
    none = np.array([-1], dtype=np.int8)
    assert find_places(["a"], np.zeros(1, dtype=np.int8), ["a"], none).tolist() == [-1]
