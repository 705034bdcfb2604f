"""Values that came as JSON, made sure to be what a dataclass says of its fields.

Whoever has written them may be a stranger: a text where a number should be would raise wherever
somebody first counts with it, and take the list of all runs with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field
from typing import Any

_LARGEST = 1 << 63


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _LARGEST:
        raise TypeError("a whole number")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number")
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise TypeError("a number")
    return float(value)


def _any(value: Any) -> Any:
    return value


def _mapping_of(item: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TypeError("names and values")
        return {str(key): item(one) for key, one in value.items()}

    return read


def _list_of(item: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError("a list")
        return [item(one) for one in value]

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "bool": _flag,
    "int": _whole,
    "float": _number,
    "dict[str, Any]": _mapping_of(_any),
    "dict[str, str]": _mapping_of(_text),
    "dict[str, int]": _mapping_of(_whole),
    "dict[str, float]": _mapping_of(_number),
    "list[str]": _list_of(_text),
    "list[dict[str, Any]]": _list_of(_mapping_of(_any)),
}


def typed(known: Iterable[Field[Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of some fields as their annotations say; others are left out.

    Parameters
    ----------
    known : iterable of Field
        Of a dataclass whose annotations are not evaluated.
    values : mapping of str to Any
        JSON types, by the names of the fields.

    Raises
    ------
    TypeError
        If one is something else; says which, what was expected and what was found.
    """
    found: dict[str, Any] = {}
    for item in known:
        if item.name not in values:
            continue
        try:
            found[item.name] = _READERS[str(item.type)](values[item.name])
        except TypeError as error:
            shown = repr(values[item.name])[:80]
            raise TypeError(f"{item.name}: expected {error}, found {shown}") from None
    return found
