"""Named, immutable states of a dataset: what they hold, and the way back to one.

A version holds classes, prompts, tags, and for each image the SHA-256 of its bytes and its label
file; see `version_bytes`. The images' bytes are kept apart, by their SHA-256, so that versions
share them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workbench.persistence.class_rewrite import Prompts
from workbench.persistence.history import ClassRecord, Record, new_edit, new_moves
from workbench.persistence.models import SPLITS, ImageKey, ImageMove
from workbench.persistence.version_models import KEPT_AUTOMATIC, VersionInfo
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_rows import map_classes
from workbench.persistence.yolo.names import stem


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
