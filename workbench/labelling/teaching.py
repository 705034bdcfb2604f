"""A model that learns from what a person has reviewed, while the person goes on.

1. When enough images of train were reviewed since the last lesson, they are copied into a small
   dataset of their own, those that are held out as its val, and a training run on it starts: a
   process of its own with the lowest priority, which outlives the kernel.
2. When it has ended, its model and the one before look at what is held out. Only a better one
   takes over; the other is deleted. The run's folder notes what was found. Until one takes over
   the newest is kept: the next lesson begins with what it knows.
3. The suggestions of the models before are dropped, and the new one looks at the images that
   the person comes to next.

Images of val and test are never taught on. Nothing is kept but runs, models and suggestions, so
that another kernel goes on where this one was.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from workbench.datasets.prelabelling import Labeller, Task, prelabel, task_of
from workbench.errors import InvalidModelError, NotFoundError, WorkbenchError
from workbench.labelling.labellers import ModelLabeller
from workbench.labelling.lesson_data import copied, copies_of_each, make_folder
from workbench.labelling.lessons import (
    FEWEST_TO_TELL,
    Lesson,
    divided,
    due_at,
    lesson_config,
)
from workbench.labelling.outlook import Outlook, outlook
from workbench.labelling.predictor import Predictor
from workbench.labelling.savings import RIGHT, Savings, crops_from, savings, thresholds_by_class
from workbench.labelling.tuning import STRICT, Tuning
from workbench.persistence import Stores
from workbench.persistence.counting import counted
from workbench.persistence.disk_errors import speaks_plainly
from workbench.persistence.models import (
    Annotation,
    ImageKey,
    Prediction,
    Progress,
    no_progress,
)
from workbench.persistence.rules import decode
from workbench.persistence.run_folder import numbered
from workbench.persistence.stored_json import MALFORMED
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.training.base_models import START, weights_dir
from workbench.training.defaults import Machine, data_facts
from workbench.training.devices import gpus
from workbench.training.giving_way import is_small_machine
from workbench.training.progress import FINISHED, STOPPING, RunProgress
from workbench.training.run import Run
from workbench.training.runner import TrainingRunner

TAUGHT = "taught"
"""`SuggestionSource.kind` of what such models suggest."""

_AT_ONCE = 32
_TRIED = 40
"""On so many held out images tightening is tried: it takes some hundredths of a second a box."""
_GIVES_WAY_S = 3.0
_PRETRAINED = "yolo11n.pt"


class TaughtLabeller(ModelLabeller):
    """The model of a lesson; all of them are one family, so that what was rejected stays so."""

    async def start(self, task: Task) -> SuggestionSource:
        """See `ModelLabeller.start`."""
        source = await super().start(task)
        return SuggestionSource(TAUGHT, "as you go", source.digest, source.details)


@dataclass(frozen=True, slots=True)
class _Worth:
    """What a model's suggestions are worth, to people who mind edges little, and much."""

    usual: Savings
    strict: Savings
    crops_from: float
    by_class: dict[int, float]

    @property
    def cost(self) -> int:
        return self.usual.reviewed + self.strict.reviewed

    @property
    def cost_by_hand(self) -> int:
        return self.usual.by_hand + self.strict.by_hand


@dataclass(frozen=True, slots=True)
class TeachingState:
    """Where teaching stands.

    Parameters
    ----------
    reviewed : int
        Images of train that have labels, or are marked as background.
    due : int
        With so many the next lesson begins.
    progress : RunProgress or None
        Of a lesson that goes on.
    lesson : Lesson or None
        The one whose suggestions are shown.
    last : Lesson or None
        The newest one, which need not be better.
    problem : str
        Why there is no lesson although one is due.
    outlook : Outlook or None
        What more images are likely to be worth.
    """

    reviewed: int
    due: int
    progress: RunProgress | None = None
    lesson: Lesson | None = None
    last: Lesson | None = None
    problem: str = ""
    outlook: Outlook | None = None

    def __str__(self) -> str:
        """Return one line for people."""
        parts = []
        if self.lesson is not None:
            text = str(self.lesson)
            parts.append(text[0].upper() + text[1:])
            if self.outlook is not None:
                parts.append(str(self.outlook))
        elif self.last is not None:
            parts.append(f"Not good enough yet: {self.last}")
        if self.progress is not None:
            at = f" ({self.progress.fraction:.0%})" if self.progress.fraction else ""
            parts.append(f"learning{at}" if parts else f"Learning from what is reviewed{at}")
        elif self.problem:
            parts.append(self.problem)
        elif self.reviewed < self.due:
            more = self.due - self.reviewed
            images = counted(more, "more image")
            parts.append(f"learns again after {images}" if parts else f"Learns after {images}")
        return "; ".join(parts)


@speaks_plainly
class Teacher:
    """Has a model learn from the reviewed images of a dataset.

    `step` does what is due and returns at once where a lesson goes on; call it now and then.

    Parameters
    ----------
    stores : Stores
    dataset : str
    runner : TrainingRunner
        Runs the lessons.
    predictor : Predictor
        Looks at images with what came of them.
    """

    def __init__(
        self, stores: Stores, dataset: str, runner: TrainingRunner, predictor: Predictor
    ) -> None:
        self._stores = stores
        self._dataset = dataset
        self._runner = runner
        self._predictor = predictor
        self._runs: list[Run] | None = None  # the newest first
        self._lessons: dict[str, Lesson | None] = {}
        self._tuning: Tuning | None = None
        self._problem = ""

    async def step(self) -> TeachingState:
        """Do what is due: judge a lesson that has ended, or begin the next one.

        Returns
        -------
        TeachingState
            Where it stands then.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        runs = await self._known_runs()
        going_on = await self._settled(runs)
        reviewed = await self._reviewed()
        due = due_at(_images_of(runs[0]) if runs else 0)
        if going_on is None and len(reviewed) >= due and not await self._is_another_at_it(runs):
            run = await self._begin(reviewed)
            if run is not None:
                run = await self._elder_of(run, runs)
                runs.insert(0, run)
                going_on = await run.refresh()
                due = due_at(_images_of(run))
        lessons = self._judged_so_far()
        return TeachingState(
            len(reviewed), due, going_on, await self._tuned(reviewed),
            lessons[-1] if lessons else None, self._problem, outlook(lessons),
        )  # fmt: skip

    async def tuned(self) -> Lesson | None:
        """Return the lesson whose suggestions are shown, with thresholds for what comes next.

        They follow what was reviewed last, see `workbench.labelling.tuning`; what is held out
        tells the first ones only. None before a lesson has taken over.
        """
        return await self._tuned(await self._reviewed())

    async def _tuned(self, reviewed: Sequence[ImageKey]) -> Lesson | None:
        lesson = self._present()
        if lesson is None or not await self._stores.model.exists(lesson.model):
            return lesson
        if self._tuning is None or not self._tuning.is_of(lesson):
            taught = await self._taught_in(lesson) or divided(reviewed)[0]
            self._tuning = Tuning(lesson, taught)
        wanted = self._tuning.wanted(reviewed)
        if not wanted:
            return self._tuning.lesson
        try:
            looked = await self._looked(lesson.model, wanted, tighten=lesson.tightens)
        except (NotFoundError, InvalidModelError):
            return lesson  # somebody has deleted it meanwhile
        return self._tuning.learn(*looked)

    async def lessons(self) -> list[Lesson]:
        """Return what came of all lessons of this dataset, oldest first."""
        await self._settled(await self._known_runs())
        return self._judged_so_far()

    async def stop(self) -> None:
        """Break off a lesson that goes on; what it has learnt is judged when it goes on."""
        for run in (await self._known_runs())[:1]:
            if run.id not in self._lessons:
                await run.stop()

    async def is_under_way(self) -> bool:
        """Whether a lesson goes on, or ended while nobody looked; not where it was stopped."""
        runs = await self._known_runs()
        if not runs:
            return False
        progress = await runs[0].refresh()
        if progress.is_over:
            return progress.state == FINISHED and await self._noted(runs[0]) is None
        return progress.state != STOPPING

    async def suggest(self, images: Sequence[ImageKey], *, progress: Progress = no_progress) -> int:
        """Have the best model look at images; return how many boxes it has found.

        What models before it have suggested is dropped. Images that it has looked at already
        cost nothing.
        """
        labeller = await self.labeller()
        if labeller is None:
            return 0
        done = await prelabel(self._stores, self._dataset, images, labeller, progress=progress)
        return done.boxes

    async def labeller(self) -> TaughtLabeller | None:
        """Return the best model so far as somebody who suggests; None if there is none yet.

        What models before it have suggested is dropped.
        """
        lesson = self._present()
        if lesson is None or not await self._stores.model.exists(lesson.model):
            return None
        labeller = TaughtLabeller(self._predictor, lesson.model, tighten=lesson.tightens)
        try:
            source = await labeller.start(await task_of(self._stores, self._dataset))
        except (NotFoundError, InvalidModelError) as error:
            self._problem = f"The model that was taught cannot be used: {error}"
            return None
        table = await self._stores.image.suggestions(self._dataset)
        for other in table.sources:
            if other.kind == TAUGHT and other.id != source.id:
                await self._stores.image.drop_suggestions(self._dataset, other.id)
        return labeller

    async def give_way(self) -> None:
        """Note that the person is at work: on a small machine a lesson waits for a moment."""
        if self._runs and is_small_machine() and self._runs[0].id not in self._lessons:
            await self._runs[0].give_way(_GIVES_WAY_S)

    async def _known_runs(self) -> list[Run]:
        if self._runs is None:
            self._runs = [
                run
                for run in await self._runner.list_runs()
                if run.config.teaching and run.config.dataset == self._dataset
            ]
        return self._runs

    async def _is_another_at_it(self, runs: list[Run]) -> bool:
        """Whether another panel or kernel has begun a lesson meanwhile."""
        new = await self._begun_since(runs)
        runs[:] = await self._known_runs()
        self._runs = runs
        return bool(new)

    async def _elder_of(self, run: Run, runs: list[Run]) -> Run:
        """Of two that were begun in the same moment keep the one that was first; ids tell."""
        new = await self._begun_since(runs)
        self._runs = runs
        elder = min(new, key=lambda one: one.id, default=run)
        if elder.id != run.id:
            await run.cancel()
        return elder

    async def _begun_since(self, runs: Sequence[Run]) -> list[Run]:
        """List the lessons anew; return those that are not among `runs`."""
        known = {one.id for one in runs}
        self._runs = None
        return [one for one in await self._known_runs() if one.id not in known]

    async def _settled(self, runs: Sequence[Run]) -> RunProgress | None:
        """Judge the lessons that nobody has judged; return how far the one is that goes on."""
        going_on = None
        for run in reversed(runs):
            if run.id in self._lessons:
                continue
            progress = await run.refresh()
            if not progress.is_over:
                going_on = progress
                continue
            self._lessons[run.id] = await self._noted(run) or await self._judged(run, progress)
        return going_on

    async def _noted(self, run: Run) -> Lesson | None:
        try:
            verdict = await run.read_verdict()
            return None if verdict is None else Lesson.from_json(verdict)
        except (WorkbenchError, *MALFORMED):
            return None  # it is judged again

    async def _judged(self, run: Run, progress: RunProgress) -> Lesson | None:
        """Measure what came of a run on what is held out, and note it with the run."""
        name = await asyncio.to_thread(run.read_model_name)
        is_there = name is not None and await self._stores.model.exists(name)
        if name is None or not is_there:
            self._problem = progress.message and f"The last lesson failed: {progress.message}"
            return None
        _, held_out = divided(await self._reviewed())
        before = self._present()
        rival = None if before is None else await self._cost_of(before, held_out)
        if rival is None:
            before = None  # its model is gone, or can no longer be used
        try:
            after, tightens = await self._measured(name, held_out)
        except (NotFoundError, InvalidModelError) as error:
            self._problem = f"The last lesson failed: {error}"
            return None
        cost, least = after.cost, after.cost_by_hand
        if rival is not None:
            least = min(least, rival)
        is_better = cost < least
        if before is not None and len(held_out) < FEWEST_TO_TELL:
            is_better = cost <= least  # nobody can tell; it has seen twice as much
        lesson = Lesson(
            name,
            run.config.teaching - run.job.num_images.get("val", 0),
            len(held_out),
            float(progress.metrics.get("best_map50", 0.0)),
            after.usual.percent,
            after.usual.threshold,
            after.crops_from,
            tightens,
            is_better,
            after.by_class,
        )
        await run.write_verdict(lesson.to_json())
        # Where none was good enough yet the newest one is kept, for the next lesson to begin with.
        keeps = name if is_better or before is None else before.model
        for other in {name, *(one.model for one in self._judged_so_far())}:
            if other != keeps:
                await self._forget(other)
        return lesson

    async def _cost_of(self, lesson: Lesson, images: Sequence[ImageKey]) -> int | None:
        """Return what a lesson's model costs on images; None if it cannot be used any more."""
        if not await self._stores.model.exists(lesson.model):
            return None
        try:
            return (await self._measured(lesson.model, images))[0].cost
        except (NotFoundError, InvalidModelError):
            return None

    async def _forget(self, model: str) -> None:
        active = await self._stores.model.get_active()
        if active is not None and active.name == model:
            return  # somebody has chosen it meanwhile
        with suppress(NotFoundError):  # another kernel was faster
            await self._stores.model.delete(model)

    async def _measured(self, model: str, images: Sequence[ImageKey]) -> tuple[_Worth, bool]:
        """Return what a model is worth on images, and whether its boxes are to be tightened."""
        plain, tight = [
            await self._worth(model, images[:_TRIED], tighten=tighten) for tighten in (False, True)
        ]
        tightens = tight.cost < plain.cost
        if len(images) <= _TRIED:
            return (tight if tightens else plain), tightens
        return await self._worth(model, images, tighten=tightens), tightens

    async def _worth(self, model: str, images: Sequence[ImageKey], *, tighten: bool) -> _Worth:
        found, labels = await self._looked(model, images, tighten=tighten)
        return _Worth(
            savings(found, labels),
            savings(found, labels, right=STRICT),
            crops_from(found, labels, rights=(RIGHT, STRICT)),
            thresholds_by_class(found, labels),
        )

    async def _taught_in(self, lesson: Lesson) -> list[ImageKey]:
        """Return the images that a lesson has learnt from; none if its run has lost them."""
        runs = await self._known_runs()
        run = next((one for one in runs if self._lessons.get(one.id) is lesson), None)
        names = await run.image_names("train") if run is not None else ()
        return [("train", name) for name in names]

    async def _looked(
        self, model: str, images: Sequence[ImageKey], *, tighten: bool
    ) -> tuple[list[list[Prediction]], list[list[Annotation]]]:
        """Return what a model finds on images, and what is there, without those that are gone."""
        labeller = TaughtLabeller(self._predictor, model, tighten=tighten)
        await labeller.start(await task_of(self._stores, self._dataset))
        found: list[list[Prediction]] = []
        labels: list[list[Annotation]] = []
        for start in range(0, len(images), _AT_ONCE):
            some = images[start : start + _AT_ONCE]
            await self._look(labeller, some, found, labels)
        return found, labels

    async def _look(
        self,
        labeller: Labeller,
        images: Sequence[ImageKey],
        found: list[list[Prediction]],
        labels: list[list[Annotation]],
    ) -> None:
        table = await self._stores.label.load_many(self._dataset, images)
        frames = []
        for key, data, known in zip(
            images,
            await self._stores.image.read_many(self._dataset, images),
            table.annotations_by_image(),
            strict=True,
        ):
            if isinstance(data, Exception):
                continue  # gone or damaged since it was reviewed
            try:
                frames.append(await asyncio.to_thread(decode, data, "/".join(key)))
            except WorkbenchError:
                continue
            labels.append(list(known))
        if frames:
            found.extend(await labeller.label(frames))

    def _judged_so_far(self) -> list[Lesson]:
        """Return what came of the lessons that were judged, oldest first."""
        return [one for one in self._lessons.values() if one is not None]

    def _present(self) -> Lesson | None:
        return next((one for one in reversed(self._judged_so_far()) if one.takes_over), None)

    async def _reviewed(self) -> list[ImageKey]:
        table = await self._stores.label.load_all(self._dataset)
        return [
            (split, name)
            for split, name, labelled in zip(
                table.splits, table.filenames, table.labelled, strict=True
            )
            if labelled and split == "train"
        ]

    async def _begin(self, reviewed: Sequence[ImageKey]) -> Run | None:
        taught, held_out = divided(reviewed)
        if not taught or not held_out:
            self._problem = (
                "No lesson yet: every fifth image, by a hash of its name, is held out to measure "
                "what was learnt, and the reviewed ones are all of one kind; review some more"
            )
            return None
        runs_dir = self._runner.runs_dir
        folder = await asyncio.to_thread(make_folder, runs_dir)
        try:
            copies = await copies_of_each(self._stores, self._dataset, taught)
            view = await copied(self._stores, self._dataset, folder, taught, held_out, copies)
            config = lesson_config(
                self._dataset,
                await data_facts(view, self._dataset),
                Machine.of("", await asyncio.to_thread(gpus)),
                num_taught=len(taught),
                num_reviewed=len(reviewed),
                base_model=await self._base(),
                model_name=await self._free_name(len(reviewed)),
                copies=copies,
            )
            runner = TrainingRunner(view, self._runner.runs)
            started = await runner.start(config)
            self._problem = ""
            return await self._runner.get(started.id)
        except WorkbenchError as error:  # such as no box among those that are held out
            self._problem = f"No lesson yet: {error}"
            return None
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, True)

    async def _base(self) -> str:
        """Return what the next lesson begins with: the best so far, or what was not good enough.

        The first one: pretrained weights if they are on this disk, else what comes along.
        """
        lessons = reversed(self._judged_so_far())
        for lesson in sorted(lessons, key=lambda one: not one.takes_over):  # the newest first
            if await self._stores.model.exists(lesson.model):
                return lesson.model
        is_there = await asyncio.to_thread((weights_dir() / _PRETRAINED).is_file)
        return _PRETRAINED if is_there else START.name

    async def _free_name(self, reviewed: int) -> str:
        for name in numbered(f"{self._dataset}-taught-{reviewed}"):
            if not await self._stores.model.exists(name):
                return name
        raise AssertionError("names cannot run out")


def _images_of(run: Run) -> int:
    return run.config.teaching
