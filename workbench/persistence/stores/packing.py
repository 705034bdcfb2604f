"""What an archive of a dataset holds: its own values, and nothing that a link only points at.

A folder that came from a stranger may hold a link ``images/train/x.jpg`` to a picture of
the user's own, or in the place of a hidden file one to a private key. Whoever exports the
dataset and hands the archive on would hand these on, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from workbench.errors import ConflictError
from workbench.persistence import image_bounds, links
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.rules import require_distinct_by_case
from workbench.persistence.storage import Storage
from workbench.persistence.stores import history_log, source_log, suggestion_log
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, image_key, label_key
from workbench.persistence.stores.formats import FACTS
from workbench.persistence.stores.merging import IMPORTS
from workbench.persistence.stores.prompt_file import PROMPTS
from workbench.persistence.stores.side_data import TAGS
from workbench.persistence.yolo import label_text
from workbench.persistence.yolo.names import stem

_AT_ONCE = 64
"""Values that are read in one call."""

_MOST_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Members:
    """What goes into an archive, beside ``data.yaml``.

    Parameters
    ----------
    storage : Storage
    keys : list of str
        A label follows its image, so that a reader has both at hand.
    paths : list of str or None
        Of the files that hold them, through no link, where there are files.
    """

    storage: Storage
    keys: list[str]
    paths: list[str] | None

    def entries(self) -> Iterator[tuple[str, str | bytes]]:
        """Yield each key with the path of its file, or with its value."""
        if self.paths is not None:
            yield from zip(self.keys, self.paths, strict=True)
            return
        # As few at a time as fit into the memory.
        for start in range(0, len(self.keys), _AT_ONCE):
            some = self.keys[start : start + _AT_ONCE]
            values = self.storage.read_many(some, most=_MOST_BYTES)
            for key, data in zip(some, values, strict=True):
                yield key, self._found(key, data)

    def _found(self, key: str, data: bytes | Exception | None) -> bytes:
        if isinstance(data, Exception):
            raise data
        if data is None:
            raise ConflictError(
                f"{self.storage.where}/{key}: expected a value for the archive, found none: it was "
                f"removed or renamed meanwhile; export again"
            )
        return data


def most_bytes(key: str) -> int:
    """Return how large a value may be that goes into an archive: as large as can be read again."""
    if key.startswith("labels/"):
        return label_text.MAX_BYTES
    return image_bounds.MAX_BYTES if key.startswith("images/") else _MOST_BYTES


def exported(
    dataset: Dataset, only: Collection[ImageKey] | None, *, follow_links: bool
) -> tuple[bytes, Members]:
    """Return what an archive of the dataset, or of some of its images only, holds.

    Parameters
    ----------
    dataset : Dataset
    only : collection of (str, str) or None
    follow_links : bool
        Pack also what links outside of the dataset lead to.

    Returns
    -------
    data_yaml : bytes
    members : Members

    Raises
    ------
    InvalidDatasetError
        If links lead outside, unless they are to be followed.
    """
    storage, yaml = dataset.storage, dataset.read()
    keys = [FACTS, PROMPTS, TAGS]
    if only is None:
        keys += history_log.keys(storage) + source_log.keys(storage)
        keys += suggestion_log.keys(storage)
        keys += [f"{IMPORTS}/{name}" for name in storage.names(IMPORTS) if name.endswith(".json")]
    # The next writer sets aside what is no ordinary file here, so nothing is lost by this.
    keys = [key for key in keys if dataset.has_value(key)]
    for split in SPLITS:
        chosen = dataset.image_names(split) if only is None else _chosen(dataset, split, only)
        stems = dataset.label_stems(split)
        require_distinct_by_case(chosen, split)
        for filename in chosen:
            keys.append(image_key(split, filename))
            if stem(filename) in stems:
                keys.append(label_key(split, filename))
    if not follow_links:
        folders = [f"{kind}/{split}" for split in SPLITS for kind in ("images", "labels")]
        outside = dict.fromkeys(storage.outside([DATA_YAML, *folders, *keys]))
        if outside:
            raise links.refusal(dataset.name, storage.where, [*outside], "nothing was exported")
    return yaml.to_bytes(), Members(storage, keys, storage.file_paths(keys))


def _chosen(dataset: Dataset, split: str, only: Collection[ImageKey]) -> list[str]:
    names = sorted(filename for where, filename in only if where == split)
    for filename in names:
        dataset.require_image(split, filename)
    return names
