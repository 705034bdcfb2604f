"""Measure a product beside its baseline, and print how far apart they are.

Everything else on the machine slows both: so the two alternate, each goes first every
other round, and what counts is the median over the rounds of the ratio of the two.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

Timed = Callable[[], float]
"""Does some work and returns the seconds that count, so that tidying up does not."""


if sys.dont_write_bytecode:
    print(
        "PYTHONDONTWRITEBYTECODE is set: where installed packages were not compiled, each process "
        "that is started compiles PyTorch anew, and takes seconds that are not the product's",
        file=sys.stderr,
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds that product and baseline took, one of each for every round."""

    product: list[float]
    baseline: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long as the baseline the product takes."""
        return median(p / b for p, b in zip(self.product, self.baseline, strict=True))

    @property
    def difference(self) -> float:
        """How many seconds longer than the baseline the product takes."""
        return median(p - b for p, b in zip(self.product, self.baseline, strict=True))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    work, baseline : str
        What was done, and what it is compared with.
    pair : Pair
    bound : float or None
        What the ratio, or the difference in seconds, may be; None: for information only.
    is_difference : bool
        Whether the bound is on the difference.
    """

    work: str
    baseline: str
    pair: Pair
    bound: float | None = None
    is_difference: bool = False

    @property
    def value(self) -> float:
        """What the bound is on."""
        return self.pair.difference if self.is_difference else self.pair.ratio

    @property
    def missed(self) -> bool:
        """Whether the bound is missed."""
        return self.bound is not None and self.value > self.bound

    def cells(self) -> tuple[str, ...]:
        """Return the line as text."""

        def shown(value: float) -> str:
            return f"{value * 1e3:+.0f} ms" if self.is_difference else f"{value:.2f}x"

        return (
            self.work,
            seconds(median(self.pair.product)),
            self.baseline,
            seconds(median(self.pair.baseline)),
            shown(self.value),
            "" if self.bound is None else shown(self.bound),
            "" if self.bound is None else "MISSED" if self.missed else "met",
        )


_HEADINGS = ("work", "takes", "baseline", "takes", "result", "at most", "")


def timed(work: Callable[[], object]) -> float:
    """Return how long `work` takes, without freeing what it returns."""
    gc.collect()
    begin = time.perf_counter()
    result = work()
    taken = time.perf_counter() - begin
    del result
    return taken


def alternate(product: Timed, baseline: Timed, rounds: int) -> Pair:
    """Measure two pieces of work in turns."""
    pair = Pair([], [])
    for number in range(rounds):
        order = [(product, pair.product), (baseline, pair.baseline)]
        for work, times in order if number % 2 else reversed(order):
            times.append(work())
    return pair


def seconds(value: float) -> str:
    """Return a time for people, with three digits."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows in columns."""
    print_columns(_HEADINGS, [row.cells() for row in rows])


def print_columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print text in columns, as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for cells in (headings, ["-" * width for width in widths], *rows):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print("  ".join(padded).rstrip())


def say(text: str) -> None:
    """Tell whoever waits what happens at the moment."""
    print(text, file=sys.stderr, flush=True)
