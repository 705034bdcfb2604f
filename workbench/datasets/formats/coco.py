"""COCO exports, folders or zip archives, of the challenge and of the tools that write its form.

::

    annotations/instances_train2017.json    train2017/x.jpg     COCO; also images/train2017/
    annotations/instances_default.json      images/a/x.jpg      CVAT
    train/_annotations.coco.json            train/x.jpg         Roboflow; valid/, test/
    result.json                             images/x.jpg        Label Studio
    labels.json                             data/x.jpg          FiftyOne
    any.json                                x.jpg               one file beside the pictures

The format's source is https://cocodataset.org/#format-data; see
`workbench.datasets.formats.coco_json`. Of captions, panoptic segmentations, and keypoints
beside boxes of the same pictures nothing is taken. Pictures come in byte for byte.

A picture that a file lists without annotations is one that shows nothing (an empty label
file); one that no file lists is not labelled yet (no label file).

Boxes are pixels of the picture as it is shown. Where a file's width and height are those of
a picture before its EXIF rotation, its boxes are turned with the picture.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from workbench.datasets.formats import coco_notes as say
from workbench.datasets.formats.coco_boxes import is_turned, orientation_of, place_boxes, turn
from workbench.datasets.formats.coco_classes import number_classes
from workbench.datasets.formats.coco_json import CocoBox, CocoFile, looks_like_coco, parse_coco
from workbench.datasets.formats.coco_places import Listed, match_pictures
from workbench.datasets.formats.naming import require_free
from workbench.errors import (
    ImportFormatError,
    InvalidDatasetError,
    InvalidFrameError,
)
from workbench.persistence import IMAGE_EXTENSIONS, DataStores
from workbench.persistence.archive import Archive, Member, plan_layout
from workbench.persistence.archive.folder import Folder
from workbench.persistence.archive.notes import Notes
from workbench.persistence.archive.split_lists import GivenSplits
from workbench.persistence.models import (
    Annotation,
    ImportedDataset,
    NewImage,
    Progress,
    no_progress,
    with_notes,
)
from workbench.persistence.rules import check_classes, image_size

Source = Folder | Archive


def find_labels(path: Path | str) -> list[str]:
    """Return the files in an archive or a folder that are detection labels in COCO's form.

    Damaged ones are among them as far as they can be told, so that reading them says so.

    Returns
    -------
    list of str
        Paths from the top of the archive or folder.

    Raises
    ------
    NotFoundError, ArchiveError
        As `DatasetStore.import_folder` and `DatasetStore.import_zip` do.
    """
    with _open(path) as source:
        return _find_labels(source)


def _find_labels(source: Source) -> list[str]:
    members = _members(source)
    found = [
        name
        for name, member in members.items()
        if name.lower().endswith(".json") and looks_like_coco(name, source.read(member))
    ]
    plain = [name for name in found if not _is_special(name)]
    return plain or found


async def import_coco(
    stores: DataStores,
    path: Path | str,
    name: str,
    *,
    labels: Sequence[str] | None = None,
    progress: Progress = no_progress,
) -> ImportedDataset:
    """Make a dataset from a COCO export: images byte for byte, boxes as YOLO labels.

    Parameters
    ----------
    stores : DataStores
    path : Path or str
        A folder or a zip archive in one of the forms above. It stays as it is.
    name : str
        Of the dataset to make.
    labels : sequence of str, optional
        Which annotation files to take; default: what `find_labels` finds.
    progress : callable
        Told ``(done, total)`` in images, also now and then while annotations are read.

    Returns
    -------
    ImportedDataset
        Its classes are the categories by ascending id. Its `notes` count all that was left
        out, changed or made up. Splits come from the names of the annotation files or of
        folders; where none tells, the images are in ``train``.

    Raises
    ------
    NotFoundError, ArchiveError
        If there is nothing at `path`, or an archive is refused.
    ImportFormatError
        If an annotation file is damaged, or not one of the pictures is there.
    AlreadyExistsError
        If the name is taken.
    """
    await require_free(stores, name)
    with await asyncio.to_thread(_open, path) as source:
        importer = await asyncio.to_thread(_Importer, source, labels, progress)
        info = await stores.dataset.create_from(
            name, importer.classes, importer.images(), progress=progress, total=importer.total
        )
    return with_notes(info, importer.notes())


class _Importer:
    """One walk through a COCO export. Blocks; holds all boxes, and one picture at a time."""

    def __init__(self, source: Source, labels: Sequence[str] | None, progress: Progress) -> None:
        self._source = source
        self._notes = Notes()
        self._members = _members(source)
        labels = _find_labels(source) if labels is None else labels
        if not labels or not self._members.keys() >= {*labels}:
            raise ImportFormatError(
                f"{source.path}: expected {' and '.join(labels or ['a .json file'])} with boxes in "
                f"COCO's form, found {'not all of them' if labels else 'none'}; check the path"
            )
        pictures = [name for name in self._members if _is_picture(name)]
        self._files = [self._read(name, lambda: progress(0, len(pictures))) for name in labels]
        self._classes = number_classes(self._files)
        try:
            self.classes = check_classes(self._classes.names)
        except InvalidDatasetError as error:
            raise ImportFormatError(f"{source.path}, {labels[0]}: {error}; rename it") from error
        self._listed = match_pictures(self._files, pictures, self._notes)
        if not self._listed:
            self._refuse_missing_images()
        layout = plan_layout(
            [name for name in self._members if name not in labels],
            GivenSplits({name: listed.split for name, listed in self._listed.items()}),
        )
        self._targets = {n: t for n, t in layout.targets.items() if t.startswith("images/")}
        self._layout_notes = layout.notes
        self.total = len(self._targets)

    def images(self) -> Iterator[NewImage]:
        """Yield the images with their boxes."""
        count = 0
        for name, member in self._members.items():
            if name not in self._targets:
                self._source.check(member)  # also of what is not taken, lest its name is damaged
                continue
            _, split, filename = self._targets[name].split("/")
            data = self._source.read(member)
            try:
                size = image_size(data, name)
            except InvalidFrameError:
                self._notes.add(say.DAMAGED, name)
                continue
            count += 1
            yield NewImage(filename, split, data, self._labels(name, data, size))
        if not count:
            raise ImportFormatError(
                f"{self._source.path}: expected images, found none that can be read; download or "
                f"export them again"
            )

    def notes(self) -> list[str]:
        """Return what there is to report, once all images have been taken."""
        counts = sum((file.counts for file in self._files), Counter[str]())
        counted = [text.format(count=counts[k]) for k, text in say.COUNTED.items() if counts[k]]
        reviewed = any(listed.annotated for listed in self._listed.values())
        if reviewed and not any(file.boxes for file in self._files):
            counted.append(say.NOTHING)
        return self._classes.notes + counted + self._notes.sentences() + self._layout_notes

    def _read(self, name: str, tick: Callable[[], None]) -> CocoFile:
        data = self._source.read(self._members[name])
        try:
            return parse_coco(data, name, tick)
        except ImportFormatError as error:
            raise ImportFormatError(f"{self._source.path}, {error}") from error

    def _refuse_missing_images(self) -> None:
        for file in self._files:
            if file.images:
                raise ImportFormatError(
                    f"{self._source.path}, {file.where}: expected the {len(file.images)} images "
                    f"that it lists, found none of them, such as {file.images[0].file_name!r}; "
                    f"export with images, or put them into a folder images beside it"
                )

    def _labels(self, name: str, data: bytes, size: tuple[int, int]) -> list[Annotation] | None:
        listed = self._listed.get(name)
        if listed is None or not listed.annotated:
            self._notes.add(say.UNLISTED if listed is None else say.NOT_ANNOTATED, name)
            return None
        class_ids, boxes = self._boxes(listed)
        if not boxes:
            return []
        said = next((image.size for _, image in listed.entries if image.size), None)
        orientation = orientation_of(data)
        stored = is_turned(orientation) and size[0] != size[1] and said == size[::-1]
        self._note_size(name, said, size, orientation, stored)
        placed = place_boxes(boxes, *(size[::-1] if stored else size))
        for kind, number in (
            (say.CLIPPED, placed.clipped),
            (say.OUTSIDE, len(boxes) - len(placed.boxes)),
        ):
            for _ in range(number):
                self._notes.add(kind, name)
        rows = turn(placed.boxes, orientation) if stored else placed.boxes
        kept = np.array(class_ids)[placed.kept].tolist()
        return [Annotation(i, *row) for i, row in zip(kept, rows.tolist(), strict=True)]

    def _boxes(self, listed: Listed) -> tuple[list[int], list[CocoBox]]:
        """Return class ids and boxes of a picture; what two files have in common, once."""
        class_ids: list[int] = []
        boxes: list[CocoBox] = []
        seen: dict[tuple[object, ...], int] = {}
        for number, image in listed.entries:
            for box in self._files[number].boxes.get(image.id, ()):
                class_id = self._classes.ids[number][box.category_id]
                if seen.setdefault((class_id, *box[1:]), number) == number:
                    class_ids.append(class_id)
                    boxes.append(box)
        return class_ids, boxes

    def _note_size(
        self,
        name: str,
        said: tuple[int, int] | None,
        size: tuple[int, int],
        orientation: int,
        stored: bool,
    ) -> None:
        if stored:
            self._notes.add(say.TURNED, name)
        elif said is not None and said != size:
            self._notes.add(say.SIZES, name)
        elif orientation != 1:
            tells = said is not None and is_turned(orientation) and size[0] != size[1]
            if not tells:
                self._notes.add(say.MIRRORED, name)


def _open(path: Path | str) -> Source:
    place = Path(path).expanduser()
    return Folder.open(place) if place.is_dir() else Archive.open(place)


def _members(source: Source) -> dict[str, Member]:
    return {
        member.name: member
        for member in source.members
        if not member.ignored and member.name[0] != "." and "/." not in member.name
    }


def _is_picture(name: str) -> bool:
    return f".{name.rpartition('.')[2].lower()}" in IMAGE_EXTENSIONS


def _is_special(name: str) -> bool:
    # Their boxes are those of the instances, of persons alone, or of no single things.
    return name.rpartition("/")[2].lower().startswith(("person_keypoints", "stuff_"))
