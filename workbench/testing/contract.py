"""What the suites have in common: they cannot be used without saying what is to be tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from workbench.persistence.storage import Listing, Storage

LIMIT_S = 60
"""After so long, a test that waits fails."""


class Contract:
    """A suite that gets its subject from `make`.

    A subclass that lacks `make` or `shared_by_processes` cannot be made; ``is_part=True`` says that
    it is one that others are made of.
    """

    __test__ = False
    shared_by_processes: ClassVar[bool]

    def __init_subclass__(cls, *, is_part: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if is_part:
            return
        if not any("make" in vars(one) for one in cls.__mro__ if not _is_ours(one)):
            raise TypeError(f"{cls.__name__}: expected a method make(folder), found none")
        if not isinstance(getattr(cls, "shared_by_processes", None), bool):
            raise TypeError(f"{cls.__name__}: expected shared_by_processes = True or False")
        cls.__test__ = True

    def make(self, folder: Path) -> Any:
        """Return what is to be tested for an existing folder, empty when it is the first.

        Called again with the same folder, it returns another one over the same keys, if
        `shared_by_processes`.
        """
        raise NotImplementedError


def _is_ours(kind: type) -> bool:
    return kind is object or kind.__module__.startswith(f"{__package__}.")


def contents(storage: Storage, folder: str = "") -> dict[str, bytes]:
    """Return all values below a folder by their keys, without what is hidden in the root."""
    listing = storage.list(folder)
    prefix = f"{folder}/" if folder else ""
    found = {f"{prefix}{name}": storage.read(f"{prefix}{name}") for name in listing.names}
    for name in listing.folders:
        found |= contents(storage, f"{prefix}{name}")
    return found


def sorted_rows(listing: Listing) -> list[tuple[str, int]]:
    """Return names and sizes."""
    return sorted(zip(listing.names, listing.sizes.tolist(), strict=True))
