"""Waiting for what something else is doing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def eventually(holds: Callable[[], bool], what: str = "") -> None:
    """Wait until something holds; nothing that tests wait for takes a hundredth of the limit.

    Parameters
    ----------
    holds : callable
    what : str
        For the message, if it does not.
    """
    try:
        async with asyncio.timeout(120):
            while not holds():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(what or "it did not come about within two minutes") from None
