"""An export before anything is written, and how it is written: all of it, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from workbench.datasets.changes import counted
from workbench.datasets.formats.file_names import extension
from workbench.datasets.formats.outgoing import OutItem
from workbench.datasets.formats.writers import WRITERS, Content, class_list
from workbench.errors import AlreadyExistsError, ExportError, NotFoundError
from workbench.owner_loop import OwnerLoop
from workbench.persistence import DataStores, links
from workbench.persistence.archive import FolderSink, empty_splits, require_free, write_zip
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.models import SPLITS, Progress, no_progress
from workbench.persistence.rules import require_distinct_by_case
from workbench.persistence.scratch import scratch_prefix
from workbench.persistence.stopping import watched_in_thread

# A folder of such a name is not what anybody means.
_NO_FOLDERS = frozenset(
    {".tar", ".gz", ".tgz", ".xz", ".bz2", ".zst", ".7z", ".rar",
     ".json", ".csv", ".xml", ".ndjson", ".parquet"}
)  # fmt: skip
_IMAGES = ("copy", "link", "none")
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What will be written, and what the format cannot hold; nothing has been written.

    Parameters
    ----------
    format : str
    num_images, num_boxes : int
    classes : list of str
    notes : list of str
    items : list of OutItem
        The pictures with their boxes.
    """

    format: str
    num_images: int
    num_boxes: int
    classes: list[str]
    notes: list[str]
    _stores: DataStores = field(repr=False)
    _dataset: str = field(repr=False)
    _home: str = field(repr=False)
    items: list[OutItem] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        """Return the plan in a few lines."""
        counts = f"{counted(self.num_images, 'image')}, {counted(self.num_boxes, 'box', 'boxes')}"
        return "\n".join(
            [f"{self.format}: {counts}", f"classes: {', '.join(self.classes)}", *self.notes]
        )

    async def write(
        self,
        to: Path | str | BinaryIO,
        *,
        images: str = "copy",
        overwrite: bool = False,
        progress: Progress = no_progress,
    ) -> Path | None:
        """Write it: all of it, or nothing.

        Parameters
        ----------
        to : Path, str or binary file
            A folder that is not there yet or is empty; an archive, if it ends in ``.zip``; or
            something open for writing, which gets a zip archive.
        images : str
            ``copy`` pictures, ``link`` them (in a folder, where the disk can), or ``none``.
        overwrite : bool
            Replace an archive that is there, when the new one is complete. A folder that holds
            something is never replaced.

        Raises
        ------
        AlreadyExistsError
            If the folder holds something, or the archive is there and was not to be replaced.
        NotFoundError
            If there is no folder to write into.
        StorageError, ReadOnlyError
            If the disk is full, or may not be written to.
        InvalidDatasetError
            If two images would be one file on a disk that ignores upper and lower case.
        """
        if images not in _IMAGES:
            raise ExportError(f"images: expected one of {', '.join(_IMAGES)}, found {images!r}")
        owner = OwnerLoop()
        place = os.fspath(to) if isinstance(to, str | Path) else "a stream"
        with in_our_words(f"{self._dataset}, export to {place}"):

            def work(report: Progress) -> Path | None:
                return self._write(to, images, overwrite, report, owner)

            return await watched_in_thread(f"export to {place}", work, progress)

    def _write(
        self,
        to: Path | str | BinaryIO,
        images: str,
        overwrite: bool,
        progress: Progress,
        owner: OwnerLoop,
    ) -> Path | None:
        if images != "none":
            for split in SPLITS:  # as for an archive of the store
                require_distinct_by_case(
                    (i.filename for i in self.items if i.split == split), split
                )
        if isinstance(to, str | Path) and (kind := extension(Path(to).name)) in _NO_FOLDERS:
            raise ExportError(
                f"{to}: expected a name that ends in .zip, or that of a folder to be made; {kind} "
                f"files are not written"
            )
        entries = self._entries(images != "none", owner)
        if not isinstance(to, str | Path):
            with tempfile.TemporaryDirectory(prefix=scratch_prefix("export")) as scratch:
                path = write_zip(Path(scratch) / "out.zip", _whole(entries), progress=progress)
                with path.open("rb") as file:
                    shutil.copyfileobj(file, to, _BLOCK_BYTES)
            return None
        target = Path(to).expanduser().absolute()
        if target.suffix.lower() == ".zip":
            require_free(target, overwrite=overwrite)
            return write_zip(target, _whole(entries), progress=progress, total=len(self.items))
        return self._write_folder(target, entries, images == "link", progress)

    def _entries(self, with_images: bool, owner: OwnerLoop) -> Iterator[tuple[str, str | Content]]:
        writer = WRITERS[self.format]
        yield from writer.files(self.items, self.classes)
        if not writer.keeps_order and (listed := class_list(self.classes)):
            yield "classes.txt", listed
        if self.format == "yolo":
            # Every folder that data.yaml names has to be there, also an empty one.
            used = {item.split for item in self.items} if with_images else set()
            yield from empty_splits(f"images/{split}/" for split in used)
        if not with_images:
            return
        home = self._home
        root = os.path.realpath(home)
        outside: list[str] = []
        folders: dict[str, tuple[links.Split, bool]] = {}
        for item in self.items:
            name = writer.picture.format(split=item.split, filename=item.filename)
            if item.split not in folders:
                folder = links.Split.look(root, f"images/{item.split}", outside)
                folders[item.split] = folder, Path(folder.path).is_dir()
            folder, on_disk = folders[item.split]
            # Links within the dataset lead here; what is read is what was looked at.
            _, path = folder.entry(item.filename, outside)
            if outside:
                raise links.refusal(self._dataset, home, outside, "nothing was exported")
            if on_disk:
                yield name, path
                continue
            read = self._stores.image.read_bytes(self._dataset, item.split, item.filename)
            yield name, owner.wait_for(read)

    def _write_folder(
        self,
        target: Path,
        entries: Iterator[tuple[str, str | Content]],
        link: bool,
        progress: Progress,
    ) -> Path:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise AlreadyExistsError(
                f"{target}: expected no such folder, or an empty one; nothing was written: choose "
                f"another name, or empty it yourself first"
            )
        if not target.parent.is_dir():
            raise NotFoundError(
                f"{target}: expected a folder {target.parent} to write into, found none; make it "
                f"first, or choose another"
            )
        prefix = scratch_prefix("export", target.parent)
        building = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            sink = FolderSink(building)
            for done, (name, content) in enumerate(entries, start=1):
                if name.endswith("/"):
                    (building / name).mkdir(parents=True, exist_ok=True)
                elif isinstance(content, bytes):
                    sink.write(name, content)
                elif not isinstance(content, str):
                    sink.write_chunks(name, content)
                elif not (link and _linked(content, building / name)):
                    sink.write_chunks(name, _blocks(content))
                progress(done, len(self.items))
            building.chmod(0o755)
            if target.exists():
                target.rmdir()
            building.rename(target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return target


def _whole(entries: Iterator[tuple[str, str | Content]]) -> Iterator[tuple[str, str | bytes]]:
    """Yield entries with what comes in pieces put together: an archive has its length first."""
    for name, content in entries:
        yield name, content if isinstance(content, str | bytes) else b"".join(content)


def _linked(source: str, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        return False
    return True


def _blocks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
