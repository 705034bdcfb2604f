"""What words mean to a model that can be told what to look for: rows of 512 numbers.

The encoders are programs of TorchScript. They run in a process of their own, which reaches no
network and starts no other (``python -m workbench.labelling.text_encoder <job>``); what comes
back is an array. Two kinds of files are read: MobileCLIP's, a program that turns the numbers of
texts into features, and CLIP's, of which only the tensors are taken.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidModelError
from workbench.labelling.tokens import Tokenizer
from workbench.own_python import own_python
from workbench.persistence.scratch import scratch_prefix
from workbench.training.environment import cache_dir, worker_environment
from workbench.weights.worker import lock_down

Features = npt.NDArray[np.float32]

_SECONDS = 600
_AT_ONCE = 64
_WIDTH_OF_A_HEAD = 64
_MOST_BLOCKS = 100


def encode(encoder: Path, vocabulary: Path, texts: Sequence[str]) -> Features:
    """Return the features of texts, shape (texts, 512), each of length 1; blocks until then.

    Parameters
    ----------
    encoder : Path
        ``ViT-B-32.pt`` of CLIP, or one of MobileCLIP's ``.ts``.
    vocabulary : Path
    texts : sequence of str

    Raises
    ------
    InvalidModelError
        If a file is damaged or something else.
    """
    with tempfile.TemporaryDirectory(prefix=scratch_prefix("words")) as scratch:
        target = Path(scratch) / "features.npy"
        job = {
            "encoder": str(encoder),
            "vocabulary": str(vocabulary),
            "texts": list(texts),
            "target": str(target),
        }
        try:
            done = subprocess.run(
                own_python("-m", "workbench.labelling.text_encoder"),
                input=json.dumps(job).encode(),
                cwd=scratch,
                env=worker_environment(cache_dir() / "ultralytics"),
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InvalidModelError(
                f"{encoder}: reading {len(texts)} texts took more than {_SECONDS} s; it was stopped"
            ) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise InvalidModelError(
                f"{encoder}: expected a text encoder, and it does not work "
                f"({said[-1] if said else f'its process ended with {done.returncode}'}); "
                "remove the file, and fetch it again"
            )
        features = np.load(io.BytesIO(target.read_bytes()), allow_pickle=False)
    return _checked(features, encoder, len(texts))


def _checked(features: Any, encoder: Path, count: int) -> Features:
    if features.ndim != 2 or len(features) != count or not np.isfinite(features).all():
        raise InvalidModelError(
            f"{encoder}: expected a row of numbers for each of {count} texts, found "
            f"{features.shape}; remove the file, and fetch it again"
        )
    length = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return np.asarray(features / length, dtype=np.float32)


def main() -> int:
    """Do what the job on the input says."""
    import torch

    job = json.loads(sys.stdin.buffer.read())
    torch.set_num_threads(max(torch.get_num_threads() // 2, 1))
    lock_down(memory=None)
    vocabulary = Path(job["vocabulary"]).read_bytes()
    numbers = torch.from_numpy(Tokenizer(vocabulary)(job["texts"]))
    jit: Any = torch.jit
    program = jit.load(job["encoder"], map_location="cpu")
    state = program.state_dict()
    with torch.inference_mode():
        found = [
            _with_tensors(state, part) if "text_projection" in state else program(part.int())
            for part in torch.split(numbers, _AT_ONCE)
        ]
        features = torch.cat(found).float().numpy()
    np.save(job["target"], features, allow_pickle=False)
    return 0


def _with_tensors(state: Mapping[str, Any], numbers: Any) -> Any:
    """Return the features of texts by the tensors of CLIP, whose program needs a GPU."""
    import torch

    def tensor(name: str) -> Any:
        return state[name].float()

    embedding = tensor("token_embedding.weight")
    x = embedding[numbers] + tensor("positional_embedding")[: numbers.shape[1]]
    width = embedding.shape[1]
    # What comes later in a text must not tell what stands before.
    later = torch.full((numbers.shape[1],) * 2, float("-inf")).triu(1)
    for place in range(_MOST_BLOCKS):
        block = f"transformer.resblocks.{place}"
        if f"{block}.ln_1.weight" not in state:
            break
        attention = torch.nn.MultiheadAttention(width, max(width // _WIDTH_OF_A_HEAD, 1))
        names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        attention.load_state_dict({name: tensor(f"{block}.attn.{name}") for name in names})
        y = _normalised(state, f"{block}.ln_1", x).transpose(0, 1)
        x = x + attention(y, y, y, need_weights=False, attn_mask=later)[0].transpose(0, 1)
        y = _linear(state, f"{block}.mlp.c_fc", _normalised(state, f"{block}.ln_2", x))
        x = x + _linear(state, f"{block}.mlp.c_proj", y * torch.sigmoid(1.702 * y))
    x = _normalised(state, "ln_final", x)
    # The end of a text has the largest number; there everything that was read has come together.
    return x[torch.arange(len(x)), numbers.argmax(-1)] @ tensor("text_projection")


def _normalised(state: Mapping[str, Any], name: str, x: Any) -> Any:
    import torch

    weight, bias = state[f"{name}.weight"].float(), state[f"{name}.bias"].float()
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias)


def _linear(state: Mapping[str, Any], name: str, x: Any) -> Any:
    import torch

    weight, bias = state[f"{name}.weight"].float(), state[f"{name}.bias"].float()
    return torch.nn.functional.linear(x, weight, bias)


if __name__ == "__main__":
    sys.exit(main())
