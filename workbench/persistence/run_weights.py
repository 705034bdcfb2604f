"""The weights of a run: those that Ultralytics writes, and copies that are always whole."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from workbench.persistence.storage.local.atomic import (
    fsync_folder,
    remove_file,
    rename,
    temporary_name,
)


@dataclass(frozen=True, slots=True)
class RunWeights:
    """The weights of one run.

    Ultralytics overwrites its checkpoints in place, and a kill in that moment leaves half a
    file. So copies are kept, each complete at every moment.

    Parameters
    ----------
    folder : Path
        Of the copies.
    own : Path
        Where Ultralytics has its own; may not be there yet.
    """

    folder: Path
    own: Path

    def keep(self, source: Path, name: str) -> Path:
        """Copy weights into the folder under a name, over what is there."""
        return _copy(source, self.folder / name)

    def keep_same(self, kept: str, name: str) -> Path:
        """Give the weights `kept` the second name `name`, without another copy."""
        source, target = self.folder / kept, self.folder / name
        temporary = temporary_name(str(self.folder), hidden=True)
        try:
            # Kept weights are only ever replaced, never written to: a link stays what it is.
            os.link(source, temporary)
            rename(temporary, str(target))
        except OSError:  # a file system without hard links
            return self.keep(source, name)
        finally:
            remove_file(temporary)
        fsync_folder(str(self.folder))
        return target

    def put_back(self, source: Path, name: str) -> Path:
        """Copy weights to where Ultralytics has its own."""
        target = self.own / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target if source == target else _copy(source, target)

    def find(self, name: str) -> Path | None:
        """Return the path of kept weights, or None if there are none."""
        path = self.folder / name
        return path if path.is_file() else None

    def drop(self, name: str) -> None:
        """Remove kept weights that nobody will need any more."""
        remove_file(str(self.folder / name))

    def checkpoints(self) -> list[Path]:
        """Return the files from which training may go on, the newest first, whole ones only."""
        paths = [self.own / "last.pt", self.folder / "last.pt"]
        there = [path for path in paths if path.is_file() and is_whole(path)]
        return sorted(there, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def is_whole(path: Path) -> bool:
    """Whether a weights file is complete: torch writes a zip, whose checksums must be right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error):
        return False


def _copy(source: Path, target: Path) -> Path:
    folder = str(target.parent)
    temporary = Path(temporary_name(folder, hidden=True))
    try:
        shutil.copyfile(source, temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        rename(str(temporary), str(target))
    finally:
        remove_file(str(temporary))
    fsync_folder(folder)
    return target
