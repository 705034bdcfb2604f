"""What an archive of a dataset holds: its own files, and nothing that a link only points at.

A folder that came from a stranger may hold a link ``images/train/x.jpg`` to a picture of
the user's own, or in the place of a hidden file one to a private key. Whoever exports the
dataset and hands the archive on would hand these on, too.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from workbench.persistence import links
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.rules import require_distinct_by_case
from workbench.persistence.storage.local import inside
from workbench.persistence.stores import history_log, source_log, suggestion_log
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import HIDDEN, stem


def export_entries(
    folder: DatasetFolder,
    yaml: DataYaml,
    only: Collection[ImageKey] | None = None,
    *,
    follow_links: bool = False,
) -> tuple[list[tuple[str, str]], bytes]:
    """Return what an archive of the dataset, or `only` of some images, holds.

    Parameters
    ----------
    folder : DatasetFolder
    yaml : DataYaml
    only : collection of (str, str), optional
    follow_links : bool
        Pack also what links outside of the dataset lead to.

    Returns
    -------
    entries : list of (str, str)
        Name in the archive, and path on disk, through no link, of every file but
        ``data.yaml``. A label follows its image, so that a reader has both at hand.
    data_yaml : bytes

    Raises
    ------
    InvalidDatasetError
        If links lead outside, unless they are to be followed.
    """
    paths = folder.paths
    names = [paths.below(path) for path in (paths.facts, paths.prompts, paths.tags)]
    if only is None:
        names += history_log.keys(folder.storage) + source_log.keys(folder.storage)
        names += suggestion_log.keys(folder.storage)
        imports = f"{HIDDEN}/imports"
        names += [
            f"{imports}/{name}"
            for name in inside.names(paths.root, imports)
            if name.endswith(".json")
        ]
    # The next writer sets aside what is no ordinary file here, so nothing is lost by this.
    entries = [
        (name, f"{paths.root}/{name}")
        for name in names
        if inside.exists(paths.root, name) and inside.is_file(paths.root, name)
    ]
    root = os.path.realpath(paths.root)
    outside: list[str] = []
    if os.path.islink(paths.data_yaml) and links.leads_astray(root, paths.data_yaml):
        outside.append("data.yaml")
    for split in SPLITS:
        chosen = folder.image_names(split) if only is None else _chosen(folder, split, only)
        stems = folder.label_stems(split)
        require_distinct_by_case(chosen, split)
        images = links.Split.look(root, f"images/{split}", outside)
        labels = links.Split.look(root, f"labels/{split}", outside)
        for filename in chosen:
            entries.append(images.entry(filename, outside))
            if stem(filename) in stems:
                entries.append(labels.entry(f"{stem(filename)}.txt", outside))
    if outside and not follow_links:
        raise links.refusal(folder.name, paths.root, outside, "nothing was exported")
    return entries, yaml.to_bytes()


def _chosen(folder: DatasetFolder, split: str, only: Collection[ImageKey]) -> list[str]:
    names = sorted(filename for where, filename in only if where == split)
    for filename in names:
        folder.require_image(split, filename)
    return names
