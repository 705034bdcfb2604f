"""What a health check has to say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from workbench.datasets.changes import BoxRef, Change
from workbench.persistence.models import ImageKey

if TYPE_CHECKING:
    import pandas as pd

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""Error: training goes wrong. Warning: the model gets worse. Info: good to know."""

SEVERITY_OF: Mapping[str, Severity] = {
    "unlabelled": "info",
    "background": "info",
    "missing-image": "error",
    "leads-out": "warning",
    "orphan-label": "warning",
    "corrupt": "error",
    "truncated": "error",
    "too-large": "error",
    "unread": "error",
    "tiny-image": "error",
    "wrong-extension": "warning",
    "exif-rotation": "info",
    "trailing-bytes": "warning",
    "same-stem": "error",
    "same-name-across-splits": "warning",
    "name-not-nfc": "error",
    "unreadable-labels": "error",
    "unknown-class": "error",
    "confidence-column": "error",
    "mixed-rows": "error",
    "keypoint-rows": "error",
    "polygon-rows": "info",
    "box-out-of-range": "error",
    "box-over-border": "warning",
    "zero-area": "warning",
    "duplicate-box": "warning",
    "near-duplicate-box": "warning",
    "contradicting-box": "warning",
    "huge-box": "warning",
    "tiny-box": "warning",
    "empty-split": "error",
    "class-unused": "info",
    "class-absent-train": "warning",
    "class-absent-val": "warning",
    "imbalance": "info",
    "exact-leak": "error",
    "near-leak": "warning",
    "exact-duplicates": "warning",
    "near-duplicates": "info",
    "blurred": "warning",
    "dark": "warning",
    "overexposed": "warning",
}
KINDS: tuple[str, ...] = tuple(SEVERITY_OF)
"""Every kind of finding."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A way to put a finding right.

    Parameters
    ----------
    title : str
        What it does, as a button would say it.
    preview : callable
        ``await repair.preview()`` returns in words what would happen; nothing does.
    apply : callable
        ``await repair.apply()`` does it, as a whole or not at all, and returns a `Change`
        with the way back. Raises `ConflictError`, with nothing done, if the files concerned
        were changed since the check.
    """

    title: str
    preview: Callable[[], Awaitable[str]]
    apply: Callable[[], Awaitable[Change]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found in a dataset: one of a kind, with everything it concerns.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    title : str
        What was found, with its number.
    why : str
        In one line, why it matters.
    images : list of (str, str)
        Split and name of the images concerned.
    boxes : list of BoxRef
        The boxes concerned, where it is about boxes.
    repairs : list of Repair
        The first one is what most people want.
    details : list of str
        One line for each image, row, file or class concerned, where there is more to say.
    groups : list of list of (str, str)
        Which images belong together, where it is about duplicates.
    """

    kind: str
    title: str
    why: str
    images: list[ImageKey] = field(default_factory=list)
    boxes: list[BoxRef] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    groups: list[list[ImageKey]] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return SEVERITY_OF[self.kind]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Everything that a run of the checks found.

    Parameters
    ----------
    dataset : str
    findings : list of Finding
        Errors first.
    num_images : int
    examined : int
        How many images had to be read for it: those new or changed since the last run.
    """

    dataset: str
    findings: list[Finding]
    num_images: int
    examined: int

    def __iter__(self) -> Iterator[Finding]:
        """Go through the findings."""
        return iter(self.findings)

    def __len__(self) -> int:
        """Return the number of findings."""
        return len(self.findings)

    def __getitem__(self, kind: str) -> Finding:
        """Return the finding of a kind; ``KeyError`` if there is none."""
        for finding in self.findings:
            if finding.kind == kind:
                return finding
        raise KeyError(kind)

    @property
    def kinds(self) -> set[str]:
        """The kinds of what was found."""
        return {finding.kind for finding in self.findings}

    def of_severity(self, severity: Severity) -> list[Finding]:
        """Return the findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    def to_frame(self) -> pd.DataFrame:
        """Return the findings as a table, one row for each."""
        import pandas as pd

        columns = ["severity", "kind", "title", "images", "boxes", "repairs", "why"]
        rows = [
            (
                f.severity,
                f.kind,
                f.title,
                len(f.images),
                len(f.boxes),
                ", ".join(repair.title for repair in f.repairs),
                f.why,
            )
            for f in self.findings
        ]
        return pd.DataFrame(rows, columns=columns)
