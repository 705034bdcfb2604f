"""The contract of model stores."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.persistence.models import ModelInfo, TrashEntry


class ModelStore(ABC):
    """Trained weights with their metadata, and which of them is active.

    Errors are the same for every method: `InvalidNameError` and `AlreadyExistsError` (both
    a ``ValueError``), `NotFoundError` (a ``FileNotFoundError``) for a model that is not there.
    """

    @abstractmethod
    async def save(
        self,
        name: str,
        weights_path: Path | str,
        base_model: str,
        dataset_name: str,
        epochs_completed: int = 0,
        metrics: Mapping[str, float] | None = None,
        *,
        class_names: Sequence[str] = (),
        details: Mapping[str, Any] | None = None,
    ) -> ModelInfo:
        """Copy weights into the store under a new name.

        Parameters
        ----------
        metrics : mapping, optional
            ``"best_map50"`` becomes `ModelInfo.best_map50`; all are kept.
        details : mapping, optional
            JSON types only.

        Raises
        ------
        NotFoundError
            If there is no file at `weights_path`.
        """

    @abstractmethod
    async def get(self, name: str) -> ModelInfo:
        """Return one model's facts."""

    @abstractmethod
    async def exists(self, name: str) -> bool:
        """Whether a model of this name is there."""

    @abstractmethod
    async def list(self) -> builtins.list[ModelInfo]:
        """Return all models, sorted by name. A broken one is left out and logged."""

    @abstractmethod
    async def stamp(self) -> str:
        """Return what is another after each change of a model, or of which one is active."""

    @abstractmethod
    async def load(self, name: str) -> Path:
        """Return the path of the weights file.

        Raises
        ------
        NotFoundError
            If the model or its weights file is gone.
        """

    @abstractmethod
    async def set_active(self, name: str | None) -> ModelInfo | None:
        """Make a model the one that labels and predicts; None for none."""

    @abstractmethod
    async def get_active(self) -> ModelInfo | None:
        """Return the active model, or None."""

    @abstractmethod
    async def rename(self, name: str, new_name: str) -> ModelInfo:
        """Give a model another name; an active one stays active."""

    @abstractmethod
    async def update_details(self, name: str, changes: Mapping[str, Any]) -> ModelInfo:
        """Change what else is known of a model; its weights and the other facts stay.

        Parameters
        ----------
        changes : mapping
            JSON types only. Each replaces the detail of its name; None removes it.
        """

    @abstractmethod
    async def delete(self, name: str) -> TrashEntry:
        """Move a model to the trash; if it was active, none is."""

    @abstractmethod
    async def list_trash(self) -> builtins.list[TrashEntry]:
        """Return the deleted models, oldest first."""

    @abstractmethod
    async def restore(self, entry_id: str, *, name: str | None = None) -> ModelInfo:
        """Bring a deleted model back, under another name if `name` is given."""

    @abstractmethod
    async def purge(self, entry_id: str | None = None) -> int:
        """Remove one deleted model for good, or all of them; return how many."""
