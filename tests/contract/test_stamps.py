"""A stamp is another after each change of its part, and the same while nothing changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import NotFoundError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, Prediction
from workbench.persistence.suggestion_blocks import SuggestionBlock, SuggestionSource, new_block

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.25)


def suggested() -> SuggestionBlock:
    source = SuggestionSource("model", "one", "first")
    return new_block(source, {("train", "a.jpg"): [Prediction(0, 0.5, 0.5, 0.25, 0.25, 0.9)]})


CHANGES: dict[str, tuple[str, Callable[[Stores], Awaitable[object]]]] = {
    "an image comes": ("images", lambda s: s.image.save_bytes("pets", "val", "b.jpg", jpeg(2))),
    "an image moves": ("images", lambda s: s.image.move("pets", "a.jpg", "train", "val")),
    "an image goes": ("images", lambda s: s.image.delete("pets", "train", "a.jpg")),
    "labels come": ("labels", lambda s: s.label.save("pets", "train", "a.jpg", [BOX])),
    "a class comes": (
        "classes",
        lambda s: s.dataset.update_classes("pets", ["cat", "dog", "bird", "eel"]),
    ),
    "a class has another name": (
        "classes",
        lambda s: s.dataset.update_classes("pets", ["cat", "dog", "bee"]),
    ),
    "a tag comes": ("tags", lambda s: s.dataset.save_tags("pets", {"good": ["a.jpg"]})),
    "something is suggested": (
        "suggestions",
        lambda s: s.image.add_suggestions("pets", [suggested()]),
    ),
    "a version comes": ("versions", lambda s: s.dataset.freeze("pets", "v1")),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_stamp_tells_what_has_changed(
    backend: Backend, stores: Stores, pets: str, change: str
) -> None:
    part, act = CHANGES[change]
    before = await stores.dataset.stamp(pets)
    assert await stores.dataset.stamp(pets) == before

    await act(stores)

    # A save of labels answers before it lets go of the lease. Until then, a bucket may tell a
    # value by the commit that wrote it, and afterwards by its own tag.
    with backend.storage(pets).lease():
        pass
    after = await stores.dataset.stamp(pets)
    assert part in after.changed_since(before)
    assert (await stores.dataset.stamp(pets)).changed_since(after) == frozenset()


async def test_labels_that_are_saved_twice_within_a_moment_are_noticed_twice(
    stores: Stores, pets: str
) -> None:
    # Two changes within one step of the file system's clock have the same time.
    seen = [await stores.dataset.stamp(pets)]
    for step in range(1, 9):
        box = Annotation(0, 0.5, 0.5, step / 16, 0.25)
        await stores.label.save(pets, "train", "a.jpg", [box])
        seen.append(await stores.dataset.stamp(pets))
    assert len({stamp.labels for stamp in seen}) == len(seen)


async def test_a_dataset_that_is_not_there_has_no_stamp(stores: Stores) -> None:
    with pytest.raises(NotFoundError):
        await stores.dataset.stamp("pets")


async def test_the_stamp_of_all_follows_making_renaming_deleting_and_restoring(
    stores: Stores,
) -> None:
    seen = [await stores.dataset.stamp_of_all()]
    await stores.dataset.create("cups")
    seen.append(await stores.dataset.stamp_of_all())
    await stores.dataset.rename("cups", "mugs")
    seen.append(await stores.dataset.stamp_of_all())
    entry = await stores.dataset.delete("mugs")
    seen.append(await stores.dataset.stamp_of_all())
    await stores.dataset.restore(entry.id)
    seen.append(await stores.dataset.stamp_of_all())
    assert all(before != after for before, after in pairwise(seen))
    assert await stores.dataset.stamp_of_all() == seen[-1]


async def test_the_stamp_of_the_models_follows_each_change(stores: Stores, tmp_path: Path) -> None:
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"weights")
    seen = [await stores.model.stamp()]
    await stores.model.save("one", weights, "yolo11n", "pets")
    seen.append(await stores.model.stamp())
    await stores.model.set_active("one")
    seen.append(await stores.model.stamp())
    await stores.model.update_details("one", {"note": "good"})
    seen.append(await stores.model.stamp())
    await stores.model.rename("one", "two")
    seen.append(await stores.model.stamp())
    await stores.model.delete("two")
    seen.append(await stores.model.stamp())
    assert len(set(seen)) == len(seen)
    assert await stores.model.stamp() == seen[-1]
