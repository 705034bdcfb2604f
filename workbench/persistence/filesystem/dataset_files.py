"""What the dataset store does on disk; plain functions."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import InvalidDatasetError, NotFoundError
from workbench.persistence.filesystem import history_files, source_files, tag_files
from workbench.persistence.filesystem.atomic import write_new
from workbench.persistence.filesystem.data_yaml import DataYaml
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import checked, image_names, label_stems
from workbench.persistence.filesystem.label_table import read_file
from workbench.persistence.filesystem.label_text import clean_annotations, format_labels
from workbench.persistence.filesystem.migrations import facts_bytes
from workbench.persistence.filesystem.paths import DatasetPaths, stem
from workbench.persistence.models import SPLITS, DatasetInfo, ImageKey, NewImage, Progress
from workbench.persistence.rules import (
    encode,
    image_size,
    no_same_stem,
    require_distinct_by_case,
)
from workbench.persistence.tags import tags_bytes


def info(folder: DatasetFolder) -> DatasetInfo:
    """Return what a dataset holds, counting images by listing its folders once."""
    yaml = folder.read()
    paths = folder.paths
    created_at = _created_at(paths)
    return DatasetInfo(
        name=folder.name,
        path=Path(paths.root),
        classes=list(yaml.classes),
        num_images={split: len(image_names(folder, split)) for split in SPLITS},
        created_at=created_at,
        modified_at=max(created_at, _modified_at(paths)),
    )


def _created_at(paths: DatasetPaths) -> datetime:
    try:
        with open(paths.facts, "rb") as file:
            return datetime.fromisoformat(json.load(file)["created_at"])
    except FileNotFoundError:
        return datetime.fromtimestamp(os.stat(paths.data_yaml).st_mtime, UTC)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidDatasetError(
            f"{paths.facts}: expected the facts of a dataset, found {error!r}; remove the file"
        ) from error


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
        split, filename = checked(image.split, image.filename)
        other = owners.setdefault((split, stem(filename)), filename)
        if done > len(owners):
            raise no_same_stem(filename, other, split)
        write_new(paths.image(split, filename), content_bytes(image, filename), sync=False)
        if image.annotations is not None:
            clean = clean_annotations(image.annotations, num_classes, f"{split}/{filename}")
            write_new(paths.label(split, filename), format_labels(clean), sync=False)
        progress(done, max(total, done))


def content_bytes(image: NewImage, filename: str) -> bytes:
    """Return the encoded bytes of a new image.

    Raises
    ------
    InvalidFrameError
        If they are no image.
    NotFoundError
        If the file is not there.
    """
    content = image.content
    if isinstance(content, (Path, str)):
        try:
            data = read_file(os.fspath(content))
        except FileNotFoundError:
            raise NotFoundError(f"{content}: expected an image file, found none") from None
        image_size(data, os.fspath(content))
        return data
    if isinstance(content, bytes):
        image_size(content, filename)
        return content
    return encode(content, filename)


def read_prompts(paths: DatasetPaths) -> dict[int, list[str]]:
    """Return the prompts by class id."""
    try:
        return prompts_from(read_file(paths.prompts), paths.prompts)
    except FileNotFoundError:
        return {}


def prompts_from(data: bytes, path: str) -> dict[int, list[str]]:
    """Read the bytes of the file that holds prompts; `path` is for the message."""
    try:
        content: Any = json.loads(data)
        return {int(class_id): list(texts) for class_id, texts in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidDatasetError(
            f"{path}: expected prompts by class id, found {error!r}; remove the file"
        ) from error


def prompts_bytes(prompts: dict[int, list[str]]) -> bytes:
    """Return the bytes of the file that holds prompts."""
    return json.dumps(prompts, ensure_ascii=False, indent=1).encode()


def export_entries(
    folder: DatasetFolder, yaml: DataYaml, only: Collection[ImageKey] | None = None
) -> tuple[list[tuple[str, str]], bytes]:
    """Return what an archive of the dataset, or `only` of some images, holds.

    Returns
    -------
    entries : list of (str, str)
        Name in the archive, and path on disk, of every file but ``data.yaml``. A label
        follows its image, so that a reader has both at hand.
    data_yaml : bytes
    """
    paths = folder.paths
    logs = history_files.files(folder) + source_files.files(folder) if only is None else []
    entries = [
        (path.removeprefix(f"{paths.root}/"), path)
        for path in (paths.facts, paths.prompts, paths.tags, *logs)
        if os.path.isfile(path)
    ]
    for split in SPLITS:
        names = image_names(folder, split) if only is None else _chosen(folder, split, only)
        stems = label_stems(folder, split)
        require_distinct_by_case(names, split)
        for filename in names:
            entries.append((f"images/{split}/{filename}", paths.image(split, filename)))
            if stem(filename) in stems:
                label = paths.label(split, filename)
                entries.append((f"labels/{split}/{os.path.basename(label)}", label))
    return entries, yaml.to_bytes()


def _chosen(folder: DatasetFolder, split: str, only: Collection[ImageKey]) -> list[str]:
    names = sorted(filename for where, filename in only if where == split)
    for filename in names:
        folder.require_image(split, filename)
    return names


def copy_images(
    source: DatasetFolder,
    yaml: DataYaml,
    building: str,
    images: Collection[ImageKey],
    progress: Progress,
) -> None:
    """Write a dataset of some images of another into a folder under construction."""
    target = write_skeleton(building, yaml)
    prompts, tags = read_prompts(source.paths), tag_files.read(source)
    names = {filename for _, filename in images}
    kept = {tag: [n for n in hung if n in names] for tag, hung in tags.items()}
    if prompts:
        write_new(target.prompts, prompts_bytes(prompts), sync=False)
    if any(kept.values()):
        write_new(target.tags, tags_bytes(kept), sync=False)
    for done, (split, filename) in enumerate(sorted(images), start=1):
        # Copied, not linked: other programs may write through a link into the original.
        shutil.copyfile(source.require_image(split, filename), target.image(split, filename))
        label = source.paths.label(split, filename)
        if os.path.isfile(label):
            write_new(target.label(split, filename), read_file(label), sync=False)
        progress(done, len(images))


def list_names(data_dir: Path) -> Sequence[str]:
    """Return the names of the folders that hold a ``data.yaml``, sorted."""
    return sorted(
        name
        for name in os.listdir(data_dir)
        if not name.startswith(".") and os.path.isfile(f"{data_dir}/{name}/data.yaml")
    )
