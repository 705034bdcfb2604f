"""The model store over plain files: one folder for each model, weights and facts in it."""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence.filesystem import trash
from workbench.persistence.filesystem.fingerprint import fingerprint, weights_state
from workbench.persistence.filesystem.stamp_files import models_stamp
from workbench.persistence.filesystem.telling import told
from workbench.persistence.model_store import ModelStore
from workbench.persistence.models import ModelInfo, TrashEntry
from workbench.persistence.rules import changed_details, check_metrics
from workbench.persistence.storage.keys import is_plain
from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import (
    fsync_folder,
    move_durably,
    temporary_name,
    write_new,
)
from workbench.persistence.storage.local.journal import Journal
from workbench.persistence.storage.local.lock import making
from workbench.persistence.stored_json import malformed
from workbench.persistence.stores.layouts import MODELS, place_in_models
from workbench.persistence.yolo.names import HIDDEN, check_name

_log = logging.getLogger(__name__)
_FACTS = "model.json"
_ACTIVE = f"{HIDDEN}/active.json"
_EXPECTED = "the facts of a model"
_KINDS = frozenset({"model"})


class FilesystemModelStore(ModelStore):
    """Models below ``models_dir``: ``<name>/weights.pt`` and ``<name>/model.json``."""

    def __init__(self, models_dir: Path) -> None:
        self._root = os.path.abspath(models_dir)
        self._hidden = f"{self._root}/{HIDDEN}"
        self._trash = trash.Trash(self._root, place_in_models)
        self._active = f"{self._root}/{_ACTIVE}"
        self._journal = Journal(self._root, MODELS)

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
        facts = {
            "base_model": str(base_model),
            "dataset_name": dataset_name,
            "created_at": datetime.now(UTC).isoformat(),
            "epochs_completed": int(epochs_completed),
            "metrics": check_metrics(metrics or {}),
            "class_names": list(class_names),
            "details": dict(details or {}),
        }
        return await asyncio.to_thread(self._save, name, Path(weights_path), facts)

    def _save(self, name: str, weights: Path, facts: dict[str, Any]) -> ModelInfo:
        folder = self._folder(name)
        if not weights.is_file():
            raise NotFoundError(f"no weights file at {weights}")
        with self._journal.locked():
            self._require_free(name, folder)
            staging = temporary_name(self._journal.tmp)
            with making(self._root):
                self._write(staging, weights, facts)
                made = self._elsewhere(staging, folder)
                move_durably(staging, folder)
        return told(lambda: self._info(name), made)

    def _write(self, staging: str, weights: Path, facts: dict[str, Any]) -> None:
        """Write a model where the next to hold the lock removes it, if it stays there."""
        os.makedirs(staging)
        file = f"weights{weights.suffix or '.pt'}"
        shutil.copyfile(weights, f"{staging}/{file}")
        descriptor = os.open(f"{staging}/{file}", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        facts = {**facts, "weights": {"file": file, **fingerprint(f"{staging}/{file}")}}
        write_new(f"{staging}/{_FACTS}", json.dumps(facts, indent=1).encode())
        fsync_folder(staging)

    def _elsewhere(self, path: str, folder: str) -> ModelInfo:
        """Describe a model that is not yet where it shall be."""
        info = self._info_at(path)
        name = os.path.basename(folder)
        return replace(info, name=name, path=Path(folder, info.path.name))

    async def get(self, name: str) -> ModelInfo:
        """See `ModelStore.get`."""
        return await asyncio.to_thread(self._get, name)

    def _get(self, name: str) -> ModelInfo:
        return self._journal.consistently(lambda: self._info(name))

    async def exists(self, name: str) -> bool:
        """See `ModelStore.exists`."""
        folder = self._folder(name)

        def work() -> bool:
            return os.path.isfile(f"{folder}/{_FACTS}")

        return await asyncio.to_thread(self._journal.consistently, work)

    async def list(self) -> builtins.list[ModelInfo]:
        """See `ModelStore.list`."""
        return await asyncio.to_thread(self._journal.consistently, self._list)

    def _list(self) -> builtins.list[ModelInfo]:
        found = []
        for name in sorted(os.listdir(self._root)):
            if name.startswith(".") or not os.path.lexists(f"{self._root}/{name}/{_FACTS}"):
                continue
            try:
                found.append(self._info(name))
            except (InvalidDatasetError, InvalidNameError, NotFoundError) as error:
                _log.warning("model left out of the list: %s", error)
        return found

    async def stamp(self) -> str:
        """See `ModelStore.stamp`."""
        return await asyncio.to_thread(models_stamp, self._root)

    async def load(self, name: str) -> Path:
        """See `ModelStore.load`."""

        def work() -> Path:
            info = self._get(name)
            if info.weights_state == "missing":
                raise NotFoundError(f"model {name!r} has lost its weights: {info.path} is gone")
            return info.path

        return await asyncio.to_thread(work)

    async def set_active(self, name: str | None) -> ModelInfo | None:
        """See `ModelStore.set_active`."""

        def work() -> ModelInfo | None:
            with self._journal.locked():
                stored = None if name is None else os.path.basename(self._require(name))
                made = None if stored is None else replace(self._info(stored), is_active=True)
                self._journal.write(self._active, _active_bytes(stored))
            return None if stored is None else told(lambda: self._info(stored), made)

        return await asyncio.to_thread(work)

    async def get_active(self) -> ModelInfo | None:
        """See `ModelStore.get_active`."""

        def work() -> ModelInfo | None:
            name = self._active_name()
            if name is None or not os.path.isfile(f"{self._folder(name)}/{_FACTS}"):
                return None
            return self._info(name)

        return await asyncio.to_thread(self._journal.consistently, work)

    async def rename(self, name: str, new_name: str) -> ModelInfo:
        """See `ModelStore.rename`."""
        target = self._folder(new_name)

        def work() -> ModelInfo:
            with self._journal.locked():
                folder = self._require(name)
                self._require_free(new_name, target)
                made = self._elsewhere(folder, target)
                with self._journal.transaction() as change:
                    change.rename(folder, target)
                    if self._active_name() == os.path.basename(folder):
                        change.write(self._active, _active_bytes(os.path.basename(target)))
            return told(lambda: self._info(new_name), made)

        return await asyncio.to_thread(work)

    async def update_details(self, name: str, changes: Mapping[str, Any]) -> ModelInfo:
        """See `ModelStore.update_details`."""

        def work() -> ModelInfo:
            with self._journal.locked():
                folder = self._require(name)
                info = self._info(name)
                details = changed_details(info.details, changes)
                facts = {**inside.read_json(folder, _FACTS, _EXPECTED), "details": details}
                self._journal.write(f"{folder}/{_FACTS}", json.dumps(facts, indent=1).encode())
            return told(lambda: self._info(name), replace(info, details=details))

        return await asyncio.to_thread(work)

    async def delete(self, name: str) -> TrashEntry:
        """See `ModelStore.delete`."""

        def work() -> TrashEntry:
            with self._journal.locked(), self._journal.transaction() as change:
                folder = self._require(name)
                stored = os.path.basename(folder)
                trashed = trash.new_entry(self._trash, "model", stored, [stored])
                change.write(f"{trashed.folder}/entry.json", trashed.to_bytes())
                change.rename(folder, f"{trashed.folder}/{trashed.files[0][0]}")
                if self._active_name() == stored:
                    change.write(self._active, _active_bytes(None))
            return trashed.entry

        return await asyncio.to_thread(work)

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """See `ModelStore.list_trash`."""

        def work() -> builtins.list[TrashEntry]:
            return [found.entry for found in trash.list_entries(self._trash)]

        return await asyncio.to_thread(self._journal.consistently, work)

    async def restore(self, entry_id: str, *, name: str | None = None) -> ModelInfo:
        """See `ModelStore.restore`."""

        def work() -> ModelInfo:
            with self._journal.locked():
                found = trash.find(self._trash, entry_id)
                wanted = check_name(name or found.entry.name, "model name")
                target = self._folder(wanted)
                self._require_free(wanted, target)
                trashed = f"{found.folder}/{found.files[0][0]}"
                made = self._elsewhere(trashed, target)
                with self._journal.transaction() as change:
                    change.rename(trashed, target)
                    change.remove(found.folder)
            return told(lambda: self._info(wanted), made)

        return await asyncio.to_thread(work)

    async def purge(self, entry_id: str | None = None) -> int:
        """See `ModelStore.purge`."""

        def work() -> int:
            with self._journal.locked():
                doomed = trash.doomed(self._trash, entry_id, _KINDS)
                with self._journal.transaction() as change:
                    for trashed in doomed:
                        change.remove(trashed.folder)
                trash.sweep(self._trash)
            return len(doomed)

        return await asyncio.to_thread(work)

    def _folder(self, name: str) -> str:
        return f"{self._root}/{check_name(name, 'model name')}"

    def _require(self, name: str) -> str:
        folder = self._folder(name)
        if not os.path.isfile(f"{folder}/{_FACTS}"):
            raise NotFoundError(f"model {name!r} is not in {self._root}")
        return folder

    def _require_free(self, name: str, folder: str) -> None:
        if os.path.lexists(folder):
            raise AlreadyExistsError(f"model {name!r} exists already in {self._root}")

    def _active_name(self) -> str | None:
        try:
            content = inside.read_json(self._root, _ACTIVE, "the name of the active model")
        except FileNotFoundError:
            return None
        except InvalidDatasetError as error:
            _log.warning("no model is active: %s", error)
            return None
        name = content.get("name") if isinstance(content, dict) else None
        try:
            return None if name is None else check_name(name, "model name")
        except InvalidNameError as error:
            _log.warning("no model is active: %s: %s", self._active, error)
            return None

    def _info(self, name: str) -> ModelInfo:
        return self._info_at(self._require(name))

    def _info_at(self, folder: str) -> ModelInfo:
        path = f"{folder}/{_FACTS}"
        # The user may have linked the model's folder here; what is in it is not followed on.
        facts = inside.read_json(folder, _FACTS, _EXPECTED)
        try:
            weights = facts["weights"]
            metrics = check_metrics(facts["metrics"])
            created_at = datetime.fromisoformat(facts["created_at"])
            if not is_plain(weights["file"]):
                raise ValueError(f"weights that are elsewhere, {weights['file']!r}")
            if created_at.tzinfo is None:
                raise ValueError(f"a time without time zone, {created_at}")
            return ModelInfo(
                name=os.path.basename(folder),
                path=Path(folder, weights["file"]),
                base_model=str(facts["base_model"]),
                dataset_name=str(facts["dataset_name"]),
                created_at=created_at,
                epochs_completed=int(facts["epochs_completed"]),
                best_map50=metrics.get("best_map50"),
                is_active=self._active_name() == os.path.basename(folder),
                metrics=metrics,
                class_names=[str(name) for name in facts["class_names"]],
                details=dict(facts["details"]),
                weights_state=weights_state(folder, weights["file"], weights),
            )
        except InvalidDatasetError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise malformed(path, _EXPECTED, error) from error


def _active_bytes(name: str | None) -> bytes:
    return json.dumps({"name": name}).encode()
