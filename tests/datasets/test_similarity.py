"""Perceptual hashes, groups of near-duplicates, and the order that follows from them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.datasets.similarity import (
    Prints,
    alike,
    equal_groups,
    near_groups,
    shrink,
    similarity_order,
    take_prints,
)
from workbench.samples.scenes import scenes

Grey = npt.NDArray[np.uint8]


def _greys(count: int, seed: int = 0) -> list[Grey]:
    return [
        np.asarray(cv2.cvtColor(scene.frame, cv2.COLOR_BGR2GRAY), np.uint8)
        for scene in scenes(count, image_size=160, seed=seed)
    ]


def _prints(pictures: list[Grey]) -> Prints:
    return take_prints(np.stack([shrink(picture) for picture in pictures]))


def _recompressed(picture: Grey) -> Grey:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def _naive_groups(hashes: list[int], distance: int) -> list[list[int]]:
    left, groups = set(range(len(hashes))), []
    while left:
        group, todo = set(), [min(left)]
        while todo:
            one = todo.pop()
            group.add(one)
            near = {o for o in left - group if (hashes[one] ^ hashes[o]).bit_count() <= distance}
            todo += near - set(todo)
        left -= group
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


def test_versions_of_a_picture_are_alike_and_other_pictures_are_not() -> None:
    pictures = _greys(40)
    versions = [
        _recompressed(pictures[3]),
        np.asarray(cv2.resize(pictures[7], (90, 110)), np.uint8),
        np.clip(pictures[11].astype(int) + 12, 0, 255).astype(np.uint8),
        pictures[20][2:-2, 2:-2],
    ]
    prints = _prints(pictures + versions)
    groups = near_groups(prints.hashes, confirm=alike(prints))
    assert [group.tolist() for group in groups] == [[3, 40], [7, 41], [11, 42], [20, 43]]


def test_pictures_without_features_are_like_nothing() -> None:
    blanks = [np.full((50, 60), value, np.uint8) for value in (0, 0, 128, 255)]
    prints = _prints(blanks)
    assert not prints.signatures.any()
    assert near_groups(prints.hashes, confirm=alike(prints)) == []


def test_no_pictures_make_no_groups() -> None:
    prints = take_prints(np.empty((0, 32, 32), np.uint8))
    assert len(prints) == 0
    assert near_groups(prints.hashes, confirm=alike(prints)) == []
    assert similarity_order(prints.hashes).tolist() == []


@settings(deadline=None, max_examples=60)
@given(
    base=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8),
    flips=st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 63), max_size=13))),
    distance=st.integers(0, 15),
)
def test_groups_are_those_of_comparing_everything(
    base: list[int], flips: list[tuple[int, set[int]]], distance: int
) -> None:
    hashes = list(base)
    for index, bits in flips:
        hashes.append(base[index % len(base)] ^ sum(1 << bit for bit in bits))
    found = near_groups(np.array(hashes, np.uint64), max_distance=distance)
    assert [group.tolist() for group in found] == _naive_groups(hashes, distance)


def test_thousands_of_equal_hashes_are_one_group() -> None:
    hashes = np.full(5000, 0xDEADBEEF, np.uint64)
    hashes[:10] ^= np.uint64(1)
    (group,) = near_groups(hashes)
    assert len(group) == 5000


def test_crowded_bands_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.datasets.similarity.PAIRS_AT_ONCE", 64)
    rng = np.random.default_rng(0)
    # All share three bands, so that every pair is a candidate many times over.
    hashes = rng.integers(0, 2**16, 120, dtype=np.uint64)
    found = near_groups(hashes, max_distance=2)
    assert [g.tolist() for g in found] == _naive_groups([int(h) for h in hashes], 2)


@pytest.mark.parametrize("distance", [-1, 16])
def test_a_distance_out_of_range_is_refused(distance: int) -> None:
    with pytest.raises(ValueError, match="max_distance: expected 0 to 15"):
        near_groups(np.zeros(2, np.uint64), max_distance=distance)


def test_equal_numbers_are_grouped_in_order_of_their_first() -> None:
    groups = equal_groups(np.array([9, 4, 9, 7, 4, 9], np.uint64))
    assert [group.tolist() for group in groups] == [[0, 2, 5], [1, 4]]


def test_the_order_holds_everything_once_and_groups_together() -> None:
    pictures = _greys(60)
    prints = _prints([*pictures, *(_recompressed(picture) for picture in pictures)])
    groups = near_groups(prints.hashes, confirm=alike(prints))
    order = similarity_order(prints.hashes, groups)
    assert sorted(order.tolist()) == list(range(120))
    place = np.argsort(order)
    assert len(groups) >= 55
    for group in groups:
        assert np.ptp(place[group]) == len(group) - 1


def test_neighbours_in_the_order_differ_in_fewer_bits_than_by_chance() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**63, 4000, dtype=np.uint64)
    ordered = hashes[similarity_order(hashes)]
    step = np.bitwise_count(ordered[1:] ^ ordered[:-1]).mean()
    by_chance = np.bitwise_count(hashes[1:] ^ hashes[:-1]).mean()
    assert step < by_chance - 4
