"""What travels as JSON: the value objects of the stores, without their paths."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from workbench.api.jobs import Job
from workbench.datasets.manager import DatasetFacts
from workbench.persistence.models import (
    Annotation,
    DatasetInfo,
    ImageInfo,
    ImageKey,
    LabelData,
    LabelEdit,
    ModelInfo,
    Prediction,
    TrashEntry,
)
from workbench.persistence.suggestion_blocks import SuggestionSource
from workbench.persistence.suggestions import Suggestion
from workbench.persistence.version_models import VersionInfo

Split = Literal["train", "val", "test"]
Text = Annotated[str, Field(max_length=1000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
ClassId = Annotated[int, Field(ge=0, le=1_000_000)]


def _with_example(example: dict[str, Any]) -> ConfigDict:
    # Strict: JSON has types, and 0 for false is a mistake of whoever sends it.
    return ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [example]})


class Dataset(BaseModel):
    """A dataset: its name, its classes, what is in it."""

    model_config = _with_example(
        {
            "name": "cups",
            "classes": ["cup", "saucer"],
            "num_images": {"train": 80, "val": 20, "test": 0},
            "created_at": "2026-01-01T12:00:00Z",
            "modified_at": "2026-01-02T08:30:00Z",
            "problem": "",
        }
    )

    name: str
    classes: list[str]
    num_images: dict[str, int]
    created_at: datetime | None
    modified_at: datetime | None
    problem: str = Field(description="Why it cannot be read; empty if all is well.")

    @classmethod
    def of(cls, info: DatasetInfo) -> Self:
        """Make one of what a store returns."""
        return cls(
            name=info.name,
            classes=info.classes,
            num_images=info.num_images,
            created_at=info.created_at,
            modified_at=info.modified_at,
            problem=info.problem,
        )


class Datasets(BaseModel):
    """All datasets, sorted by name."""

    items: list[Dataset]


class Facts(BaseModel):
    """How far the labelling of a dataset has come."""

    dataset: Dataset
    num_labelled: dict[str, int]
    boxes: dict[str, int]
    num_boxes: int
    num_unreadable: int
    size_bytes: int
    problem: str

    @classmethod
    def of(cls, facts: DatasetFacts) -> Self:
        """Make one of what the manager returns."""
        return cls(
            dataset=Dataset.of(facts.info),
            num_labelled=facts.num_labelled,
            boxes=facts.boxes,
            num_boxes=facts.num_boxes,
            num_unreadable=facts.num_unreadable,
            size_bytes=facts.size_bytes,
            problem=facts.problem,
        )


class NewDataset(BaseModel):
    """A dataset to make."""

    model_config = _with_example({"name": "cups", "classes": ["cup", "saucer"]})

    name: Text
    classes: list[Text] = Field(default=[], max_length=10_000)


class NewName(BaseModel):
    """Another name."""

    model_config = _with_example({"name": "mugs"})

    name: Text


class Duplicate(BaseModel):
    """A copy to make, of all images or of those that a query finds."""

    model_config = _with_example({"name": "small cups", "query": "class:cup area<0.01"})

    name: Text
    query: Text = ""


class Classes(BaseModel):
    """Class names; the position is the class id."""

    model_config = _with_example({"classes": ["cup", "saucer", "spoon"]})

    classes: list[Text] = Field(max_length=10_000)


class Prompts(BaseModel):
    """Text prompts by class id."""

    model_config = _with_example({"prompts": {"0": ["a cup", "a mug"]}})

    prompts: dict[Annotated[int, Field(ge=0, strict=False)], list[Text]]  # keys are texts in JSON


class Tags(BaseModel):
    """File names by tag."""

    model_config = _with_example({"tags": {"blurry": ["frame_001.jpg"]}})

    tags: dict[str, list[str]]


class ClassStatistics(BaseModel):
    """Numbers about one class, by split."""

    name: str
    boxes: dict[str, int]
    images: dict[str, int]


class DatasetStatistics(BaseModel):
    """Numbers about a dataset."""

    num_images: int
    num_boxes: int
    images_by_state: dict[str, dict[str, int]] = Field(
        description="By split, then by state: unlabelled, background, labelled, unreadable."
    )
    classes: list[ClassStatistics]


class HealthRequest(BaseModel):
    """What to look for."""

    model_config = _with_example({"only": ["corrupt", "duplicate-box"]})

    only: list[Text] | None = Field(default=None, description="Kinds of findings; default: all.")


class SplitRequest(BaseModel):
    """How to deal the images out to splits."""

    model_config = _with_example({"ratios": {"train": 0.8, "val": 0.2}, "seed": 0, "apply": False})

    ratios: dict[Split, Number] = Field(default={"train": 0.8, "val": 0.2})
    seed: int = Field(default=0, ge=0, le=2**31)
    apply: bool = Field(default=False, description="False: only plan, move nothing.")


class Version(BaseModel):
    """A named, immutable state of a dataset."""

    name: str
    created_at: datetime
    note: str
    automatic: bool
    classes: list[str]
    num_images: dict[str, int]
    num_labelled: dict[str, int]
    digest: str

    @classmethod
    def of(cls, info: VersionInfo) -> Self:
        """Make one of what a store returns."""
        return cls(**{name: getattr(info, name) for name in cls.model_fields})


class Versions(BaseModel):
    """Versions, oldest first."""

    items: list[Version]


class NewVersion(BaseModel):
    """A version to freeze."""

    model_config = _with_example({"name": "before cleaning", "note": "as it was labelled in May"})

    name: Text
    note: Text = ""


class Trashed(BaseModel):
    """Something deleted that can be restored by its id."""

    model_config = _with_example(
        {
            "id": "20260101T120000.000000-0a1b2c3d",
            "kind": "image",
            "name": "frame_001.jpg",
            "split": "train",
            "deleted_at": "2026-01-01T12:00:00Z",
        }
    )

    id: str
    kind: str
    name: str
    split: str
    deleted_at: datetime

    @classmethod
    def of(cls, entry: TrashEntry) -> Self:
        """Make one of what a store returns."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class Trash(BaseModel):
    """What is in the trash, oldest first."""

    items: list[Trashed]


class Purged(BaseModel):
    """How many things were removed for good."""

    count: int


class ImageRef(BaseModel):
    """What identifies an image in its dataset."""

    model_config = _with_example({"split": "train", "filename": "frame_001.jpg"})

    split: Split
    filename: Text

    @property
    def key(self) -> ImageKey:
        """As the stores have it."""
        return self.split, self.filename

    @classmethod
    def of(cls, key: ImageKey) -> Self:
        """Make one of a key."""
        return cls.model_construct(split=key[0], filename=key[1])


class Image(BaseModel):
    """An image of a dataset."""

    model_config = _with_example(
        {
            "split": "train",
            "filename": "frame_001.jpg",
            "size_bytes": 18204,
            "modified_at": 1767268800.0,
            "width": 640,
            "height": 480,
            "state": "labelled",
            "num_boxes": 3,
        }
    )

    split: Split
    filename: str
    size_bytes: int
    modified_at: float = Field(description="Seconds since the epoch.")
    width: int | None = Field(description="Pixels as it is shown; null where not known.")
    height: int | None
    state: Literal["unlabelled", "background", "labelled", "unreadable"]
    num_boxes: int


class Images(BaseModel):
    """A page of images."""

    items: list[Image]
    total: int = Field(description="Of all pages together.")
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class SavedImage(BaseModel):
    """An image that was just stored."""

    split: Split
    filename: str
    size_bytes: int
    width: int
    height: int
    has_labels: bool

    @classmethod
    def of(cls, info: ImageInfo) -> Self:
        """Make one of what a store returns."""
        return cls(**{name: getattr(info, name) for name in cls.model_fields})


class Refused(BaseModel):
    """A file that was not added, and why."""

    name: str
    why: str


class Upload(BaseModel):
    """What became of files that were to be added."""

    added: list[ImageRef]
    unchanged: list[ImageRef] = Field(description="There already, with the same bytes.")
    refused: list[Refused]


class ImageList(BaseModel):
    """Images to do something with."""

    model_config = _with_example({"images": [{"split": "train", "filename": "frame_001.jpg"}]})

    images: list[ImageRef] = Field(max_length=1_000_000)


class MoveImages(ImageList):
    """Images to move, and where to."""

    model_config = _with_example(
        {"images": [{"split": "train", "filename": "frame_001.jpg"}], "to": "val"}
    )

    to: Split


class EntryList(BaseModel):
    """Entries of the trash, by id."""

    model_config = _with_example({"entries": ["20260101T120000.000000-0a1b2c3d"]})

    entries: list[Text] = Field(max_length=1_000_000)


class Done(BaseModel):
    """What was done, in words."""

    description: str


class Box(BaseModel):
    """A labelled box: class id, centre and size, normalised to 0..1."""

    model_config = _with_example({"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4})

    class_id: ClassId
    x: Number
    y: Number
    width: Number
    height: Number

    @classmethod
    def of(cls, box: Annotation) -> Self:
        """Make one of what a store returns."""
        return cls.model_construct(
            class_id=box.class_id, x=box.x, y=box.y, width=box.width, height=box.height
        )

    def to_annotation(self) -> Annotation:
        """Return it as the stores take it."""
        return Annotation(self.class_id, self.x, self.y, self.width, self.height)


class PredictedBox(Box):
    """A box that a model proposes."""

    model_config = _with_example(
        {"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4, "confidence": 0.9}
    )

    confidence: float

    @classmethod
    def of(cls, box: Annotation) -> Self:
        """Make one of what a predictor returns."""
        assert isinstance(box, Prediction)
        return cls.model_construct(
            class_id=box.class_id,
            x=box.x,
            y=box.y,
            width=box.width,
            height=box.height,
            confidence=box.confidence,
        )


class ScoredBox(Box):
    """A box that somebody proposes, with how sure he is."""

    model_config = _with_example(
        {"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4, "confidence": 0.9}
    )

    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

    def to_prediction(self) -> Prediction:
        """Return it as the stores take it."""
        return Prediction(self.class_id, self.x, self.y, self.width, self.height, self.confidence)


class Labels(BaseModel):
    """The labels of one image."""

    model_config = _with_example(
        {
            "split": "train",
            "filename": "frame_001.jpg",
            "boxes": [{"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}],
            "revision": "5d41402abc4b2a76",
            "labelled": True,
            "other_rows": 0,
        }
    )

    split: Split
    filename: str
    boxes: list[Box]
    revision: str = Field(description="Also the ETag; empty while there is no label file.")
    labelled: bool = Field(description="Whether somebody has looked; also true without boxes.")
    other_rows: int = Field(description="Rows of which `boxes` has only the box: polygons etc.")

    @classmethod
    def of(cls, data: LabelData) -> Self:
        """Make one of what a store returns."""
        return cls.model_construct(
            split=data.split,
            filename=data.filename,
            boxes=[Box.of(box) for box in data.annotations],
            revision=data.revision,
            labelled=bool(data.revision),
            other_rows=data.other_rows,
        )


class NewLabels(BaseModel):
    """Boxes that replace those of an image."""

    model_config = _with_example(
        {"boxes": [{"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}]}
    )

    boxes: list[Box] = Field(max_length=100_000)
    discard_other_rows: bool = Field(
        default=False, description="Agree that polygons and keypoints become plain boxes."
    )
    what: Annotated[str, Field(max_length=100)] = Field(
        default="api", description="In a word what was done, for the history."
    )


class ImageLabels(ImageRef):
    """The boxes of one image among many."""

    model_config = _with_example(
        {
            "split": "train",
            "filename": "frame_001.jpg",
            "boxes": [{"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.4}],
        }
    )

    boxes: list[Box]


class ManyLabels(BaseModel):
    """Labels of many images, saved together or not at all."""

    items: list[ImageLabels] = Field(max_length=1_000_000)


class Saved(BaseModel):
    """How many were saved."""

    count: int


class LabelColumns(BaseModel):
    """Every box of a split, or of all, in columns."""

    filenames: list[str]
    splits: list[str]
    labelled: list[bool]
    image_index: list[int] = Field(description="Of each box: the position of its image.")
    class_id: list[int]
    boxes: list[list[float]] = Field(description="x, y, width, height of each box.")
    problems: list[str] = Field(description="Label files that cannot be read.")


class Edit(BaseModel):
    """One change of an image's labels."""

    id: str
    at: datetime
    split: str
    filename: str
    before: list[Box] | None
    after: list[Box] | None
    what: str

    @classmethod
    def of(cls, edit: LabelEdit) -> Self:
        """Make one of what a store returns."""

        def boxes(found: list[Annotation] | None) -> list[Box] | None:
            return None if found is None else [Box.of(box) for box in found]

        return cls(
            id=edit.id,
            at=edit.at,
            split=edit.split,
            filename=edit.filename,
            before=boxes(edit.before),
            after=boxes(edit.after),
            what=edit.what,
        )


class History(BaseModel):
    """How labels came to be what they are, oldest edit first."""

    items: list[Edit]


class Waiting(BaseModel):
    """An image whose predictions wait for review."""

    split: Split
    filename: str
    boxes: list[PredictedBox]


class WaitingPage(BaseModel):
    """A page of images whose predictions wait for review."""

    items: list[Waiting]
    total: int
    next: str | None


class Decision(BaseModel):
    """What becomes of an image's predictions."""

    model_config = _with_example({"accept": [0, 2]})

    accept: list[Annotated[int, Field(ge=0)]] = Field(
        description="Positions of the boxes that become labels; none: nothing is on the image."
    )


class Source(BaseModel):
    """Who proposes boxes."""

    model_config = _with_example(
        {"kind": "robot", "name": "line 3", "digest": "", "details": {"exposure_ms": 4}}
    )

    kind: Annotated[str, Field(min_length=1, max_length=100)]
    name: Text
    digest: Text = Field(default="", description="Of the weights, if there are any.")
    details: dict[Text, Any] = Field(
        default={}, max_length=100, description="What else decides the boxes."
    )

    def to_source(self) -> SuggestionSource:
        """Return it as the stores have it."""
        return SuggestionSource(self.kind, self.name, self.digest, self.details)


class KnownSource(BaseModel):
    """Who has proposed boxes for a dataset."""

    id: str
    kind: str
    name: str
    digest: str
    num_images: int = Field(description="Images that it has looked at.")


class SuggestedBox(PredictedBox):
    """A box that a source proposes."""

    model_config = _with_example(
        {
            "class_id": 0,
            "x": 0.5,
            "y": 0.5,
            "width": 0.2,
            "height": 0.4,
            "confidence": 0.9,
            "source": "0123456789abcdef",
        }
    )

    source: str = Field(description="Id of the source.")

    @classmethod
    def of_suggestion(cls, one: Suggestion) -> Self:
        """Make one of what a store returns."""
        return cls.model_construct(**PredictedBox.of(one).model_dump(), source=one.source)


class Suggestions(BaseModel):
    """What waits for review on an image."""

    split: Split
    filename: str
    boxes: list[SuggestedBox]


class SuggestionPage(BaseModel):
    """A page of images with suggestions that wait for review."""

    sources: list[KnownSource]
    items: list[Suggestions]
    next: str | None


class SuggestedLabels(ImageRef):
    """What a source proposes for an image: no box if it found nothing."""

    model_config = _with_example({"split": "train", "filename": "frame_1.jpg", "boxes": []})

    boxes: list[ScoredBox] = Field(max_length=10_000)


class NewSuggestions(BaseModel):
    """What a source proposes."""

    model_config = _with_example(
        {
            "source": {"kind": "robot", "name": "line 3"},
            "items": [
                {
                    "split": "train",
                    "filename": "frame_1.jpg",
                    "boxes": [
                        {
                            "class_id": 0,
                            "x": 0.5,
                            "y": 0.5,
                            "width": 0.2,
                            "height": 0.4,
                            "confidence": 0.9,
                        }
                    ],
                }
            ],
        }
    )

    source: Source
    items: list[SuggestedLabels] = Field(max_length=10_000)


class SuggestionDecision(BaseModel):
    """What becomes of an image's suggestions; what is in neither list goes on waiting."""

    model_config = _with_example({"accept": [0, 2], "reject": [1]})

    accept: list[Annotated[int, Field(ge=0)]] = Field(
        default=[], description="Positions of those that become labels."
    )
    reject: list[Annotated[int, Field(ge=0)]] = Field(
        default=[], description="Positions of those that are not offered again by this source."
    )


class Model(BaseModel):
    """A trained model."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    base_model: str
    dataset_name: str
    created_at: datetime | None
    epochs_completed: int
    best_map50: float | None
    is_active: bool
    metrics: dict[str, float | None]
    class_names: list[str]
    details: dict[str, Any]
    weights_state: str

    @classmethod
    def of(cls, info: ModelInfo, details: dict[str, Any], metrics: dict[str, Any]) -> Self:
        """Make one of what a store returns; `details` and `metrics` without paths and NaN."""
        plain = {
            name: getattr(info, name)
            for name in cls.model_fields
            if name not in {"details", "metrics"}
        }
        return cls(**plain, details=details, metrics=metrics)


class Models(BaseModel):
    """All models, sorted by name."""

    items: list[Model]


class ActiveModel(BaseModel):
    """The model that labels and predicts."""

    model_config = _with_example({"name": "cups-v2"})

    name: Text | None


class Predictions(BaseModel):
    """What a model found on an image, most confident first."""

    model: str
    class_names: list[str]
    boxes: list[PredictedBox]


class NewRun(BaseModel):
    """The settings of a training run, as `workbench.training.config.TrainingConfig` has them."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        protected_namespaces=(),
        json_schema_extra={
            "examples": [{"dataset": "cups", "base_model": "yolo11n.pt", "epochs": 50}]
        },
    )

    dataset: Text
    base_model: Annotated[str, Field(max_length=200, pattern=r"^[^/\\]+$")] = "yolo11n.pt"
    epochs: int = Field(default=50, ge=1)
    image_size: int = Field(default=640, ge=32)
    batch: int | Number = 16
    device: Text = ""
    patience: int = Field(default=50, ge=0)
    seed: int = Field(default=0, ge=0)
    workers: int = Field(default=4, ge=0)
    cache: Literal["ram", "disk"] | bool = False
    model_name: Text = ""
    unlabelled_as_background: bool = False
    allow_download: bool = False
    version: Text = ""
    extra: dict[str, Any] = {}


class Run(BaseModel):
    """A training run, and where it stands."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    state: str
    settings: dict[str, Any]
    epoch: int
    epochs: int
    batch: int
    batches: int
    epochs_completed: int
    fraction: float
    losses: dict[str, float | None]
    metrics: dict[str, float | None]
    warnings: list[str]
    message: str
    note: str
    device: str
    model_name: str | None


class Runs(BaseModel):
    """All training runs, newest first."""

    items: list[Run]


class ResumeRun(BaseModel):
    """Settings that shall be other than before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    batch: int | Number | None = None
    cache: Literal["ram", "disk"] | bool | None = None
    device: Text | None = None
    image_size: int | None = Field(default=None, ge=32)
    patience: int | None = Field(default=None, ge=0)
    workers: int | None = Field(default=None, ge=0)


class CaptureOptions(BaseModel):
    """How to capture; as `workbench.capture.settings.CaptureSettings` has it."""

    model_config = _with_example({"split": "train", "class_name": "cup", "min_difference": 1.5})

    split: Split | dict[Split, Number] = "train"
    class_name: Text = ""
    prefix: Text = ""
    extension: Literal[".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"] = ".jpg"
    min_difference: Number = Field(default=1.5, ge=0)
    min_sharpness: Number = Field(default=40.0, ge=0)
    detections: Literal["off", "labels", "predictions"] = "off"


class NewCapture(BaseModel):
    """A device that wants to push frames."""

    model_config = _with_example(
        {"dataset": "cups", "device": "robot arm", "settings": {"split": "train"}}
    )

    dataset: Text
    device: Text = "device"
    settings: CaptureOptions = CaptureOptions()


class RecordOptions(BaseModel):
    """Which frames to take."""

    model_config = _with_example({"every_seconds": 0.5, "until": 100})

    every_seconds: Number = Field(default=0.0, ge=0)
    until: int | None = Field(default=None, ge=1, description="Number of images.")


class Capture(BaseModel):
    """A device, and what has become of its frames."""

    id: str
    dataset: str
    device: str
    recording: bool
    saving: bool
    burst: str
    saved: int
    similar: int
    blurred: int
    damaged: int
    dropped: int
    waiting: int
    failure: str


class CaptureList(BaseModel):
    """The captures that are open."""

    items: list[Capture]


class Pushed(BaseModel):
    """What became of a frame."""

    accepted: bool


class JobStatus(BaseModel):
    """Work that goes on while nobody waits."""

    model_config = _with_example(
        {
            "id": "0f1e2d3c4b5a6978",
            "kind": "import",
            "dataset": "cups",
            "state": "failed",
            "done": 120,
            "total": 400,
            "created_at": 1767268800.0,
            "ended_at": 1767268812.5,
            "result": {},
            "problem": {
                "type": "urn:workbench:archive",
                "title": "Not acceptable as it is",
                "status": 422,
                "detail": "cups.zip: expected a zip archive, found something else",
            },
            "has_file": False,
        }
    )

    id: str
    kind: str
    dataset: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int
    total: int = Field(description="0 while nobody knows.")
    created_at: float
    ended_at: float | None
    result: Any = None
    problem: dict[str, Any] | None = Field(description="Why it failed, as an error's body.")
    has_file: bool = Field(description="Whether /jobs/{id}/file has something to download.")

    @classmethod
    def of(cls, job: Job) -> Self:
        """Make one of a job."""
        plain = {n: getattr(job, n) for n in cls.model_fields if n != "has_file"}
        return cls(**plain, has_file=job.file is not None)


class JobList(BaseModel):
    """The jobs that are known, oldest first."""

    items: list[JobStatus]


class ServerStatus(BaseModel):
    """What answers here."""

    version: str
    name: Literal["workbench"] = "workbench"
