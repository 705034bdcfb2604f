"""A tight box around what a click is on, or what a loose box is around: MobileSAM and SAM.

The picture goes through the large part of the network once (`Clicker.look`), which takes seconds
without a GPU; a click afterwards takes a tenth of that. The weights are tensors in a pickle; they
are read as all weights are (`workbench.weights`), and put into the layers that Ultralytics has.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from workbench import geometry
from workbench.datasets.prelabelling import Frame
from workbench.errors import InvalidModelError
from workbench.labelling import remote_files
from workbench.training.environment import import_ultralytics
from workbench.training.weights_check import load_rewritten, rewritten_weights

Boxes = npt.NDArray[np.float64]
T = TypeVar("T")

USUAL = "mobile_sam.pt"

_SIDE = 1024
"""Pixels of the network's input."""
_MEAN, _SPREAD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_BUILDERS = {"mobile_sam.pt": "build_mobile_sam", "sam_b.pt": "build_sam_vit_b"}
_REMEMBERED = 4
_SAME = 0.35
"""IoU with a loose box from which on something else was not found in its place."""


class Clicker:
    """A network of the SAM family in memory. For one thread at a time.

    Parameters
    ----------
    weights : Path
        ``mobile_sam.pt`` or ``sam_b.pt``.
    device : str
        As Ultralytics names it; empty: the first GPU, or else the processor.

    Raises
    ------
    InvalidModelError
        If the file is damaged or something else.
    """

    def __init__(self, weights: Path, device: str = "") -> None:
        import_ultralytics()
        tensors = load_rewritten(rewritten_weights(weights))
        build: Any = import_module("ultralytics.models.sam.build")
        utils: Any = import_module("ultralytics.utils.torch_utils")
        network = getattr(build, _BUILDERS.get(weights.name, _BUILDERS[USUAL]))()
        try:
            network.load_state_dict(tensors)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise InvalidModelError(
                f"{weights}: expected the tensors of {' or '.join(_BUILDERS)}, found others; fetch "
                "the file again"
            ) from error
        self._device = utils.select_device(device, verbose=False)
        self._network = network.to(self._device).float().eval()

    def look(self, frame: Frame) -> Any:
        """Return what the network keeps of a picture, for `around`."""
        import cv2
        import torch

        height, width = (max(round(side * _scale(frame)), 1) for side in frame.shape[:2])
        pixels = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR))
        colours = (pixels[..., ::-1].astype(np.float32) - _MEAN) / _SPREAD
        canvas = np.zeros((_SIDE, _SIDE, 3), np.float32)
        canvas[:height, :width] = colours
        with torch.inference_mode():
            batch = torch.from_numpy(canvas.transpose(2, 0, 1)[None]).to(self._device)
            return self._network.image_encoder(batch)

    def around(
        self,
        frame: Frame,
        seen: Any,
        *,
        boxes: Boxes | None = None,
        points: Boxes | None = None,
    ) -> Boxes:
        """Return tight boxes, shape (n, 4), pixel xyxy; a row of NaN where there is nothing.

        Parameters
        ----------
        frame : ndarray of uint8, shape (height, width, 3)
        seen : object
            What `look` returned for it.
        boxes : ndarray of float64, shape (n, 4), optional
            Loose boxes around things.
        points : ndarray of float64, shape (n, 2), optional
            Places on things. Either these or boxes.
        """
        import torch

        scale = _scale(frame)
        with torch.inference_mode():
            sparse, dense = self._network.prompt_encoder(
                points=None if points is None else self._points(points * scale),
                boxes=None if boxes is None else self._tensor(boxes * scale),
                masks=None,
            )
            masks, _ = self._network.mask_decoder(
                image_embeddings=seen,
                image_pe=self._network.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
            whole = torch.nn.functional.interpolate(masks, (_SIDE, _SIDE), mode="bilinear")
            height, width = (max(round(side * scale), 1) for side in frame.shape[:2])
            inside = (whole[:, 0, :height, :width] > 0).cpu().numpy()
        return np.array([_enclosing(mask) / scale for mask in inside]).reshape(-1, 4)

    def _points(self, points: Boxes) -> tuple[Any, Any]:
        import torch

        at = self._tensor(points)[:, None]
        return at, torch.ones(at.shape[:2], dtype=torch.int32, device=self._device)

    def _tensor(self, values: Boxes) -> Any:
        import torch

        return torch.as_tensor(np.asarray(values, dtype=np.float32), device=self._device)


class Clicking:
    """Boxes around clicks, for a panel: loads the network once, and remembers the last pictures.

    Parameters
    ----------
    device : str
    """

    def __init__(self, device: str = "") -> None:
        self._device = device
        self._clicker: Clicker | None = None
        self._seen: OrderedDict[str, Any] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="workbench-clicks")

    @property
    def weights(self) -> Path | None:
        """The weights on this disk; None if there are none."""
        paths = (remote_files.folder() / name for name in _BUILDERS)
        return next((path for path in paths if path.is_file()), None)

    @property
    def is_loaded(self) -> bool:
        """Whether the network is in memory, so that pictures can be looked at ahead."""
        return self._clicker is not None

    async def look_ahead(self, key: str, frame: Frame) -> None:
        """Look at a picture before somebody clicks on it."""
        await self._run(lambda: self._seen_of(key, frame))

    async def tightened(self, key: str, frame: Frame, boxes: Sequence[Sequence[float]]) -> Boxes:
        """Return loose boxes drawn in to what they are around; those around nothing as they were.

        Parameters
        ----------
        key : str
            Of the picture with its contents: what was seen of it is remembered under this.
        """
        rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)

        def work() -> Boxes:
            seen = self._seen_of(key, frame)
            found = self._loaded().around(frame, seen, boxes=rows)
            for place, (new, old) in enumerate(zip(found, rows, strict=True)):
                if np.isnan(new).any() or geometry.iou([new], [old])[0, 0] < _SAME:
                    found[place] = old
            return found

        return rows if not len(rows) else await self._run(work)

    async def at(self, key: str, frame: Frame, point: Sequence[float]) -> list[float] | None:
        """Return a tight box around what is at a place in pixels; None if nothing is."""

        def work() -> Boxes:
            seen = self._seen_of(key, frame)
            return self._loaded().around(frame, seen, points=np.array([point], dtype=np.float64))

        [box] = await self._run(work)
        return None if np.isnan(box).any() else [float(value) for value in box]

    def close(self) -> None:
        """End the thread and drop the network."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._clicker = None
        self._seen.clear()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _loaded(self) -> Clicker:
        if self._clicker is None:
            weights = self.weights
            if weights is None:
                raise InvalidModelError(f"expected {' or '.join(_BUILDERS)}, found neither")
            self._clicker = Clicker(weights, self._device)
        return self._clicker

    def _seen_of(self, key: str, frame: Frame) -> Any:
        if key not in self._seen:
            self._seen[key] = self._loaded().look(frame)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        self._seen.move_to_end(key)
        return self._seen[key]


def _scale(frame: Frame) -> float:
    return float(_SIDE / max(frame.shape[:2]))


def _enclosing(mask: npt.NDArray[np.bool_]) -> Boxes:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.full(4, np.nan)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
