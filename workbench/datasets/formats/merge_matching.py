"""Which pictures of a source a dataset has already: by their bytes, or by name and size."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from workbench.datasets.formats.contents import Contents
from workbench.datasets.formats.reading import Picture
from workbench.datasets.formats.view import HEAD_BYTES, FolderView
from workbench.persistence import DataStores
from workbench.persistence.archive.directory import fold
from workbench.persistence.models import SPLITS, ImageKey
from workbench.persistence.stores.dataset import image_key

_BATCH = 256


class DatasetView(FolderView):
    """A source of annotations whose pictures are those of a dataset."""

    def __init__(self, source: FolderView, heads: Mapping[ImageKey, bytes]) -> None:
        super().__init__(source.path, source.focus)
        self.origin = source.origin
        self._source = source
        self.keys = {image_key(*key): key for key in heads}
        self._pixels = {name: heads[key] for name, key in self.keys.items()}
        self._list([*source.names, *self.keys])
        self.pictures = list(self.keys)
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
    table = await stores.image.scan(dataset)
    lengths: dict[int, list[ImageKey]] = {}
    for filename, split, size in zip(
        table.filenames, table.split.tolist(), table.size_bytes.tolist(), strict=True
    ):
        lengths.setdefault(size, []).append((SPLITS[split], filename))
    named: dict[str, list[ImageKey]] = {}
    for known in keys:
        named.setdefault(fold(known[1]), []).append(known)
    found: dict[str, ImageKey] = {}
    owned: set[ImageKey] = set()
    for picture in contents.pictures:
        same_length = lengths.get(view.size(picture.name), [])
        key: ImageKey | None = await _same_bytes(stores, dataset, same_length, view, picture.name)
        if key is None:
            base = fold(picture.name.rpartition("/")[2])
            key = await _same_size(stores, dataset, named.get(base, []), picture)
        if key is not None and key not in owned:
            owned.add(key)
            found[picture.name] = key
    return found


async def _same_bytes(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey], view: FolderView, name: str
) -> ImageKey | None:
    if not keys:
        return None
    digest = hashlib.sha256(await asyncio.to_thread(view.read, name)).digest()
    for key in keys:
        data = await stores.image.read_bytes(dataset, *key)
        if hashlib.sha256(data).digest() == digest:
            return key
    return None


async def _same_size(
    stores: DataStores, dataset: str, keys: Sequence[ImageKey], picture: Picture
) -> ImageKey | None:
    if len(keys) != 1:
        return None
    sizes = await stores.image.measure_many(dataset, keys)
    return keys[0] if tuple(sizes[0].tolist()) == picture.size else None
