"""What an architecture may say: known layers, plain arguments, moderate numbers.

An architecture is a list of lines, ``[from, repeats, layer, arguments]``, from which
Ultralytics builds a model. It stands in a checkpoint and in a YAML file. Ultralytics looks
the layer up by its name, and evaluates the activation and texts among the arguments.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from workbench.weights.names import ACTIVATIONS, LAYERS_OF_ARCHITECTURES

MAX_LAYERS, MAX_REPEATS, MAX_NUMBER = 1000, 100, 100_000
"""Of an architecture: its lines, how often one is repeated, and any other number in it."""
MAX_ARGUMENT, MAX_PRODUCT = 8192, 2**30
"""Of one line of an architecture: each number, and all of them multiplied."""
MAX_PARTS = 100_000
"""Of an architecture: all that it consists of, each as often as it is used."""

ARCHITECTURE_KEYS = frozenset({"backbone", "head"})
"""What of a dict makes Ultralytics build a model of it, whoever holds the dict."""

_MAX_DEPTH = 8
_ACTIVATION = re.compile(r"(?:torch\.)?nn\.(\w{1,40})\(([^()]{0,80})\)")
_ARGUMENT = re.compile(r"(?:[a-z_]{1,40}=)?(?:-?\d{1,9}(?:\.\d{1,9})?|True|False)")
_WORD = re.compile(r"[A-Za-z_]\w{0,60}")


class ArchitectureError(ValueError):
    """An architecture that would make something else than known layers of moderate size.

    Attributes
    ----------
    expected, found : str
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


def check_architecture(architecture: Any, *, trusted: bool = False) -> None:
    """Refuse an architecture that would make more than known layers of moderate size.

    Parameters
    ----------
    architecture : object
    trusted : bool
        Whether layers of any name are taken.

    Raises
    ------
    ArchitectureError
        Says what was expected, and what was found.
    """
    if not isinstance(architecture, dict):
        raise ArchitectureError("an architecture", f"a {type(architecture).__name__}")
    activation = architecture.get("activation")
    if activation is not None and not _is_activation(activation):
        raise ArchitectureError("the activation of an architecture", shown(activation))
    lines = [line for key in ("backbone", "head") for line in _lines(architecture, key)]
    if len(lines) > MAX_LAYERS or not _is_moderate(architecture):
        raise ArchitectureError(
            f"an architecture of at most {MAX_LAYERS} lines and numbers up to {MAX_NUMBER:,}",
            "more",
        )
    for line in lines:
        _check_line(line, trusted=trusted)


def shown(value: Any) -> str:
    """Word a value for an error. A text of all that it holds may be longer than any memory."""
    if isinstance(value, str):
        return repr(value[:80])
    return repr(value) if isinstance(value, int | float) else f"a {type(value).__name__}"


def _lines(architecture: dict[Any, Any], key: str) -> list[Any] | tuple[Any, ...]:
    lines = architecture.get(key)
    if lines is None:
        return []
    if not isinstance(lines, list | tuple):
        raise ArchitectureError(f"a list as {key} of an architecture", shown(lines))
    return lines


def _check_line(line: Any, *, trusted: bool) -> None:
    if not isinstance(line, list | tuple) or len(line) != 4:
        raise ArchitectureError(
            "lines of [from, repeats, layer, arguments] in an architecture", shown(line)
        )
    _, repeats, name, arguments = line
    if not isinstance(repeats, int) or repeats > MAX_REPEATS:
        raise ArchitectureError(f"layers repeated at most {MAX_REPEATS} times", shown(repeats))
    if not trusted and not _is_small(arguments):
        raise ArchitectureError(f"words and numbers up to {MAX_ARGUMENT:,} for a layer", "more")
    # Only text is looked up: hashing tuples of tuples takes as long as they like.
    known = isinstance(name, str) and (trusted or name in LAYERS_OF_ARCHITECTURES)
    if not known:
        raise ArchitectureError("an architecture of known layers", shown(name))


def _is_moderate(architecture: dict[Any, Any]) -> bool:
    """Whether there is not much in it, and no large number."""
    parts = 0
    left: list[tuple[Any, int]] = [(list(architecture.values()), 0)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            parts += len(value)
            if depth > _MAX_DEPTH or parts > MAX_PARTS:
                return False
            left += [(item, depth + 1) for item in value]
        elif isinstance(value, int | float):
            if not abs(value) <= MAX_NUMBER:
                return False
        elif value is not None and not isinstance(value, str):
            return False
    return True


def _is_small(arguments: Any) -> bool:
    """Whether the arguments of a layer are words and numbers that make no huge one."""
    try:
        return _size(arguments, math.prod) <= MAX_PRODUCT
    except ValueError:
        return False


def _size(value: Any, together: Callable[[list[float]], float] = sum) -> float:
    """Return how large a layer of this argument is, roughly; a list of channels is their sum."""
    if isinstance(value, list | tuple):
        return max(together([_size(item) for item in value]), 1)
    if isinstance(value, int | float) and abs(value) <= MAX_ARGUMENT:
        return max(abs(value), 1)
    # Ultralytics evaluates text: numbers as text would have no bound.
    if value is None or (isinstance(value, str) and _WORD.fullmatch(value)):
        return 1
    raise ValueError("neither a word nor a small number")


def _is_activation(text: Any) -> bool:
    """Whether it is a class of ours with plain numbers: Ultralytics may evaluate it."""
    found = _ACTIVATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[1] not in ACTIVATIONS:
        return False
    arguments = found[2].replace(" ", "")
    return not arguments or all(_ARGUMENT.fullmatch(part) for part in arguments.split(","))
