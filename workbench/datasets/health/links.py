"""Images and labels that lie elsewhere, and what must therefore be left as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.datasets.changes import counted
from workbench.datasets.health.findings import Finding
from workbench.persistence.models import ImageKey
from workbench.persistence.stores.dataset import image_key, label_key

if TYPE_CHECKING:
    from workbench.datasets.health.evidence import Evidence

_REMEDY = (
    "Put the files themselves there; or, if the links are your own, say so once: They are mine on "
    "the dataset's card of the home page, or workbench trust-links with its folder."
)


@dataclass(frozen=True, slots=True)
class Links:
    """Links to where nobody said that they may lead: what is behind them is never changed.

    Parameters
    ----------
    names : mapping of str to str
        As `LabelInspection.outside` has them.
    """

    names: Mapping[str, str]

    def fix_files(self, image: ImageKey) -> bool:
        """Whether an image can be neither moved nor deleted: its whole folder is elsewhere."""
        split, _ = image
        return f"images/{split}" in self.names or f"labels/{split}" in self.names

    def fix_labels(self, image: ImageKey) -> bool:
        """Whether the labels of an image cannot be changed."""
        split, _ = image
        return label_key(*image) in self.names or f"labels/{split}" in self.names

    def concern(self, image: ImageKey) -> bool:
        """Whether an image or its labels are elsewhere."""
        own = image_key(*image) in self.names
        return own or self.fix_labels(image) or self.fix_files(image)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Find links that lead out of the dataset."""
    links = evidence.links
    if not links.names:
        return
    yield Finding(
        "leads-out",
        f"{counted(len(links.names), 'link')} out of the dataset",
        "What lies there is shown and trained on, and goes into no version, copy or export.",
        [key for key in evidence.keys if links.concern(key)],
        details=[
            _REMEDY,
            *(f"{name} leads to {target}" for name, target in sorted(links.names.items())),
        ],
    )
