"""What a mistyped name was meant for: said wherever something is not there under its name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

NO_DATASETS = "there is none yet: create() makes one, import_dataset brings one in"
_SHOWN = 3
_LISTED = 10_000
"""Of a folder, of which names are compared."""


def similar(text: str, choices: Sequence[str]) -> list[str]:
    """Return the choices that a mistyped text is most like."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(text.lower(), list(by_lower), n=_SHOWN, cutoff=0.6)
    if len(text) > 1:  # a part of a name that nobody remembers in full
        found += [choice for choice in by_lower if text.lower() in choice and choice not in found]
    return [by_lower[choice] for choice in found[:_SHOWN]]


def instead(
    name: str,
    names: Iterable[str],
    *,
    all_of_them: str,
    none: str,
    is_one: Callable[[str], bool] = lambda _: True,
) -> str:
    """Return what to ask for where nothing is called `name`.

    Parameters
    ----------
    name : str
    names : iterable of str
        Those that may be there.
    all_of_them : str
        How to see all of them, such as ``"list()"``.
    none : str
        What to do if there are none.
    is_one : callable
        Whether there is one of this name; asked of few.
    """
    there = sorted(names)
    near = [one for one in similar(name, there) if is_one(one)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}? {all_of_them} names all"
    some: list[str] = []
    for one in there:
        if len(some) > _SHOWN:
            break
        some += [one] * is_one(one)
    if not some:
        return none
    more = ", ..." * (len(some) > _SHOWN)
    are = "is" if len(some) == 1 else "are"
    return f"there {are} {', '.join(map(repr, some[:_SHOWN]))}{more}; {all_of_them} names all"


def what_is_near(path: Path) -> str:
    """Return in words what a path was meant for that leads nowhere: what is called alike there."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder, path = folder.parent, folder
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in islice(entries, _LISTED)]
    except OSError as error:
        return f"{folder} may not be looked into: {error.strerror}"
    near = similar(path.name, [name for name in names if not name.startswith(".")])
    if near:
        return f"did you mean {' or '.join(str(folder / name) for name in near)}?"
    return f"{folder} is there, and has nothing that is called like {path.name!r}"
