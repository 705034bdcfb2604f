"""When a model is taught as a person goes, on which images, and with which settings. Pure.

Every fifth reviewed image, fixed by a hash of its name, is held out: no lesson is ever taught
on it, so that all of them can be compared on these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.persistence.counting import counted
from workbench.persistence.models import ImageKey
from workbench.training.base_models import START
from workbench.training.config import TrainingConfig
from workbench.training.defaults import DataFacts, Machine, suggest_image_size

FIRST = 10
"""So many reviewed images are enough for a first lesson."""
HELD_OUT_EVERY = 5
FEWEST_TO_TELL = 10
"""On fewer images that were held out nobody can tell how good a model is."""
MOST_IMAGES = 1_000
"""More are not taught at once: a lesson is to end while the person still works."""

_LONGEST_PAUSE = 200
_BATCH = 8
_FEWEST_IN_EPOCH = 256
_MOST_COPIED = 256 * 2**20
_STEPS = (270, 3)
"""Of a lesson: at least, and more for each image."""
_FIRST_STEPS = 135
"""Of one that starts from what comes along, at least: twice as many teach it no more."""
_ON_GPU = 3
"""Times as many steps, as they cost next to nothing there."""
_FEWEST_EPOCHS, _MOST_SECONDS = 3, 600.0
_CPU_PIXELS_A_SECOND = 1.1e6
_STEP_S = 0.04
"""What a step costs besides, on two cores: AdamW, and the many small layers."""
_SEEN_PIXELS = 32
_SMALLEST_SIZE, _STRIDE = 96, 32


def is_held_out(filename: str) -> bool:
    """Whether an image is only ever measured on."""
    digest = hashlib.blake2b(filename.encode("utf-8", "surrogateescape"), digest_size=4).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_EVERY == 0


def due_at(taught: int) -> int:
    """Return with how many reviewed images the next lesson is due: 10, 20, 40, 80 ...

    Parameters
    ----------
    taught : int
        How many there were at the last one; 0 before the first.
    """
    return taught + min(max(taught, FIRST), _LONGEST_PAUSE)


def divided(reviewed: Sequence[ImageKey]) -> tuple[list[ImageKey], list[ImageKey]]:
    """Return which reviewed images are taught, and which are held out.

    Of more than `MOST_IMAGES` the share that a hash of the name chooses: the same next time.
    """
    chosen = list(reviewed)
    if len(chosen) > MOST_IMAGES:
        chosen = sorted(chosen, key=lambda key: hashlib.sha256(repr(key).encode()).digest())
        chosen = sorted(chosen[:MOST_IMAGES])
    taught = [key for key in chosen if not is_held_out(key[1])]
    held_out = [key for key in chosen if is_held_out(key[1])]
    return taught, held_out


def repeats(num_taught: int, size_bytes: int = 0) -> int:
    """Return how often each image is there for an epoch.

    What an epoch costs besides learning, validating and keeping weights, is the same for eight
    images as for eighty, and on a processor more than to learn from eight.

    Parameters
    ----------
    num_taught : int
    size_bytes : int
        Of all their files: large ones are not copied as often.
    """
    wanted = max(-(-_FEWEST_IN_EPOCH // max(num_taught, 1)), 1)
    return max(min(wanted, _MOST_COPIED // max(size_bytes, 1)), 1)


def lesson_size(facts: DataFacts, machine: Machine) -> int:
    """Return the image size of a lesson.

    On a processor not larger than a small box (a quarter of the boxes are smaller) needs in order
    to be some 32 pixels wide: a lesson is worth what it learns while the person goes on, and steps
    cost less on smaller pictures.
    """
    usual = int(suggest_image_size(facts, machine).value)
    if machine.on_gpu or not facts.small_side:
        return usual
    enough = -(-_SEEN_PIXELS / facts.small_side // _STRIDE) * _STRIDE
    return min(max(int(enough), _SMALLEST_SIZE), usual)


def lesson_config(
    dataset: str,
    facts: DataFacts,
    machine: Machine,
    *,
    num_taught: int,
    num_reviewed: int,
    base_model: str,
    model_name: str,
    copies: int = 1,
) -> TrainingConfig:
    """Return the settings of a lesson.

    Parameters
    ----------
    dataset : str
    facts : DataFacts
        Of the whole dataset.
    machine : Machine
    num_taught : int
        Images that are learned from.
    num_reviewed : int
        Those that are held out, too.
    base_model : str
        The model of the lesson before, or what a first lesson starts from.
    model_name : str
        Name for what comes of it.
    copies : int
        How often each image is there, see `repeats`.

    Notes
    -----
    What few images teach depends on the number of optimizer steps. Ultralytics gathers the
    gradients of 64 images for one (``nbs``); here each small batch is one. There are as many of
    them as fit into the time in which the person reviews some more: the first lessons last less
    than a minute on two cores where pictures are small. No lesson ends early, because the steps
    are most worth at the end, when they become small.
    """
    size = lesson_size(facts, machine)
    least, more = _STEPS
    if base_model == START.name:
        least = _FIRST_STEPS
    steps = least + more * num_taught
    if machine.on_gpu:
        steps *= _ON_GPU
    else:
        each = _BATCH * size**2 / _CPU_PIXELS_A_SECOND + _STEP_S
        steps = min(steps, int(_MOST_SECONDS / each))
    epochs = max(round(steps * _BATCH / max(num_taught * copies, 1)), _FEWEST_EPOCHS)
    return TrainingConfig(
        dataset=dataset,
        base_model=base_model,
        epochs=epochs,
        image_size=size,
        batch=_BATCH,
        cache="ram",
        patience=0,
        workers=0,
        model_name=model_name,
        teaching=num_reviewed,
        extra={
            "optimizer": "AdamW",
            "lr0": 0.002,
            "nbs": _BATCH,
            "warmup_epochs": 1,
            "close_mosaic": epochs // 4,
        },
    )


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of a lesson.

    Parameters
    ----------
    model : str
        Its name in the model store; the model may be gone since.
    taught, held_out : int
        Images that it was taught on, and that it was measured on.
    map50 : float
        Mean average precision at an IoU of 0.5 on what was held out, 0..1.
    saved : int
        Of 100 boxes of what was held out, so many need not be drawn.
    threshold : float
        From which score on that is so.
    crops_from : float
        From which score on to review its suggestions as crops in Browse: lower, as a wrong one
        costs less there, and a missing one more.
    tightens : bool
        Whether boxes are better when they are drawn in to edges in the picture.
    takes_over : bool
        Whether it was better than the one before, so that its suggestions replace those.
    class_thresholds : mapping
        The threshold by class id, for classes with enough boxes on what was held out.
    """

    model: str
    taught: int
    held_out: int
    map50: float
    saved: int
    threshold: float
    crops_from: float
    tightens: bool
    takes_over: bool
    class_thresholds: Mapping[int, float] = field(default_factory=dict)

    @property
    def can_tell(self) -> bool:
        """Whether enough was held out to say how good it is."""
        return self.held_out >= FEWEST_TO_TELL

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Lesson:
        """Return what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it was not that.
        """
        return cls(
            str(content["model"]),
            int(content["taught"]),
            int(content["held_out"]),
            float(content["map50"]),
            int(content["saved"]),
            float(content["threshold"]),
            float(content.get("crops_from", content["threshold"])),
            content["tightens"] is True,
            content["takes_over"] is True,
            {int(key): float(own) for key, own in content.get("class_thresholds", {}).items()},
        )

    def __str__(self) -> str:
        """Return one line for people: what it has learnt from, how good it is, what it saves."""
        images = counted(self.taught, "image")
        if not self.can_tell:
            return f"taught on {images}; {self.held_out} held out, too few to tell how good"
        return (
            f"taught on {images}: saves {max(self.saved, 0)} of 100 boxes "
            f"(mAP50 {self.map50:.2f} on {self.held_out} held out); "
            f"as crops in Browse from {self.crops_from:.0%}"
        )
