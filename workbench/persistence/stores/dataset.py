"""One dataset, opened by its name: what every store that works in it asks of it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import compress
from typing import TypeVar

from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence.archive.metadata import FACTS
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.rules import no_same_stem
from workbench.persistence.storage import Change, Head, Storage, Writer
from workbench.persistence.stores.layouts import place_in_dataset
from workbench.persistence.stores.trash import Trash
from workbench.persistence.yolo.data_yaml import DataYaml, parse
from workbench.persistence.yolo.names import (
    IMAGE_EXTENSIONS,
    are_plain_images,
    can_be_name,
    check_filename,
    check_split,
    could_be_image,
    images_among,
    stem,
)

T = TypeVar("T")

_SPELLINGS = sorted(IMAGE_EXTENSIONS | {extension.upper() for extension in IMAGE_EXTENSIONS})
_LONGEST = max(IMAGE_EXTENSIONS, key=len)

DATA_YAML = "data.yaml"
"""The key that makes a dataset out of what lies below a root."""


class Dataset:
    """A dataset in a storage. Cheap to make: one for each call of a store.

    Parameters
    ----------
    name : str
    storage : Storage
    """

    __slots__ = ("_storage", "name")

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self._storage = storage

    @property
    def storage(self) -> Storage:
        """What it lies in; raises as `read` does where that has to be looked up."""
        return self._storage

    @property
    def trash(self) -> Trash:
        """What was deleted in it."""
        return Trash(self.storage, place_in_dataset)

    def read(self) -> DataYaml:
        """Return what the dataset's ``data.yaml`` says.

        Raises
        ------
        NotFoundError
            If there is no such dataset.
        InvalidDatasetError
            If its ``data.yaml`` cannot be read, or a newer Workbench has written it.
        """
        return parse(self.storage.read(DATA_YAML), self.at(DATA_YAML))

    def ahead(self, splits: Sequence[str]) -> None:
        """Say that the images and labels of splits will be listed; see `Storage.ahead`."""
        folders = [f"{kind}/{split}" for split in splits for kind in ("images", "labels")]
        self.storage.ahead([DATA_YAML, FACTS], folders)

    def consistently(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which only reads; see `Storage.consistently`."""
        return self.storage.consistently(work)

    @contextmanager
    def leased(self) -> Iterator[tuple[DataYaml, Writer]]:
        """Hold the lease of the dataset's storage; raises as `read` and `Storage.lease` do."""
        self.read()
        with self.storage.lease() as writer:
            yield self.read(), writer

    def transact(
        self,
        decide: Callable[[DataYaml], tuple[Sequence[Change], T]],
        *,
        values: Sequence[str] = (),
        heads: Sequence[str] = (),
        done: Callable[[T], None] = lambda _: None,
    ) -> T:
        """Decide on changes of the dataset and make them; see `Storage.transact`.

        `done` gets the result as soon as the changes are durable: before the lease is let go, if
        that takes time.
        """
        with self.leased() as (yaml, writer):
            changes, result = decide(yaml)
            if changes:
                writer.commit(changes)
            done(result)
        return result

    def at(self, key: str) -> str:
        """Return what to call a key in a message."""
        return f"{self.storage.where}/{key}"

    def find(self, split: str, filename: str) -> ImageKey:
        """Return a split and the name of an image as it is stored, if it is there at all.

        Files that came from a Mac may have their names in Unicode NFD. Everything that makes
        a file writes NFC, and whoever asks for it may use either.

        Raises
        ------
        InvalidNameError
            If there is no such split, or no image has or may have this name.
        """
        check_split(split)
        try:
            composed = check_filename(filename)
        except InvalidNameError:
            # No new file gets such a name, but one that is there must not be out of reach.
            if could_be_image(filename) and self.storage.exists(image_key(split, filename)):
                return split, filename
            raise
        if filename.isascii():
            return split, composed
        forms = (filename, composed, unicodedata.normalize("NFD", filename))
        there = (form for form in forms if self.storage.exists(image_key(split, form)))
        return split, next(there, composed)

    def find_many(self, images: Sequence[ImageKey]) -> list[ImageKey]:
        """Return what `find` returns of each; raises as it does."""
        # Nearly always, one look at all of them tells that there is nothing to be found.
        if {split for split, _ in images}.issubset(SPLITS) and are_plain_images(
            [filename for _, filename in images]
        ):
            return [*images]
        return [self.find(*image) for image in images]

    def has_image(self, split: str, filename: str) -> bool:
        """Whether an image is there, and not something odd in its place."""
        return self.has_value(image_key(split, filename))

    def has_value(self, key: str) -> bool:
        """Whether bytes are at a key."""
        try:
            return self.storage.head(key) is not None
        except InvalidDatasetError:
            return False

    def require_image(self, split: str, filename: str) -> str:
        """Return the key of an image that exists.

        Raises
        ------
        NotFoundError
            If it does not.
        """
        self.image_head(split, filename)
        return image_key(split, filename)

    def image_head(self, split: str, filename: str) -> Head:
        """Return size and stamp of an image that exists; raises as `require_image` does."""
        key = image_key(split, filename)
        odd = ""
        try:
            head = self.storage.head(key)
            if head is not None:
                return head
            if self.storage.exists(key):
                odd = "; found a link that leads nowhere: delete it"
        except InvalidDatasetError as error:
            odd = f"; {error}"
        raise NotFoundError(
            f"{self.name}: no image {filename!r} in {split} ({self.at(key)})"
            f"{odd or self._instead(split, filename)}"
        )

    def _instead(self, split: str, filename: str) -> str:
        """Return in which other split an image is; else where to look."""
        for other in SPLITS:
            if other != split and self.storage.exists(image_key(other, filename)):
                return f"; it is in {other}"
        return "; list() names those that are there"

    def require_free(self, split: str, filename: str) -> None:
        """Make sure that an image may get this name.

        Raises
        ------
        AlreadyExistsError
            If one has it, or would share its label file.
        """
        if self.storage.exists(image_key(split, filename)):
            raise AlreadyExistsError(
                f"{self.name}: {split} has an image {filename!r} already; choose another name"
            )
        self.require_free_stem(split, filename)

    def require_free_stem(self, split: str, filename: str) -> None:
        """Make sure that no other image would share the label file of `filename`."""
        for other in self.of_same_stem(split, filename):
            raise no_same_stem(filename, other, split)

    def of_same_stem(self, split: str, filename: str) -> Iterator[str]:
        """Yield the other images that have the label file of `filename`: other tools make such."""
        own = stem(filename)
        is_short = can_be_name(own + _LONGEST)
        names = [own + extension for extension in _SPELLINGS]
        names = [name for name in names if name != filename and (is_short or can_be_name(name))]
        there = self.storage.existing([image_key(split, name) for name in names])
        for other in compress(names, there):
            # On a file system that ignores case, "a.JPG" is "a.jpg" itself.
            if not self._is_same(image_key(split, other), image_key(split, filename)):
                yield other

    def _is_same(self, one: str, other: str) -> bool:
        path, other_path = self.storage.local_path(one), self.storage.local_path(other)
        if path is None or other_path is None or not self.storage.exists(other):
            return False
        return os.path.samefile(path, other_path)

    def image_names(self, split: str) -> list[str]:
        """Return the names of a split's images, sorted."""
        return images_among(self.storage.names(f"images/{split}"))

    def label_stems(self, split: str) -> frozenset[str]:
        """Return the names of a split's label files without their extension."""
        names = self.storage.names(f"labels/{split}")
        return frozenset(name[:-4] for name in names if name.endswith(".txt"))


def image_key(split: str, filename: str) -> str:
    """Return the key of an image."""
    return f"images/{split}/{filename}"


def label_key(split: str, filename: str) -> str:
    """Return the key of an image's label file."""
    return f"labels/{split}/{stem(filename)}.txt"
