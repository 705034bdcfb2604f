"""Let an operation die at every single step that it takes on the file system.

Run as a script, because it forks: ``python -m tests.helpers.crash_points <folder>`` prints
one JSON object, operation to list of complaints. For each operation:

1. It is done once in full, on a copy of an arranged folder. An audit hook and a wrapper
   around ``os.write`` count its steps. (``fsync`` is no step: what a process has done
   outlives the process, synced or not.)
2. For each step (of an operation with many, if that is asked for, each ``every``-th only), a
   fresh copy gets a fresh process, which dies just before that step (or half way through it,
   where bytes are written), without any clean-up: ``os._exit``.
3. Another fresh process opens the stores and describes all there is, the trash included,
   with what comes back when each entry of it is restored.

The description must equal the one from before the operation or the one from after it, and
once the next change is through, nothing may lie in the folders for unfinished work.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.helpers.archives import small_dataset, write_zip
from tests.helpers.pictures import jpeg
from workbench.errors import WorkbenchError
from workbench.persistence import Stores, create_stores
from workbench.persistence.disk_errors import in_our_words
from workbench.persistence.inspection import ImageReplacement
from workbench.persistence.models import Annotation, ImageMove, LabelEdit, NewImage, RowPatch
from workbench.persistence.rules import image_size
from workbench.persistence.stores.merging import Merge

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
BIRD = Annotation(2, 0.25, 0.75, 0.125, 0.25)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
ALL_OF = 24
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"}

Operation = Callable[[Stores, Path], Awaitable[object]]


async def _first_entry(stores: Stores, kind: str) -> str:
    if kind == "dataset":
        return (await stores.dataset.list_trash())[0].id
    if kind == "model":
        return (await stores.model.list_trash())[0].id
    entries = await stores.image.list_trash("pets")
    return next(entry.id for entry in entries if entry.kind == kind)


async def _restore_image(s: Stores, _: Path) -> None:
    await s.image.restore("pets", await _first_entry(s, "image"))


async def _restore_label(s: Stores, _: Path) -> None:
    await s.label.restore("pets", await _first_entry(s, "label"))


async def _purge_image(s: Stores, _: Path) -> None:
    await s.image.purge("pets", await _first_entry(s, "image"))


async def _restore_dataset(s: Stores, _: Path) -> None:
    await s.dataset.restore(await _first_entry(s, "dataset"))


async def _restore_model(s: Stores, _: Path) -> None:
    await s.model.restore(await _first_entry(s, "model"))


def _new_images() -> list[NewImage]:
    return [NewImage("n.jpg", "train", jpeg(8), [BOX]), NewImage("m.jpg", "val", jpeg(9))]


async def _restore_many(s: Stores, _: Path) -> None:
    entries = await s.image.list_trash("pets")
    await s.image.restore_many("pets", [entry.id for entry in entries])


async def _undo_rewrite(s: Stores, folder: Path) -> None:
    with in_our_words("pets"):  # this look is not the store's
        memories = list((folder / "data" / "pets" / ".workbench" / "rewrites").iterdir())
    await s.dataset.undo_rewrite("pets", min(p.name for p in memories).partition(".")[0])


async def _revert_many(s: Stores, _: Path) -> None:
    edits = await s.label.history("pets")
    last = {edit.filename: edit.id for edit in edits if edit.filename in ("a.jpg", "d.jpg")}
    await s.label.revert_many("pets", list(last.values()))


async def _merge(s: Stores, _: Path) -> None:
    names = (await s.dataset.get("pets")).classes
    a, new = await s.image.read_bytes("pets", "train", "a.jpg"), jpeg(7)
    labels = {("train", "b.jpg"): [replace(BOX, class_id=len(names))]}
    replaced = [ImageReplacement("train", "a.jpg", "a.jpg", new, a)]
    classes = [*names, "fox"]
    merge = Merge(names, classes, _new_images(), replaced, labels, lambda _: ("account", b"{}"))
    await s.dataset.merge("pets", merge)


OPERATIONS: dict[str, Operation] = {
    "bring images, labels and a class in": _merge,
    "save an image": lambda s, _: s.image.save_bytes("pets", "train", "new.jpg", jpeg(7)),
    "replace an image": lambda s, _: s.image.save_bytes("pets", "train", "a.jpg", jpeg(7)),
    "save labels": lambda s, _: s.label.save("pets", "train", "b.jpg", [BIRD]),
    "replace labels": lambda s, _: s.label.save("pets", "train", "a.jpg", [BIRD, BIRD]),
    "save many labels": lambda s, _: s.label.save_many(
        "pets", {("train", "a.jpg"): [], ("train", "b.jpg"): [BOX], ("val", "c.jpg"): [BIRD]}
    ),
    "move an image": lambda s, _: s.image.move("pets", "a.jpg", "train", "test"),
    "move many images": lambda s, _: s.image.move_many(
        "pets",
        [
            ImageMove("a.jpg", "train", "val"),
            ImageMove("c.jpg", "val", "train"),
            ImageMove("b.jpg", "train", "test"),
        ],
    ),
    "rename an image": lambda s, _: s.image.rename("pets", "train", "a.jpg", "z.jpg"),
    "delete an image": lambda s, _: s.image.delete("pets", "train", "a.jpg"),
    "delete many images": lambda s, _: s.image.delete_many(
        "pets", [("train", "a.jpg"), ("val", "c.jpg")]
    ),
    "delete labels": lambda s, _: s.label.delete("pets", "train", "a.jpg"),
    "restore an image": _restore_image,
    "restore labels": _restore_label,
    "purge an image": _purge_image,
    "restore many": _restore_many,
    "patch many labels": lambda s, _: s.label.patch_many(
        "pets", {("train", "a.jpg"): [RowPatch(0, 1), RowPatch(1, None)], ("val", "c.jpg"): None}
    ),
    "delete many labels": lambda s, _: s.label.delete_many(
        "pets", [("train", "a.jpg"), ("test", "e.jpg")]
    ),
    "revert many labels": _revert_many,
    "tag images": lambda s, _: s.dataset.save_tags("pets", {"night": ["a.jpg", "b.jpg"]}),
    "rename a tagged image": lambda s, _: s.image.rename("pets", "test", "e.jpg", "f.jpg"),
    "rewrite classes": lambda s, _: s.dataset.rewrite_classes(
        "pets", ["bird", "pet"], {0: 1, 1: 1, 2: 0}
    ),
    "undo a rewrite of classes": _undo_rewrite,
    "copy images": lambda s, _: s.dataset.copy_images(
        "pets", "some", [("train", "a.jpg"), ("val", "c.jpg")]
    ),
    "freeze a version": lambda s, _: s.dataset.freeze("pets", "second"),
    "restore a version": lambda s, _: s.dataset.restore_version("pets", "first"),
    "delete a version": lambda s, _: s.dataset.delete_version("pets", "first"),
    "change classes": lambda s, _: s.dataset.update_classes("pets", ["cat", "dog", "bat", "cow"]),
    "colour a class": lambda s, _: s.dataset.set_colours("pets", {"cat": "#ff8800"}),
    "save prompts": lambda s, _: s.dataset.save_prompts("pets", {2: ["a bird"]}),
    "create a dataset": lambda s, _: s.dataset.create("new", ["x"]),
    "create a full dataset": lambda s, _: s.dataset.create_from("new", ["x"], _new_images()),
    "import a dataset": lambda s, folder: s.dataset.import_zip(folder / "in.zip", "new"),
    "rename a dataset": lambda s, _: s.dataset.rename("pets", "animals"),
    "delete a dataset": lambda s, _: s.dataset.delete("pets"),
    "restore a dataset": _restore_dataset,
    "purge datasets": lambda s, _: s.dataset.purge(),
    "save a model": lambda s, folder: s.model.save("new", folder / "w.pt", "yolo11n", "pets"),
    "make a model active": lambda s, _: s.model.set_active("spare"),
    "rename the active model": lambda s, _: s.model.rename("best", "renamed"),
    "note something of a model": lambda s, _: s.model.update_details("best", {"note": "good"}),
    "delete the active model": lambda s, _: s.model.delete("best"),
    "restore a model": _restore_model,
    "purge models": lambda s, _: s.model.purge(),
}


def open_stores(folder: Path) -> Stores:
    return create_stores(folder / "data", folder / "models")


async def arrange(folder: Path) -> None:
    """Make a little of everything, in every state."""
    folder.mkdir()
    stores = open_stores(folder)
    write_zip(folder / "in.zip", small_dataset())
    (folder / "w.pt").write_bytes(b"weights")
    await stores.dataset.create("pets", ["cow", "cat"])
    # A version of another time: other classes, another split, an image that is gone today.
    for filename in ("a.jpg", "x.jpg"):
        await stores.image.save_bytes("pets", "val", filename, jpeg(ord(filename[0])))
        await stores.label.save("pets", "val", filename, [BOX])
    await stores.dataset.freeze("pets", "first")
    await stores.image.delete_many("pets", [("val", "a.jpg"), ("val", "x.jpg")])
    await stores.image.purge("pets")
    await stores.dataset.update_classes("pets", ["cat", "dog", "bird"])
    for name in ("pets", "old"):
        if name != "pets":
            await stores.dataset.create(name, ["cat", "dog", "bird"])
        for split, filename in (
            ("train", "a.jpg"),
            ("train", "b.jpg"),
            ("train", "gone.jpg"),
            ("val", "c.jpg"),
            ("val", "d.jpg"),
            ("test", "e.jpg"),
        ):
            await stores.image.save_bytes(name, split, filename, jpeg(ord(filename[0])))
        for split, filename in (("train", "a.jpg"), ("train", "gone.jpg"), ("val", "d.jpg")):
            await stores.label.save(name, split, filename, [BOX, BIRD])
        await stores.label.save(name, "test", "e.jpg", [BIRD])
    await stores.dataset.save_prompts("pets", {0: ["a cat"]})
    await stores.dataset.save_tags("pets", {"day": ["e.jpg"]})
    await stores.image.delete("pets", "train", "gone.jpg")
    await stores.label.delete("pets", "val", "d.jpg")
    await stores.dataset.delete("old")
    await stores.dataset.rewrite_classes("pets", ["dog", "cat", "bird"], {0: 1, 1: 0})
    for name in ("best", "spare", "worst"):
        await stores.model.save(name, folder / "w.pt", "yolo11n", "pets", 3, {"best_map50": 0.5})
    await stores.model.set_active("best")
    await stores.model.delete("worst")


# --- what is there ------------------------------------------------------------------------


async def describe(folder: Path) -> Any:
    """Describe all there is, through fresh stores, then what each trash entry brings back."""
    stores = open_stores(folder)
    before = await listing(stores)
    restored = []
    for name in [d.name for d in await stores.dataset.list()]:
        for entry in await stores.image.list_trash(name):
            store = stores.image if entry.kind == "image" else stores.label
            restored.append([entry.kind, entry.name, await _outcome(store.restore(name, entry.id))])
    for dataset in await stores.dataset.list_trash():
        outcome = await _outcome(stores.dataset.restore(dataset.id))
        restored.append(["dataset", dataset.name, outcome])
    for model in await stores.model.list_trash():
        outcome = await _outcome(stores.model.restore(model.id))
        restored.append(["model", model.name, outcome])
    return [before, restored, await listing(stores)]


async def _outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except WorkbenchError as error:
        return type(error).__name__
    return "restored"


async def listing(stores: Stores) -> dict[str, Any]:
    """Describe all there is; changes nothing."""
    active = await stores.model.get_active()
    return {
        "datasets": {d.name: await _dataset(stores, d.name) for d in await stores.dataset.list()},
        "trash": sorted(e.name for e in await stores.dataset.list_trash()),
        "models": [
            [m.name, m.best_map50, m.is_active, m.details, await _weights(stores, m.name)]
            for m in await stores.model.list()
        ],
        "active": active and active.name,
        "trashed models": sorted(e.name for e in await stores.model.list_trash()),
    }


async def _weights(stores: Stores, name: str) -> str:
    return (await stores.model.load(name)).read_text()


async def _dataset(stores: Stores, name: str) -> dict[str, Any]:
    info = await stores.dataset.get(name)
    images = {}
    for image in await stores.image.list(name):
        place = (name, image.split, image.filename)
        data = await stores.image.read_bytes(*place)
        boxes = [[a.class_id, *a.xywh] for a in await stores.label.load(*place)]
        images["/".join(place)] = [hashlib.sha1(data).hexdigest(), image.has_labels, boxes]
    trash = await stores.image.list_trash(name)
    stray = {
        str(path.relative_to(info.path))
        for kind in ("images", "labels")
        for path in (info.path / kind).rglob("*")
        if path.is_file()
    }
    return {
        "classes": info.classes,
        "colours": info.colours,
        "counts": info.num_images,
        "tags": await stores.dataset.get_tags(name),
        # Automatic ones may come before the restoring that they are made for, and no harm done.
        "versions": await _versions(stores, name),
        "prompts": {str(k): v for k, v in (await stores.dataset.get_prompts(name)).items()},
        "images": images,
        "files": sorted(stray),
        "trash": sorted([e.kind, e.name, e.split] for e in trash),
        "history": [_edit(edit) for edit in await stores.label.history(name)],
    }


def _edit(edit: LabelEdit) -> list[Any]:
    contents = (edit.before, edit.after)
    return [
        f"{edit.split}/{edit.filename}",
        *(None if boxes is None else [[b.class_id, *b.xywh] for b in boxes] for boxes in contents),
    ]


async def _versions(stores: Stores, name: str) -> dict[str, Any]:
    """Compare every version with the present state: nothing of it may be lost or changed."""
    return {
        version.name: repr(await stores.dataset.compare_versions(name, version.name, None))
        for version in await stores.dataset.list_versions(name)
        if not version.automatic
    }


async def _described_and_swept(folder: Path) -> tuple[Any, list[str]]:
    return await describe(folder), await leftovers(folder)


async def leftovers(folder: Path) -> list[str]:
    """Return unfinished work that is still there after the next change of everything."""
    stores = open_stores(folder)
    for dataset in await stores.dataset.list():
        await stores.dataset.save_prompts(dataset.name, {})
    await stores.dataset.create("sweeper")
    await stores.model.set_active(None)
    return [
        str(path.relative_to(folder))
        for hidden in folder.glob("**/.workbench")
        for part in ("tmp", "tx", "staging")
        for path in (hidden / part).rglob("*")
    ]


# --- dying --------------------------------------------------------------------------------


def in_child(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a forked process, None if that process died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            answer = json.dumps(work()).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(answer)
            os._exit(0)
        except Exception:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


class SortedScandir:
    """``os.scandir`` in the order of names: the same steps on every file system."""

    def __init__(self, path: Any = ".") -> None:
        with _real_scandir(path) as entries:
            self._entries = iter(sorted(entries, key=lambda entry: entry.name))

    def __enter__(self) -> SortedScandir:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return self._entries

    def __next__(self) -> os.DirEntry[str]:
        return next(self._entries)

    def close(self) -> None:
        pass


_real_scandir = os.scandir


def dying_at(step: int, operation: Operation, folder: Path) -> int:
    """Do `operation`, and die just before its step number `step`; return the steps it took."""
    steps = 0
    counting = True

    def count() -> bool:
        nonlocal steps
        steps += counting
        return counting and steps == step

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        )
        if changes and "lock" not in str(arguments[0]).rsplit("/", 1)[-1] and count():
            os._exit(9)

    real_write = os.write

    def write(descriptor: int, data: Any) -> int:
        # A wake-up of the event loop is a write too; it goes to a socket, not through here.
        if count():
            real_write(descriptor, data[: len(data) // 2])
            os._exit(9)
        return real_write(descriptor, data)

    stores = open_stores(folder)
    os.write, os.scandir = write, SortedScandir
    sys.addaudithook(hook)
    asyncio.run(_done(operation, stores, folder))
    counting = False
    os.write = real_write
    return steps


async def _done(operation: Operation, stores: Stores, folder: Path) -> None:
    await operation(stores, folder)


def complaints(base: Path, work: Path, operation: Operation, every: int = 1) -> list[str]:
    """Return what is wrong after deaths in `operation`; the first item tells the steps.

    Of an operation with more than `ALL_OF` steps, each `every`-th is taken.
    """

    def fresh() -> Path:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        return work

    before = in_child(lambda: asyncio.run(describe(fresh())))
    fresh()
    steps = in_child(lambda: dying_at(0, operation, work))
    after = in_child(lambda: asyncio.run(describe(work)))
    assert before is not None
    assert after is not None
    if not steps or before == after:
        return ["0 steps", f"the operation does not work: {steps} steps"]
    found = [f"{steps} steps"]
    for step in range(1, steps + 1, every if steps > ALL_OF else 1):
        fresh()
        if in_child(lambda step=step: dying_at(step, operation, work)) is not None:
            found.append(f"step {step}: not reached")
            continue
        seen, left = in_child(lambda: asyncio.run(_described_and_swept(work))) or (None, None)
        if seen not in (before, after):
            found.append(
                f"step {step}: neither before nor after: {_difference(seen, before, after)}"
            )
        if left != []:
            found.append(f"step {step}: left over: {left}")
    return found


def _difference(seen: Any, before: Any, after: Any) -> str:
    """Return the places at which `seen` differs from both."""
    if isinstance(seen, dict) and isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(seen.keys() | before.keys() | after.keys())
        parts = [
            f"{key}: {_difference(seen.get(key), before.get(key), after.get(key))}"
            for key in keys
            if seen.get(key) not in (before.get(key), after.get(key))
        ]
        return "{" + "; ".join(parts) + "}" if parts else "a mixture of both"
    if isinstance(seen, list) and len(seen) == 3 and isinstance(seen[0], dict):
        return " | ".join(map(_difference, seen, before, after))
    return f"found {seen}, before {before}, after {after}" if seen not in (before, after) else "="


def main(folder: Path, share: int = 0, shares: int = 1, every: int = 1) -> None:
    """Print what is wrong with every operation whose position is `share` modulo `shares`."""
    folder = folder / f"share-{share}"
    folder.mkdir()
    base = folder / "base"
    # What is imported here is not imported again by each of the hundreds of processes.
    for module in ("ctypes", "PIL.Image", "PIL.JpegImagePlugin", "PIL.ImageFile"):
        importlib.import_module(module)
    image_size(jpeg(1), "warm-up")
    open_stores(folder / "warm-up")
    in_child(lambda: asyncio.run(arrange(base)))
    assert (base / "data" / "pets").is_dir()
    results = {
        name: complaints(base, folder / "work", operation, every)
        for name, operation in list(OPERATIONS.items())[share::shares]
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
