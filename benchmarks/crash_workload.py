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
import json
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.persistence import Stores, create_stores
from workbench.persistence.models import SPLITS, Annotation, ImageMove

DATASET = "crash"
BASE_CLASSES = ["one", "two", "three"]
PICTURES = 6

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
    """

    images: dict[str, tuple[int, Boxes | None]] = field(default_factory=dict)
    trash: dict[str, list[Any]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=lambda: list(BASE_CLASSES))
    serial: int = 0

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


class Chooser:
    """Picks the next operation, one that is possible in the world as it is."""

    def __init__(self, seed: int, owner: str, *, classes: bool) -> None:
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
        ] + ["classes"] * classes

    def next(self, world: World) -> Op:
        """Return an operation that `world` allows."""
        while True:
            kind = "picture" if len(world.images) < 4 else self._random.choice(self._kinds)
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

    def _other_split(self, at: str) -> str:
        split, name = at.split("/")
        target = self._random.choice([s for s in SPLITS if s != split])
        return f"{target}/{name}"

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

    def _move(self, world: World) -> Op:
        (at,) = self._some(world, 1)
        return {"kind": "move", "moves": [[at, self._other_split(at)]]}

    def _move_many(self, world: World) -> Op:
        moves = [[at, self._other_split(at)] for at in self._some(world, 6)]
        return {"kind": "move_many", "moves": moves}

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


async def perform(stores: Stores, op: Op, pictures: list[bytes]) -> str | None:
    """Do `op` through the stores; return the id of the trash entry it made, if any."""
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
        raise ValueError(kind)
    return None


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
    chooser = Chooser(seed, owner, classes=owner == "a")
    journal = Journal(folder / f"log-{owner}")
    for step in range(steps):
        # The first operations also import what they need; kills shall hit the work itself.
        if step == 3:
            print("ready", flush=True)
        op = chooser.next(world)
        journal.note("intent", op)
        entry_id = await perform(stores, op, pictures)
        journal.note("done", entry_id)
        world = world.applied(op, entry_id)
    print("finished", flush=True)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
