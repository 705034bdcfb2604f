"""Copy a dataset between any two places that can hold one: folders and buckets."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import InvalidNameError, NotFoundError
from workbench.persistence.addresses import place_of
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.models import DatasetInfo, Progress, no_progress
from workbench.persistence.similar import similar
from workbench.persistence.stopping import watched_in_thread

_NAMED = 5
_EXPECTED = (
    "expected a dataset in the place that holds it, such as data/cups or s3://bucket/data/cups"
)


async def copy_dataset(
    source: Path | str, target: Path | str, *, progress: Progress = no_progress
) -> DatasetInfo:
    """Copy a dataset with its versions, trash and history, all of it or nothing at all.

    All bytes are compared afterwards. The dataset can be worked on meanwhile; only when images or
    versions are changed while they are copied, this raises and wants to be called again. It then
    goes on where it was, as after a broken connection or a kill: what was written, and is still
    that by its content, is not copied again.

    Parameters
    ----------
    source : Path or str
        The dataset: the path of its folder, or the address of the place in a bucket that holds
        it, with its name behind: ``s3://bucket/data/cups``.
    target : Path or str
        The same of the copy; the folder around it is made if it is not there.
    progress : callable, optional
        Called with the number of steps done, and of all.

    Returns
    -------
    DatasetInfo
        Of the copy.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    AlreadyExistsError
        If one of this name is at the target.
    ConflictError
        If images or versions were changed meanwhile.
    InvalidDatasetError
        If links lead out of the dataset, or what was written is not what is read again.
    InvalidNameError
        If no dataset can have this name, or the target lies in the dataset itself.
    SetupError
        If what a bucket needs is not there.
    """
    from workbench.persistence.opening import dataset_places
    from workbench.persistence.stores import copying

    (from_place, name), (to_place, new_name) = _divided(source), _divided(target)
    _require_outside(from_place, name, to_place)

    def work(report: Progress) -> DatasetInfo:
        if isinstance(from_place, Path) and not from_place.is_dir():
            raise NotFoundError(f"{from_place} is not there; {_EXPECTED}")
        places = dataset_places(from_place)
        with in_our_words(str(target)):
            try:
                return copying.copy_dataset(
                    places.open(name), dataset_places(to_place), new_name, progress=report
                )
            except NotFoundError as error:
                known = places.names()
                if name in known or (isinstance(from_place, Path) and (from_place / name).exists()):
                    raise
                raise NotFoundError(_not_there(from_place, name, known)) from error

    return await watched_in_thread(f"copy of {source}", work, progress)


def _not_there(place: Path | str, name: str, known: list[str]) -> str:
    """Return that there is no such dataset, and what was meant or is there instead."""
    near = similar(name, known)
    if near:
        hint = f"did you mean {' or '.join(f'{place}/{one}' for one in near)}?"
    elif known:
        more = ", ..." * (len(known) > _NAMED)
        hint = f"it holds {', '.join(map(repr, known[:_NAMED]))}{more}"
    else:
        hint = f"it holds none; {_EXPECTED}"
    return f"dataset {name!r} is not in {place}; {hint}"


def _require_outside(from_place: Path | str, name: str, to_place: Path | str) -> None:
    """Make sure that a dataset is not copied into itself, where it would be part of its copies."""
    if isinstance(from_place, Path) and isinstance(to_place, Path):
        is_inside = to_place.resolve().is_relative_to((from_place / name).resolve())
    else:
        is_inside = f"{to_place}/".startswith(f"{from_place}/{name}/")
    if is_inside:
        raise InvalidNameError(
            f"{to_place}: expected a place outside of the dataset that is copied, found one in "
            f"{from_place}/{name}; choose another"
        )


def _divided(place: Path | str) -> tuple[Path | str, str]:
    """Return the place that holds a dataset, and the dataset's name."""
    found = place_of(place)
    if isinstance(found, Path):
        path = found.expanduser().absolute()
        return path.parent, path.name
    around, _, name = found.rstrip("/").rpartition("/")
    if not name or around.endswith("/"):
        raise InvalidNameError(f"{_EXPECTED}; found {found}")
    return around, name
