"""Kill a process that writes to a dataset, again and again, and look at what it left.

    python benchmarks/crash.py --check
    python benchmarks/crash.py --check --kills 2000

Each round starts one or two children (see `crash_workload`), which do everything that the
stores can, and kills them with SIGKILL at a random moment; every third time, whoever repairs
what they left is killed as well. Then it opens the stores afresh and compares all there is
with the children's journals: every acknowledged operation is there, the one cut off is there
as a whole or not at all, no file is half written, nothing is left in the folders for
unfinished work. The next round goes on with what the last one left.

After that, single calls of the operating system fail, as `tests.helpers.fault_table` has it
(all of them in the nightly job; here each ``--every``-th): what raised has not happened,
then and later, everything else can be read, and a second try works.

At last a storage in memory raises at random operations, as `crash_raises` has it.

``--check`` exits 1 at the first difference; ``--quick`` takes less than a minute.
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
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.crash_raises import Raises, raise_often  # noqa: E402
from benchmarks.crash_workload import (  # noqa: E402
    BASE_CLASSES,
    DATASET,
    PICTURES,
    Boxes,
    Op,
    World,
    replayed,
)
from tests.helpers.folders import quick_folder  # noqa: E402
from tests.helpers.shares import in_shares  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import SPLITS  # noqa: E402

ROW = re.compile(rb"\d+( [01]\.\d{8}){4}\n")
ENDLESS = 10**9
MOST_WORKERS = 8


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
    repairs: int = 0

    def __str__(self) -> str:
        """Return one line for people."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.cut_off.items()))
        return (
            f"{self.kills} kills, {self.operations} operations acknowledged; "
            f"{self.cut_off.total()} kills hit one under way ({kinds}), of which "
            f"{self.completed} had happened; {self.leftovers} times there were leftovers to "
            f"repair, {self.repairs} kills hit a repair"
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
        (folder / "exports").mkdir()
        self._server: subprocess.Popen[bytes] | None = None
        self.pictures = [(folder / "pictures" / f"{i}.jpg").read_bytes() for i in range(PICTURES)]
        asyncio.run(self.open().dataset.create(DATASET, BASE_CLASSES))

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        return self.folder / "data" / DATASET

    def open(self) -> Stores:
        """Open the stores as a process does that knows nothing of the past."""
        return create_stores(self.folder / "data", self.folder / "models")

    def __enter__(self) -> Self:
        script = ROOT / "benchmarks" / "crash_workload.py"
        self._server = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # One thread, so that forking is safe.
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.kill()
        self._server.communicate()

    def _send(self, *words: object) -> None:
        assert self._server is not None
        assert self._server.stdin is not None
        self._server.stdin.write(("\t".join(map(str, words)) + "\n").encode())
        self._server.stdin.flush()

    def _answer(self) -> str:
        assert self._server is not None
        assert self._server.stdout is not None
        return self._server.stdout.readline().decode()

    def _start(self, seed: int, steps: int = ENDLESS) -> list[int]:
        """Start all children and wait until they are about to work; return their ids."""
        for owner in self.owners:
            (self.folder / f"log-{owner}").unlink(missing_ok=True)
            state = dataclasses.asdict(self.worlds[owner])
            (self.folder / f"world-{owner}.json").write_text(json.dumps(state))
        for i, owner in enumerate(self.owners):
            self._send("work", self.folder, owner, seed * 10 + i, steps)
        return [self._expect("ready") for _ in self.owners]

    def _expect(self, word: str) -> int:
        found, _, child = self._answer().partition(" ")
        if found != word:
            raise DifferenceError(f"a child failed by itself: expected {word}, found {found!r}")
        return int(child)

    def _ends(self) -> list[int]:
        """Wait for the children that were started; return how each of them ended."""
        self._send("wait")
        answer = self._answer()
        if not answer.startswith("["):
            raise DifferenceError(f"a child failed by itself: {answer}; see what it said above")
        return [status for _, status in json.loads(answer)]

    def _kill(self, children: list[int]) -> None:
        for child in children:
            os.kill(child, signal.SIGKILL)
        if any(not os.WIFSIGNALED(status) for status in self._ends()):
            raise DifferenceError("a child failed by itself; see what it said above")

    def kill_once(self, seed: int, longest: float = 0.08) -> None:
        """Let the children work for a moment, kill them, and check what they left."""
        moment = random.Random(seed)
        children = self._start(seed)
        time.sleep(moment.uniform(0, longest))
        self._kill(children)
        self.tally.kills += 1
        self.tally.leftovers += bool(_leftovers(self.root))
        if seed % 3 == 0:
            for _ in range(moment.randint(1, 3)):
                self._send("repair", self.folder)
                repairer = self._expect("ready")
                time.sleep(moment.uniform(0, 0.006))
                self._kill([repairer])
                self.tally.repairs += 1
        self.check()

    def work_to_the_end(self, seed: int, steps: int) -> None:
        """Let all children work at the same time until they are through, and check."""
        self._start(seed, steps)
        for _ in self.owners:
            self._expect("finished")
        if any(self._ends()):
            raise DifferenceError("a child failed by itself; see what it said above")
        self.check()

    def check(self) -> None:
        """Compare the dataset with the journals; take what was cut off into the worlds.

        Raises
        ------
        DifferenceError
            If something acknowledged is missing, or something is there by half.
        """
        stores = self.open()
        found = asyncio.run(_found(stores, self))
        for owner in self.owners:
            before, cut_off = replayed(self.worlds[owner], self.folder / f"log-{owner}")
            self.tally.operations += before.serial - self.worlds[owner].serial
            seen = found.of(owner)
            classes = found.classes if owner == "a" else before.classes
            if owner != "a":
                seen = dataclasses.replace(seen, beside=_beside(before))
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
        if self._unnamed_archives():
            # Killed in the blink in which a complete archive takes the place of an older one.
            asyncio.run(stores.dataset.export_zip(DATASET, self.folder / "exports"))
        left += self._unnamed_archives()
        if left:
            raise DifferenceError(f"left over after the next write: {left}")

    def _unnamed_archives(self) -> list[str]:
        return [str(p) for p in (self.folder / "exports").iterdir() if p.suffix != ".zip"]

    def _settled(self, before: World, cut_off: Op, seen: Found, classes: list[str]) -> World:
        try:
            _compare(before, seen, classes, f"not done: {cut_off}")
        except DifferenceError as not_before:
            both = [*seen.trash, *seen.beside["binned"]]
            new_entries = [e for e in both if e not in before.trash and e not in before.binned]
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
    beside: dict[str, Any]

    def of(self, owner: str) -> Found:
        """Return the part that belongs to one owner."""
        return Found(
            {at: v for at, v in self.images.items() if at.split("/")[1].startswith(owner)},
            {i: v for i, v in self.trash.items() if v[1].split("/")[1].startswith(owner)},
            self.classes,
            self.beside,
        )


async def _found(stores: Stores, arena: Arena) -> Found:
    images = await _images(stores, arena, DATASET)
    trash = {e.id: (e.kind, f"{e.split}/{e.name}") for e in await stores.image.list_trash(DATASET)}
    classes = (await stores.dataset.get(DATASET)).classes
    names = [info.name for info in await stores.dataset.list()]
    active = await stores.model.get_active()
    beside = {
        "others": {
            name: sorted([at, *image] for at, image in (await _images(stores, arena, name)).items())
            for name in names
            if name != DATASET
        },
        "binned": {entry.id: entry.name for entry in await stores.dataset.list_trash()},
        "versions": sorted(
            v.name for v in await stores.dataset.list_versions(DATASET) if not v.automatic
        ),
        "models": sorted(info.name for info in await stores.model.list()),
        "active": active and active.name,
    }
    return Found(images, trash, classes, beside)


def _beside(world: World) -> dict[str, Any]:
    """Return what else there must be, in the form that it is found in."""
    return {
        "others": world.others,
        "binned": {entry: name for entry, (name, _) in world.binned.items()},
        "versions": sorted(world.versions),
        "models": sorted(world.models),
        "active": world.active,
    }


async def _images(
    stores: Stores, arena: Arena, dataset: str
) -> dict[str, tuple[int, Boxes | None]]:
    images = {}
    table = await stores.label.load_all(dataset)
    if table.problems:
        raise DifferenceError(f"unreadable labels: {table.problems}")
    bulk: dict[str, Boxes] = {
        f"{s}/{n}": [] for s, n in zip(table.splits, table.filenames, strict=True)
    }
    places = list(bulk)
    for i, class_id, box in zip(table.image_index, table.class_id, table.boxes, strict=True):
        bulk[places[i]].append([int(class_id), *box.tolist()])
    infos = await stores.image.list(dataset)
    keys = [(info.split, info.filename) for info in infos]
    for info, data in zip(infos, await stores.image.read_many(dataset, keys), strict=True):
        at = f"{info.split}/{info.filename}"
        if data not in arena.pictures:
            raise DifferenceError(f"{at}: its bytes are none of the pictures saved: {data!r:.80}")
        images[at] = (arena.pictures.index(data), bulk.get(at) if info.has_labels else None)
    for at in random.sample(sorted(images), min(3, len(images))):
        annotations = await stores.label.load(dataset, *at.split("/"))
        boxes = [[a.class_id, *a.xywh] for a in annotations]
        if boxes != (images[at][1] or []):
            raise DifferenceError(f"{at}: load gives {boxes}, load_all {bulk.get(at)}")
    if set(images) != set(places):
        raise DifferenceError("the image store and the label store list different images")
    return images


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
    for what_else, wanted in _beside(world).items():
        if seen.beside[what_else] != wanted:
            raise DifferenceError(
                f"{what}: {what_else}: expected {wanted}, found {seen.beside[what_else]}"
            )
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


def injected(folder: Path, every: int) -> tuple[int, list[str]]:
    """Let each `every`-th call of every operation fail; return the cases, and what was wrong."""
    shares = min(os.cpu_count() or 1, MOST_WORKERS)
    table = in_shares("tests.helpers.fault_table", folder, every, shares=shares, quiet=True)
    cases = sum(int(first.split()[0]) for first, *_ in table.values())
    return cases, [f"{name}: {line}" for name, (_, *lines) in table.items() for line in lines]


def killed(options: argparse.Namespace) -> bool:
    """Kill, and say what came of it; return whether everything was there each time."""
    kills = 60 if options.quick else options.kills
    with quick_folder() as folder:
        arena = Arena(folder, "abc"[: options.writers])
        started = time.perf_counter()
        try:
            with arena:
                for i in range(kills):
                    arena.kill_once(options.seed * 100_000 + i)
                    if (i + 1) % 100 == 0:
                        print(f"{i + 1} kills", file=sys.stderr, flush=True)
        except DifferenceError as difference:
            print(f"kill {arena.tally.kills} (seed {options.seed}): {difference}")
            return False
    print(f"{arena.tally}; {time.perf_counter() - started:.0f} s.", flush=True)
    return True


def failed(options: argparse.Namespace) -> bool:
    """Let calls fail, and say what came of it; return whether nothing was wrong."""
    started = time.perf_counter()
    with quick_folder() as folder:
        cases, wrong = injected(folder, 150 if options.quick else options.every)
    took = time.perf_counter() - started
    print("\n".join([f"{cases} failing calls, {len(wrong)} complaints; {took:.0f} s.", *wrong]))
    return not wrong


def raised_in_memory(folder: Path, seed: int, times: int) -> Raises:
    """Let a storage in memory raise so often; raises `DifferenceError` as `Arena.check` does."""
    arena = Arena(folder)

    async def check(stores: Stores, world: World, what: str) -> None:
        _compare(world, await _found(stores, arena), world.classes, what)

    return asyncio.run(raise_often(folder, seed, times, check))


def raised(options: argparse.Namespace) -> bool:
    """Let a storage in memory raise, and say what came of it; return whether all was there."""
    started = time.perf_counter()
    with quick_folder() as folder:
        try:
            seen = raised_in_memory(folder, options.seed, 60 if options.quick else options.raises)
        except DifferenceError as difference:
            print(f"in memory (seed {options.seed}): {difference}")
            return False
    print(f"{seen}; {time.perf_counter() - started:.0f} s.", flush=True)
    return True


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--writers", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="exit 1 at the first difference")
    parser.add_argument("--quick", action="store_true", help="few kills, few faults")
    parser.add_argument("--every", type=int, default=75, help="of all calls, how many fail")
    parser.add_argument("--only", choices=("kills", "faults", "raises"), help="one part of it")
    parser.add_argument("--raises", type=int, default=300, help="how often memory raises")
    options = parser.parse_args()
    parts = {"kills": killed, "faults": failed, "raises": raised}
    chosen = [options.only] if options.only else list(parts)
    if not all(parts[part](options) for part in chosen):
        return int(options.check)
    print("0 acknowledged lost, 0 that raised and happened, 0 datasets unreadable.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
