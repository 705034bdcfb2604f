r"""Where images came from: what a capture knows of each picture, kept beside the dataset.

One line of JSON for each image, only ever appended::

    {"at": "2026-01-01T12:03:01+00:00", "image": "train/cup_..._000007.jpg",
     "captured_at": "...", "feed": "camera 0", "sequence": 41, "burst": "cup_...",
     "class_name": "cup", "predictions": [[0, 0.5, 0.5, 0.2, 0.3, 0.91]], "details": {}}

Each line *begins* with a newline, as in the history of labels: one that a crash cut off
spoils no other. A line is written before its image, so that no image is without; one whose
image never came, or was deleted, is not shown. Renamed and moved images, and classes that
have got other ids, are followed by the history's own lines.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from workbench.persistence.history import (
    ClassRecord,
    ClassUndoRecord,
    EditRecord,
    MoveRecord,
    Record,
)
from workbench.persistence.models import ImageKey, Prediction
from workbench.persistence.stored_json import MALFORMED, lines_of, loads, time_of


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where an image came from, and what was known of it when it was taken.

    Parameters
    ----------
    filename, split : str
        Of the image.
    captured_at : datetime
        With time zone.
    feed : str
        What took it: ``"camera 0"``, ``"holiday.mp4"``.
    sequence : int
        Number of the frame in its feed; in a video file, in the file.
    burst : str
        Same for images that were taken in one go; such images look alike and belong into
        one split.
    class_name : str
        What the person who took it said is on it; a suggestion for whoever annotates.
        Empty: nothing was said.
    predictions : list of Prediction
        Boxes that a model proposed, to be reviewed.
    details : dict
        Anything else; JSON types.
    """

    filename: str
    split: str
    captured_at: datetime
    feed: str = ""
    sequence: int = 0
    burst: str = ""
    class_name: str = ""
    predictions: list[Prediction] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A source as it was noted, and when."""

    at: datetime
    source: ImageSource


def new_records(sources: Iterable[ImageSource]) -> list[SourceRecord]:
    """Note sources now.

    Raises
    ------
    ValueError
        If a time has no time zone, or the details are no JSON.
    """
    now = datetime.now(UTC)
    records = []
    for source in sources:
        if source.captured_at.tzinfo is None:
            raise ValueError(
                f"{source.filename}: captured_at: expected a time with time zone, "
                f"found {source.captured_at}"
            )
        try:
            json.dumps(source.details)
        except TypeError as error:
            raise ValueError(f"{source.filename}: details: {error}") from error
        records.append(SourceRecord(now, source))
    return records


def format_sources(records: Iterable[SourceRecord]) -> bytes:
    """Return the bytes to append for `records`."""
    return b"".join(b"\n" + _line(record) for record in records)


def _line(record: SourceRecord) -> bytes:
    source = record.source
    content: dict[str, Any] = {
        "at": record.at.isoformat(),
        "image": f"{source.split}/{source.filename}",
        "captured_at": source.captured_at.isoformat(),
        "feed": source.feed,
        "sequence": source.sequence,
        "burst": source.burst,
        "class_name": source.class_name,
        "predictions": [[p.class_id, *p.xywh, p.confidence] for p in source.predictions],
        "details": source.details,
    }
    return json.dumps(content, ensure_ascii=False).encode()


def parse_sources(data: bytes) -> list[SourceRecord]:
    """Read noted sources; lines that a crash cut off are left out."""
    return [record for record in map(_record, lines_of(data)) if record is not None]


def _record(line: bytes) -> SourceRecord | None:
    try:
        content = loads(line)
        split, _, filename = content["image"].partition("/")
        source = ImageSource(
            filename=filename,
            split=split,
            captured_at=time_of(content["captured_at"]),
            feed=str(content["feed"]),
            sequence=int(content["sequence"]),
            burst=str(content["burst"]),
            class_name=str(content["class_name"]),
            predictions=[
                Prediction(int(class_id), float(x), float(y), float(width), float(height), score)
                for class_id, x, y, width, height, score in content["predictions"]
            ],
            details=dict(content["details"]),
        )
        return SourceRecord(time_of(content["at"]), source)
    except MALFORMED:
        return None


def current_sources(
    records: Sequence[SourceRecord], history: Sequence[Record], images: Collection[ImageKey]
) -> dict[ImageKey, ImageSource]:
    """Return the sources of the images that are there, under the names that they have now.

    Parameters
    ----------
    records : sequence of SourceRecord
    history : sequence of Record
        Of the same dataset; its moves count, and its changes of classes.
    images : collection of (str, str)
        Split and name of the images that are there.
    """
    undone = {record.id for record in history if isinstance(record, ClassUndoRecord)}
    rewrites = {record.id: record for record in history if isinstance(record, ClassRecord)}
    events: list[SourceRecord | Record] = [*records]
    events += [record for record in history if not isinstance(record, EditRecord)]
    found: dict[ImageKey, SourceRecord] = {}
    # Of one moment, the source comes first: an image is there before it moves.
    for event in sorted(events, key=lambda e: (e.at, not isinstance(e, SourceRecord))):
        if isinstance(event, SourceRecord):
            found[event.source.split, event.source.filename] = event
        elif isinstance(event, MoveRecord):
            moved = found.pop(_key(event.source), None)
            if moved is not None:
                split, filename = _key(event.target)
                source = replace(moved.source, split=split, filename=filename)
                found[split, filename] = replace(moved, source=source)
        elif isinstance(event, ClassRecord):
            if event.id not in undone:
                found = {key: _with_classes(one, event.mapping) for key, one in found.items()}
        elif isinstance(event, ClassUndoRecord) and event.id in rewrites:
            # What was there before has its ids still; only what came between must go back.
            rewrite = rewrites[event.id]
            back = {new: old for old, new in rewrite.mapping.items() if new is not None}
            for key, one in found.items():
                if one.at > rewrite.at:
                    found[key] = _with_classes(one, back)
    return {key: record.source for key, record in found.items() if key in images}


def _with_classes(record: SourceRecord, mapping: Mapping[int, int | None]) -> SourceRecord:
    """Give predictions the ids that their classes have got; those of deleted classes go."""
    predictions = record.source.predictions
    if not predictions:
        return record
    ids = [mapping.get(box.class_id, box.class_id) for box in predictions]
    kept = [
        replace(box, class_id=class_id)
        for box, class_id in zip(predictions, ids, strict=True)
        if class_id is not None
    ]
    return replace(record, source=replace(record.source, predictions=kept))


def _key(name: str) -> ImageKey:
    split, _, filename = name.partition("/")
    return split, filename
