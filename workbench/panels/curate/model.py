"""The model behind the curate panel: what is wrong with a dataset, and plans to put it right.

No widgets: traits carry state, coroutines do the work, stores are handed in. Whatever
changes the dataset is previewed first, is noted with the way back, and brings what is shown
up to date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import numpy as np
import traitlets

from workbench.datasets.changes import Change, counted
from workbench.datasets.classes import ClassEditor, ClassPlan, ClassRef
from workbench.datasets.dataset import Dataset
from workbench.datasets.decided import ChangedSinceError, differences
from workbench.datasets.grouping import GroupBy
from workbench.datasets.health import Finding, HealthReport, Repair
from workbench.datasets.index import DatasetIndex
from workbench.datasets.manager import DatasetManager
from workbench.datasets.splits import SplitPlan
from workbench.datasets.statistics import Statistics
from workbench.datasets.versions import in_words
from workbench.errors import ConflictError
from workbench.panels.shared.changing import ChangingModel, sentence
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey, Progress, no_progress
from workbench.persistence.version_models import VersionComparison, VersionInfo

_TOLD_APART_BY = (
    "split",
    "size_bytes",
    "modified_ns",
    "label_bytes",
    "label_modified_ns",
    "predicted",
)


class CurateModel(ChangingModel):
    """Checks a dataset, counts what is in it, and plans changes of splits and classes.

    Parameters
    ----------
    stores : Stores

    Notes
    -----
    Used on one event loop. Commands raise `BusyError` while another is under way.
    """

    dataset = traitlets.Unicode("", help="name of the dataset; empty before one was opened")
    statistics = traitlets.Instance(Statistics, allow_none=True, help="as it is now")
    report = traitlets.Instance(HealthReport, allow_none=True, help="of the last check")
    split_plan = traitlets.Instance(SplitPlan, allow_none=True, help="to be applied")
    class_plan = traitlets.Instance(ClassPlan, allow_none=True, help="to be applied")
    versions = traitlets.List(traitlets.Instance(VersionInfo), help="oldest first")
    comparison = traitlets.Instance(VersionComparison, allow_none=True, help="of two versions")

    def __init__(self, stores: Stores) -> None:
        super().__init__()
        self.manager = DatasetManager.on(stores)
        self._opened: Dataset | None = None
        self._is_measured = False
        self._checked: DatasetIndex | None = None  # the dataset as it was when it was checked

    @property
    def classes(self) -> list[str]:
        """Names of the dataset's classes."""
        return [] if self.statistics is None else list(self.statistics.index.classes)

    async def open(self, dataset: str) -> None:
        """Show a dataset; what is under way for another is stopped.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        self.stop()
        async with self._lock:
            data = await self.manager.open(dataset)
            with self._showing("Reading the dataset") as progress:
                statistics = await _count(data, measured=False, progress=progress)
                versions = await data.versions.list()
            self._is_measured = False
            with self.hold_trait_notifications():
                self._opened, self.dataset = data, data.name
                self.statistics, self.versions = statistics, versions
                self.report = self.comparison = None
                self._forget_plans()
            self._forget_changes()
            self.status = Status()

    async def refresh(self) -> None:
        """Look again what is in the dataset; what was checked is checked again.

        If nothing has changed since, everything stays as it is, plans too. Whoever asks for
        something meanwhile need not wait, and what is under way is not disturbed.
        """
        dataset, data = self.dataset, self._data
        with self._showing("Reading the dataset", at_once=False) as progress:

            def unseen(_done: int, _total: int) -> None:
                progress(0, 0)  # stops, but shows nothing

            versions = await data.versions.list()
            statistics = await _count(data, measured=False, progress=unseen)
        known = self.statistics
        if known is not None and versions == self.versions and _same(statistics, known):
            return
        if self.dataset != dataset or self._lock.locked():
            return  # what is under way will look again
        async with self._doing("Reading the dataset", unasked=True) as progress:
            await self._look_again(progress)

    async def catch_up(self) -> None:
        """Look again after what is under way, because somebody has changed something."""
        async with self._lock:
            had_plan = self.split_plan is not None or self.class_plan is not None
        await self.refresh()
        if had_plan and self.split_plan is None and self.class_plan is None:
            self.status = Status(
                "The dataset was changed elsewhere, so the preview is outdated: press Preview "
                "again."
            )

    @property
    def is_measured(self) -> bool:
        """Whether `statistics` knows the images' sizes in pixels."""
        return self._is_measured

    async def measure(self) -> Statistics:
        """Look for the images' sizes in pixels too, once for each image.

        Waits for what is under way.
        """
        async with self._doing("Measuring the images", wait=True) as progress:
            statistics = await _count(self._data, measured=True, progress=progress)
            self._is_measured = True
            self.statistics = statistics
            return statistics

    # Health

    async def check(self) -> HealthReport:
        """Look for everything that is wrong; only what is new or changed is read."""
        async with self._doing("Checking") as progress:
            report = await self._check(progress)
            self.status = Status(_summary(report))
            return report

    async def preview_repair(self, kind: str, number: int = 0) -> str:
        """Return in words what a repair would do.

        Parameters
        ----------
        kind : str
            Of the finding, see `workbench.datasets.health.KINDS`.
        number : int
            Which of its repairs.

        Raises
        ------
        ValueError
            If there is no such finding, or no such repair for it.
        """
        async with self._doing("Looking what would change"):
            text = await self._repair(kind, number).preview()
            self.status = Status()
            return text

    async def repair(self, kind: str, number: int = 0) -> None:
        """Do a repair as a whole, then check again; see `preview_repair`.

        Raises
        ------
        ChangedSinceError
            If an image that it concerns was changed since it was checked; nothing is done then.
        """

        async def act(progress: Progress) -> Change:
            repair = self._repair(kind, number)
            await self._require_as_checked(self.finding(kind).images)
            return await repair.apply()

        await self._change("Repairing", act)

    def finding(self, kind: str) -> Finding:
        """Return what the last check found of a kind.

        Raises
        ------
        ValueError
            If nothing of the kind was found.
        """
        if self.report is None or kind not in self.report.kinds:
            raise ValueError(f"{kind}: the last check has found nothing of this kind")
        return self.report[kind]

    # Splits

    async def plan_splits(
        self,
        ratios: Mapping[str, float],
        *,
        stratify: bool = True,
        group_by: GroupBy = None,
        seed: int = 0,
    ) -> SplitPlan:
        """Plan who goes to train, val and test; see `SplitPlanner.plan`."""
        self.split_plan = None
        async with self._doing("Planning the split") as progress:
            plan = await self._data.splits(
                ratios, stratify=stratify, group_by=group_by, seed=seed, progress=progress
            )
            self.split_plan = plan
            self.status = Status(f"{counted(len(plan.moves), 'image')} would move.")
            return plan

    async def apply_splits(self) -> None:
        """Move the images as planned, all or none."""
        plan = self.split_plan
        if plan is None:
            raise ValueError("Press Preview first, to see what would move.")
        if not plan.moves:
            raise ValueError("Every image is in its split already: nothing would move.")
        await self._change("Moving images", lambda _: plan.apply())

    # Classes

    async def add_class(self, name: str) -> ClassPlan:
        """Plan to append a class, for boxes to come."""
        return await self._plan_classes(lambda editor: editor.add(name.strip()))

    async def rename_class(self, old: ClassRef, new: str) -> ClassPlan:
        """Plan to give a class another name."""
        return await self._plan_classes(lambda editor: editor.rename(old, new.strip()))

    async def colour_class(self, which: ClassRef, colour: str) -> ClassPlan:
        """Plan to draw the boxes of a class in a colour; empty: in the one of its id."""
        return await self._plan_classes(lambda editor: editor.colour(which, colour))

    async def merge_classes(self, sources: Iterable[ClassRef], into: ClassRef) -> ClassPlan:
        """Plan to let the boxes of some classes belong to another."""
        gone = [source for source in sources if source != into]
        if not gone:
            raise ValueError("Choose at least one other class to merge.")
        return await self._plan_classes(lambda editor: editor.merge(gone, into))

    async def delete_class(self, which: ClassRef, *, with_boxes: bool = False) -> ClassPlan:
        """Plan to remove a class."""
        return await self._plan_classes(lambda editor: editor.delete(which, with_boxes=with_boxes))

    async def reorder_classes(self, order: Sequence[ClassRef]) -> ClassPlan:
        """Plan to put the classes in another order."""
        return await self._plan_classes(lambda editor: editor.reorder(order))

    async def apply_classes(self) -> None:
        """Change the classes and all labels as planned, or nothing."""
        plan = self.class_plan
        if plan is None:
            raise ValueError("Press Preview first, to see what would change.")
        if not plan.counts:
            raise ValueError("Nothing would change, so there is nothing to apply.")
        await self._change("Rewriting the labels", lambda _: plan.apply())

    def forget_plans(self) -> None:
        """Drop what was planned, because something else is wanted by now."""
        with self.hold_trait_notifications():
            self._forget_plans()

    # Versions

    async def freeze(self, name: str, note: str = "") -> VersionInfo:
        """Keep the dataset as it is now, under a name."""
        async with self._doing("Freezing") as progress:
            info = await self._data.versions.freeze(name.strip(), note.strip(), progress=progress)
            self.versions = await self._data.versions.list()
            total = sum(info.num_images.values())
            self.status = Status(f"Version {info.name!r} has {counted(total, 'image')}.")
            return info

    async def compare(self, first: str | None, second: str | None = None) -> VersionComparison:
        """Say what is different in `second`; None is the dataset as it is now."""
        async with self._doing("Comparing") as progress:
            found = await self._data.versions.compare(first, second, progress=progress)
            self.comparison = found
            self.status = Status()
            return found

    async def restore(self, name: str, *, expected: VersionComparison | None = None) -> None:
        """Make the dataset what it was when a version was frozen.

        Parameters
        ----------
        expected : VersionComparison, optional
            What would be different, as it was shown to whoever decided.

        Raises
        ------
        ConflictError
            If something else would be different by now; nothing is done then.
        """
        versions = self._data.versions

        async def act(progress: Progress) -> Change:
            if expected is not None:
                now = await versions.compare(None, name, progress=progress)
                if now != expected:
                    raise ConflictError(
                        f"The dataset was changed elsewhere since you were asked. Restoring "
                        f"{name!r} would have changed: {in_words(expected)} Now it would change: "
                        f"{in_words(now)} Nothing was done; press Restore again to decide anew."
                    )
            return await versions.restore(name, progress=progress)

        await self._change("Restoring", act)

    async def delete_version(self, name: str) -> None:
        """Remove a version for good.

        Raises
        ------
        ConflictError
            If another one has this name by now than the one that is listed.
        """
        async with self._doing("Deleting the version"):
            listed = next((one for one in self.versions if one.name == name), None)
            present = {one.name: one for one in await self._data.versions.list()}
            if listed is not None and name in present and present[name] != listed:
                self.versions = list(present.values())
                raise ConflictError(
                    f"{name!r} is another version than the one you chose: that was frozen at "
                    f"{_time(listed)}, this one at {_time(present[name])}. Nothing was deleted."
                )
            await self._data.versions.delete(name)
            self.versions = await self._data.versions.list()
            self.comparison = None
            self.status = Status(f"Version {name!r} deleted.")

    # The way back

    async def undo(self) -> None:
        """Take the last change back, and check again.

        Raises
        ------
        ConflictError
            If that would destroy somebody's newer work; nothing is undone then.
        """
        async with self._doing("Undoing") as progress:
            what = await self._undo_last()
            if what:
                self.status = Status(f"Undone: {what}.")
                await self._look_again(progress)

    # Inside

    @property
    def _data(self) -> Dataset:
        if self._opened is None:
            raise RuntimeError("no dataset is open: await model.open(name) first")
        return self._opened

    async def _change(self, what: str, act: Callable[[Progress], Awaitable[Change]]) -> None:
        async with self._doing(what) as progress:
            change = await act(progress)
            self._note(change)
            self.status = Status(sentence(change.description))
            await self._look_again(progress)

    async def _look_again(self, progress: Progress) -> None:
        data = self._data
        statistics = await _count(data, measured=self._is_measured, progress=progress)
        versions = await data.versions.list()
        with self.hold_trait_notifications():
            self.statistics, self.versions = statistics, versions
            self.comparison = None
            self._forget_plans()
        if self.report is not None:
            await self._check(progress)

    async def _check(self, progress: Progress) -> HealthReport:
        checked = await self._data.index()
        report = await self._data.health(progress=progress)
        self.report, self._checked = report, checked
        return report

    async def _require_as_checked(self, images: Sequence[ImageKey]) -> None:
        """Make sure that images are what they were when they were checked."""
        if self._checked is None:
            return
        left = differences(self._checked, await self._data.index(), list(images))
        if left:
            await self._check(no_progress)
            raise ChangedSinceError(left)

    async def _plan_classes(self, make: Callable[[ClassEditor], Awaitable[ClassPlan]]) -> ClassPlan:
        self.class_plan = None
        async with self._doing("Looking what would change"):
            plan = await make(self._data.classes)
            self.class_plan = plan
            does = f"Preview: {plan.description}." if plan.counts else "Nothing would change."
            self.status = Status(does)
            return plan

    def _repair(self, kind: str, number: int) -> Repair:
        repairs = self.finding(kind).repairs
        if not 0 <= number < len(repairs):
            raise ValueError(f"{kind}: expected one of {len(repairs)} repairs, found {number}")
        return repairs[number]

    def _forget_plans(self) -> None:
        self.split_plan = self.class_plan = None


async def _count(data: Dataset, *, measured: bool, progress: Progress) -> Statistics:
    statistics = await data.statistics(measured=measured, progress=progress)
    await asyncio.to_thread(_prepare, statistics)
    return statistics


def _time(version: VersionInfo) -> str:
    return version.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _same(first: Statistics, second: Statistics) -> bool:
    """Return whether two looks have found the same files, with the same times of change."""
    one, other = first.index, second.index
    if (one.classes, one.filenames) != (other.classes, other.filenames):
        return False
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in _TOLD_APART_BY)


def _prepare(statistics: Statistics) -> None:
    """Count in a thread what the pages show, which would hold up the event loop; it is kept.

    Without tables of pandas: importing it takes longer than all else that a first look needs.
    """
    _ = statistics.boxes_by_class, statistics.images_by_class


def _summary(report: HealthReport) -> str:
    if not report.num_images:
        return "There are no images to check yet."
    checked = counted(report.num_images, "image")
    fresh = f", {report.examined:,} of them new or changed" if report.examined else ""
    found = counted(len(report), "finding") if len(report) else "nothing wrong"
    return f"{checked} checked{fresh}: {found}."
