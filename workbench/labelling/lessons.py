"""When a model is taught as a person goes, on which images, and with which settings. Pure.

Every fifth reviewed image, fixed by a hash of its name, is held out: no lesson is ever taught
on it, so that all of them can be compared on these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.persistence.models import ImageKey
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
_PRETRAINED = "yolo11n.pt"
_BATCH, _SEVERAL = 4, 64
_EPOCHS = (10, 100)
_FEWEST_IN_EPOCH = 64
_CPU_PIXELS_A_SECOND = 1.8 * 640**2
_EPOCH_S, _STEP_S = 0.6, 0.05
"""What an epoch and a step cost besides, on two cores: validating, keeping weights, AdamW."""
_SECONDS = (60.0, 2.0, 600.0)
"""Of a lesson: at least, more for each image, and at most; on a processor."""


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


def repeats(num_taught: int) -> int:
    """Return how often each image is there for an epoch.

    What an epoch costs besides learning, validating and keeping weights, is the same for eight
    images as for eighty, and on a processor more than to learn from eight.
    """
    return max(-(-_FEWEST_IN_EPOCH // max(num_taught, 1)), 1)


def lesson_config(
    dataset: str,
    facts: DataFacts,
    machine: Machine,
    *,
    num_taught: int,
    num_reviewed: int,
    base_model: str | None,
    model_name: str,
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
    base_model : str or None
        The model of the lesson before; None: pretrained weights if they are on this disk, else
        the bare architecture.
    model_name : str
        Name for what comes of it.

    Notes
    -----
    Few images need many small steps, and what an epoch costs grows with them: so batches are
    small and there are as many epochs as fit into the time in which the person reviews some
    more. The first lessons last a minute or two on two cores.
    """
    size = int(suggest_image_size(facts, machine).value)
    least, most = _EPOCHS
    epochs = most
    batch = _BATCH if num_taught < _SEVERAL else 2 * _BATCH
    if not machine.on_gpu:
        shortest, each, longest = _SECONDS
        seconds = min(shortest + each * num_taught, longest)
        seen = num_taught * repeats(num_taught)
        steps = -(-seen // batch)
        each_epoch = seen * size**2 / _CPU_PIXELS_A_SECOND + steps * _STEP_S + _EPOCH_S
        epochs = int(seconds / each_epoch)
    epochs = min(max(epochs, least), most)
    return TrainingConfig(
        dataset=dataset,
        base_model=base_model or _PRETRAINED,
        epochs=epochs,
        image_size=size,
        batch=batch,
        cache="ram",
        patience=max(epochs // 2, least),
        workers=0,
        model_name=model_name,
        teaching=num_reviewed,
        extra={
            "optimizer": "AdamW",
            "lr0": 0.002,
            "warmup_epochs": 1,
            "close_mosaic": max(epochs // 4, 3),
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
    tightens : bool
        Whether boxes are better when they are drawn in to edges in the picture.
    takes_over : bool
        Whether it was better than the one before, so that its suggestions replace those.
    """

    model: str
    taught: int
    held_out: int
    map50: float
    saved: int
    threshold: float
    tightens: bool
    takes_over: bool

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
            content["tightens"] is True,
            content["takes_over"] is True,
        )

    def __str__(self) -> str:
        """Return one line for people: what it has learnt from, how good it is, what it saves."""
        images = f"{self.taught:,} image{'' if self.taught == 1 else 's'}"
        if not self.can_tell:
            return f"taught on {images}; {self.held_out} held out, too few to tell how good"
        return (
            f"taught on {images}: saves {max(self.saved, 0)} of 100 boxes "
            f"(mAP50 {self.map50:.2f} on {self.held_out} held out)"
        )
