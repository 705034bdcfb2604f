"""Settings to begin with, by what is learned and on what; each with its reason in words.

These are rules of thumb: where they come from stands with each. They are for a first run;
what came of it says more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from workbench.datasets.index import DatasetIndex, Indexer
from workbench.persistence import Stores
from workbench.persistence.counting import counted
from workbench.persistence.models import SPLITS
from workbench.training.config import TrainingConfig
from workbench.training.devices import Gpu, may_have_gpu
from workbench.training.machine_checks import gpus_of, needed_memory

SUGGESTED = ("epochs", "image_size", "batch")
"""Names of the settings for which there are suggestions."""

_SIZES = (320, 480, 640, 960, 1280)
_USUAL_GPU, _USUAL_CPU, _LARGEST_CPU = 640, 320, 640
_SMALLEST_SIZE = 64
_STRIDE = 32
_SEEN_PIXELS = 16
_FEW, _MANY = 1_000, 20_000
_CPU_BUDGET = 20_000 * 640**2
_CPU_EPOCHS = (10, 100)
_USUAL_BATCH, _SMALLEST_BATCH = 16, 4
_STEPS = 8


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the suggestions depend on of a dataset.

    Parameters
    ----------
    num_train : int
        Images of train that have labels, or are marked as background.
    longest_side : int
        Of the images, in pixels, in the middle; 0 if it is not known.
    small_side : float
        Shorter side of a small box (a quarter of the boxes are smaller), as a share of the
        longest side of its image; 0 if there are none.
    """

    num_train: int
    longest_side: int = 0
    small_side: float = 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What the suggestions depend on of a machine.

    Parameters
    ----------
    on_gpu : bool
        Whether a run would use a GPU.
    num_gpus : int
        How many of those whose memory is known.
    memory_free : int
        Bytes: of the GPU with the least, or of the machine; 0 if it is not known.
    """

    on_gpu: bool
    num_gpus: int = 0
    memory_free: int = 0

    @classmethod
    def of(cls, device: str, found: Sequence[Gpu]) -> Machine:
        """Return what a setting of the device means here.

        Parameters
        ----------
        device : str
            As in `TrainingConfig`.
        found : sequence of Gpu
            As `workbench.training.devices.gpus` returns them.
        """
        used = gpus_of(device, list(found))
        if used:
            return cls(True, len(used), min(gpu.memory_free for gpu in used))
        device = device.strip().lower()
        if device not in ("", "cpu") or (not device and may_have_gpu()):
            return cls(True)
        return cls(False, 0, psutil.virtual_memory().available)

    @property
    def words(self) -> str:
        """What people call it."""
        if self.num_gpus > 1:
            return f"{self.num_gpus} GPUs"
        return "a GPU" if self.on_gpu else "the processor"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value for a setting, and why."""

    value: Any
    why: str


async def data_facts(stores: Stores, dataset: str, version: str = "") -> DataFacts:
    """Return what the suggestions depend on of a dataset.

    Of a version only the number of its images is looked up: how large they and their boxes
    are is taken from the dataset as it is now.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    """
    indexer = Indexer(stores)
    index = await indexer.load(dataset)
    if not index.measured:
        index = await indexer.measure(dataset, index)
    facts = facts_of(index)
    if version:
        for info in await stores.dataset.list_versions(dataset):
            if info.name == version:
                return DataFacts(info.num_labelled["train"], facts.longest_side, facts.small_side)
    return facts


def facts_of(index: DatasetIndex) -> DataFacts:
    """Return what the suggestions depend on of an index whose images are measured."""
    is_labelled = index.label_bytes >= 0
    num_train = int((is_labelled & (index.split == SPLITS.index("train"))).sum())
    sizes = np.stack([index.width, index.height]).astype(np.float64)
    longest = sizes.max(axis=0) if len(index) else np.zeros(0)
    known = longest > 0
    if not known.any():
        return DataFacts(num_train)
    of_box = index.image_index[known[index.image_index]]
    pixels = index.boxes[known[index.image_index], 2:4] * sizes[:, of_box].T
    shares = pixels.min(axis=1) / longest[of_box] if len(of_box) else np.zeros(1)
    return DataFacts(num_train, int(np.median(longest[known])), float(np.quantile(shares, 0.25)))


def suggest(
    facts: DataFacts, machine: Machine, scale: str, image_size: int | None = None
) -> dict[str, Suggestion]:
    """Return suggestions for `SUGGESTED`.

    Parameters
    ----------
    facts : DataFacts
    machine : Machine
    scale : str
        Of the architecture, ``"n"`` to ``"x"``.
    image_size : int, optional
        Taken by somebody already; epochs and batch depend on it.
    """
    size = suggest_image_size(facts, machine)
    taken = size.value if image_size is None else image_size
    return {
        "epochs": suggest_epochs(facts, machine, taken),
        "image_size": size,
        "batch": suggest_batch(facts, machine, scale, taken),
    }


def suggest_image_size(facts: DataFacts, machine: Machine) -> Suggestion:
    """Return an image size.

    Notes
    -----
    640 pixels is what Ultralytics' weights were trained with, and its default. A processor
    takes half of that, a quarter of the time. Larger where a quarter of the boxes would be
    less than 16 pixels wide: the finest grid of YOLO11 and YOLO26 has cells of 8 pixels
    (stride 8), and a thing needs more than one. Not larger than the images are, which only
    blurs them.
    """
    usual = _USUAL_GPU if machine.on_gpu else _USUAL_CPU
    sizes = [size for size in _SIZES if size >= usual and (machine.on_gpu or size <= _LARGEST_CPU)]
    enough = [size for size in sizes if facts.small_side * size >= _SEEN_PIXELS]
    size = sizes[0] if not facts.small_side else (enough or sizes[-1:])[0]
    why = f"usual on {machine.words}"
    if size > usual:
        pixels = facts.small_side * size
        why = f"a quarter of the boxes is less than {pixels:.0f} pixels wide at {size}"
    native = max(-(-facts.longest_side // _STRIDE) * _STRIDE, _SMALLEST_SIZE)
    if facts.longest_side and native < size:
        return Suggestion(native, f"the images are {facts.longest_side} pixels wide or high")
    return Suggestion(size, why)


def suggest_epochs(facts: DataFacts, machine: Machine, image_size: int) -> Suggestion:
    """Return a number of epochs.

    Notes
    -----
    On a GPU 300 for up to 1,000 images, with which Ultralytics' "Tips for Best Training
    Results" begins; 100, its default, up to 20,000, and 50 above. The run ends before that
    if nothing gets better.

    On a processor as many as it sees 20,000 images of 640 pixels in, from 10 to 100: two
    cores learn from 1.8 of them in a second (measured with yolo11n), so that this takes some
    three hours.
    """
    count = facts.num_train
    images = f"{counted(count, 'labelled image')} in train, on {machine.words}"
    if machine.on_gpu:
        return Suggestion(300 if count <= _FEW else 100 if count <= _MANY else 50, images)
    least, most = _CPU_EPOCHS
    fits = int(_CPU_BUDGET / (max(count, 1) * image_size**2))
    return Suggestion(min(max(fits // 5 * 5, least), most), images)


def suggest_batch(facts: DataFacts, machine: Machine, scale: str, image_size: int) -> Suggestion:
    """Return a batch size.

    Notes
    -----
    16 is Ultralytics' default. Fewer where there are few images: at least 8 steps in an
    epoch, because small batches, down to 2 or 4, generalise as well or better (Masters and
    Luschi, "Revisiting Small Batch Training for Deep Neural Networks", 2018). From 1,000
    images on, one GPU finds out by itself what fills 60 % of its memory. Never more than fits
    into half of the free memory of the machine, or into that of the GPU.
    """
    few = 2 ** max(facts.num_train // _STEPS, 1).bit_length() // 2
    batch = min(max(few, _SMALLEST_BATCH), _USUAL_BATCH)
    why = (
        "usual"
        if batch == _USUAL_BATCH
        else f"so that {counted(facts.num_train, 'image makes', 'images make')} several steps"
    )
    if machine.num_gpus == 1 and facts.num_train >= _FEW:
        return Suggestion(-1, "as many as fill 60 % of the GPU's memory")
    if machine.num_gpus > 1:
        batch, why = batch * machine.num_gpus, f"{batch} on each of {machine.words}"
    free = machine.memory_free if machine.on_gpu else machine.memory_free / 2
    least = max(machine.num_gpus, 1)
    while free and batch > least and _needed(batch, image_size, scale, machine) > free:
        batch, why = batch // 2, f"more may not fit into the memory of {machine.words}"
    return Suggestion(batch, why)


def _needed(batch: int, image_size: int, scale: str, machine: Machine) -> float:
    config = TrainingConfig(dataset="any", batch=batch, image_size=image_size)
    return needed_memory(config, scale, machine.num_gpus)
