"""The train panel: start a training run, watch it, stop it, in a notebook cell.

How a click travels: a button is pressed -> `Background` -> a command of `TrainModel` ->
`TrainingRunner` or `Run` -> the run's process writes events -> `TrainModel.look` reads
them -> its traits change -> this view shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench.panels.background import Background
from workbench.panels.train_model import TrainModel
from workbench.persistence import Stores
from workbench.training.progress import RunProgress
from workbench.training.run import Run

_EPOCHS_SHOWN = 8
_HELP = {
    "dataset": "What to learn from. It is copied for the run, so you can go on editing it.",
    "base_model": "Where to start: pretrained weights learn faster than a bare .yaml "
    "architecture; n, s, m, l, x go from small and fast to large and exact. A model of yours "
    "is trained further.",
    "epochs": "How often every training image is seen. It ends earlier if nothing gets better.",
    "image_size": "Images are scaled into a square of so many pixels. Larger finds smaller "
    "things and costs time by its square.",
    "batch": "Images learned at once. Fewer if memory runs out; -1 fills a GPU.",
    "device": "Empty: the first GPU, or else the processor (cpu). Several GPUs: 0,1",
    "allow_download": "Fetch pretrained weights if they are not on this disk. "
    "Nothing else is fetched, and nothing is ever sent.",
}
_STATE_WORDS = {
    "starting": "Loading model and data …",
    "running": "Training …",
    "stopping": "Stopping after this batch …",
    "finished": "Finished.",
    "stopped": "Stopped; the best weights so far are kept.",
    "failed": "Failed.",
    "cancelled": "Cancelled; nothing was kept.",
}


class TrainPanel(w.VBox):  # type: ignore[misc]
    """Train a detector on a dataset, and keep the best of it in the model store.

    Shown in a notebook it is a form with live progress. From Python the same can be done
    with coroutines::

        panel = TrainPanel("blood")
        run = await panel.start(epochs=2)
        await panel.wait()

    A run goes on when the notebook or its kernel ends, and a new panel finds it again.

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of `get_stores`.
    runs_dir : Path or str, optional
        Where runs are kept; default: ``runs`` beside the folder that holds the datasets.
    """

    def __init__(
        self,
        dataset: str | None = None,
        stores: Stores | None = None,
        runs_dir: Path | str | None = None,
    ) -> None:
        self.model = TrainModel(dataset, stores, runs_dir)
        self._background = Background(self._report)
        self._make_form()
        self._make_display()
        super().__init__(
            (self.form, self.buttons, self.error_box, self.display_of_run), layout={"width": "100%"}
        )
        names = ("run", "progress", "busy", "error", "trained_model")
        self.model.observe(self._show, names=names)
        self.model.observe(self._follow_run, names="run")
        self._show()
        self._background.spawn(self.model.refresh)

    # From Python

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

        Raises
        ------
        TrainingError
            If a run goes on already, or training would fail; says why and what to do.
        """
        return await self._background.run(lambda: self.model.start(**settings))

    async def wait(self) -> RunProgress:
        """Wait until the run is over; raises `TrainingError` if it failed."""
        return await self._background.run(self.model.wait)

    async def stop(self) -> None:
        """Let the run stop after the batch it is at, and keep its best weights."""
        await self._background.run(self.model.stop)

    async def cancel(self) -> None:
        """Kill the run; nothing of it is kept."""
        await self._background.run(self.model.cancel)

    async def refresh(self) -> None:
        """Look again which datasets, models and runs there are."""
        await self._background.run(self.model.refresh)

    def close(self) -> None:
        """Let go of the panel's work and widgets; a run goes on."""
        self._background.close()
        super().close()

    # The view

    def _make_form(self) -> None:
        wide = {"width": "20em"}
        self.dataset = w.Combobox(placeholder="name of a dataset", layout=wide)
        self.base_model = w.Combobox(layout=wide, continuous_update=False)
        self.epochs = w.BoundedIntText(min=1, max=100_000, layout=wide)
        self.image_size = w.BoundedIntText(min=32, max=8192, step=32, layout=wide)
        self.batch = w.FloatText(layout=wide)
        self.device = w.Text(placeholder="first GPU, or else cpu", layout=wide)
        self.allow_download = w.Checkbox(indent=False, layout=wide)
        fields = {name: getattr(self, name) for name in _HELP}
        w.link((self.model, "datasets"), (self.dataset, "options"), transform=(tuple, list))
        w.link((self.model, "base_models"), (self.base_model, "options"), transform=(tuple, list))
        for name, widget in fields.items():
            transform = _TRANSFORMS.get(name, (_same, _same))
            w.link((self.model, name), (widget, "value"), transform=transform)
        cells: list[Any] = []
        for name, widget in fields.items():
            words = name.replace("_", " ").capitalize()
            cells += [w.Label(words), widget, w.HTML(f"<small>{escape(_HELP[name])}</small>")]
        columns = "max-content max-content minmax(12em, 40em)"
        self.form = w.GridBox(
            cells, layout={"grid_template_columns": columns, "grid_gap": "2px 12px"}
        )

    def _make_display(self) -> None:
        self.start_button = self._button("Start", "play", self.model.start, style="success")
        self.stop_button = self._button("Stop", "stop", self.model.stop)
        self.stop_button.tooltip = "Stop after this batch and keep the best weights"
        self.cancel_button = self._button("Cancel", "trash", self.model.cancel)
        self.cancel_button.tooltip = "Kill the run; nothing of it is kept"
        self.refresh_button = self._button("Refresh", "refresh", self.model.refresh)
        self.buttons = w.HBox(
            [self.start_button, self.stop_button, self.cancel_button, self.refresh_button]
        )
        self.error_box = w.HTML()
        bar = {"width": "100%"}
        self.bar = w.FloatProgress(min=0.0, max=1.0, description="Run", layout=bar)
        self.epoch_bar = w.FloatProgress(min=0.0, max=1.0, description="Epoch", layout=bar)
        self.status = w.HTML()
        self.table = w.HTML()
        self.log_text = w.HTML()
        self.log_button = w.ToggleButton(description="Show log", icon="file-text")
        self.log_button.observe(self._show_log, names="value")
        self.display_of_run = w.VBox(
            [self.status, self.bar, self.epoch_bar, self.table, self.log_button, self.log_text]
        )

    def _button(
        self,
        words: str,
        icon: str,
        command: Callable[[], Coroutine[Any, Any, Any]],
        style: str = "",
    ) -> w.Button:
        button = w.Button(description=words, icon=icon, button_style=style)
        button.on_click(lambda _: self._background.spawn(command))
        return button

    def _report(self, error: Exception) -> None:
        self.model.error = f"{error}" or type(error).__name__

    def _follow_run(self, _: Any = None) -> None:
        if self.model.run is not None:
            self._background.spawn(self.model.follow)

    def _show(self, _: Any = None) -> None:
        model, progress = self.model, self.model.progress
        self.start_button.disabled = model.busy or model.is_active
        self.stop_button.disabled = not model.is_active or progress.state == "stopping"
        self.cancel_button.disabled = not model.is_active
        self.error_box.value = _box(model.error) if model.error else ""
        run = model.run
        self.display_of_run.layout.display = "none" if run is None else None
        if run is None:
            return
        self.bar.value = progress.fraction
        self.epoch_bar.value = progress.batch / progress.batches if progress.batches else 0.0
        self.bar.bar_style = {"finished": "success", "failed": "danger"}.get(progress.state, "")
        self.status.value = _status(run.id, progress, model.trained_model)
        self.table.value = _table(progress)
        if progress.is_over:
            self._show_log()

    def _show_log(self, _: Any = None) -> None:
        run = self.model.run
        if self.log_button.value and run is not None:
            # Reversed, so that the browser keeps the end in view.
            style = "display: flex; flex-direction: column-reverse; max-height: 24em"
            small = "font-size: 85%; line-height: 1.3; flex-shrink: 0"
            text = f'<pre style="{small}">{escape(run.log)}</pre>'
            self.log_text.value = f'<div style="{style}; overflow: auto">{text}</div>'
        else:
            self.log_text.value = ""


def _same(value: Any) -> Any:
    return value


def _to_batch(value: float) -> int | float:
    return int(value) if value == int(value) else value


_TRANSFORMS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "batch": (float, _to_batch),
}


def _box(text: str) -> str:
    style = "border-left: 4px solid var(--jp-error-color1, #c62828); padding: 4px 8px"
    return f'<div role="alert" style="{style}">{escape(text)}</div>'


def _status(run_id: str, progress: RunProgress, model_name: str) -> str:
    parts = [f"<b>{escape(_STATE_WORDS[progress.state])}</b>"]
    if progress.epoch:
        parts.append(f"epoch {progress.epoch} of {progress.epochs}")
    if progress.batches and not progress.is_over:
        parts.append(f"batch {progress.batch} of {progress.batches}")
    if progress.device:
        parts.append(f"on {escape(progress.device)}")
    left = progress.seconds_left
    if left is not None:
        parts.append(f"{_duration(left)} left")
    if model_name:
        parts.append(f"model <b>{escape(model_name)}</b> is active")
    losses = " · ".join(f"{escape(name)} {value:.3g}" for name, value in progress.losses.items())
    lines = [" · ".join(parts), losses, escape(progress.note)]
    lines += [f"⚠ {escape(text)}" for text in progress.warnings]
    lines.append(f"<small>{escape(run_id)}</small>")
    message = _box(progress.message) if progress.message else ""
    text = "<br>".join(line for line in lines if line)
    return f'<div style="line-height: 1.5">{text}</div>{message}'


def _table(progress: RunProgress) -> str:
    if not progress.history:
        return ""
    metrics = ("precision", "recall", "map50", "map50_95")
    names = ("precision", "recall", "mAP50", "mAP50-95")
    head = "".join(f"<th>{name}</th>" for name in ("epoch", *names, "seconds"))
    rows = []
    for epoch in progress.history[-_EPOCHS_SHOWN:]:
        values = [f"{epoch.metrics[name]:.3f}" if name in epoch.metrics else "" for name in metrics]
        cells = [str(epoch.epoch), *values, f"{epoch.seconds:.1f}"]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table style='line-height: 1.4'><tr>{head}</tr>{''.join(reversed(rows))}</table>"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
