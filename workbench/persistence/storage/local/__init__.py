"""Storage in the files of this computer."""

from __future__ import annotations

from workbench.persistence.storage.local.storage import LocalStorage

__all__ = ["LocalStorage"]
