"""Tar archives, packed or not: unpacked into a folder under the same rules as zip archives."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self, cast

from workbench.errors import ArchiveError, WorkbenchError
from workbench.persistence.archive import FolderSink
from workbench.persistence.archive.directory import fold, is_litter, plain_name
from workbench.persistence.archive.format import refusal
from workbench.persistence.models import ArchiveLimits

_TARS = (".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tgz", ".txz", ".tbz2", ".tzst", ".tar")
ARCHIVES = (*_TARS, ".zip")
"""Extensions of all archives that are read."""

LAST_EXTENSIONS = frozenset(name[name.rindex(".") :] for name in ARCHIVES)
"""What the names of archives end in, and those of some other files."""

_RATIO_FROM_BYTES = 1_000_000
_BLOCK_BYTES = 2**20
_EXTENDED = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)
_MOST_OF_A_HEADER, _MOST_OF_SHARED_HEADERS = 2**16, 2**20
_MOST_HEADERS = 8  # in front of one member


def archive_extension(name: str) -> str:
    """Return the extension of an archive's name as it is written; empty if it is none."""
    lower = name.lower()
    return next((name[-len(e) :] for e in ARCHIVES if lower.endswith(e)), "")


def is_archive(name: str) -> bool:
    """Whether a file is an archive, by its name."""
    return bool(archive_extension(name))


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, by its name."""
    return path.is_file() and path.name.lower().endswith(_TARS)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what the libraries raise about a damaged archive into an error that names it."""
    try:
        yield
    # A `ValueError` is what a number gives that is none, in a header of tar's.
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError) as error:
        if isinstance(error, WorkbenchError) or not _is_damage(error):
            raise
        raise _refusal(
            path, "", "a tar archive", str(error), "it is damaged: fetch it again"
        ) from error


def _is_damage(error: BaseException) -> bool:
    return not isinstance(error, OSError) or error.errno is None


def unpack(path: Path, folder: str, limits: ArchiveLimits) -> Path:
    """Unpack regular files into an empty folder, and return it.

    Raises
    ------
    ArchiveError
        If the archive is damaged, has links or names that lead elsewhere, or unpacks to more
        than `limits` allow.
    """
    sink, taken, total = FolderSink(Path(folder)), set[str](), 0
    most = min(
        limits.max_total_bytes,
        max(_RATIO_FROM_BYTES, int(limits.max_ratio * path.stat().st_size)),
    )
    with (
        _stream(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_bounded()) as archive,
    ):
        for count, member in enumerate(archive, start=1):
            cast(Any, archive).members = []  # else all of them stay in memory, with their headers
            if count > limits.max_members:
                raise _refusal(
                    path, "", f"at most {limits.max_members} members", "more", "split it"
                )
            if member.isdir():
                continue
            name = plain_name(path, member.name.removeprefix("./"))
            if not member.isreg():
                raise _refusal(
                    path,
                    name,
                    "regular files only",
                    "a link or a device",
                    "repack the archive with the files themselves",
                )
            total += member.size
            if total > most:
                raise _refusal(
                    path,
                    name,
                    f"at most {most} bytes when unpacked",
                    f"{total} and more",
                    "unpack it yourself if that is right, and import the folder",
                )
            if is_litter(name):
                continue
            if fold(name) in taken:
                raise _refusal(
                    path, name, "names that differ by more than case", "it again", "repack it"
                )
            taken.add(fold(name))
            file = archive.extractfile(member)
            if file is not None:
                sink.write_chunks(name, _blocks(file))
    return Path(folder)


def _bounded() -> type[tarfile.TarInfo]:
    """Return the class of members for one archive, which refuses huge headers.

    A header of names and attributes may stand in front of a member, of any size; tarfile takes
    it whole into memory, and those that are for all members stay there.
    """
    shared = in_a_row = 0

    class Bounded(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            nonlocal shared, in_a_row
            found = super().frombuf(buf, encoding, errors)
            in_a_row = in_a_row + 1 if found.type in _EXTENDED else 0
            if found.type == tarfile.XGLTYPE:
                shared += found.size
            if in_a_row and (
                found.size > _MOST_OF_A_HEADER
                or shared > _MOST_OF_SHARED_HEADERS
                or in_a_row > _MOST_HEADERS
            ):
                raise tarfile.ReadError(
                    f"a header of {found.size:,} bytes, where at most {_MOST_HEADERS} of at most "
                    f"{_MOST_OF_A_HEADER:,} are read"
                )
            return found

    return Bounded


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


@contextmanager
def _stream(path: Path) -> Iterator[IO[bytes]]:
    lower = path.name.lower()
    if lower.endswith((".zst", ".tzst")):
        import zstandard

        with (
            path.open("rb") as packed,
            zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        ):
            try:
                yield stream
            except zstandard.ZstdError as error:
                raise _refusal(path, "", "a tar archive", str(error), "fetch it again") from error
        return
    import bz2
    import gzip

    with path.open("rb") as packed, ExitStack() as stack:
        unpacked: IO[bytes] = packed
        if lower.endswith((".gz", ".tgz")):
            unpacked = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=packed)))
        elif lower.endswith((".xz", ".txz")):
            unpacked = stack.enter_context(lzma.LZMAFile(packed))
        elif lower.endswith((".bz2", ".tbz2")):
            unpacked = stack.enter_context(bz2.BZ2File(packed))
        yield unpacked


def _refusal(path: Path, member: str, expected: str, found: str, remedy: str) -> ArchiveError:
    return refusal(path, member, expected=expected, found=found, remedy=remedy)
