"""What every operation on a dataset returns: what was done, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workbench.errors import AlreadyExistsError, ConflictError, NotFoundError
from workbench.persistence.counting import counted
from workbench.persistence.models import Annotation

__all__ = ["BoxRef", "Change", "counted", "nothing_to_undo", "undoing"]


@dataclass(frozen=True, slots=True)
class BoxRef:
    """One box of a dataset.

    Parameters
    ----------
    split, filename : str
        Of the image.
    position : int
        Of the box, as `LabelStore.load` counts them.
    expected : Annotation, optional
        The box that is meant: whoever changes it is told if another stands there by then.
    """

    split: str
    filename: str
    position: int
    expected: Annotation | None = None

    @property
    def image(self) -> tuple[str, str]:
        """The image, as ``(split, filename)``."""
        return self.split, self.filename


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to a dataset.

    Parameters
    ----------
    description : str
        One phrase for people: ``"3 images moved to val"``.
    undo : callable
        ``await change.undo()`` takes it back as a whole. It raises `ConflictError`, and
        nothing is undone, where that would destroy what was done since.
    """

    description: str
    undo: Callable[[], Awaitable[None]]


async def nothing_to_undo() -> None:
    """Undo a change that changed nothing."""


@contextmanager
def undoing(description: str) -> Iterator[None]:
    """Tell errors of an undo as what they are: somebody has been here since.

    Raises
    ------
    ConflictError
        For things that are gone, and for places that are taken by now.
    """
    try:
        yield
    except (NotFoundError, AlreadyExistsError) as error:
        raise ConflictError(
            f"cannot undo ({description}), because things have changed since; "
            f"nothing was undone: {error}"
        ) from error
