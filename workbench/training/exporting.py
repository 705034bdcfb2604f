"""Models in formats that run without Ultralytics, checked to predict what they predicted.

The work is done by a process of its own (`workbench.training.export_worker`), which tells
how far it is on its output, one JSON object a line; so the kernel stays free, and whoever
cancels can kill it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from workbench.errors import (
    AlreadyExistsError,
    InvalidFrameError,
    NotFoundError,
    SetupError,
    TrainingError,
)
from workbench.own_python import own_python
from workbench.persistence import Stores
from workbench.persistence.disk_errors import plainly
from workbench.persistence.image_bounds import decode_bounded
from workbench.persistence.image_reading import read_image
from workbench.persistence.models import ImageInfo, ModelInfo
from workbench.persistence.scratch import scratch_prefix
from workbench.training.environment import ultralytics_folder, worker_environment
from workbench.training.processes import kill_tree, own_session
from workbench.training.weights_check import rewritten_weights
from workbench.weights.facts import MAX_IMAGE_SIZE

Told = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

_NUM_SAMPLES = 8
_LOG_LINES_IN_MESSAGE = 6
_LONGEST_EXPORT_S = 3600


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format that a model can be exported to.

    Parameters
    ----------
    name : str
        As Ultralytics calls it.
    title : str
        As people call it.
    suffix : str
        Of the file, or of the folder, that comes of it.
    modules : tuple of str
        Python modules that it takes, to export and to run.
    remedy : str
        How to get them.
    """

    name: str
    title: str
    suffix: str
    modules: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def missing(self) -> list[str]:
        """The modules that are not installed."""
        return [module for module in self.modules if find_spec(module) is None]


FORMATS = {
    item.name: item
    for item in (
        ExportFormat(
            "onnx",
            "ONNX",
            ".onnx",
            ("onnx", "onnxruntime"),
            'pip install "yolo-workbench[export]"',
        ),
        ExportFormat("torchscript", "TorchScript", ".torchscript"),
        ExportFormat(
            "openvino",
            "OpenVINO",
            "_openvino_model",
            ("openvino",),
            'pip install "yolo-workbench[openvino]"',
        ),
    )
}
"""The formats, by name."""


@dataclass(frozen=True, slots=True)
class ExportCheck:
    """How the exported model's predictions compare with the model's own, on sample images.

    Parameters
    ----------
    images : int
    boxes : int
        That the model itself finds on them.
    unmatched : int
        Boxes that one of the two finds and the other does not, in spite of a confidence
        well above the threshold.
    max_offset : float
        Largest distance of two edges that belong together, in pixels of the model's input.
    max_confidence_difference : float
    confidence : float
        Above which boxes were compared: 0.25, or less, down to 0.01, if the model is not so
        sure of anything.
    agrees : bool
        Whether there were boxes, none is unmatched, and all are within the tolerance of a pixel
        and 0.02 (in proportion, where `confidence` is less than 0.25).
    """

    images: int
    boxes: int
    unmatched: int
    max_offset: float
    max_confidence_difference: float
    confidence: float
    agrees: bool

    @property
    def is_conclusive(self) -> bool:
        """Whether either of the two found anything, so that there was something to compare."""
        return bool(self.boxes or self.unmatched)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A model that was exported.

    Parameters
    ----------
    path : Path
        A file; for OpenVINO a folder.
    format : str
    image_size : int
        Pixels of the square that it takes.
    size_bytes : int
    seconds : float
        That exporting took, without the check.
    check : ExportCheck
    """

    path: Path
    format: str
    image_size: int
    size_bytes: int
    seconds: float
    check: ExportCheck


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What the process is told, as JSON in its only argument."""

    weights: str
    digest: str
    format: str
    image_size: int
    images: list[str]
    restricted: bool


@plainly
async def export_model(
    stores: Stores,
    name: str,
    folder: Path | str,
    *,
    format: str = "onnx",
    image_size: int | None = None,
    images: Sequence[Path | str] | None = None,
    overwrite: bool = False,
    told: Told | None = None,
) -> ExportResult:
    """Export a model of the store, and check that it still predicts the same.

    Nothing is fetched or installed. Cancelling the task, or raising from `told`, ends the
    process and leaves nothing behind.

    Parameters
    ----------
    stores : Stores
    name : str
        Of the model.
    folder : Path or str
        Where the result goes, called like the model; made if missing.
    format : str
        One of `FORMATS`.
    image_size : int, optional
        Pixels of the square that it shall take; default: what it was trained with.
    images : sequence of Path, optional
        To check with; default: some of val of the dataset that the model was trained on,
        or else the two that come with Ultralytics.
    overwrite : bool
        Whether something of that name may be replaced.
    told : callable, optional
        Told what is being done, how many steps are done, and how many there are.

    Raises
    ------
    ValueError
        If there is no such format.
    NotFoundError
        If the model or its weights are not there.
    InvalidFrameError
        If one of the images is none, is damaged, or has too many pixels.
    AlreadyExistsError
        If there is something of the result's name, and `overwrite` is False.
    SetupError
        If a package is missing; says how to get it.
    TrainingError
        If it cannot be exported; says why.
    """
    chosen = require_format(format)
    info = await stores.model.get(name)
    found = await asyncio.to_thread(rewritten_weights, await stores.model.load(name))
    target = _absolute(folder) / f"{name}{chosen.suffix}"
    if target.exists() and not overwrite:
        raise AlreadyExistsError(f"{target} exists: take another folder, or overwrite=True")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the result, so that putting it in place is a rename.
    prefix = scratch_prefix("export", target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as scratch:
        if images is None:
            samples = await _sample_images(stores, info.dataset_name, Path(scratch))
        else:
            samples = [await asyncio.to_thread(_checked, _absolute(path)) for path in images]
        job = ExportJob(
            weights=str(found.path),
            digest=found.path_digest,
            format=chosen.name,
            image_size=int(image_size or _trained_size(info) or found.facts["image_size"] or 640),
            images=[str(path) for path in samples],
            restricted=not found.trusted,
        )
        answer = await _run(job, Path(scratch), told or _nobody)
        await asyncio.to_thread(_put_in_place, Path(answer["path"]), target)
    return ExportResult(
        path=target,
        format=chosen.name,
        image_size=int(answer["image_size"]),
        size_bytes=_size(target),
        seconds=float(answer["seconds"]),
        check=ExportCheck(**answer["check"]),
    )


def _trained_size(info: ModelInfo) -> int:
    """Return with what a model was trained, if its facts say something plausible; else 0."""
    config = info.details.get("config")
    size = config.get("image_size") if isinstance(config, dict) else None
    return size if type(size) is int and 0 < size <= MAX_IMAGE_SIZE else 0


def require_format(name: str) -> ExportFormat:
    """Return a format of which everything is installed.

    Raises
    ------
    ValueError
        If there is none of this name.
    SetupError
        If a package is missing; says how to get it.
    """
    chosen = FORMATS.get(name)
    if chosen is None:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}; found {name!r}")
    if chosen.missing:
        raise SetupError(
            f"{chosen.title} needs {' and '.join(chosen.missing)}, not installed here: "
            f"`{chosen.remedy}`"
        )
    return chosen


def _absolute(path: Path | str) -> Path:
    return Path(path).expanduser().resolve()


async def _sample_images(stores: Stores, dataset: str, scratch: Path) -> list[Path]:
    """Return copies of some images of val; of those that can be decoded, if there are any."""
    found: list[ImageInfo] = []
    if dataset and await stores.dataset.exists(dataset):
        found = await stores.image.list(dataset, split="val")
    copies = []
    for place, image in enumerate(found[:: max(len(found) // _NUM_SAMPLES, 1)][:_NUM_SAMPLES]):
        with suppress(NotFoundError, InvalidFrameError):  # deleted meanwhile, damaged, too large
            data = await stores.image.read_bytes(dataset, image.split, image.filename)
            await asyncio.to_thread(_require_picture, data, image.filename)
            copies.append(scratch / f"sample-{place}{image.path.suffix}")
            await asyncio.to_thread(copies[-1].write_bytes, data)
    return copies or sorted((ultralytics_folder() / "assets").glob("*.jpg"))


def _require_picture(data: bytes, where: str) -> None:
    """Ultralytics decodes whatever it is given, of any size, and breaks off at what is none."""
    decode_bounded(data, where, 1)


def _checked(path: Path) -> Path:
    _require_picture(read_image(str(path)), str(path))
    return path


async def _run(job: ExportJob, scratch: Path, told: Told) -> dict[str, Any]:
    environment = worker_environment(scratch / "settings")
    with (scratch / "log.txt").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *own_python("-m", "workbench.training.export_worker", json.dumps(asdict(job))),
            cwd=scratch,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            **own_session(),
        )
        try:
            async with asyncio.timeout(_LONGEST_EXPORT_S):
                answer = await _listen(process, told)
                await process.wait()
        except TimeoutError:
            raise TrainingError(
                f"the model was not exported to {job.format} within {_LONGEST_EXPORT_S} s; "
                f"try a smaller image size, or another format"
            ) from None
        finally:
            if process.returncode is None:
                # Nothing ends a process that waits in the kernel, so its end is not waited for.
                await asyncio.to_thread(_kill, process.pid)
    if "path" not in answer:
        reason = answer.get("error") or _last_lines(scratch / "log.txt")
        raise TrainingError(f"the model could not be exported to {job.format}: {reason}")
    return answer


async def _listen(process: asyncio.subprocess.Process, told: Told) -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = {}
    async for line in process.stdout:
        try:
            message = json.loads(line)
        except ValueError:  # something that a library prints
            continue
        if isinstance(message, dict) and "step" in message:
            told(message["step"], message["done"], message["total"])
        elif isinstance(message, dict):
            answer = message
    return answer


def _kill(pid: int) -> None:
    try:
        parent = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    kill_tree(parent)


def _put_in_place(made: Path, target: Path) -> None:
    if not made.exists():
        raise NotFoundError(
            f"{made}: expected the exported model, found nothing: was it deleted meanwhile? "
            f"Export again"
        )
    if target.is_dir():
        shutil.rmtree(target)
    made.replace(target)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _last_lines(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-_LOG_LINES_IN_MESSAGE:]) or "the process said nothing"


def _nobody(step: str, done: int, total: int) -> None:
    return None
