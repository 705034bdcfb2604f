"""One dataset and everything that can be done with it: what a notebook works with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from workbench.datasets.actions import Actions
from workbench.datasets.bulk_deciding import (
    AppliedRule,
    Decided,
    Rule,
    accept_by_rule,
    applied_rules,
    take_back,
)
from workbench.datasets.classes import ClassEditor
from workbench.datasets.health import HealthChecker, HealthReport
from workbench.datasets.index import DatasetIndex, Indexer
from workbench.datasets.prelabelling import HERE, BoxRows, Frame, Labeller, Prelabelled, prelabel
from workbench.datasets.query import parse_query
from workbench.datasets.review_queue import Order, Queued, review_queue
from workbench.datasets.splits import SplitPlanner
from workbench.datasets.statistics import Statistics
from workbench.datasets.versions import Versions
from workbench.persistence import DataStores
from workbench.persistence.models import DatasetInfo, ImageKey, Progress, no_progress
from workbench.persistence.suggestions import SuggestionTable


class Dataset:
    """A dataset by its name; holds no state, so that it never shows what was true before.

    Parameters
    ----------
    stores : DataStores
    name : str

    Attributes
    ----------
    actions : Actions
        What is done to chosen images and boxes: ``await blood.actions.move(keys, "val")``.
    classes : ClassEditor
        ``plan = await blood.classes.merge(["platelets"], "cell")``, ``await plan.apply()``.
    splits : callable
        ``plan = await blood.splits({"train": 0.8, "val": 0.2})``; see `SplitPlanner.plan`.
    versions : Versions
        ``await blood.versions.freeze("before cleaning")``.

    Examples
    --------
    ::

        blood = Dataset(get_stores(), "blood")
        few = await blood.query('class:"red cell" boxes<3 -split:test sort:-date')
        (await blood.statistics()).summary_frame()
    """

    def __init__(self, stores: DataStores, name: str) -> None:
        self._stores = stores
        self._indexer = Indexer(stores)
        self.name = name
        self.actions = Actions(stores, name)
        self.classes = ClassEditor(stores, name)
        self.splits = partial(SplitPlanner(stores).plan, name)
        self.versions = Versions(stores, name)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r})"

    async def info(self) -> DatasetInfo:
        """Return its path, classes and numbers of images."""
        return await self._stores.dataset.get(self.name)

    async def index(
        self, *, measured: bool = False, progress: Progress = no_progress
    ) -> DatasetIndex:
        """Return all images and boxes in columns, as they are now.

        Parameters
        ----------
        measured : bool
            Read images' headers for width and height as well, once for each image.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        index = await self._indexer.load(self.name, progress=progress)
        if measured:
            index = await self._indexer.measure(self.name, index, progress=progress)
        return index

    async def query(self, text: str, *, progress: Progress = no_progress) -> list[ImageKey]:
        """Return the images that a query finds, as ``(split, filename)``, in its order.

        Parameters
        ----------
        text : str
            See `workbench.datasets.query`: ``"class:person boxes>3 sort:-area"``.

        Raises
        ------
        QueryError
            A ``ValueError``: if the query cannot be understood, or names what the dataset
            does not have.
        """
        query = parse_query(text)
        index = await self.index(measured=query.needs_pixels, progress=progress)
        return index.keys(query.run(index))

    async def prelabel(
        self,
        images: str | Sequence[ImageKey],
        labeller: Labeller | Callable[[list[Frame]], Iterable[BoxRows]],
        *,
        again: bool = False,
        where: str = HERE,
        progress: Progress = no_progress,
    ) -> Prelabelled:
        """Have boxes proposed for images, to be reviewed; no label is touched.

        Parameters
        ----------
        images : str or sequence of (str, str)
            A query, the name of a split, or keys.
        labeller : Labeller or callable
            Who proposes; a function as `FunctionLabeller` takes one.
        again : bool
            Look also at images that the same source has looked at before.
        where : str
            ``"local"``: this machine. A model can also label on a Ray cluster, whose nodes read
            the pictures themselves: ``"http://head:8265"``, or ``"ray"`` for the one that
            ``RAY_ADDRESS`` names; with ``?cpus=2&gpus=1`` for what each process gets.

        Raises
        ------
        NotFoundError, QueryError
        """
        return await prelabel(
            self._stores, self.name, images, labeller, again=again, where=where, progress=progress
        )

    async def review_queue(
        self, split: str | None = None, *, order: Order = "teaching"
    ) -> list[Queued]:
        """Return the images with suggestions that nobody has labelled, the most useful first.

        Parameters
        ----------
        split : str, optional
            Default: all.
        order : str
            ``"teaching"`` or ``"safest"``, see `workbench.datasets.review_queue`.
        """
        return await review_queue(self._stores, self.name, split, order=order)

    async def suggestions(self) -> SuggestionTable:
        """Return the boxes that wait for review, in columns, with their sources."""
        return await self._stores.image.suggestions(self.name)

    async def accept_by_rule(
        self, rule: Rule, *, images: Sequence[ImageKey] | None = None
    ) -> Decided:
        """Accept suggestions by a rule, such as ``Rule(0.9, sources=2)``; it is marked as such.

        Parameters
        ----------
        rule : Rule
        images : sequence of (str, str), optional
            Only on these; default: all.

        Returns
        -------
        Decided
            ``await decided.change.undo()`` takes it back; in a later session `take_back` does.
        """
        return await accept_by_rule(self._stores, self.name, rule, images=images)

    async def applied_rules(self) -> list[AppliedRule]:
        """Return what rules have accepted, as far as nobody has changed it since."""
        return await applied_rules(self._stores, self.name)

    async def take_back(self, rule_id: str) -> int:
        """Undo what a rule has accepted where nobody has changed it; return how many images.

        Raises
        ------
        NotFoundError
            If there is nothing (any more) of such a rule.
        """
        return await take_back(self._stores, self.name, rule_id)

    async def statistics(
        self, *, measured: bool = True, progress: Progress = no_progress
    ) -> Statistics:
        """Return numbers about images, boxes and classes; `plots` draws them.

        Parameters
        ----------
        measured : bool
            Include the images' sizes in pixels, for which each new image is opened once.
        """
        return Statistics(await self.index(measured=measured, progress=progress))

    async def health(
        self, *, progress: Progress = no_progress, only: Collection[str] | None = None
    ) -> HealthReport:
        """Look for everything that is wrong with it; see `HealthChecker.run`."""
        return await HealthChecker(self._stores).run(self.name, progress=progress, only=only)
