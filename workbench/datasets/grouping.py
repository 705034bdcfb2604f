"""Which images belong together, so that no two splits share a scene.

Frames of one video look alike: a model that trains on one and is judged by the next is
praised for its memory. So whole groups are dealt out, never single frames of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.datasets.duplicates import find_duplicates
from workbench.persistence import DataStores
from workbench.persistence.models import Progress, no_progress

GroupBy = Callable[[str], Hashable] | Mapping[str, Hashable] | str | None

BY_NAME = "name"
"""Frames of one video and pictures of one burst, as their names tell."""
BY_BURST = "burst"
"""Pictures that were captured in one go, as was noted when they were."""
BY_LOOKS = "looks"
"""Pictures that look alike, whatever they are called; see `duplicates.find_duplicates`."""

# Android names the pictures of a burst so: 00001IMG_00001_BURST20240102030405_COVER.
_BURST = re.compile(r".*?BURST(\d{14,17}).*", re.IGNORECASE)
_BURST_NUMBER = re.compile(r"(.+?)_?BURST\d+(?:_COVER)?", re.IGNORECASE)
# Roboflow's exports: <name>_<extension>.rf.<hash>, several for one picture it has augmented.
_ROBOFLOW = re.compile(r"[_.](?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9A-Za-z]+$", re.IGNORECASE)
# A name with a letter in it, then its last number, with or without something in between.
_FRAME = re.compile(
    r"(?=.*[^\W\d_])(.+?)(?:[ _\-.(]+|(?<=\D))(?:frame|frm|f)?[ _\-.(]*\d+\)?", re.IGNORECASE
)


def group_of_name(filename: str) -> str:
    """Return what the names of one video's frames, or of one burst's pictures, share.

    ``video_000123.jpg``, ``video-frame12.png`` and ``video (3).jpg`` belong to ``video``;
    pictures of a burst to their burst; copies that Roboflow has made to their original. A
    name without a number, or that is nothing but one, stands for itself.
    """
    name = _ROBOFLOW.sub("", Path(filename).stem)
    burst = _BURST.fullmatch(name)
    if burst is not None:
        return f"BURST{burst[1]}"
    match = _BURST_NUMBER.fullmatch(name) or _FRAME.fullmatch(name)
    return name if match is None else match[1]


def group_index(filenames: Sequence[str], group_by: GroupBy) -> npt.NDArray[np.int64]:
    """Return the number of the group that each image is in.

    Parameters
    ----------
    filenames : sequence of str
    group_by : callable, mapping, "name" or None
        ``group_by(filename)`` or ``group_by[filename]`` says the group; whoever is not in
        the mapping, or whose group is None, stands for itself. ``"name"`` goes by
        `group_of_name`. None: each image stands for itself.

    Returns
    -------
    ndarray of int64, shape (images,)
        Group of each image, numbered from 0 in the order of first appearance.

    Raises
    ------
    ValueError
        If `group_by` is anything else.
    """
    if group_by is None:
        return np.arange(len(filenames), dtype=np.int64)
    numbers: dict[Hashable, int] = {}
    find = _finder(group_by)
    index = np.empty(len(filenames), dtype=np.int64)
    for position, name in enumerate(filenames):
        group = find(name)
        key = (name, position) if group is None else ("group", group)
        index[position] = numbers.setdefault(key, len(numbers))
    return index


async def known_groups(
    stores: DataStores, dataset: str, group_by: GroupBy, *, progress: Progress = no_progress
) -> GroupBy:
    """Return the same, or which image is in which group where only the dataset knows that.

    Parameters
    ----------
    group_by : callable, mapping, "name", "burst", "looks" or None
        What is not ``"burst"`` or ``"looks"`` is returned as it is.
    progress : callable
        Told the number of images examined for their looks, and to examine; raise from it to
        cancel.
    """
    if group_by == BY_BURST:
        sources = await stores.image.sources(dataset)
        return {name: source.burst or None for (_, name), source in sources.items()}
    if group_by == BY_LOOKS:
        found = await find_duplicates(stores, dataset, progress=progress)
        names = found.images.table.filenames
        return {names[i]: number for number, g in enumerate(found.near) for i in g.tolist()}
    return group_by


def _finder(group_by: GroupBy) -> Callable[[str], Hashable]:
    if group_by == BY_NAME:
        return group_of_name
    if isinstance(group_by, Mapping):
        return group_by.get
    if callable(group_by):
        return group_by
    raise ValueError(
        f"group_by: expected a function of the file name, a mapping from it, "
        f"{BY_NAME!r}, {BY_BURST!r}, {BY_LOOKS!r} or None, found {group_by!r}"
    )
