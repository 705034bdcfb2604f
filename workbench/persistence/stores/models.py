"""The model store: one folder of keys for each model, weights and facts in it."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
    WorkbenchError,
)
from workbench.persistence.disk_errors import as_ours, speaks_plainly
from workbench.persistence.models import ModelInfo, TrashEntry
from workbench.persistence.rules import changed_details, check_metrics
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.similar import instead
from workbench.persistence.stopping import done_in_thread
from workbench.persistence.storage import Change, Head, Move, Remove, Storage, Write, Writer
from workbench.persistence.storage.keys import is_plain
from workbench.persistence.stored_json import MALFORMED, malformed, parse_json, time_of
from workbench.persistence.stores import trash
from workbench.persistence.stores.content_cache import ContentCache
from workbench.persistence.stores.layouts import place_in_models
from workbench.persistence.stores.telling import told
from workbench.persistence.yolo.names import HIDDEN, check_name

_log = logging.getLogger(__name__)
_FACTS = "model.json"
_NO_MODELS = "there is none yet: train one, or import_weights brings one in"
_ACTIVE = f"{HIDDEN}/active.json"
_ZIP = b"PK\x03\x04"
_EXPECTED = "the facts of a model"
_KINDS = frozenset({"model"})
_CHUNK = 1 << 20

T = TypeVar("T")


@speaks_plainly
class ModelStore:
    """Trained weights with their metadata, and which of them is active.

    Errors are the same for every method: `InvalidNameError` and `AlreadyExistsError` (both
    a ``ValueError``), `NotFoundError` (a ``FileNotFoundError``) for a model that is not there.

    Parameters
    ----------
    storage : Storage
        What holds ``<name>/weights.pt`` and ``<name>/model.json``.
    cache : ContentCache, optional
        Where weights lie as files if they do so nowhere else; default: a folder of this store's,
        which goes with it.
    """

    def __init__(self, storage: Storage, cache: ContentCache | None = None) -> None:
        self._storage = storage
        self._given_cache = cache
        self._trash = trash.Trash(storage, place_in_models)

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

        Any file is kept. One that cannot be weights has a `ModelInfo.weights_problem` from then on.

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
        facts = {
            "base_model": str(base_model),
            "dataset_name": dataset_name,
            "created_at": datetime.now(UTC).isoformat(),
            "epochs_completed": int(epochs_completed),
            "metrics": check_metrics(metrics or {}),
            "class_names": list(class_names),
            "details": dict(details or {}),
        }
        return await done_in_thread(f"model {name}", self._save, name, Path(weights_path), facts)

    def _save(self, name: str, weights: Path, facts: dict[str, Any]) -> ModelInfo:
        name = check_name(name, "model name")
        if not weights.is_file():
            raise NotFoundError(
                f"no weights file at {weights}{', but a folder' * weights.is_dir()}; check the "
                f"path: a training leaves weights/best.pt in its folder"
            )
        file = f"weights{weights.suffix or '.pt'}"
        # Built where nobody looks, so that there is no moment at which half a model is there.
        draft = f"{HIDDEN}/new/{os.urandom(8).hex()}"
        with self._storage.lease() as writer:
            self._require_free(name)
            with weights.open("rb") as stream:
                problem = _problem_of(weights, stream.read(len(_ZIP)))
                stream.seek(0)
                staged = writer.stage(stream)
            saved = {"size": staged.size, "mtime": staged.stamp, "sha256": staged.sha256}
            if problem:
                _log.warning("model %s: %s", name, problem)
                saved["problem"] = problem
            facts = {**facts, "weights": {"file": file, **saved}}
            made = self._described(name, facts, "ok", active=None)
            writer.commit(
                [
                    Write(f"{draft}/{file}", staged),
                    Write(f"{draft}/{_FACTS}", json.dumps(facts, indent=1).encode()),
                    Move(draft, name),
                ]
            )
            if staged.stamp == "":
                self._note_stamp(writer, name, facts)
        return told(lambda: self._info(name), made)

    def _note_stamp(self, writer: Writer, name: str, facts: dict[str, Any]) -> None:
        """Write down which stamp new weights got, so that nobody has to read them for that."""
        try:
            head = self._storage.head(f"{name}/{facts['weights']['file']}")
            if head is not None:
                weights = {**facts["weights"], "mtime": head.stamp}
                data = json.dumps({**facts, "weights": weights}, indent=1).encode()
                writer.commit([Write(f"{name}/{_FACTS}", data)])
        except (OSError, WorkbenchError) as error:  # the model is saved
            _log.warning("the weights of %s will be read once more: %s", name, error)

    async def get(self, name: str) -> ModelInfo:
        """Return one model's facts."""
        name = check_name(name, "model name")
        return await self._consistently(lambda: self._info(name))

    async def exists(self, name: str) -> bool:
        """Whether a model of this name is there."""
        name = check_name(name, "model name")
        return await self._consistently(lambda: self._storage.exists(f"{name}/{_FACTS}"))

    async def list(self) -> builtins.list[ModelInfo]:
        """Return all models, sorted by name; a damaged one says so, see `ModelInfo.problem`."""
        return await self._consistently(self._list)

    def _list(self) -> builtins.list[ModelInfo]:
        active, found = self._active_name(), []
        names = sorted(self._storage.list().folders)
        contents = self._storage.read_many([f"{name}/{_FACTS}" for name in names])
        for name, content in zip(names, contents, strict=True):
            if content is None:
                continue
            try:
                if check_name(name, "model name") != name:
                    raise self._missing(name)
            except (InvalidNameError, NotFoundError) as error:  # no method could be given it
                _log.warning("model left out of the list: %s", error)
                continue
            found.append(self._as_it_is(name, name, content, active))
        return found

    async def stamp(self) -> str:
        """Return a stamp that differs after each change of a model, or of which one is active."""
        return await self._consistently(self._stamp)

    def _stamp(self) -> str:
        names = sorted(self._storage.list().folders)
        heads: builtins.list[object] = []
        for key in [*(f"{name}/{_FACTS}" for name in names), _ACTIVE]:
            try:
                heads.append(self._storage.head(key))
            except InvalidDatasetError as error:
                heads.append(str(error))
        deleted = sorted(self._storage.list(trash.TRASH).folders)
        return hashlib.sha256(repr((names, heads, deleted)).encode()).hexdigest()

    async def load(self, name: str) -> Path:
        """Return the path of the weights file.

        Raises
        ------
        NotFoundError
            If the model or its weights file is gone.
        """
        name = check_name(name, "model name")

        def work() -> Path:
            info = self._info(name)
            if info.weights_state == "missing":
                raise NotFoundError(
                    f"model {name!r} has lost its weights: {info.path} is gone; put the file "
                    f"back, or delete the model and save it again"
                )
            key = f"{name}/{info.path.name}"
            if self._storage.local_path(key) is not None:
                return info.path
            head = self._storage.head(key)
            if head is None:
                raise self._storage.missing(key)
            return self._cache.file(self._storage, key, head.stamp)

        return await self._consistently(work)

    @cached_property
    def _cache(self) -> ContentCache:
        if self._given_cache is not None:
            return self._given_cache
        folder = tempfile.mkdtemp(prefix=scratch_prefix("models"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return ContentCache(Path(folder))

    async def set_active(self, name: str | None) -> ModelInfo | None:
        """Make a model the one that labels and predicts; None for none."""

        def work() -> ModelInfo | None:
            stored = None if name is None else check_name(name, "model name")
            with self._storage.lease() as writer:
                made = None if stored is None else replace(self._info(stored), is_active=True)
                writer.commit([_activation(stored)])
            return None if stored is None else told(lambda: self._info(stored), made)

        return await done_in_thread("the active model", work)

    async def get_active(self) -> ModelInfo | None:
        """Return the active model, or None; a damaged one says so, see `ModelInfo.problem`."""

        def work() -> ModelInfo | None:
            name = self._active_name()
            if name is None:
                return None
            [content] = self._storage.read_many([f"{name}/{_FACTS}"])
            return None if content is None else self._as_it_is(name, name, content, name)

        return await self._consistently(work)

    async def rename(self, name: str, new_name: str) -> ModelInfo:
        """Give a model another name; an active one stays active."""
        name, target = check_name(name, "model name"), check_name(new_name, "model name")

        def work() -> ModelInfo:
            with self._storage.lease() as writer:
                info = self._info(name)
                self._require_free(target)
                changes: builtins.list[Change] = [Move(name, target)]
                if info.is_active:
                    changes.append(_activation(target))
                writer.commit(changes)
            path = self._storage.local_path(f"{target}/{info.path.name}") or info.path
            made = replace(info, name=target, path=path)
            return told(lambda: self._info(target), made)

        return await done_in_thread(f"model {name}", work)

    async def update_details(self, name: str, changes: Mapping[str, Any]) -> ModelInfo:
        """Change what else is known of a model; its weights and the other facts stay.

        Parameters
        ----------
        changes : mapping
            JSON types only. Each replaces the detail of its name; None removes it.
        """
        name = check_name(name, "model name")

        def work() -> ModelInfo:
            with self._storage.lease() as writer:
                info = self._info(name)
                details = changed_details(info.details, changes)
                key = f"{name}/{_FACTS}"
                facts = parse_json(self._storage.read(key), self._where(key), _EXPECTED)
                data = json.dumps({**facts, "details": details}, indent=1).encode()
                writer.commit([Write(key, data)])
            return told(lambda: self._info(name), replace(info, details=details))

        return await done_in_thread(f"model {name}", work)

    async def delete(self, name: str) -> TrashEntry:
        """Move a model, also a damaged one, to the trash; if it was active, none is."""
        name = check_name(name, "model name")

        def work() -> TrashEntry:
            with self._storage.lease() as writer:
                self._require(name)
                trashed = trash.new_entry(self._trash, "model", name, [name])
                changes: builtins.list[Change] = [
                    Write(f"{trashed.folder}/entry.json", trashed.to_bytes()),
                    Move(name, f"{trashed.folder}/{trashed.files[0][0]}"),
                ]
                if self._active_name() == name:
                    changes.append(_activation(None))
                writer.commit(changes)
            return trashed.entry

        return await done_in_thread(f"model {name}", work)

    async def list_trash(self) -> builtins.list[TrashEntry]:
        """Return the deleted models, oldest first."""
        return await self._consistently(
            lambda: [found.entry for found in trash.list_entries(self._trash)]
        )

    async def restore(self, entry_id: str, *, name: str | None = None) -> ModelInfo:
        """Bring a deleted model back, under another name if `name` is given."""

        def work() -> ModelInfo:
            with self._storage.lease() as writer:
                found = trash.find(self._trash, entry_id)
                wanted = check_name(name or found.entry.name, "model name")
                self._require_free(wanted)
                trashed = f"{found.folder}/{found.files[0][0]}"
                [content] = self._storage.read_many([f"{trashed}/{_FACTS}"])
                if content is None:
                    raise NotFoundError(
                        f"{self._where(trashed)}: expected {_FACTS} in it, found none, so it "
                        f"cannot be restored; save its weights anew, or purge it"
                    )
                made = self._as_it_is(wanted, trashed, content, self._active_name())
                writer.commit([Move(trashed, wanted), Remove(found.folder)])
            return told(lambda: self._info(wanted), made) if not made.problem else made

        return await done_in_thread(f"model {entry_id} of the trash", work)

    async def purge(self, entry_id: str | None = None) -> int:
        """Remove one deleted model for good, or all of them; return how many."""

        def work() -> int:
            with self._storage.lease() as writer:
                doomed = trash.doomed(self._trash, entry_id, _KINDS)
                left = trash.leftovers(self._trash)
                writer.purge([*(one.folder for one in doomed), *left])
            return len(doomed)

        return await done_in_thread("emptying the trash", work)

    async def _consistently(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(self._storage.consistently, work)

    def _where(self, key: str) -> str:
        return f"{self._storage.where}/{key}"

    def _path(self, name: str, weights: Mapping[str, Any]) -> Path:
        path = self._storage.local_path(f"{name}/{weights['file']}")
        return path or self._cache.path(weights["sha256"], weights["file"])

    def _missing(self, name: str) -> NotFoundError:
        there = [one for one in self._storage.list().folders if not one.startswith(".")]
        hint = instead(name, there, all_of_them="list()", none=_NO_MODELS)
        return NotFoundError(f"model {name!r} is not in {self._storage.where}; {hint}")

    def _require(self, name: str) -> None:
        if not self._storage.exists(f"{name}/{_FACTS}"):
            raise self._missing(name)

    def _require_free(self, name: str) -> None:
        if self._storage.exists(name):
            raise AlreadyExistsError(
                f"model {name!r} exists already in {self._storage.where}; choose another name, or "
                f"delete that one first"
            )

    def _active_name(self) -> str | None:
        try:
            data = self._storage.read(_ACTIVE)
            content = parse_json(data, self._where(_ACTIVE), "the name of the active model")
        except NotFoundError:
            return None
        except InvalidDatasetError as error:
            _log.warning("no model is active: %s", error)
            return None
        name = content.get("name") if isinstance(content, dict) else None
        try:
            return None if name is None else check_name(name, "model name")
        except InvalidNameError as error:
            _log.warning("no model is active: %s: %s", self._where(_ACTIVE), error)
            return None

    def _info(self, name: str) -> ModelInfo:
        self._require(name)
        return self._read(name, name, self._storage.read(f"{name}/{_FACTS}"), self._active_name())

    def _as_it_is(
        self, name: str, folder: str, content: bytes | Exception, active: str | None
    ) -> ModelInfo:
        """Return what is known of a model, be it only what is wrong with it."""
        try:
            if isinstance(content, Exception):
                raise content
            return self._read(name, folder, content, active)
        except (WorkbenchError, OSError) as error:
            _log.warning("model %s is damaged: %s", name, error)
            problem = as_ours(error, name) if isinstance(error, OSError) else error
            return ModelInfo(
                name,
                self._storage.local_path(name) or Path(self._where(name)),
                is_active=active == name,
                weights_state="unknown",
                problem=str(problem),
            )

    def _read(self, name: str, folder: str, data: bytes, active: str | None) -> ModelInfo:
        """Return what the facts of a model say that lies in a folder and shall have a name."""
        where = self._where(f"{folder}/{_FACTS}")
        facts = parse_json(data, where, _EXPECTED)
        try:
            state = self._weights_state(folder, facts["weights"])
            return self._described(name, facts, state, active)
        except InvalidDatasetError:
            raise
        except MALFORMED as error:
            raise malformed(where, _EXPECTED, error) from error

    def _described(
        self, name: str, facts: Mapping[str, Any], state: str, active: str | None
    ) -> ModelInfo:
        metrics = check_metrics(facts["metrics"])
        created_at = time_of(facts["created_at"])
        return ModelInfo(
            name=name,
            path=self._path(name, facts["weights"]),
            base_model=str(facts["base_model"]),
            dataset_name=str(facts["dataset_name"]),
            created_at=created_at,
            epochs_completed=int(facts["epochs_completed"]),
            best_map50=metrics.get("best_map50"),
            is_active=active == name,
            metrics=metrics,
            class_names=[str(name) for name in facts["class_names"]],
            details=dict(facts["details"]),
            weights_state=state,
            weights_problem=str(facts["weights"].get("problem", "")),
        )

    def _weights_state(self, folder: str, saved: Mapping[str, Any]) -> str:
        """Return ``"ok"``, ``"missing"`` or ``"changed"``, as `ModelInfo.weights_state` has it."""
        if not is_plain(saved["file"]):
            raise ValueError(f"weights that are elsewhere, {saved['file']!r}")
        key = f"{folder}/{saved['file']}"
        head = self._storage.head(key)
        if head is None:
            return "missing"
        if head.size != saved["size"]:
            return "changed"
        # Copying a folder changes stamps but no bytes: only then is the file read.
        if head.stamp != saved["mtime"] and self._digest(key, head) != saved["sha256"]:
            return "changed"
        return "ok"

    def _digest(self, key: str, head: Head) -> str:
        if self._storage.local_path(key) is None:
            return self._cache.digest(self._storage, key, head.stamp)
        digest = hashlib.sha256()
        with self._storage.open_read(key) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


def _problem_of(weights: Path, head: bytes) -> str:
    """Return why a file is none that can be loaded; empty if it begins as weights do."""
    if weights.suffix not in ("", ".pt", ".pth") or head == _ZIP:
        return ""
    return (
        f"{weights.name}: expected weights as torch writes them, a zip, found one that begins with "
        f"{head!r}; it is kept, but nothing can be predicted with it. Save the best.pt that a "
        "training wrote"
    )


def _activation(name: str | None) -> Write:
    return Write(_ACTIVE, json.dumps({"name": name}).encode())
