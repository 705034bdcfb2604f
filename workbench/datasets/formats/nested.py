"""Archives in what is imported, one level deep: which are opened, and what stands in their place.

In what holds no pictures of its own all are; beside pictures that nobody has annotated those that
hold annotations and no pictures, and one that is damaged stays the file that it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.datasets.formats import tar
from workbench.datasets.formats.file_names import extension, hidden
from workbench.errors import ArchiveError
from workbench.persistence import IMAGE_EXTENSIONS
from workbench.persistence.archive import Archive, FolderSink, unpack
from workbench.persistence.archive.folder import Folder
from workbench.persistence.models import ArchiveLimits

if TYPE_CHECKING:
    from workbench.datasets.formats.view import FolderView

_ANNOTATED = frozenset({".json", ".xml", ".csv", ".ndjson", ".jsonl"})
"""Extensions of annotation files, whatever these are called; ``.txt`` is that of much else."""


def look_inside(view: FolderView, limits: ArchiveLimits) -> None:
    """Open archives in what has no pictures of its own, or none but pictures."""
    inner = [name for name in view.others(tar.LAST_EXTENSIONS) if tar.is_archive(name)]
    if not view.pictures:
        for name in inner:
            _open(view, name, _on_disk(view, name, limits), limits)
    elif inner and not _is_annotated(view):
        for name in inner:
            try:
                place = _on_disk(view, name, limits)
                if not _holds_annotations_alone(place, limits):
                    continue
            except ArchiveError as error:
                view.notes.append(f"{name} was not opened: {error}")
                continue
            _open(view, name, place, limits)


def _is_annotated(view: FolderView) -> bool:
    """Whether there is a file that could hold the annotations of the pictures."""
    stems = {name[: -len(extension(name))] for name in view.pictures}
    last = {stem.rpartition("/")[2] for stem in stems}
    return any(
        extension(name) in _ANNOTATED
        or (extension(name) == ".txt" and name[:-4].rpartition("/")[2] in last)
        for name in view.names
        if not hidden(name)
    )


def _on_disk(view: FolderView, name: str, limits: ArchiveLimits) -> Path:
    """Return a zip archive on the disk, or the folder that another archive is unpacked in."""
    place = view.place(name)
    try:
        if tar.is_tar(place):
            return view.unpacked(place, limits)
        if view.is_packed(name):
            folder = Path(view.new_folder())
            unpack(place, FolderSink(folder), limits)
            place.unlink()
            return folder
    except ArchiveError as error:
        # Where it was taken out to says nothing to whoever made it.
        raise ArchiveError(str(error).replace(str(place), f"{view.path}, {name}")) from error
    return place


def _holds_annotations_alone(place: Path, limits: ArchiveLimits) -> bool:
    """Whether an archive, or the folder of one, has annotations and no pictures."""
    if place.is_dir():
        members = Folder.open(place).members
    else:
        archive = Archive.open(place, limits)
        members = archive.members
        archive.close()
    kinds = {extension(member.name) for member in members if not member.ignored}
    return bool(kinds & (_ANNOTATED | {".txt"})) and not kinds & IMAGE_EXTENSIONS


def _open(view: FolderView, name: str, place: Path, limits: ArchiveLimits) -> None:
    """Take what an archive holds in its stead.

    A folder that the archive and its only top folder are both called stands there once.
    """
    stem = name[: -len(tar.archive_extension(name))]
    new = view.replace(name, place, f"{stem}/", limits)
    doubled = f"{stem}/{stem.rpartition('/')[2]}/"
    if new and all(one.startswith(doubled) for one in new):
        view.rename({one: f"{stem}/{one[len(doubled) :]}" for one in new})
