"""What somebody saw when deciding on an action, and what is different by the time it is done.

An action on chosen images is decided on what a panel showed of them. By the time it is done
somebody may have drawn boxes on one, replaced or moved it. Such an image is left as it is, and
both states are told; for all others the action is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.datasets.changes import counted
from workbench.datasets.index_table import STATES, DatasetIndex
from workbench.datasets.places import find_places
from workbench.errors import ConflictError
from workbench.persistence.models import SPLITS, ImageKey

LABELLED = "labelled"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """An image that is not what it was when somebody decided what to do with it.

    Parameters
    ----------
    image : (str, str)
        Split and file name.
    before, now : str
        Both states in words, such as ``"unlabelled"`` and ``"22 boxes"``.
    """

    image: ImageKey
    before: str
    now: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.image[0]}/{self.image[1]}: was {self.before}, is {self.now} now"


class ChangedSinceError(ConflictError):
    """Nothing of an action was done, because everything it is about was changed since.

    Parameters
    ----------
    differences : sequence of Difference
    """

    def __init__(self, differences: Sequence[Difference]) -> None:
        self.differences = tuple(differences)
        super().__init__(left_as_it_is(differences))


def left_as_it_is(differences: Sequence[Difference]) -> str:
    """Return in words what was left, and why."""
    what = counted(len(differences), "image")
    lines = "; ".join(str(one) for one in differences[:_SHOWN])
    more = f"; and {len(differences) - _SHOWN:,} more" if len(differences) > _SHOWN else ""
    was = "was" if len(differences) == 1 else "were"
    return (
        f"{what} {was} left, changed elsewhere since you chose: {lines}{more}. Look again, and "
        f"repeat it if you still want it."
    )


def differences(
    before: DatasetIndex, now: DatasetIndex, images: Sequence[ImageKey]
) -> list[Difference]:
    """Return which images are not what they were, in their order.

    Parameters
    ----------
    before : DatasetIndex
        The dataset as it was when somebody chose.
    now : DatasetIndex
        As it is now.
    images : sequence of (str, str)
    """
    if now is before:
        return []
    found = []
    old_places, new_places = _places(before, images), _places(now, images)
    for image, old, new in zip(images, old_places, new_places, strict=True):
        if new < 0 or old < 0:
            if new != old:
                found.append(Difference(image, _state(before, old), _whereabouts(now, image, new)))
        elif not _is_same(before, old, now, new):
            replaced = _bytes(before, old) != _bytes(now, new)
            words = "another picture, " if replaced else ""
            found.append(Difference(image, _state(before, old), words + _state(now, new)))
    return found


def require_same_classes(before: Sequence[str], now: Sequence[str]) -> None:
    """Make sure that class ids still mean what they meant when somebody chose one.

    Raises
    ------
    ConflictError
        If they do not; classes may have been added behind the others.
    """
    if list(now[: len(before)]) != list(before):
        raise ConflictError(
            f"The classes were changed elsewhere since you chose: they were "
            f"{', '.join(before) or 'none'}, and are {', '.join(now) or 'none'} now. Nothing was "
            f"done; choose again."
        )


def _places(index: DatasetIndex, images: Sequence[ImageKey]) -> list[int]:
    numbers = np.array([SPLITS.index(split) for split, _ in images], dtype=np.int8)
    names = [name for _, name in images]
    return [int(place) for place in find_places(index.filenames, index.split, names, numbers)]


def _bytes(index: DatasetIndex, place: int) -> tuple[int, int]:
    return int(index.size_bytes[place]), int(index.modified_ns[place])


def _is_same(before: DatasetIndex, old: int, now: DatasetIndex, new: int) -> bool:
    if _bytes(before, old) != _bytes(now, new) or before.state[old] != now.state[new]:
        return False
    was, is_ = before.boxes_of(old), now.boxes_of(new)
    return np.array_equal(was[0], is_[0]) and np.array_equal(was[1], is_[1])


def _state(index: DatasetIndex, place: int) -> str:
    if place < 0:
        return "not there"
    state = STATES[index.state[place]]
    return counted(int(index.num_boxes[place]), "box", "boxes") if state == LABELLED else state


def _whereabouts(index: DatasetIndex, image: ImageKey, place: int) -> str:
    """Return the state of an image, or where it has gone to."""
    if place < 0:
        for split in SPLITS:
            if _places(index, [(split, image[1])]) != [-1]:
                return f"in {split}"
    return _state(index, place)
