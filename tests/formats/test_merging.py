"""Imports into a dataset that exists: looked at as raw files, and undone as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, images, labels, picture
from tests.helpers.backends import BACKENDS, make_backend
from workbench import import_accounts, plan_merge
from workbench.datasets.class_names import near_name
from workbench.datasets.formats.accounts import take_back_import
from workbench.errors import ConflictError, ImportFormatError, NotFoundError, WorkbenchError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation
from workbench.persistence.storage.local.writer import LocalWriter

OTHER = picture(120, 90)
ROW = "0 0.50000000 0.50000000 0.10000000 0.10000000\n"
BASE: dict[str, Any] = {
    "data.yaml": "path: .\ntrain: images/train\nval: images/val\nnames: [dog]\n",
    "images/train/a.jpg": PICTURE,
    "images/val/b.jpg": OTHER,
    "labels/val/b.txt": ROW,
}
COCO = coco(
    {"bbox": [20, 10, 60, 50]},
    {"bbox": [20, 10, 60, 50], "image_id": 2},
    names=("a.jpg", "b.jpg"),
)


def _files(root: Path) -> dict[str, bytes]:
    kept = ("images", "labels")
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and p.relative_to(root).parts[0] in kept
    }


async def test_labels_alone_for_the_pictures_that_are_there(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    before = _files(root)
    source = folder(tmp_path / "in", {"boxes.json": COCO})

    plan = await plan_merge(persistence_stores, source / "boxes.json", "pets")
    assert plan.classes == ["dog", "cat"]
    assert _files(root) == before
    merged = await plan.apply()

    info = await persistence_stores.dataset.get("pets")
    assert info.classes == ["dog", "cat"]
    assert labels(info) == {"train/a": [(1.0, *BOX)], "val/b": [(0.0, 0.5, 0.5, 0.1, 0.1)]}
    assert (merged.added, merged.labelled) == ([], [("train", "a.jpg")])
    assert [e.reason for e in merged.ledger.entries if e.outcome == "left"] == ["labelled already"]
    assert merged.ledger.taken["annotations"] == 1

    await merged.change.undo()
    assert _files(root) == before
    assert (await persistence_stores.dataset.get("pets")).classes == ["dog"]


@pytest.mark.parametrize(
    "files",
    [
        {"instances_test.json": coco({"bbox": [20, 10, 60, 50]})},
        {"labels/test/a.txt": "0 0.25 0.35 0.3 0.5\n", "classes.txt": "cat\n"},
    ],
    ids=["coco", "yolo"],
)
async def test_labels_alone_find_a_picture_in_another_split(
    files: dict[str, Any], tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "data" / "pets", BASE)
    plan = await plan_merge(persistence_stores, folder(tmp_path / "in", files), "pets")
    assert plan.pairing == {"name in another split": 1}
    await plan.apply()
    info = await persistence_stores.dataset.get("pets")
    assert labels(info)["train/a"] == [(1.0, *BOX)]
    assert images(info) == ["train/a.jpg", "val/b.jpg"]


async def test_of_labels_for_two_splits_those_of_its_own_count(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "data" / "pets", BASE)
    other = coco({"bbox": [1, 1, 9, 9]})
    files = {"instances_test.json": other, "instances_train.json": coco({"bbox": [20, 10, 60, 50]})}
    plan = await plan_merge(persistence_stores, folder(tmp_path / "in", files), "pets")
    assert [e.file for e in plan.ledger.some("no picture")] == ["instances_test.json"]
    await plan.apply()
    info = await persistence_stores.dataset.get("pets")
    assert labels(info)["train/a"] == [(1.0, *BOX)]


async def test_a_plan_says_what_is_new_there_already_or_contradicts(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(
        tmp_path / "data" / "pets",
        {
            **BASE,
            "images/train/c.jpg": picture(64, 48),
            "labels/train/c.txt": ROW + "0 0.25 0.35 0.3 0.5\n",
            "images/train/d.jpg": picture(48, 64),
            "labels/train/d.txt": ROW,
        },
    )
    source = folder(
        tmp_path / "in",
        {
            "data.yaml": "names: [ox, dog]\n",
            **{f"images/{p.name}": p.read_bytes() for p in sorted(root.rglob("*.jpg"))},
            "images/new.jpg": picture(50, 60),
            "labels/a.txt": "0 0.25 0.35 0.3 0.5\n",  # has none yet
            "labels/b.txt": "1 0.5000004 0.5 0.1 0.1\n",  # the same
            "labels/c.txt": "1 0.25 0.35 0.3 0.5\n",  # one of two
            "labels/d.txt": "0 0.5 0.5 0.1 0.1\n",  # of another class
            "labels/new.txt": "1 0.25 0.35 0.3 0.5\n",
        },
    )
    expected = {
        "keep": (2, {"there already": 1, "labelled already": 2}, "which are kept"),
        "add": (3, {"there already": 2}, "to which boxes are added"),
        "replace": (4, {"there already": 1}, "which are replaced"),
    }
    for existing, (taken, reasons, words) in expected.items():
        plan = await plan_merge(persistence_stores, source, "pets", existing=existing)
        assert sorted(plan.same) == ["images/b.jpg"]
        assert sorted(plan.contradicted) == ["images/c.jpg", "images/d.jpg"]
        assert plan.facts()[0] == "1 picture is new, 4 pictures are there already"
        assert plan.facts()[2:] == [
            "1 picture has the same labels already, which stay as they are",
            f"2 pictures have other labels already, {words}",
        ]
        assert "; ".join(plan.facts()) in str(plan)
        assert plan.ledger.taken["annotations"] == taken
        assert plan.counts()["train"] == {"images": 1, "labelled": taken, "boxes": taken}
        assert plan.ledger.taken["pictures"] == 1
        found = {k[2]: n for k, n in plan.ledger.reasons.items() if k[0] == "annotations"}
        assert found == reasons
        told = " ".join(plan.notes)
        assert "4 pictures are in the dataset already" in told
        assert "went to train" not in told.replace("1 image lies in no split and went to train", "")
        merged = await plan.apply()
        assert len(merged.labelled) == taken - 1
        if existing == "keep":  # ox is of a.jpg alone
            assert (root / "labels/train/d.txt").read_text() == ROW
        await merged.change.undo()


async def test_a_class_that_no_box_comes_in_with_is_not_added(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "data" / "pets", BASE)
    source = folder(
        tmp_path / "in",
        {
            "data.yaml": "names: [ox]\n",
            "images/b.jpg": OTHER,
            "labels/b.txt": "0 0.3 0.3 0.1 0.1\n",
        },
    )
    plan = await plan_merge(persistence_stores, source, "pets")
    assert (plan.classes, plan.boxes_by_class()) == (["dog"], {"dog": 0})
    plan = await plan.choose(existing="add")
    assert (plan.classes, plan.boxes_by_class()) == (["dog", "ox"], {"dog": 0, "ox": 1})


async def test_annotations_alone_count_no_pictures(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(
        tmp_path / "data" / "pets",
        {**BASE, **{f"images/train/{n}.jpg": picture(30 + n, 30) for n in range(3)}},
    )
    source = folder(tmp_path / "in", {"boxes.json": COCO})
    plan = await plan_merge(persistence_stores, source, "pets")
    assert plan.ledger.found["pictures"] == plan.ledger.taken["pictures"] == 0
    assert plan.facts()[:2] == ["0 pictures are new", "1 picture that is there gets labels"]
    assert not any("unlabelled" in note or "no split" in note for note in plan.notes)
    assert plan.source_splits()["train"]["images"] == 0


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Dog", "in upper and lower case only"),
        ("dogs", "in signs or a plural only"),
        ("a_dog", "in signs or a plural only"),
        ("cat", ""),
        ("dog", ""),
    ],
)
async def test_a_class_that_may_be_one_of_the_dataset_is_offered(
    tmp_path: Path, persistence_stores: Stores, name: str, near: str
) -> None:
    folder(tmp_path / "data" / "pets", BASE)
    source = folder(
        tmp_path / "in",
        {"a.jpg": PICTURE, "boxes.json": {**COCO, "categories": [{"id": 1, "name": name}]}},
    )
    plan = await plan_merge(persistence_stores, source, "pets")
    assert plan.near_classes == ({name: "dog"} if near else {})
    said = [note for note in plan.notes if "would be new" in note]
    assert [near in note for note in said] == [True] * bool(near)
    if near:
        plan = await plan.choose(classes={name: plan.near_classes[name]})
        assert (plan.classes, plan.near_classes) == (["dog"], {})


@pytest.mark.parametrize(
    ("name", "others", "near"),
    [
        ("colour", ["color", "size"], "color"),
        ("platelet", ["Platelets"], "Platelets"),
        ("traffic light", ["Traffic_lights"], "Traffic_lights"),
        ("class_1", ["class_2", "class_10"], None),
        ("cat", ["car", "bat"], None),
        ("left hand", ["right hand"], None),
        ("Zebra", ["zebra", "ZEBRA"], "zebra"),
    ],
)
def test_names_that_may_mean_the_same(name: str, others: list[str], near: str | None) -> None:
    assert near_name(name, others) == near


@pytest.mark.parametrize(("existing", "rows"), [("add", 2), ("replace", 1)])
async def test_pictures_with_labels_can_get_others(
    tmp_path: Path, persistence_stores: Stores, existing: str, rows: int
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    source = folder(tmp_path / "in", {"boxes.json": COCO})
    plan = await plan_merge(
        persistence_stores, source, "pets", existing=existing, classes={"cat": "dog"}
    )
    merged = await plan.apply()
    assert len((root / "labels/val/b.txt").read_text().splitlines()) == rows
    await merged.change.undo()
    assert (root / "labels/val/b.txt").read_text() == ROW


async def test_more_pictures_and_those_that_are_there_by_content_or_name(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    before = _files(root)
    source = folder(
        tmp_path / "in",
        {
            "data.yaml": "names: [cat, dog]\n",
            "images/renamed.jpg": PICTURE,  # the bytes of a.jpg
            "labels/renamed.txt": "0 0.25 0.35 0.3 0.5\n",
            "images/b.jpg": picture(120, 90, orientation=3),  # other bytes, the same name and size
            "images/new.jpg": picture(50, 60),
            "labels/new.txt": "1 0.25 0.35 0.3 0.5\n",
            "images/a.jpg": picture(31, 32),  # the name of another picture
        },
    )
    plan = await plan_merge(persistence_stores, source, "pets")
    merged = await plan.apply()

    info = await persistence_stores.dataset.get("pets")
    assert images(info) == ["train/a.jpg", "train/a_2.jpg", "train/new.jpg", "val/b.jpg"]
    assert labels(info)["train/a"] == [(1.0, *BOX)]
    assert labels(info)["train/new"] == [(0.0, *BOX)]
    assert sorted(merged.added) == [("train", "a_2.jpg"), ("train", "new.jpg")]

    await merged.change.undo()
    assert _files(root) == before

    plan = await plan_merge(persistence_stores, source, "pets", new="leave")
    merged = await plan.apply()
    assert merged.added == []
    left = [entry.reason for entry in merged.ledger.entries if entry.unit == "pictures"]
    assert sorted(left) == ["not in the dataset"] * 2 + ["picture there already"] * 2
    assert merged.change.description == "labels of 1 image imported"


async def test_what_changed_meanwhile_is_not_overrun(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "data" / "pets", BASE)
    source = folder(tmp_path / "in", {"boxes.json": COCO})
    plan = await plan_merge(persistence_stores, source, "pets")
    await persistence_stores.dataset.update_classes("pets", ["dog", "ox"])
    with pytest.raises(ConflictError, match="plan it again"):
        await plan.apply()
    with pytest.raises(ImportFormatError, match="keep, add, replace"):
        await plan_merge(persistence_stores, source, "pets", existing="merge")
    merged = await (await plan_merge(persistence_stores, source, "pets")).apply()
    await persistence_stores.label.save("pets", "train", "a.jpg", [])
    with pytest.raises(ConflictError):
        await merged.change.undo()


@pytest.mark.parametrize("existing", ["add", "replace"])
@pytest.mark.parametrize("before", ["labelled", "unlabelled", "replaced"])
async def test_labels_of_somebody_since_the_plan_are_not_overwritten(
    tmp_path: Path, persistence_stores: Stores, before: str, existing: str
) -> None:
    """Whatever was to be done with those that were there when it was planned."""
    stores = persistence_stores
    folder(tmp_path / "data" / "pets", BASE | {"labels/train/a.txt": "0 0.5 0.5 0.5 0.5\n"})
    if before == "unlabelled":
        await stores.label.delete("pets", "train", "a.jpg")
    size = (9, 9) if before == "replaced" else (200, 100)
    files = {**BASE, "images/train/a.jpg": picture(*size), "labels/train/a.txt": ROW}
    source = folder(tmp_path / "in", files)
    plan = await plan_merge(stores, source, "pets", existing=existing, clashes="replace")
    assert plan.replaced == ({"images/train/a.jpg": ("train", "a.jpg")} if size[0] == 9 else {})
    drawn = [Annotation(0, 0.3, 0.3, 0.1, 0.1)]
    await stores.label.save("pets", "train", "a.jpg", drawn)
    with pytest.raises(ConflictError, match=r"train/a\.txt: these labels .* plan it again"):
        await plan.apply()
    assert await stores.label.load("pets", "train", "a.jpg") == drawn
    assert await import_accounts(stores, "pets") == []
    merged = await (await plan.choose()).apply()
    assert ("train", "a.jpg") in merged.labelled
    await merged.change.undo()
    assert await stores.label.load("pets", "train", "a.jpg") == drawn


async def test_labels_that_somebody_deletes_since_the_plan_do_not_come_back(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "data" / "pets", BASE | {"labels/train/a.txt": ROW})
    source = folder(tmp_path / "in", {"boxes.json": COCO})
    plan = await plan_merge(persistence_stores, source, "pets", existing="add")
    await persistence_stores.label.delete("pets", "train", "a.jpg")
    with pytest.raises(ConflictError, match="plan it again"):
        await plan.apply()
    assert not await persistence_stores.label.exists("pets", "train", "a.jpg")


async def test_other_choices_are_planned_for_the_classes_that_there_are_by_now(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "data" / "pets", BASE)
    plan = await plan_merge(
        persistence_stores, folder(tmp_path / "in", {"boxes.json": COCO}), "pets"
    )
    await persistence_stores.dataset.update_classes("pets", ["dog", "ox"])
    plan = await plan.choose(existing="add")
    assert plan.classes == ["dog", "ox", "cat"]
    await plan.apply()
    [box] = await persistence_stores.label.load("pets", "train", "a.jpg")
    assert box.class_id == 2


@pytest.mark.parametrize("alone", [True, False])
async def test_what_changed_in_the_source_since_the_plan_is_planned_anew(
    tmp_path: Path, persistence_stores: Stores, alone: bool
) -> None:
    """Labels alone, and a new picture that is another by now, larger than its boxes say."""
    folder(tmp_path / "data" / "pets", BASE)
    pictures = {} if alone else {"c.jpg": picture(150, 70)}
    document = coco({"bbox": [20, 10, 60, 50]}, {"bbox": [20, 10, 60, 50], "image_id": 2},
                    names=("a.jpg", "c.jpg"))  # fmt: skip
    source = folder(tmp_path / "in", {"boxes.json": document, **pictures})
    plan = await plan_merge(persistence_stores, source, "pets", existing="add")
    document["annotations"][0]["bbox"] = [0, 0, 100, 50]
    folder(source, {"boxes.json": document} | ({} if alone else {"c.jpg": picture(400, 300)}))
    merged = await plan.apply()
    labelled = labels(await persistence_stores.dataset.get("pets"))
    if alone:
        assert labelled["train/a"] == [(1.0, 0.25, 0.25, 0.5, 0.5)]
    else:
        assert labelled["train/c"] == [(1.0, 0.125, 0.11667, 0.15, 0.16667)]
        assert any("another size" in note for note in merged.notes)


@pytest.mark.parametrize("kind", BACKENDS)
async def test_every_kind_of_store(tmp_path: Path, kind: str) -> None:
    backend = make_backend(kind, tmp_path)
    await backend.arrange(
        "pets", {n: d.encode() if isinstance(d, str) else d for n, d in BASE.items()}
    )
    source = folder(tmp_path / "in", {"boxes.json": COCO})
    merged = await (await plan_merge(backend.stores, source, "pets")).apply()
    [box] = await backend.stores.label.load("pets", "train", "a.jpg")
    assert box.class_id == 1
    await merged.change.undo()
    assert not await backend.stores.label.exists("pets", "train", "a.jpg")


ALL: dict[str, Any] = {
    "data.yaml": "names: [dog, cat]\n",
    "images/train/new.jpg": picture(50, 60),
    "labels/train/new.txt": "1 0.25 0.35 0.3 0.5\n",
    "images/val/b.jpg": picture(31, 32),
    "labels/val/b.txt": "1 0.25 0.35 0.3 0.5\n",
    "images/train/a.jpg": PICTURE,
    "labels/train/a.txt": "0 0.25 0.35 0.3 0.5\n",
}


@pytest.mark.parametrize("clashes", ["rename", "replace"])
async def test_what_somebody_moves_before_it_is_done_is_told_and_nothing_comes_in(
    tmp_path: Path, persistence_stores: Stores, clashes: str
) -> None:
    root = folder(tmp_path / "data" / "pets", {**BASE, "images/train/n.jpg": OTHER})
    files = {**BASE, "images/train/n.jpg": picture(50, 40), "labels/train/n.txt": ROW}
    source = folder(tmp_path / "in", {**files, "labels/train/a.txt": ROW})
    plan = await plan_merge(persistence_stores, source, "pets", clashes=clashes)
    moved = "n.jpg" if clashes == "replace" else "a.jpg"
    await persistence_stores.image.move("pets", moved, "train", "test")
    before = _files(root)
    with pytest.raises(ConflictError, match=r"Somebody else .* nothing of it came in; plan it"):
        await plan.apply()
    assert _files(root) == before
    assert await import_accounts(persistence_stores, "pets") == []
    await (await plan_merge(persistence_stores, source, "pets", clashes=clashes)).apply()
    assert _files(root) != before
    await persistence_stores.dataset.delete("pets")
    with pytest.raises(NotFoundError, match="pets"):
        await plan.apply()


async def test_a_plan_is_made_while_others_move_and_delete_pictures(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that all have one length, each is read once, however many come in."""
    many = {f"images/train/{n}.jpg": PICTURE[:-2] + bytes([n]) + b"\xd9" for n in range(6)}
    root = folder(tmp_path / "data" / "pets", {**BASE, **many})
    source = folder(
        tmp_path / "in",
        {f"images/{name}.jpg": data for name, data in zip("uvwxyz", many.values(), strict=True)},
    )
    image, asked = persistence_stores.image, []
    scan, read_many = image.scan, image.read_many

    async def moved_on(dataset: str) -> Any:
        await image.move(dataset, "0.jpg", "train", "val")
        found = await scan(dataset)
        await image.delete(dataset, "train", "1.jpg")
        return found

    async def read(dataset: str, keys: Any) -> Any:
        asked.extend(keys)
        return await read_many(dataset, keys)

    monkeypatch.setattr(image, "scan", moved_on)
    monkeypatch.setattr(image, "read_many", read)
    plan = await plan_merge(persistence_stores, source, "pets")
    assert len(asked) == len(set(asked))
    monkeypatch.undo()
    merged = await plan.apply()
    assert sorted(name for _, name in merged.added) == ["u.jpg", "v.jpg"]
    assert (root / "images/val/0.jpg").is_file()


async def test_what_cannot_all_come_in_does_not_come_in_at_all(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    plan = await plan_merge(
        persistence_stores, folder(tmp_path / "in", ALL), "pets", clashes="replace"
    )
    (root / "labels" / "train" / "new.txt").mkdir(parents=True)  # where a label file is to be
    before = _files(root), (root / "data.yaml").read_text()
    with pytest.raises((OSError, WorkbenchError)):
        await plan.apply()
    assert (_files(root), (root / "data.yaml").read_text()) == before
    assert await import_accounts(persistence_stores, "pets") == []
    assert await persistence_stores.image.list_trash("pets") == []
    (root / "labels" / "train" / "new.txt").rmdir()
    merged = await plan.apply()
    assert merged.added == [("train", "new.jpg")]
    info = await persistence_stores.dataset.get("pets")
    assert info.classes == ["dog", "cat"]
    assert sorted(labels(info)) == ["train/a", "train/new", "val/b"]


async def test_another_session_knows_the_way_back(tmp_path: Path) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    before = _files(root)
    first = create_stores(tmp_path / "data", tmp_path / "models")
    plan = await plan_merge(first, folder(tmp_path / "in", ALL), "pets", clashes="replace")
    await plan.apply()
    assert _files(root) != before

    later = create_stores(tmp_path / "data", tmp_path / "models")
    [account] = await import_accounts(later, "pets")
    assert account.can_be_taken_back
    await take_back_import(later, "pets", account)
    assert _files(root) == before
    assert (await later.dataset.get("pets")).classes == ["dog"]
    assert [entry.name for entry in await later.image.list_trash("pets")] == ["new.jpg"]
    [account] = await import_accounts(later, "pets")
    assert account.undone
    with pytest.raises(ConflictError, match="undone already"):
        await take_back_import(later, "pets", account)


@pytest.mark.parametrize("what", ["a label of what came", "a label that it changed", "an image"])
async def test_work_that_was_done_since_is_not_destroyed(
    tmp_path: Path, persistence_stores: Stores, what: str
) -> None:
    stores = persistence_stores
    root = folder(tmp_path / "data" / "pets", BASE)
    plan = await plan_merge(stores, folder(tmp_path / "in", ALL), "pets", clashes="replace")
    await plan.apply()
    if what == "an image":
        await stores.image.delete("pets", "train", "new.jpg")
    else:
        name = "new.jpg" if what == "a label of what came" else "a.jpg"
        await stores.label.save("pets", "train", name, [])
    since = _files(root)
    [account] = await import_accounts(stores, "pets")
    said = "no image 'new.jpg'" if what == "an image" else "changed since"
    with pytest.raises(
        ConflictError, match=f"nothing was undone.*{said}|{said}.*nothing was undone"
    ):
        await take_back_import(stores, "pets", account)
    assert _files(root) == since
    assert (await stores.dataset.get("pets")).classes == ["dog", "cat"]


async def test_a_class_that_is_used_by_now_stays(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    stores = persistence_stores
    folder(tmp_path / "data" / "pets", {**BASE, "images/train/c.jpg": picture(40, 40)})
    merged = await (await plan_merge(stores, folder(tmp_path / "in", ALL), "pets")).apply()
    box = Annotation(1, 0.5, 0.5, 0.25, 0.5)
    await stores.label.save("pets", "train", "c.jpg", [box])
    await merged.change.undo()
    assert (await stores.dataset.get("pets")).classes == ["dog", "cat"]
    assert await stores.label.load("pets", "train", "c.jpg") == [box]
    assert not await stores.image.exists("pets", "train", "new.jpg")


async def test_a_class_with_a_prompt_by_now_stays(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    stores = persistence_stores
    folder(tmp_path / "data" / "pets", BASE)
    merged = await (await plan_merge(stores, folder(tmp_path / "in", ALL), "pets")).apply()
    await stores.dataset.save_prompts("pets", {1: ["a cat that sleeps"]})
    await merged.change.undo()
    assert (await stores.dataset.get("pets")).classes == ["dog", "cat"]
    assert await stores.dataset.get_prompts("pets") == {1: ["a cat that sleeps"]}


async def test_classes_are_taken_back_in_the_same_change_as_all_else(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed has taken back all of the import, or nothing."""
    stores = persistence_stores
    root = folder(tmp_path / "data" / "pets", BASE)
    merged = await (await plan_merge(stores, folder(tmp_path / "in", ALL), "pets")).apply()
    assert (await stores.dataset.get("pets")).classes == ["dog", "cat"]
    read, commits = Path(root / "data.yaml").read_text, []
    commit = LocalWriter.commit

    def counted(writer: LocalWriter, changes: Any) -> None:
        commit(writer, changes)
        commits.append("cat" in read())

    monkeypatch.setattr(LocalWriter, "commit", counted)
    await merged.change.undo()
    assert commits == [False]


async def test_a_way_back_from_a_stranger_leads_nowhere_else(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    (tmp_path / "data" / "secret.jpg").write_bytes(PICTURE)
    merged = await (
        await plan_merge(persistence_stores, folder(tmp_path / "in", ALL), "pets")
    ).apply()
    assert merged.added
    [path] = (root / ".workbench" / "imports").iterdir()
    content = json.loads(path.read_text())
    files = _files(root)
    for changes in (
        {"added": [["../..", "secret.jpg"]]},
        {"added": [["train", "../../../secret.jpg"]]},
        {"replaced": ["../../secret.jpg"]},
        {"edits": ["../x"]},
    ):
        path.write_text(json.dumps({**content, "way_back": {**content["way_back"], **changes}}))
        [account] = await import_accounts(persistence_stores, "pets")
        with pytest.raises(WorkbenchError):
            await take_back_import(persistence_stores, "pets", account)
        assert _files(root) == files
    for nonsense in (3, [], {"added": 3}, {**content["way_back"], "classes": [1]}):
        path.write_text(json.dumps({**content, "way_back": nonsense}))
        assert await import_accounts(persistence_stores, "pets") == []
    assert (tmp_path / "data" / "secret.jpg").read_bytes() == PICTURE


@pytest.mark.parametrize("clashes", ["rename", "skip", "replace"])
async def test_a_new_picture_with_the_name_of_another(
    tmp_path: Path, persistence_stores: Stores, clashes: str
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    before = _files(root)
    other = picture(31, 32)
    source = folder(
        tmp_path / "in",
        {
            "data.yaml": "names: [dog]\n",
            "images/val/b.jpg": other,
            "labels/val/b.txt": "0 0.25 0.35 0.3 0.5\n",
        },
    )
    plan = await plan_merge(persistence_stores, source, "pets")
    plan = await plan.choose(clashes=clashes)
    merged = await plan.apply()
    info = await persistence_stores.dataset.get("pets")
    after = _files(root)
    if clashes == "rename":
        assert after["images/val/b_2.jpg"] == other
        assert labels(info)["val/b_2"] == [(0.0, *BOX)]
    elif clashes == "skip":
        assert after == before
        assert merged.ledger.left("pictures") == merged.ledger.left("annotations") == 1
    else:
        assert after["images/val/b.jpg"] == other
        assert labels(info)["val/b"] == [(0.0, *BOX)]
    await merged.change.undo()
    assert _files(root) == before


async def test_choices_can_be_changed_before_it_is_done(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(tmp_path / "data" / "pets", BASE)
    source = folder(tmp_path / "in", {"boxes.json": COCO})
    plan = await plan_merge(persistence_stores, source, "pets", origin="boxes.json (mailed)")
    plan = await plan.choose(classes={"cat": "dog"})
    assert (plan.classes, plan.source_classes) == (["dog"], {"cat": 2})
    plan = await plan.choose(existing="replace")
    assert sorted(plan.labels) == [("train", "a.jpg"), ("val", "b.jpg")]
    assert plan.choices.classes == {"cat": "dog"}
    with pytest.raises(ImportFormatError, match="add, leave"):
        await plan.choose(new="perhaps")
    await plan.apply()
    assert (root / "labels/val/b.txt").read_text() != ROW
    [account] = await import_accounts(persistence_stores, "pets")
    assert account.source == "boxes.json (mailed)"
