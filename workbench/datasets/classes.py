"""Classes added, renamed, merged, split, deleted and put in order, with all their labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from workbench.datasets.actions import row_patches
from workbench.datasets.changes import BoxRef, Change, counted, undoing
from workbench.errors import ClassesInUseError, ConflictError, InvalidDatasetError, NotFoundError
from workbench.persistence import DataStores
from workbench.persistence.models import DatasetInfo, ImageKey, LabelTable, RowPatch
from workbench.persistence.rules import check_colours

if TYPE_CHECKING:
    import pandas as pd

ClassRef = str | int
"""A class by its name or by its id."""

_CLASSES = ("class", "classes")


@dataclass(frozen=True, slots=True)
class ClassCount:
    """What a change of classes means for one class.

    Parameters
    ----------
    name : str
    new_name : str
        Empty if the class goes.
    class_id, new_id : int or None
        None if the class is not there before, or after.
    boxes, images : int
        So many boxes change, on so many images. For a new class: so many come to it.
    """

    name: str
    new_name: str
    class_id: int | None
    new_id: int | None
    boxes: int
    images: int


@dataclass(frozen=True, slots=True, eq=False)
class ClassPlan:
    """A change of classes that has not been made yet.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    description : str
        One phrase for people.
    classes : list of str
        All classes afterwards.
    mapping : dict of int to int or None
        New id by old id; None: the class goes, with its boxes.
    counts : list of ClassCount
        One for each class of which something changes: its name, its id or its boxes.
    notes : list of str
        What else should be known before this is applied.
    """

    stores: DataStores
    dataset: str
    description: str
    classes: list[str]
    mapping: dict[int, int | None]
    counts: list[ClassCount]
    notes: list[str] = field(default_factory=list)
    _patches: Mapping[ImageKey, Sequence[RowPatch]] = field(default_factory=dict)
    _seen: tuple[str, ...] = ()
    _only_adds: bool = False
    _colours: Mapping[str, str] = field(default_factory=dict)
    _colours_before: Mapping[str, str] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Return `counts` as a table, with the columns of `ClassCount`."""
        import pandas as pd

        columns = ("name", "new_name", "class_id", "new_id", "boxes", "images")
        rows = [[getattr(count, column) for column in columns] for count in self.counts]
        frame = pd.DataFrame(rows, columns=list(columns))
        return frame.astype({"class_id": "Int64", "new_id": "Int64"})

    async def apply(self) -> Change:
        """Make the change: classes, prompts and all label files, or nothing.

        Raises
        ------
        ConflictError
            If the classes are others by now, a class to delete has another number of boxes
            than was shown, or a chosen box has changed.
        LabelFormatError
            If label files cannot be read, so that nobody knows what is in them; names them.
            Classes can be added nevertheless.
        """
        if self._only_adds:
            return await self._add()
        if self._colours:
            return await self._colour()
        doomed = {
            count.class_id: count.boxes
            for count in self.counts
            if count.class_id is not None and self.mapping.get(count.class_id) is None
        }
        done = await self.stores.dataset.rewrite_classes(
            self.dataset,
            self.classes,
            self.mapping,
            patches=self._patches,
            expected=self._seen,
            expected_boxes=doomed,
        )

        async def undo() -> None:
            with undoing(self.description):
                await self.stores.dataset.undo_rewrite(self.dataset, done.id)

        return Change(self.description, undo)

    async def _colour(self) -> Change:
        store = self.stores.dataset
        await store.set_colours(self.dataset, self._colours)

        async def undo() -> None:
            with undoing(self.description):
                await store.set_colours(self.dataset, self._colours_before)

        return Change(self.description, undo)

    async def _add(self) -> Change:
        """Append classes: no label file changes, so none has to be readable."""
        store = self.stores.dataset
        await store.update_classes(self.dataset, self.classes, expected=self._seen)

        async def undo() -> None:
            with undoing(self.description):
                try:
                    await store.update_classes(self.dataset, self._seen, expected=self.classes)
                except ClassesInUseError as error:
                    raise ConflictError(f"cannot undo ({self.description}): {error}") from error

        return Change(self.description, undo)


class ClassEditor:
    """Plans changes of one dataset's classes.

    Each method returns a `ClassPlan` with what would change; ``await plan.apply()`` makes
    the change. Classes are given by name or by id. Boxes of all classes that a change does
    not name keep their class, whatever its id becomes.
    """

    def __init__(self, stores: DataStores, dataset: str) -> None:
        self._stores = stores
        self._dataset = dataset

    async def add(self, *names: str) -> ClassPlan:
        """Append new classes, which have no boxes yet.

        Raises
        ------
        InvalidDatasetError
            If a name is empty, or there is a class of that name.
        """
        view = await self._look()
        if not names:
            raise InvalidDatasetError("expected the name of a new class, found none")
        for place, name in enumerate(names):
            _check_name(name)
            if name in view.classes or name in names[:place]:
                raise InvalidDatasetError(
                    f"{self._dataset} has a class {name!r} already; choose another name"
                )
        text = f"{', '.join(map(repr, names))} added as new {_CLASSES[len(names) > 1]}"
        same: dict[int, int | None] = {i: i for i in range(len(view.classes))}
        plan = self._plan(view, text, [*view.classes, *names], same)
        first = len(view.classes)
        plan.counts.extend(
            ClassCount("", name, None, first + place, 0, 0) for place, name in enumerate(names)
        )
        plan.notes.clear()  # unreadable label files are in nobody's way
        return replace(plan, _only_adds=True)

    async def rename(self, old: ClassRef, new: str) -> ClassPlan:
        """Give a class another name.

        Raises
        ------
        NotFoundError
            If there is no such class.
        InvalidDatasetError
            If the name is empty, or another class has it; `merge` puts the two together.
        """
        view = await self._look()
        class_id = view.find(old)
        _check_name(new)
        if new in view.classes and new != view.classes[class_id]:
            raise InvalidDatasetError(
                f"{self._dataset} has a class {new!r} already; merge puts two classes together"
            )
        classes = [new if i == class_id else name for i, name in enumerate(view.classes)]
        text = f"class {view.classes[class_id]!r} renamed to {new!r}"
        return self._plan(view, text, classes, {i: i for i in range(len(classes))})

    async def colour(self, which: ClassRef, colour: str) -> ClassPlan:
        """Draw the boxes of a class in a colour of its own; no label changes.

        Parameters
        ----------
        which : str or int
        colour : str
            Such as ``#ff8800``; empty for the colour that belongs to the id.

        Raises
        ------
        NotFoundError
            If there is no such class.
        InvalidDatasetError
            If it is no colour.
        """
        view = await self._look()
        class_id = view.find(which)
        name, before = view.classes[class_id], view.colours[class_id]
        wanted = check_colours({name: colour}, view.classes)
        text = f"class {name!r} drawn in {colour}" if colour else f"class {name!r} drawn as usual"
        plan = self._plan(view, text, view.classes, {i: i for i in range(len(view.classes))})
        if wanted[name] != before:
            affected = view.boxes[class_id], view.images[class_id]
            plan.counts.append(ClassCount(name, name, class_id, class_id, *affected))
        plan.notes.clear()  # unreadable label files are in nobody's way
        return replace(plan, _colours=wanted, _colours_before={name: before})

    async def merge(self, sources: Iterable[ClassRef], into: ClassRef) -> ClassPlan:
        """Give the boxes of some classes to another class; the emptied classes go.

        The prompts of the classes come together too.
        """
        view = await self._look()
        target = view.find(into)
        gone = {view.find(source) for source in sources} - {target}
        classes, mapping = _without(view.classes, gone)
        mapping |= dict.fromkeys(gone, mapping[target])
        names = ", ".join(repr(view.classes[i]) for i in sorted(gone))
        text = f"{names} merged into {view.classes[target]!r}"
        return self._plan(view, text, classes, mapping)

    async def split_off(self, boxes: Collection[BoxRef], new: str) -> ClassPlan:
        """Make chosen boxes a class of their own, behind all others.

        Raises
        ------
        InvalidDatasetError
            If the name is empty, or a class has it; `Actions.reclassify` moves boxes there.
        """
        view = await self._look()
        _check_name(new)
        if new in view.classes:
            raise InvalidDatasetError(
                f"{self._dataset} has a class {new!r} already; reclassify the boxes instead"
            )
        chosen = list(dict.fromkeys(boxes))
        new_id = len(view.classes)
        plan = self._plan(
            view,
            f"{counted(len(chosen), 'box', 'boxes')} made the new class {new!r}",
            [*view.classes, new],
            {i: i for i in range(new_id)},
        )
        images = len({box.image for box in chosen})
        plan.counts.append(ClassCount("", new, None, new_id, len(chosen), images))
        return replace(plan, _patches=row_patches(chosen, new_id))

    async def delete(self, which: ClassRef, *, with_boxes: bool = False) -> ClassPlan:
        """Remove a class.

        Parameters
        ----------
        with_boxes : bool
            Remove its boxes too. An image that had no others is background then.

        Raises
        ------
        ClassesInUseError
            If the class has boxes and `with_boxes` is false.
        """
        view = await self._look()
        class_id = view.find(which)
        name, boxes = view.classes[class_id], view.boxes[class_id]
        if boxes and not with_boxes:
            raise ClassesInUseError(
                f"class {name!r} has {counted(boxes, 'box', 'boxes')} on "
                f"{counted(view.images[class_id], 'image')}; merge it into another class, or "
                f"delete it with its boxes (with_boxes=True)"
            )
        classes, mapping = _without(view.classes, {class_id})
        emptied = view.only_in(class_id)
        notes = (
            [f"{counted(emptied, 'image')} will have no boxes left and count as background"]
            if emptied
            else []
        )
        text = f"class {name!r} deleted with {counted(boxes, 'box', 'boxes')}"
        return self._plan(view, text, classes, mapping, notes)

    async def reorder(self, order: Sequence[ClassRef]) -> ClassPlan:
        """Put the classes in another order; `order` names each of them once."""
        view = await self._look()
        ids = [view.find(ref) for ref in order]
        if sorted(ids) != list(range(len(view.classes))):
            raise InvalidDatasetError(
                f"order: expected each of {', '.join(view.classes)} once, "
                f"found {', '.join(map(str, order))}"
            )
        mapping: dict[int, int | None] = {old: new for new, old in enumerate(ids)}
        return self._plan(view, "classes reordered", [view.classes[i] for i in ids], mapping)

    async def _look(self) -> _View:
        info = await self._stores.dataset.get(self._dataset)
        return _View(info, await self._stores.label.load_all(self._dataset))

    def _plan(
        self,
        view: _View,
        text: str,
        classes: list[str],
        mapping: dict[int, int | None],
        notes: list[str] | None = None,
    ) -> ClassPlan:
        counts = []
        for old, name in enumerate(view.classes):
            new = mapping[old]
            new_name = "" if new is None else classes[new]
            if (old, name) != (new, new_name):
                affected = view.boxes[old], view.images[old]
                counts.append(ClassCount(name, new_name, old, new, *affected))
        found = list(notes or [])
        if view.unreadable:
            found.append(
                f"{counted(len(view.unreadable), 'label file')} cannot be read and must be "
                f"repaired first: {view.unreadable[0]}"
            )
        return ClassPlan(
            self._stores,
            self._dataset,
            text,
            classes,
            mapping,
            counts,
            found,
            _seen=tuple(view.classes),
        )


class _View:
    """The classes of a dataset with their boxes, as they are now."""

    def __init__(self, info: DatasetInfo, table: LabelTable) -> None:
        self.classes = classes = info.classes
        self.colours = info.colours or [""] * len(classes)
        self.unreadable = [str(problem) for problem in table.problems]
        self._dataset = info.name
        number = max(len(classes), 1)
        self._pairs = np.unique(table.image_index * number + table.class_id)
        self._number = number
        self.boxes: list[int] = table.class_counts(number).tolist()
        self.images: list[int] = np.bincount(self._pairs % number, minlength=number).tolist()

    def find(self, ref: ClassRef) -> int:
        """Return the id of a class; raises `NotFoundError`."""
        if isinstance(ref, int) and 0 <= ref < len(self.classes):
            return ref
        if ref in self.classes:
            return self.classes.index(str(ref))
        raise NotFoundError(
            f"{self._dataset} has no class {ref!r}; its classes are "
            f"{', '.join(self.classes) or 'none'}"
        )

    def only_in(self, class_id: int) -> int:
        """Return how many images have boxes of this class and of no other."""
        images, classes = np.divmod(self._pairs, self._number)
        kinds = np.bincount(images)
        return int((kinds[images[classes == class_id]] == 1).sum())


def _check_name(name: str) -> None:
    if not name.strip():
        raise InvalidDatasetError("the new name of the class is empty; type one")


def _without(
    classes: Sequence[str], gone: Collection[int]
) -> tuple[list[str], dict[int, int | None]]:
    """Return the classes that stay, and the new id of each."""
    kept = [i for i in range(len(classes)) if i not in gone]
    mapping: dict[int, int | None] = dict.fromkeys(range(len(classes)))
    mapping |= {old: new for new, old in enumerate(kept)}
    return [classes[i] for i in kept], mapping
