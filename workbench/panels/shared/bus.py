"""What changed in datasets and models, for all panels of a kernel, whoever changed it.

One thread looks at the stamps of what somebody listens to, `INTERVAL_S` apart: some calls of
stat, no listing. So a panel hears of what another panel has done, a cell of the notebook,
another kernel, the server or any other program. It does not matter who it was, and nobody
needs to remember to tell. The thread begins with the first listener who pays attention and ends
when there is none: closed panels, and panels that nobody sees, cost nothing.

Whoever has just changed something says `Bus.look`, so that others need not wait for the next
look::

    bus = bus_of(stores)
    listening = await bus.listen("cups", heard)  # heard(Changed("cups", {"labels"})), on this loop
    listening.is_attentive = False  # nobody sees the panel: told later, all at once
    listening.close()
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from workbench.errors import PASSING, NotFoundError, WorkbenchError
from workbench.owner_loop import OwnerLoop
from workbench.persistence import Stores
from workbench.persistence.stamps import PARTS, Stamp

_log = logging.getLogger(__name__)

INTERVAL_S = 0.7
"""Between two looks; with the look itself and what a panel then reads, it stays under 2 s."""

_LEAST_S = 0.1
"""Looks are at least so far apart, however often somebody asks for one."""

_LONGEST_END_S = 60
"""So long the last work of a program may take that ends during a look."""

DATASETS = "datasets"
"""What changed where a dataset was made, renamed, deleted or restored."""
MODELS = "models"
"""What changed where a model was, or where another one became active."""
AWAY = "away"
"""What changed where the data do not answer any more, or answer again."""
GONE = "gone"
"""What changed where the dataset that somebody listens to is not there any more."""


@dataclass(frozen=True, slots=True)
class Changed:
    """News.

    Parameters
    ----------
    dataset : str
        The one that is listened to; empty: none.
    what : frozenset of str
        ``"images"``, ``"labels"``, ``"classes"``, ``"tags"``, ``"versions"``,
        ``"suggestions"`` of that dataset; `DATASETS`, `MODELS`, `GONE`, `AWAY`.
    """

    dataset: str
    what: frozenset[str]


@dataclass(slots=True, eq=False)
class Listening:
    """Somebody who is told; made by `Bus.listen`."""

    dataset: str
    _heard: Callable[[Changed], object]
    _bus: Bus
    _owner: OwnerLoop
    _known: dict[str, str]
    _is_attentive: bool = True

    @property
    def is_attentive(self) -> bool:
        """Whether news is wanted now; what was missed is told, all at once, when it is again."""
        return self._is_attentive

    @is_attentive.setter
    def is_attentive(self, value: bool) -> None:
        if value != self._is_attentive:
            self._is_attentive = value
            self._bus.look()

    @property
    def away(self) -> str:
        """Why the data do not answer; empty: they do."""
        return self._known.get(AWAY, "")

    @property
    def can_hear(self) -> bool:
        """Whether there is still a loop on which it could be told."""
        return not self._owner.loop.is_closed()

    def close(self) -> None:
        """Hear no more."""
        self._bus._leave(self)

    def _tell(self, present: dict[str, str]) -> None:
        """Compare what there is with what was told last, and tell the difference."""
        known = self._known
        if known.get(AWAY) and present.get(AWAY):
            return  # whatever it is called this time
        what = frozenset(n for n, text in present.items() if known.setdefault(n, text) != text)
        known |= present
        if what:
            self._owner.call(self._heard, Changed(self.dataset, what))


class Bus:
    """Tells listeners what changed in the datasets and models of some stores.

    Parameters
    ----------
    stores : Stores
    interval_s : float
        Seconds between two looks.
    """

    def __init__(self, stores: Stores, *, interval_s: float = INTERVAL_S) -> None:
        self._stores = stores
        self._interval_s = interval_s
        self._guard = threading.Lock()
        self._listening: list[Listening] = []
        self._thread: threading.Thread | None = None
        self._troubles: dict[str, str] = {}  # what could not be seen, by dataset: logged once
        self._looks = threading.Event()  # somebody wants a look now

    @property
    def is_watching(self) -> bool:
        """Whether the thread is at work."""
        return self._thread is not None

    async def listen(self, dataset: str, heard: Callable[[Changed], object]) -> Listening:
        """Have ``heard(changed)`` called on the running loop after each change from now on.

        Listen first, then read what is to be shown: so nothing falls between the two.

        Parameters
        ----------
        dataset : str
            Empty: none; then what happens to datasets as a whole, and to models, is told.
        heard : callable
        """
        known = await self._present(dataset)
        listening = Listening(dataset, heard, self, OwnerLoop(), known)
        with self._guard:
            self._listening.append(listening)
        self.look()
        return listening

    def look(self) -> None:
        """Look now, for somebody has changed something; from any thread."""
        with self._guard:
            is_wanted = any(one.is_attentive for one in self._listening)
            self._looks.set()
            if is_wanted and self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="workbench-bus", daemon=True
                )
                self._thread.start()

    def _leave(self, listening: Listening) -> None:
        with self._guard:
            if listening in self._listening:
                self._listening.remove(listening)
            self._looks.set()  # the thread sees whether it is needed

    # In the thread

    def _watch(self) -> None:
        # A loop of its own: the stores may be used from any, and a cell that runs for long
        # holds up the one that belongs to the notebook.
        with asyncio.Runner() as runner:
            while True:
                self._looks.clear()
                with self._guard:
                    # A loop that was closed without closing its panels hears nothing any more.
                    self._listening = [one for one in self._listening if one.can_hear]
                    attentive = [one for one in self._listening if one.is_attentive]
                    if not attentive:
                        self._thread = None
                        return
                try:
                    runner.run(self._look(attentive))
                except RuntimeError:
                    if not _program_ends():
                        raise
                    return
                time.sleep(min(_LEAST_S, self._interval_s))
                self._looks.wait(self._interval_s)

    async def _look(self, attentive: list[Listening]) -> None:
        common = await self._common()
        found: dict[str, dict[str, str]] = {}
        for one in attentive:
            if one.dataset not in found:
                found[one.dataset] = await self._present(one.dataset, common)
            one._tell(found[one.dataset])

    async def _present(self, dataset: str, common: dict[str, str] | None = None) -> dict[str, str]:
        if common is None:
            common = await self._common()
        if common[AWAY]:  # whatever else is asked would not be answered either
            return common
        return common | await self._parts(dataset)

    async def _common(self) -> dict[str, str]:
        try:
            return {
                AWAY: "",
                DATASETS: await self._stores.dataset.stamp_of_all(),
                MODELS: await self._stores.model.stamp(),
            }
        except PASSING as error:
            _log.info("no answer: %s", error)
            return {AWAY: str(error)}
        except (WorkbenchError, OSError) as error:
            self._log_once("", "it cannot be seen whether datasets or models have changed", error)
            return {AWAY: ""}

    async def _parts(self, dataset: str) -> dict[str, str]:
        if not dataset:
            return {}
        try:
            stamp = await self._stores.dataset.stamp(dataset)
        except NotFoundError:
            return {**_as_dict(Stamp()), GONE: "yes"}
        except PASSING as error:
            _log.info("no answer: %s", error)
            return {AWAY: str(error)}
        except (WorkbenchError, OSError) as error:
            self._log_once(dataset, f"it cannot be seen whether {dataset} has changed", error)
            return {}
        self._troubles.pop(dataset, None)
        return {**_as_dict(stamp), GONE: ""}

    def _log_once(self, dataset: str, what: str, error: Exception) -> None:
        """Log what is the matter, and not with every look, as long as it stays so."""
        text = f"{what}: {error}"
        if self._troubles.get(dataset) != text:
            self._troubles[dataset] = text
            _log.warning("%s", text)


def _program_ends() -> bool:
    """Whether no work is taken any more because the main thread has come to its end.

    It ends while threads may still run, and by then none can be asked to do anything: a script
    that ends without having closed its panels is no error to be told of.
    """
    main = threading.main_thread()
    main.join(_LONGEST_END_S)
    return not main.is_alive()


def _as_dict(stamp: Stamp) -> dict[str, str]:
    return {name: getattr(stamp, name) for name in PARTS}


# By the identity of the dataset store, which lives as long as the bus; the bus lives as long as
# somebody listens.
_buses: WeakValueDictionary[int, Bus] = WeakValueDictionary()
_buses_guard = threading.Lock()


def bus_of(stores: Stores) -> Bus:
    """Return the bus that all panels share which have these stores."""
    with _buses_guard:
        bus = _buses.get(id(stores.dataset))
        if bus is None:
            bus = _buses[id(stores.dataset)] = Bus(stores)
        return bus
