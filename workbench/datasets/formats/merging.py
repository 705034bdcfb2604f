"""An import into a dataset that exists: labels for its pictures, more pictures, or both.

A picture of the source is one that the dataset has if its bytes are the same, or if its name and
its size in pixels are. Where the source has no pictures, its annotations are for those that the
dataset has. Classes of the same name are one; others are appended, so no box changes its class.
"""

from __future__ import annotations

import asyncio
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.datasets.changes import Change, counted, nothing_to_undo
from workbench.datasets.class_names import how_they_differ, near_name
from workbench.datasets.formats import reasons as why
from workbench.datasets.formats.accounts import Account, new_account, take_back_import
from workbench.datasets.formats.choices import Choices, choices_from
from workbench.datasets.formats.columns import count_labels
from workbench.datasets.formats.contents import Contents, contents_of
from workbench.datasets.formats.file_names import CONVERTIBLE, VIDEOS
from workbench.datasets.formats.ledger import PICTURES, Ledger
from workbench.datasets.formats.merge_aims import (
    Aims,
    Target,
    aims_of,
    annotations_of,
    leave_there,
)
from workbench.datasets.formats.merge_matching import DatasetView, find_those_there, heads_of
from workbench.datasets.formats.naming import absolute
from workbench.datasets.formats.plan import PlanFacts, source_of
from workbench.datasets.formats.view import UNPACKED, FolderView
from workbench.errors import (
    AlreadyExistsError,
    ConflictError,
    ImportFormatError,
    NotFoundError,
)
from workbench.persistence import DataStores
from workbench.persistence.disk_errors import in_our_words, plainly
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import (
    Annotation,
    ImageKey,
    NewImage,
    Progress,
    no_progress,
)
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.stores.merging import Merge, WayBack
from workbench.persistence.yolo.names import stem


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of an import into a dataset.

    Parameters
    ----------
    change : Change
        Undoing it takes all of it back.
    added : list of (str, str)
        New pictures, as ``(split, filename)``.
    labelled : list of (str, str)
        Pictures that were there and got labels.
    ledger : Ledger
    notes : list of str
    """

    change: Change
    added: list[ImageKey]
    labelled: list[ImageKey]
    ledger: Ledger
    notes: list[str]


_KEPT = {
    "keep": "which are kept",
    "add": "to which boxes are added",
    "replace": "which are replaced",
}


class MergePlan(PlanFacts):
    """What will come of an import into a dataset; nothing has been written.

    Parameters
    ----------
    stores : DataStores
    view : FolderView
        Stays open until the plan is applied, closed or forgotten.
    contents : Contents
    choices : Choices
    target : Target
    aims : Aims
    seen : dict of (str, str) to list of Annotation or None
        What labels the pictures have that get some.
    """

    def __init__(
        self,
        stores: DataStores,
        view: FolderView,
        contents: Contents,
        choices: Choices,
        target: Target,
        aims: Aims,
        seen: dict[ImageKey, list[Annotation] | None],
    ) -> None:
        super().__init__(contents, choices)
        self._stores = stores
        self._view = view
        self._print = view.print()
        self._seen = seen
        self._close = weakref.finalize(self, view.close)
        self._target = target
        self._aims = aims
        self._pictures = {picture.name: picture for picture in contents.pictures}

    @property
    def dataset(self) -> str:
        """Name of the dataset that it adds to."""
        return self._target.dataset

    @property
    def existing(self) -> str:
        """What is done with pictures that have labels already, see `plan_merge`."""
        return self._target.existing

    @property
    def new_pictures(self) -> str:
        """What is done with pictures that the dataset does not have, see `plan_merge`."""
        return self._target.new

    @property
    def classes(self) -> list[str]:
        """The classes of the dataset afterwards, in their order."""
        return list(self._aims.classes)

    @property
    def labels(self) -> dict[ImageKey, list[Annotation]]:
        """For pictures that are there, all boxes that they will have."""
        return self._aims.labels

    @property
    def new(self) -> dict[str, ImageKey]:
        """New pictures, by their names in the source."""
        return self._aims.new

    @property
    def found(self) -> dict[str, ImageKey]:
        """Pictures that are there already, by their names in the source."""
        return self._aims.found

    @property
    def replaced(self) -> dict[str, ImageKey]:
        """New pictures that take the place of others of their name."""
        return self._aims.replaced

    @property
    def same(self) -> dict[str, ImageKey]:
        """Pictures that are there with just these labels, by their names in the source."""
        return self._aims.same

    @property
    def contradicted(self) -> dict[str, ImageKey]:
        """Pictures that are there with other labels; `existing` says what becomes of these."""
        return self._aims.contradicted

    @property
    def near_classes(self) -> dict[str, str]:
        """Classes that would be new, with the one of the dataset that each may mean."""
        found = {}
        for name, boxes in self.source_classes.items():
            wanted = self.choices.class_of(name)
            if boxes and wanted is not None and wanted not in self._target.classes:
                near = near_name(wanted, self._target.classes)
                if near is not None:
                    found[name] = near
        return found

    @property
    def notes(self) -> list[str]:
        """Everything odd, a sentence for each kind."""
        return [
            *super().notes,
            *(
                f"the class {self.choices.class_of(name)!r} would be new, and differs "
                f"{how_they_differ(str(self.choices.class_of(name)), near)} from {near!r}, which "
                f"the dataset has: choose classes={{{name!r}: {near!r}}} if they are one"
                for name, near in self.near_classes.items()
            ),
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many images, labels and boxes come into which split of the dataset."""
        return self._aims.counts()

    def source_splits(self) -> dict[str, dict[str, int]]:
        """Return the counts of the pictures that come in, by the split that the source tells."""
        return self._counts(
            lambda picture: picture.given,
            [p for p in self._contents.pictures if p.name in self.new or p.name in self.replaced],
        )

    def boxes_by_class(self) -> dict[str, int]:
        """Return the number of boxes of each class that come in."""
        return dict.fromkeys(self.classes, 0) | count_labels(self._aims.rows.values())

    def facts(self) -> list[str]:
        """Return in words what is new, what is there already, and what contradicts it."""
        there = counted(len(self.found), "picture is", "pictures are")
        lines = [f"{counted(len(self.new), 'picture is', 'pictures are')} new"]
        if not isinstance(self._view, DatasetView):
            lines[0] += f", {there} there already"
        if self.replaced:
            lines[0] += f", {counted(len(self.replaced), 'replaces another', 'replace others')}"
        get_some = self.labels.keys() - set(self.replaced.values())
        get = counted(len(get_some), "picture that is there gets", "pictures that are there get")
        lines.append(f"{get} labels")
        if self.same:
            have = counted(len(self.same), "picture has", "pictures have")
            lines.append(f"{have} the same labels already, which stay as they are")
        if self.contradicted:
            have = counted(len(self.contradicted), "picture has", "pictures have")
            lines.append(f"{have} other labels already, {_KEPT[self.existing]}")
        return lines

    def __str__(self) -> str:
        """Return the plan in a few lines."""
        return "\n".join([f"Into {self.dataset}: {'; '.join(self.facts())}", super().__str__()])

    @plainly
    async def choose(
        self,
        *,
        existing: str | None = None,
        new: str | None = None,
        progress: Progress = no_progress,
        **changes: Any,
    ) -> MergePlan:
        """Return the plan with other choices, and for the dataset as it is now; see `plan_merge`.

        Raises
        ------
        ImportFormatError
            If there is no such choice or value.
        """
        choices = choices_from(self.choices, changes)
        info = await self._stores.dataset.get(self.dataset)
        target = Target(
            info.name, info.classes, existing or self.existing, new or self.new_pictures
        )
        made = await _planned(self._stores, target, self._view, choices, progress)
        self._close.detach()
        return made

    @plainly
    async def apply(self, *, progress: Progress = no_progress) -> Merged:
        """Do it: all of it, or nothing at all. What changed in the source is planned anew.

        Raises
        ------
        ImportFormatError
            If questions are open.
        ConflictError
            If the dataset's classes have changed since, or pictures or labels that are concerned.
        """
        plan = self
        if await asyncio.to_thread(lambda: self._view.print(now=True) != self._print):
            plan = await self._anew(progress)
        merged = await plan._applied(progress)
        self.close()
        return merged

    async def _anew(self, progress: Progress) -> MergePlan:
        """Return the same plan of what there is now."""
        chosen = {item.name: getattr(self.choices, item.name) for item in fields(Choices)}
        return await plan_merge(
            self._stores,
            source_of(self._view),
            self.dataset,
            existing=self.existing,
            new=self.new_pictures,
            origin=self._view.origin,
            progress=progress,
            **chosen,
        )

    async def _applied(self, progress: Progress) -> Merged:
        if self.questions:
            raise ImportFormatError("; ".join(self.questions))
        with (
            in_our_words(f"{self._contents.view.path}, {UNPACKED}"),
            tempfile.TemporaryDirectory(prefix=scratch_prefix("import")) as scratch,
        ):
            images = await asyncio.to_thread(self._unpacked, Path(scratch), progress)
            kept: list[Account] = []

            def account(way: WayBack) -> tuple[str, bytes]:
                kept.append(self._account(way))
                return kept[-1].id, kept[-1].to_bytes()

            way = await self._merged(images, account)
        self.close()
        change = self._change(way, kept[-1])
        return Merged(change, way.added, list(self.labels), self.ledger, self.notes)

    async def _merged(
        self, images: list[NewImage], account: Callable[[WayBack], tuple[str, bytes]]
    ) -> WayBack:
        try:
            replacements = await self._replacements()
            merge = Merge(
                self._target.classes,
                self.classes,
                images,
                replacements,
                self.labels,
                account,
                self._seen,
            )
            return await self._stores.dataset.merge(self.dataset, merge)
        except (NotFoundError, AlreadyExistsError) as error:
            await self._stores.dataset.get(self.dataset)  # unless it is gone as a whole
            raise ConflictError(
                f"{error}. Somebody else has changed {self.dataset} since this import was planned, "
                "and nothing of it came in; plan it again"
            ) from error

    def _account(self, way: WayBack) -> Account:
        ids = {name: class_id for class_id, name in enumerate(self.classes)}
        every = self.new | self.found | self.replaced
        rows = [(every[name][1], found) for name, found in self._aims.rows.items()]
        places = {name: "/".join(("images", *key)) for name, key in every.items()}
        account = new_account(
            self._view.origin, self.ledger, self._contents.notes, rows, ids, places
        )
        return replace(account, way_back=way, classes=(self._target.classes, self.classes))

    def _unpacked(self, scratch: Path, progress: Progress) -> list[NewImage]:
        """Return the new pictures, which are written to `scratch` on the way."""
        ids = {name: class_id for class_id, name in enumerate(self.classes)}
        images = []
        for done, (name, (split, filename)) in enumerate(self.new.items(), start=1):
            path = scratch / f"{done}{Path(filename).suffix}"
            with path.open("wb") as file:
                file.writelines(self._contents.view.chunks(name))
            rows = self._pictures[name].rows
            boxes = None if rows is None else annotations_of(rows, ids)
            images.append(NewImage(filename, split, path, boxes))
            progress(done, len(self.new))
        return images

    async def _replacements(self) -> list[ImageReplacement]:
        """Return the new pictures that take the place of others."""
        made = []
        for name, (split, filename) in self.replaced.items():
            old = await self._stores.image.read_bytes(self.dataset, split, filename)
            data = await asyncio.to_thread(self._contents.view.read, name)
            renamed = stem(filename) + Path(name).suffix.lower()
            made.append(ImageReplacement(split, filename, renamed, data, old))
        return made

    def _change(self, way: WayBack, account: Account) -> Change:
        parts = [counted(number, "image")] if (number := len(way.added) + len(way.replaced)) else []
        parts += [f"labels of {counted(len(way.edits), 'image')}"] if way.edits else []
        text = f"{' and '.join(parts) or 'nothing'} imported"
        if not parts:
            return Change(text, nothing_to_undo)

        async def undo() -> None:
            await take_back_import(self._stores, self.dataset, account)

        return Change(text, undo)

    def close(self) -> None:
        """Close the source; the plan can no longer be applied or changed."""
        self._close()


@plainly
async def plan_merge(
    stores: DataStores,
    path: Path | str,
    dataset: str,
    *,
    existing: str = "keep",
    new: str = "add",
    origin: str = "",
    progress: Progress = no_progress,
    **choices: Any,
) -> MergePlan:
    """Plan an import into a dataset that exists.

    Parameters
    ----------
    stores : DataStores
    path : Path or str
        As for `plan_import`; may hold annotations alone.
    dataset : str
    existing : str
        What to do with pictures that have labels already: ``keep`` these, ``add`` to them or
        ``replace`` them.
    new : str
        ``add`` pictures that the dataset does not have, or ``leave`` them out.
    origin : str
        What the account shall call the source; default: its path.
    **choices
        See `Choices`; ``classes`` maps the source's classes to the dataset's.

    Raises
    ------
    NotFoundError
        If there is nothing at `path`, or no such dataset.
    ArchiveError, ImportFormatError
        If it cannot be imported.
    """
    chosen = choices_from(Choices(), choices)
    info = await stores.dataset.get(dataset)
    target = Target(info.name, info.classes, existing, new)
    view = await asyncio.to_thread(FolderView.open, absolute(path), may_be_bare=True)
    view.origin = origin or view.origin
    try:
        if not (view.pictures or view.others(CONVERTIBLE | VIDEOS)):
            keys = [(image.split, image.filename) for image in await stores.image.list(dataset)]
            view = DatasetView(view, await heads_of(stores, dataset, keys))
        return await _planned(stores, target, view, chosen, progress)
    except BaseException:
        view.close()
        raise


async def _planned(
    stores: DataStores,
    target: Target,
    view: FolderView,
    choices: Choices,
    progress: Progress,
) -> MergePlan:
    contents = await asyncio.to_thread(contents_of, view, choices, progress)
    images = await stores.image.list(target.dataset)
    present: dict[ImageKey, list[Annotation] | None] = {
        (image.split, image.filename): [] if image.has_labels else None for image in images
    }
    found = await find_those_there(stores, target.dataset, list(present), view, contents)
    labelled = [
        key
        for picture in contents.pictures
        if picture.rows is not None
        and (key := found.get(picture.name)) is not None
        and present[key] is not None
    ]
    table = await stores.label.load_many(target.dataset, labelled)
    if table.problems and target.existing == "add":
        raise table.problems[0]
    present |= zip(labelled, table.annotations_by_image(), strict=True)
    ledger, told = contents.ledger, set(contents.ledger.sentences())
    aims = aims_of(contents, target, found, present, choices.clashes)
    replaced = [key for key in aims.replaced.values() if key in aims.labels]
    table = await stores.label.load_many(target.dataset, replaced)
    seen = {key: present[key] for key in aims.labels}
    for key, labelled_now, boxes in zip(
        replaced, table.labelled.tolist(), table.annotations_by_image(), strict=True
    ):
        seen[key] = boxes if labelled_now else None
    if isinstance(view, DatasetView):
        ledger.disown(PICTURES)
        ledger.withdraw(found, lambda key: key[0] == PICTURES and key[2] in why.OF_COMING)
    else:
        leave_there(contents, found)
    ledger.check()
    # The sentences are said anew: fewer come in than if a dataset was made of all of it.
    others = [note for note in contents.notes if note not in told]
    contents.notes[:] = dict.fromkeys([*others, *ledger.sentences()])
    return MergePlan(stores, view, contents, choices, target, aims, seen)
