"""Taking a restoration back: all of it goes to the trash once more, or nothing."""

from __future__ import annotations

import dataclasses

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError, InvalidNameError, NotFoundError, WorkbenchError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, TrashEntry
from workbench.persistence.storage import Remove

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)


async def _trashed(backend: Backend) -> list[TrashEntry]:
    """Return the entries of an image with labels, of labels, of an orphan, all restored.

    The image ``c.jpg`` went in two steps, its labels first.
    """
    stores = backend.stores
    await stores.dataset.create("pets", ["cat", "dog"])
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg", "lone.jpg")):
        await stores.image.save_bytes("pets", "train", name, jpeg(number))
        await stores.label.save("pets", "train", name, [BOX])
    # A label file without an image, as other programs leave it.
    backend.storage("pets").commit([Remove("images/train/lone.jpg")])
    await stores.label.delete_orphans("pets", [("train", "lone.txt")])
    await stores.label.delete_many("pets", [("train", "b.jpg"), ("train", "c.jpg")])
    await stores.image.delete_many("pets", [("train", "c.jpg"), ("train", "a.jpg")])
    entries = await stores.image.list_trash("pets")
    assert sorted(entry.kind for entry in entries) == ["image", "image", "label", "label", "orphan"]
    await stores.image.restore_many("pets", [entry.id for entry in entries])
    assert await stores.image.list_trash("pets") == []
    return entries


async def _state(stores: Stores) -> dict[str, object]:
    return {
        image.filename: (image.has_labels, await stores.label.load("pets", "train", image.filename))
        for image in await stores.image.list("pets")
    }


async def test_everything_goes_back_and_comes_back_again(backend: Backend) -> None:
    entries = await _trashed(backend)
    stores = backend.stores
    restored, files = await _state(stores), backend.files()
    assert set(restored) == {"a.jpg", "b.jpg", "c.jpg"}
    again = await stores.image.discard_many("pets", entries)
    assert [(e.kind, e.name) for e in again] == [(e.kind, e.name) for e in entries]
    assert await _state(stores) == {"b.jpg": (False, [])}
    assert {e.id for e in await stores.image.list_trash("pets")} == {e.id for e in again}
    await stores.image.restore_many("pets", [entry.id for entry in again])
    assert await _state(stores) == restored
    assert backend.files() == files


async def test_what_was_changed_since_goes_along(backend: Backend) -> None:
    entries = [e for e in await _trashed(backend) if (e.kind, e.name) == ("image", "a.jpg")]
    stores = backend.stores
    await stores.label.save("pets", "train", "a.jpg", [BOX, BOX])
    [again] = await stores.image.discard_many("pets", entries)
    await stores.image.restore_many("pets", [again.id])
    assert await stores.label.load("pets", "train", "a.jpg") == [BOX, BOX]


@pytest.mark.parametrize("case", ["image gone", "labels gone", "owned", "name", "split"])
async def test_all_or_nothing(backend: Backend, case: str) -> None:
    entries = await _trashed(backend)
    stores = backend.stores
    expected: type[WorkbenchError] = NotFoundError
    if case == "image gone":
        await stores.image.delete("pets", "train", "a.jpg")
    elif case == "labels gone":
        await stores.label.delete("pets", "train", "b.jpg")
    elif case == "owned":
        await stores.image.save_bytes("pets", "train", "lone.jpg", jpeg(4))
        expected = ConflictError
    elif case == "name":
        entries.append(dataclasses.replace(entries[-1], kind="image", name="../../data.yaml"))
        expected = InvalidNameError
    else:
        entries.append(dataclasses.replace(entries[-1], kind="image", split="../train"))
        expected = InvalidNameError
    before = await _state(stores), backend.files(), await stores.image.list_trash("pets")
    with pytest.raises(expected):
        await stores.image.discard_many("pets", entries)
    after = await _state(stores), backend.files(), await stores.image.list_trash("pets")
    assert after == before
