"""What a panel says of its work: what happened last, and what is under way."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from workbench.errors import WorkbenchError
from workbench.persistence.disk_errors import as_ours

__all__ = ["PassedError", "Status", "StoppedError", "Work", "in_words"]

_log = logging.getLogger(__name__)
_WITH_WORDS = (WorkbenchError, ValueError, RuntimeError, OSError)
"""Kinds of errors that are raised with a sentence for the person who reads it."""


class StoppedError(Exception):
    """The user has stopped an action under way."""


class PassedError(Exception):
    """What was wrong is so no longer: takes the words of the error before away."""


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


def in_words(error: Exception) -> str:
    """Return what went wrong as a panel says it: what happened, to what, what now.

    Errors of ours say so themselves, and what the system refused has its words. Anything else is a
    fault of the program, which stands in the log with the way that led there.
    """
    text = str(error)
    if isinstance(error, PassedError):
        return ""
    if isinstance(error, OSError) and error.errno is not None:
        return str(as_ours(error, ""))  # which is `error` if it is one of ours
    if text and isinstance(error, (*_WITH_WORDS, StoppedError)):
        return text
    _log.error("a panel met an error that it has no words for", exc_info=error)
    about = f" ({text})" if text else ""
    return (
        f"That did not work, by a fault of Workbench itself{about}. Try again; if it happens once "
        "more, restart the kernel: what was saved is on the disk"
    )
