"""Datasets that go from the home page to the browser's machine.

A download is packed as a zip first; then the page asks for one piece after the other.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import NotFoundError
from workbench.panels.home.model import HomeModel
from workbench.panels.shared.pieces import read_piece
from workbench.panels.shared.status import Status
from workbench.persistence.scratch import scratch_prefix

Tell = Callable[[Mapping[str, Any], list[bytes]], object]
"""Sends a message to the pages, with its buffers."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """A dataset as a zip, to be taken by one page."""

    folder: tempfile.TemporaryDirectory[str]
    path: Path


class HomeTransfer:
    """Gives pages the datasets that they ask for; used on the owner loop.

    Parameters
    ----------
    model : HomeModel
    tell : callable
    """

    def __init__(self, model: HomeModel, tell: Tell) -> None:
        self._model = model
        self._tell = tell
        self._packed: dict[str, _Packed] = {}

    async def pack(self, name: str, session: str) -> None:
        """Pack a dataset for a page, which will ask for it piece by piece."""
        self._forget(session)
        folder = tempfile.TemporaryDirectory(prefix=scratch_prefix("download"))
        try:
            path = await self._model.pack(name, Path(folder.name))
        except BaseException:
            folder.cleanup()
            self._tell({"kind": "no_piece", "to": session}, [])
            raise
        self._packed[session] = _Packed(folder, path)
        self._tell({"kind": "packed", "to": session, "name": path.name}, [])

    async def send(self, start: int, session: str) -> None:
        """Send the piece that begins at a byte; the last one ends the download."""
        packed = self._packed.get(session)
        if packed is None:
            self._tell({"kind": "no_piece", "to": session}, [])
            raise NotFoundError("There is no download any more: press Download again.")
        total, data = await asyncio.to_thread(read_piece, packed.path, start)
        name = packed.path.name
        answer = {"kind": "piece", "to": session, "start": start, "total": total, "name": name}
        self._tell(answer, [data])
        if start + len(data) >= total:
            self._forget(session)
            self._model.status = Status(f"{name} was sent to your browser.")

    def stop(self) -> None:
        """Forget what was to be sent."""
        for session in list(self._packed):
            self._forget(session)

    def _forget(self, session: str) -> None:
        packed = self._packed.pop(session, None)
        if packed is not None:
            packed.folder.cleanup()
