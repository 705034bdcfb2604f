"""Where data may be: in a folder, or in a bucket."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from workbench.errors import SetupError
from workbench.persistence.storage import Roots, Storage

# Two letters at least: one is a drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def place_of(place: Path | str) -> Path | str:
    """Return a folder as a `Path`, the address of a bucket as a text."""
    found = _ADDRESS.match(str(place))
    if found:  # a `Path` has lost one of the slashes
        return f"{found[1]}://{str(place)[found.end() :]}"
    return Path(place)


def local_folder(place: Path | str) -> Path:
    """Return a folder.

    Raises
    ------
    SetupError
        If it is an address.
    """
    found = place_of(place)
    if isinstance(found, str):
        raise SetupError(
            f"expected a folder for datasets, found an address ({found.partition(':')[0]}:...); "
            f"a Workbench has its datasets in a folder yet: copy them to one"
        )
    return found


def bucket_at(address: str) -> Storage:
    """Return the storage at the address of a bucket.

    Raises
    ------
    SetupError
        If it is none, or the package that reaches buckets is missing.
    """
    _require_obstore()
    from workbench.persistence.storage.bucket import open_bucket

    return open_bucket(address)


def roots_at(address: str) -> Roots:
    """Return the storages side by side at the address of a bucket; raises as `bucket_at` does."""
    _require_obstore()
    from workbench.persistence.storage.bucket import BucketRoots

    return BucketRoots(address)


def _require_obstore() -> None:
    if find_spec("obstore") is None:
        raise SetupError("a bucket needs the package obstore: pip install 'yolo-workbench[bucket]'")


def cache_dir() -> Path:
    """Return this user's folder for copies of what lies elsewhere."""
    from platformdirs import user_cache_path

    return user_cache_path("workbench", appauthor=False)
