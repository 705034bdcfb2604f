"""Boxes that wait for a person's review, as bytes: blocks of columns that are only appended.

A block holds what one source proposes for some images, or what a person rejected of it. It
replaces what the same source said of these images before::

    "WBS1"  header bytes  boxes  CRC-32      4 bytes each, little-endian
    header                                   JSON: at, kind, source, images
    boxes of each image                      int32, one for each image
    class ids                                int32 ┐
    normalised xywh                          4 float32 │ one for each box
    scores                                   float32 ┘

A block that a crash cut off fails its checksum and is passed over; what was appended behind it
is found by the next ``WBS1``. The bytes may come from a stranger: nothing in them is believed
before it has been looked at.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.persistence.basic_models import SPLITS, ImageKey
from workbench.persistence.label_models import Prediction
from workbench.persistence.stored_json import MALFORMED, loads, time_of

_log = logging.getLogger(__name__)

Kind = Literal["suggested", "rejected", "restored"]

_KINDS = ("suggested", "rejected", "restored")
_ID = re.compile("[0-9a-f]{16}")
_MAGIC = b"WBS1"
_LENGTHS = struct.Struct("<4sIII")
_BYTES_OF_A_BOX = 4 + 16 + 4
_MOST_CLASSES = 1_000_000
_MOST_TOLD = 200
"""Characters of a source's kind and name that people are shown, and that the history keeps."""


@dataclass(frozen=True, slots=True)
class SuggestionSource:
    """Who proposes boxes.

    Parameters
    ----------
    kind : str
        ``"model"``, ``"weights"``, ``"prompts"``, ``"function"``, ...
    name : str
        Of the model, the file, the function.
    digest : str
        Of the weights; empty where there are none.
    details : mapping
        What else decides the boxes: prompts, classes, the image size. JSON types.
    """

    kind: str
    name: str
    digest: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """16 hexadecimal digits that change with everything above."""
        content = [self.kind, self.name, self.digest, self.details]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def family(self) -> str:
        """What a model that was taught further keeps: what a person rejected stays rejected."""
        return f"{self.kind} {self.name}"

    def __str__(self) -> str:
        """Return what a person is shown: ``model cups (1a2b3c4d)``; it is one line, and no book."""
        told = " ".join(self.family[:_MOST_TOLD].split())
        told = "".join(c if c.isprintable() else "?" for c in told)
        told += " …" if len(self.family) > _MOST_TOLD else ""
        return f"{told} ({self.digest[:8]})" if self.digest else told


@dataclass(frozen=True, slots=True, eq=False)
class SuggestionBlock:
    """What one source says of some images, or what was decided of it.

    Parameters
    ----------
    at : datetime
        With time zone.
    kind : str
        ``"suggested"``; or ``"rejected"`` by a person, or ``"restored"``: not rejected any more.
    source : SuggestionSource
    images : list of str
        ``"train/a.jpg"``; each is there once.
    counts : ndarray of int32, shape (images,)
        Boxes of each image, which may be none.
    class_id : ndarray of int32, shape (boxes,)
    boxes : ndarray of float32, shape (boxes, 4)
        Normalised xywh, in the order of the images.
    score : ndarray of float32, shape (boxes,)
        0..1.
    """

    at: datetime
    kind: Kind
    source: SuggestionSource
    images: list[str]
    counts: npt.NDArray[np.int32]
    class_id: npt.NDArray[np.int32]
    boxes: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.class_id)

    @property
    def file_name(self) -> str:
        """Of the file that it is appended to."""
        return f"{self.source.id}.bin" if self.kind == "suggested" else "decisions.bin"


def new_block(
    source: SuggestionSource,
    predictions: Mapping[ImageKey, Sequence[Prediction]],
    kind: Kind = "suggested",
) -> SuggestionBlock:
    """Say now what a source proposes for images, or what a person rejected of it.

    Raises
    ------
    ValueError
        If a box is not finite, lies outside of its image, or has a class or score that cannot be.
    """
    rows = [p for found in predictions.values() for p in found]
    columns = np.array([(*p.xywh, p.confidence) for p in rows], dtype=np.float32).reshape(-1, 5)
    class_id = np.array([p.class_id for p in rows], dtype=np.int32)
    problem = _problem_with(class_id, columns[:, :4], columns[:, 4])
    if problem:
        raise ValueError(f"suggestions of {source}: {problem}")
    return SuggestionBlock(
        at=datetime.now(UTC),
        kind=kind,
        source=source,
        images=["/".join(key) for key in predictions],
        counts=np.array([len(found) for found in predictions.values()], dtype=np.int32),
        class_id=class_id,
        boxes=np.ascontiguousarray(columns[:, :4]),
        score=np.ascontiguousarray(columns[:, 4]),
    )


def check_source_id(source_id: str) -> str:
    """Return the id of a source, or raise ``ValueError`` if it cannot be one."""
    if not _ID.fullmatch(source_id):
        raise ValueError(f"expected the id of a source (16 digits), found {source_id!r}")
    return source_id


def format_block(block: SuggestionBlock) -> bytes:
    """Return the bytes to append for a block."""
    source = block.source
    header = json.dumps(
        {
            "at": block.at.isoformat(),
            "kind": block.kind,
            "source": {
                "kind": source.kind,
                "name": source.name,
                "digest": source.digest,
                "details": dict(source.details),
            },
            "images": block.images,
        }
    ).encode()  # in ASCII: names of files need not be UTF-8 and then hold lone surrogates
    columns = (block.counts, block.class_id, block.boxes, block.score)
    body = header + b"".join(np.ascontiguousarray(column).tobytes() for column in columns)
    return _LENGTHS.pack(_MAGIC, len(header), len(block), zlib.crc32(body)) + body


def parse_blocks(data: bytes, path: str) -> list[SuggestionBlock]:
    """Read blocks; what is cut off or damaged is passed over and told in the log.

    None is of a later time than one that was appended after it: a clock that was wrong, or a
    stranger's file, would keep what is newer from replacing it.

    Parameters
    ----------
    data : bytes
    path : str
        For the log.
    """
    found = list(_blocks(memoryview(data), data, path))
    latest = datetime.now(UTC)
    for number in reversed(range(len(found))):
        latest = min(latest, found[number].at)
        if found[number].at > latest:
            found[number] = replace(found[number], at=latest)
    return found


def _blocks(view: memoryview, data: bytes, path: str) -> Iterator[SuggestionBlock]:
    at = 0
    while at < len(data):
        try:
            block, end = _block(view, at)
        except MALFORMED as error:
            following = data.find(_MAGIC, at + 1)
            _log.warning("%s: passed over the block at byte %d: %s", path, at, error)
            at = len(data) if following < 0 else following
            continue
        yield block
        at = end


def _block(view: memoryview, at: int) -> tuple[SuggestionBlock, int]:
    start = at + _LENGTHS.size
    if start > len(view):
        raise ValueError("it is cut off")
    magic, header_bytes, num_boxes, checksum = _LENGTHS.unpack(view[at:start])
    if magic != _MAGIC:
        raise ValueError("it does not begin with WBS1")
    behind = start + header_bytes
    if behind + num_boxes * _BYTES_OF_A_BOX > len(view):
        raise ValueError("it is cut off")
    header = loads(bytes(view[start:behind]))
    images = _images(header["images"])
    end = behind + 4 * len(images) + num_boxes * _BYTES_OF_A_BOX
    if end > len(view) or zlib.crc32(view[start:end]) != checksum:
        raise ValueError("it is cut off or damaged")
    if header["kind"] not in _KINDS:
        raise ValueError(f"unknown kind {header['kind']!r}")
    at_time = time_of(header["at"])
    columns = _columns(view, behind, len(images), num_boxes)
    return SuggestionBlock(
        at_time, header["kind"], _source(header["source"]), images, *columns
    ), end


Columns = tuple[
    npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float32]
]


def _columns(view: memoryview, start: int, num_images: int, num_boxes: int) -> Columns:
    counts = np.frombuffer(view, "<i4", num_images, start)
    start += 4 * num_images
    class_id = np.frombuffer(view, "<i4", num_boxes, start)
    start += 4 * num_boxes
    boxes = np.frombuffer(view, "<f4", 4 * num_boxes, start).reshape(-1, 4)
    score = np.frombuffer(view, "<f4", num_boxes, start + 16 * num_boxes)
    if np.any(counts < 0) or int(counts.sum(dtype=np.int64)) != num_boxes:
        raise ValueError(f"its images have not {num_boxes} boxes together")
    problem = _problem_with(class_id, boxes, score)
    if problem:
        raise ValueError(problem)
    return counts, class_id, boxes, score


def _problem_with(
    class_id: npt.NDArray[np.int32], boxes: npt.NDArray[np.float32], score: npt.NDArray[np.float32]
) -> str:
    # One pass over each column: not a number compares as false.
    if not np.all((class_id >= 0) & (class_id < _MOST_CLASSES)):
        return "a class id that cannot be"
    if not np.all((boxes >= 0) & (boxes <= 1)):
        return "a box that is not inside its image"
    if not np.all((score >= 0) & (score <= 1)):
        return "a score that is not in 0..1"
    return ""


def _images(names: Any) -> list[str]:
    if not isinstance(names, list):
        raise ValueError("its images are no list")
    for name in names:
        split, slash, filename = name.partition("/")
        if split not in SPLITS or not slash or not filename:
            raise ValueError(f"{name!r:.80} is no image")
    if len(set(names)) != len(names):
        raise ValueError("an image is in it twice")
    return names


def _source(content: Any) -> SuggestionSource:
    kind, name, digest = (content[key] for key in ("kind", "name", "digest"))
    if not all(isinstance(text, str) for text in (kind, name, digest)):
        raise ValueError("its source has no name")
    return SuggestionSource(kind, name, digest, dict(content["details"]))
