"""Changes of classes: planned with counts, exact, and undone byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.backends import BACKENDS, make_backend
from tests.helpers.pictures import jpeg
from workbench.datasets.changes import BoxRef
from workbench.datasets.classes import ClassEditor
from workbench.errors import ClassesInUseError, ConflictError, InvalidDatasetError, NotFoundError
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.models import Annotation, NewImage

NAMES = ["cat", "dog", "bird", "cow"]
PICTURE = jpeg(1)

Labels = list[list[int] | None]


def box(class_id: int, place: int) -> Annotation:
    return Annotation(class_id, 0.5, 0.5, 0.25, round((place + 1) / 64, 8))


async def make(stores: Stores, labels: Labels) -> None:
    images = [
        NewImage(f"{i}.jpg", "train", PICTURE, ids and [box(c, n) for n, c in enumerate(ids)])
        for i, ids in enumerate(labels)
    ]
    await stores.dataset.create_from("set", NAMES, images)


async def named(stores: Stores) -> list[list[tuple[str, float]]]:
    """The boxes of each image with the *names* of their classes."""
    classes = (await stores.dataset.get("set")).classes
    images = await stores.image.list("set")
    return [
        [
            (classes[b.class_id], b.height)
            for b in await stores.label.load("set", i.split, i.filename)
        ]
        for i in images
    ]


@pytest.fixture(params=sorted(BACKENDS))
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    stores = make_backend(request.param, tmp_path).stores
    await make(stores, [[0, 1, 1], [1], [2, 0], [], None])
    return stores


async def test_add(stores: Stores) -> None:
    before = await named(stores)
    editor = ClassEditor(stores, "set")
    plan = await editor.add("fish", "snail")
    assert [(c.new_name, c.new_id, c.boxes) for c in plan.counts] == [
        ("fish", 4, 0),
        ("snail", 5, 0),
    ]
    assert (await stores.dataset.get("set")).classes == NAMES
    change = await plan.apply()
    assert change.description == "'fish', 'snail' added as new classes"
    assert (await stores.dataset.get("set")).classes == [*NAMES, "fish", "snail"]
    assert await named(stores) == before
    with pytest.raises(ConflictError, match=r"the classes are .* by now"):
        await plan.apply()
    await change.undo()
    assert (await stores.dataset.get("set")).classes == NAMES


async def test_an_added_class_that_is_used_stays(stores: Stores) -> None:
    change = await (await ClassEditor(stores, "set").add("fish")).apply()
    await stores.label.save("set", "train", "3.jpg", [box(4, 0)])
    with pytest.raises(ConflictError, match="fish"):
        await change.undo()
    assert (await stores.dataset.get("set")).classes == [*NAMES, "fish"]


@pytest.mark.parametrize("name", ["", "  "])
async def test_a_class_must_have_a_name(stores: Stores, name: str) -> None:
    editor = ClassEditor(stores, "set")
    with pytest.raises(InvalidDatasetError, match="is empty"):
        await editor.rename("dog", name)
    with pytest.raises(InvalidDatasetError, match="is empty"):
        await editor.add(name)
    with pytest.raises(InvalidDatasetError, match="'dog' already"):
        await editor.add("dog")


async def test_rename(stores: Stores) -> None:
    editor = ClassEditor(stores, "set")
    plan = await editor.rename("dog", "hound")
    assert [(c.name, c.new_name, c.boxes, c.images) for c in plan.counts] == [
        ("dog", "hound", 3, 2)
    ]
    assert (await stores.dataset.get("set")).classes == NAMES
    change = await plan.apply()
    assert (await stores.dataset.get("set")).classes == ["cat", "hound", "bird", "cow"]
    assert change.description == "class 'dog' renamed to 'hound'"
    await change.undo()
    assert (await stores.dataset.get("set")).classes == NAMES
    with pytest.raises(InvalidDatasetError, match="merge"):
        await editor.rename(0, "dog")
    with pytest.raises(NotFoundError, match="its classes are cat, dog, bird, cow"):
        await editor.rename("owl", "x")
    with pytest.raises(NotFoundError):
        await editor.rename(4, "x")


async def test_merge(stores: Stores) -> None:
    before = await named(stores)
    plan = await ClassEditor(stores, "set").merge(["cat", 2], "dog")
    frame = plan.to_frame()
    assert frame["boxes"].tolist() == [2, 3, 1, 0]
    assert frame["new_id"].tolist() == [0, 0, 0, 1]
    assert frame["new_name"].tolist() == ["dog", "dog", "dog", "cow"]
    change = await plan.apply()
    assert (await stores.dataset.get("set")).classes == ["dog", "cow"]
    assert await named(stores) == [[("dog", height) for _, height in boxes] for boxes in before]
    await change.undo()
    assert await named(stores) == before


async def test_split_off(stores: Stores) -> None:
    chosen = [BoxRef("train", "0.jpg", 2, box(1, 2)), BoxRef("train", "1.jpg", 0)]
    plan = await ClassEditor(stores, "set").split_off(chosen, "puppy")
    assert [(c.new_name, c.new_id, c.boxes, c.images) for c in plan.counts] == [("puppy", 4, 2, 2)]
    change = await plan.apply()
    found = await named(stores)
    assert [name for name, _ in found[0]] == ["cat", "dog", "puppy"]
    assert [name for name, _ in found[1]] == ["puppy"]
    await change.undo()
    assert (await stores.dataset.get("set")).classes == NAMES
    with pytest.raises(InvalidDatasetError, match="reclassify"):
        await ClassEditor(stores, "set").split_off(chosen, "cow")


async def test_delete(stores: Stores) -> None:
    editor = ClassEditor(stores, "set")
    with pytest.raises(ClassesInUseError, match="3 boxes on 2 images"):
        await editor.delete("dog")
    assert (await (await editor.delete("cow")).apply()).description.endswith("0 boxes")
    plan = await editor.delete("dog", with_boxes=True)
    assert plan.notes == ["1 image will have no boxes left and count as background"]
    change = await plan.apply()
    assert [[name for name, _ in boxes] for boxes in await named(stores)] == [
        ["cat"],
        [],
        ["bird", "cat"],
        [],
        [],
    ]
    await change.undo()
    assert (await stores.dataset.get("set")).classes == NAMES[:3]


async def test_reorder(stores: Stores) -> None:
    before = await named(stores)
    editor = ClassEditor(stores, "set")
    change = await (await editor.reorder(["cow", "bird", "dog", "cat"])).apply()
    assert (await stores.dataset.get("set")).classes == ["cow", "bird", "dog", "cat"]
    assert await named(stores) == before
    await change.undo()
    with pytest.raises(InvalidDatasetError, match="each of cat, dog, bird, cow once"):
        await editor.reorder(["cow", "cow", "dog", "cat"])


async def test_a_plan_that_shows_other_boxes_than_would_go_is_refused(stores: Stores) -> None:
    editor = ClassEditor(stores, "set")
    delete, rename = await editor.delete("dog", with_boxes=True), await editor.rename(0, "lion")
    await stores.label.save("set", "train", "3.jpg", [box(1, 0)])
    with pytest.raises(ConflictError, match="'dog' has 4 boxes by now, not 3"):
        await delete.apply()
    await rename.apply()
    with pytest.raises(ConflictError, match="the classes are lion"):
        await (delete).apply()


async def test_undo_refuses_after_newer_labels(stores: Stores) -> None:
    change = await (await ClassEditor(stores, "set").delete("dog", with_boxes=True)).apply()
    await stores.label.save("set", "train", "3.jpg", [box(1, 0)])
    before = await named(stores)
    with pytest.raises(ConflictError, match="nothing was undone"):
        await change.undo()
    assert await named(stores) == before


OPERATIONS = st.one_of(
    st.tuples(st.just("rename"), st.integers(0, 3)),
    st.tuples(st.just("merge"), st.sets(st.integers(0, 3), min_size=1), st.integers(0, 3)),
    st.tuples(st.just("delete"), st.integers(0, 3)),
    st.tuples(st.just("reorder"), st.permutations(range(4))),
)


@given(
    labels=st.lists(st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=5)), max_size=5),
    operation=OPERATIONS,
)
async def test_every_other_box_keeps_the_name_of_its_class(
    labels: Labels, operation: tuple[object, ...]
) -> None:
    stores = create_memory_stores()
    await make(stores, labels)
    before = await named(stores)
    editor, kind = ClassEditor(stores, "set"), operation[0]
    becomes: dict[str, str | None] = {name: name for name in NAMES}
    if kind == "rename":
        becomes[NAMES[operation[1]]] = "new"
        plan = await editor.rename(operation[1], "new")
    elif kind == "merge":
        becomes |= {NAMES[i]: NAMES[operation[2]] for i in operation[1]}
        plan = await editor.merge(operation[1], operation[2])
    elif kind == "delete":
        becomes[NAMES[operation[1]]] = None
        plan = await editor.delete(operation[1], with_boxes=True)
    else:
        plan = await editor.reorder(operation[1])
    change = await plan.apply()
    assert await named(stores) == [
        [(becomes[name], height) for name, height in boxes if becomes[name] is not None]
        for boxes in before
    ]
    await change.undo()
    assert await named(stores) == before
    assert (await stores.dataset.get("set")).classes == NAMES
