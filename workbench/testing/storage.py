"""What every storage backend does: the contract, as tests.

Subclass `StorageContract` in a test file of yours::

    class TestBucket(StorageContract):
        shared_by_processes = True

        def make(self, folder):
            return BucketStorage(...)

Both have to be there: a subclass that lacks one cannot be made, so that no backend passes because
somebody forgot to say what is to be tested.
"""

from __future__ import annotations

from pathlib import Path

from workbench.persistence.storage import Storage
from workbench.testing.contract import contents
from workbench.testing.storage_changing import Changing
from workbench.testing.storage_reading import Reading
from workbench.testing.storage_sharing import Sharing

__all__ = ["StorageContract", "contents"]


class StorageContract(Reading, Changing, Sharing, is_part=True):
    """The tests; see the module for how they are used.

    Attributes
    ----------
    shared_by_processes : bool
        Whether another process sees the same keys when it calls `make` with the same folder. It is
        False only for a storage that ends with its process.
    """

    def make(self, folder: Path) -> Storage:
        """Return a storage for an existing folder of the test, empty when it is the first.

        Called again with the same folder, it returns another one over the same keys, if
        `shared_by_processes`.
        """
        raise NotImplementedError
