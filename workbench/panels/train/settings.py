"""The settings of the next training run, with suggestions for them. No widgets."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any

import traitlets as t

from workbench.datasets.changes import counted
from workbench.errors import InvalidConfigError, WorkbenchError
from workbench.panels.shared.python_code import call, code
from workbench.panels.shared.readings import Readings
from workbench.persistence import Stores, get_stores
from workbench.persistence.version_models import VersionInfo
from workbench.training.arguments import check_arguments, parse_arguments
from workbench.training.base_models import IN_CODE, START, resolve_base_model
from workbench.training.config import LOCAL, TrainingConfig
from workbench.training.defaults import SUGGESTED, Machine, data_facts, suggest
from workbench.training.devices import Gpu, device_choices, gpus
from workbench.training.machine_checks import scale_of

CHOSEN = (
    "dataset",
    "version",
    "base_model",
    "allow_download",
    "epochs",
    "image_size",
    "batch",
    "device",
    "model_name",
    "patience",
    "seed",
    "cache",
    "unlabelled_as_background",
    "arguments",
)
"""Traits of `TrainSettings` that somebody chooses, in the order in which they matter."""
_DEFAULT = TrainingConfig(dataset="any")
_NOW = ("The dataset as it is now", "")
LEAST = {"epochs": 1, "image_size": 32}
"""What a setting must have at least."""
BASE_MODELS = (
    *("yolo11n.pt", "yolo11s.pt", "yolo11m.pt", "yolo26n.pt", "yolo26s.pt"),
    *(START.name, "yolo11n.yaml"),
)


class TrainSettings(t.HasTraits):
    """What the next run shall be like.

    Traits from ``dataset`` to ``arguments`` are the settings, with the meaning that they have
    in `TrainingConfig`. Those of `SUGGESTED` follow dataset and device (see `suggest`) until
    somebody sets them.

    Parameters
    ----------
    dataset : str, optional
        Chosen at first; default: the only one there is.
    stores : Stores, optional
        Default: those of this process.
    """

    dataset = t.Unicode(help="Name of the dataset that the next run trains on.")
    version = t.Unicode(help="Name of a frozen version of it; empty: as it is now.")
    base_model = t.Unicode(_DEFAULT.base_model, help="Where the next run starts.")
    allow_download = t.Bool(False, help="Whether pretrained weights may be fetched.")
    epochs = t.Int(_DEFAULT.epochs, help="How often it sees the training split.")
    image_size = t.Int(_DEFAULT.image_size, help="Pixels of the square images.")
    batch = t.Any(_DEFAULT.batch, help="Images learned at once; int or float.")
    device = t.Unicode(help="Empty: the first GPU, else the CPU.")
    model_name = t.Unicode(help="Of the model that comes of it; empty: dataset and time.")
    patience = t.Int(_DEFAULT.patience, help="Epochs without anything better, before it ends.")
    seed = t.Int(_DEFAULT.seed, help="Of the random numbers.")
    cache = t.Any(_DEFAULT.cache, help="False, ``'ram'`` or ``'disk'``.")
    unlabelled_as_background = t.Bool(False, help="Whether unlabelled images show nothing.")
    arguments = t.Unicode(help="Others of Ultralytics', see `parse_arguments`.")
    where = t.Unicode(LOCAL, help="The place where it runs, see `TrainingRunner.start`.")

    datasets = t.List(t.Unicode(), help="Names of the datasets there are.")
    versions: t.List[tuple[str, str]] = t.List(
        help="Words and name of each version of the dataset, the newest first."
    )
    base_models = t.List(t.Unicode(), help="Names that `base_model` may have, among others.")
    devices: t.List[tuple[str, str]] = t.List(help="Words and setting of each device there is.")
    images = t.Dict(help="How many images each split has that is trained on and measured by.")
    suggestions = t.Dict(help="A `Suggestion` by the name of its setting.")
    own = t.Tuple(help="Names of the settings that no longer follow the suggestions.")
    notes = t.Dict(help="What is to be said of a setting as it stands, by its name.")

    def __init__(self, dataset: str | None = None, stores: Stores | None = None) -> None:
        super().__init__(
            dataset=dataset or "",
            base_models=list(BASE_MODELS),
            versions=[_NOW],
            devices=[("Automatic", "")],
        )
        self._given_stores = stores
        self._gpus: list[Gpu] | None = None
        self._is_suggesting = False
        self._answered: tuple[Any, ...] | None = None
        self._asks, self._model_lists = Readings(), Readings()
        self.observe(self._take_as_own, names=list(SUGGESTED))
        self.observe(lambda _: self.set_trait("version", ""), names="dataset")

    @property
    def stores(self) -> Stores:
        """The stores that the panel works on."""
        return self._given_stores or get_stores()

    def config(self, **settings: Any) -> TrainingConfig:
        """Return the settings of the next run.

        Raises
        ------
        InvalidConfigError
            If one cannot be, or has an unknown name.
        """
        mine = {name: getattr(self, name) for name in CHOSEN}
        if not settings.get("dataset", self.dataset):
            raise InvalidConfigError("Choose a dataset first.")
        for name, least in LEAST.items():
            if name not in settings and getattr(self, name) < least:
                raise InvalidConfigError(too_small(name, least))
        mine["extra"] = parse_arguments(mine.pop("arguments"))
        return TrainingConfig.from_json(mine | settings)

    def why_not(self) -> str:
        """Return which setting of the next run cannot be; empty: all can."""
        try:
            self.config()
        except WorkbenchError as error:
            return str(error)
        return ""

    def as_python(self) -> str:
        """Return what *Start* does, to be run in a cell; empty while the settings cannot be."""
        try:
            config = self.config()
        except WorkbenchError:
            return ""
        standard = TrainingConfig(dataset=config.dataset)
        named = {
            field.name: value
            for field in fields(TrainingConfig)
            if field.name != "dataset"
            and (
                (value := getattr(config, field.name)) != getattr(standard, field.name)
                or field.name in SUGGESTED
            )
        }
        if self.where != LOCAL:
            named["where"] = self.where
        return code(
            ("TrainPanel",),
            call("panel = TrainPanel", config.dataset),
            call("run = await panel.start", **named),
            "await panel.wait()",
        )

    async def suggest(self) -> None:
        """Look at dataset, base model and device, and bring suggestions and notes up to date.

        Settings that nobody has set are set to what is suggested.
        """
        is_news = self._asks.begin()
        while True:
            asked = self._asked()
            notes = await self._look_at_arguments()
            scale = await self._look_at_start(notes)
            if self._gpus is None:
                self._gpus = await asyncio.to_thread(gpus)
                self.devices = device_choices(self._gpus)
            found, versions, images = {}, [_NOW], {}
            if self.dataset:
                try:
                    kept = await self.stores.dataset.list_versions(self.dataset)
                    versions += [_version_words(version) for version in reversed(kept)]
                    images = await self._count_images(kept)
                    facts = await data_facts(self.stores, self.dataset, self.version)
                except WorkbenchError as error:
                    notes["dataset"] = str(error)
                else:
                    size = self.image_size if "image_size" in self.own else None
                    machine = Machine.of(self.device, self._gpus)
                    found = suggest(facts, machine, scale, size)
            if asked == self._asked():
                break  # else they are answers to something else
        if is_news():
            self._answered = asked
            self.versions, self.notes, self.suggestions = versions, notes, found
            self.images = images
            self._apply()

    async def _count_images(self, versions: list[VersionInfo]) -> dict[str, int]:
        for version in versions:
            if version.name == self.version:
                return dict(version.num_images)
        return dict((await self.stores.dataset.get(self.dataset)).num_images)

    def follow_suggestions(self) -> None:
        """Set all settings that are suggested, also those that somebody has set."""
        self.own = ()
        self._apply()

    @property
    def is_answered(self) -> bool:
        """Whether what was last suggested is for the settings as they are."""
        return self._asked() == self._answered

    def _asked(self) -> tuple[Any, ...]:
        size = self.image_size if "image_size" in self.own else 0
        start = self.base_model, self.allow_download, self.arguments
        return self.dataset, self.version, self.device, size, *start

    def _apply(self) -> None:
        self._is_suggesting = True
        try:
            for name, suggestion in self.suggestions.items():
                if name not in self.own:
                    setattr(self, name, suggestion.value)
        finally:
            self._is_suggesting = False

    def _take_as_own(self, change: Any) -> None:
        if not self._is_suggesting and change["name"] not in self.own:
            self.own = (*self.own, change["name"])

    async def _look_at_start(self, notes: dict[str, str]) -> str:
        """Say in words where the run would start; return the scale of the architecture."""
        try:
            base = await resolve_base_model(
                self.base_model, self.stores.model, allow_download=self.allow_download
            )
        except WorkbenchError as error:
            notes["base_model"] = str(error)
            return scale_of(self.base_model)
        notes["base_model"] = in_form(base.note)
        return scale_of(base.label)

    async def _look_at_arguments(self) -> dict[str, str]:
        try:
            await asyncio.to_thread(check_arguments, parse_arguments(self.arguments))
        except WorkbenchError as error:
            return {"arguments": str(error).partition(": ")[2]}
        return {}

    async def _list_models(self) -> None:
        is_news = self._model_lists.begin()
        stored = [info.name for info in await self.stores.model.list() if not info.problem]
        if is_news():
            self.base_models = [*BASE_MODELS, *stored]


def in_form(note: str) -> str:
    """Return a note on the start of a run with the names that the settings have on the page."""
    return note.replace(IN_CODE, "tick “Allow download”")


def too_small(name: str, least: int) -> str:
    """Return what is said of a setting that is below its least."""
    return f"{name.replace('_', ' ').capitalize()}: {least} is the least."


def _version_words(version: VersionInfo) -> tuple[str, str]:
    images = sum(version.num_images.values())
    frozen = f"{version.created_at.astimezone():%Y-%m-%d}"
    return f"{version.name} · {counted(images, 'image')} · {frozen}", version.name
