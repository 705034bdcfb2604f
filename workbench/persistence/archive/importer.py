"""Bring an archive or a folder into our layout: open, plan, then one pass over the members.

1. `Archive.open` checks all that the directory tells; `plan_layout` gives every member its
   place; the class names are read. Until here nothing has been written.
2. Each member is read, checked and handed to the sink, in the order of the archive.

An error in the second step leaves the sink with a part of the members: the store writes
into a folder aside and throws it away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from workbench.errors import ArchiveError
from workbench.persistence.archive import metadata
from workbench.persistence.archive.data_yaml import (
    MAX_BYTES,
    MAX_CLASSES,
    parse_class_list,
    parse_data_yaml,
)
from workbench.persistence.archive.directory import Member
from workbench.persistence.archive.folder import Folder
from workbench.persistence.archive.format import LARGE_BYTES, refusal
from workbench.persistence.archive.layout import Layout, images_of, plan_layout
from workbench.persistence.archive.reader import Archive
from workbench.persistence.archive.split_lists import GivenSplits, find_splits
from workbench.persistence.counting import counted
from workbench.persistence.disk_format import format_of, newer_problem
from workbench.persistence.models import ArchiveLimits, Progress, no_progress

# The first column of every row (the rest is taken in as that is quicker than searching it).
# Some tools write class ids as "3.0", and NumPy writes "3.000000000000000000e+00".
_CLASS_IDS = re.compile(
    rb"(?:^|\r)(?:\xef\xbb\xbf)?[ \t]*(\d[\d.eE+\-]{0,60})[ \t][^\r\n]*", re.MULTILINE
)


_ID_BYTES = 64

_LIST_BYTES = 2**26
"""Lists of images up to this size are read: a million long paths."""


Source = Archive | Folder
"""Where members come from, one by one."""


class Sink(Protocol):
    """Where the members go: paths in our layout, parents first seen when first used."""

    def write(self, relative_path: str, data: bytes) -> None:
        """Store a whole file."""

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        """Store a file that is too large to hold; `chunks` may raise at any time."""


@dataclass(frozen=True, slots=True)
class ArchiveContents:
    """What an archive had to say beside the files that went to the sink.

    Parameters
    ----------
    classes : list of str
        Enough for every class id that the label files use.
    extra : dict
        Keys of the archive's ``data.yaml`` worth keeping; JSON's types.
    notes : list of str
        One sentence for each thing that was dropped, renamed or made up.
    num_images, num_labels : dict of str to int
        By split.
    """

    classes: list[str]
    extra: dict[str, object]
    notes: list[str]
    num_images: dict[str, int]
    num_labels: dict[str, int]


def import_archive(
    zip_path: Path | str,
    sink: Sink,
    *,
    limits: ArchiveLimits | None = None,
    progress: Progress = no_progress,
) -> ArchiveContents:
    """Read a dataset out of a zip archive, ours or another tool's.

    Parameters
    ----------
    zip_path : Path or str
    sink : Sink
        Gets images, label files and our metadata, but no ``data.yaml``.
    limits : ArchiveLimits, optional
    progress : callable
        Called with members done and in all; raise from it to cancel.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ArchiveError
        If the archive is refused. The sink may have got members before damage was found.
    """
    with Archive.open(zip_path, limits) as archive:
        return _import(archive, sink, progress, "archive")


def import_folder(
    folder: Path | str, sink: Sink, *, progress: Progress = no_progress
) -> ArchiveContents:
    """Read a dataset out of a folder, ours or another tool's, which stays as it is.

    Parameters
    ----------
    folder : Path or str
    sink, progress
        As in `import_archive`.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    ArchiveError
        If it is refused. The sink may have got files by then.
    """
    with Folder.open(folder) as source:
        found = _import(source, sink, progress, "folder")
        return replace(found, notes=found.notes + source.notes)


def unpack(zip_path: Path | str, sink: Sink, limits: ArchiveLimits | None = None) -> None:
    """Hand all members of an archive to a sink, under their own names.

    Raises
    ------
    NotFoundError, ArchiveError
        As `import_archive` does.
    """
    with Archive.open(zip_path, limits) as archive:
        for member in archive.members:
            if not member.ignored:
                sink.write_chunks(member.name, archive.chunks(member))


def _open(path: Path, limits: ArchiveLimits | None) -> Source:
    return Folder.open(path) if path.is_dir() else Archive.open(path, limits)


def _import(archive: Source, sink: Sink, progress: Progress, what: str) -> ArchiveContents:
    members = {member.name: member for member in archive.members if not member.ignored}
    with _naming(archive):
        layout = plan_layout(list(members), _given_splits(archive, members))
        classes, extra, notes = _describe(archive, members, layout)
    highest = _copy(archive, layout, sink, progress, notes)
    if highest >= len(classes):
        notes.append(
            f"label files use class ids up to {highest} and the {what} names "
            f"{counted(len(classes), 'class', 'classes')}: the others are called "
            f"class_{len(classes)} and so on; rename them"
        )
        classes = classes + [f"class_{index}" for index in range(len(classes), highest + 1)]
    elif not classes:
        notes.append(f"the {what} names no classes and has no labels: the dataset has no classes")
    return ArchiveContents(
        classes, extra, notes + layout.notes, layout.num_images, layout.num_labels
    )


@contextmanager
def _naming(archive: Source) -> Iterator[None]:
    """Put the archive's name before refusals that know a member's name only."""
    try:
        yield
    except ArchiveError as error:
        if str(error).startswith(str(archive.path)):
            raise
        raise ArchiveError(f"{archive.path}, {error}") from error


def _given_splits(archive: Source, members: dict[str, Member]) -> GivenSplits:
    """Return the splits that the archive's own files give to its images."""

    def read(name: str) -> bytes:
        # What cannot be read is told where it is needed; here it gives no splits.
        return archive.read(members[name]) if members[name].size <= _LIST_BYTES else b""

    names = list(members)
    return find_splits(names, images_of(names), read)


def _describe(
    archive: Source, members: dict[str, Member], layout: Layout
) -> tuple[list[str], dict[str, object], list[str]]:
    """Return classes, other keys and notes, from wherever the archive has them."""
    chosen = ""
    classes: list[str] = []
    extra: dict[str, object] = {}
    notes: list[str] = []
    yamls = layout.other_yamls if layout.data_yaml is None else [layout.data_yaml]
    for name in yamls:
        text = _read_small(archive, members[name])
        if name != layout.data_yaml and b"names" not in text:
            # It describes a model, a run or anything else.
            notes.append(f"{name} has no class names and was dropped")
            continue
        found, extra, more = parse_data_yaml(text, name)
        notes += more
        classes = _agree(chosen, classes, name, found)
        chosen = name if found else chosen
    for name in layout.class_lists:
        found, more = parse_class_list(_read_small(archive, members[name]), name)
        if chosen not in yamls:
            notes += more
        if chosen in yamls and found != classes:
            notes.append(f"{name} was dropped: it lists other classes than {chosen}")
        elif chosen not in yamls:
            classes = _agree(chosen, classes, name, found)
            chosen = name if found else chosen
    return classes, extra, notes


def _agree(chosen: str, classes: list[str], name: str, found: list[str]) -> list[str]:
    """Return the classes of two files that name them, which must be the same."""
    if classes and found and classes != found:
        raise ArchiveError(
            f"expected one list of classes, found {chosen!r} and {name!r}, which differ; put "
            f"the right one into data.yaml and repack"
        )
    return classes or found


def _read_small(archive: Source, member: Member) -> bytes:
    if member.size > MAX_BYTES:
        raise refusal(
            archive.path,
            member.name,
            expected=f"a text file of at most {MAX_BYTES} bytes",
            found=f"{member.size}",
            remedy="correct it, or leave it out, and repack",
        )
    return archive.read(member)


def _copy(archive: Source, layout: Layout, sink: Sink, progress: Progress, notes: list[str]) -> int:
    """Hand every member that has a place to the sink; return the highest class id, else -1."""
    ids = _ClassIds()
    total = len(archive.members)
    for done, member in enumerate(archive.members):
        target = None if member.ignored else layout.targets.get(member.name)
        if target is None:
            # Also of what is dropped: a damaged name must not make an image disappear.
            archive.check(member)
        elif target in metadata.CHECKS:
            _copy_metadata(archive, member, target, sink, notes)
        elif member.size > LARGE_BYTES:
            chunks = archive.chunks(member)
            if target.startswith("labels/"):
                chunks = ids.watch(chunks)
            sink.write_chunks(target, _ticking(chunks, progress, done, total))
        else:
            data = archive.read(member)
            if target.startswith("labels/"):
                ids.add(data)
            sink.write(target, data)
        for copy in layout.copies.get(member.name, ()) if target is not None else ():
            sink.write_chunks(copy, archive.chunks(member))
        if ids.highest >= MAX_CLASSES:
            raise _too_many_classes(archive, member, ids.highest)
        progress(done + 1, total)
    return ids.highest


def _copy_metadata(
    archive: Source, member: Member, target: str, sink: Sink, notes: list[str]
) -> None:
    data = _read_small(archive, member)
    newer = newer_problem(format_of(data)) if target == metadata.FACTS else None
    if newer is not None:
        expected, found, remedy = newer
        raise refusal(archive.path, member.name, expected=expected, found=found, remedy=remedy)
    problem = metadata.problem_with(target, data)
    if problem is None:
        sink.write(target, data)
    else:
        notes.append(f"{member.name} was dropped: it is damaged ({problem})")


def _too_many_classes(archive: Source, member: Member, highest: int) -> ArchiveError:
    return refusal(
        archive.path,
        member.name,
        expected=f"class ids below {MAX_CLASSES}",
        found=str(highest),
        remedy="correct the label file and repack",
    )


def _ticking(chunks: Iterator[bytes], progress: Progress, done: int, total: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        progress(done, total)


def _class_id(text: bytes) -> int:
    """Return a class id, -1 for what is none: reading the file will say so."""
    try:
        value = float(text)
    except ValueError:
        return -1
    return int(value) if value < 1e9 and value == int(value) else -1


class _ClassIds:
    """Finds the highest class id of all label files that pass by."""

    def __init__(self) -> None:
        self.highest = -1

    def add(self, rows: bytes) -> None:
        """Look at a label file, or at some rows of one."""
        for class_id in set(_CLASS_IDS.findall(rows)):
            self.highest = max(self.highest, _class_id(class_id))

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Look at a label file that passes in pieces, which may end inside a row."""
        begun = b""
        for chunk in chunks:
            yield chunk
            rows = begun + chunk
            self.add(rows)
            # The class id stands at the beginning of the row: the rest of a long one can go.
            begun = rows[rows.rfind(b"\n") + 1 :][:_ID_BYTES]
