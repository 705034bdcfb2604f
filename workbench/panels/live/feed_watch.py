"""A feed that a page watches: its pictures, what it does, and where a file is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from workbench.capture.feed import Feed, FeedState
from workbench.panels.live.preview import Preview
from workbench.panels.live.sources import kind_of
from workbench.panels.shared.parts import Spawn

_PLAYBACK_EVERY = 0.3
"""Seconds from one look at the place in a file to the next."""


def feed_message(feed: Feed, state: FeedState, place: str) -> dict[str, Any]:
    """Return what a page is told of a feed; ``player`` while it plays a file or a folder."""
    message: dict[str, Any] = {
        "kind": kind_of(feed),
        "place": place,
        "status": state.status,
        "why": state.why,
    }
    playback = getattr(feed, "playback", None)
    if playback is not None and not state.over:
        facts = getattr(feed, "facts", None)
        length = facts.frame_count if facts is not None else len(getattr(feed, "files", ()))
        message["player"] = {
            "position": playback.position,
            "length": length,
            "paused": playback.paused,
        }
    return message


class FeedWatch:
    """Lets pages see one feed at a time. Used on the owner loop.

    Parameters
    ----------
    preview : Preview
        Gets the pictures.
    spawn : callable
    show : callable
        Shows what the feed does; called again and again while it plays a file.
    """

    def __init__(self, preview: Preview, spawn: Spawn, show: Callable[[], None]) -> None:
        self._preview = preview
        self._spawn = spawn
        self._show = show
        self._feed: Feed | None = None

    def follow(self, feed: Feed | None) -> None:
        """Show this feed from now on; None: none."""
        if feed is self._feed:
            return
        self._feed = feed
        self._preview.follow(feed)
        if feed is not None and hasattr(feed, "playback"):
            self._spawn(lambda: self._follow_playback(feed))

    async def _follow_playback(self, feed: Feed) -> None:
        while self._feed is feed:
            self._show()
            await asyncio.sleep(_PLAYBACK_EVERY)
