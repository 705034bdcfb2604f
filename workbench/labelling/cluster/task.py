"""What is to be done with the pictures of a dataset on a cluster, and what came of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import TrainingError
from workbench.persistence.models import ImageKey

_NO_IMAGE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTask:
    """What is to be done.

    Parameters
    ----------
    kind : str
        A name of `workbench.labelling.cluster.actor.KINDS`.
    weights : str
        SHA-256 of the weights.
    keys : list of (str, str)
        The pictures.
    shares : list of dict
        Each with ``places``, positions in `keys`, and what else its kind needs to know of it.
    options : dict
        What the kind needs to know of all.
    versions : dict of str to str
        That the nodes must have.
    cpus, gpus : float
        What an actor gets.
    """

    kind: str
    weights: str
    keys: list[ImageKey]
    shares: list[dict[str, Any]]
    options: dict[str, Any]
    versions: dict[str, str]
    cpus: float = 1.0
    gpus: float = 0.0

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ClusterTask:
        """Read it again."""
        found = json.loads(data)
        keys = [(str(split), str(name)) for split, name in found.pop("keys")]
        return cls(keys=keys, **found)

    def keys_of(self, number: int) -> list[ImageKey]:
        """Return the pictures of a share."""
        return [self.keys[place] for place in self.shares[number]["places"]]


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a task has come.

    Parameters
    ----------
    job : str
        Of the cluster, that does it.
    done : list of int
        Shares whose answers are there, in the order in which they came.
    nodes : dict of str to int
        Shares that each node has done.
    fetched : int
        Bytes of weights that the nodes have fetched.
    lost : int
        Shares that were done again because their actor was lost.
    problem : str
        Why it cannot go on; empty if it can.
    """

    job: str = ""
    done: list[int] = field(default_factory=list)
    nodes: dict[str, int] = field(default_factory=dict)
    fetched: int = 0
    lost: int = 0
    problem: str = ""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Stand:
        """Read it again."""
        return cls(**json.loads(data))


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found on the pictures of a share.

    Parameters
    ----------
    rows : list of ndarray of float64 or str
        One for each picture, as its kind has them; why there is none for one that cannot be read.
    sizes : ndarray of int32, shape (pictures, 2)
        Width and height.
    """

    rows: list[npt.NDArray[np.float64] | str]
    sizes: npt.NDArray[np.int32]

    def to_bytes(self) -> bytes:
        """Return it as one block, from which the very same numbers come again."""
        found = [rows for rows in self.rows if not isinstance(rows, str)]
        counts = [_NO_IMAGE if isinstance(rows, str) else len(rows) for rows in self.rows]
        errors = [rows for rows in self.rows if isinstance(rows, str)]
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            rows=np.concatenate(found) if found else np.zeros((0, 6)),
            counts=np.array(counts, dtype=np.int64),
            sizes=self.sizes,
            errors=np.frombuffer(json.dumps(errors).encode(), dtype=np.uint8),
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """Read it again.

        Raises
        ------
        TrainingError
            If it is none.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as block:
                counts: list[int] = block["counts"].tolist()
                errors = iter(json.loads(block["errors"].tobytes()))
                ends = np.cumsum([max(count, 0) for count in counts])
                pieces = np.split(block["rows"], ends[:-1])
                sizes = block["sizes"]
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise TrainingError(f"what a node has found cannot be read: {error}") from error
        rows = [
            str(next(errors)) if count == _NO_IMAGE else piece
            for count, piece in zip(counts, pieces, strict=True)
        ]
        return cls(rows, sizes)


def shares_of(count: int, size: int) -> list[dict[str, Any]]:
    """Divide so many pictures into shares of the same size, in their order."""
    return [
        {"places": [*range(start, min(start + size, count))]} for start in range(0, count, size)
    ]


def in_columns(rows: Iterable[Sequence[float]]) -> npt.NDArray[np.float64]:
    """Return rows of six numbers as an array, also where there is none."""
    return np.array([*rows], dtype=np.float64).reshape(-1, 6)
