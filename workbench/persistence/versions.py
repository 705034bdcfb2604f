"""Named, immutable states of a dataset: what they hold, and the way back to one.

A version is written as one line of JSON, `VersionInfo`, that a listing reads alone, and
behind it everything else, compressed: classes, prompts, tags, and for each image the
SHA-256 of its bytes and the text of its label file. The images' bytes are kept apart, by
their SHA-256, so that versions share them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from workbench.persistence.class_rewrite import Prompts
from workbench.persistence.history import ClassRecord, Record, new_edit, new_moves
from workbench.persistence.models import SPLITS, ImageKey, ImageMove
from workbench.persistence.stored_json import (
    MALFORMED,
    inflate,
    malformed,
    packed,
    parse_json,
    texts,
    time_of,
)
from workbench.persistence.tags import check_tags
from workbench.persistence.version_models import KEPT_AUTOMATIC, VersionInfo
from workbench.persistence.yolo.data_yaml import OUR_KEYS, DataYaml
from workbench.persistence.yolo.label_rows import map_classes
from workbench.persistence.yolo.names import could_be_image, stem

_EXPECTED = "a version of a dataset"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(rb"[\t\n\r -~]*")
_AT_ONCE = 64
"""Images whose labels become text together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a version: SHA-256 and size of its bytes, and its label file, if any."""

    sha256: str
    size: int
    label: bytes | None


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a version keeps.

    Parameters
    ----------
    yaml : DataYaml
    prompts : dict of int to list of str
    tags : dict of str to list of str
    images : dict of (str, str) to Entry
    trash : dict of str to bytes
        Label files in the trash, whose class ids follow the classes.
    """

    yaml: DataYaml
    prompts: Prompts
    tags: dict[str, list[str]]
    images: dict[ImageKey, Entry]
    trash: dict[str, bytes] = field(default_factory=dict)

    def info(self, name: str, note: str, *, automatic: bool, serial: int) -> VersionInfo:
        """Describe a version of these contents that is made now."""
        digest = hashlib.sha256(repr((self.yaml.classes, self.yaml.extra)).encode())
        for (split, filename), entry in sorted(self.images.items()):
            label = None if entry.label is None else hashlib.sha256(entry.label).hexdigest()
            line = f"\n{split}/{filename} {entry.sha256} {label}"
            digest.update(line.encode("utf-8", "surrogateescape"))
        images = Counter(split for split, _ in self.images)
        labelled = Counter(s for (s, _), entry in self.images.items() if entry.label is not None)
        return VersionInfo(
            name=name,
            created_at=datetime.now(UTC),
            note=note,
            automatic=automatic,
            classes=list(self.yaml.classes),
            num_images={split: images[split] for split in SPLITS},
            num_labelled={split: labelled[split] for split in SPLITS},
            digest=digest.hexdigest(),
            serial=serial,
        )


# --- bytes --------------------------------------------------------------------------------


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
    # Dates and the like, which data.yaml may hold, are no JSON; they come back as text.
    return json.dumps(head).encode() + b"\n" + packed(lambda: _body(contents), 6)


def _body(contents: Contents) -> Iterator[bytes]:
    """Yield the body of a version's file, never more than some images at a time."""
    body = {
        "extra": contents.yaml.extra,
        "prompts": {str(class_id): texts for class_id, texts in contents.prompts.items()},
        "tags": contents.tags,
        "trash": {path: _text(data) for path, data in contents.trash.items()},
    }
    yield json.dumps(body, default=str).encode().removesuffix(b"}") + b', "images": ['
    entries = iter(contents.images.items())
    mark = b""
    while some := list(islice(entries, _AT_ONCE)):
        rows = [
            [split, filename, entry.sha256, entry.size, _text(entry.label)]
            for (split, filename), entry in some
        ]
        yield mark + json.dumps(rows).encode()[1:-1]
        mark = b", "
    yield b"]}"


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
    line, _, body_bytes = data.partition(b"\n")
    info = read_info(line, path)
    body: Any = parse_json(inflate(body_bytes, path, _EXPECTED), path, _EXPECTED)
    try:
        extra = dict(body["extra"])
        if extra.keys() & OUR_KEYS:
            raise ValueError(f"other folders in its data.yaml, {extra!r}")
        contents = Contents(
            yaml=DataYaml(list(info.classes), extra),
            prompts={int(number): texts(kept) for number, kept in body["prompts"].items()},
            tags=check_tags({tag: list(names) for tag, names in body["tags"].items()}),
            images=dict(_entry(*values) for values in body["images"]),
            trash={
                name: label
                for name, kept in body["trash"].items()
                if (label := _bytes(kept)) is not None
            },
        )
    except MALFORMED as error:
        raise malformed(path, _EXPECTED, error) from error
    return info, contents


def _entry(split: Any, filename: Any, sha256: Any, size: Any, label: Any) -> tuple[ImageKey, Entry]:
    # Each becomes a path, so whoever wrote them, they lead to one image and nowhere else.
    if split not in SPLITS or not could_be_image(filename):
        raise ValueError(f"an image {split!r}/{filename!r}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or not isinstance(size, int):
        raise ValueError(f"{sha256!r} of {size!r} bytes for the image {split}/{filename}")
    return (split, filename), Entry(sha256, size, _bytes(label))


def _text(data: bytes | None) -> str | dict[str, str] | None:
    """Return a label file for JSON, which makes six bytes of each that is no text."""
    if data is None:
        return None
    if _PLAIN.fullmatch(data):
        return data.decode("ascii")
    return {"base64": base64.b64encode(data).decode("ascii")}


def _bytes(kept: str | dict[str, str] | None) -> bytes | None:
    if isinstance(kept, dict):
        return base64.b64decode(kept["base64"], validate=True)
    return None if kept is None else kept.encode("utf-8", "surrogateescape")


# --- restoring ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restoration:
    """What must happen to the present contents to become those of a version.

    Parameters
    ----------
    place : list of (str, str)
        Images whose bytes come from the version.
    moves : list of ImageMove
    remove : list of (str, str)
        Images that are in the present contents only.
    write : dict of str to bytes
        Label files by their path below the dataset's folder.
    unlink : list of str
        Label files that go.
    trash : dict of str to bytes
        Label files in the trash that get other class ids.
    records : list of Record
        For the history.
    """

    place: list[ImageKey]
    moves: list[ImageMove]
    remove: list[ImageKey]
    write: dict[str, bytes]
    unlink: list[str]
    trash: dict[str, bytes]
    records: list[Record]


def moves_between(first: Contents, second: Contents) -> list[ImageMove]:
    """Return which images of the same name and bytes are in another split."""
    gone: dict[tuple[str, str], str] = {}
    for split, filename in sorted(first.images.keys() - second.images.keys()):
        gone[filename, first.images[split, filename].sha256] = split
    moves = []
    for split, filename in sorted(second.images.keys() - first.images.keys()):
        source = gone.pop((filename, second.images[split, filename].sha256), None)
        if source is not None:
            moves.append(ImageMove(filename, source, split))
    return moves


def plan_restoration(present: Contents, wanted: Contents) -> Restoration:
    """Work out how to get from one state to another."""
    moves = moves_between(present, wanted)
    targets = {(way.to_split, way.filename): (way.from_split, way.filename) for way in moves}
    place = [
        key
        for key, entry in wanted.images.items()
        if key not in targets
        and (key not in present.images or present.images[key].sha256 != entry.sha256)
    ]
    remove = present.images.keys() - wanted.images.keys() - set(targets.values())
    old, new = _labels(present), _labels(wanted)
    mapping = _by_name(present.yaml.classes, wanted.yaml.classes)
    return Restoration(
        place=place,
        moves=moves,
        remove=sorted(remove),
        write={path: data for path, data in new.items() if old.get(path) != data},
        unlink=sorted(old.keys() - new.keys()),
        trash={
            path: data
            for path, data in _trash(present, wanted, mapping).items()
            if data != present.trash[path]
        },
        records=_records(present, wanted, targets, mapping),
    )


def _labels(contents: Contents) -> dict[str, bytes]:
    return {
        f"labels/{split}/{stem(filename)}.txt": entry.label
        for (split, filename), entry in contents.images.items()
        if entry.label is not None
    }


def _by_name(old: list[str], new: list[str]) -> dict[int, int | None]:
    ids = {name: class_id for class_id, name in enumerate(new)}
    return {class_id: ids.get(name) for class_id, name in enumerate(old)}


def _trash(
    present: Contents, wanted: Contents, mapping: Mapping[int, int | None]
) -> dict[str, bytes]:
    """Return label files in the trash with the class ids that hold after restoring.

    One that was in the trash when the version was made has there what it had then; others
    go by the names of the classes.
    """
    result = {}
    for path, data in present.trash.items():
        if path in wanted.trash:
            result[path] = wanted.trash[path]
        else:
            result[path] = _mapped(data, mapping)
    return result


def _mapped(data: bytes, mapping: Mapping[int, int | None]) -> bytes:
    try:
        return map_classes(data, mapping)
    except (ValueError, OverflowError):  # nobody can read it, now or later
        return data


def _records(
    present: Contents,
    wanted: Contents,
    targets: Mapping[ImageKey, ImageKey],
    mapping: dict[int, int | None],
) -> list[Record]:
    now = datetime.now(UTC)
    records: list[Record] = [*new_moves((source, target) for target, source in targets.items())]
    if present.yaml.classes != wanted.yaml.classes:
        identity = hashlib.sha256(now.isoformat().encode()).hexdigest()[:16]
        records.append(ClassRecord(identity, now, mapping))
    for key, entry in wanted.images.items():
        old = present.images.get(targets.get(key, key))
        if old is not None:
            before = None if old.label is None else _mapped(old.label, mapping)
            if before != entry.label:
                records.append(new_edit(*key, before, entry.label, "restore version"))
    return records


def age(info: VersionInfo) -> tuple[int, datetime, str]:
    """Return by what versions are put in order, the oldest first: not by the clock alone."""
    return info.serial, info.created_at, info.name


def automatic_name(taken: Iterable[str]) -> str:
    """Return a name for the version that is made before another one is restored."""
    name = f"before restoring, {datetime.now(UTC):%Y-%m-%d %H.%M.%S.%f}"
    names, number, free = set(taken), 1, name
    while free in names:  # the clock went back
        number += 1
        free = f"{name} ({number})"
    return free


def superseded(known: Iterable[VersionInfo], kept: Collection[str]) -> list[str]:
    """Return which automatic versions need not be kept any longer.

    Parameters
    ----------
    known : iterable of VersionInfo
        All that there are.
    kept : collection of str
        Versions that stay in any case: the one that was just made, and the one that is the
        dataset now, so that restoring it can be undone.
    """
    automatic = sorted((info for info in known if info.automatic), key=age)
    old = automatic[: max(len(automatic) - KEPT_AUTOMATIC, 0)]
    return [info.name for info in old if info.name not in kept]


def shas(all_contents: Iterable[Contents]) -> set[str]:
    """Return the SHA-256 of every image that some versions keep."""
    return {entry.sha256 for contents in all_contents for entry in contents.images.values()}
