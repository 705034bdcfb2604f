"""What a change returns when it is done, also if it cannot be read back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from workbench.errors import WorkbenchError

_log = logging.getLogger(__name__)

T = TypeVar("T")


def told(read: Callable[[], T], otherwise: T) -> T:
    """Return what a finished change has made, as ``read()`` finds it.

    It has happened, so it must not raise any more: where it cannot be looked at, say because
    this process has no file handles left, the answer is what was worked out before.
    """
    try:
        return read()
    except (OSError, WorkbenchError) as error:
        _log.warning("a change has happened and cannot be looked at: %s", error)
        return otherwise
