"""The train panel: start training runs, watch, pause, resume and compare them, in a cell.

How a click travels: a button is pressed -> `Background` -> a command of `TrainModel` ->
`TrainingRunner` or `Run` -> the run's process writes events -> `TrainModel.watch` reads
them -> its traits change -> this view shows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench.panels.shared.background import Background
from workbench.panels.shared.bus import DATASETS, MODELS
from workbench.panels.shared.following import Follower, News
from workbench.panels.shared.parts import (
    NO_DATASET,
    Command,
    Fold,
    allow,
    button,
    empty,
    meter,
    page,
    row,
    show,
    undo_words,
)
from workbench.panels.shared.status import in_words
from workbench.panels.shared.where import WhereChoice
from workbench.panels.shared.widgets import CopyButton
from workbench.panels.train.charts import TrainCharts
from workbench.panels.train.form import TrainForm
from workbench.panels.train.mending import mend_of
from workbench.panels.train.model import TrainModel
from workbench.panels.train.run_list import RunList
from workbench.panels.train.settings import CHOSEN
from workbench.panels.train.status_line import TrainStatus
from workbench.panels.train.sweep import SweepPart
from workbench.panels.train.words import (
    CHECKING,
    STANDS,
    log,
    problem_text,
    problems_head,
    status,
    suggestion,
)
from workbench.persistence import Stores
from workbench.persistence.stores.runs import RunStore
from workbench.training.problems import Problem
from workbench.training.progress import CANCELLING, PAUSING, RUNNING, STARTING, WAITING, RunProgress
from workbench.training.run import Run
from workbench.training.sweeps.space import Space
from workbench.training.sweeps.sweep import Sweep

_NOTHING = (
    "Nothing trains. Press Start: settings, images and machine are checked first, and the curves "
    "appear here. A run goes on when you close the page."
)
_CHOOSE = "Choose a dataset first."
_START = "Check settings, images and machine, then train"
_STOP = "Stop after this batch and keep the best weights"
_PAUSE = "Pause after this epoch, to resume later, also on another day"
_PAUSE_NOW = "Do not wait for the end of the epoch; what it learned in it is lost"
_RESUME = "Go on from the last checkpoint"
_CANCEL = "Kill the run, or take it off the queue: no model comes of it; it can be resumed"


class TrainPanel:
    """Train a detector on a dataset, and keep the best of it in the model store.

    Shown in a notebook it is a form with live progress. From Python the same can be done
    with coroutines::

        panel = TrainPanel("blood")
        run = await panel.start(epochs=2)
        await panel.wait()

    A run goes on when the notebook or its kernel ends, and a new panel finds it again. A run
    that is started while another has the device waits for its turn.

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of `get_stores`.
    runs_dir : Path, str or RunStore, optional
        Where runs are kept, a folder or the address of a bucket; default: ``runs`` beside the
        folder that holds the datasets.
    go : callable, optional
        Turns to another panel, by its title, with a dataset and, where one was trained, a model;
        without it nothing leads there.

    Attributes
    ----------
    view : ipywidgets.VBox
        What is shown; to put the panel among other widgets.
    model : TrainModel
    """

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        runs_dir: Path | str | RunStore | None = None,
        *,
        go: Callable[..., object] | None = None,
    ) -> None:
        self.model = TrainModel(dataset, stores, runs_dir)
        self._go = go
        self._background = Background(self._report)
        self.follower = Follower(self.model.stores, self._background, self._catch_up)
        self.form = TrainForm(self.model)
        self.where = WhereChoice(self.model, "The machine that trains", "the folder runs beside it")
        self.status_line = TrainStatus()
        self.runs = RunList(self.model, self._spawn)
        self.charts = TrainCharts(self.model, self._background.spawn)
        self.sweeps = SweepPart(self.model, self._spawn)
        self._make_start()
        self._make_display()
        start = row(self.start_button, self.copy_button, self.undo_button)
        left = w.VBox(
            (self.form.view, start, self.status_line, self.where.view, self.form.more.view)
        )
        # Of one piece, so that it comes at once: parts that come one by one push each other.
        self.run_box = page(self.run_view, self.status, self.doors, self.charts.view)
        right = w.VBox((self.problems_view, self.nothing, self.run_box))
        right.add_class("train-run")
        main = w.Box((left, right))
        main.add_class("train-main")
        self.view = w.VBox(
            (main, self.charts.more, self.runs.view, self.sweeps.view, self.log_view),
            layout={"width": "100%"},
        )
        self.view.add_class("wb-panel")
        self.model.observe(
            self._show_message, names=("busy", "checked", "error", "said", "can_undo")
        )
        self.model.observe(self._show_problems, names="problems")
        self.model.observe(self._show_run, names=("problems", "dataset", "datasets"))
        names = ("run", "progress", "busy", "rows", "can_resume", "trained_model", "comparison")
        self.model.observe(self._show_run, names=names)
        self.model.observe(self._watch, names=("run", "progress", "rows"))
        asked = ("dataset", "version", "base_model", "allow_download", "device", "image_size")
        self.model.observe(self._suggest, names=(*asked, "arguments"))
        self.model.observe(self._show_code, names=[*CHOSEN, "where"])
        self._show_code()
        self._show_problems()
        self._show_run()
        self.model.observe(self._follow, names="dataset")
        self._background.spawn(self._begin)

    # From Python

    async def open(self, dataset: str) -> None:
        """Choose the dataset that the next run trains on.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        """
        await self._background.run(lambda: self.model.open(dataset))

    @property
    def run(self) -> Run | None:
        """The run that is shown."""
        return self.model.run

    @property
    def progress(self) -> RunProgress:
        """Where that run stands."""
        return self.model.progress

    async def start(self, **settings: Any) -> Run:
        """Start a run with the form's settings, any of which may be given; see `TrainingConfig`.

        ``where`` may be given, too: see `TrainingRunner.start`.

        Raises
        ------
        TrainingError
            If training would fail, or one is being started; says why and what to do.
        """
        return await self._background.run(lambda: self.model.start(**settings))

    async def sweep(self, space: Space, *, trials: int | None = None, **options: Any) -> Sweep:
        """Start many runs that differ in some settings; see `TrainingRunner.sweep`.

        Parameters
        ----------
        space : mapping of str to list or Between
        trials : int, optional
        **options
            ``halving``, ``at_once``, ``metric`` and ``where`` as for
            `TrainingRunner.sweep`, and any field of `TrainingConfig`, which is the same in all
            trials.

        Raises
        ------
        TrainingError
            If training would fail; says why and what to do.
        """
        return await self._background.run(
            lambda: self.sweeps.model.begin(space, trials=trials, **options)
        )

    async def cross_validate(self, folds: int = 5, **options: Any) -> Sweep:
        """Train once for each fold of the data; see `TrainingRunner.cross_validate`."""
        return await self._background.run(
            lambda: self.sweeps.model.begin_folds(folds=folds, **options)
        )

    async def wait(self) -> RunProgress:
        """Wait until the run is over; raises `TrainingError` if it failed."""
        return await self._background.run(self.model.wait)

    async def stop(self) -> None:
        """Stop the run after the batch it is at, and keep its best weights."""
        await self._background.run(self.model.stop)

    async def pause(self, *, now: bool = False) -> None:
        """Pause the run after the epoch it is at, or at once; see `Run.pause`."""
        await self._background.run(lambda: self.model.pause(now=now))

    async def resume(self, **changes: Any) -> None:
        """Continue the run from its last checkpoint; see `Run.resume`."""
        await self._background.run(lambda: self.model.resume(**changes))

    async def cancel(self) -> None:
        """Kill the run, or take it off the queue; no model comes of it. It can be resumed."""
        await self._background.run(self.model.cancel)

    async def refresh(self) -> None:
        """Look again which datasets, models and runs there are."""
        await self._background.run(self.model.refresh)

    def close(self) -> None:
        """End the panel's work and close its widgets; runs go on."""
        self.follower.close()
        self._background.close()
        self.sweeps.close()
        for widget in (self.status_line, self.copy_button, self.charts, self.view):
            widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.view._repr_mimebundle_(**kwargs)

    # On the owner loop

    async def _begin(self) -> None:
        await self.follower.follow(self.model.dataset)
        await self.model.refresh()

    def _follow(self, change: Mapping[str, Any]) -> None:
        async def work() -> None:
            await self.follower.follow(change["new"])
            if change["new"] and change["new"] not in self.model.datasets:
                await self.model.refresh()  # it came before it was followed

        self._background.spawn(work)

    async def _catch_up(self, news: News) -> None:
        if news & {DATASETS, MODELS, "versions"}:
            await self.model.refresh()
        else:
            await self.model.suggest()

    # The view

    def _make_start(self) -> None:
        self.start_button = button("Start", "play", self.model.propose, self._spawn)
        self.start_button.button_style = "primary"
        self.copy_button = CopyButton()
        self.undo_button = button("Undo", "undo", self.model.undo_mend, self._spawn)
        show(self.undo_button, False)
        self.nothing = w.HTML(empty(_NOTHING))
        self.problems_text = w.HTML()
        self.problem_list = w.VBox(layout={"overflow": "visible", "grid_gap": "8px"})
        self.anyway_button = button("Start anyway", "play", self.model.start_anyway, self._spawn)
        self.withdraw_button = w.Button(description="Do not start", icon="times")
        self.withdraw_button.on_click(lambda _: self.model.withdraw())
        self.problems_view = w.VBox(
            (
                self.problems_text,
                self.problem_list,
                row(self.anyway_button, self.withdraw_button),
            )
        )
        self.problems_view.add_class("wb-confirm")

    def _make_display(self) -> None:
        model, spawn = self.model, self._spawn
        self.stop_button = button("Stop", "stop", model.stop, spawn)
        self.pause_button = button("Pause", "pause", self._pause, spawn)
        self.resume_button = button("Resume", "play", model.resume, spawn)
        self.cancel_button = button("Cancel", "trash", model.cancel, spawn)
        self.suggestions = row()
        self._suggested: tuple[dict[str, Any], ...] = ()
        bar = {"width": "100%", "margin": "0"}
        self.bar = meter(description="Run", layout=bar)
        self.epoch_bar = meter(description="Epoch", layout=bar)
        self.status = w.HTML()
        self.evaluate_door = w.Button(description="Evaluate it", icon="arrow-right")
        self.evaluate_door.on_click(lambda _: self._pass_door("Evaluate"))
        self.suggest_door = w.Button(description="Suggest boxes on the rest", icon="arrow-right")
        self.evaluate_door.tooltip = "How good the model of this run is, and where it is wrong"
        self.suggest_door.tooltip = "Let the model propose boxes on every image without labels"
        self.suggest_door.on_click(lambda _: self._pass_door("Browse"))
        self.doors = row(self.evaluate_door, self.suggest_door)
        buttons = (self.pause_button, self.resume_button, self.stop_button, self.cancel_button)
        self.run_view = page(row(*buttons, self.suggestions), self.bar, self.epoch_bar)
        self.log_text = w.HTML()
        self._log_of: tuple[Any, ...] = ()
        log_fold = Fold("Log", self.log_text)
        self.log_button, self.log_view = log_fold.button, log_fold.view
        self.log_button.observe(lambda _: self._background.spawn(self._show_log), names="value")

    def _spawn(self, command: Command) -> None:
        """Start the command of a click, and clear the error that was shown."""

        async def work() -> None:
            self.model.error = ""
            await command()

        self._background.spawn(work)

    def _report(self, error: Exception) -> None:
        self.model.error = in_words(error)

    def _watch(self, _: Any = None) -> None:
        if any(not row.is_over for row in self.model.rows) or self.model.is_active:
            self._background.spawn(self.model.watch)

    def _suggest(self, _: Any = None) -> None:
        if not self.model.is_answered:  # it was not the suggestion itself that changed a setting
            self._background.spawn(self.model.suggest)

    async def _pause(self) -> None:
        await self.model.pause(now=self.model.progress.state == PAUSING)

    def _show_message(self, _: Any = None) -> None:
        model = self.model
        done, total = model.checked
        images = f": image {done} of {total}" if total else ""
        with self.status_line.hold_sync():
            self.status_line.tone = "problem" if model.error else "info"
            self.status_line.text = model.error or (
                f"Checking settings, images and machine{images} …" if model.busy else model.said
            )
        show(self.undo_button, model.can_undo)
        self.undo_button.description = undo_words(model.mended)
        self.undo_button.tooltip = f"Undo: {model.mended}"

    def _show_code(self, _change: Any = None) -> None:
        self.copy_button.text = self.model.as_python()
        self.copy_button.why = self.model.why_not()
        self._allow_start()

    def _allow_start(self) -> None:
        model = self.model
        reason = model.why_not() if model.dataset else _CHOOSE if model.datasets else NO_DATASET
        allow(self.start_button, CHECKING if model.busy else reason, _START)

    def _show_problems(self, _: Any = None) -> None:
        found = self.model.problems
        self.problems_text.value = problems_head(found) if found else ""
        self.problem_list.children = [self._problem(problem) for problem in found]
        show(self.anyway_button, self.model.can_start_anyway)
        self.withdraw_button.description = (
            "Do not start" if self.model.can_start_anyway else "Close"
        )
        show(self.problems_view, bool(found))

    def _problem(self, problem: Problem) -> w.HBox:
        """Return what was found, beside a button that mends it where one can."""
        text = w.HTML(problem_text(problem), layout={"flex": "1 1 280px"})
        offer = mend_of(problem, self.model.version)
        if offer is None or (offer.page and self._go is None):
            return row(text)
        page_ = offer.page

        async def act() -> None:
            if page_ and self._go is not None:
                self._go(page_, self.model.dataset)
            else:
                await self.model.mend(problem)

        return row(text, button(offer.words, "wrench", act, self._spawn, tip=offer.tip))

    def _show_run(self, _: Any = None) -> None:
        model, progress, run = self.model, self.model.progress, self.model.run
        self._allow_start()
        has_run = run is not None and model.comparison is None
        show(self.run_view, has_run)
        show(self.nothing, not has_run and model.comparison is None and not model.problems)
        show(self.status, has_run)
        show(self.run_box, has_run or model.comparison is not None)
        # Its place is kept: nothing else moves when the model is there.
        show(self.doors, has_run and self._go is not None)
        self.doors.layout.visibility = "visible" if model.trained_model else "hidden"
        if run is None:
            return
        goes_on = progress.state in {STARTING, RUNNING}
        is_pausing = progress.state == PAUSING
        stands = STANDS[progress.state]
        allow(self.stop_button, "" if goes_on or is_pausing else stands, _STOP)
        can_pause = goes_on or progress.state in {PAUSING, WAITING}
        self.pause_button.description = "Pause now" if is_pausing else "Pause"
        allow(self.pause_button, "" if can_pause else stands, _PAUSE_NOW if is_pausing else _PAUSE)
        allow(
            self.resume_button,
            "" if model.can_resume else f"{stands} There is nothing to resume.",
            _RESUME,
        )
        can_cancel = model.is_active and progress.state != CANCELLING
        allow(self.cancel_button, "" if can_cancel else stands, _CANCEL)
        self._show_suggestions(progress.suggestions if model.can_resume else ())
        self.bar.value = progress.fraction
        self.epoch_bar.value = progress.batch / progress.batches if progress.batches else 0.0
        self.bar.bar_style = {"finished": "success", "failed": "danger"}.get(progress.state, "")
        self.status.value = status(
            run.id,
            progress,
            model.trained_model,
            version=run.job.dataset_version,
            place=model.place,
            can_resume=model.can_resume,
        )
        shown = (run.id, progress.attempt, progress.state, len(progress.history))
        if self.log_button.value and shown != self._log_of:
            self._background.spawn(self._show_log)

    def _pass_door(self, panel: str) -> None:
        """Take the model of the run that is shown to another panel."""
        if self._go is not None and self.model.run is not None:
            self._go(panel, self.model.run.job.config.dataset, self.model.trained_model)

    def _show_suggestions(self, changes: tuple[dict[str, Any], ...]) -> None:
        if changes == self._suggested:
            return
        self._suggested = changes
        self.suggestions.children = [self._suggestion(change) for change in changes]

    def _suggestion(self, change: dict[str, Any]) -> w.Button:
        return button(suggestion(change), "play", lambda: self.model.resume(**change), self._spawn)

    async def _show_log(self) -> None:
        run, progress = self.model.run, self.model.progress
        if not self.log_button.value or run is None:
            self.log_text.value, self._log_of = "", ()
            return
        self._log_of = (run.id, progress.attempt, progress.state, len(progress.history))
        self.log_text.value = log(await asyncio.to_thread(run.read_log))
