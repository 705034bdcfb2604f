"""Splits dealt out by share, the same way each time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from workbench.errors import ImportFormatError
from workbench.persistence.models import SPLITS

DEFAULT_RATIOS: Mapping[str, float] = {"train": 0.7, "val": 0.2, "test": 0.1}


def split_by_ratio(
    names: Iterable[str], ratios: Mapping[str, float] = DEFAULT_RATIOS, seed: int = 0
) -> dict[str, str]:
    """Deal names out to splits at random, the same way each time.

    Parameters
    ----------
    names : iterable of str
        Their order does not matter.
    ratios : mapping of str to float
        By split, each above 0; they need not add up to 1. No split comes out empty
        while there are at least as many names as splits.
    seed : int

    Returns
    -------
    dict of str to str
        Split by name.

    Raises
    ------
    ImportFormatError
        A ``ValueError``: if a split is unknown or a ratio is not above 0.
    """
    for split, ratio in ratios.items():
        if split not in SPLITS or not 0 < ratio < float("inf"):
            raise ImportFormatError(
                f"splits: expected a number above 0 for some of {', '.join(SPLITS)}, "
                f"found {split!r}: {ratio!r}"
            )
    if not ratios:
        raise ImportFormatError(f"splits: expected at least one of {', '.join(SPLITS)}, found none")
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    result: dict[str, str] = {}
    begin = 0
    for split, count in _counts(len(shuffled), ratios).items():
        result.update(dict.fromkeys(shuffled[begin : begin + count], split))
        begin += count
    return result


def _counts(total: int, ratios: Mapping[str, float]) -> dict[str, int]:
    """Largest remainder method, after one for each split where that is possible."""
    sure = {split: 1 if total >= len(ratios) else 0 for split in ratios}
    weight = sum(ratios.values())
    exact = {split: total * ratio / weight for split, ratio in ratios.items()}
    counts = {split: max(sure[split], int(exact[split])) for split in ratios}
    while sum(counts.values()) < total:
        split = max(counts, key=lambda name: exact[name] - counts[name])
        counts[split] += 1
    while sum(counts.values()) > total:
        split = max(
            (name for name in counts if counts[name] > sure[name]),
            key=lambda name: counts[name] - exact[name],
        )
        counts[split] -= 1
    return counts
