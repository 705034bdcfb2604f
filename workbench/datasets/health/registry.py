"""All checks. A new one is a function, a line here, and its severity in `findings`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workbench.datasets.health import (
    boxes,
    classes,
    files,
    leakage,
    links,
    naming,
    quality,
    rows,
    states,
)
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding


@dataclass(frozen=True, slots=True)
class Check:
    """A family of findings that are found together.

    Parameters
    ----------
    kinds : tuple of str
        All that `run` may find.
    run : callable
        Yields at most one finding of each kind.
    """

    kinds: tuple[str, ...]
    run: Callable[[Evidence], Iterator[Finding]]


CHECKS: tuple[Check, ...] = (
    Check(("unlabelled", "background", "missing-image", "orphan-label"), states.check),
    Check(("corrupt", "truncated", "too-large", "unread", "tiny-image"), files.check_pixels),
    Check(("leads-out",), links.check),
    Check(("wrong-extension", "exif-rotation", "trailing-bytes"), files.check_encoding),
    Check(("same-stem", "same-name-across-splits", "name-not-nfc"), naming.check),
    Check(
        (
            "unreadable-labels",
            "unknown-class",
            "confidence-column",
            "mixed-rows",
            "keypoint-rows",
            "polygon-rows",
        ),
        rows.check_forms,
    ),
    Check(("box-out-of-range", "box-over-border", "zero-area"), rows.check_ranges),
    Check(("duplicate-box", "near-duplicate-box", "contradicting-box"), boxes.check_overlaps),
    Check(("huge-box", "tiny-box"), boxes.check_sizes),
    Check(
        ("empty-split", "class-unused", "class-absent-train", "class-absent-val", "imbalance"),
        classes.check,
    ),
    Check(("exact-leak", "near-leak", "exact-duplicates", "near-duplicates"), leakage.check),
    Check(("blurred", "dark", "overexposed"), quality.check),
)
