"""Start-up and shutdown, and the whole workbench in one notebook cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from workbench.datasets.dataset import Dataset
from workbench.datasets.manager import DatasetManager
from workbench.datasets.prelabelling import HERE, Labeller, Prelabelled
from workbench.evaluation.evaluator import Evaluator
from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores, create_stores, get_stores, set_stores
from workbench.persistence.addresses import Places
from workbench.persistence.models import ImageKey, Progress, no_progress
from workbench.persistence.stores.runs import RunStore
from workbench.training.runner import TrainingRunner

if TYPE_CHECKING:
    from workbench.panels import (
        AnnotatePanel,
        BrowsePanel,
        CapturePanel,
        CuratePanel,
        EvaluatePanel,
        HomePanel,
        ModelsPanel,
        TrainPanel,
    )
    from workbench.panels.tabs import WorkbenchTabs


class Panel(Protocol):
    """What all panels have in common, besides being shown at the end of a cell."""

    @property
    def view(self) -> Any:
        """What is shown, an ipywidget; to put the panel among other widgets."""

    @property
    def model(self) -> Any:
        """State and commands, without widgets."""

    async def refresh(self) -> None:
        """Look again what is there."""

    def close(self) -> None:
        """Stop the panel's work and take it off the page; training runs go on."""


P = TypeVar("P", bound=Panel)


class Workbench:
    """The stores of this process, and what works on them.

    Making one is start-up: it makes the folders if they are missing and sets the stores
    that every panel and ``get_dataset_store()`` use. Shown at the end of a notebook cell
    it is the whole workbench, with a tab for each panel::

        wb = Workbench("data", "models")
        await wb.datasets.create("cups", classes=["cup"])
        wb

    ``annotate``, ``browse``, ``capture``, ``curate``, ``train``, ``evaluate`` and ``models`` each
    give one panel alone, on the stores of this workbench::

        wb.annotate("cups", split="val", only="unlabelled")

    Parameters
    ----------
    data_dir : Path or str
        Folder that holds one folder for each dataset, or the address of a place in a bucket,
        such as ``s3://bucket/data``.
    models_dir : Path or str, optional
        Folder that holds one folder for each model, or the address of a bucket, such as
        ``s3://bucket/models``; default: ``models`` beside `data_dir`.
    runs_dir : Path or str, optional
        Folder that holds one folder for each training run; default: ``runs`` beside
        `data_dir`. With data in a bucket, the default is a folder of this user's, which
        ``wb.runs_dir`` names (``~/.local/state/workbench/runs/...`` on Linux). Or the address of
        a bucket, such as ``s3://bucket/runs``, where the record of each run is kept; it works in
        a folder of this user's, ``wb.runner.runs_dir``.

    Attributes
    ----------
    stores : Stores
    datasets : DatasetManager
        All datasets: list, create, duplicate, rename, import, export, delete.
    runner : TrainingRunner
        Starts training runs, and finds earlier ones again.
    predictor : Predictor
        Boxes on an image by the active model.
    evaluator : Evaluator
        How good a model is on a split, and where it fails.
    """

    def __init__(
        self,
        data_dir: Path | str = "data",
        models_dir: Path | str | None = None,
        runs_dir: Path | str | None = None,
    ) -> None:
        places = Places.of(data_dir, models_dir or None, runs_dir or None)
        stores = create_stores(data_dir=places.data, models_dir=places.models)
        self._set_up(stores, places, RunStore.at(places.runs))

    @classmethod
    def over(
        cls,
        stores: Stores,
        runs_dir: Path | str | RunStore = "runs",
        *,
        where: str = "stores of your own",
    ) -> Workbench:
        """Make one over stores that are there: those of a storage backend of your own.

        Parameters
        ----------
        stores : Stores
            As `workbench.persistence.opening.stores_over` makes them.
        runs_dir : Path, str or RunStore
            A folder for the training runs, the address of a bucket, or where else they are kept.
        where : str
            What Home calls the place of the datasets.
        """
        runs = runs_dir if isinstance(runs_dir, RunStore) else RunStore.at(runs_dir)
        wb = cls.__new__(cls)
        wb._set_up(stores, Places(where, where, runs.folder), runs)
        return wb

    def _set_up(self, stores: Stores, places: Places, runs: RunStore) -> None:
        self.data_dir, self.models_dir, self.runs_dir = places.data, places.models, places.runs
        self.stores = stores
        set_stores(stores)
        self.datasets = DatasetManager.on(stores)
        self.runner = TrainingRunner(stores, runs)
        self.predictor = Predictor(self.stores)
        self.evaluator = Evaluator(self.stores, self.predictor)
        self._tabs: WorkbenchTabs | None = None
        self._panels: WeakSet[Panel] = WeakSet()

    def __repr__(self) -> str:
        return f"Workbench(data_dir={self.data_dir}, models_dir={self.models_dir})"

    @property
    def tabs(self) -> WorkbenchTabs:
        """The panels in tabs, made when first asked for; needs a running event loop."""
        if self._tabs is None:
            from workbench.panels.tabs import WorkbenchTabs

            self._tabs = WorkbenchTabs(self.stores, self.runner, self.predictor, self.data_dir)
        return self._tabs

    def home(self) -> HomePanel:
        """See which datasets there are, make new ones; see `HomePanel`."""
        from workbench.panels import HomePanel

        return self._keep(HomePanel(self.stores, where=str(self.data_dir)))

    def open(self, dataset: str, panel: str = "Browse") -> WorkbenchTabs:
        """Turn to a dataset and a panel in the tabs, and return them to be shown."""
        self.tabs.go(panel, dataset)
        return self.tabs

    def annotate(self, dataset: str, split: str = "train", **choices: Any) -> AnnotatePanel:
        """Draw boxes on the images of a dataset; `choices` are those of `AnnotatePanel`."""
        from workbench.panels import AnnotatePanel

        shared = {"predictor": self.predictor, "runner": self.runner, **choices}
        return self._keep(AnnotatePanel(dataset, split, self.stores, **shared))

    def browse(self, dataset: str | None = None, **choices: Any) -> BrowsePanel:
        """Look through the images of a dataset; `choices` are those of `BrowsePanel`."""
        from workbench.panels import BrowsePanel

        shared = {"predictor": self.predictor, "runner": self.runner, **choices}
        return self._keep(BrowsePanel(dataset, self.stores, **shared))

    def capture(self, dataset: str | None = None, **choices: Any) -> CapturePanel:
        """Take pictures into a dataset; `choices` are those of `CapturePanel`."""
        from workbench.panels import CapturePanel

        shared = {"predictor": self.predictor, **choices}
        return self._keep(CapturePanel(dataset, self.stores, **shared))

    def curate(self, dataset: str | None = None) -> CuratePanel:
        """Check and repair a dataset, see `CuratePanel`."""
        from workbench.panels import CuratePanel

        return self._keep(CuratePanel(dataset, self.stores))

    def train(self, dataset: str | None = None) -> TrainPanel:
        """Train on a dataset, see `TrainPanel`."""
        from workbench.panels import TrainPanel

        return self._keep(TrainPanel(dataset, self.stores, self.runner.runs))

    def evaluate(self, dataset: str | None = None) -> EvaluatePanel:
        """Measure models on a dataset, see `EvaluatePanel`."""
        from workbench.panels import EvaluatePanel

        return self._keep(EvaluatePanel(dataset, self.stores, predictor=self.predictor))

    def models(self) -> ModelsPanel:
        """Look at the models that there are, see `ModelsPanel`."""
        from workbench.panels import ModelsPanel

        return self._keep(ModelsPanel(self.stores, predictor=self.predictor))

    async def prelabel(
        self,
        dataset: str,
        images: str | Sequence[ImageKey] = "unlabelled",
        labeller: Labeller | Callable[..., Any] | str | Path | None = None,
        *,
        again: bool = False,
        where: str = HERE,
        progress: Progress = no_progress,
    ) -> Prelabelled:
        """Have boxes proposed for images, to be reviewed in the annotator; no label is touched.

        Parameters
        ----------
        dataset : str
        images : str or sequence of (str, str)
            A query, the name of a split, or keys.
        labeller : Labeller, callable, str or Path, optional
            A model's name, a weights file, a `Labeller`, or a function as `FunctionLabeller`
            takes one; default: the active model.
        again : bool
            Look also at images that the same source has looked at before.
        where : str
            ``"local"``: this machine. A model can also label on a Ray cluster, whose nodes read
            the pictures themselves: ``"http://head:8265"``, or ``"ray"`` for the one that
            ``RAY_ADDRESS`` names; with ``?cpus=2&gpus=1`` for what each process gets.

        Raises
        ------
        NotFoundError
            If there is no such dataset or model, or it knows none of the dataset's classes.
        """
        if labeller is None or isinstance(labeller, str | Path):
            labeller = ModelLabeller(self.predictor, labeller)
        return await Dataset(self.stores, dataset).prelabel(
            images, labeller, again=again, where=where, progress=progress
        )

    def _keep(self, panel: P) -> P:
        self._panels.add(panel)
        return panel

    def close(self) -> None:
        """Close the panels and release the stores; training runs go on."""
        for panel in tuple(self._panels):
            panel.close()
        self._panels.clear()
        if self._tabs is not None:
            self._tabs.close()
            self._tabs = None
        self.predictor.close()
        if _is_current(self.stores):
            set_stores(None)

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.tabs._repr_mimebundle_(**kwargs)


def _is_current(stores: Stores) -> bool:
    try:
        return get_stores() is stores
    except RuntimeError:
        return False
