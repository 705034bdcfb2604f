"""Which pictures of a source a dataset has already: by their bytes, or by name and size."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from workbench.datasets.formats.contents import Contents
from workbench.datasets.formats.reading import Picture
from workbench.datasets.formats.view import HEAD_BYTES, FolderView
from workbench.errors import NotFoundError
from workbench.persistence import DataStores
from workbench.persistence.archive.directory import fold
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.stores.dataset import image_key

_BATCH = 256
_AT_ONCE = 16
"""Pictures that are read together to compare their bytes."""


class DatasetView(FolderView):
    """A source of annotations whose pictures are those of a dataset."""

    def __init__(self, source: FolderView, heads: Mapping[ImageKey, bytes]) -> None:
        super().__init__(source.path, source.focus)
        self.origin = source.origin
        self._source = source
        self._listed = source._listed
        self.keys = {image_key(*key): key for key in heads}
        self._pixels = {name: heads[key] for name, key in self.keys.items()}
        self._list([*source.names, *self.keys])
        self.pictures = list(self.keys)
        self.any_split = True
        self.notes = source.notes
        self.links = source.links

    def size(self, name: str) -> int:
        """See `FolderView.size`."""
        return len(self._pixels[name]) if name in self._pixels else self._source.size(name)

    def read(self, name: str) -> bytes:
        """See `FolderView.read`."""
        return self._pixels[name] if name in self._pixels else self._source.read(name)

    def head(self, name: str, length: int = HEAD_BYTES) -> bytes:
        """See `FolderView.head`."""
        if name in self._pixels:
            return self._pixels[name][:length]
        return self._source.head(name, length)

    def ends(self, name: str, length: int = HEAD_BYTES) -> tuple[bytes, bytes]:
        """See `FolderView.ends`."""
        if name in self._pixels:  # of which the end is not here, and of no interest
            return self._pixels[name][:length], b""
        return self._source.ends(name, length)

    def close(self) -> None:
        """See `FolderView.close`."""
        self._source.close()


async def heads_of(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey]
) -> dict[ImageKey, bytes]:
    """Return the beginnings of a dataset's pictures, which tell their sizes."""
    heads: dict[ImageKey, bytes] = {}
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        for key, data in zip(batch, await stores.image.read_many(dataset, batch), strict=True):
            if isinstance(data, bytes):
                # Enough for the size; what has a longer header is kept whole.
                heads[key] = data if len(data) < 2**16 else data[: 2**16]
    return heads


async def find_those_there(
    stores: DataStores,
    dataset: str,
    keys: Sequence[ImageKey],
    view: FolderView,
    contents: Contents,
) -> dict[str, ImageKey]:
    """Return the dataset's picture for each of the source's that it has already."""
    if isinstance(view, DatasetView):
        return dict(view.keys)
    view = contents.view
    there = _There(stores, dataset, keys)
    await there.look()
    found: dict[str, ImageKey] = {}
    owned: set[ImageKey] = set()
    for picture in contents.pictures:
        key = await there.same_bytes(view, picture.name) or await there.same_size(picture)
        if key is not None and key not in owned:
            owned.add(key)
            found[picture.name] = key
    return found


class _There:
    """The pictures of a dataset, of which somebody else may move or delete some meanwhile.

    Parameters
    ----------
    stores : DataStores
    dataset : str
    keys : sequence of (str, str)
        Of those that are looked at.
    """

    def __init__(self, stores: DataStores, dataset: str, keys: Sequence[ImageKey]) -> None:
        self._stores = stores
        self._dataset = dataset
        self._keys = frozenset(keys)
        self._digests: dict[ImageKey, bytes] = {}
        self._by_length: dict[int, list[ImageKey]] = defaultdict(list)
        self._by_name: dict[str, list[ImageKey]] = defaultdict(list)
        for key in keys:
            self._by_name[fold(key[1])].append(key)

    async def look(self) -> None:
        """See how long each is."""
        table = await self._stores.image.scan(self._dataset)
        columns = (table.filenames, table.split.tolist(), table.size_bytes.tolist())
        for filename, split, size in zip(*columns, strict=True):
            key = SPLITS[split], filename
            if key in self._keys:
                self._by_length[size].append(key)

    async def same_bytes(self, view: FolderView, name: str) -> ImageKey | None:
        """Return the one that has the bytes of a picture of the source."""
        keys = self._by_length.get(view.size(name), [])
        if not keys:
            return None
        digest = hashlib.sha256(await asyncio.to_thread(view.read, name)).digest()
        await self._read(keys)
        return next((key for key in keys if self._digests[key] == digest), None)

    async def _read(self, keys: Sequence[ImageKey]) -> None:
        """Take the digests of some, each once: frames of one camera may all be of one length."""
        new = [key for key in keys if key not in self._digests]
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            contents = await self._stores.image.read_many(self._dataset, some)
            for key, data in zip(some, contents, strict=True):
                self._digests[key] = (
                    hashlib.sha256(data).digest() if isinstance(data, bytes) else b""
                )

    async def same_size(self, picture: Picture) -> ImageKey | None:
        """Return the one that has the name of a picture of the source, and its size in pixels."""
        keys = self._by_name.get(fold(picture.name.rpartition("/")[2]), [])
        if len(keys) != 1:
            return None
        try:
            sizes = await self._stores.image.measure_many(self._dataset, keys)
        except NotFoundError:
            return None
        return keys[0] if tuple(sizes[0].tolist()) == picture.size else None
