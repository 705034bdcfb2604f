"""Which images a filter leaves, in both implementations of the stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from workbench.datasets.walks import FILTERS, check_filter, plan_walk
from workbench.errors import NotFoundError
from workbench.persistence import Stores, create_memory_stores, create_stores
from workbench.persistence.models import Annotation

CAT = Annotation(0, 0.5, 0.5, 0.25, 0.5)
DOG = Annotation(1, 0.25, 0.25, 0.125, 0.25)


@pytest.fixture(params=["files", "memory"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Images a to e: a cat, a cat and a dog, nothing, two not labelled; one in another split."""
    made = (
        create_stores(tmp_path / "data", tmp_path / "models")
        if request.param == "files"
        else create_memory_stores()
    )
    await made.dataset.create("pets", ["cat", "dog", "big bird"])
    for name in "abcde":
        await made.image.save_bytes("pets", "train", f"{name}.jpg", jpeg(1))
    await made.image.save_bytes("pets", "val", "v.jpg", jpeg(1))
    await made.label.save("pets", "val", "v.jpg", [DOG])
    await made.label.save("pets", "train", "a.jpg", [CAT])
    await made.label.save("pets", "train", "c.jpg", [])
    await made.label.save("pets", "train", "b.jpg", [DOG, CAT, DOG])
    return made


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (None, "abcde"),
        ("labelled", "abc"),
        ("unlabelled", "de"),
        ("background", "c"),
        ("class:cat", "ab"),
        ("class:dog", "b"),
        ("class:big bird", ""),
        ("recent", "bca"),
    ],
)
async def test_a_filter_leaves_the_images_it_names(
    stores: Stores, only: str | None, expected: str
) -> None:
    walk = await plan_walk(stores, "pets", "train", only=only)
    assert walk.filenames == [f"{name}.jpg" for name in expected]
    assert walk.labelled == {f"{name}.jpg" for name in set(expected) & set("abc")}


async def test_it_chooses_among_the_images_it_is_given_in_their_order(stores: Stores) -> None:
    given = ["b.jpg", "e.jpg", "a.jpg"]
    walk = await plan_walk(stores, "pets", "train", images=given, only="class:cat")
    assert walk.filenames == ["b.jpg", "a.jpg"]
    assert (await plan_walk(stores, "pets", "train", images=given)).filenames == given


async def test_recent_goes_by_the_last_change_of_each(stores: Stores) -> None:
    await stores.label.save("pets", "train", "a.jpg", [DOG])
    await stores.label.save("pets", "train", "e.jpg", [DOG])
    await stores.image.delete("pets", "train", "e.jpg")
    walk = await plan_walk(stores, "pets", "train", only="recent")
    assert walk.filenames == ["a.jpg", "b.jpg", "c.jpg"]


async def test_a_class_or_an_image_that_is_not_there_is_named(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="no class 'cow'; its classes are cat, dog, big bird"):
        await plan_walk(stores, "pets", "train", only="class:cow")
    with pytest.raises(NotFoundError, match=r"pets/train has no image v\.jpg"):
        await plan_walk(stores, "pets", "train", images=["a.jpg", "v.jpg"])


@pytest.mark.parametrize("only", ["odd", "class:", "", "Recent"])
def test_an_unknown_filter_is_refused(only: str) -> None:
    with pytest.raises(ValueError, match="unlabelled"):
        check_filter(only)


def test_every_filter_that_is_offered_is_known() -> None:
    for only in FILTERS:
        check_filter(only)


async def test_a_label_file_that_cannot_be_read_is_no_background(tmp_path: Path) -> None:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    await stores.dataset.create("pets", ["cat"])
    for name in ("a.b.jpg", "c.jpg"):
        await stores.image.save_bytes("pets", "train", name, jpeg(1))
        await stores.label.save("pets", "train", name, [])
    (tmp_path / "data/pets/labels/train/a.b.txt").write_text("what is this\n")
    walk = await plan_walk(stores, "pets", "train", only="background")
    assert walk.filenames == ["c.jpg"]
