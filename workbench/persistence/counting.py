"""How many of something, in words."""

from __future__ import annotations


def counted(number: int, what: str, plural: str | None = None) -> str:
    """Return ``"1 image"``, ``"2 images"``; every message counts in the same way.

    Parameters
    ----------
    number : int
    what : str
        One of it; with the verb, where one follows: ``"image is"``.
    plural : str, optional
        Several, such as ``"images are"``; `what` and an s if it is not given.
    """
    return f"{number:,} {what if number == 1 else plural or what + 's'}"
