"""Datasets in memory as files: the members of an archive, in and out, and folders of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from time import time

from workbench.persistence.memory.state import Dataset, StoredImage
from workbench.persistence.models import SPLITS
from workbench.persistence.prompts import prompts_bytes
from workbench.persistence.rules import require_distinct_by_case
from workbench.persistence.storage import Write
from workbench.persistence.stores import history_log, source_log, suggestion_log
from workbench.persistence.stores.side_data import read_imports
from workbench.persistence.tags import tags_bytes
from workbench.persistence.yolo.names import HIDDEN, stem

_PROMPTS = f"{HIDDEN}/prompts.json"
_TAGS = f"{HIDDEN}/tags.json"
_KEPT = tuple(f"{HIDDEN}/{name}/" for name in ("history", "imports", "sources", "suggestions"))


class MemorySink:
    """Collects the members of an archive."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def write(self, relative_path: str, data: bytes) -> None:
        """Keep a member."""
        self._files[relative_path] = data

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        """Keep a member that comes in parts."""
        self._files[relative_path] = b"".join(chunks)

    def fill(self, dataset: Dataset) -> None:
        """Put what was collected into a dataset."""
        for relative, data in self._files.items():
            kind, *rest = PurePosixPath(relative).parts
            if kind == "images":
                dataset.images[rest[0], rest[1]] = StoredImage(data, time())
            elif kind == "labels":
                dataset.labels[rest[0], stem(rest[1])] = data
            elif relative in (_TAGS, _PROMPTS) or relative.startswith(_KEPT):
                dataset.storage.commit([Write(relative, data)])


def entries_of(dataset: Dataset) -> list[tuple[str, bytes]]:
    """Return the members of an archive of a dataset, by path.

    Raises
    ------
    InvalidDatasetError
        If two names differ in their case only.
    """
    entries = [("data.yaml", dataset.yaml.to_bytes())]
    if dataset.prompts:
        entries.append((_PROMPTS, prompts_bytes(dataset.prompts)))
    if dataset.tags:
        entries.append((_TAGS, tags_bytes(dataset.tags)))
    storage = dataset.storage
    for log in (history_log, source_log, suggestion_log):
        entries += [(key, storage.read(key)) for key in log.keys(storage)]
    imports = read_imports(storage)
    entries += [(f"{HIDDEN}/imports/{key}.json", data) for key, data in imports.items()]
    for split in SPLITS:
        require_distinct_by_case(dataset.names(split), split)
    for split, filename in sorted(dataset.images):
        entries.append((f"images/{split}/{filename}", dataset.images[split, filename].data))
        labels = dataset.labels.get((split, stem(filename)))
        if labels is not None:
            entries.append((f"labels/{split}/{stem(filename)}.txt", labels))
    return entries
