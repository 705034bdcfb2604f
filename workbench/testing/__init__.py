"""Contract tests for whoever writes a storage backend; they need pytest.

Subclass `StorageContract`, and `RootsContract` for datasets.
"""

from __future__ import annotations

from workbench.testing.roots import RootsContract
from workbench.testing.storage import StorageContract

__all__ = ["RootsContract", "StorageContract"]
