"""Let the purge of many entries of the trash die at every step: ``python -m ... <folder>``.

Unlike the operations of `crash_points`, a purge of whole datasets may be done for some entries
and not for others. What must hold then: each entry is there as a whole or is gone, the trash
can be listed, what is listed comes back whole, and another purge leaves nothing.

Prints one JSON object: kind of trash to a list of complaints, the first of which tells the steps.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.helpers.crash_points import Operation, dying_at, in_child, open_stores
from tests.helpers.pictures import jpeg
from workbench.persistence import Stores

NAMES = ("a", "b", "c", "d")
PURGES: dict[str, Operation] = {
    "datasets": lambda s, _: s.dataset.purge(),
    "images": lambda s, _: s.image.purge("pets"),
    "models": lambda s, _: s.model.purge(),
}
_ALL_OR_NOTHING = {"images", "models"}


async def arrange(folder: Path) -> None:
    """Put four datasets, images and models into the trash."""
    folder.mkdir()
    stores = open_stores(folder)
    (folder / "w.pt").write_bytes(b"PK\3\4 weights")
    await stores.dataset.create("pets", ["cat"])
    for number, name in enumerate(NAMES):
        await stores.dataset.create(name, ["cat"])
        await stores.image.save_bytes(name, "train", "x.jpg", jpeg(number))
        await stores.dataset.delete(name)
        await stores.image.save_bytes("pets", "train", f"{name}.jpg", jpeg(number))
        await stores.image.delete("pets", "train", f"{name}.jpg")
        await stores.model.save(name, folder / "w.pt", "", "")
        await stores.model.delete(name)


async def _listed(stores: Stores, kind: str) -> list[Any]:
    listings: dict[str, Callable[[], Awaitable[list[Any]]]] = {
        "datasets": stores.dataset.list_trash,
        "images": lambda: stores.image.list_trash("pets"),
        "models": stores.model.list_trash,
    }
    return await listings[kind]()


async def examine(folder: Path, kind: str) -> list[str]:
    """Return what is wrong after a death, and after the next purge."""
    stores = open_stores(folder)
    await stores.dataset.save_prompts("pets", {})  # a change of each, which repairs
    await stores.model.set_active(None)
    found = await _listed(stores, kind)
    wrong = []
    if kind in _ALL_OR_NOTHING and len(found) not in (0, len(NAMES)):
        wrong.append(f"{len(found)} of {len(NAMES)} entries are left")
    for entry in found[::2]:
        name = entry.name.removesuffix(".jpg")
        if kind == "datasets":
            await stores.dataset.restore(entry.id)
            data = (folder / "data" / name / "images/train/x.jpg").read_bytes()
        elif kind == "images":
            await stores.image.restore("pets", entry.id)
            data = (folder / "data/pets/images/train" / entry.name).read_bytes()
        else:
            await stores.model.restore(entry.id)
            data = (await stores.model.load(name)).read_bytes()
        expected = b"PK\3\4 weights" if kind == "models" else jpeg(NAMES.index(name))
        if data != expected:
            wrong.append(f"{entry.name} came back as something else")
    await PURGES[kind](stores, folder)
    if await _listed(stores, kind):
        wrong.append("a second purge leaves entries")
    await stores.dataset.save_prompts("pets", {})
    await stores.model.set_active(None)
    root = {"datasets": "data", "images": "data/pets", "models": "models"}[kind]
    left = sorted(
        str(p.relative_to(folder)) for p in (folder / root / ".workbench/trash").glob("*")
    )
    return [*wrong, *(f"{path} is left for ever" for path in left)]


def complaints(base: Path, work: Path, kind: str) -> list[str]:
    """Return what is wrong after deaths in a purge; the first item tells the steps."""
    import asyncio

    def fresh() -> Path:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        return work

    fresh()
    steps = in_child(lambda: dying_at(0, PURGES[kind], work))
    found = [f"{steps} steps"]
    for step in range(1, steps + 1):
        fresh()
        if in_child(lambda step=step: dying_at(step, PURGES[kind], work)) is not None:
            found.append(f"step {step} was never reached")
            continue
        wrong = in_child(lambda: asyncio.run(examine(work, kind)))
        found += [
            f"step {step}: {each}" for each in (["it cannot be used"] if wrong is None else wrong)
        ]
    return found


def main(folder: Path) -> None:
    """Print what is wrong with each kind of purge."""
    import asyncio

    base = folder / "base"
    in_child(lambda: asyncio.run(arrange(base)))
    print(json.dumps({kind: complaints(base, folder / "work", kind) for kind in PURGES}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
