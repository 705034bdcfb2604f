"""Models of Ultralytics that are told, or shown, what to look for: YOLO-World and YOLOE.

They have no classes of their own. What they look for are rows of 512 numbers: of words, which a
text encoder makes (`workbench.labelling.text_encoder`), or of boxes on a picture, which YOLOE
makes itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidModelError

Rows = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

WIDTH = 512
"""Numbers in a row."""

_WORLD_ENCODER = "clip:ViT-B/32"
_YOLOE_ENCODER = "mobileclip:blt"


class Prompted:
    """The part of a model in memory that says what it looks for. For one thread at a time.

    Attributes
    ----------
    encoder : str
        Which text encoder its words need, by Ultralytics' name.
    can_be_shown : bool
        Whether boxes do as well as words.
    count : int
        Of the things that it looks for; 0 where it was never told.
    """

    def __init__(self, model: Any, encoder: str, *, can_be_shown: bool) -> None:
        self._model = model
        self.encoder = encoder
        self.can_be_shown = can_be_shown
        own = getattr(model, "pe" if can_be_shown else "txt_feats", None)
        self.count = 0 if own is None else int(own.shape[1])

    def of_words(self, features: Rows) -> Rows:
        """Return rows for the features of words, as this model was taught to read them."""
        if not self.can_be_shown:
            return features
        import torch

        with torch.inference_mode():
            found = self._model.model[-1].get_tpe(self._tensor(features[None]))
        return np.asarray(found[0].float().cpu().numpy())

    @contextmanager
    def looking_for(self, names: Sequence[str], rows: Rows) -> Iterator[None]:
        """Look for things within a ``with`` block; afterwards for what it was before.

        Parameters
        ----------
        names : sequence of str
        rows : ndarray of float32, shape (names, 512)
        """
        if rows.shape != (len(names), WIDTH) or not len(names):
            raise ValueError(f"expected {len(names)} rows of {WIDTH} numbers, found {rows.shape}")
        model, head, tensor = self._model, self._model.model[-1], self._tensor(rows[None])
        kept = "pe" if self.can_be_shown else "txt_feats"
        before = getattr(model, kept, None), model.names, head.nc, self.count
        try:
            if self.can_be_shown:
                model.set_classes(list(names), tensor)
            else:
                model.txt_feats, head.nc = tensor, len(names)
            self.count = len(names)
            yield
        finally:
            setattr(model, kept, before[0])
            model.names, head.nc, self.count = before[1:]

    def shown(self, batch: Any, boxes: Floats, kinds: Sequence[int]) -> Floats:
        """Return rows for boxes on one picture; see `Network.shown`.

        Parameters
        ----------
        batch : Tensor, shape (1, 3, height, width)
        boxes : ndarray of float64, shape (n, 4)
            Pixel xyxy of that.
        kinds : sequence of int
        """
        if not self.can_be_shown:
            raise InvalidModelError("this model can be told what to look for, and not be shown")
        augment: Any = import_module("ultralytics.data.augment")
        shape = tuple(int(side) for side in batch.shape[2:])
        masks = augment.LoadVisualPrompt().get_visuals(
            np.asarray(kinds, dtype=np.int64), shape, boxes.astype(np.float32).copy(), None
        )
        found = self._model(batch, vpe=masks[None].to(batch), return_vpe=True)
        return np.asarray(found[0].float().cpu().numpy(), dtype=np.float64)

    def _tensor(self, rows: Rows) -> Any:
        import torch

        like = next(self._model.parameters())
        return torch.from_numpy(np.ascontiguousarray(rows)).to(like)


def prompted(model: Any) -> Prompted | None:
    """Return what a model can be told with; None if it has classes of its own.

    Raises
    ------
    InvalidModelError
        If it is a YOLOE whose words were built in (``-pf``): it knows these only.
    """
    if _is_a(model, "YOLOEModel"):
        head = model.model[-1]
        if hasattr(head, "lrpc") or head.is_fused:
            raise InvalidModelError(
                "the words of this YOLOE were built in, and it cannot be told others; take one "
                "without -pf in its name"
            )
        encoder = str(getattr(model, "text_model", _YOLOE_ENCODER))
        return Prompted(model, encoder, can_be_shown=True)
    if _is_a(model, "WorldModel"):
        return Prompted(model, _WORLD_ENCODER, can_be_shown=False)
    return None


def _is_a(model: Any, kind: str) -> bool:
    """Whether it is of a class of Ultralytics that not all releases have."""
    tasks: Any = import_module("ultralytics.nn.tasks")
    found = getattr(tasks, kind, None)
    return found is not None and isinstance(model, found)
