"""What tells cheaply that something in a dataset has changed, whoever changed it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Stamp:
    """One text for each part of a dataset, which differs after each change of that part.

    The texts mean nothing by themselves. They may also change where nothing else has.

    Parameters
    ----------
    images : str
        Of the images of all splits, and of the trash.
    labels : str
    classes : str
        Of ``data.yaml``.
    tags : str
    versions : str
    suggestions : str
        Of predictions that wait for review.

    Notes
    -----
    A label file that another program writes *in place*, without a new file or a rename, is
    not noticed: that could be seen only by looking at every file.
    """

    images: str = ""
    labels: str = ""
    classes: str = ""
    tags: str = ""
    versions: str = ""
    suggestions: str = ""

    def changed_since(self, before: Stamp) -> frozenset[str]:
        """Return the names of the parts in which this differs from an earlier one."""
        return frozenset(name for name in PARTS if getattr(self, name) != getattr(before, name))


PARTS = tuple(field.name for field in fields(Stamp))
"""The names of the parts."""
