"""Where images are found again in another listing of the same dataset."""

from __future__ import annotations

from itertools import repeat

import numpy as np
import numpy.typing as npt

from workbench.persistence.models import SPLITS

Splits = npt.NDArray[np.int8]


def find_places(
    filenames: list[str],
    split: Splits,
    wanted: list[str],
    wanted_split: Splits,
) -> npt.NDArray[np.int64]:
    """Return for each wanted image its position in a listing; -1 where it is not there.

    A dictionary of ``(split, filename)`` would say the same, but the tuples of a million
    images take seconds to make, and keep the garbage collector busy.

    Parameters
    ----------
    filenames : list of str
        Of the listing.
    split : ndarray of int8, shape (images,)
        Index into `SPLITS`, as in `DatasetIndex`.
    wanted : list of str
        File names of the wanted images.
    wanted_split : ndarray of int8, shape (wanted,)
    """
    if wanted == filenames and np.array_equal(wanted_split, split):
        return np.arange(len(wanted), dtype=np.int64)
    found = np.full(len(wanted), -1, dtype=np.int64)
    for number in range(len(SPLITS)):
        own, asked = np.flatnonzero(split == number), np.flatnonzero(wanted_split == number)
        if not len(own) or not len(asked):
            continue
        names = [wanted[i] for i in asked.tolist()]
        once = frozenset(names)
        place = {name: i for i in own.tolist() if (name := filenames[i]) in once}
        found[asked] = np.fromiter(map(place.get, names, repeat(-1)), np.int64, len(names))
    return found
