"""From an address to the storage there."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import from_url
from platformdirs import user_cache_path

from workbench.errors import SetupError
from workbench.persistence.storage.bucket.cache import ReadCache
from workbench.persistence.storage.bucket.storage import BucketStorage

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

SCHEMES = ("s3", "gs", "az")

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
_ACCOUNTS = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")


def open_bucket(address: str, *, ttl_s: float = 20.0, is_ours: bool = False) -> BucketStorage:
    """Return the storage at an address; nothing is asked of it yet.

    Parameters
    ----------
    address : str
        ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``. Endpoint,
        region and credentials are taken from the environment, as obstore does.
    ttl_s, is_ours
        As for `BucketStorage`.

    Raises
    ------
    SetupError
        If it is none, or names credentials, which belong into the environment.
    """
    parts = urlsplit(address)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise SetupError(
            f"{where}: expected an address like s3://bucket/prefix, gs://bucket/prefix or "
            f"az://container/prefix; correct it"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SetupError(
            f"{where}: expected an address only, found more in it; endpoint, region and "
            f"credentials belong into the environment, say AWS_ACCESS_KEY_ID"
        )
    below = parts.path.strip("/")
    if below and not {"", ".", ".."}.isdisjoint(below.split("/")):
        raise SetupError(
            f"{where}: expected names between the slashes, found none or one that leads elsewhere; "
            f"correct it"
        )
    quick = timedelta(seconds=ttl_s / 8)
    patient = _connected(where, timedelta(minutes=15), timedelta(seconds=30))
    whose = " ".join(os.environ.get(name, "") for name in (*_ENDPOINTS, *_ACCOUNTS))
    return BucketStorage(
        patient,
        where,
        quick=_connected(where, quick, quick),
        once=_connected(where, quick, None),
        ttl_s=ttl_s,
        cache=_cache(user_cache_path("workbench", appauthor=False) / "objects"),
        space=f"{whose} {where}",
        is_ours=is_ours,
    )


@lru_cache
def _cache(folder: Path) -> ReadCache:
    """Return the one of this process for a folder."""
    return ReadCache(folder)


def _connected(where: str, timeout: timedelta, retrying: timedelta | None) -> ObjectStore:
    retries: RetryConfig = {"max_retries": 0}
    if retrying is not None:
        retries = {"max_retries": 5, "retry_timeout": retrying}
    try:
        return from_url(
            where,
            client_options={
                # Only for whoever has named such an endpoint: a server on this machine, say.
                "allow_http": any(
                    os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS
                ),
                "timeout": timeout,
                "connect_timeout": min(timeout, timedelta(seconds=5)),
                "read_timeout": min(timeout, timedelta(seconds=30)),
            },
            retry_config=retries,
        )
    except (BaseError, ValueError) as error:
        said = str(error).split("\n", 1)[0]
        raise SetupError(
            f"{where}: expected what is needed to reach it in the environment, found: {said}; "
            f"see 'Data in a bucket' in the documentation"
        ) from None
