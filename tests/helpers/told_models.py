"""Models that are told what to look for, with random weights, as Ultralytics saves them."""

from __future__ import annotations

import gzip
import warnings
from itertools import product
from pathlib import Path

from workbench.labelling.tokens import _PAIRS
from workbench.training.environment import import_ultralytics


def save_told(kind: str, architecture: str, target: Path, seed: int = 0) -> Path:
    """Save a model of an architecture of Ultralytics; `kind` is ``YOLOESegModel``, for example."""
    import_ultralytics()
    import torch
    from ultralytics.nn import tasks

    torch.manual_seed(seed)
    model = getattr(tasks, kind)(architecture, ch=3, nc=80, verbose=False)
    model.names = {number: f"thing {number}" for number in range(80)}
    for head in model.model[-1].cv4:  # else nothing is ever sure of anything
        head.bias.data[:] = -2.0
    model.args = {"imgsz": 128}
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": model.half(), "train_args": {"imgsz": 128}}, target)
    return target


def save_encoder(target: Path) -> Path:
    """Save a text encoder as MobileCLIP's is: a program from numbers of texts to features."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.table = torch.nn.Embedding(49408, 512)

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(self.table(numbers).mean(1), dim=-1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have programs made in another way
        traced = torch.jit.trace(Encoder(), torch.zeros((1, 77), dtype=torch.int32))
        torch.jit.save(traced, target)
    return target


def save_vocabulary(target: Path) -> Path:
    """Save pairs of pieces as CLIP's vocabulary has them: ``a t``, ``at d`` and so on."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(three) for three in product(letters, repeat=3)]
    pairs = [f"{word[0]} {word[1]}" for word in words[::26]]
    pairs += [f"{word[:2]} {word[2]}{end}" for end in ("</w>", "") for word in words]
    pairs += [f"{word} {word[0]}</w>" for word in words]
    lines = ["the first line says what it is", *pairs[:_PAIRS]]
    target.write_bytes(gzip.compress("\n".join(lines).encode()))
    return target
