"""What is in a dataset as a whole, and what new ones are made of."""

from __future__ import annotations

import errno
import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import InvalidDatasetError, NotFoundError, WorkbenchError
from workbench.persistence import links
from workbench.persistence.models import SPLITS, DatasetInfo, ImageKey, NewImage, Progress
from workbench.persistence.prompts import prompts_bytes
from workbench.persistence.rules import no_same_stem
from workbench.persistence.stamps import Stamp
from workbench.persistence.stored_json import MALFORMED, parse_json, time_of
from workbench.persistence.stores import formats, suggestion_log
from workbench.persistence.stores.dataset import DATA_YAML, Dataset, image_key, label_key
from workbench.persistence.stores.formats import FACTS
from workbench.persistence.stores.image_adding import content_bytes
from workbench.persistence.stores.label_reading import read_whole
from workbench.persistence.stores.places import Building
from workbench.persistence.stores.prompt_file import PROMPTS, read_prompts
from workbench.persistence.stores.side_data import TAGS, read_tags
from workbench.persistence.stores.trash import TRASH
from workbench.persistence.stores.version_files import VERSIONS
from workbench.persistence.tags import tags_bytes
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import clean_annotations, format_labels
from workbench.persistence.yolo.names import check_image, stem

_log = logging.getLogger(__name__)
_OF_THIS_PROCESS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing of the dataset."""

_CHUNK = 1 << 20
_MOST_FILES = 1000
"""More than this are not looked at in a folder that holds one for each source."""

_AT_ONCE = 512
"""Label files that are read in one call."""

_IMAGES = [f"images/{split}" for split in SPLITS]
_LABELS = [f"labels/{split}" for split in SPLITS]


def info(dataset: Dataset, path: Path) -> DatasetInfo:
    """Return what a dataset holds, counting images by listing its folders once.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    InvalidDatasetError
        If it cannot be read.
    """
    try:
        return _info(dataset, path)
    except WorkbenchError:
        raise
    except OSError as error:
        if error.errno in _OF_THIS_PROCESS:
            raise
        raise InvalidDatasetError(
            f"{dataset.storage.where}: expected a dataset that can be read, found: "
            f"{error.strerror} ({error.filename}); see to it, or move the folder away"
        ) from error


def _info(dataset: Dataset, path: Path) -> DatasetInfo:
    dataset.storage.ahead([DATA_YAML, FACTS], _IMAGES)
    yaml = dataset.read()
    created_at = _created_at(dataset)
    modified_at = formats.time_of_change(dataset.storage, [DATA_YAML, PROMPTS, *_IMAGES, *_LABELS])
    times = [time for time in (created_at, modified_at) if time is not None]
    return DatasetInfo(
        name=dataset.name,
        path=path,
        classes=list(yaml.classes),
        num_images={split: len(dataset.image_names(split)) for split in SPLITS},
        created_at=created_at,
        modified_at=max(times, default=None),
        colours=yaml.colours,
    )


def _created_at(dataset: Dataset) -> datetime | None:
    try:
        data = dataset.storage.read(FACTS)
        return time_of(parse_json(data, dataset.at(FACTS), formats.EXPECTED)["created_at"])
    except NotFoundError:
        pass
    except MALFORMED as error:
        # A dataset whose time of creation cannot be read must still open.
        _log.warning("%s tells no time at which the dataset was made: %s", dataset.at(FACTS), error)
    return formats.time_of_change(dataset.storage, [DATA_YAML])


def stamp(dataset: Dataset) -> Stamp:
    """Return the stamp of a dataset; raises `NotFoundError` if there is none."""
    return dataset.consistently(lambda: _stamp(dataset))


def _stamp(dataset: Dataset) -> Stamp:
    if not dataset.has_value(DATA_YAML):
        raise NotFoundError(f"{dataset.storage.where} is not there: deleted or renamed meanwhile?")
    suggestions = suggestion_log.keys(dataset.storage)[:_MOST_FILES]
    keys = [*_IMAGES, TRASH, *_LABELS, DATA_YAML, TAGS, VERSIONS, *suggestions]
    found = iter(dataset.storage.touched(keys))

    def next_ones(count: int) -> str:
        return " ".join(next(found) for _ in range(count))

    return Stamp(
        images=next_ones(len(_IMAGES) + 1),
        labels=next_ones(len(_LABELS)),
        classes=next_ones(1),
        tags=next_ones(1),
        versions=next_ones(1),
        suggestions=next_ones(len(suggestions)),
    )


def complete(building: Building, yaml: DataYaml) -> None:
    """Write what makes a dataset of what was built so far."""
    building.sink.write(DATA_YAML, yaml.to_bytes())
    building.flush()
    if not building.dataset.storage.exists(FACTS):
        building.sink.write(FACTS, formats.facts_bytes(datetime.now(UTC)))
        building.flush()


def fill(
    building: Building,
    num_classes: int,
    images: Iterable[NewImage],
    progress: Progress,
    total: int,
) -> None:
    """Write images and labels into a dataset under construction."""
    owners: dict[tuple[str, str], str] = {}
    for done, image in enumerate(images, start=1):
        split, filename = check_image(image.split, image.filename)
        other = owners.setdefault((split, stem(filename)), filename)
        if done > len(owners):
            raise no_same_stem(filename, other, split)
        building.sink.write(image_key(split, filename), content_bytes(image, filename))
        if image.annotations is not None:
            clean = clean_annotations(image.annotations, num_classes, f"{split}/{filename}")
            building.sink.write(label_key(split, filename), format_labels(clean))
        progress(done, max(total, done))


def copy_images(
    source: Dataset, building: Building, images: Collection[ImageKey], progress: Progress
) -> None:
    """Write some images of a dataset, and what belongs to them, into one under construction."""
    chosen = sorted(images)
    files = [image_key(*key) for key in chosen] + [label_key(*key) for key in chosen]
    outside = source.storage.outside(files)
    if outside:
        raise links.refusal(source.name, source.storage.where, outside, "nothing was copied")
    prompts, tags = read_prompts(source.storage), read_tags(source.storage)
    names = {filename for _, filename in chosen}
    kept = {tag: [n for n in hung if n in names] for tag, hung in tags.items()}
    if prompts:
        building.sink.write(PROMPTS, prompts_bytes(prompts))
    if any(kept.values()):
        building.sink.write(TAGS, tags_bytes(kept))
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        there = [key for key in some if source.has_value(label_key(*key))]
        labels = read_whole(source.storage, [label_key(*key) for key in there])
        by_image = dict(zip(there, labels, strict=True))
        for done, key in enumerate(some, start=start + 1):
            # Copied, not linked: other programs may write through a link into the original.
            with source.storage.open_read(source.require_image(*key)) as stream:
                building.sink.write_chunks(image_key(*key), iter(lambda: stream.read(_CHUNK), b""))
            label = by_image.get(key)
            if label is not None:
                building.sink.write(label_key(*key), label)
            progress(done, len(chosen))
