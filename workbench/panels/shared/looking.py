"""Who looks for boxes, of all that a person can ask for in a panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workbench.datasets.prelabelling import Labeller
from workbench.labelling import (
    Example,
    LookAlikeLabeller,
    ModelLabeller,
    SimilarLabeller,
    WordLabeller,
)
from workbench.labelling.predictor import Predictor
from workbench.panels.shared.where import placed
from workbench.persistence.models import Progress
from workbench.training.config import LOCAL

How = Literal["model", "words", "similar", "pixels"]


@dataclass(frozen=True, slots=True)
class Looker:
    """Somebody who can be asked.

    Parameters
    ----------
    how : str
        A ``"model"``; one that is told in ``"words"``; or what is like `examples`: ``"similar"``
        for YOLOE, or the same in its ``"pixels"``.
    model : str, Path or None
        Name of a model in the store, or a weights file; None: the active one.
    where : str
        The place where a model looks: ``"local"``, or ``"ray"``.
    mapping : mapping of str to str or None
        Changes of the guessed mapping of a model's classes, by name.
    examples : sequence of Example
    """

    how: How = "model"
    model: str | Path | None = None
    where: str = LOCAL
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    examples: Sequence[Example] = ()

    def labeller(self, predictor: Predictor, *, fetch: bool, progress: Progress) -> Labeller:
        """Return who that is.

        Parameters
        ----------
        predictor : Predictor
        fetch : bool
            Whether missing files may be fetched.
        progress : callable
            Told how much of a file has come.
        """
        if self.how == "words":
            return WordLabeller(predictor, fetch=fetch, progress=progress)
        if self.how == "similar":
            return SimilarLabeller(predictor, self.examples, fetch=fetch, progress=progress)
        if self.how == "pixels":
            return LookAlikeLabeller(self.examples)
        return placed(ModelLabeller(predictor, self.model, mapping=self.mapping), self.where)
