"""An import before anything is written: what it is, what comes of it, and what can be chosen."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.datasets.formats.accounts import note_as_made
from workbench.datasets.formats.choices import Choices, choices_from
from workbench.datasets.formats.columns import count_labels
from workbench.datasets.formats.contents import Contents, contents_of, require_known
from workbench.datasets.formats.ledger import Ledger
from workbench.datasets.formats.naming import absolute, default_name, require_free
from workbench.datasets.formats.reading import Picture
from workbench.datasets.formats.registry import READERS
from workbench.datasets.formats.view import (
    FolderView,
)
from workbench.datasets.formats.writing import fill
from workbench.errors import (
    ImportFormatError,
)
from workbench.persistence import DataStores
from workbench.persistence.counting import counted
from workbench.persistence.disk_errors import plainly
from workbench.persistence.models import (
    SPLITS,
    DatasetInfo,
    ImportedDataset,
    Progress,
    no_progress,
)
from workbench.persistence.stopping import to_its_end

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Imported(ImportedDataset):
    """A dataset that was just imported, with the account of the import.

    Parameters
    ----------
    ledger : Ledger
        What became of every file, picture and annotation.
    """

    ledger: Ledger = field(default_factory=Ledger)


class PlanFacts:
    """What can be asked of every plan, whether it makes a dataset or adds to one.

    Parameters
    ----------
    contents : Contents
    choices : Choices
    """

    def __init__(self, contents: Contents, choices: Choices) -> None:
        self._contents = contents
        self.choices = choices

    @property
    def format(self) -> str:
        """Name of the format; empty: pictures alone."""
        return self._contents.recognised.format

    @property
    def confidence(self) -> float:
        """How sure that is, 0..1."""
        recognised = self._contents.recognised
        return (
            recognised.detection.confidence if self.format else 0.5 if recognised.unknown else 1.0
        )

    @property
    def reason(self) -> str:
        """What speaks for it."""
        recognised = self._contents.recognised
        if recognised.unknown and not self.format:
            return "pictures, and what may be annotations in a form that is not known"
        return recognised.detection.reason or "pictures without annotations"

    @property
    def others(self) -> dict[str, str]:
        """Further formats that were found and are not taken, with what speaks for them."""
        return {n: d.reason for n, d in self._contents.recognised.others.items()}

    @property
    def classes(self) -> list[str]:
        """The classes of the dataset to be, in their order."""
        return list(self._contents.classes)

    @property
    def ledger(self) -> Ledger:
        """What will become of every file, picture and annotation."""
        return self._contents.ledger

    @property
    def notes(self) -> list[str]:
        """Everything odd, a sentence for each kind."""
        return list(self._contents.notes)

    @property
    def questions(self) -> list[str]:
        """What has to be answered by `choose` before it can be applied."""
        return list(self._contents.questions)

    @property
    def videos(self) -> list[str]:
        """The videos of the source, of which `Choices.frame_step` says what is taken."""
        return list(self._contents.videos)

    @property
    def has_other_text(self) -> bool:
        """Whether there is text that is not in UTF-8, see `Choices.encoding`."""
        return bool(self._contents.view.not_in_utf8)

    @property
    def pairing(self) -> dict[str, int]:
        """How many pictures found their annotations by which rule."""
        return dict(self._contents.pairing)

    @property
    def source_classes(self) -> dict[str, int]:
        """How many boxes were read of each class, by its name in the source, in its order."""
        labels = self._contents.labels
        known = dict.fromkeys(self._contents.reading.classes, 0)
        return known | {name: labels[name] for name in [*known, *sorted(labels.keys() - known)]}

    def source_splits(self) -> dict[str, dict[str, int]]:
        """Return the counts by the split that the source tells, before `Choices.splits`."""
        return self._counts(lambda picture: picture.given)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the numbers of images, labelled images and boxes by split."""
        return self._counts(lambda picture: picture.split or SPLITS[0])

    def _counts(
        self, split_of: Callable[[Picture], str], pictures: Sequence[Picture] | None = None
    ) -> dict[str, dict[str, int]]:
        result = {split: {"images": 0, "labelled": 0, "boxes": 0} for split in SPLITS}
        for picture in self._contents.pictures if pictures is None else pictures:
            here = result[split_of(picture)]
            here["images"] += 1
            here["labelled"] += picture.rows is not None
            here["boxes"] += picture.num_boxes
        return result

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return width and height of each picture by its name in the source."""
        return {picture.name: picture.size for picture in self._contents.pictures}

    def boxes_by_class(self) -> dict[str, int]:
        """Return the number of boxes of each class."""
        found = count_labels(picture.rows for picture in self._contents.pictures)
        return dict.fromkeys(self.classes, 0) | found

    def to_frame(self) -> pd.DataFrame:
        """Return the counts as a table, a row for each split."""
        import pandas as pd

        return pd.DataFrame.from_dict(self.counts(), orient="index")

    def __str__(self) -> str:
        """Return the plan in a few lines."""
        title = READERS[self.format].TITLE if self.format else "Pictures"
        lines = [f"{title} ({self.confidence:.0%} sure: {self.reason})", str(self.ledger)]
        for split, numbers in self.counts().items():
            if numbers["images"] or numbers["labelled"]:
                pictures = counted(numbers["images"], "image")
                boxes = counted(numbers["boxes"], "box", "boxes")
                lines.append(f"{split}: {pictures}, {numbers['labelled']:,} labelled, {boxes}")
        lines += [f"classes: {', '.join(self.classes)}", *self.notes, *self.questions]
        return "\n".join(lines)


class ImportPlan(PlanFacts):
    """What will come of an import; nothing has been written.

    Parameters
    ----------
    stores : DataStores
    view : FolderView
        Stays open until the plan is applied, closed or forgotten.
    contents : Contents
    choices : Choices
    name : str
        Of the dataset to make.
    """

    def __init__(
        self, stores: DataStores, view: FolderView, contents: Contents, choices: Choices, name: str
    ) -> None:
        super().__init__(contents, choices)
        self._stores = stores
        self._view = view
        self._print = view.print()
        self._close = weakref.finalize(self, view.close)
        self.name = name

    async def choose(self, *, progress: Progress = no_progress, **changes: Any) -> ImportPlan:
        """Return the plan with other choices; see `Choices` for what there is to choose.

        Raises
        ------
        ImportFormatError
            If there is no such choice or value.
        """
        choices = choices_from(self.choices, changes)
        contents = await asyncio.to_thread(contents_of, self._view, choices, progress)
        require_known(contents, changes.get("classes"))
        plan = ImportPlan(self._stores, self._view, contents, choices, self.name)
        self._close.detach()
        return plan

    @plainly
    async def apply(self, name: str | None = None, *, progress: Progress = no_progress) -> Imported:
        """Make the dataset: all of it, or nothing at all. What changed since is planned anew.

        Parameters
        ----------
        name : str, optional
            Default: that of the plan.

        Raises
        ------
        ImportFormatError
            If questions are open.
        AlreadyExistsError
            If the name is taken.
        """
        name = name or self.name
        await require_free(self._stores, name)
        if await asyncio.to_thread(lambda: self._view.print(now=True) != self._print):
            origin = self._view.origin
            self.close()
            self._view = await asyncio.to_thread(FolderView.open, source_of(self._view))
            self._view.origin = origin
            self._close = weakref.finalize(self, self._view.close)
            self._contents = await asyncio.to_thread(
                contents_of, self._view, self.choices, progress
            )
            self._print = self._view.print()
        contents = self._contents
        if contents.questions:
            raise ImportFormatError("; ".join(contents.questions))
        info = await self._stores.dataset.create_with(
            name, lambda sink: fill(contents.view, contents, sink, progress)
        )
        made = note_as_made(self._stores, info.name)
        await to_its_end(f"import as {info.name}", made)
        return _imported(info, contents)

    def close(self) -> None:
        """Close the source; the plan can no longer be applied or changed."""
        self._close()


def _imported(info: DatasetInfo, contents: Contents) -> Imported:
    known = {item.name: getattr(info, item.name) for item in fields(DatasetInfo)}
    return Imported(**known, notes=contents.notes, ledger=contents.ledger)


def source_of(view: FolderView) -> Path:
    """Return what was pointed at: a folder, an archive, or one file."""
    return view.path if view.focus is None else view.path / view.focus


@plainly
async def plan_import(
    stores: DataStores,
    path: Path | str,
    name: str | None = None,
    *,
    origin: str = "",
    progress: Progress = no_progress,
    **choices: Any,
) -> ImportPlan:
    """Look at what another tool has exported, and say what would come of importing it.

    Parameters
    ----------
    stores : DataStores
    path : Path or str
        A folder, an archive (zip, tar), or an annotation file.
    name : str, optional
        Of the dataset to make; default: that of the folder or file.
    origin : str
        What the account shall call the source; default: its path.
    progress : callable
    **choices
        See `Choices`.

    Returns
    -------
    ImportPlan
        ``await plan.apply()`` makes the dataset.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`.
    ArchiveError, ImportFormatError
        If it cannot be imported; the message says why and what to do.
    """
    chosen = choices_from(Choices(), choices)
    place = absolute(path)
    wanted = default_name(place) if name is None else name
    view = await asyncio.to_thread(FolderView.open, place)
    view.origin = origin or str(place)
    try:
        contents = await asyncio.to_thread(contents_of, view, chosen, progress)
    except BaseException:
        view.close()
        raise
    return ImportPlan(stores, view, contents, chosen, wanted)
