"""The places where runs run: this machine, and Ray clusters."""

from __future__ import annotations

from workbench.persistence.run_folder import RunFolder
from workbench.training.config import LOCAL, TrainingJob
from workbench.training.places.base import Place
from workbench.training.places.local import LocalPlace
from workbench.training.places.ray import RayPlace

__all__ = ["Place", "place_at", "place_of"]


def place_at(where: str) -> Place:
    """Return a place by its name or address.

    Parameters
    ----------
    where : str
        ``"local"``: this machine. ``"ray"``: the Ray cluster that the environment variable
        ``RAY_ADDRESS`` names. Else the address of one: ``"http://head:8265"``, or
        ``"ray://head:10001"``, whose jobs are taken on port 8265.

    Raises
    ------
    InvalidConfigError
        If it is neither.
    """
    return LocalPlace() if where == LOCAL else RayPlace.at(where)


def place_of(folder: RunFolder) -> Place:
    """Return the place of a run, as its job says it.

    Raises
    ------
    InvalidConfigError
        If the job cannot be read.
    NotFoundError
        If the folder is no run.
    """
    return place_at(TrainingJob.from_json(folder.read_job()).where)
