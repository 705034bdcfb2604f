"""A frozen copy of a dataset that a training run may do as it likes with."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from workbench.errors import AlreadyExistsError
from workbench.persistence.filesystem.atomic import remove_tree, write_new
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names, label_stems
from workbench.persistence.filesystem.label_table import read_file
from workbench.persistence.filesystem.paths import DatasetPaths, stem
from workbench.persistence.models import SPLITS, Progress, Snapshot

_JPEG = (".jpg", ".jpeg")
_JPEG_END = b"\xff\xd9"


def take(folder: DatasetFolder, target: str, labelled_only: bool, progress: Progress) -> Snapshot:
    """Freeze a dataset in the new folder `target`; leaves nothing there if it fails."""
    target = os.path.abspath(target)
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise AlreadyExistsError(f"{target} exists and is not an empty folder")
    try:
        # Under the lock, so that no move of an image and its labels is seen half done.
        with folder.writing() as yaml:
            view = DatasetPaths(target)
            for path in view.split_folders():
                os.makedirs(path, exist_ok=True)
            digest = hashlib.sha256(repr(yaml.classes).encode())
            counts = _copy_splits(folder, view, labelled_only, digest, progress)
            write_new(view.data_yaml, yaml.to_bytes())
    except BaseException:
        remove_tree(target)
        raise
    return Snapshot(
        path=Path(view.root),
        data_yaml=Path(view.data_yaml),
        num_images={split: images for split, (images, _) in counts.items()},
        num_labelled={split: labelled for split, (_, labelled) in counts.items()},
        digest=digest.hexdigest(),
    )


def _copy_splits(
    folder: DatasetFolder,
    view: DatasetPaths,
    labelled_only: bool,
    digest: hashlib._Hash,
    progress: Progress,
) -> dict[str, tuple[int, int]]:
    labelled = {split: label_stems(folder, split) for split in SPLITS}
    names = {
        split: [
            name
            for name in image_names(folder, split)
            if not labelled_only or stem(name) in labelled[split]
        ]
        for split in SPLITS
    }
    total = sum(map(len, names.values()))
    counts, done = {}, 0
    for split in SPLITS:
        stems = labelled[split]
        for filename in names[split]:
            source = folder.paths.image(split, filename)
            _link_or_copy(source, view.image(split, filename))
            size = os.stat(source).st_size
            digest.update(f"\n{split}/{filename} {size}\n".encode())
            if stem(filename) in stems:
                labels = read_file(folder.paths.label(split, filename))
                write_new(view.label(split, filename), labels, sync=False)
                digest.update(labels)
            done += 1
            progress(done, total)
        counts[split] = (len(names[split]), sum(stem(name) in stems for name in names[split]))
    return counts


def _link_or_copy(source: str, target: str) -> None:
    # Ultralytics rewrites a JPEG with bytes behind its end marker in place, which would
    # reach the original through a hard link. Our own writes replace files and never do.
    if not os.path.islink(source) and not has_trailing_bytes(source):
        try:
            os.link(source, target)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copyfile(source, target)


def has_trailing_bytes(path: str) -> bool:
    """Whether Ultralytics would rewrite this file in place: a JPEG with more than an image."""
    if not path.lower().endswith(_JPEG):
        return False
    with open(path, "rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_JPEG_END)))
        return file.read() != _JPEG_END
