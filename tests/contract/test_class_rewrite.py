"""Classes that get other ids, with all label files, in both implementations."""

from __future__ import annotations

import os

import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import jpeg
from workbench.errors import ConflictError, InvalidDatasetError, LabelFormatError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.class_rewrite import KEPT_UNDOS
from workbench.persistence.models import Annotation, RowPatch

A, B = ("train", "a.jpg"), ("val", "b.jpg")
MIXED = b"\xef\xbb\xbf1 0.1 0.1 0.4 0.1 0.4 0.3\r\n\n  2.0\t0.5 0.5 0.2 0.2 0.9\n0 0.5 0.5 0.2 0.2"
PLAIN = b"0 0.50000000 0.50000000 0.25000000 0.25000000\n2 0.5 0.5 0.25 0.25\n"


@pytest.fixture
async def set_(backend: Backend) -> str:
    await backend.arrange(
        "set",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat, dog, bird]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": MIXED,
            "images/val/b.jpg": jpeg(2),
            "labels/val/b.txt": PLAIN,
            "images/val/empty.jpg": jpeg(3),
            "labels/val/empty.txt": b"",
        },
    )
    return "set"


def raw(backend: Backend, path: str) -> bytes | None:
    _, split, name = path.split("/")
    return backend.label_bytes("set", split, name.removesuffix(".txt"))


async def ids(stores: Stores, key: tuple[str, str]) -> list[int]:
    return [box.class_id for box in await stores.label.load("set", *key)]


async def test_only_class_ids_change(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    await ds.save_prompts(set_, {0: ["a cat"], 2: ["a bird"]})
    done = await ds.rewrite_classes(set_, ["bird", "cat", "dog"], {0: 1, 1: 2, 2: 0})
    assert (done.label_files, done.boxes_removed) == (2, 0)
    assert raw(backend, "labels/train/a.txt") == (
        b"\xef\xbb\xbf2 0.1 0.1 0.4 0.1 0.4 0.3\r\n\n  0\t0.5 0.5 0.2 0.2 0.9\n1 0.5 0.5 0.2 0.2"
    )
    assert raw(backend, "labels/val/b.txt") == b"1" + PLAIN[1:].replace(b"\n2 ", b"\n0 ")
    assert (await ds.get(set_)).classes == ["bird", "cat", "dog"]
    assert await ds.get_prompts(set_) == {0: ["a bird"], 1: ["a cat"]}

    await ds.undo_rewrite(set_, done.id)
    assert raw(backend, "labels/train/a.txt") == MIXED
    assert raw(backend, "labels/val/b.txt") == PLAIN
    assert (await ds.get(set_)).classes == ["cat", "dog", "bird"]
    assert await ds.get_prompts(set_) == {0: ["a cat"], 2: ["a bird"]}
    with pytest.raises(NotFoundError, match="undone already"):
        await ds.undo_rewrite(set_, done.id)


async def test_a_class_goes_with_its_boxes(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    done = await ds.rewrite_classes(set_, ["cat", "bird"], {1: None, 2: 1}, expected_boxes={1: 1})
    assert (done.label_files, done.boxes_removed) == (2, 1)
    assert await ids(backend.stores, A) == [1, 0]
    assert await ids(backend.stores, B) == [0, 1]
    assert raw(backend, "labels/val/empty.txt") == b""
    await ds.undo_rewrite(set_, done.id)
    assert raw(backend, "labels/train/a.txt") == MIXED


async def test_rows_may_change_with_the_classes(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    box = Annotation(2, 0.5, 0.5, 0.25, 0.25)
    classes = ["cat", "dog", "bird", "owl"]
    wrong = {B: [RowPatch(0, 3, box)]}
    with pytest.raises(ConflictError, match="another one"):
        await ds.rewrite_classes(set_, classes, {}, patches=wrong)
    assert (await ds.get(set_)).classes == ["cat", "dog", "bird"]
    done = await ds.rewrite_classes(set_, classes, {}, patches={B: [RowPatch(1, 3, box)]})
    assert await ids(backend.stores, B) == [0, 3]
    await ds.undo_rewrite(set_, done.id)
    assert raw(backend, "labels/val/b.txt") == PLAIN


async def test_what_cannot_be_is_refused_and_changes_nothing(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    for classes, mapping in (
        (["cat"], {1: 0}),  # class 2 is left over
        (["cat", "cat"], {1: 0, 2: 0}),
        (["cat"], {1: 0, 2: 1}),
        (["cat", "dog", "bird"], {3: 0}),
    ):
        with pytest.raises(InvalidDatasetError):
            await ds.rewrite_classes(set_, classes, mapping)
    with pytest.raises(ConflictError, match="by now"):
        await ds.rewrite_classes(set_, ["x"], {1: 0, 2: 0}, expected=["cat", "dog"])
    with pytest.raises(ConflictError, match="'dog' has 1 box by now, not 2"):
        await ds.rewrite_classes(set_, ["cat"], {1: 0, 2: 0}, expected_boxes={1: 2})
    with pytest.raises(NotFoundError):
        await ds.rewrite_classes(set_, ["cat", "b", "c"], {}, patches={("val", "no.jpg"): []})
    assert raw(backend, "labels/train/a.txt") == MIXED
    assert (await ds.get(set_)).classes == ["cat", "dog", "bird"]


async def test_unreadable_label_files_are_named_and_nothing_is_done(
    backend: Backend, set_: str
) -> None:
    await backend.arrange(
        "bad",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat, dog]\n",
            "images/train/a.jpg": jpeg(1),
            "labels/train/a.txt": b"1 0.5 0.5 0.2 0.2\n",
            "images/train/b.jpg": jpeg(2),
            "labels/train/b.txt": b"1 0.5 nonsense\n",
        },
    )
    with pytest.raises(LabelFormatError, match=r"1 label file cannot be read.*b\.txt, line 1"):
        await backend.stores.dataset.rewrite_classes("bad", ["dog", "cat"], {0: 1, 1: 0})
    assert (await backend.stores.label.load("bad", *A))[0].class_id == 1


async def test_undo_refuses_to_destroy_newer_work(backend: Backend, set_: str) -> None:
    ds, lbl = backend.stores.dataset, backend.stores.label
    done = await ds.rewrite_classes(set_, ["cat", "bird"], {1: 0, 2: 1})
    await lbl.save(set_, "val", "empty.jpg", [Annotation(1, 0.5, 0.5, 0.5, 0.5)])
    with pytest.raises(ConflictError, match=r"labels/val/empty\.txt changed"):
        await ds.undo_rewrite(set_, done.id)
    await lbl.save(set_, "val", "empty.jpg", [])
    await ds.save_prompts(set_, {0: ["any cat"]})
    with pytest.raises(ConflictError, match="prompts"):
        await ds.undo_rewrite(set_, done.id)
    await ds.save_prompts(set_, {})
    await ds.update_classes(set_, ["cat", "fowl"])
    with pytest.raises(ConflictError, match="the classes changed"):
        await ds.undo_rewrite(set_, done.id)
    await ds.update_classes(set_, ["cat", "bird"])
    await ds.undo_rewrite(set_, done.id)
    assert raw(backend, "labels/train/a.txt") == MIXED


async def test_the_trash_keeps_its_meaning(backend: Backend, set_: str) -> None:
    ds, img = backend.stores.dataset, backend.stores.image
    entry = await img.delete(set_, *B)
    label = await backend.stores.label.delete(set_, "train", "a.jpg")
    done = await ds.rewrite_classes(set_, ["bird", "dog", "cat"], {0: 2, 2: 0})
    await img.restore_many(set_, [entry.id, label.id])
    assert await ids(backend.stores, B) == [2, 0]
    assert await ids(backend.stores, A) == [1, 0, 2]
    with pytest.raises(ConflictError):
        await ds.undo_rewrite(set_, done.id)


async def test_the_history_keeps_its_meaning(backend: Backend, set_: str) -> None:
    ds, lbl = backend.stores.dataset, backend.stores.label
    cat, bird = Annotation(0, 0.5, 0.5, 0.5, 0.5), Annotation(2, 0.25, 0.25, 0.125, 0.125)
    await lbl.save(set_, "val", "empty.jpg", [cat, bird])
    await lbl.save(set_, "val", "empty.jpg", [])
    first, second = await lbl.history(set_, "val", "empty.jpg")
    assert [b.class_id for b in second.before or []] == [0, 2]

    done = await ds.rewrite_classes(set_, ["bird", "cat"], {0: 1, 1: None, 2: 0})
    after = (await lbl.history(set_, "val", "empty.jpg"))[-1]
    assert after.id == second.id
    assert [b.class_id for b in after.before or []] == [1, 0]
    await ds.undo_rewrite(set_, done.id)
    assert await lbl.history(set_, "val", "empty.jpg") == [first, second]

    await ds.rewrite_classes(set_, ["bird", "dog", "cat"], {0: 2, 2: 0})
    await lbl.revert_many(set_, [second.id])
    assert await ids(backend.stores, ("val", "empty.jpg")) == [2, 0]


async def test_the_last_changes_of_classes_can_be_undone(backend: Backend, set_: str) -> None:
    ds = backend.stores.dataset
    done = [
        await ds.rewrite_classes(set_, [f"cat {number}", "dog", "bird"], {})
        for number in range(KEPT_UNDOS + 2)
    ]
    kept = [name for name in backend.files() if "/rewrites/" in name]
    # What the labels were and what data.yaml was, for each.
    assert len(kept) == (2 * KEPT_UNDOS if backend.data_dir is not None else 0)
    for rewrite in reversed(done[2:]):
        await ds.undo_rewrite(set_, rewrite.id)
    assert (await ds.get(set_)).classes == ["cat 1", "dog", "bird"]
    with pytest.raises(NotFoundError, match=f"not among the last {KEPT_UNDOS}"):
        await ds.undo_rewrite(set_, done[1].id)


async def test_after_the_clock_went_back_the_newest_changes_are_kept(
    backend: Backend, set_: str
) -> None:
    if backend.data_dir is None:
        pytest.skip("only files carry times of the clock")
    ds = backend.stores.dataset
    done = []
    for number in range(KEPT_UNDOS + 2):
        done.append(await ds.rewrite_classes(set_, [f"cat {number}", "dog", "bird"], {}))
        # As if the clock went back by an hour after each change.
        for path in (backend.data_dir / set_ / ".workbench/rewrites").glob(f"{done[-1].id}.*"):
            os.utime(path, ns=(0, (1_000_000 - 3600 * number) * 10**9))
    for rewrite in reversed(done[2:]):
        await ds.undo_rewrite(set_, rewrite.id)
    assert (await ds.get(set_)).classes == ["cat 1", "dog", "bird"]


async def test_changes_of_classes_without_a_serial_number_are_the_older_ones(
    backend: Backend, set_: str
) -> None:
    if backend.data_dir is None:
        pytest.skip("only files outlive the version that wrote them")
    ds = backend.stores.dataset
    folder = backend.data_dir / set_ / ".workbench/rewrites"
    first = await ds.rewrite_classes(set_, ["cat 0", "dog", "bird"], {})
    for path in folder.iterdir():
        path.rename(folder / path.name.replace(first.id, "ff00ff00ff00ff00"))
    # What no version of ours writes does not get ahead of what is made now.
    (folder / f"{'9' * 30}r{'0' * 16}.json.z").write_bytes(b"")
    for number in range(1, KEPT_UNDOS + 1):
        last = await ds.rewrite_classes(set_, [f"cat {number}", "dog", "bird"], {})
    kept = {path.name.partition(".")[0] for path in folder.iterdir()}
    assert len(kept) == KEPT_UNDOS
    assert last.id in kept
    assert not kept & {"ff00ff00ff00ff00", "9" * 30 + "r" + "0" * 16}
