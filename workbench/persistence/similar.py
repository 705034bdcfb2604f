"""What a mistyped name was meant for: said wherever something is not there under its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

NO_DATASETS = "there is none yet: create() makes one, import_dataset brings one in"
_SHOWN = 3


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
