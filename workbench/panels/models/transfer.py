"""The pages of the models panel for models on their way: out, in, and to the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as w

from workbench.datasets.changes import counted
from workbench.panels.models.incoming import IncomingFile
from workbench.panels.models.model import ModelsModel, obstacle, required
from workbench.panels.models.widgets import FileDownload, FileUpload
from workbench.panels.shared.parts import (
    Confirmation,
    Spawn,
    allow,
    button,
    choice,
    empty,
    hint,
    labelled,
    page,
    row,
    set_options,
    show,
)
from workbench.panels.shared.pieces import read_piece
from workbench.persistence.models import ModelInfo
from workbench.training.exporting import FORMATS, ExportResult


class ExportPage:
    """Takes a model out: in another format, as a copy, or onto the browser's machine.

    Parameters
    ----------
    model : ModelsModel
    spawn : callable
    """

    title = "Export"

    def __init__(self, model: ModelsModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        titles = [
            (f.title if not f.missing else f"{f.title} (needs {', '.join(f.missing)})", f.name)
            for f in FORMATS.values()
        ]
        self.format = labelled(w.Dropdown(description="Format", options=titles))
        self.folder = labelled(w.Text("exports", description="Into the folder"), width="320px")
        self.export = button("Export", "share-square-o", self._export, spawn)
        self.copy = button("Copy the weights", "copy", self._copy, spawn)
        self.download = FileDownload(self._want, label="Download the weights")
        self.result = w.HTML()
        self.view = page(
            hint(
                "An exported model runs without Ultralytics.",
                "It is checked on sample images to find what the model itself finds.",
            ),
            row(self.format, self.folder, self.export),
            row(self.copy, self.download),
            self.result,
        )

    def show(self, info: ModelInfo | None) -> None:
        """Show another model, or none."""
        reason = obstacle(info)
        allow(self.export, reason, "Write it in this format, and check what it finds")
        allow(self.copy, reason, "Put the .pt file into the folder above")
        self.download.why_not = reason
        self.result.value = ""

    async def _export(self) -> None:
        name = required(self._model).name
        self.result.value = ""
        made = await self._model.export(name, self.folder.value, self.format.value)
        self.result.value = _export_words(made)

    async def _copy(self) -> None:
        await self._model.copy(required(self._model).name, self.folder.value)

    def _want(self, start: int) -> None:
        self._spawn(lambda: self._send(start))

    async def _send(self, start: int) -> None:
        try:
            name = required(self._model).name
            weights = await self._model.weights(name)
            total, data = await asyncio.to_thread(read_piece, weights, start)
        except Exception:
            self.download.give_up()
            raise
        self.download.send_piece(f"{name}{weights.suffix}", start, total, data)


class ImportPage:
    """Brings weights from elsewhere into the store, after a look for code in them.

    Parameters
    ----------
    model : ModelsModel
    spawn : callable
    """

    title = "Import"

    def __init__(self, model: ModelsModel, spawn: Spawn) -> None:
        self._model = model
        self._spawn = spawn
        self._incoming = IncomingFile("weights.pt")
        self.upload = FileUpload(self._take, label="Upload a weights file", accept=".pt")
        self.path = labelled(
            w.Text(description="or one on this machine", placeholder="/path/to/best.pt"),
            width="100%",
            max_width="520px",
        )
        self.name = labelled(
            w.Text(description="Name", placeholder="as the file is called"), width="240px"
        )
        self.start = button("Import", "plus", self._import, spawn)
        self.confirmation = Confirmation(spawn)
        self.view = page(
            hint(
                "A .pt file of your browser's machine, or of this one; no code in it runs.",
                "Such a file can hold code that runs when it is loaded, so it is read without "
                "running it, and written again as layers and numbers: only that is ever loaded.",
            ),
            row(self.name, self.upload),
            row(self.path, self.start),
            self.confirmation.view,
        )

    def close(self) -> None:
        """Remove what was uploaded and not imported, and take the button away."""
        self._incoming.clear()
        self.upload.close()

    async def _import(self) -> None:
        path = self.path.value.strip()
        if not path:
            raise ValueError("Say where the weights file lies first.")
        await self._look_into(path, path)

    def _take(self, message: Mapping[str, Any], piece: bytes) -> None:
        self._spawn(lambda: self._take_piece(message, piece))

    async def _take_piece(self, message: Mapping[str, Any], piece: bytes) -> None:
        try:
            path = await asyncio.to_thread(self._incoming.take, message, piece)
        except (ValueError, OSError):
            self.upload.give_up(message)
            raise
        self.upload.take_next(message)
        if path is not None:
            await self._look_into(str(path), str(message["name"]))

    async def _look_into(self, path: str, origin: str) -> None:
        self.confirmation.withdraw()
        name = self.name.value
        report = await self._model.check(path)
        if report.is_harmless:
            await self._add(path, name, origin, trust=False)
            return
        found = ", ".join(report.suspicious)
        self.confirmation.ask(
            f"<b>{escape(origin)}</b> holds code that a model has no use for: "
            f"<code>{escape(found)}</code>. It was not run. Loading the file runs it with all "
            f"your rights, once, before it is written again without it. Do you know who made "
            f"it, and what it does?",
            "Yes, load it and run its code",
            lambda: self._add(path, name, origin, trust=True),
        )

    async def _add(self, path: str, name: str, origin: str, *, trust: bool) -> None:
        await self._model.add(path, name, trust=trust, origin=origin)
        self._incoming.clear()
        self.path.value = self.name.value = ""


class TrashPage:
    """The deleted models: bring one back, or remove it for good.

    Parameters
    ----------
    model : ModelsModel
    spawn : callable
    """

    title = "Trash"

    def __init__(self, model: ModelsModel, spawn: Spawn) -> None:
        self._model = model
        self.entry = choice("Deleted", max_width="100%")
        self.restore = button("Restore", "history", self._restore, spawn)
        self.remove = button("Remove for good …", "trash", self._ask, spawn)
        self.confirmation = Confirmation(spawn)
        self.empty = w.HTML(empty("The trash is empty."))
        self._entries = row(self.entry, self.restore, self.remove)
        self.view = page(self.empty, self._entries, self.confirmation.view)
        model.observe(self._show, "trash")
        self._show()

    def _show(self, _change: Any = None) -> None:
        entries = self._model.trash
        titles = [
            (f"{e.name}, {e.deleted_at.astimezone():%Y-%m-%d %H:%M:%S}", e.id) for e in entries
        ]
        set_options(self.entry, titles)  # which chooses one: a list that was empty has none
        reason = "" if entries else "The trash is empty."
        self.confirmation.withdraw()
        show(self._entries, bool(entries))
        show(self.empty, not entries)
        allow(self.entry, reason, "Which one")
        allow(self.remove, reason, "Remove it with its weights; asks first")
        allow(self.restore, reason, "Bring it back, with its weights")

    async def _restore(self) -> None:
        if self.entry.value:
            await self._model.restore(self.entry.value)

    async def _ask(self) -> None:
        entry_id = self.entry.value
        name = next(e.name for e in self._model.trash if e.id == entry_id)
        words = f"Remove <b>{escape(name)}</b> with its weights? This cannot be undone."
        self.confirmation.ask(words, "Remove for good", lambda: self._model.purge(entry_id))


def _export_words(made: ExportResult) -> str:
    check = made.check
    made_of = (
        f"<p><b>{escape(str(made.path))}</b>: {made.size_bytes / 1e6:.1f} MB, for squares of "
        f"{made.image_size} pixels, made in {made.seconds:.1f} s.</p>"
    )
    if not check.is_conclusive:
        return (
            f"{made_of}<p>⚠ Nothing could be compared: the model itself finds nothing on the "
            f"{counted(check.images, 'image that was', 'images that were')} tried.</p>"
        )
    verdict = "✓ It finds the same" if check.agrees else "⚠ It does not find the same"
    return (
        f"{made_of}<p>{verdict}: {counted(check.boxes, 'box', 'boxes')} on "
        f"{counted(check.images, 'image')} from a confidence of {check.confidence:.2g} on, "
        f"{check.unmatched} of them unmatched, edges at most "
        f"{check.max_offset:.2f} pixels apart, confidences "
        f"{check.max_confidence_difference:.4f}.</p>"
    )
