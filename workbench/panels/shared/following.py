"""How a panel follows what happens elsewhere to the dataset that it shows.

1. Before a panel reads a dataset it says `Follower.follow`.
2. Another panel, kernel or program changes something; the bus tells what (see `bus`).
3. The news is collected while nobody sees the panel, or while it still works on the last.
4. Where the data do not answer any more, the panel says so; once they do, everything is news.
5. Then the panel's ``catch_up(news)`` brings its model up to date, and its view follows.

Panels that take long to catch up, because the dataset is large, do it less often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from weakref import WeakSet

from workbench.errors import UnreachableError
from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import AWAY, DATASETS, MODELS, Changed, Listening, bus_of
from workbench.panels.shared.status import PassedError
from workbench.persistence import Stores
from workbench.persistence.stamps import PARTS

News = frozenset[str]
"""The parts that changed, see `Changed`."""

_EVERYTHING: News = frozenset({*PARTS, DATASETS, MODELS})

_NAMED = 5
"""So many datasets are named in a message."""

_REST = 4.0
"""A panel rests so many times as long as it took to catch up, before it does so again."""


class Follower:
    """Lets a panel catch up with what others change.

    Parameters
    ----------
    stores : Stores
    background : Background
        Of the panel; errors of `catch_up` go where its other errors go.
    catch_up : callable
        ``await catch_up(news)`` brings the panel up to date; never called twice at once.
    """

    def __init__(
        self,
        stores: Stores,
        background: Background,
        catch_up: Callable[[News], Awaitable[object]],
    ) -> None:
        self._bus = bus_of(stores)
        self._background = background
        self._catch_up = catch_up
        self._listening: Listening | None = None
        self._others: dict[str, Listening] = {}
        self._news: News = frozenset()
        self._is_busy = False
        self._is_seen = True
        self._is_closed = False
        self._inner: WeakSet[Follower] = WeakSet()
        background.on_done = self._bus.look  # what was done here may be news for others

    @property
    def is_seen(self) -> bool:
        """Whether somebody sees the panel; settable from any thread."""
        return self._is_seen

    @is_seen.setter
    def is_seen(self, value: bool) -> None:
        self._is_seen = value
        for listening in self._all():
            listening.is_attentive = value
        for inner in self._inner:
            inner.is_seen = value

    def hold(self, inner: Follower) -> None:
        """Let a panel within this one be seen when this one is."""
        self._inner.add(inner)
        inner.is_seen = self._is_seen

    async def follow(self, dataset: str) -> None:
        """Follow this dataset from now on, in place of another; empty: only what concerns all.

        Raises
        ------
        UnreachableError
            If the data do not answer. They are followed nevertheless, and `catch_up` is called
            once they do.
        """
        listening = await self._bus.listen(dataset, self._hear)
        if self._is_closed:
            listening.close()
            return
        if self._listening is not None:
            self._listening.close()
        self._listening, self._news = listening, frozenset()
        listening.is_attentive = self._is_seen
        if listening.away:
            raise _away(listening.away)

    async def follow_others(self, datasets: Iterable[str]) -> None:
        """Follow what is in these datasets as well, in place of those named so before."""
        wanted = set(datasets)
        for name in self._others.keys() - wanted:
            self._others.pop(name).close()
        for name in sorted(wanted - self._others.keys()):
            listening = await self._bus.listen(name, self._hear)
            if self._is_closed or name in self._others:
                listening.close()
                continue
            self._others[name] = listening
            listening.is_attentive = self._is_seen

    def close(self) -> None:
        """Follow no more."""
        self._is_closed = True
        for listening in self._all():
            listening.close()

    def _all(self) -> list[Listening]:
        one = self._listening
        return [*self._others.values(), *([] if one is None else [one])]

    def _hear(self, changed: Changed) -> None:
        if self._is_closed or self._listening is None:
            return
        if changed.dataset != self._listening.dataset:
            if changed.dataset in self._others:
                self._hear_of(changed.what - {AWAY})  # that is told once, of all
            return  # else of the one before, on its way when another was chosen
        if AWAY not in changed.what:
            self._news |= changed.what
        elif self._listening.away:
            self._background.report(_away(self._listening.away))
            return
        else:
            self._background.report(PassedError())
            self._news |= _EVERYTHING
        self._hear_of(frozenset())

    def _hear_of(self, news: News) -> None:
        self._news |= news
        if self._news and not self._is_busy:
            self._is_busy = True
            self._background.spawn(self._work)

    async def _work(self) -> None:
        try:
            while self._news and not self._is_closed:
                news, self._news = self._news, frozenset()
                began = time.monotonic()
                await self._catch_up(news)
                # Saving boxes one after the other must not keep a large gallery at work.
                await asyncio.sleep(min(_REST * (time.monotonic() - began), 30.0))
        finally:
            self._is_busy = False


def _away(why: str) -> UnreachableError:
    return UnreachableError(
        f"{without_trying_again(why)}. It is tried again, and this goes on once there is an answer"
    )


def without_trying_again(why: str) -> str:
    """Return what is the matter without the advice to try again, where that is done anyhow."""
    return why.rstrip(".").removesuffix(", then try again")


def gone(dataset: str) -> str:
    """Return what a panel says whose dataset is not there any more."""
    return (
        f"The dataset {dataset!r} is not there any more: it was renamed or deleted. Choose "
        f"another one, or bring it back from the trash."
    )


HOW_TO_MAKE = "`workbench new NAME` in a terminal, or *New dataset* on the page Home of `wb`"


def no_such_dataset(dataset: str, names: Sequence[str]) -> str:
    """Return what a panel says that was asked for a dataset which is not there.

    Parameters
    ----------
    dataset : str
        Empty: none was asked for.
    names : sequence of str
        Of those that there are.
    """
    what = f"There is no dataset {dataset!r}" if dataset or names else "There is no dataset yet"
    if not names:
        return f"{what}. Make one: {HOW_TO_MAKE}."
    there = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
    return f"{what}. Choose one that is there ({there}), or make it: {HOW_TO_MAKE}."
