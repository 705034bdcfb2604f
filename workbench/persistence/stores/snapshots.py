"""A frozen copy of a dataset, in files, that a training run may do as it likes with."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TypeVar

from workbench.errors import AlreadyExistsError, ReadOnlyError
from workbench.persistence.models import SPLITS, ImageKey, Progress, Snapshot
from workbench.persistence.stores import version_files
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, image_key, label_key
from workbench.persistence.stores.label_reading import read_whole
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import stem

_AT_ONCE, _AT_ONCE_FAR = 128, 1024
"""Label files that are read in one call, and images that are copied: the more, the less often
all have to wait for the last of them."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """A state of a dataset that can be copied.

    Parameters
    ----------
    yaml : DataYaml
    images : dict of (str, str) to bool
        Whether each has a label file, in the order of a listing.
    source : callable
        Returns the key of an image's bytes.
    labels : callable
        Returns the bytes of the label files of some images.
    """

    yaml: DataYaml
    images: dict[ImageKey, bool]
    source: Callable[[ImageKey], str]
    labels: Callable[[Sequence[ImageKey]], list[bytes | None]]


def take(
    dataset: Dataset,
    folder: Path | str,
    *,
    version: str | None,
    labelled_only: bool,
    progress: Progress,
) -> Snapshot:
    """Freeze a dataset in a new folder; leaves nothing there if it fails."""
    target = Path(os.path.abspath(folder))
    progress = _only_forward(progress)
    if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExistsError(
            f"{target} exists and is not an empty folder; choose another, or one that is not there"
        )

    def copy(yaml: DataYaml) -> tuple[dict[ImageKey, bool], str]:
        if target.exists() and any(target.iterdir()):
            # What an attempt has left during which the dataset was changed.
            _remove(target)
        state = _present(dataset, yaml) if version is None else kept(dataset, version)
        for kind in ("images", "labels"):
            for split in SPLITS:
                (target / kind / split).mkdir(parents=True, exist_ok=True)
        images = {
            key: is_labelled
            for key, is_labelled in state.images.items()
            if is_labelled or not labelled_only
        }
        digest = _copy(dataset, state, images, target, progress)
        (target / DATA_YAML).write_bytes(state.yaml.to_bytes())
        return images, digest

    try:
        images, digest = _undisturbed(dataset, copy)
    except BaseException:
        _remove(target)
        raise
    num_images = Counter(split for split, _ in images)
    num_labelled = Counter(split for (split, _), is_labelled in images.items() if is_labelled)
    return Snapshot(
        path=target,
        data_yaml=target / DATA_YAML,
        num_images={split: num_images[split] for split in SPLITS},
        num_labelled={split: num_labelled[split] for split in SPLITS},
        digest=digest,
    )


class _DisturbedError(Exception):
    """Somebody has changed the dataset meanwhile."""


def _undisturbed(dataset: Dataset, copy: Callable[[DataYaml], T]) -> T:
    """Copy a dataset as it is at one moment.

    Where that takes minutes, others shall be able to save meanwhile. So they are kept from it
    only if somebody did, when most of it is here already and a second copy takes less long.
    """
    is_first = True

    def once() -> T:
        nonlocal is_first
        if not is_first:
            raise _DisturbedError
        is_first = False
        return copy(dataset.read())

    if dataset.storage.is_far:
        with suppress(_DisturbedError):
            return dataset.consistently(once)
    try:
        # Under the lease, so that no move of an image and its labels is seen half done.
        with dataset.leased() as (yaml, _):
            return copy(yaml)
    except ReadOnlyError:
        # A dataset that others look after can be trained on, too.
        return dataset.consistently(lambda: copy(dataset.read()))


def _only_forward(progress: Progress) -> Progress:
    """Return a progress that does not fall back where a copy is made a second time."""
    furthest = 0

    def tell(done: int, total: int) -> None:
        nonlocal furthest
        furthest = max(furthest, done)
        progress(min(furthest, total), total)

    return tell


def _remove(target: Path) -> None:
    if os.path.lexists(target):
        shutil.rmtree(target)


def _present(dataset: Dataset, yaml: DataYaml) -> State:
    dataset.ahead(SPLITS)
    labelled = {split: dataset.label_stems(split) for split in SPLITS}
    return State(
        yaml,
        {
            (split, name): stem(name) in labelled[split]
            for split in SPLITS
            for name in dataset.image_names(split)
        },
        lambda key: image_key(*key),
        lambda keys: read_whole(dataset.storage, [label_key(*key) for key in keys]),
    )


def kept(dataset: Dataset, version: str) -> State:
    """Return what a version keeps; where its images lie is checked when it is asked."""
    _, contents = version_files.read(dataset, version)
    images = contents.images

    def source(key: ImageKey) -> str:
        # Its bytes are checked to the end: what somebody has written into is not the version.
        copies = {images[key].sha256: key}
        return version_files.sound_source(dataset, key, images[key], copies)

    return State(
        contents.yaml,
        {key: images[key].label is not None for key in sorted(images, key=_place)},
        source,
        lambda keys: [images[key].label for key in keys],
    )


def _place(key: ImageKey) -> tuple[int, str]:
    split, filename = key
    return SPLITS.index(split), filename


def _copy(
    dataset: Dataset,
    state: State,
    images: dict[ImageKey, bool],
    target: Path,
    progress: Progress,
) -> str:
    """Copy images and labels; return the digest of what was copied."""
    digest = hashlib.sha256(repr(state.yaml.classes).encode())
    keys, done = list(images), 0
    at_once = _AT_ONCE_FAR if dataset.storage.is_far else _AT_ONCE
    for start in range(0, len(keys), at_once):
        some = keys[start : start + at_once]
        labels = iter(state.labels(list(compress(some, map(images.__getitem__, some)))))
        paths = [f"{target}/{image_key(*key)}" for key in some]
        # Never a link: what a script writes into the original would reach the run, and what
        # Ultralytics does to a JPEG with bytes behind its end, the original.
        dataset.storage.copy_out_many([*zip(map(state.source, some), paths, strict=True)])
        for key, path in zip(some, paths, strict=True):
            line = f"\n{'/'.join(key)} {os.stat(path).st_size}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
            label = next(labels) if images[key] else None
            if label is not None:
                with open(f"{target}/{label_key(*key)}", "xb") as file:
                    file.write(label)
                digest.update(label)
            done += 1
            progress(done, len(images))
    return digest.hexdigest()
