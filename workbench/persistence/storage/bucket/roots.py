"""Storages side by side in a bucket, each below a prefix of its own."""

from __future__ import annotations

import threading
from urllib.parse import quote

from workbench.persistence.storage.base import Remove
from workbench.persistence.storage.bucket.opening import open_bucket
from workbench.persistence.storage.bucket.storage import BucketStorage
from workbench.persistence.storage.roots import Roots
from workbench.persistence.yolo.names import HIDDEN

_AT_ONCE = 1000
"""Values that are removed by one commit."""


class BucketRoots(Roots):
    """Storages below an address.

    Parameters
    ----------
    address : str
        As for `open_bucket`.
    ttl_s : float
        As for `BucketStorage`.

    Raises
    ------
    SetupError
        As `open_bucket` does.
    """

    def __init__(self, address: str, *, ttl_s: float = 20.0) -> None:
        self._ttl_s = ttl_s
        self._top = open_bucket(address, ttl_s=ttl_s)
        self.where = self._top.where
        self.shared = open_bucket(f"{self.where}/{HIDDEN}", ttl_s=ttl_s, is_ours=True)
        self._storages: dict[str, BucketStorage] = {}
        self._guard = threading.Lock()

    def at(self, name: str) -> BucketStorage:
        """See `Roots.at`; the same each time, which knows what it has seen."""
        with self._guard:
            if name not in self._storages:
                self._storages[name] = open_bucket(f"{self.where}/{quote(name)}", ttl_s=self._ttl_s)
            return self._storages[name]

    def names(self) -> list[str]:
        """See `Roots.names`; nothing is asked of the head, as nothing there is ever moved."""
        return self._top.folders()

    def touched(self) -> str:
        """See `Roots.touched`."""
        return self._top.touched([""])[0]

    def remove(self, name: str) -> None:
        """See `Roots.remove`; also what the storage has kept there for itself."""
        keys = self._top.keys_below(name)
        for start in range(0, len(keys), _AT_ONCE):
            self._top.commit([Remove(key) for key in keys[start : start + _AT_ONCE]])
        with self._guard:
            self._storages.pop(name, None)
