"""Storages side by side: one for each dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod

from workbench.persistence.storage.base import Storage


class Roots(ABC):
    """Where storages lie side by side, each below a root of its own.

    Whoever has written a `Storage` writes this, too, so that whole datasets can lie there. Names
    are such that a file could have them.
    """

    where: str
    """What to call the place in a message."""

    shared: Storage
    """For what is known of all of them."""

    @abstractmethod
    def at(self, name: str) -> Storage:
        """Return the storage of a name; nothing need be in it, and nothing is asked of it yet."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of those in which something lies, in any order."""

    def touched(self) -> str:
        """Return what differs after one has come or gone, as `Storage.touched` does."""
        return repr(sorted(self.names()))

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove all that lies in one; what a crash leaves of it is removed by another call."""
