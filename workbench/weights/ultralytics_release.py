"""Weights that Ultralytics has trained: where a file of its release comes from.

The page of the release tells the exact size and digest of each file when it is fetched.
"""

from __future__ import annotations

from workbench.weights.fetching import RemoteFile

_RELEASE = "v8.4.0"
_ASSETS = f"https://github.com/ultralytics/assets/releases/download/{_RELEASE}"
_LISTING = f"https://api.github.com/repos/ultralytics/assets/releases/tags/{_RELEASE}"


def released(name: str, megabytes: int = 0) -> RemoteFile:
    """Return a file of the release.

    Parameters
    ----------
    name : str
    megabytes : int
        Roughly, for a person who is asked.
    """
    return RemoteFile(name, f"{_ASSETS}/{name}", megabytes * 1_000_000, release=_LISTING)
