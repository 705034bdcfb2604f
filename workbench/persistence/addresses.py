"""Where data may be: in a folder, or in a bucket."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Places:
    """Where a workbench has what it keeps: absolute paths, and addresses as texts.

    Parameters
    ----------
    data, models : Path or str
    runs : Path or str
        A training run works in a folder of this machine, wherever its record is kept.
    """

    data: Path | str
    models: Path | str
    runs: Path | str

    @classmethod
    def of(
        cls,
        data_dir: Path | str,
        models_dir: Path | str | None = None,
        runs_dir: Path | str | None = None,
    ) -> Places:
        """Return the places that were named, and beside the data those that were not.

        Raises
        ------
        SetupError
            If nothing can be beside the data.
        """
        data = _absolute(data_dir)
        models = _beside(data, "models") if models_dir is None else _absolute(models_dir)
        runs = runs_beside(data) if runs_dir is None else _absolute(runs_dir)
        return cls(data, models, runs)


def runs_beside(data: Path | str) -> Path:
    """Return the folder for the runs on the data of a place: beside it, or this user's."""
    found = _absolute(data)
    return work_folder_of(found) if isinstance(found, str) else found.parent / "runs"


def work_folder_of(address: str) -> Path:
    """Return this user's folder in which runs work whose data, or record, lie at an address."""
    from platformdirs import user_state_path

    address = address.rstrip("/")
    name = re.sub(r"[^A-Za-z0-9]+", "-", address)[:60]
    digest = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return user_state_path("workbench", appauthor=False) / "runs" / f"{name}-{digest}"


def _beside(data: Path | str, name: str) -> Path | str:
    if isinstance(data, Path):
        return data.parent / name
    whole = data.rstrip("/")
    around = whole.rpartition("/")[0]
    if around.endswith("/"):
        raise SetupError(
            f"{data}: expected a prefix for the datasets, such as {whole}/data, so that {name} "
            f"can be beside it; found none: name one, or say where the {name} are"
        )
    return f"{around}/{name}"


def _absolute(place: Path | str) -> Path | str:
    found = place_of(place)
    return found if isinstance(found, str) else found.expanduser().absolute()


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
