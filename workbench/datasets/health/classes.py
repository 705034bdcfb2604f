"""Whether every class, and every split, has enough to learn from and to be measured on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from workbench.datasets.changes import counted
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding

IMBALANCE = 10.0
"""Ratio of the most to the least frequent class from which it is worth saying."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Find empty splits, classes without examples where they are needed, and imbalance."""
    splits = [split for split, _ in evidence.keys]
    if not splits:
        return
    empty = [split for split in ("train", "val") if split not in splits]
    if empty:
        yield Finding(
            "empty-split",
            f"no images in {' and '.join(empty)}",
            "Ultralytics needs images to train on and others to validate on.",
        )
    counts = _counts(evidence)
    total = np.sum(list(counts.values()), axis=0)
    if not total.sum():
        return  # nothing is labelled yet, so nothing is missing either
    yield from _classes(
        "class-unused",
        [name for name, n in zip(evidence.classes, total, strict=True) if not n],
        "without a single box",
        "The model has an output for it that never learns anything.",
    )
    for split, why in (
        ("train", "The model cannot learn a class of which it never sees an example."),
        ("val", "Nobody will know how well the model finds it: metrics leave the class out."),
    ):
        lacking = [
            name
            for name, n, own in zip(evidence.classes, total, counts[split], strict=True)
            if n and not own
        ]
        if split not in empty:
            yield from _classes(
                f"class-absent-{split}", lacking, f"without an example in {split}", why
            )
    yield from _imbalance(evidence, total.tolist())


def _counts(evidence: Evidence) -> dict[str, npt.NDArray[np.int64]]:
    labels = evidence.labels
    split_of_box = np.array(labels.splits, dtype=object)[labels.image_index]
    return {
        split: np.bincount(
            labels.class_id[split_of_box == split], minlength=len(evidence.classes)
        ).astype(np.int64)
        for split in ("train", "val", "test")
    }


def _classes(kind: str, names: list[str], what: str, why: str) -> Iterator[Finding]:
    if names:
        title = f"{counted(len(names), 'class', 'classes')} {what}: {', '.join(names[:5])}"
        yield Finding(kind, title, why, details=names)


def _imbalance(evidence: Evidence, total: list[int]) -> Iterator[Finding]:
    used = [(n, name) for n, name in zip(total, evidence.classes, strict=True) if n]
    (fewest, rare), (most, common) = min(used), max(used)
    if most > IMBALANCE * fewest:
        yield Finding(
            "imbalance",
            f"{most / fewest:.0f} times as many boxes of {common!r} as of {rare!r}",
            "A model finds rare classes less well; collect more of them, or expect it.",
            details=[f"{name}: {counted(n, 'box', 'boxes')}" for n, name in sorted(used)],
        )
