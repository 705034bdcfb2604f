"""What an archive of a dataset holds: its own files, and nothing that a link only points at.

A folder that came from a stranger may hold a link ``images/train/x.jpg`` to a picture of
the user's own, or in the place of a hidden file one to a private key. Whoever exports the
dataset and hands the archive on would hand these on, too.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from workbench.errors import InvalidDatasetError
from workbench.persistence.filesystem import history_files, source_files, suggestion_files
from workbench.persistence.filesystem.dataset_folder import DatasetFolder
from workbench.persistence.filesystem.image_files import image_names, label_stems
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.rules import require_distinct_by_case
from workbench.persistence.storage.local import inside
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.names import HIDDEN, stem

_NAMED = 3


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
        names += history_files.files(folder) + source_files.files(folder)
        names += suggestion_files.files(folder)
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
    if os.path.islink(paths.data_yaml) and not _is_in(root, os.path.realpath(paths.data_yaml)):
        outside.append("data.yaml")
    for split in SPLITS:
        chosen = image_names(folder, split) if only is None else _chosen(folder, split, only)
        stems = label_stems(folder, split)
        require_distinct_by_case(chosen, split)
        images = _Folder.look(root, f"images/{split}", outside)
        labels = _Folder.look(root, f"labels/{split}", outside)
        for filename in chosen:
            entries.append(images.entry(filename, outside))
            if stem(filename) in stems:
                entries.append(labels.entry(f"{stem(filename)}.txt", outside))
    if outside and not follow_links:
        raise _leads_outside(folder.name, outside)
    return entries, yaml.to_bytes()


def _chosen(folder: DatasetFolder, split: str, only: Collection[ImageKey]) -> list[str]:
    names = sorted(filename for where, filename in only if where == split)
    for filename in names:
        folder.require_image(split, filename)
    return names


class _Folder(NamedTuple):
    """A split's images or labels, and which of them are links.

    Parameters
    ----------
    root : str
        Of the dataset, through no link.
    name : str
        Below the root.
    path : str
        Where it really lies.
    links : frozenset of str
    """

    root: str
    name: str
    path: str
    links: frozenset[str]

    @classmethod
    def look(cls, root: str, name: str, outside: list[str]) -> _Folder:
        """Look at a folder; note it in `outside` if it is not in the dataset."""
        path = os.path.realpath(f"{root}/{name}")
        if not _is_in(root, path):
            outside.append(name)
        try:
            with os.scandir(path) as entries:
                links = frozenset(entry.name for entry in entries if entry.is_symlink())
        except FileNotFoundError:
            links = frozenset()
        return cls(root, name, path, links)

    def entry(self, filename: str, outside: list[str]) -> tuple[str, str]:
        """Return the entry of a file; note it in `outside` if a link leads there."""
        name = f"{self.name}/{filename}"
        if filename not in self.links:
            return name, f"{self.path}/{filename}"
        path = os.path.realpath(f"{self.path}/{filename}")
        if not _is_in(self.root, path):
            outside.append(name)
        return name, path


def _is_in(root: str, path: str) -> bool:
    return path.startswith(f"{root.rstrip(os.sep)}{os.sep}")


def _leads_outside(dataset: str, outside: list[str]) -> InvalidDatasetError:
    named = ", ".join(outside[:_NAMED])
    more = f" and {len(outside) - _NAMED} more" if len(outside) > _NAMED else ""
    return InvalidDatasetError(
        f"{dataset}: expected an archive's files inside the dataset, found links that lead out of "
        f"it: {named}{more}; nothing was exported. Put the files themselves there, or export with "
        f"follow_links=True if you know where each of them leads"
    )
