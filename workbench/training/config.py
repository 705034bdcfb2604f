"""What to train and how: settings that a person chooses, and the job made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from workbench.errors import InvalidConfigError
from workbench.persistence.stored_json import MALFORMED
from workbench.training.typed import typed

LOCAL = "local"
"""The place of a run that is a process of the machine that it was started on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """The settings of a training run. Checked when made, except what only Ultralytics knows.

    Parameters
    ----------
    dataset : str
        Name in the dataset store.
    version : str
        A frozen version of the dataset, by its name; empty: the dataset as it is now.
    base_model : str
        Where training starts: the name of a model in the model store, a weights file
        (``runs/x/best.pt``), an Ultralytics weights name (``yolo11n.pt``), or an
        architecture (``yolo11n.yaml``), which starts from random weights.
    epochs : int
        How often the whole training split is seen, at most.
    image_size : int
        Length in pixels of the square that images are scaled into; rounded up to a
        multiple of 32 by Ultralytics.
    batch : int or float
        Images learned from at once. -1: as many as fit on the GPU; a fraction below 1:
        that share of its memory.
    device : str
        ``""`` takes the first GPU or else the CPU; else ``"cpu"``, ``"mps"``, ``"0"``, ``"0,1"``.
    patience : int
        Stop after so many epochs in which nothing got better; 0 never stops early.
    seed : int
        Of the random numbers; the same seed on the same machine gives the same model.
    workers : int
        Processes that load images while a GPU learns. Ultralytics uses none on the CPU.
    cache : bool or str
        Keep decoded images in ``"ram"`` or on ``"disk"``; False reads them each time.
    model_name : str
        Name in the model store afterwards; empty: made of the dataset's name and the time.
    unlabelled_as_background : bool
        Whether images without a label file are learned as pictures of nothing. Else they
        are left out; images marked as background (an empty label file) always take part.
    allow_download : bool
        Whether weights that are not on this disk may be fetched. Nothing else ever is.
    extra : dict
        Any other argument of Ultralytics' ``train``, by its name there. JSON types.
    teaching : int
        Of a run of `workbench.labelling.teaching.Teacher`, the number of reviewed images; 0 for
        all others. It has the lowest priority, gives way while a person draws, and its model
        does not become the active one.

    Raises
    ------
    InvalidConfigError
        A ``ValueError`` that names the setting, what was expected and what was found.
    """

    dataset: str
    base_model: str = "yolo11n.pt"
    epochs: int = 50
    image_size: int = 640
    batch: int | float = 16
    device: str = ""
    patience: int = 50
    seed: int = 0
    workers: int = 4
    cache: bool | str = False
    model_name: str = ""
    unlabelled_as_background: bool = False
    allow_download: bool = False
    version: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    teaching: int = 0

    def __post_init__(self) -> None:
        for name in ("dataset", "base_model"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise InvalidConfigError(f"{name}: expected a name, found {value!r}")
        for name in ("device", "model_name", "version"):
            if not isinstance(getattr(self, name), str):
                raise InvalidConfigError(f"{name}: expected text, found {getattr(self, name)!r}")
        _check_whole("epochs", self.epochs, 1)
        _check_whole("image_size", self.image_size, 32)
        _check_whole("patience", self.patience, 0)
        _check_whole("seed", self.seed, 0)
        _check_whole("workers", self.workers, 0)
        _check_whole("teaching", self.teaching, 0)
        _check_batch(self.batch)
        # By identity, because 0 == False and 0 would mean something else to Ultralytics.
        if self.cache is not False and self.cache not in ("ram", "disk"):
            raise InvalidConfigError(
                f"cache: expected False, 'ram' or 'disk', found {self.cache!r}"
            )
        for name in ("allow_download", "unlabelled_as_background"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidConfigError(
                    f"{name}: expected True or False, found {getattr(self, name)!r}"
                )
        object.__setattr__(self, "extra", _plain_json(self.extra))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TrainingConfig:
        """Return the settings that `to_json` wrote; the inverse of it.

        Raises
        ------
        InvalidConfigError
            If a setting is unknown or cannot be.
        """
        known = {item.name for item in fields(cls)}
        for name in content:
            if name not in known:
                raise InvalidConfigError(f"{name}: no such setting; there are {', '.join(known)}")
        return cls(**content)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """What training really starts from.

    Parameters
    ----------
    source : str
        What Ultralytics is told: path of a weights file, or an architecture's name.
    label : str
        What people call it: ``"yolo11n.pt"``, or a model's name in the store.
    pretrained : bool
        Whether it has trained weights.
    fetch : bool
        Whether `source` is a weights name that has to be fetched first.
    note : str
        One sentence for people.
    """

    source: str
    label: str
    pretrained: bool
    fetch: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """All that a worker needs to know, and all that is to be known about a run later.

    Parameters
    ----------
    run_id : str
    config : TrainingConfig
    base_model : BaseModel
    class_names : list of str
    data_yaml : str
        Of the frozen view of the dataset, relative to the run's folder, so that the folder
        can be moved to the machine that trains.
    digest : str
        Of that view; see `workbench.persistence.models.Snapshot`.
    num_images, num_labelled : dict of str to int
        By split.
    warnings : list of str
        What the check before the start had to say.
    created_at : str
        ISO 8601 with time zone.
    version : str
        Of Workbench.
    dataset_version : str
        Name of the frozen version of the dataset that the run's data equal; empty if there
        is none.
    version_digest : str
        Of that version; see `workbench.persistence.version_models.VersionInfo`.
    where : str
        The place where it runs: ``"local"``, or the address of a Ray cluster.
    sweep : str
        Id of the sweep of which the run is a trial; empty: of none. A trial does not go to the
        model store by itself: the best one does, once the sweep is over.
    """

    run_id: str
    config: TrainingConfig
    base_model: BaseModel
    class_names: list[str]
    data_yaml: str
    digest: str
    num_images: dict[str, int]
    num_labelled: dict[str, int]
    warnings: list[str]
    created_at: str
    version: str
    dataset_version: str = ""
    version_digest: str = ""
    where: str = LOCAL
    sweep: str = ""

    @property
    def model_name(self) -> str:
        """The name that the model shall get in the model store."""
        return self.config.model_name or self._default_model_name

    @property
    def _default_model_name(self) -> str:
        # The run's id is unique in its folder, begins with the time and ends in the dataset:
        # the other way round, models of one dataset stand together in a list.
        date, clock, rest = self.run_id.split("-", 2)
        return f"{rest}-{date}-{clock}"

    def to_json(self) -> dict[str, Any]:
        """Return the job as JSON types."""
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TrainingJob:
        """Return the job that `to_json` wrote.

        Raises
        ------
        InvalidConfigError
            If it was written by a version that this one cannot read.
        """
        values = dict(content)
        if values.pop("format", None) != 1:
            raise InvalidConfigError(
                f"training job: expected format 1, found {content.get('format')!r}; "
                "it was written by a newer Workbench, update this one"
            )
        try:
            config = TrainingConfig.from_json(values.pop("config"))
            base = dict(values.pop("base_model"))
            base.pop("trusted", None)  # of before consent was kept outside of what travels
            base_model = BaseModel(**_all_of(BaseModel, base))
            return cls(config=config, base_model=base_model, **_all_of(cls, values))
        except InvalidConfigError:
            raise
        except MALFORMED as error:
            raise InvalidConfigError(f"training job: {error}; it is none of Workbench's") from error


def _all_of(cls: type[BaseModel] | type[TrainingJob], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values as the annotations of their fields say; raises `TypeError` if not so."""
    unknown = values.keys() - {item.name for item in fields(cls)}
    if unknown:
        raise TypeError(f"{min(unknown)}: no such field")
    return typed(fields(cls), values)


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidConfigError(
            f"{name}: expected a whole number from {least} on, found {value!r}"
        )


def _check_batch(value: object) -> None:
    if isinstance(value, bool):
        fits = False
    elif isinstance(value, int):
        fits = value >= 1 or value == -1
    else:
        fits = isinstance(value, float) and 0 < value < 1
    if not fits:
        raise InvalidConfigError(
            "batch: expected a whole number from 1 on, -1 (as many as fit on the GPU) "
            f"or a share of its memory between 0 and 1, found {value!r}"
        )


def _plain_json(extra: object) -> dict[str, Any]:
    if not isinstance(extra, Mapping) or not all(isinstance(key, str) for key in extra):
        raise InvalidConfigError(f"extra: expected a dict of names to values, found {extra!r}")
    try:
        content: dict[str, Any] = json.loads(json.dumps(dict(extra), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidConfigError(
            f"extra: expected numbers, text, true, false, None and lists of them: {error}"
        ) from error
    return content
