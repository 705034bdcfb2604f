"""The model behind the page of an export: what goes out, in which form, and where to.

No widgets: `page` says what is to be seen. What the format cannot hold is said before anything
is written. A download is written to a temporary file first, which the page then takes piece by
piece: no message and no memory holds all of it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import traitlets

from workbench.datasets.changes import counted
from workbench.datasets.formats.export_plan import ExportPlan
from workbench.datasets.formats.exporting import plan_export
from workbench.datasets.formats.writers import WRITERS
from workbench.errors import NotFoundError, WorkbenchError
from workbench.panels.shared.changing import ChangingModel
from workbench.panels.shared.pieces import read_piece
from workbench.panels.shared.python_code import Name, call, code
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.scratch import scratch_prefix

_IMAGES = (
    ("copy", "with the annotations"),
    ("link", "with the annotations, as links where the disk can (a folder only)"),
    ("none", "none: annotations only"),
)


class ExportModel(ChangingModel):
    """One export at a time.

    Parameters
    ----------
    stores : Stores
    groups : callable
        Returns what can go out by name: the words for it and the images; None for all of them.

    Notes
    -----
    Used on one event loop.
    """

    page = traitlets.Dict(help="what is to be seen; empty: nothing of an export")

    def __init__(
        self,
        stores: Stores,
        groups: Callable[[], dict[str, tuple[str, list[ImageKey] | None]]],
    ) -> None:
        super().__init__()
        self._stores = stores
        self._groups_now = groups
        self._groups: dict[str, tuple[str, list[ImageKey] | None]] = {}
        self._dataset = ""
        self._chosen = {"what": "", "format": "yolo", "images": "copy"}
        self._plan: ExportPlan | None = None
        self._problem = ""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._download: Path | None = None

    async def look(self, dataset: str) -> None:
        """Show what an export of a dataset would hold; of what is selected, if something is."""
        self.forget_download()
        self._dataset = dataset
        self._groups = self._groups_now() | {split: (f"split {split}", None) for split in SPLITS}
        self.status = Status()
        await self.choose("what", next(iter(self._groups)))

    async def choose(self, key: str, value: str) -> None:
        """Choose ``what`` goes out, the ``format``, and what becomes of the ``images``.

        Raises
        ------
        ValueError
            If there is no such choice or value.
        """
        allowed: dict[str, Collection[str]] = {
            "what": self._groups,
            "format": WRITERS,
            "images": dict(_IMAGES),
        }
        if key not in allowed or value not in allowed[key]:
            raise ValueError(f"{key}: expected one of {', '.join(allowed.get(key, allowed))}")
        self._chosen[key] = value
        self.forget_download()
        async with self._doing("Looking at what goes out", wait=True, at_once=False):
            await self._look_again()
        self._show()

    async def write(self, path: Path) -> Path:
        """Write it to the kernel's machine, into a new folder or a zip archive.

        If there is something of that name, it gets the next one that is free.

        Raises
        ------
        NotFoundError
            If there is no folder to write into, or nothing to write.
        """
        plan = await self._ready()
        free = await asyncio.to_thread(_free_path, path)
        async with self._doing("Exporting") as task:
            made = await plan.write(free, images=self._chosen["images"], progress=task)
        assert made is not None
        taken = "" if free == path else f" ({path.name} is there already and was left as it is)"
        self.status = Status(f"{counted(plan.num_images, 'image')} exported to {made}{taken}")
        return made

    async def prepare(self) -> Path:
        """Write it to a temporary file, to be taken by the page piece by piece."""
        self.forget_download()
        plan = await self._ready()
        images = "none" if self._chosen["images"] == "none" else "copy"
        scratch = tempfile.TemporaryDirectory(prefix=scratch_prefix("export"))
        path = Path(scratch.name, f"{self._dataset}-{plan.format}.zip")
        try:
            async with self._doing("Packing") as task:
                await plan.write(path, images=images, progress=task)
        except BaseException:
            scratch.cleanup()
            raise
        self._scratch, self._download = scratch, path
        self._show()
        return path

    async def piece(self, start: int) -> tuple[str, int, bytes]:
        """Return the name of the download, how many bytes it has, and some of these.

        Raises
        ------
        NotFoundError
            If there is none any more.
        """
        path = self._download
        if path is None:
            raise NotFoundError("there is no download any more; press Download again")
        total, data = await asyncio.to_thread(read_piece, path, start)
        if start + len(data) >= total:
            self.forget_download()
            self.status = Status(f"{path.name} was sent to your browser.")
        return path.name, total, data

    def as_python(self) -> str:
        """Return what `write` does, to be run in a cell."""
        what = self._chosen["what"]
        named: dict[str, Any] = {"format": self._chosen["format"], "to": self._file_name()}
        if what in SPLITS:
            named["splits"] = [what]
        elif (only := self._groups[what][1]) is not None:
            named["only"] = [tuple(key) for key in only]
        if self._chosen["images"] != "copy":
            named["images"] = self._chosen["images"]
        line = call("await export", Name("get_stores()"), self._dataset, **named)
        return code(("export", "get_stores"), line)

    def _file_name(self) -> str:
        return f"{self._dataset}-{self._chosen['format']}.zip"

    def forget_download(self) -> None:
        """Remove what was written to be downloaded."""
        if self._scratch is not None:
            self._scratch.cleanup()
        self._scratch = self._download = None

    def close(self) -> None:
        """Show nothing any more."""
        self.forget_download()
        self._plan, self._groups = None, {}
        self.status = Status()
        self.page = {}

    async def _ready(self) -> ExportPlan:
        """Return the plan as it is now: somebody may have drawn boxes meanwhile."""
        async with self._doing("Looking at what goes out", wait=True, at_once=False):
            await self._look_again()
        self._show()
        if self._plan is None or not self._plan.num_images:
            raise NotFoundError(self._problem or "there is no picture to export")
        return self._plan

    async def _look_again(self) -> None:
        what = self._chosen["what"]
        self._plan, self._problem = None, ""
        try:
            self._plan = await plan_export(
                self._stores,
                self._dataset,
                format=self._chosen["format"],
                splits=[what] if what in SPLITS else None,
                only=self._groups[what][1],
            )
        except WorkbenchError as error:
            self._problem = str(error)

    def _show(self) -> None:
        plan, download = self._plan, self._download
        self.page = {
            "kind": "export",
            "dataset": self._dataset,
            "whats": [[name, words] for name, (words, _) in self._groups.items()],
            "formats": [[name, writer.title] for name, writer in WRITERS.items()],
            "images": [list(pair) for pair in _IMAGES],
            "chosen": dict(self._chosen),
            "counts": {} if plan is None else _counts(plan),
            "notes": [] if plan is None else plan.notes,
            "problem": self._problem,
            "path": self._file_name(),
            "code": self.as_python(),
            "download": {} if download is None else {"name": download.name},
        }


def _free_path(path: Path) -> Path:
    """Return a path, or the first of ``name-2``, ``name-3`` ... that nothing would be lost at."""
    free, number = path, 2
    while os.path.lexists(free) and not (free.is_dir() and not any(free.iterdir())):
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return free


def _counts(plan: ExportPlan) -> dict[str, Any]:
    return {
        "pictures": plan.num_images,
        "annotations": plan.num_boxes,
        "classes": len(plan.classes),
    }
