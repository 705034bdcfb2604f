"""Boxes that wait for review, in both implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import NotFoundError
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, Prediction
from workbench.persistence.suggestion_blocks import SuggestionSource, new_block
from workbench.persistence.suggestions import SuggestionTable, without_covered

MODEL = SuggestionSource("model", "pets-1", "ab" * 32, {"classes": {"cat": "cat"}})
PROMPTS = SuggestionSource("prompts", "world")
A, B = ("train", "a.jpg"), ("train", "b.jpg")
# Numbers that float32 holds exactly.
LEFT = Prediction(0, 0.25, 0.5, 0.25, 0.5, 0.75)
RIGHT = Prediction(1, 0.75, 0.5, 0.25, 0.5, 0.5)


@pytest.fixture
async def suggested(stores: Stores, pets: str) -> str:
    await stores.image.save_bytes(pets, *B, jpeg(2))
    await stores.image.add_suggestions(pets, [new_block(MODEL, {A: [LEFT, RIGHT], B: []})])
    return pets


def found(table: SuggestionTable, key: tuple[str, str] = A) -> list[tuple[Prediction, str]]:
    return [
        (Prediction(one.class_id, *one.xywh, one.confidence), one.source)  # type: ignore[call-arg]
        for one in table.of(*key)
    ]


async def test_suggestions_come_back_with_their_source(stores: Stores, suggested: str) -> None:
    table = await stores.image.suggestions(suggested)
    assert found(table) == [(LEFT, MODEL.id), (RIGHT, MODEL.id)]
    assert table.of(*B) == []
    assert table.looked_at == {MODEL.id: {A, B}}
    assert table.source(MODEL.id) == MODEL
    assert len(table) == 2
    assert not (await stores.label.get(suggested, *A)).revision  # no label was touched


async def test_a_table_that_is_known_is_not_read_again(stores: Stores, suggested: str) -> None:
    table = await stores.image.suggestions(suggested)
    assert await stores.image.suggestions(suggested, known=table) is table
    await stores.image.add_suggestions(suggested, [new_block(PROMPTS, {A: [LEFT]})])
    assert await stores.image.suggestions(suggested, known=table) is not table


async def test_a_table_that_is_known_follows_names_and_classes(
    stores: Stores, suggested: str
) -> None:
    ds, img = stores.dataset, stores.image
    table = await img.suggestions(suggested)
    await img.rename(suggested, "train", "a.jpg", "c.jpg")
    table = await img.suggestions(suggested, known=table)
    assert [table.of(*A), found(table, ("train", "c.jpg"))] == [
        [],
        [(LEFT, MODEL.id), (RIGHT, MODEL.id)],
    ]
    deleted = await img.delete(suggested, "train", "c.jpg")
    table = await img.suggestions(suggested, known=table)
    assert table.of("train", "c.jpg") == []
    await img.restore(suggested, deleted.id)
    table = await img.suggestions(suggested, known=table)
    assert len(table.of("train", "c.jpg")) == 2
    cat, dog, bird = (await ds.get(suggested)).classes
    rewrite = await ds.rewrite_classes(suggested, [dog, cat, bird], {0: 1, 1: 0, 2: 2})
    table = await img.suggestions(suggested, known=table)
    assert [one.class_id for one in table.of("train", "c.jpg")] == [1, 0]
    await ds.undo_rewrite(suggested, rewrite.id)
    table = await img.suggestions(suggested, known=table)
    assert [one.class_id for one in table.of("train", "c.jpg")] == [0, 1]


async def test_a_source_replaces_what_it_said_itself(stores: Stores, suggested: str) -> None:
    await stores.image.add_suggestions(suggested, [new_block(PROMPTS, {A: [LEFT]})])
    await stores.image.add_suggestions(suggested, [new_block(MODEL, {A: [RIGHT]})])
    table = await stores.image.suggestions(suggested)
    assert found(table) == [(RIGHT, MODEL.id), (LEFT, PROMPTS.id)]
    await stores.image.drop_suggestions(suggested, MODEL.id)
    assert found(await stores.image.suggestions(suggested)) == [(LEFT, PROMPTS.id)]
    with pytest.raises(ValueError, match="id of a source"):
        await stores.image.drop_suggestions(suggested, "../x")


async def test_what_was_rejected_is_not_offered_again(stores: Stores, suggested: str) -> None:
    img = stores.image
    await img.add_suggestions(suggested, [new_block(MODEL, {A: [LEFT]}, "rejected")])
    taught = SuggestionSource("model", "pets-1", "cd" * 32)
    moved = Prediction(0, 0.28125, 0.5, 0.25, 0.5, 0.9375)
    other = Prediction(1, 0.25, 0.5, 0.25, 0.5, 0.5)
    await img.add_suggestions(suggested, [new_block(taught, {A: [moved, other]})])
    await img.add_suggestions(suggested, [new_block(PROMPTS, {A: [LEFT]})])
    table = await img.suggestions(suggested)
    # The same box of the same model taught further is gone; another class and source are not.
    assert found(table) == [(RIGHT, MODEL.id), (other, taught.id), (LEFT, PROMPTS.id)]
    await img.drop_suggestions(suggested, MODEL.id)
    assert (moved, taught.id) not in found(await img.suggestions(suggested))
    await img.add_suggestions(suggested, [new_block(MODEL, {A: [LEFT]}, "restored")])
    assert (moved, taught.id) in found(await img.suggestions(suggested))


async def test_suggestions_follow_their_images(stores: Stores, suggested: str) -> None:
    img = stores.image
    await img.add_suggestions(suggested, [new_block(MODEL, {A: [RIGHT]}, "rejected")])
    await img.move(suggested, "a.jpg", "train", "val")
    await img.rename(suggested, "val", "a.jpg", "c.jpg")
    deleted = await img.delete(suggested, "train", "b.jpg")
    table = await img.suggestions(suggested)
    assert found(table, ("val", "c.jpg")) == [(LEFT, MODEL.id)]
    assert table.looked_at == {MODEL.id: {("val", "c.jpg")}}
    await img.restore(suggested, deleted.id)
    assert B in (await img.suggestions(suggested)).looked_at[MODEL.id]


async def test_suggestions_keep_their_classes(stores: Stores, suggested: str) -> None:
    ds, img = stores.dataset, stores.image
    await img.add_suggestions(suggested, [new_block(MODEL, {A: [RIGHT]}, "rejected")])
    rewrite = await ds.rewrite_classes(suggested, ["bird", "cat"], {0: 1, 1: None, 2: 0})
    table = await img.suggestions(suggested)
    assert [one.class_id for one in table.of(*A)] == [1]
    await img.add_suggestions(suggested, [new_block(PROMPTS, {B: [LEFT]})])  # a bird
    await ds.undo_rewrite(suggested, rewrite.id)
    table = await img.suggestions(suggested)
    assert found(table) == [(LEFT, MODEL.id)]  # the rejected dog stays rejected
    assert [one.class_id for one in table.of(*B)] == [2]


async def test_suggestions_travel_in_the_archive(
    stores: Stores, suggested: str, tmp_path: Path
) -> None:
    img = stores.image
    await img.add_suggestions(suggested, [new_block(MODEL, {A: [RIGHT]}, "rejected")])
    archive = await stores.dataset.export_zip(suggested, tmp_path)
    await stores.dataset.import_zip(archive, name="copy")
    table = await img.suggestions("copy")
    assert found(table) == [(LEFT, MODEL.id)]
    assert table.looked_at == {MODEL.id: {A, B}}


async def test_suggestions_come_back_with_a_version(stores: Stores, suggested: str) -> None:
    await stores.dataset.freeze(suggested, "before")
    await stores.image.move(suggested, "a.jpg", "train", "val")
    await stores.dataset.restore_version(suggested, "before")
    assert found(await stores.image.suggestions(suggested)) == [
        (LEFT, MODEL.id),
        (RIGHT, MODEL.id),
    ]


async def test_a_block_that_a_crash_cut_off_spoils_no_other(
    backend: Backend, suggested: str
) -> None:
    if backend.data_dir is None:
        return  # memory has no file to cut
    file = backend.data_dir / suggested / f".workbench/suggestions/{MODEL.id}.bin"
    whole = file.read_bytes()
    for length in range(1, len(whole)):
        file.write_bytes(whole + whole[:length])
        assert found(await backend.stores.image.suggestions(suggested))[0] == (LEFT, MODEL.id)
    file.write_bytes(whole[:-3])
    assert found(await backend.stores.image.suggestions(suggested)) == []
    await backend.stores.image.add_suggestions(suggested, [new_block(MODEL, {A: [RIGHT]})])
    assert found(await backend.stores.image.suggestions(suggested)) == [(RIGHT, MODEL.id)]


@pytest.mark.parametrize(
    "wrong",
    [
        Prediction(-1, 0.5, 0.5, 0.1, 0.1, 0.5),
        Prediction(0, float("nan"), 0.5, 0.1, 0.1, 0.5),
        Prediction(0, 0.5, 1.5, 0.1, 0.1, 0.5),
        Prediction(0, 0.5, 0.5, 0.1, 0.1, 2.0),
    ],
)
def test_what_cannot_be_a_box_is_refused(wrong: Prediction) -> None:
    with pytest.raises(ValueError, match=r"suggestions of model pets-1 \(abababab\)"):
        new_block(MODEL, {A: [wrong]})


async def test_a_dataset_that_is_not_there(stores: Stores) -> None:
    with pytest.raises(NotFoundError):
        await stores.image.suggestions("nobody")
    with pytest.raises(NotFoundError):
        await stores.image.add_suggestions("nobody", [new_block(MODEL, {A: []})])


async def test_a_label_covers_one_suggestion_of_each_source(stores: Stores, suggested: str) -> None:
    img = stores.image
    beside = Prediction(0, 0.3125, 0.5, 0.25, 0.5, 0.5)  # overlaps LEFT by 0.6
    await img.add_suggestions(suggested, [new_block(MODEL, {A: [LEFT, beside, RIGHT]})])
    await img.add_suggestions(suggested, [new_block(PROMPTS, {A: [LEFT]})])
    waiting = (await img.suggestions(suggested)).of(*A)
    labels = [Annotation(2, *LEFT.xywh)]
    left = without_covered(waiting, labels)
    assert [(one.xywh, one.source) for one in left] == [
        (beside.xywh, MODEL.id),
        (RIGHT.xywh, MODEL.id),
    ]
    assert without_covered(waiting, []) == waiting


async def test_what_is_of_no_class_of_the_dataset_does_not_wait(
    stores: Stores, suggested: str
) -> None:
    before = await stores.image.suggestions(suggested)
    num_classes = len((await stores.dataset.get(suggested)).classes)
    beyond = Prediction(num_classes, 0.5, 0.5, 0.1, 0.1, 0.9)
    other = SuggestionSource("model", "of more classes", "ef" * 32)
    await stores.image.add_suggestions(suggested, [new_block(other, {A: [beyond]})])
    table = await stores.image.suggestions(suggested, known=before)
    assert len(table) == len(before)
    assert A in table.looked_at[other.id]
    classes = (await stores.dataset.get(suggested)).classes
    await stores.dataset.update_classes(suggested, [*classes, "new"])
    table = await stores.image.suggestions(suggested, known=table)
    assert [one.class_id for one in table.of(*A) if one.source == other.id] == [num_classes]
