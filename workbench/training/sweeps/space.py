"""The space of settings that a sweep searches, and the trials that are drawn from it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from workbench.errors import InvalidConfigError
from workbench.training.arguments import parse_arguments
from workbench.training.config import TrainingConfig

MOST_TRIALS = 1000
_FIXED = frozenset({"dataset", "version", "model_name", "teaching", "extra"})
_FIELDS = frozenset(item.name for item in fields(TrainingConfig))
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Between:
    """Any number from `low` to `high`.

    Parameters
    ----------
    low, high : int or float
        Of two whole numbers all that is drawn is whole.
    log : bool
        As many draws between 0.001 and 0.01 as between 0.01 and 0.1.

    Raises
    ------
    InvalidConfigError
        If there is nothing between them.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or not math.isfinite(self.high - self.low):
            raise InvalidConfigError(
                f"expected a low and a higher number, found {self.low} to {self.high}"
            )
        if self.log and self.low <= 0:
            raise InvalidConfigError(f"log: expected numbers above 0, found {self.low}")

    def draw(self, chance: random.Random) -> float:
        """Return one of the numbers."""
        if self.log:
            value = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = chance.uniform(self.low, self.high)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return min(max(round(value), self.low), self.high)
        digits = _DIGITS - 1 - math.floor(math.log10(abs(value))) if value else 0
        return min(max(round(value, digits), self.low), self.high)


Space = Mapping[str, Sequence[Any] | Between]
"""By the name of a field of `TrainingConfig`, or of any other argument of Ultralytics' ``train``:
the values that are tried."""


def draw_trials(space: Space, trials: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """Return the settings of each trial.

    Parameters
    ----------
    space : mapping
    trials : int, optional
        So many are drawn at random, none twice. Default: the whole grid.
    seed : int
        Of the drawing.

    Raises
    ------
    InvalidConfigError
        If the space is empty, names what cannot be searched, or is too large.
    """
    _check(space, trials)
    ranges = [name for name, values in space.items() if isinstance(values, Between)]
    if trials is None:
        if ranges:
            raise InvalidConfigError(
                f"{ranges[0]}: a range has no end of values: say how many trials, or list values"
            )
        return [_at(space, number) for number in range(_size(space))]
    chance = random.Random(seed)
    if not ranges:
        numbers = chance.sample(range(_size(space)), min(trials, _size(space)))
        return [_at(space, number) for number in numbers]
    return [
        {
            name: values.draw(chance) if isinstance(values, Between) else chance.choice(values)
            for name, values in space.items()
        }
        for _ in range(trials)
    ]


def with_settings(config: TrainingConfig, settings: Mapping[str, Any]) -> TrainingConfig:
    """Return the settings of a trial.

    Raises
    ------
    InvalidConfigError
        If one cannot be.
    """
    known = {name: value for name, value in settings.items() if name in _FIELDS}
    others = {name: value for name, value in settings.items() if name not in _FIELDS}
    content = {**config.to_json(), **known, "extra": {**config.extra, **others}}
    return TrainingConfig.from_json(content)


def parse_space(text: str) -> dict[str, list[Any] | Between]:
    """Return the space that a person has typed, one setting on a line.

    ``image_size: 320, 640`` lists values; ``lr0: 0.0001 to 0.1 log`` is a range.

    Raises
    ------
    InvalidConfigError
        If a line says something else; names it.
    """
    space: dict[str, list[Any] | Between] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, said = (part.strip() for part in line.partition(":"))
        words = said.split()
        if not colon or not name or not words:
            raise InvalidConfigError(
                f"expected a setting and its values, such as 'image_size: 320, 640' or "
                f"'lr0: 0.001 to 0.1 log', found {line!r}"
            )
        if len(words) in (3, 4) and words[1] == "to" and words[3:] in ([], ["log"]):
            low, high = _value(name, words[0]), _value(name, words[2])
            if not all(type(value) in (int, float) for value in (low, high)):
                raise InvalidConfigError(f"{name}: expected two numbers, found {said!r}")
            space[name] = Between(low, high, log=bool(words[3:]))
        else:
            space[name] = [_value(name, word.strip()) for word in said.split(",") if word.strip()]
    return space


def _value(name: str, text: str) -> Any:
    return parse_arguments(f"{name}={text}")[name]


def _check(space: Space, trials: int | None) -> None:
    if not space:
        raise InvalidConfigError("expected at least one setting to try values of, found none")
    if trials is not None and not 1 <= trials <= MOST_TRIALS:
        raise InvalidConfigError(f"trials: expected 1 to {MOST_TRIALS}, found {trials}")
    for name, values in space.items():
        if name in _FIXED:
            raise InvalidConfigError(f"{name}: it is the same in all trials of a sweep")
        if isinstance(values, Between):
            continue
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InvalidConfigError(f"{name}: expected a list of values, found {values!r}")
    if trials is None and _size(space) > MOST_TRIALS:
        raise InvalidConfigError(
            f"expected at most {MOST_TRIALS} trials, found {_size(space):,}: draw some at random"
        )


def _size(space: Space) -> int:
    return math.prod(len(values) for values in space.values() if not isinstance(values, Between))


def _at(space: Space, number: int) -> dict[str, Any]:
    """Return the point of a grid that has this number; the last setting changes fastest."""
    point = {}
    for name, values in reversed([*space.items()]):
        if not isinstance(values, Between):
            number, place = divmod(number, len(values))
            point[name] = values[place]
    return {name: point[name] for name in space}
