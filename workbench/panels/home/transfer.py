"""Datasets that come from the browser's machine to the home page, and go there.

What is dropped or chosen comes in pieces, is put together on disk, and is brought in. A download
is packed as a zip first; then the page asks for one piece after the other.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import NotFoundError, WorkbenchError
from workbench.panels.home.model import HomeModel
from workbench.panels.shared.arrivals import Arrivals
from workbench.panels.shared.pieces import read_piece
from workbench.panels.shared.status import Status
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.models import DatasetInfo

Tell = Callable[[Mapping[str, Any], list[bytes]], object]
"""Sends a message to the pages, with its buffers."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """A dataset as a zip, to be taken by one page."""

    folder: tempfile.TemporaryDirectory[str]
    path: Path


class HomeTransfer:
    """Takes what pages send, and gives them what they ask for; used on the owner loop.

    Parameters
    ----------
    model : HomeModel
    tell : callable
    """

    def __init__(self, model: HomeModel, tell: Tell) -> None:
        self._model = model
        self._tell = tell
        self._arrivals = Arrivals()
        self._arriving = asyncio.Lock()  # pieces are put together in the order in which they came
        self._packed: dict[str, _Packed] = {}

    async def take(self, message: Mapping[str, Any], piece: bytes) -> DatasetInfo | None:
        """Take a piece of what was dropped; return the dataset that was made of all of it.

        Parameters
        ----------
        message : mapping
            As for `Arrivals.take`; and ``dataset``, the name that it shall have, if any.
        piece : bytes
        """
        answer = {"kind": "arrived", "to": message["session"], "batch": message["batch"]}
        try:
            async with self._arriving:
                arrived = await asyncio.to_thread(self._arrivals.take, message, piece)
        except (WorkbenchError, OSError):
            self._arrivals.clear()
            self._tell(answer | {"refused": True}, [])
            raise
        self._tell(answer, [])
        if arrived is None:
            return None
        path = arrived.path
        if path.is_file() and path.suffix.lower() in IMAGE_EXTENSIONS:
            path = path.parent
        try:
            return await self._model.bring_in(path, str(message.get("dataset", "")))
        except WorkbenchError as error:  # told without the folder that it came into
            self._model.status = Status(self._arrivals.named(str(error)), "problem")
            return None
        finally:
            self._arrivals.clear()

    async def pack(self, name: str, session: str) -> None:
        """Pack a dataset for a page, which will ask for it piece by piece."""
        self._forget(session)
        folder = tempfile.TemporaryDirectory(prefix="workbench-download-")
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
        """Forget what has come so far, and what was to be sent."""
        self._arrivals.clear()
        for session in list(self._packed):
            self._forget(session)

    def _forget(self, session: str) -> None:
        packed = self._packed.pop(session, None)
        if packed is not None:
            packed.folder.cleanup()
