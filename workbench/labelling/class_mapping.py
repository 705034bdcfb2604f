"""Which class of a dataset each class of a model is: guessed by name, shown, changed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.datasets.class_names import plain_name
from workbench.persistence.counting import counted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """Classes of a model and what they are in a dataset.

    Parameters
    ----------
    names : dict of int to str
        The model's classes.
    classes : list of str
        The dataset's classes.
    chosen : dict of int to int or None
        Id in the dataset by id in the model; None: boxes of this class are left out.
    """

    names: dict[int, str]
    classes: list[str]
    chosen: dict[int, int | None]

    def with_changes(self, changes: Mapping[str, str | None]) -> ClassMapping:
        """Return it with other choices, by name: ``{"kitty": "cat", "person": None}``.

        Raises
        ------
        ValueError
            If the model or the dataset has no such class.
        """
        chosen = dict(self.chosen)
        for name, target in changes.items():
            ids = [class_id for class_id, known in self.names.items() if known == name]
            if not ids:
                raise ValueError(
                    f"{name!r}: expected a class of the model, one of "
                    f"{', '.join(self.names.values())}"
                )
            if target is not None and target not in self.classes:
                raise ValueError(
                    f"{target!r}: expected a class of the dataset, one of "
                    f"{', '.join(self.classes)}, or None"
                )
            new = None if target is None else self.classes.index(target)
            chosen.update(dict.fromkeys(ids, new))
        return replace(self, chosen=chosen)

    @property
    def by_name(self) -> dict[str, str]:
        """The classes that are taken, by name."""
        return {
            self.names[class_id]: self.classes[target]
            for class_id, target in self.chosen.items()
            if target is not None
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a table with the columns ``model`` and ``dataset`` (None: left out)."""
        import pandas as pd

        rows = [
            (name, None if (target := self.chosen.get(class_id)) is None else self.classes[target])
            for class_id, name in self.names.items()
        ]
        return pd.DataFrame(rows, columns=["model", "dataset"], dtype=object)

    def __str__(self) -> str:
        """Return one line for people: ``kitty → cat, 78 classes left out``."""
        taken = ", ".join(f"{old} → {new}" for old, new in self.by_name.items())
        rest = len(self.names) - len(self.by_name)
        left = f"{counted(rest, 'class', 'classes')} left out" if rest else ""
        return ", ".join(part for part in (taken, left) if part) or "no classes"


def guess_mapping(
    names: Mapping[int, str],
    classes: Sequence[str],
    prompts: Mapping[int, Sequence[str]] | None = None,
) -> ClassMapping:
    """Guess by their names which classes are the same.

    Taken are names that are equal; then names that are equal but for case, separators and a
    plural's s; then names that a class has among its prompts. A model of one class for a dataset
    of one class needs no name.

    Parameters
    ----------
    names : mapping of int to str
        The model's classes.
    classes : sequence of str
        The dataset's classes.
    prompts : mapping of int to sequence of str, optional
        Other words for the dataset's classes.
    """
    words: dict[str, int] = {}
    for class_id, texts in (prompts or {}).items():
        if 0 <= class_id < len(classes):
            words |= {plain_name(text): class_id for text in texts}
    numbered = [*enumerate(classes)]
    words |= {
        plain_name(name): class_id for class_id, name in reversed(numbered)
    }  # the first stays
    same = {name: class_id for class_id, name in numbered}
    chosen = {
        class_id: same.get(name, words.get(plain_name(name))) for class_id, name in names.items()
    }
    if len(names) == len(classes) == 1:
        chosen = dict.fromkeys(names, 0)
    return ClassMapping(dict(names), list(classes), chosen)
