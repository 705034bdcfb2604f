"""Which images look alike: perceptual hashes, duplicates and near-duplicates, and an order.

The hash is the DCT hash that became known as *pHash*
(http://hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html): the picture in
32 x 32 grey values, of whose discrete cosine transform the 8 x 8 lowest frequencies give
one bit each, set where the coefficient is above their median. Two versions of one picture
(resized, recompressed, brightened a little) differ in few bits of 64.

A hash of 64 bits alone calls some pictures alike that are not, the more the more pictures
there are. So the coefficients themselves are kept too, in one byte each, and two pictures
are near-duplicates only if those agree as well (`alike`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
Confirm = Callable[[Positions, Positions], npt.NDArray[np.bool_]]
"""``confirm(first, second)`` looks at pairs of positions a second time."""

SIDE = 32
"""Width and height of the grey picture that is hashed, in pixels."""
MAX_DISTANCE = 10
"""Bits of 64 in which the hashes of near-duplicates may differ."""
MIN_CORRELATION = 0.95
"""How well the low frequencies of near-duplicates agree; 1 is the same but for contrast."""

_LOW = 8
_BANDS, _BAND_BITS = 4, 16
PAIRS_AT_ONCE = 1 << 17  # pairs looked at at once: they fit the cache, whatever the pictures
_FLAT = 1.5  # grey levels; a picture that varies by less has no features to compare


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """What is kept of pictures to compare them.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
        Perceptual hashes.
    signatures : ndarray of int8, shape (n, 64)
        The low frequencies of each picture, scaled to its strongest; all 0 for a picture
        without any (a black frame), which is like no other.
    """

    hashes: Hashes
    signatures: npt.NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.hashes)


def shrink(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a grey picture of any size as `SIDE` x `SIDE` pixels, for `take_prints`."""
    import cv2

    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def take_prints(pictures: npt.NDArray[np.uint8]) -> Prints:
    """Compute the prints of many pictures at once.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (n, 32, 32)
        Grey, as `shrink` makes them.
    """
    values = np.asarray(pictures, dtype=np.float32)
    basis = _dct_basis()
    low = (basis @ values @ basis.T).reshape(len(values), _LOW * _LOW)
    bits = low > np.median(low, axis=1, keepdims=True)
    hashes = np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(len(values))
    waves = low.copy()
    waves[:, 0] = 0.0  # the mean brightness, which says nothing about what is on the picture
    strongest = np.abs(waves).max(axis=1, keepdims=True, initial=0.0)
    flat = values.std(axis=(1, 2)) < _FLAT
    strongest[flat] = np.inf
    signatures = np.rint(waves / np.maximum(strongest, 1e-6) * 127).astype(np.int8)
    return Prints(hashes, signatures)


def _dct_basis() -> npt.NDArray[np.float32]:
    """Return the lowest rows of the DCT-II matrix, shape (8, 32)."""
    frequency, place = np.arange(_LOW)[:, np.newaxis], np.arange(SIDE)[np.newaxis]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE)).astype(np.float32)


def alike(prints: Prints, *, min_correlation: float = MIN_CORRELATION) -> Confirm:
    """Return a `Confirm` that compares the low frequencies of two pictures.

    The measure is the correlation coefficient of the two pictures after a low-pass filter:
    brightness and contrast do not count. Pictures without features are like nothing.
    """
    signatures = prints.signatures.astype(np.float32)
    lengths = np.linalg.norm(signatures, axis=1, keepdims=True)
    directions = np.divide(signatures, lengths, out=np.zeros_like(signatures), where=lengths > 0)

    def confirm(first: Positions, second: Positions) -> npt.NDArray[np.bool_]:
        correlation = np.einsum("ij,ij->i", directions[first], directions[second])
        return np.asarray(correlation >= min_correlation)

    return confirm


def everything(first: Positions, second: Positions) -> npt.NDArray[np.bool_]:
    """Confirm every pair: the hashes alone decide."""
    return np.ones(len(first), dtype=np.bool_)


def near_groups(
    hashes: Hashes, *, max_distance: int = MAX_DISTANCE, confirm: Confirm = everything
) -> list[Positions]:
    """Find groups of near-duplicates.

    A group is what hangs together by pairs whose hashes differ in at most `max_distance`
    bits and that `confirm` agrees to; so its first and last may differ in more.

    Multi-index hashing (Norouzi, Punjani and Fleet, 2012): hashes that differ in at most
    `d` bits differ in at most ``d // 4`` bits in one of four bands of 16, so only pictures
    whose bands are that close are compared at all.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
    max_distance : int
        0 to 15 bits.
    confirm : callable

    Returns
    -------
    list of ndarray of int64
        Positions, ascending, two or more in each group; groups by their first position.

    Raises
    ------
    ValueError
        If `max_distance` is out of range.
    """
    if not 0 <= max_distance < _BAND_BITS:
        raise ValueError(f"max_distance: expected 0 to {_BAND_BITS - 1} bits, found {max_distance}")
    groups = _Components(len(hashes))
    _join_equal(hashes, confirm, groups)
    # From here on one of each set of equal and confirmed hashes stands for all of them.
    heads = np.flatnonzero(groups.labels == np.arange(len(hashes)))
    for first, second in _candidates(hashes[heads], max_distance // _BANDS):
        first, second = heads[first], heads[second]
        apart = groups.labels[first] != groups.labels[second]
        first, second = first[apart], second[apart]
        near = np.bitwise_count(hashes[first] ^ hashes[second]) <= max_distance
        first, second = first[near], second[near]
        agreed = confirm(first, second)
        groups.join(first[agreed], second[agreed])
    return _members(groups.labels)


def equal_groups(digests: npt.NDArray[np.uint64]) -> list[Positions]:
    """Find groups of equal numbers, in the form that `near_groups` returns."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return _members(first[inverse.reshape(-1)].astype(np.int64))


def _join_equal(hashes: Hashes, confirm: Confirm, groups: _Components) -> None:
    """Join neighbours among equal hashes, of which there may be thousands (a still camera)."""
    order = np.argsort(hashes, kind="stable").astype(np.int64)
    same = hashes[order[1:]] == hashes[order[:-1]]
    first, second = order[:-1][same], order[1:][same]
    agreed = confirm(first, second)
    groups.join(first[agreed], second[agreed])


def _candidates(hashes: Hashes, radius: int) -> Iterator[tuple[Positions, Positions]]:
    """Yield pairs of positions of which one band differs in at most `radius` bits."""
    masks = np.arange(1 << _BAND_BITS, dtype=np.uint16)
    masks = masks[np.bitwise_count(masks) <= radius]
    for band in range(_BANDS):
        values = (hashes >> np.uint64(_BAND_BITS * band)).astype(np.uint16)
        order = np.argsort(values, kind="stable").astype(np.int64)
        counts = np.bincount(values, minlength=1 << _BAND_BITS)
        starts = np.cumsum(counts) - counts
        used = np.flatnonzero(counts).astype(np.uint16)
        for mask in masks:
            other = used ^ mask
            once = (counts[other] > 0) & (other >= used)
            yield from _bucket_pairs(used[once], other[once], order, starts, counts)


def _bucket_pairs(
    first: npt.NDArray[np.uint16],
    second: npt.NDArray[np.uint16],
    order: Positions,
    starts: Positions,
    counts: Positions,
) -> Iterator[tuple[Positions, Positions]]:
    """Yield all pairs between the members of two lists of buckets, some at a time."""
    sizes = counts[first] * counts[second]
    ends = np.cumsum(sizes)
    begin = 0
    while begin < len(sizes):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + PAIRS_AT_ONCE, side="right")))
        a, b = first[begin:end], second[begin:end]
        if end == begin + 1:
            yield from _crowded(
                order[starts[a[0]] :][: counts[a[0]]], order[starts[b[0]] :][: counts[b[0]]]
            )
        else:
            yield _all_pairs(a, b, order, starts, counts)
        begin = end


def _all_pairs(
    first: npt.NDArray[np.uint16],
    second: npt.NDArray[np.uint16],
    order: Positions,
    starts: Positions,
    counts: Positions,
) -> tuple[Positions, Positions]:
    widths = counts[second]
    sizes = counts[first] * widths
    inside = np.arange(sizes.sum(), dtype=np.int64) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    row, column = np.divmod(inside, np.repeat(widths, sizes))
    a = order[np.repeat(starts[first], sizes) + row]
    b = order[np.repeat(starts[second], sizes) + column]
    distinct = a != b  # a bucket has pairs with itself, too
    return a[distinct], b[distinct]


def _crowded(first: Positions, second: Positions) -> Iterator[tuple[Positions, Positions]]:
    """Yield the pairs of two buckets, which may be very many, some at a time."""
    rows = max(1, PAIRS_AT_ONCE // len(second))
    for begin in range(0, len(first), rows):
        part = first[begin : begin + rows]
        a, b = np.repeat(part, len(second)), np.tile(second, len(part))
        distinct = a != b
        yield a[distinct], b[distinct]


class _Components:
    """Connected components by label propagation: each position knows the least in its own."""

    def __init__(self, count: int) -> None:
        self.labels: Positions = np.arange(count, dtype=np.int64)

    def join(self, first: Positions, second: Positions) -> None:
        """Join the components of each pair."""
        labels = self.labels
        while len(first):
            a, b = labels[first], labels[second]
            apart = a != b
            if not apart.any():
                return
            first, second = first[apart], second[apart]
            low, high = np.minimum(a[apart], b[apart]), np.maximum(a[apart], b[apart])
            np.minimum.at(labels, high, low)
            self._flatten()

    def _flatten(self) -> None:
        while True:
            upper = self.labels[self.labels]
            if np.array_equal(upper, self.labels):
                return
            self.labels[:] = upper


def _members(labels: Positions) -> list[Positions]:
    """Return the positions of each label that occurs more than once."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return [group for group in np.split(order, cuts) if len(group) > 1]


def similarity_order(
    hashes: Hashes, groups: list[Positions] | None = None
) -> npt.NDArray[np.int64]:
    """Return positions in an order in which alike pictures are near each other.

    The hashes are read as numbers in Gray code, coarse features first: neighbours in that
    order differ in few bits, and mostly in fine ones. Members of a group stay together.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)
    groups : list of ndarray of int64, optional
        As `near_groups` returns them.
    """
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    frequency = np.add.outer(np.arange(_LOW), np.arange(_LOW)).reshape(-1)
    coarse_first = np.argsort(frequency, kind="stable")
    # The inverse of the reflected Gray code: each bit is the parity of all before it.
    ranks = np.packbits(np.bitwise_xor.accumulate(bits[:, coarse_first], axis=1), axis=1)
    rank = np.ascontiguousarray(ranks).view(">u8").astype(np.uint64).reshape(len(hashes))
    place = np.empty(len(hashes), dtype=np.int64)
    place[np.argsort(rank, kind="stable")] = np.arange(len(hashes))
    leader = place.copy()
    for group in groups or []:
        leader[group] = place[group].min()
    return np.lexsort((place, leader)).astype(np.int64)
