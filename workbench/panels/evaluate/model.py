"""The model behind the evaluate panel: evaluate models, and sort what they get wrong.

No widgets: traits carry state, coroutines do the work, stores are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import traitlets as t

from workbench.datasets.changes import counted
from workbench.datasets.manager import DatasetManager
from workbench.errors import NotFoundError
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.evaluator import Evaluator
from workbench.evaluation.findings import Finding
from workbench.evaluation.mistakes import Comparison, Galleries, compare, galleries
from workbench.evaluation.suspects import suspicious_labels
from workbench.panels.evaluate.tiles import Tile, TileMaker, confidence_of, has_prediction
from workbench.panels.shared.changing import ChangingModel
from workbench.panels.shared.readings import Readings
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, DatasetInfo, ModelInfo, Prediction, Progress
from workbench.training.config import LOCAL

SUSPECTS = "suspects"
CHOICES = ("dataset", "split", "model", "against", "unlabelled_as_background", "where")
"""Traits of `EvaluateModel` that somebody chooses."""


class GalleryKind(NamedTuple):
    """A gallery's title, and in a sentence what stands in it and in which order."""

    title: str
    about: str


GALLERIES: Mapping[str, GalleryKind] = {
    SUSPECTS: GalleryKind(
        "Likely label mistakes",
        "Where the model, as sure as it is when it is right, speaks against a label; the most "
        "suspicious first. It judges best what it was not trained on.",
    ),
    "false_positives": GalleryKind(
        "False positives", "Predictions where nothing is labelled; the most confident first."
    ),
    "false_negatives": GalleryKind(
        "False negatives", "Labels that were missed; those it has the least idea of first."
    ),
    "wrong_class": GalleryKind(
        "Wrong class", "Predictions that fit a label of another class; the most confident first."
    ),
    "badly_placed": GalleryKind(
        "Badly placed", "About a label of its class, but with an IoU below 0.5."
    ),
    "duplicates": GalleryKind(
        "Duplicates", "A second prediction for a label that a surer one has found."
    ),
    "most_confident": GalleryKind("Most confident", "The surest predictions, right or wrong."),
    "least_confident": GalleryKind(
        "Least confident", "Predictions that just count: where more labels help most."
    ),
    "only_first": GalleryKind("Only {0} finds", "Labels that {0} finds and {1} misses."),
    "only_second": GalleryKind("Only {1} finds", "Labels that {1} finds and {0} misses."),
    "false_positives_first": GalleryKind(
        "False positives of {0} alone", "Where nothing is labelled and {1} predicts nothing."
    ),
    "false_positives_second": GalleryKind(
        "False positives of {1} alone", "Where nothing is labelled and {0} predicts nothing."
    ),
}
"""Of all galleries by kind; ``{0}`` and ``{1}`` stand for the names of two models."""

_OF_SECOND = ("only_second", "false_positives_second")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What an evaluation has shown.

    Parameters
    ----------
    evaluation : Evaluation
    other : Evaluation or None
        Of the model that it is compared with, on the same labels.
    comparison : Comparison or None
    findings : dict of str to tuple of Finding
        By kind of gallery, see `GALLERIES`.
    colours : list of str
        `DatasetInfo.colours`.
    """

    evaluation: Evaluation
    other: Evaluation | None
    comparison: Comparison | None
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    colours: list[str] = field(default_factory=list)

    def evaluation_of(self, kind: str) -> Evaluation:
        """Return the evaluation that a gallery's findings are of."""
        return self.other if self.other is not None and kind in _OF_SECOND else self.evaluation

    def describe(self, kind: str) -> GalleryKind:
        """Return title and explanation of a gallery, with the models' names."""
        names = self.comparison.models if self.comparison else (self.evaluation.model, "")
        title, about = GALLERIES[kind]
        return GalleryKind(title.format(*names), about.format(*names))


class EvaluateModel(ChangingModel):
    """Evaluates one model or two on a split, and shows what they get wrong.

    Parameters
    ----------
    stores : Stores
    evaluator : Evaluator
    dataset : str, optional
        Chosen at first; default: the only one there is.

    Notes
    -----
    Used on one event loop. Commands raise `BusyError` while another is under way.
    """

    dataset = t.Unicode("", help="name of the dataset that is evaluated next")
    split = t.Enum(SPLITS, "val", help="its split")
    model = t.Unicode("", help="name of the model; empty: the active one")
    against = t.Unicode("", help="name of a second model to compare with, or empty")
    unlabelled_as_background = t.Bool(False, help="whether images without labels are of nothing")
    where = t.Unicode(LOCAL, help="the place that looks, see `Evaluator.evaluate`")

    datasets = t.List(t.Unicode(), help="names of the datasets there are")
    models = t.List(t.Instance(ModelInfo), help="the models there are")
    is_read = t.Bool(False, help="whether it is known which datasets and models there are")
    lacks_images = t.Bool(False, help="whether the last evaluation found none in the split")
    result = t.Instance(Result, allow_none=True, help="of the last evaluation")

    def __init__(self, stores: Stores, evaluator: Evaluator, dataset: str = "") -> None:
        super().__init__()
        self._stores = stores
        self.manager = DatasetManager.on(stores)
        self._evaluator = evaluator
        self._tiles = TileMaker(stores)
        self._readings = Readings()
        self.dataset = dataset
        self.observe(self._forget_problem, names=list(CHOICES))

    def _forget_problem(self, _change: Any) -> None:
        """Say no more what was wrong with other choices than those of now."""
        self.lacks_images = False
        if self.status.tone == "problem":
            self.status = Status()

    async def open(self, dataset: str) -> None:
        """Choose the dataset that is evaluated next.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        name = (await self.manager.get(dataset)).name
        await self.refresh()
        self.dataset = name

    async def choose(self, model: str) -> None:
        """Choose the model that is evaluated next.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        name = (await self._stores.model.get(model)).name
        await self.refresh()
        self.model = name

    async def refresh(self) -> None:
        """Look again which datasets and models there are."""
        is_news = self._readings.begin()
        datasets = await self.manager.list_usable()
        found = await self._stores.model.list()
        if not is_news():
            return
        self.datasets = datasets
        if self.dataset not in self.datasets:
            self.dataset = self.datasets[0] if len(self.datasets) == 1 else ""
        models = [info for info in found if not info.problem]
        names = [info.name for info in models]
        self.models = models
        self.model = self.model if self.model in names else ""
        self.against = self.against if self.against in names else ""
        self.is_read = True

    async def evaluate(self, *, refresh: bool = False) -> Result:
        """Evaluate what is chosen; predictions that were kept are used again.

        Parameters
        ----------
        refresh : bool
            Predict again even so.

        Raises
        ------
        ValueError
            If no dataset is chosen.
        WorkbenchError
            See `Evaluator.evaluate`.
        StoppedError
            If `stop` was called meanwhile.
        """
        if not self.dataset:
            raise ValueError("Choose a dataset first.")
        models = [self.model or None, *([self.against] if self.against else [])]
        done = []
        for place, name in enumerate(models):
            what = "Evaluating" if len(models) == 1 else f"Evaluating model {place + 1} of 2"
            async with self._doing(what) as progress:
                info = await self._with_images()
                done.append(await self._evaluate(name, refresh, progress))
        async with self._doing("Sorting mistakes"):
            result = await asyncio.to_thread(_analysed, *done)
        self.result = result = replace(result, colours=info.colours)
        self.status = Status(_summary(result))
        return result

    async def _with_images(self) -> DatasetInfo:
        """Return what is known of the dataset; raises if there is nothing to evaluate on."""
        info = await self.manager.get(self.dataset)
        self.lacks_images = not info.num_images[self.split]
        if self.lacks_images:
            raise NotFoundError(
                f"{self.dataset}/{self.split} has no images: split the dataset in Curate, on "
                f"the page Splits, or choose another split."
            )
        return info

    async def evaluate_again(self) -> Result | None:
        """Compare anew with the labels as they are now, if something was evaluated.

        The models need not look at the images again for that.
        """
        shown = self.result
        if shown is None:
            return None
        with self.hold_trait_notifications():
            self.dataset, self.split = shown.evaluation.dataset, shown.evaluation.split
            self.model = shown.evaluation.model
            self.against = shown.other.model if shown.other else ""
        return await self.evaluate()

    def findings(self, kind: str) -> tuple[Finding, ...]:
        """Return a gallery of the last evaluation; see `GALLERIES`."""
        return () if self.result is None else self.result.findings.get(kind, ())

    async def tiles(self, kind: str, start: int = 0, count: int = 24) -> list[Tile]:
        """Return some findings of a gallery with their pictures."""
        found = self.findings(kind)[start : start + count]
        if self.result is None or not found:
            return []
        return await self._tiles.make(self.result.evaluation_of(kind), found)

    def walk(self, kind: str) -> dict[str, list[Prediction]]:
        """Return a gallery's images in its order, each with the predictions to be reviewed.

        Those are the predictions that found no label, and the gallery's own. One that found
        its label would only lie over it.
        """
        result = self.result
        if result is None:
            return {}
        evaluation = result.evaluation_of(kind)
        findings = self.findings(kind)
        known = _mistakes(result) if evaluation is result.evaluation else ()
        place = {name: number for number, name in enumerate(evaluation.filenames)}
        proposals: dict[str, dict[object, Prediction]] = {f.filename: {} for f in findings}
        for number, finding in enumerate((*findings, *known)):
            if finding.filename not in proposals or not has_prediction(finding):
                continue
            score = finding.score
            if kind == SUSPECTS and number < len(findings):  # its score says how suspicious it is
                score = confidence_of(evaluation, place[finding.filename], finding)
            box = Prediction(finding.class_id, *finding.box, confidence=score)
            proposals[finding.filename][finding.class_id, finding.box] = box
        return {name: list(found.values()) for name, found in proposals.items()}

    def close(self) -> None:
        """End the threads and free the pictures."""
        self.stop()
        self._tiles.close()

    async def _evaluate(self, name: str | None, refresh: bool, progress: Progress) -> Evaluation:
        return await self._evaluator.evaluate(
            self.dataset,
            self.split,
            model=name,
            unlabelled_as_background=self.unlabelled_as_background,
            refresh=refresh,
            where=self.where,
            progress=progress,
        )


def _analysed(first: Evaluation, second: Evaluation | None = None) -> Result:
    """Compute all there is to show; in a thread, because it takes a while on a large split."""
    for evaluation in filter(None, (first, second)):
        _ = evaluation.metrics, evaluation.by_size
    found = galleries(first)
    findings = {
        SUSPECTS: suspicious_labels(first),
        **{kind: getattr(found, kind) for kind in _MISTAKES},
        "most_confident": found.most_confident(),
        "least_confident": found.least_confident(),
    }
    if second is None:
        return Result(first, None, None, findings)
    comparison = compare(first, second)
    for kind in ("only_first", "only_second", "false_positives_first", "false_positives_second"):
        findings[kind] = getattr(comparison, kind)
    return Result(first, second, comparison, findings)


_MISTAKES = tuple(name for name in Galleries.__slots__ if name != "correct")


def _mistakes(result: Result) -> tuple[Finding, ...]:
    kinds = ("false_positives", "wrong_class", "badly_placed")
    return tuple(finding for kind in kinds for finding in result.findings[kind])


def _summary(result: Result) -> str:
    evaluation = result.evaluation
    metrics = evaluation.metrics
    where = (
        f"{counted(len(evaluation.filenames), 'image')} of {evaluation.dataset}/"
        f"{evaluation.split} with {counted(metrics.labels, 'label')}"
    )
    if result.other is None:
        return f"{evaluation.model} on {where}: mAP50 {metrics.map50:.3f}."
    other = result.other
    return (
        f"On {where}: mAP50 of {evaluation.model} {metrics.map50:.3f}, "
        f"of {other.model} {other.metrics.map50:.3f}."
    )
