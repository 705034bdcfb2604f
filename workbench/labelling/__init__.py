"""Labels that a model proposes: labellers, and the predictor that runs models for them."""

from __future__ import annotations

from workbench.datasets.prelabelling import FunctionLabeller, Labeller, Task
from workbench.labelling.class_mapping import ClassMapping, guess_mapping
from workbench.labelling.labellers import ModelLabeller
from workbench.labelling.lookalikes import LookAlikeLabeller
from workbench.labelling.teaching import Teacher
from workbench.labelling.told import Example, SimilarLabeller, WordLabeller

__all__ = [
    "ClassMapping",
    "Example",
    "FunctionLabeller",
    "Labeller",
    "LookAlikeLabeller",
    "ModelLabeller",
    "SimilarLabeller",
    "Task",
    "Teacher",
    "WordLabeller",
    "guess_mapping",
]
