"""Storage in a bucket; needs the extra ``bucket``."""

from __future__ import annotations

from workbench.persistence.storage.bucket.opening import open_bucket
from workbench.persistence.storage.bucket.roots import BucketRoots
from workbench.persistence.storage.bucket.storage import BucketStorage

__all__ = ["BucketRoots", "BucketStorage", "open_bucket"]
