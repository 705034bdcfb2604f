"""Which images are labelled, which are background, and which labels or images are missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.datasets.changes import counted
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding


def check(evidence: Evidence) -> Iterator[Finding]:
    """Count unlabelled, background and missing images apart, and labels without an image."""
    label_bytes = evidence.duplicates.images.table.label_bytes
    unlabelled = evidence.choose(label_bytes < 0)
    if unlabelled:
        yield Finding(
            "unlabelled",
            f"{counted(len(unlabelled), 'image')} not labelled yet",
            "YOLO tools take an image without a label file for background, so training on a "
            "half-labelled dataset teaches the model to overlook things.",
            unlabelled,
        )
    yield from _background(evidence)
    yield from _missing(evidence)
    yield from _orphans(evidence)


def _background(evidence: Evidence) -> Iterator[Finding]:
    unreadable = {(r.split, r.filename) for r in evidence.inspection.files if r.problem}
    empty = np.flatnonzero(evidence.labels.labelled & (evidence.labels.boxes_per_image() == 0))
    images = [key for i in empty.tolist() if (key := evidence.label_keys[i]) not in unreadable]
    if images:
        yield Finding(
            "background",
            f"{counted(len(images), 'image')} reviewed and empty",
            "An empty label file says that there is nothing to find, which keeps a model from "
            "seeing things; up to a tenth of the images is usual.",
            images,
        )


def _missing(evidence: Evidence) -> Iterator[Finding]:
    there = set(evidence.keys)
    missing = [key for key in evidence.label_keys if key not in there]
    if missing:
        yield Finding(
            "missing-image",
            f"{counted(len(missing), 'image')} listed in a folder, but not there",
            "These are links to files that are gone; Ultralytics stops or drops them, and they "
            "cannot be shown. Bring the files back, or remove the links in the file manager.",
            missing,
            details=["/".join(key) for key in missing],
        )


def _orphans(evidence: Evidence) -> Iterator[Finding]:
    orphans = evidence.inspection.orphans
    if orphans:
        yield Finding(
            "orphan-label",
            f"{counted(len(orphans), 'label file')} without an image",
            "Training never sees these labels, and an image that comes to be called so later "
            "would silently get them.",
            repairs=[evidence.repairs.trash_orphans("Move to the trash", orphans)],
            details=[f"labels/{split}/{name}" for split, name in orphans],
        )
