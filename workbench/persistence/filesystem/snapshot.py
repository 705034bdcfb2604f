"""A frozen copy of a dataset that a training run may do as it likes with."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import AlreadyExistsError, ReadOnlyError
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.dataset_paths import DatasetPaths
from workbench.persistence.image_reading import require_file
from workbench.persistence.models import SPLITS, ImageKey, Progress, Snapshot
from workbench.persistence.storage.local.atomic import remove_tree, write_new
from workbench.persistence.storage.local.cloning import Cloner
from workbench.persistence.stores import version_files
from workbench.persistence.versions import Entry
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import read_labels
from workbench.persistence.yolo.names import stem


@dataclass(frozen=True, slots=True)
class _State:
    """A state of a dataset that can be copied.

    Parameters
    ----------
    yaml : DataYaml
    images : dict of (str, str) to bool
        Whether each has a label file, in the order of a listing.
    source : callable
        Returns the path of an image's bytes.
    label : callable
        Returns the bytes of an image's label file.
    """

    yaml: DataYaml
    images: dict[ImageKey, bool]
    source: Callable[[ImageKey], str]
    label: Callable[[ImageKey], bytes]


def take(
    folder: DatasetFolder,
    target: str,
    *,
    version: str | None,
    labelled_only: bool,
    progress: Progress,
) -> Snapshot:
    """Freeze a dataset in the new folder `target`; leaves nothing there if it fails."""
    target = os.path.abspath(target)
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise AlreadyExistsError(f"{target} exists and is not an empty folder")

    def copy(yaml: DataYaml) -> tuple[dict[ImageKey, bool], str]:
        # What an attempt has left during which the dataset was changed.
        if os.path.lexists(target) and os.listdir(target):
            remove_tree(target)
        state = _present(folder, yaml) if version is None else _kept(folder, version)
        view = DatasetPaths(target)
        for path in view.split_folders():
            os.makedirs(path, exist_ok=True)
        images = {
            key: is_labelled
            for key, is_labelled in state.images.items()
            if is_labelled or not labelled_only
        }
        digest = _copy(state, images, view, progress)
        write_new(view.data_yaml, state.yaml.to_bytes())
        return images, digest

    try:
        try:
            # Under the lock, so that no move of an image and its labels is seen half done.
            with folder.writing() as yaml:
                images, digest = copy(yaml)
        except ReadOnlyError:
            # A dataset that others look after can be trained on, too.
            images, digest = folder.consistently(lambda: copy(folder.read()))
    except BaseException:
        remove_tree(target)
        raise
    view = DatasetPaths(target)
    num_images = Counter(split for split, _ in images)
    num_labelled = Counter(split for (split, _), is_labelled in images.items() if is_labelled)
    return Snapshot(
        path=Path(view.root),
        data_yaml=Path(view.data_yaml),
        num_images={split: num_images[split] for split in SPLITS},
        num_labelled={split: num_labelled[split] for split in SPLITS},
        digest=digest,
    )


def _present(folder: DatasetFolder, yaml: DataYaml) -> _State:
    labelled = {split: folder.label_stems(split) for split in SPLITS}
    return _State(
        yaml,
        {
            (split, name): stem(name) in labelled[split]
            for split in SPLITS
            for name in folder.image_names(split)
        },
        lambda key: folder.paths.image(*key),
        lambda key: read_labels(folder.paths.label(*key)),
    )


def _kept(folder: DatasetFolder, version: str) -> _State:
    _, contents = version_files.read(folder, version)
    images = contents.images

    def source(key: ImageKey) -> str:
        # Its bytes are checked to the end: what somebody has written into is not the version.
        copies = {images[key].sha256: key}
        return folder.paths.at(version_files.sound_source(folder, key, images[key], copies))

    def is_labelled(entry: Entry) -> bool:
        return entry.label is not None

    return _State(
        contents.yaml,
        {key: is_labelled(images[key]) for key in sorted(images, key=_place)},
        source,
        lambda key: images[key].label or b"",
    )


def _place(key: ImageKey) -> tuple[int, str]:
    split, filename = key
    return SPLITS.index(split), filename


def _copy(
    state: _State, images: dict[ImageKey, bool], view: DatasetPaths, progress: Progress
) -> str:
    """Copy images and labels; return the digest of what was copied."""
    digest = hashlib.sha256(repr(state.yaml.classes).encode())
    cloner = Cloner()
    for done, (key, is_labelled) in enumerate(images.items(), start=1):
        split, filename = key
        source = state.source(key)
        require_file(source)
        # Never a link: what a script writes into the original would reach the run, and what
        # Ultralytics does to a JPEG with bytes behind its end, the original.
        with open(source, "rb", buffering=0) as original:
            cloner.copy(original, view.image(split, filename))
        line = f"\n{split}/{filename} {os.stat(source).st_size}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        if is_labelled:
            labels = state.label(key)
            write_new(view.label(split, filename), labels, sync=False)
            digest.update(labels)
        progress(done, len(images))
    return digest.hexdigest()
