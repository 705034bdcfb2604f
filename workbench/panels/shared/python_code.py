"""What a button does, as Python: to be copied into a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

NOTE = '# In another notebook first: from workbench import Workbench; wb = Workbench("data")'
"""The code uses the stores of the kernel that it was copied from."""

_LINE = 88


class Name(str):
    """Code that is written as it is, such as ``get_stores()``."""

    __slots__ = ()


def call(function: str, *values: object, **named: object) -> str:
    """Return a call as Python, on several lines where one would be long.

    Parameters
    ----------
    function : str
        As it is written.
    *values, **named : object
        Arguments that `repr` can write; paths are written as text.
    """
    parts = [_written(value) for value in values]
    parts += [f"{name}={_written(value)}" for name, value in named.items()]
    line = f"{function}({', '.join(parts)})"
    if len(line) <= _LINE:
        return line
    return f"{function}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def code(imports: Iterable[str], *lines: str) -> str:
    """Return lines that can be run in a cell, with what they need of ``workbench``."""
    head = f"from workbench import {', '.join(sorted(imports))}"
    return "\n".join((NOTE, head, "", *lines)) + "\n"


def _written(value: object) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, PurePath):
        return repr(str(value))
    if isinstance(value, Mapping):
        return repr(dict(value))
    return repr(value)
