"""Bring an archive into our layout: open, plan, then one pass over the members.

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
from dataclasses import dataclass
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
from workbench.persistence.archive.format import LARGE_BYTES, refusal
from workbench.persistence.archive.layout import Layout, plan_layout
from workbench.persistence.archive.reader import Archive
from workbench.persistence.models import ArchiveLimits, Progress, no_progress

# The first column of every row (the rest is taken in as that is quicker than searching it).
# Some tools write class ids as "3.0".
_CLASS_IDS = re.compile(rb"^[ \t]*(\d{1,9})(?:\.0*)?[ \t][^\n]*", re.MULTILINE)


_ID_BYTES = 64


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
        members = {member.name: member for member in archive.members if not member.ignored}
        with _naming(archive):
            layout = plan_layout(list(members))
            classes, extra, notes = _describe(archive, members, layout)
        highest = _copy(archive, layout, sink, progress, notes)
    if highest >= len(classes):
        notes.append(
            f"label files use class ids up to {highest} and the archive names {len(classes)} "
            f"classes: the others are called class_{len(classes)} and so on; rename them"
        )
        classes = classes + [f"class_{index}" for index in range(len(classes), highest + 1)]
    elif not classes:
        notes.append("the archive names no classes and has no labels: the dataset has no classes")
    return ArchiveContents(
        classes, extra, notes + layout.notes, layout.num_images, layout.num_labels
    )


@contextmanager
def _naming(archive: Archive) -> Iterator[None]:
    """Put the archive's name before refusals that know a member's name only."""
    try:
        yield
    except ArchiveError as error:
        if str(error).startswith(str(archive.path)):
            raise
        raise ArchiveError(f"{archive.path}, {error}") from error


def _describe(
    archive: Archive, members: dict[str, Member], layout: Layout
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
    lists = {
        name: parse_class_list(_read_small(archive, members[name]), name)
        for name in layout.class_lists
    }
    for name, found in lists.items():
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


def _read_small(archive: Archive, member: Member) -> bytes:
    if member.size > MAX_BYTES:
        raise refusal(
            archive.path,
            member.name,
            expected=f"a text file of at most {MAX_BYTES} bytes",
            found=f"{member.size}",
            remedy="correct it, or leave it out, and repack",
        )
    return archive.read(member)


def _copy(
    archive: Archive, layout: Layout, sink: Sink, progress: Progress, notes: list[str]
) -> int:
    """Hand every member that has a place to the sink; return the highest class id, else -1."""
    ids = _ClassIds()
    total = len(archive.members)
    for done, member in enumerate(archive.members):
        target = None if member.ignored else layout.targets.get(member.name)
        if target is None:
            # Also of what is dropped, lest a damaged name makes an image disappear.
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
        if ids.highest >= MAX_CLASSES:
            raise _too_many_classes(archive, member, ids.highest)
        progress(done + 1, total)
    return ids.highest


def _copy_metadata(
    archive: Archive, member: Member, target: str, sink: Sink, notes: list[str]
) -> None:
    data = _read_small(archive, member)
    problem = metadata.problem_with(target, data)
    if problem is None:
        sink.write(target, data)
    else:
        notes.append(f"{member.name} was dropped: it is damaged ({problem})")


def _too_many_classes(archive: Archive, member: Member, highest: int) -> ArchiveError:
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


class _ClassIds:
    """Finds the highest class id of all label files that pass by."""

    def __init__(self) -> None:
        self.highest = -1

    def add(self, rows: bytes) -> None:
        """Look at a label file, or at some rows of one."""
        for class_id in set(_CLASS_IDS.findall(rows)):
            self.highest = max(self.highest, int(class_id))

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Look at a label file that passes in pieces, which may end inside a row."""
        begun = b""
        for chunk in chunks:
            yield chunk
            rows = begun + chunk
            self.add(rows)
            # The class id stands at the beginning of the row: the rest of a long one can go.
            begun = rows[rows.rfind(b"\n") + 1 :][:_ID_BYTES]
