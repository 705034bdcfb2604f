"""The model store in memory."""

from __future__ import annotations

import builtins
import copy
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import AlreadyExistsError, NotFoundError
from workbench.persistence.filesystem.fingerprint import (
    Fingerprint,
    fingerprint,
    weights_state,
)
from workbench.persistence.model_store import ModelStore
from workbench.persistence.models import ModelInfo, TrashEntry
from workbench.persistence.rules import changed_details, check_metrics, trash_entry
from workbench.persistence.yolo.names import check_name


@dataclass(frozen=True, slots=True)
class _Model:
    info: ModelInfo
    fingerprint: Fingerprint


class MemoryModelStore(ModelStore):
    """Facts in a dict; weights, which are files by nature, in a temporary folder."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self._trash: dict[str, tuple[TrashEntry, _Model]] = {}
        self._active: str | None = None
        self._lock = threading.RLock()
        self._folder = tempfile.mkdtemp(prefix="workbench-models-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

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
        """See `ModelStore.save`."""
        name = check_name(name, "model name")
        source = Path(weights_path)
        checked = check_metrics(metrics or {})
        if not source.is_file():
            raise NotFoundError(f"no weights file at {source}")
        with self._lock:
            self._require_free(name)
            path = Path(tempfile.mkdtemp(dir=self._folder), f"weights{source.suffix or '.pt'}")
            shutil.copyfile(source, path)
            info = ModelInfo(
                name=name,
                path=path,
                base_model=str(base_model),
                dataset_name=dataset_name,
                created_at=datetime.now(UTC),
                epochs_completed=epochs_completed,
                best_map50=checked.get("best_map50"),
                metrics=checked,
                class_names=list(class_names),
                details=copy.deepcopy(dict(details or {})),
            )
            self._models[name] = _Model(info, fingerprint(str(path)))
            return self._info(name)

    async def get(self, name: str) -> ModelInfo:
        """See `ModelStore.get`."""
        return self._info(name)

    async def exists(self, name: str) -> bool:
        """See `ModelStore.exists`."""
        return check_name(name, "model name") in self._models

    async def list(self) -> builtins.list[ModelInfo]:
        """See `ModelStore.list`."""
        with self._lock:
            return [self._info(name) for name in sorted(self._models)]

    async def stamp(self) -> str:
        """See `ModelStore.stamp`."""
        with self._lock:
            models = [(name, id(one)) for name, one in sorted(self._models.items())]
            return repr((models, sorted(self._trash), self._active))

    async def load(self, name: str) -> Path:
        """See `ModelStore.load`."""
        with self._lock:
            info = self._info(name)
            if info.weights_state == "missing":
                raise NotFoundError(f"model {name!r} has lost its weights: {info.path} is gone")
            return info.path

    async def set_active(self, name: str | None) -> ModelInfo | None:
        """See `ModelStore.set_active`."""
        with self._lock:
            self._active = None if name is None else self._info(name).name
            return await self.get_active()

    async def get_active(self) -> ModelInfo | None:
        """See `ModelStore.get_active`."""
        with self._lock:
            return None if self._active is None else self._info(self._active)

    async def rename(self, name: str, new_name: str) -> ModelInfo:
        """See `ModelStore.rename`."""
        new_name = check_name(new_name, "model name")
        with self._lock:
            name = self._info(name).name
            self._require_free(new_name)
            self._models[new_name] = self._models.pop(name)
            if self._active == name:
                self._active = new_name
            return self._info(new_name)

    async def update_details(self, name: str, changes: Mapping[str, Any]) -> ModelInfo:
        """See `ModelStore.update_details`."""
        with self._lock:
            name = self._info(name).name
            model = self._models[name]
            info = replace(model.info, details=changed_details(model.info.details, changes))
            self._models[name] = replace(model, info=info)
            return self._info(name)

    async def delete(self, name: str) -> TrashEntry:
        """See `ModelStore.delete`."""
        with self._lock:
            name = self._info(name).name
            entry = trash_entry("model", name)
            self._trash[entry.id] = (entry, self._models.pop(name))
            if self._active == name:
                self._active = None
            return entry

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """See `ModelStore.list_trash`."""
        with self._lock:
            return [entry for entry, _ in self._trash.values()]

    async def restore(self, entry_id: str, *, name: str | None = None) -> ModelInfo:
        """See `ModelStore.restore`."""
        with self._lock:
            self._require_trashed(entry_id)
            entry, model = self._trash[entry_id]
            wanted = check_name(name or entry.name, "model name")
            self._require_free(wanted)
            self._models[wanted] = model
            del self._trash[entry_id]
            return self._info(wanted)

    async def purge(self, entry_id: str | None = None) -> int:
        """See `ModelStore.purge`."""
        with self._lock:
            if entry_id is not None:
                self._require_trashed(entry_id)
                del self._trash[entry_id]
                return 1
            count = len(self._trash)
            self._trash.clear()
            return count

    def _info(self, name: str) -> ModelInfo:
        name = check_name(name, "model name")
        with self._lock:
            if name not in self._models:
                raise NotFoundError(f"model {name!r} is not in memory")
            model = self._models[name]
            return replace(
                model.info,
                name=name,
                is_active=self._active == name,
                weights_state=weights_state(
                    str(model.info.path.parent), model.info.path.name, model.fingerprint
                ),
            )

    def _require_free(self, name: str) -> None:
        if name in self._models:
            raise AlreadyExistsError(f"model {name!r} exists already")

    def _require_trashed(self, entry_id: str) -> None:
        if entry_id not in self._trash:
            raise NotFoundError(f"{entry_id!r} is not in the trash: purged or restored?")
