"""Which trials end early: asynchronous successive halving (ASHA), decided from runs' own events.

Ray Tune's scheduler of that name does the same, but keeps what it has seen in its own memory, in a
loop of its own over actors of its own. Here the curves of the trials are on disk in any case, so
that the rule is a function of them: it can be asked again after a crash, needs no Ray, and is the
same for trials of this machine and of a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.errors import InvalidConfigError


@dataclass(frozen=True, slots=True)
class Halving:
    """When a trial is compared with the others, and how many of them go on.

    Parameters
    ----------
    first : int
        Epochs that each trial gets.
    factor : int
        Of the trials that come to a comparison, one in so many goes on to the next, which is
        after so many times as many epochs.

    Raises
    ------
    InvalidConfigError
        If one cannot be.
    """

    first: int = 3
    factor: int = 3

    def __post_init__(self) -> None:
        for name, least in (("first", 1), ("factor", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidConfigError(
                    f"{name}: expected a whole number from {least} on, found {value!r}"
                )

    def rungs(self, epochs: int) -> Iterator[int]:
        """Yield the epochs after which trials are compared."""
        rung = self.first
        while rung < epochs:
            yield rung
            rung *= self.factor

    def ends(self, curve: Sequence[float], others: Sequence[Sequence[float]], rung: int) -> bool:
        """Say whether a trial is to end at a rung that it has come to.

        Parameters
        ----------
        curve : sequence of float
            The metric after each of its epochs; more is better.
        others : sequence of sequence of float
            Those of the other trials; who has not come so far is not compared with.
        rung : int
            One of `rungs`.
        """
        mine = max(curve[:rung])
        theirs = [max(other[:rung]) for other in others if len(other) >= rung]
        better = sum(value > mine for value in theirs)
        return better >= math.ceil((len(theirs) + 1) / self.factor)
