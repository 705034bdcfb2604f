"""Kill a process that writes to a dataset, again and again, and look at what it left.

    python benchmarks/crash.py --kills 300 --check

Each round starts one or two children (see `crash_workload`), kills them with SIGKILL at a
random moment, opens the stores afresh and compares the dataset with the children's
journals: every acknowledged operation is there, the one cut off is there as a whole or not
at all, no file is half written, nothing is left in the folders for unfinished work. The
next round goes on with what the last one left. ``--check`` exits 1 at the first difference.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.crash_workload import (  # noqa: E402
    BASE_CLASSES,
    DATASET,
    PICTURES,
    Boxes,
    Op,
    World,
    replayed,
)
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import SPLITS  # noqa: E402

ROW = re.compile(rb"\d+( [01]\.\d{8}){4}\n")
ENDLESS = 10**9


class DifferenceError(AssertionError):
    """The dataset is not what the journals say."""


@dataclass
class Tally:
    """What the kills hit."""

    kills: int = 0
    operations: int = 0
    cut_off: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    leftovers: int = 0

    def __str__(self) -> str:
        """Return one line for people."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.cut_off.items()))
        return (
            f"{self.kills} kills, {self.operations} operations acknowledged; "
            f"{self.cut_off.total()} kills hit one under way ({kinds}), of which "
            f"{self.completed} had happened; {self.leftovers} times there were leftovers to repair"
        )


class Arena:
    """A dataset that children work on, with what each of them knows about it.

    Parameters
    ----------
    folder : Path
        Empty; gets the stores' folders, the pictures, worlds and journals.
    owners : str
        One letter for each child that works at the same time.
    """

    def __init__(self, folder: Path, owners: str = "a") -> None:
        self.folder = folder
        self.owners = owners
        self.worlds = {owner: World() for owner in owners}
        self.tally = Tally()
        (folder / "pictures").mkdir()
        rng = np.random.default_rng(0)
        for i in range(PICTURES):
            noise = rng.integers(0, 255, (20 + 30 * i, 30, 3), dtype=np.uint8)
            done, data = cv2.imencode(".jpg", noise)
            assert done
            (folder / "pictures" / f"{i}.jpg").write_bytes(data.tobytes())
        self.pictures = [(folder / "pictures" / f"{i}.jpg").read_bytes() for i in range(PICTURES)]
        asyncio.run(self.open().dataset.create(DATASET, BASE_CLASSES))

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        return self.folder / "data" / DATASET

    def open(self) -> Stores:
        """Open the stores as a process does that knows nothing of the past."""
        return create_stores(self.folder / "data", self.folder / "models")

    def start(self, owner: str, seed: int, steps: int = ENDLESS) -> subprocess.Popen[bytes]:
        """Start a child and wait until it is about to work."""
        (self.folder / f"log-{owner}").unlink(missing_ok=True)
        state = dataclasses.asdict(self.worlds[owner])
        (self.folder / f"world-{owner}.json").write_text(json.dumps(state))
        script = ROOT / "benchmarks" / "crash_workload.py"
        return subprocess.Popen(
            [sys.executable, script, self.folder, owner, str(seed), str(steps)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def kill_once(self, seed: int, longest: float = 0.08) -> None:
        """Let the children work for a moment, kill them, and check what they left."""
        children = [self.start(owner, seed * 10 + i) for i, owner in enumerate(self.owners)]
        try:
            for child in children:
                _expect(child, b"ready\n")
            time.sleep(random.Random(seed).uniform(0, longest))
        finally:
            for child in children:
                child.send_signal(signal.SIGKILL)
                child.wait()
                assert child.stdout is not None
                child.stdout.close()
        for child in children:
            if child.returncode != -signal.SIGKILL:
                raise DifferenceError(
                    f"a child failed by itself with exit status {child.returncode}"
                )
        self.tally.kills += 1
        self.check()

    def work_to_the_end(self, seed: int, steps: int) -> None:
        """Let all children work at the same time until they are through, and check."""
        children = [self.start(owner, seed + i, steps) for i, owner in enumerate(self.owners)]
        for child in children:
            _expect(child, b"ready\n")
        for child in children:
            _expect(child, b"finished\n")
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        self.check()

    def check(self) -> None:
        """Compare the dataset with the journals; take what was cut off into the worlds.

        Raises
        ------
        DifferenceError
            If something acknowledged is missing, or something is there by half.
        """
        self.tally.leftovers += bool(_leftovers(self.root))
        stores = self.open()
        found = asyncio.run(_found(stores, self))
        for owner in self.owners:
            before, cut_off = replayed(self.worlds[owner], self.folder / f"log-{owner}")
            self.tally.operations += before.serial - self.worlds[owner].serial
            seen = found.of(owner)
            classes = found.classes if owner == "a" else before.classes
            if cut_off is None:
                _compare(before, seen, classes, f"{owner}: nothing was cut off")
                self.worlds[owner] = before
                continue
            self.tally.cut_off[cut_off["kind"]] += 1
            self.worlds[owner] = self._settled(before, cut_off, seen, classes)
            # A name may have been used by what was cut off, so it is not used again.
            self.worlds[owner].serial = before.serial + 1
        _check_files(self)
        # Temporary files of the dead are swept by the next writer, who holds the lock.
        asyncio.run(stores.dataset.save_prompts(DATASET, {0: ["one"]}))
        left = _leftovers(self.root)
        if left:
            raise DifferenceError(f"left over after the next write: {left}")

    def _settled(self, before: World, cut_off: Op, seen: Found, classes: list[str]) -> World:
        try:
            _compare(before, seen, classes, f"not done: {cut_off}")
        except DifferenceError as not_before:
            new_entries = [entry for entry in seen.trash if entry not in before.trash]
            after = before.applied(cut_off, new_entries[0] if new_entries else None)
            try:
                _compare(after, seen, classes, f"done: {cut_off}")
            except DifferenceError as not_after:
                raise DifferenceError(
                    f"neither before nor after.\n{not_before}\n{not_after}"
                ) from None
            self.tally.completed += 1
            return after
        return before


@dataclass
class Found:
    """What the stores say is there."""

    images: dict[str, tuple[int, Boxes | None]]
    trash: dict[str, tuple[str, str]]
    classes: list[str]

    def of(self, owner: str) -> Found:
        """Return the part that belongs to one owner."""
        return Found(
            {at: v for at, v in self.images.items() if at.split("/")[1].startswith(owner)},
            {i: v for i, v in self.trash.items() if v[1].split("/")[1].startswith(owner)},
            self.classes,
        )


async def _found(stores: Stores, arena: Arena) -> Found:
    images = {}
    table = await stores.label.load_all(DATASET)
    if table.problems:
        raise DifferenceError(f"unreadable labels: {table.problems}")
    bulk: dict[str, Boxes] = {
        f"{s}/{n}": [] for s, n in zip(table.splits, table.filenames, strict=True)
    }
    places = list(bulk)
    for i, class_id, box in zip(table.image_index, table.class_id, table.boxes, strict=True):
        bulk[places[i]].append([int(class_id), *box.tolist()])
    for info in await stores.image.list(DATASET):
        at = f"{info.split}/{info.filename}"
        data = await stores.image.read_bytes(DATASET, info.split, info.filename)
        if data not in arena.pictures:
            raise DifferenceError(f"{at}: its {len(data)} bytes are none of the pictures saved")
        annotations = await stores.label.load(DATASET, info.split, info.filename)
        boxes = [[a.class_id, *a.xywh] for a in annotations]
        if boxes != bulk.get(at):
            raise DifferenceError(f"{at}: load gives {boxes}, load_all {bulk.get(at)}")
        images[at] = (arena.pictures.index(data), boxes if info.has_labels else None)
    if set(images) != set(places):
        raise DifferenceError("the image store and the label store list different images")
    trash = {e.id: (e.kind, f"{e.split}/{e.name}") for e in await stores.image.list_trash(DATASET)}
    return Found(images, trash, (await stores.dataset.get(DATASET)).classes)


def _compare(world: World, seen: Found, classes: list[str], what: str) -> None:
    if seen.images != world.images:
        both = seen.images.keys() | world.images.keys()
        wrong = {
            at: {"expected": world.images.get(at), "found": seen.images.get(at)}
            for at in sorted(both)
            if world.images.get(at) != seen.images.get(at)
        }
        raise DifferenceError(f"{what}: images or labels differ: {wrong}")
    expected = {entry: (kind, at) for entry, (kind, at, _, _) in world.trash.items()}
    if seen.trash != expected:
        raise DifferenceError(f"{what}: trash: expected {expected}, found {seen.trash}")
    if classes != world.classes:
        raise DifferenceError(f"{what}: classes: expected {world.classes}, found {classes}")


def _check_files(arena: Arena) -> None:
    """Look at the files themselves, as another tool would."""
    images = {at for world in arena.worlds.values() for at in world.images}
    labelled = {
        at.replace(".jpg", ".txt")
        for world in arena.worlds.values()
        for at, (_, boxes) in world.images.items()
        if boxes is not None
    }
    for kind, expected in (("images", images), ("labels", labelled)):
        there = {f"{s}/{n}" for s in SPLITS for n in _names(arena.root / kind / s)}
        if there != expected:
            raise DifferenceError(
                f"files in {kind}: {sorted(there ^ expected)} are one too many or few"
            )
    for place in labelled:
        lines = (arena.root / "labels" / place).read_bytes().splitlines(keepends=True)
        if not all(ROW.fullmatch(line) for line in lines):
            raise DifferenceError(f"half written: labels/{place}")
    document = yaml.safe_load((arena.root / "data.yaml").read_bytes())
    if document["names"] != dict(enumerate(arena.worlds["a"].classes)):
        raise DifferenceError(f"data.yaml: {document}")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _leftovers(root: Path) -> list[str]:
    hidden = root / ".workbench"
    return [str(p) for folder in ("tmp", "tx") for p in sorted((hidden / folder).glob("**/*"))]


def _expect(child: subprocess.Popen[bytes], line: bytes) -> None:
    assert child.stdout is not None
    found = child.stdout.readline()
    if found != line:
        child.wait()
        raise DifferenceError(f"a child failed by itself: expected {line!r}, found {found!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--writers", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="exit 1 at the first difference")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arena = Arena(Path(folder), "abc"[: options.writers])
        started = time.perf_counter()
        try:
            for i in range(options.kills):
                arena.kill_once(options.seed * 100_000 + i)
        except DifferenceError as difference:
            print(f"kill {arena.tally.kills} (seed {options.seed}): {difference}")
            return int(options.check)
        took = time.perf_counter() - started
    print(f"{arena.tally}; {took:.0f} s. Nothing lost, nothing by half.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
