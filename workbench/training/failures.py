"""Why training broke, in words that help: what happened, and what to change."""

from __future__ import annotations

import errno
import math
import subprocess
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import WorkbenchError
from workbench.training.config import TrainingConfig

OUT_OF_MEMORY, DISK_FULL, KILLED = "out of memory", "disk full", "killed"

_MEMORY_WORDS = (
    "out of memory",
    "defaultcpuallocator",
    "cannot allocate memory",
    "unable to allocate",
    "insufficient memory",
    "could not create a primitive",  # all that oneDNN says of memory that it does not get
    "cublas_status_alloc_failed",
)
# For a process that writes, RLIMIT_FSIZE and quotas have the same effect as a full disk.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DISK_WORDS = ("no space left on device", "disk quota exceeded", "file too large")
_SMALLEST_IMAGE = 32
_STRIDE = 32
_LITTLE_MEMORY_LEFT = 0.1
"""Share of what the run held, below which the memory left tells that it ran out."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why training broke.

    Parameters
    ----------
    message : str
        What happened and what to do.
    kind : str
        `OUT_OF_MEMORY`, `DISK_FULL`, `KILLED`, or empty.
    suggestions : list of dict
        Changes of settings, any of which may help.
    """

    message: str
    kind: str = ""
    suggestions: list[dict[str, Any]] = field(default_factory=list)


def explain(error: BaseException, config: TrainingConfig, log: str = "") -> Failure:
    """Say what broke, with a remedy where there is a known one.

    Parameters
    ----------
    error : BaseException
    config : TrainingConfig
        The settings of the run.
    log : str
        The end of what the process printed: where several GPUs train, processes of their
        own do it, and the error is only that one of them failed.
    """
    if isinstance(error, WorkbenchError):
        return Failure(str(error))
    # Some libraries put a message on several lines; here it must be on one line.
    text = " ".join(f"{type(error).__name__}: {error}".split())
    evidence = text.lower()
    if isinstance(error, subprocess.CalledProcessError):
        evidence += log.lower()
    if isinstance(error, MemoryError) or any(word in evidence for word in _MEMORY_WORDS):
        return out_of_memory(config, text)
    if getattr(error, "errno", None) in _DISK_ERRORS or any(w in evidence for w in _DISK_WORDS):
        return Failure(
            f"The disk is full ({text}). Free some space, then resume the run: it goes on from "
            "the last checkpoint that was kept.",
            DISK_FULL,
        )
    return Failure(text)


def out_of_memory(config: TrainingConfig, text: str) -> Failure:
    """Say that memory ran out, and what would need less of it."""
    changes = smaller(config)
    offers = " or ".join(_in_words(change) for change in changes)
    remedy = f"Take {offers}" if offers else "Take a smaller base model"
    return Failure(f"Out of memory ({text}). {remedy}.", OUT_OF_MEMORY, changes)


def killed(config: TrainingConfig, text: str, memory: float, memory_free: float) -> Failure:
    """Say that the process is gone without a word.

    Parameters
    ----------
    text : str
        What is known.
    memory, memory_free : float
        Bytes that the run held, and that were left on the machine, when it last said so;
        0 if it never did.
    """
    if memory and memory_free < _LITTLE_MEMORY_LEFT * memory:
        return out_of_memory(config, f"{text}; little memory was left when it last said so")
    return Failure(f"{text}. It can be resumed from its last checkpoint.", KILLED, smaller(config))


def smaller(config: TrainingConfig) -> list[dict[str, Any]]:
    """Return changes of settings, each of which needs less memory."""
    changes: list[dict[str, Any]] = []
    if config.cache == "ram":
        changes.append({"cache": False})
    if isinstance(config.batch, float):
        changes.append({"batch": round(config.batch / 2, 3)})
    elif config.batch > 1:
        changes.append({"batch": config.batch // 2})
    elif config.batch == -1:
        changes.append({"batch": 8})
    size = math.floor(config.image_size * 0.75 / _STRIDE) * _STRIDE
    if size >= _SMALLEST_IMAGE:
        changes.append({"image_size": size})
    return changes


def _in_words(change: dict[str, Any]) -> str:
    [(name, value)] = change.items()
    if name == "batch":
        return f"a smaller batch ({value})"
    if name == "image_size":
        return f"a smaller image size ({value})"
    return "no cache in RAM"
