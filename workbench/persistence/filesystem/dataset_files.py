"""What the dataset store does on disk; plain functions."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import InvalidDatasetError, WorkbenchError
from workbench.persistence import links
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.dataset_paths import DatasetPaths
from workbench.persistence.filesystem.migrations import facts_bytes
from workbench.persistence.models import SPLITS, DatasetInfo, ImageKey, NewImage, Progress
from workbench.persistence.prompts import prompts_bytes
from workbench.persistence.rules import no_same_stem
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import write_new
from workbench.persistence.stored_json import MALFORMED, time_of
from workbench.persistence.stores.image_adding import content_bytes
from workbench.persistence.stores.side_data import read_prompts, read_tags
from workbench.persistence.tags import tags_bytes
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import read_labels
from workbench.persistence.yolo.label_text import clean_annotations, format_labels
from workbench.persistence.yolo.names import check_image, stem

_log = logging.getLogger(__name__)
_OF_THIS_PROCESS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing of the dataset."""


def info(folder: DatasetFolder) -> DatasetInfo:
    """Return what a dataset holds, counting images by listing its folders once.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    InvalidDatasetError
        If it cannot be read.
    """
    try:
        return _info(folder)
    except WorkbenchError:
        raise
    except OSError as error:
        if error.errno in _OF_THIS_PROCESS:
            raise
        raise InvalidDatasetError(
            f"{folder.paths.root}: expected a dataset that can be read, found: {error.strerror} "
            f"({error.filename}); see to it, or move the folder away"
        ) from error


def _info(folder: DatasetFolder) -> DatasetInfo:
    yaml = folder.read()
    paths = folder.paths
    created_at = _created_at(paths)
    return DatasetInfo(
        name=folder.name,
        path=Path(paths.root),
        classes=list(yaml.classes),
        num_images={split: len(folder.image_names(split)) for split in SPLITS},
        created_at=created_at,
        modified_at=max(created_at, _modified_at(paths)),
    )


def _created_at(paths: DatasetPaths) -> datetime:
    try:
        facts = inside.read_json(paths.root, paths.below(paths.facts), "the facts of a dataset")
        return time_of(facts["created_at"])
    except FileNotFoundError:
        pass
    except MALFORMED as error:
        # A dataset whose time of creation cannot be read must still open.
        _log.warning("%s tells no time at which the dataset was made: %s", paths.facts, error)
    return datetime.fromtimestamp(os.stat(paths.data_yaml).st_mtime, UTC)


def _modified_at(paths: DatasetPaths) -> datetime:
    # Every change goes through a rename, and a rename touches the folder.
    times = []
    for path in (paths.data_yaml, paths.prompts, *paths.split_folders()):
        try:
            times.append(os.stat(path).st_mtime)
        except FileNotFoundError:
            continue
    return datetime.fromtimestamp(max(times), UTC)


def write_skeleton(root: str, yaml: DataYaml) -> DatasetPaths:
    """Write a dataset without images into an empty folder, which need not be its last place."""
    paths = DatasetPaths(root)
    for path in (*paths.split_folders(), f"{paths.hidden}/tmp"):
        os.makedirs(path, exist_ok=True)
    write_new(paths.data_yaml, yaml.to_bytes(), sync=False)
    if not os.path.lexists(paths.facts):
        write_new(paths.facts, facts_bytes(datetime.now(UTC)), sync=False)
    return paths


def fill(
    paths: DatasetPaths,
    num_classes: int,
    images: Iterable[NewImage],
    progress: Progress,
    total: int,
) -> None:
    """Write images and labels into a dataset under construction."""
    owners: dict[tuple[str, str], str] = {}
    done = 0
    for done, image in enumerate(images, start=1):
        split, filename = check_image(image.split, image.filename)
        other = owners.setdefault((split, stem(filename)), filename)
        if done > len(owners):
            raise no_same_stem(filename, other, split)
        write_new(paths.image(split, filename), content_bytes(image, filename), sync=False)
        if image.annotations is not None:
            clean = clean_annotations(image.annotations, num_classes, f"{split}/{filename}")
            write_new(paths.label(split, filename), format_labels(clean), sync=False)
        progress(done, max(total, done))


def copy_images(
    source: DatasetFolder,
    yaml: DataYaml,
    building: str,
    images: Collection[ImageKey],
    progress: Progress,
) -> None:
    """Write a dataset of some images of another into a folder under construction."""
    files = [(f"images/{split}", filename) for split, filename in images]
    files += [(f"labels/{split}", f"{stem(filename)}.txt") for split, filename in images]
    links.require_inside(source.name, source.paths.root, files, "nothing was copied")
    target = write_skeleton(building, yaml)
    prompts, tags = read_prompts(source.storage), read_tags(source.storage)
    names = {filename for _, filename in images}
    kept = {tag: [n for n in hung if n in names] for tag, hung in tags.items()}
    if prompts:
        write_new(target.prompts, prompts_bytes(prompts), sync=False)
    if any(kept.values()):
        write_new(target.tags, tags_bytes(kept), sync=False)
    for done, (split, filename) in enumerate(sorted(images), start=1):
        # Copied, not linked: other programs may write through a link into the original.
        shutil.copyfile(source.image_path(split, filename), target.image(split, filename))
        label = source.paths.label(split, filename)
        if os.path.isfile(label):
            write_new(target.label(split, filename), read_labels(label), sync=False)
        progress(done, len(images))


def list_names(data_dir: Path) -> Sequence[str]:
    """Return the names of the folders that hold a ``data.yaml``, of whatever kind, sorted."""
    return sorted(
        name
        for name in os.listdir(data_dir)
        if not name.startswith(".") and os.path.lexists(f"{data_dir}/{name}/data.yaml")
    )
