"""The model behind the models panel: the models there are, and what can be done with one.

No widgets: traits carry state, coroutines do the work, stores are handed in. What changes
the store is noted with the way back.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import traitlets as t

from workbench.datasets.changes import Change, undoing
from workbench.datasets.manager import DatasetManager
from workbench.errors import AlreadyExistsError, ConflictError, WorkbenchError
from workbench.labelling.predictor import Predictor
from workbench.panels.models.live_trial import LEAST_CONFIDENCE, LiveTrial
from workbench.panels.shared.changing import ChangingModel, sentence
from workbench.panels.shared.readings import Readings
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import ModelInfo, Prediction, TrashEntry
from workbench.persistence.rules import decode
from workbench.training.exporting import ExportResult, export_model
from workbench.training.registering import CURVES
from workbench.training.runner import TrainingRunner
from workbench.training.weights_check import WeightsReport, check_weights, import_weights

NOTE = "note"
"""The detail that holds what somebody wrote about a model."""

Frame = npt.NDArray[np.uint8]
_log = logging.getLogger(__name__)


class ModelsModel(ChangingModel):
    """Knows the models of the store, changes them, exports them and tries them.

    Parameters
    ----------
    stores : Stores
    predictor : Predictor

    Attributes
    ----------
    live : LiveTrial
        The chosen model at a video or a camera.

    Notes
    -----
    Made and used on one event loop. Commands raise `BusyError` while another is under way.
    """

    models = t.List(t.Instance(ModelInfo), help="the models there are, the newest first")
    trash = t.List(t.Instance(TrashEntry), help="the deleted ones, the last first")
    chosen = t.Unicode("", help="name of the model that is looked at")
    curves = t.Dict(help="mAP50-95 by epoch, for each model of which it is known")

    tried = t.Instance(np.ndarray, allow_none=True, help="the picture that was tried, BGR")
    found = t.List(t.Instance(Prediction), help="on it, from `LEAST_CONFIDENCE` on")
    found_by = t.Unicode("", help="name of the model that found it")

    def __init__(self, stores: Stores, predictor: Predictor) -> None:
        super().__init__()
        self._stores = stores
        self._predictor = predictor
        self._readings = Readings()
        self._known_curves: dict[str, list[float]] = {}
        self._deleted_again: dict[str, str] = {}  # id in the trash -> id of the same model now
        self.live = LiveTrial(predictor)
        t.dlink((self, "chosen"), (self.live, "model"))

    @property
    def info(self) -> ModelInfo | None:
        """The facts of the model that is looked at."""
        return next((model for model in self.models if model.name == self.chosen), None)

    async def refresh(self) -> None:
        """Look again which models there are, also in the trash."""
        is_news = self._readings.begin()
        found = await self._stores.model.list()
        trash = await self._stores.model.list_trash()
        curves = {info.name: await self._curve(info) for info in found}
        if not is_news():
            return
        found.sort(key=lambda info: (info.created_at is not None, info.created_at), reverse=True)
        names = [info.name for info in found]
        active = next((info.name for info in found if info.is_active), names[0] if names else "")
        with self.hold_trait_notifications():
            self.models, self.trash = found, trash[::-1]
            self.curves = {name: curve for name, curve in curves.items() if curve}
            self.chosen = self.chosen if self.chosen in names else active

    # Changes of the store; each is decided on what is listed

    async def _require_as_listed(self, name: str | None) -> None:
        """Make sure that a model is what it was when it was listed.

        Raises
        ------
        ConflictError
            If it is not; it is listed anew then.
        """
        listed = next((info for info in self.models if info.name == name), None)
        if listed is None:
            return  # a name from Python
        now = await self._now(listed)
        lines = _differences(listed, now)
        if lines:
            await self.refresh()
            raise ConflictError(
                f"Model {name} was changed elsewhere since you chose: {'; '.join(lines)}. Nothing "
                f"was done; look again, and repeat it if you still want it."
            )

    async def _now(self, listed: ModelInfo) -> ModelInfo:
        """Return what is known of a listed model by now; of a damaged one, what is wrong."""
        if listed.problem:
            for info in await self._stores.model.list():
                if info.name == listed.name:
                    return info
        return await self._stores.model.get(listed.name)

    async def activate(self, name: str | None) -> None:
        """Make a model the one that labels and predicts; None for none."""
        before = await self._stores.model.get_active()

        async def undo() -> None:
            with undoing("active model"):
                # A damaged one was of no use, and is refused.
                usable = before is not None and not before.problem
                await self._stores.model.set_active(before.name if before and usable else None)

        async with self._doing("Activating"):
            await self._require_as_listed(name)
            await self._stores.model.set_active(name)
            await self._done(f"model {name} is active" if name else "no model is active", undo)

    async def rename(self, name: str, new_name: str) -> ModelInfo:
        """Give a model another name."""
        new_name = new_name.strip()

        async def undo() -> None:
            with undoing("rename"):
                await self._stores.model.rename(new_name, name)
                self.chosen = name

        async with self._doing("Renaming"):
            await self._require_as_listed(name)
            info = await self._stores.model.rename(name, new_name)
            self.chosen = info.name
            await self._done(f"model {name} is called {info.name} now", undo)
            return info

    async def note(self, name: str, text: str) -> ModelInfo:
        """Keep a note with a model; an empty one removes it."""
        before = (await self._stores.model.get(name)).details.get(NOTE)

        async def undo() -> None:
            with undoing("note"):
                await self._stores.model.update_details(name, {NOTE: before})

        async with self._doing("Saving the note"):
            await self._require_as_listed(name)
            info = await self._stores.model.update_details(name, {NOTE: text.strip() or None})
            await self._done(f"note of {name} saved", undo)
            return info

    async def delete(self, name: str) -> TrashEntry:
        """Move a model to the trash."""
        active = await self._stores.model.get_active()
        was_active = active is not None and active.name == name and not active.problem

        async def undo() -> None:
            with undoing("delete"):
                await self._stores.model.restore(self._entry_now(entry.id))
                if was_active:
                    await self._stores.model.set_active(name)
                self.chosen = name

        async with self._doing("Deleting"):
            await self._require_as_listed(name)
            entry = await self._stores.model.delete(name)
            await self._done(f"model {name} is in the trash", undo)
            return entry

    async def restore(self, entry_id: str) -> ModelInfo:
        """Bring a deleted model back."""

        async def undo() -> None:
            with undoing("restore"):
                again = await self._stores.model.delete(info.name)
                self._deleted_again[entry_id] = again.id

        async with self._doing("Restoring"):
            info = await self._stores.model.restore(entry_id)
            self.chosen = info.name
            await self._done(f"model {info.name} is back", undo)
            return info

    async def purge(self, entry_id: str) -> None:
        """Remove a deleted model for good."""
        async with self._doing("Removing"):
            await self._stores.model.purge(entry_id)
            await self.refresh()
            self.status = Status("Removed for good.")

    async def undo(self) -> None:
        """Take the last change back.

        Raises
        ------
        ConflictError
            If things have changed since; nothing is undone then.
        """
        async with self._doing("Undoing"):
            what = await self._undo_last()
            await self.refresh()
            if what:
                self.status = Status(f"Undone: {what}.")

    # In and out

    async def check(self, path: str) -> WeightsReport:
        """Look for code in a weights file, without running any of it."""
        async with self._doing("Looking into the file"):
            return await asyncio.to_thread(check_weights, path)

    async def add(
        self, path: str, name: str = "", *, trust: bool = False, origin: str = ""
    ) -> ModelInfo:
        """Bring weights from elsewhere into the store; see `import_weights`.

        Parameters
        ----------
        name : str
            In the store; default: as the file is called.
        origin : str
            What to call the file, where `path` is but a copy of it.
        """
        name = name.strip() or Path(origin or path).stem

        async def undo() -> None:
            with undoing("import"):
                await self._stores.model.delete(name)

        async with self._doing("Importing"):
            info = await import_weights(self._stores, path, name, trust=trust, origin=origin)
            self.chosen = info.name
            await self._done(f"model {info.name} is imported from {origin or path}", undo)
            return info

    async def export(self, name: str, folder: str, format: str = "onnx") -> ExportResult:
        """Export a model, and check that it predicts the same; see `export_model`."""
        async with self._doing(f"Exporting {name}") as progress:
            await self._require_as_listed(name)
            return await export_model(
                self._stores,
                name,
                folder,
                format=format,
                told=lambda _step, done, total: progress(done, total),
            )

    async def copy(self, name: str, folder: str) -> Path:
        """Copy a model's weights into a folder, under the model's name.

        Raises
        ------
        AlreadyExistsError
            If there is a file of that name.
        """
        async with self._doing("Copying"):
            await self._require_as_listed(name)
            weights = await self._stores.model.load(name)
            target = await asyncio.to_thread(_copied, weights, folder, name)
            self.status = Status(f"Copied to {target}.")
            return target

    async def weights(self, name: str) -> Path:
        """Return where a model's weights lie."""
        return await self._stores.model.load(name)

    # Trying

    async def datasets(self) -> list[str]:
        """Return the names of the datasets that can be opened."""
        return await DatasetManager.on(self._stores).list_usable()

    async def images(self, dataset: str, split: str) -> list[str]:
        """Return the file names of a split."""
        return [info.filename for info in await self._stores.image.list(dataset, split)]

    async def try_image(self, name: str, dataset: str, split: str, filename: str) -> None:
        """Predict on an image of a dataset."""
        frame = await self._stores.image.load(dataset, split, filename)
        await self.try_frame(name, frame)

    async def try_bytes(self, name: str, data: bytes, filename: str) -> None:
        """Predict on an encoded image.

        Raises
        ------
        InvalidFrameError
            If it is none.
        """
        await self.try_frame(name, await asyncio.to_thread(decode, data, filename))

    async def try_frame(self, name: str, frame: Frame) -> None:
        """Predict on a picture (uint8, BGR, HWC)."""
        async with self._doing(f"{name} is looking"):
            found = await self._predictor.predict(frame, LEAST_CONFIDENCE, model=name)
            with self.hold_trait_notifications():
                self.tried, self.found, self.found_by = frame, found, name

    # Inside

    async def _done(self, what: str, undo: Callable[[], Awaitable[None]]) -> None:
        self._note(Change(what, undo))
        await self.refresh()
        self.status = Status(sentence(what))

    def _entry_now(self, entry_id: str) -> str:
        """Return under which id a model lies in the trash, if a restore of it was undone."""
        while entry_id in self._deleted_again:
            entry_id = self._deleted_again[entry_id]
        return entry_id

    async def _curve(self, info: ModelInfo) -> list[float]:
        """Return mAP50-95 by epoch; empty if nobody knows it."""
        kept = info.details.get(CURVES)
        if kept is not None:
            return [value or 0.0 for value in kept.get("map50_95", [])]
        # Models of before curves were kept with them: their run may know.
        folder, run_id = info.details.get("run_folder"), str(info.details.get("run_id"))
        if run_id in self._known_curves:
            return self._known_curves[run_id]
        if not folder:
            return []
        try:
            run = await TrainingRunner(self._stores, Path(folder).parent).get(run_id)
            progress = await asyncio.to_thread(run.read_progress)
        except (WorkbenchError, OSError, ValueError) as error:
            _log.info("no curve of model %s: %s", info.name, error)
            return []
        curve = [epoch.metrics.get("map50_95", 0.0) for epoch in progress.history]
        self._known_curves[run_id] = curve
        return curve


def _differences(before: ModelInfo, now: ModelInfo) -> list[str]:
    """Return in words what is different in a model, but for whether it is active."""
    facts: dict[str, Callable[[ModelInfo], object]] = {
        "problem": lambda info: info.problem or "none",
        "made": lambda info: info.created_at,
        "started from": lambda info: info.base_model,
        "epochs": lambda info: info.epochs_completed,
        "note": lambda info: info.details.get(NOTE) or "none",
    }
    return [
        f"{what} was {read(before)}, is {read(now)} now"
        for what, read in facts.items()
        if read(before) != read(now)
    ]


def obstacle(info: ModelInfo | None) -> str:
    """Return why nothing can be done with a model but delete it; empty if all can."""
    if info is None:
        return "No model is chosen: train one, or bring in weights on the page Import."
    return "This model is damaged: it can only be deleted." if info.problem else ""


def required(model: ModelsModel) -> ModelInfo:
    """Return the model that is chosen; ValueError if none is."""
    if model.info is None:
        raise ValueError("Choose a model first.")
    return model.info


def _copied(weights: Path, folder: str, name: str) -> Path:
    target = Path(folder).expanduser().resolve() / f"{name}{weights.suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with weights.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except FileExistsError as error:
        raise AlreadyExistsError(
            f"{target} exists: take another folder, or move it away"
        ) from error
    return target
