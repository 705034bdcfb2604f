"""What a panel says of its work: what happened last, and what is under way."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Status", "StoppedError", "Work"]


class StoppedError(Exception):
    """The user has stopped an action under way."""


@dataclass(frozen=True, slots=True)
class Status:
    """The last thing that happened, in words.

    Parameters
    ----------
    text : str
    tone : str
        ``"info"`` or ``"problem"``.
    details : tuple of str
        What there is to say of each of many things, where `text` has only their number.
    """

    text: str = ""
    tone: str = "info"
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """An action under way.

    Parameters
    ----------
    what : str
        In words; empty: none.
    done, total : int
        Zero while it is not known.
    """

    what: str = ""
    done: int = 0
    total: int = 0
