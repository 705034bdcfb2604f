r"""Versions as bytes: written and read some images at a time, however large their labels are.

The first line is JSON, `VersionInfo`, that a listing reads alone. Behind it stands, compressed,
one JSON object with everything else. It is written on lines::

    {"extra": {}, "prompts": {}, "tags": {}, "trash": {
    "trash/1/labels/train/c.txt": "0 0.5 0.5 0.2 0.2\n"
    }, "images": [
    ["train", "a.jpg", "9f86d0...", 1234, "0 0.5 0.5 0.2 0.2\n"],
    ["train", "b.jpg", "60303a...", 1234, null]
    ]}

so that it can be read line by line. One on a single line, as earlier programs wrote it, is read
as a whole.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.stored_json import (
    MALFORMED,
    bytes_of,
    kept,
    loads,
    malformed,
    packed,
    parse_json,
    texts,
    time_of,
    unpacked_lines,
)
from workbench.persistence.tags import check_tags
from workbench.persistence.version_models import VersionInfo
from workbench.persistence.versions import Contents, Entry
from workbench.persistence.yolo.data_yaml import OUR_KEYS, DataYaml
from workbench.persistence.yolo.names import could_be_image

_EXPECTED = "a version of a dataset"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TRASH = b', "trash": {'
_IMAGES = b'}, "images": ['
_END = b"]}"

LONGEST_LINE = 1 << 22
"""Bytes of the first line, beyond which no more is read."""


# --- writing ------------------------------------------------------------------------------


def to_bytes(info: VersionInfo, contents: Contents) -> bytes:
    """Return the bytes of a version's file."""
    head = {
        "format": 1,
        "name": info.name,
        "created_at": info.created_at.isoformat(),
        "note": info.note,
        "automatic": info.automatic,
        "classes": info.classes,
        "num_images": info.num_images,
        "num_labelled": info.num_labelled,
        "digest": info.digest,
        "serial": info.serial,
    }
    return packed(lambda: _body(contents), 6, head=json.dumps(head).encode() + b"\n")


def _body(contents: Contents) -> Iterator[bytes]:
    """Yield what stands behind the first line: never more than one label file at a time."""
    facts = {
        "extra": contents.yaml.extra,
        "prompts": {str(class_id): texts for class_id, texts in contents.prompts.items()},
        "tags": contents.tags,
    }
    # Dates and the like, which data.yaml may hold, are no JSON; they come back as text.
    yield json.dumps(facts, default=str).encode().removesuffix(b"}") + _TRASH
    trash = ({path: kept(data)} for path, data in contents.trash.items())
    yield from _on_lines(json.dumps(one)[1:-1] for one in trash)
    yield _IMAGES
    images = contents.images.items()
    yield from _on_lines(
        json.dumps([split, filename, entry.sha256, entry.size, kept(entry.label)])
        for (split, filename), entry in images
    )
    yield _END


def _on_lines(values: Iterable[str]) -> Iterator[bytes]:
    mark = b"\n"
    for value in values:
        yield mark + value.encode()
        mark = b",\n"
    yield b"\n"


# --- reading ------------------------------------------------------------------------------


def read_info(line: bytes, path: str) -> VersionInfo:
    """Read the first line of a version's file; `path` is for the message.

    Raises
    ------
    InvalidDatasetError
        If it is none.
    """
    head = parse_json(line, path, _EXPECTED)
    try:
        info = VersionInfo(
            name=head["name"],
            created_at=time_of(head["created_at"]),
            note=str(head["note"]),
            automatic=bool(head["automatic"]),
            classes=texts(head["classes"]),
            num_images={split: int(head["num_images"][split]) for split in SPLITS},
            num_labelled={split: int(head["num_labelled"][split]) for split in SPLITS},
            digest=str(head["digest"]),
            serial=int(head.get("serial", 0)),
        )
        if os.path.basename(path) != f"{info.name}.version":
            raise ValueError(f"the name {info.name!r}")
        if info.created_at.tzinfo is None:
            raise ValueError(f"a time without time zone, {info.created_at}")
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error
    return info


def from_bytes(data: bytes, path: str) -> tuple[VersionInfo, Contents]:
    """Read a version's file; raises as `read_info` does."""
    return from_file(io.BytesIO(data), path)


def from_file(file: BinaryIO, path: str) -> tuple[VersionInfo, Contents]:
    """Read a version's file that is open at its start; raises as `read_info` does."""
    info = read_info(file.readline(LONGEST_LINE), path)
    try:
        body = _Body(unpacked_lines(file))
        extra = dict(body.facts["extra"])
        if extra.keys() & OUR_KEYS:
            raise ValueError(f"other folders in its data.yaml, {extra!r}")
        prompts = {int(number): texts(values) for number, values in body.facts["prompts"].items()}
        tags = check_tags({tag: list(names) for tag, names in body.facts["tags"].items()})
        trash = {name: label for name, label in body.trash() if label is not None}
        images = dict(body.images())
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error
    return info, Contents(DataYaml(list(info.classes), extra), prompts, tags, images, trash)


def shas_of(file: BinaryIO, path: str) -> set[str]:
    """Return the SHA-256 of every image that a version keeps; raises as `read_info` does."""
    read_info(file.readline(LONGEST_LINE), path)
    try:
        body = _Body(unpacked_lines(file))
        for _ in body.trash():
            pass
        return {entry.sha256 for _, entry in body.images()}
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error


class _Body:
    """What stands behind the first line, read in the order in which it stands there.

    Parameters
    ----------
    lines : iterator of bytes

    Raises
    ------
    ValueError, LookupError, TypeError and the like, see `MALFORMED`
        By each method, if a stranger has written it.
    """

    def __init__(self, lines: Iterator[bytes | bytearray]) -> None:
        first = next(lines)
        self._lines = lines if first.endswith(_TRASH) else None
        self.facts: Any = loads(first.removesuffix(_TRASH) + b"}" if self._lines else first)
        if self._lines is None:
            self._require_end(lines)

    def trash(self) -> Iterator[tuple[str, bytes | None]]:
        if self._lines is None:
            yield from ((name, bytes_of(label)) for name, label in self.facts["trash"].items())
            return
        for line in self._lines:
            if line == _IMAGES:
                return
            for name, label in loads(b"{" + line.removesuffix(b",") + b"}").items():
                yield name, bytes_of(label)
        raise ValueError("no images")

    def images(self) -> Iterator[tuple[ImageKey, Entry]]:
        if self._lines is None:
            yield from (_entry(*values) for values in self.facts["images"])
            return
        for line in self._lines:
            if line == _END:
                self._require_end(self._lines)
                return
            yield _entry(*loads(line.removesuffix(b",")))
        raise ValueError("it ends too early")

    @staticmethod
    def _require_end(lines: Iterator[bytes | bytearray]) -> None:
        if next(lines, None) is not None:
            raise ValueError("something behind its end")


def _entry(split: Any, filename: Any, sha256: Any, size: Any, label: Any) -> tuple[ImageKey, Entry]:
    # Each becomes a path, so whoever wrote them, they lead to one image and nowhere else.
    if split not in SPLITS or not could_be_image(filename):
        raise ValueError(f"an image {split!r}/{filename!r}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or not isinstance(size, int):
        raise ValueError(f"{sha256!r} of {size!r} bytes for the image {split}/{filename}")
    return (split, filename), Entry(sha256, size, bytes_of(label))
