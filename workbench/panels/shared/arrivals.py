"""What is dropped to be imported: files of the browser's machine, put together on disk.

Folders and archives may be larger than the memory, so each piece goes to a temporary folder at
once. Nothing of it outlives the kernel; of one that was killed, the next removes it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.errors import ImportFormatError
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.scratch import scratch_prefix

MAX_NAME, MAX_NAME_BYTES = 200, 255
"""Letters of a file's or folder's name: more do not fit where names are longer than here; and
bytes, of which disks take no more."""


@dataclass(slots=True)
class _Coming:
    """Files that were dropped together, as far as they have come."""

    sender: tuple[str, int]
    folder: tempfile.TemporaryDirectory[str]
    tops: dict[str, None]
    refused: list[str]


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was dropped, whole.

    Parameters
    ----------
    path : Path
        The file, or the folder.
    origin : str
        What people call it.
    name : str
        For a dataset that is made of it; empty: as `path` is called.
    """

    path: Path
    origin: str
    name: str = ""


class Arrivals:
    """Puts what is dropped together; what comes next takes the place of what came before."""

    def __init__(self) -> None:
        self._coming: _Coming | None = None

    def take(self, message: Mapping[str, Any], piece: bytes) -> Arrived | None:
        """Take a piece of a file; return what was dropped once all of it is there.

        Parameters
        ----------
        message : mapping
            As for `workbench.panels.shared.uploads.Uploads.take`; and ``path``, the file's name
            with the folders that were dropped with it.
        piece : bytes

        Raises
        ------
        ImportFormatError
            If a file cannot be read or named; nothing more of it is taken.
        OSError
            If it cannot be written.
        """
        sender = str(message["session"]), int(message["batch"])
        if self._coming is None or self._coming.sender != sender:
            if int(message["index"]) or int(message["offset"]):
                return None  # of what was given up meanwhile
            self.clear()
            folder = tempfile.TemporaryDirectory(prefix=scratch_prefix("import"))
            self._coming = _Coming(sender, folder, {}, [])
        coming = self._coming
        path = _checked(str(message["path"]))
        if message.get("unreadable"):
            raise ImportFormatError(f"{path}: the browser cannot read it; drop it again")
        coming.tops[path.parts[0]] = None
        place = Path(coming.folder.name, *path.parts)
        offset, size = int(message["offset"]), int(message["size"])
        if offset == 0:
            place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb" if offset == 0 else "ab") as file:
            if file.tell() != offset:
                raise ImportFormatError(
                    f"{path}: expected the bytes from {file.tell()} on, found {offset}; drop it "
                    f"again"
                )
            file.write(piece)
        is_last = int(message["index"]) + 1 == int(message["files"])
        if not is_last or offset + len(piece) < size:
            return None
        home = Path(coming.folder.name)
        [top, *more] = coming.tops
        if more:
            origin = f"{len(coming.tops):,} files and folders from the browser"
            return Arrived(home, origin, "pictures")
        if Path(top).suffix.lower() in IMAGE_EXTENSIONS and (home / top).is_file():
            return Arrived(home, f"{top} (from the browser)", Path(top).stem)  # it lies there alone
        return Arrived(home / top, f"{top} (from the browser)")

    def clear(self) -> None:
        """Remove what has come."""
        if self._coming is not None:
            self._coming.folder.cleanup()
        self._coming = None

    def named(self, text: str) -> str:
        """Return a message about what was dropped without the folder that it lies in."""
        return text if self._coming is None else text.replace(f"{self._coming.folder.name}/", "")


def _checked(name: str) -> PurePosixPath:
    """Return a path that stays inside the folder, whatever the browser says."""
    parts = name.replace("\\", "/").split("/")
    for part in parts:
        is_long = len(part) > MAX_NAME or len(part.encode(errors="replace")) > MAX_NAME_BYTES
        if part in ("", ".", "..") or is_long or not part.isprintable():
            raise ImportFormatError(
                f"{name[:MAX_NAME]!r}: expected a file's name with its folders, without control "
                f"characters and each of at most {MAX_NAME} letters ({MAX_NAME_BYTES} bytes); "
                f"rename it and drop it again"
            )
    return PurePosixPath(*parts)
