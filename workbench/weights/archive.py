"""The zip that torch writes, taken apart; what two readers could read differently is refused."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import ArchiveError, InvalidModelError
from workbench.persistence.archive.end_records import find_end
from workbench.persistence.archive.format import (
    CENTRAL,
    END,
    END64,
    END_SIGNATURE,
    FLAG_DESCRIPTOR,
    LOCAL,
    LOCATOR,
    STORED,
)
from workbench.persistence.archive.reader import Archive, Member
from workbench.persistence.models import ArchiveLimits

MAX_BYTES = 4 * 2**30 - 1
"""Of a weights file: below it, no number in a zip needs a second place to stand in."""
MAX_MEMBERS = 50_000
"""In a weights file: one for each tensor, and some."""

_INNER = re.compile(
    r"data\.pkl|byteorder|version|\.format_version|\.storage_alignment|\.data/serialization_id"
    r"|data/\d{1,9}"
)
_DESCRIPTORS = (16, 24)  # signature, checksum and two sizes of four or of eight bytes
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's number in front, pickled
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_AGAIN = "get it again from where it comes from"


class WeightsArchive:
    """A weights file as torch writes it. To be used with ``with``.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InvalidModelError
        If it is no such file, or one that could be read in more than one way.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Nothing in it may be compressed, so that no ratio is needed.
        limits = ArchiveLimits(
            max_members=MAX_MEMBERS, max_total_bytes=MAX_BYTES, max_ratio=float("inf")
        )
        try:
            self._zip = Archive.open(path, limits)
        except ArchiveError as error:
            raise self._refusal(_older_form(path) or str(error)) from error
        try:
            self._members = self._check_layout()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> WeightsArchive:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def pickle(self, most: int) -> bytes:
        """Return the pickle, which is at most so many bytes."""
        member = self._members["data.pkl"]
        if member.size > most:
            raise InvalidModelError(
                f"{self._path}: its pickle, the description of the model, has {member.size:,} "
                f"bytes; at most {most:,} are read, which is ten times what the largest models "
                "need"
            )
        return b"".join(self._chunks(member))

    def size(self, key: str) -> int | None:
        """Return how many bytes the numbers of a tensor are, None if there are none of this key."""
        member = self._members.get(f"data/{key}")
        return None if member is None else member.size

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield the numbers of a tensor; a wrong checksum shows at the end."""
        return self._chunks(self._members[f"data/{key}"])

    def _chunks(self, member: Member) -> Iterator[bytes]:
        try:
            yield from self._zip.chunks(member)
        except ArchiveError as error:
            raise self._refusal(str(error)) from error

    def _check_layout(self) -> dict[str, Member]:
        self._check_end()
        inner: dict[str, Member] = {}
        tops: set[str] = set()
        end = 0
        for member in self._zip.members:
            name = member.raw_name.decode("utf-8", "replace")
            top, _, rest = name.partition("/")
            tops.add(top)
            if "/code/" in f"/{name}" or rest == "constants.pkl":
                raise self._refusal("it is a TorchScript archive")
            if not top or not _INNER.fullmatch(rest):
                raise self._refusal(f"it holds {name!r}, which torch does not write")
            if member.method != STORED:
                raise self._refusal(f"{name!r} is compressed, which torch does not do")
            if member.offset != end:
                raise self._refusal(f"there are bytes in front of {name!r} that belong to nothing")
            self._check_end_of(member, name)
            end = member.end
            inner[rest] = member
        if len(tops) > 1:
            raise self._refusal("its members lie in several folders")
        if "data.pkl" not in inner:
            raise self._refusal("there is no pickle in it")
        order = inner.get("byteorder")
        if order is not None and (order.size > 8 or b"".join(self._chunks(order)) != b"little"):
            raise self._refusal("it was written on a machine with another order of bytes")
        return inner

    def _check_end(self) -> None:
        """See that directory and end record are as short as they can be: no room for another."""
        with io.FileIO(self._path) as file:
            length = file.seek(0, io.SEEK_END)
            end = find_end(file, self._path, length)
            file.seek(-END.size, io.SEEK_END)
            signature, *_, comment = END.unpack(file.read(END.size))
        shortest = sum(CENTRAL.size + len(member.raw_name) for member in self._zip.members)
        rest = length - end.offset - end.size - END.size
        if signature != END_SIGNATURE or comment or rest not in (0, END64.size + LOCATOR.size):
            raise self._refusal("there is more behind its directory than an end record")
        if end.size != shortest:
            raise self._refusal("its directory holds more than names and sizes")

    def _check_end_of(self, member: Member, name: str) -> None:
        """See that nothing stands between a member's contents and what comes next."""
        try:
            end = self._zip.check(member) + member.packed_size
        except ArchiveError as error:
            raise self._refusal(str(error)) from error
        length = member.end - end
        with self._path.open("rb") as file:
            file.seek(member.offset)
            flags = LOCAL.unpack(file.read(LOCAL.size))[2]
            file.seek(end)
            found = file.read(length) if length in _DESCRIPTORS else b""
        if not flags & FLAG_DESCRIPTOR and not length:
            return
        width = max(length - 8, 0) // 2
        sizes = 2 * member.size.to_bytes(8, "little")[:width]
        expected = _DESCRIPTOR_SIGNATURE + member.crc.to_bytes(4, "little") + sizes
        if not flags & FLAG_DESCRIPTOR or found != expected:
            raise self._refusal(f"there are bytes behind {name!r} that belong to nothing")

    def _refusal(self, reason: str) -> InvalidModelError:
        reason = reason.removeprefix(f"{self._path}: ").removeprefix(f"{self._path}, ")
        reason = reason.partition("; if that is right, pass limits")[0]  # not where it is read
        return InvalidModelError(
            f"{self._path}: expected weights of Ultralytics (best.pt), a zip exactly as torch "
            f"writes it; {reason}; {_AGAIN}"
        )


def _older_form(path: Path) -> str:
    """Return in words which form of before the zip a file has; empty: none."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_LEGACY):
        return (
            "this is a file of an old PyTorch (before 1.6), which wrote no zip: whoever has made "
            "it can load it and save it again with a newer one"
        )
    if _PICKLE.match(head):
        return "this is a pickle by itself, which is not what torch writes"
    return ""
