"""Images and labels that lie elsewhere, and what must therefore be left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.datasets.changes import counted
from workbench.datasets.health.findings import Finding
from workbench.persistence.models import ImageKey

if TYPE_CHECKING:
    from workbench.datasets.health.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Links:
    """Links to where nobody said that they may lead: what is behind them is never changed.

    Parameters
    ----------
    names : frozenset of str
        As `LabelInspection.outside` has them.
    """

    names: frozenset[str]

    def fix_files(self, image: ImageKey) -> bool:
        """Whether an image can be neither moved nor deleted: its whole folder is elsewhere."""
        split, _ = image
        return f"images/{split}" in self.names or f"labels/{split}" in self.names

    def fix_labels(self, image: ImageKey) -> bool:
        """Whether the labels of an image cannot be changed."""
        split, filename = image
        label = f"labels/{split}/{filename.rpartition('.')[0]}.txt"
        return label in self.names or f"labels/{split}" in self.names

    def concern(self, image: ImageKey) -> bool:
        """Whether an image or its labels are elsewhere."""
        own = f"images/{'/'.join(image)}" in self.names
        return own or self.fix_labels(image) or self.fix_files(image)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Find links that lead out of the dataset."""
    links = evidence.links
    if not links.names:
        return
    yield Finding(
        "leads-out",
        f"{counted(len(links.names), 'link')} out of the dataset",
        "What lies there is shown and trained on, and never changed; it goes into no version, no "
        "copy and no export. Put the files themselves there, or say on the dataset's card of the "
        "home page that the links are your own.",
        [key for key in evidence.keys if links.concern(key)],
        details=sorted(links.names),
    )
