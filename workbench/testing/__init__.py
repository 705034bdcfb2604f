"""Contract tests for whoever writes a storage backend: subclass `StorageContract`. Needs pytest."""

from __future__ import annotations

from workbench.testing.storage import StorageContract

__all__ = ["StorageContract"]
