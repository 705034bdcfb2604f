"""From which scores on a model's boxes are worth showing, as its evaluations have found.

They are kept in the dataset's cache by the digest of the weights, so that a suggestion's source,
which names that digest, leads to them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from dataclasses import asdict, dataclass

from workbench.evaluation.evaluation import Evaluation
from workbench.persistence import Stores
from workbench.persistence.counting import counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptThresholds:
    """What an evaluation has found.

    Parameters
    ----------
    model, split : str
        What was evaluated, and on which images.
    images : int
        How many these are.
    scores : dict of str to float
        By class name, see `Evaluation.best_thresholds`.
    """

    model: str
    split: str
    images: int
    scores: dict[str, float]

    def __str__(self) -> str:
        """Return what they are from, for people: ``cups-1 on val, 40 images``."""
        return f"{self.model} on {self.split}, {counted(self.images, 'image')}"


def _key(weights_digest: str) -> str:
    return f"thresholds-{weights_digest[:40]}.json"


async def keep_thresholds(stores: Stores, evaluation: Evaluation) -> None:
    """Keep the best thresholds of an evaluation in place of those of an earlier one.

    Not those of a training split: a model is surer there than on what it has not seen.
    """
    if evaluation.split == "train":
        return
    scores = await asyncio.to_thread(lambda: evaluation.best_thresholds)
    kept = KeptThresholds(
        evaluation.model,
        evaluation.split,
        len(evaluation.filenames),
        scores,
    )
    data = json.dumps(asdict(kept)).encode()
    await stores.dataset.save_cache(evaluation.dataset, _key(evaluation.weights_digest), data)


async def kept_thresholds(
    stores: Stores, dataset: str, weights_digest: str
) -> KeptThresholds | None:
    """Return the best thresholds of the last evaluation of some weights; None without one."""
    data = await stores.dataset.load_cache(dataset, _key(weights_digest))
    if data is None:
        return None
    try:
        return _read(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("%s: kept thresholds are not used: %s", dataset, error)
        return None


def _read(data: bytes) -> KeptThresholds:
    facts = json.loads(data)
    scores = {str(name): float(score) for name, score in facts["scores"].items()}
    odd = [name for name, score in scores.items() if not (math.isfinite(score) and 0 <= score <= 1)]
    if odd:
        raise ValueError(f"no score in 0..1 of {odd[0]!r}")
    return KeptThresholds(str(facts["model"]), str(facts["split"]), int(facts["images"]), scores)
