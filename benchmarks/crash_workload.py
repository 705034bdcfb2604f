"""A process that changes a dataset at random, and the model of what it must have become.

Run as a script, this file is the child of `crash.py` and of the tests: it does random
operations through the stores and notes in its journal, before each, what it is about to
do and, after each, that it was acknowledged. Whoever killed it replays the journal on a
`World` and compares: every acknowledged operation has happened, and the one that was cut
off has happened as a whole or not at all.

Several children may work on one dataset, each on images whose names start with its owner's
letter, so that each journal alone says what these images must be.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import os
import random
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import ConflictError
from workbench.persistence import ModelStore, Stores, create_stores
from workbench.persistence.models import SPLITS, Annotation, ImageMove
from workbench.persistence.rules import encode

DATASET = "crash"
BASE_CLASSES = ["one", "two", "three"]
PICTURES = 6
EXPORTS = 20

WHOLE = ["swap", "freeze", "restore_version", "delete_version", "round_trip"]
"""Operations on all images of the dataset, which only one child may do that is alone."""

BESIDE = [
    "copy",
    "export",
    "delete_dataset",
    "restore_dataset",
    "purge_dataset",
    "model",
    "rename_model",
    "activate",
    "delete_model",
]
"""Operations on other datasets, archives and models."""

Op = dict[str, Any]
Boxes = list[list[float]]


@dataclass
class World:
    """What one owner's images, labels, trash and classes must be.

    Parameters
    ----------
    images : dict
        ``"split/name"`` to the number of its picture and its boxes, None while unlabelled.
    trash : dict
        Id of a trash entry to what it holds: kind, split/name, picture, boxes.
    classes : list of str
    serial : int
        For names that were never used before.
    versions : dict
        Images and classes of each frozen version, by its name.
    others : dict
        Name of each other dataset (copied, imported) to what it holds: pictures and boxes.
    binned : dict
        Id of each deleted dataset to its name and what it holds.
    models : list of str
    active : str or None
        The active model.
    """

    images: dict[str, tuple[int, Boxes | None]] = field(default_factory=dict)
    trash: dict[str, list[Any]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=lambda: list(BASE_CLASSES))
    serial: int = 0
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: dict[str, list[Any]] = field(default_factory=dict)
    binned: dict[str, list[Any]] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    active: str | None = None

    def applied(self, op: Op, entry_id: str | None) -> World:
        """Return the world after `op`; `entry_id` is the trash entry that it made, if any."""
        world = copy.deepcopy(self)
        world.serial += 1
        getattr(world, f"_{op['kind']}")(op, entry_id)
        return world

    def _picture(self, op: Op, _: str | None) -> None:
        boxes = self.images[op["at"]][1] if op["at"] in self.images else None
        self.images[op["at"]] = (op["picture"], boxes)

    def _label(self, op: Op, _: str | None) -> None:
        for at, boxes in op["labels"].items():
            self.images[at] = (self.images[at][0], boxes)

    _label_many = _label

    def _move(self, op: Op, _: str | None) -> None:
        for source, target in op["moves"]:
            self.images[target] = self.images.pop(source)

    _move_many = _move
    _rename = _move

    def _delete(self, op: Op, entry_id: str | None) -> None:
        self.trash[str(entry_id)] = ["image", op["at"], *self.images.pop(op["at"])]

    def _delete_label(self, op: Op, entry_id: str | None) -> None:
        picture, boxes = self.images[op["at"]]
        self.images[op["at"]] = (picture, None)
        self.trash[str(entry_id)] = ["label", op["at"], picture, boxes]

    def _restore(self, op: Op, _: str | None) -> None:
        kind, at, picture, boxes = self.trash.pop(op["entry"])
        if kind == "label":  # its image may have been replaced since
            picture = self.images[at][0]
        self.images[at] = (picture, boxes)

    def _purge(self, op: Op, _: str | None) -> None:
        del self.trash[op["entry"]]

    def _classes(self, op: Op, _: str | None) -> None:
        self.classes = op["classes"]

    def _swap(self, op: Op, _: str | None) -> None:
        """Two classes get each other's ids: in all label files, also those in the trash."""
        first, second = op["ids"]
        ids = {first: second, second: first}
        self.classes = [self.classes[ids.get(i, i)] for i in range(len(self.classes))]

        def swapped(boxes: Boxes | None) -> Boxes | None:
            return boxes and [[ids.get(int(box[0]), int(box[0])), *box[1:]] for box in boxes]

        self.images = {at: (p, swapped(boxes)) for at, (p, boxes) in self.images.items()}
        self.trash = {i: [*entry[:3], swapped(entry[3])] for i, entry in self.trash.items()}

    def _freeze(self, op: Op, _: str | None) -> None:
        self.versions[op["name"]] = {
            "images": dict(self.images),
            "classes": list(self.classes),
            "trash": {entry: held[3] for entry, held in self.trash.items()},
        }

    def _restore_version(self, op: Op, _: str | None) -> None:
        kept = self.versions[op["name"]]
        self.images = {at: (image[0], image[1]) for at, image in kept["images"].items()}
        # Labels in the trash follow the names of the classes, or are what they were then.
        ids = {i: kept["classes"].index(n) for i, n in enumerate(self.classes[:3])}
        self.classes = list(kept["classes"])
        for entry, held in self.trash.items():
            if entry in kept["trash"]:
                held[3] = kept["trash"][entry]
            elif held[3]:
                held[3] = [[ids[int(box[0])], *box[1:]] for box in held[3]]

    def _delete_version(self, op: Op, _: str | None) -> None:
        del self.versions[op["name"]]

    def _copy(self, op: Op, _: str | None) -> None:
        self.others[op["name"]] = sorted([at, *self.images[at]] for at in op["images"])

    def _round_trip(self, op: Op, _: str | None) -> None:
        self.others[op["name"]] = sorted([at, *image] for at, image in self.images.items())

    def _export(self, op: Op, _: str | None) -> None:
        pass

    def _delete_dataset(self, op: Op, entry_id: str | None) -> None:
        self.binned[str(entry_id)] = [op["name"], self.others.pop(op["name"])]

    def _restore_dataset(self, op: Op, _: str | None) -> None:
        name, images = self.binned.pop(op["entry"])
        self.others[name] = images

    def _purge_dataset(self, op: Op, _: str | None) -> None:
        del self.binned[op["entry"]]

    def _model(self, op: Op, _: str | None) -> None:
        self.models.append(op["name"])

    def _rename_model(self, op: Op, _: str | None) -> None:
        self.models[self.models.index(op["name"])] = op["to"]
        self.active = op["to"] if self.active == op["name"] else self.active

    def _activate(self, op: Op, _: str | None) -> None:
        self.active = op["name"]

    def _delete_model(self, op: Op, _: str | None) -> None:
        self.models.remove(op["name"])
        self.active = None if self.active == op["name"] else self.active


class Chooser:
    """Picks the next operation, one that is possible in the world as it is."""

    def __init__(self, seed: int, owner: str, *, classes: bool, alone: bool) -> None:
        self._random = random.Random(seed)
        self._owner = owner
        self._kinds = [
            "picture",
            "label",
            "label",
            "label_many",
            "overwrite",
            "move",
            "move",
            "move_many",
            "rename",
            "delete",
            "delete_label",
            "restore",
            "restore",
            "purge",
        ]
        if classes:  # what concerns all images, or more than one dataset, is one child's alone
            self._kinds += ["classes", *WHOLE * (2 if alone else 0), *BESIDE]

    def next(self, world: World) -> Op:
        """Return an operation that `world` allows."""
        while True:
            kind = "picture" if len(world.images) < 3 else self._random.choice(self._kinds)
            op: Op | None = getattr(self, f"_{kind}")(world)
            if op is not None and (kind != "picture" or len(world.images) < 30):
                return op

    def _some(self, world: World, most: int) -> list[str]:
        count = self._random.randint(1, most)
        return self._random.sample(sorted(world.images), min(count, len(world.images)))

    def _boxes(self) -> Boxes:
        # Thousandths, which eight decimals hold exactly; every box lies inside the image.
        def value(low: int, high: int) -> float:
            return self._random.randrange(low, high) / 1000

        return [
            [
                self._random.randrange(3),
                value(400, 600),
                value(400, 600),
                value(200, 400),
                value(200, 400),
            ]
            for _ in range(self._random.randrange(12))
        ]

    def _ways(self, world: World, most: int) -> list[list[str]]:
        """Return moves to other splits that are free; a restored name may be in two of them."""
        ways: dict[str, str] = {}
        for at in self._some(world, most):
            split, name = at.split("/")
            target = f"{self._random.choice([s for s in SPLITS if s != split])}/{name}"
            if target not in world.images:
                ways[target] = at
        return [[source, target] for target, source in ways.items()]

    def _picture(self, world: World) -> Op:
        at = f"{self._random.choice(SPLITS)}/{self._owner}{world.serial:06}.jpg"
        return {"kind": "picture", "at": at, "picture": self._random.randrange(PICTURES)}

    def _overwrite(self, world: World) -> Op:
        (at,) = self._some(world, 1)
        return {"kind": "picture", "at": at, "picture": self._random.randrange(PICTURES)}

    def _label(self, world: World) -> Op:
        (at,) = self._some(world, 1)
        return {"kind": "label", "labels": {at: self._boxes()}}

    def _label_many(self, world: World) -> Op:
        return {"kind": "label_many", "labels": {a: self._boxes() for a in self._some(world, 5)}}

    def _move(self, world: World) -> Op | None:
        ways = self._ways(world, 1)
        return {"kind": "move", "moves": ways} if ways else None

    def _move_many(self, world: World) -> Op | None:
        ways = self._ways(world, 6)
        return {"kind": "move_many", "moves": ways} if ways else None

    def _rename(self, world: World) -> Op:
        (at,) = self._some(world, 1)
        target = f"{at.split('/')[0]}/{self._owner}{world.serial:06}.jpg"
        return {"kind": "rename", "moves": [[at, target]]}

    def _delete(self, world: World) -> Op:
        (at,) = self._some(world, 1)
        return {"kind": "delete", "at": at}

    def _delete_label(self, world: World) -> Op | None:
        labelled = sorted(at for at, (_, boxes) in world.images.items() if boxes is not None)
        return {"kind": "delete_label", "at": self._random.choice(labelled)} if labelled else None

    def _restore(self, world: World) -> Op | None:
        possible = [
            entry
            for entry, (kind, at, _, _) in sorted(world.trash.items())
            if (kind == "image" and at not in world.images)
            or (kind == "label" and at in world.images and world.images[at][1] is None)
        ]
        if not possible:
            return None
        entry = self._random.choice(possible)
        return {"kind": "restore", "entry": entry, "what": world.trash[entry][0]}

    def _purge(self, world: World) -> Op | None:
        if len(world.trash) < 5:
            return None
        return {"kind": "purge", "entry": self._random.choice(sorted(world.trash))}

    def _classes(self, world: World) -> Op:
        extra = [f"extra {world.serial}"] if len(world.classes) == len(BASE_CLASSES) else []
        return {"kind": "classes", "classes": BASE_CLASSES + extra}

    def _swap(self, world: World) -> Op:
        first = self._random.randrange(3)
        return {"kind": "swap", "ids": [first, (first + 1) % 3]}

    def _freeze(self, world: World) -> Op | None:
        if len(world.versions) > 3:
            return None
        return {"kind": "freeze", "name": f"v{world.serial:06}"}

    def _one_of(self, kind: str, names: list[str], key: str = "name") -> Op | None:
        return {"kind": kind, key: self._random.choice(names)} if names else None

    def _restore_version(self, world: World) -> Op | None:
        return self._one_of("restore_version", sorted(world.versions))

    def _delete_version(self, world: World) -> Op | None:
        names = sorted(world.versions)
        return self._one_of("delete_version", names) if len(names) > 2 else None

    def _copy(self, world: World) -> Op | None:
        if len(world.others) > 2:
            return None
        return {"kind": "copy", "name": f"d{world.serial:06}", "images": self._some(world, 4)}

    def _round_trip(self, world: World) -> Op | None:
        if len(world.others) > 2:
            return None
        return {"kind": "round_trip", "name": f"d{world.serial:06}"}

    def _export(self, world: World) -> Op:
        return {"kind": "export"}

    def _delete_dataset(self, world: World) -> Op | None:
        return self._one_of("delete_dataset", sorted(world.others))

    def _restore_dataset(self, world: World) -> Op | None:
        free = [i for i, (name, _) in world.binned.items() if name not in world.others]
        return self._one_of("restore_dataset", sorted(free), "entry")

    def _purge_dataset(self, world: World) -> Op | None:
        return self._one_of("purge_dataset", sorted(world.binned), "entry")

    def _model(self, world: World) -> Op | None:
        return {"kind": "model", "name": f"m{world.serial:06}"} if len(world.models) < 4 else None

    def _rename_model(self, world: World) -> Op | None:
        op = self._one_of("rename_model", world.models)
        return op and {**op, "to": f"m{world.serial:06}"}

    def _activate(self, world: World) -> Op | None:
        return self._one_of("activate", world.models)

    def _delete_model(self, world: World) -> Op | None:
        return self._one_of("delete_model", world.models)


async def perform(stores: Stores, op: Op, pictures: list[bytes], folder: Path) -> str | None:
    """Do `op` through the stores; return the id of the trash entry it made, if any.

    `folder` gets exported archives.
    """
    kind = op["kind"]
    at = op.get("at", "/").split("/")
    if kind == "picture":
        await stores.image.save_bytes(DATASET, *at, pictures[op["picture"]])
    elif kind == "label":
        ((place, boxes),) = op["labels"].items()
        await stores.label.save(DATASET, *place.split("/"), _annotations(boxes))
    elif kind == "label_many":
        labels = {tuple(p.split("/")): _annotations(b) for p, b in op["labels"].items()}
        await stores.label.save_many(DATASET, labels)
    elif kind == "move":
        await stores.image.move(DATASET, *_ends(*op["moves"][0]))
    elif kind == "move_many":
        await stores.image.move_many(DATASET, [ImageMove(*_ends(*m)) for m in op["moves"]])
    elif kind == "rename":
        source, target = op["moves"][0]
        await stores.image.rename(DATASET, *source.split("/"), target.split("/")[1])
    elif kind == "delete":
        return (await stores.image.delete(DATASET, *at)).id
    elif kind == "delete_label":
        return (await stores.label.delete(DATASET, *at)).id
    elif kind == "restore":
        store = stores.image if op["what"] == "image" else stores.label
        await store.restore(DATASET, op["entry"])
    elif kind == "purge":
        await stores.image.purge(DATASET, op["entry"])
    elif kind == "classes":
        await stores.dataset.update_classes(DATASET, op["classes"])
    else:
        return await _perform_on_all(stores, op, folder)
    return None


async def _exported(stores: Stores, folder: Path) -> Path:
    """Export the dataset; again, as the error says, if another process took a file away."""
    for _ in range(EXPORTS):
        with suppress(ConflictError):
            return await stores.dataset.export_zip(DATASET, folder)
    return await stores.dataset.export_zip(DATASET, folder)


async def _perform_on_all(stores: Stores, op: Op, folder: Path) -> str | None:
    kind, name = op["kind"], op.get("name", "")
    if kind == "swap":
        first, second = op["ids"]
        classes = (await stores.dataset.get(DATASET)).classes
        classes[first], classes[second] = classes[second], classes[first]
        await stores.dataset.rewrite_classes(DATASET, classes, {first: second, second: first})
    elif kind == "freeze":
        await stores.dataset.freeze(DATASET, name)
    elif kind == "restore_version":
        await stores.dataset.restore_version(DATASET, name)
    elif kind == "delete_version":
        await stores.dataset.delete_version(DATASET, name)
    elif kind == "copy":
        keys = [(split, file) for split, _, file in (at.partition("/") for at in op["images"])]
        await stores.dataset.copy_images(DATASET, name, keys)
    elif kind == "round_trip":
        await stores.dataset.import_zip(await _exported(stores, folder), name)
    elif kind == "export":
        await _exported(stores, folder)
    elif kind == "delete_dataset":
        return (await stores.dataset.delete(name)).id
    elif kind == "restore_dataset":
        await stores.dataset.restore(op["entry"])
    elif kind == "purge_dataset":
        await stores.dataset.purge(op["entry"])
    else:
        await _perform_on_models(stores.model, op, folder)
    return None


async def _perform_on_models(models: ModelStore, op: Op, folder: Path) -> None:
    kind, name = op["kind"], op["name"]
    if kind == "model":
        await models.save(name, folder.parent / "pictures" / "0.jpg", "yolo11n", DATASET)
    elif kind == "rename_model":
        await models.rename(name, op["to"])
    elif kind == "activate":
        await models.set_active(name)
    elif kind == "delete_model":
        await models.delete(name)
        await models.purge()
    else:
        raise ValueError(kind)


def _annotations(boxes: Boxes) -> list[Annotation]:
    return [Annotation(int(box[0]), *box[1:]) for box in boxes]


def _ends(source: str, target: str) -> tuple[str, str, str]:
    return source.split("/")[1], source.split("/")[0], target.split("/")[0]


class Journal:
    """Intents and acknowledgements, one JSON object a line.

    Each line is one ``write`` to a file, so it outlives the process from that moment on.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, what: str, value: object) -> None:
        """Append one line."""
        os.write(self._file, (json.dumps({what: value}) + "\n").encode())


def replayed(world: World, path: Path) -> tuple[World, Op | None]:
    """Return the world after all acknowledged operations, and the operation cut off, if any."""
    intent: Op | None = None
    for line in path.read_bytes().splitlines() if path.exists() else []:
        entry = json.loads(line)
        if "intent" in entry:
            intent = entry["intent"]
        else:
            assert intent is not None
            world, intent = world.applied(intent, entry["done"]), None
    return world, intent


async def work(folder: Path, owner: str, seed: int, steps: int) -> None:
    """Change the dataset below `folder` until `steps` are done or somebody kills us.

    ``folder/world-<owner>.json`` holds the world to start from, ``folder/log-<owner>`` gets
    the journal, ``folder/pictures`` has the encoded images.
    """
    stores = create_stores(folder / "data", folder / "models")
    state = json.loads((folder / f"world-{owner}.json").read_text())
    world = World(**{**state, "images": {k: tuple(v) for k, v in state["images"].items()}})
    pictures = [(folder / "pictures" / f"{i}.jpg").read_bytes() for i in range(PICTURES)]
    alone = not [path for path in folder.glob("world-*.json") if path.stem != f"world-{owner}"]
    chooser = Chooser(seed, owner, classes=owner == "a", alone=alone)
    journal = Journal(folder / f"log-{owner}")
    _tell("ready")
    for _ in range(steps):
        op = chooser.next(world)
        journal.note("intent", op)
        entry_id = await perform(stores, op, pictures, folder / "exports")
        journal.note("done", entry_id)
        world = world.applied(op, entry_id)
    _tell("finished")


async def repair(folder: Path) -> None:
    """Open everything as the next process does, which repairs what the last one left."""
    stores = create_stores(folder / "data", folder / "models")
    _tell("ready")
    while True:
        for info in await stores.dataset.list():
            await stores.label.load_all(info.name)
        await stores.model.list()
        await stores.dataset.save_prompts(DATASET, {0: ["one"]})


def _tell(what: str) -> None:
    # One write, so that the lines of several children do not mix.
    os.write(1, f"{what} {os.getpid()}\n".encode())


def serve() -> None:
    """Fork a child for each line of the standard input; ``wait`` answers how all of them ended.

    Each is killed within a blink of an eye, and starting Python for it would take far longer.
    """
    # What is imported here is not imported by each child again.
    for module in ("ctypes", "filecmp", "PIL.JpegImagePlugin", "PIL.ImageFile", "zipfile"):
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_warm_up(create_stores(Path(folder, "data"), Path(folder, "models"))))
    children = 0
    for line in sys.stdin:
        command, *arguments = line.split("\t")
        if command == "wait\n":
            ended = [os.waitpid(-1, 0) for _ in range(children)]
            os.write(1, (json.dumps(ended) + "\n").encode())
            children = 0
            continue
        children += 1
        if os.fork() == 0:
            _child(command, arguments)


async def _warm_up(stores: Stores) -> None:
    await stores.dataset.create("warm", BASE_CLASSES)
    picture = encode(np.zeros((20, 20, 3), np.uint8), "a.jpg")
    for split in ("train", "val"):
        await stores.image.save_bytes("warm", split, "a.jpg", picture)
        await stores.label.save("warm", split, "a.jpg", [])
    await stores.dataset.freeze("warm", "first")
    await stores.dataset.restore_version("warm", "first")
    await stores.dataset.import_zip(await stores.dataset.export_zip("warm"), "again")


def _child(command: str, arguments: list[str]) -> None:
    status = 1
    try:
        folder = Path(arguments[0].rstrip("\n"))
        if command == "work":
            owner, seed, steps = arguments[1:]
            asyncio.run(work(folder, owner, int(seed), int(steps)))
        else:
            asyncio.run(repair(folder))
        status = 0
    finally:
        if status:
            traceback.print_exc()
            _tell("failed")
        os._exit(status)


if __name__ == "__main__":
    serve()
