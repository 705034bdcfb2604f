"""File names that conflict with each other."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

from workbench.datasets.changes import counted
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding
from workbench.persistence.models import ImageKey


def check(evidence: Evidence) -> Iterator[Finding]:
    """Find names that share a label file, occur in two splits, or are spelled decomposed."""
    by_name: dict[str, list[ImageKey]] = defaultdict(list)
    for split, name in evidence.keys:
        by_name[name.rpartition(".")[0]].append((split, name))
    shared = evidence.sharing
    if shared:
        yield Finding(
            "same-stem",
            f"{counted(len(shared), 'name')} shared by images that differ only in the extension",
            "Such images share one label file, without a warning: at most one of them is "
            "labelled rightly.",
            [key for keys in shared for key in keys],
            groups=shared,
            details=[", ".join(map("/".join, keys)) for keys in shared],
        )
    repeated = [keys for keys in by_name.values() if len({split for split, _ in keys}) > 1]
    if repeated:
        yield Finding(
            "same-name-across-splits",
            f"{counted(len(repeated), 'name')} used in more than one split",
            "Often these are copies of one picture, which make validation look too good; and "
            "they cannot be moved to each other's split.",
            [key for keys in repeated for key in keys],
            groups=repeated,
            details=[", ".join(map("/".join, keys)) for keys in repeated],
        )
    decomposed = [key for key in evidence.keys if not unicodedata.is_normalized("NFC", key[1])]
    if decomposed:
        yield Finding(
            "name-not-nfc",
            f"{counted(len(decomposed), 'name')} with letters spelled in two parts (macOS)",
            "Such a name looks right but is another one: the image is listed, yet not found. "
            "Rename the file, or export and import the dataset.",
            decomposed,
            details=["/".join(key) for key in decomposed],
        )
