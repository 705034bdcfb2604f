"""How two states of a dataset differ: images, boxes, and what classes are called."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from workbench.errors import LabelFormatError
from workbench.persistence.models import ImageKey
from workbench.persistence.version_models import LabelDifference, VersionComparison
from workbench.persistence.versions import Contents, Entry, moves_between
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_text import parse_labels

_DIGITS = 6
"""Decimals to which boxes are compared: less than a tenth of a pixel at 8K."""

Box = tuple[str, ...]
"""Name of the class, then x, y, width and height in decimals."""


def compare(first: Contents, second: Contents) -> VersionComparison:
    """Return what is different in `second`.

    An image of the same file name and bytes in another split has moved. Boxes are compared
    by the *names* of their classes, in any order, to a millionth of the image; a class that
    has got another name is the same class, see `renamed_classes`.
    """
    moves = moves_between(first, second)
    targets = {(way.to_split, way.filename): (way.from_split, way.filename) for way in moves}
    sources = set(targets.values())
    renamed = renamed_classes(first, second, targets)
    labels, changed, unreadable = [], [], []
    for key, old, new in _in_both(first, second, targets):
        if old.sha256 != new.sha256:
            changed.append(key)
        if old.label != new.label or first.yaml.classes != second.yaml.classes:
            try:
                difference = _label_difference(key, old, new, first.yaml, second.yaml, renamed)
            except LabelFormatError:
                unreadable += [key] if old.label != new.label else []
                continue
            labels += [] if difference is None else [difference]
    return VersionComparison(
        classes=(list(first.yaml.classes), list(second.yaml.classes)),
        added=sorted(second.images.keys() - first.images.keys() - targets.keys()),
        removed=sorted(first.images.keys() - second.images.keys() - sources),
        changed=changed,
        moved=moves,
        labels=labels,
        unreadable=unreadable,
        renamed=renamed,
    )


def _in_both(
    first: Contents, second: Contents, targets: dict[ImageKey, ImageKey]
) -> Iterator[tuple[ImageKey, Entry, Entry]]:
    for key in sorted(second.images):
        old = first.images.get(targets.get(key, key))
        if old is not None:
            yield key, old, second.images[key]


def _label_difference(
    key: ImageKey,
    old: Entry,
    new: Entry,
    old_yaml: DataYaml,
    new_yaml: DataYaml,
    renamed: dict[str, str],
) -> LabelDifference | None:
    before = _boxes(old.label, old_yaml, renamed)
    after = _boxes(new.label, new_yaml)
    added, removed = sum((after - before).values()), sum((before - after).values())
    # Other bytes without other boxes: a polygon, a confidence, or unlabelled and background.
    # Where classes have got other ids, bytes differ for that alone.
    other = old.label != new.label and old_yaml.classes == new_yaml.classes
    state = (old.label is None) != (new.label is None)
    if not (added or removed or state or other):
        return None
    return LabelDifference(*key, added, removed)


def _boxes(
    label: bytes | None, yaml: DataYaml, renamed: dict[str, str] | None = None
) -> Counter[Box]:
    """Return the boxes of a label file, with classes under the names that they got since."""
    if not label:
        return Counter()
    parsed = parse_labels(label, "version", len(yaml.classes), keypoints=yaml.has_keypoints)
    names = [(renamed or {}).get(name, name) for name in yaml.classes]
    return Counter(
        (names[box.class_id], *(f"{value:.{_DIGITS}f}" for value in box.xywh))
        for box in parsed.annotations
    )


def renamed_classes(
    first: Contents, second: Contents, targets: dict[ImageKey, ImageKey]
) -> dict[str, str]:
    """Return the new name of each class that was renamed.

    Only a name that is gone and one that was not there before can be of one class. They
    are if most of the boxes of each, on images in both states, are where those of the other
    are; and where neither has boxes, if they have the same id.

    Parameters
    ----------
    first, second : Contents
    targets : dict of (str, str) to (str, str)
        Where images were that have moved.
    """
    old_names, new_names = first.yaml.classes, second.yaml.classes
    gone, come = set(old_names) - set(new_names), set(new_names) - set(old_names)
    if not gone or not come:
        return {}
    together: Counter[tuple[str, str]] = Counter()
    of_old: Counter[str] = Counter()
    of_new: Counter[str] = Counter()
    for _, old, new in _in_both(first, second, targets):
        try:
            before, after = _boxes(old.label, first.yaml), _boxes(new.label, second.yaml)
        except LabelFormatError:
            continue  # `compare` reports these
        there: dict[Box, list[str]] = defaultdict(list)
        for name, *box in after.elements():
            if name in come:
                there[tuple(box)].append(name)
                of_new[name] += 1
        for name, *box in before.elements():
            if name in gone:
                of_old[name] += 1
                together.update((name, other) for other in set(there[tuple(box)]))
    by_boxes = {
        old: new
        for (old, new), count in together.items()
        if 2 * count > of_old[old] and 2 * count > of_new[new]
    }
    by_id = {
        old: new
        for old, new in zip(old_names, new_names, strict=False)
        if old in gone and new in come and not of_old[old] and not of_new[new]
    }
    return by_boxes | by_id
