"""Python's garbage collector, held off while very many objects are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_guard = Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def paused_collector() -> Iterator[None]:
    """Make objects that all stay alive without the collector looking at them again and again.

    It would find nothing to free, and spends a quarter of the time of listing 100,000
    images on that, and a third of that of planning an import of as many. Counts how many
    threads are inside, because the switch is one for the whole process; nobody else is harmed
    by a second without collection.
    """
    global _pauses, _was_enabled
    with _guard:
        if _pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _guard:
            _pauses -= 1
            if _pauses == 0 and _was_enabled:
                _let_them_be_old()
                gc.enable()


def _let_them_be_old() -> None:
    """Count all objects that were made to the old ones, which are looked at seldom.

    They would all be looked at now, and soon once more, for a tenth of the time of making them.
    """
    if not gc.get_freeze_count():  # nobody else has put any aside
        gc.freeze()
        gc.unfreeze()
