"""Let every call that an operation makes on the file system fail, in every way that it can.

Run as a script, because it forks: ``python -m tests.helpers.fault_table <folder> <share>
<shares> [<every>]`` prints one JSON object, ``operation: fault`` to list of complaints. For
each operation of `crash_points.OPERATIONS`, each fault and each call that it can strike (or
each ``every``-th):

1. A fresh copy of the arranged folder gets a fresh process, in which this call fails: once,
   or together with all later ones.
2. The operation says that it was done, or raises an error of ours. While the fault lasts,
   everything can still be read (unless there are no file handles left). When it is over, what
   raised has not happened, and what did not, has.
3. Another fresh process finds the same, can do the operation if it had failed, and finds
   nothing left over of it.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import json
import shutil
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers import crash_points
from tests.helpers.crash_points import OPERATIONS, Operation, describe, in_child, leftovers, listing
from tests.helpers.failing_calls import LASTING, FailingCalls, could_strike, failing
from tests.helpers.pictures import jpeg
from workbench.errors import WorkbenchError
from workbench.persistence.rules import image_size


def _do(operation: Operation, folder: Path, calls: FailingCalls) -> dict[str, Any]:
    """Do an operation while calls fail; say what it said, and what is there afterwards."""
    stores = crash_points.open_stores(folder)

    async def done() -> None:
        await operation(stores, folder)

    said, reading = "", ""
    with failing(calls):
        try:
            asyncio.run(done())
        except (OSError, WorkbenchError) as error:
            said = f"{type(error).__name__}: {error}"
            if not isinstance(error, WorkbenchError):
                reading = f"raised a bare {said}"
        if calls.first and calls.lasting and calls.error != errno.EMFILE:
            try:
                asyncio.run(listing(crash_points.open_stores(folder)))
            except OSError as error:
                reading = f"cannot be read while the fault lasts: {error!r}"
    kinds, struck = calls.kinds, calls.struck
    now = asyncio.run(listing(crash_points.open_stores(folder)))
    return {"said": said, "wrong": reading, "now": now, "kinds": kinds, "struck": struck}


async def _later(operation: Operation, folder: Path, again: bool) -> Any:
    """Say what is there, then what is there when the operation is through, and what is left."""
    stores = crash_points.open_stores(folder)
    now = await listing(stores)
    if again:
        await operation(stores, folder)
    return now, await describe(folder), await leftovers(folder)


@dataclass(frozen=True)
class Whole:
    """What an operation is when no call fails; it is found out once for all faults."""

    done: Any
    after: Any
    kinds: list[str]

    def cases(self, error: int, every: int, name: str) -> Iterator[tuple[int, bool]]:
        """Yield the calls that are to fail, by number, and whether all later ones fail, too.

        Where not all calls fail in turn, each operation and fault begins with another one, so
        that a sample is not made of first calls.
        """
        for lasting in (False, True):
            strikes = could_strike(error, lasting)
            total = sum(kind in strikes for kind in self.kinds)
            offset = zlib.crc32(f"{name} {error} {lasting}".encode()) % max(min(every, total), 1)
            yield from ((first, lasting) for first in range(1 + offset, total + 1, every))


class Table:
    """The faults of one share of the operations."""

    def __init__(self, folder: Path, every: int) -> None:
        self.base, self.work, self.every = folder / "base", folder / "work", every
        in_child(lambda: asyncio.run(crash_points.arrange(self.base)))
        self.fresh()
        self.before = in_child(lambda: asyncio.run(listing(crash_points.open_stores(self.work))))

    def fresh(self) -> Path:
        """Return a fresh copy of what was arranged."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work)
        return self.work

    def whole(self, operation: Operation) -> Whole:
        """Do an operation without a fault."""
        self.fresh()
        calls = FailingCalls(str(self.work), errno.EIO)
        counted = in_child(lambda: _do(operation, self.work, calls))
        after = in_child(lambda: asyncio.run(describe(self.work)))
        assert counted is not None
        assert after is not None
        return Whole(counted["now"], after, counted["kinds"])

    def complaints(self, name: str, whole: Whole, error: int) -> list[str]:
        """Return what is wrong with an operation under a fault; the first item counts cases."""
        if self.before == whole.done:
            return ["0 cases", "the operation does not work"]
        found, cases = [], 0
        for first, lasting in whole.cases(error, self.every, name):
            cases += 1
            self.fresh()
            calls = FailingCalls(str(self.work), error, first, lasting)
            call = f"call {first}{' and all later ones' if lasting else ''}"
            wrong = self._case(OPERATIONS[name], calls, whole)
            found += [f"{call}: {complaint}" for complaint in wrong]
        return [f"{cases} cases", *found]

    def _case(self, operation: Operation, calls: FailingCalls, whole: Whole) -> list[str]:
        seen = in_child(lambda: _do(operation, self.work, calls))
        if seen is None:
            return ["the process died"]
        if not seen["struck"]:
            return []  # a thread was quicker than last time, and there are fewer calls
        wrong = [seen["wrong"]] if seen["wrong"] else []
        expected = self.before if seen["said"] else whole.done
        what = f"raised {seen['said']}" if seen["said"] else "was acknowledged"
        if seen["now"] != expected:
            wrong.append(f"{what}, but: {_difference(expected, seen['now'])}")
        again = in_child(
            lambda: asyncio.run(_later(operation, self.work, again=bool(seen["said"])))
        )
        if again is None:
            return [*wrong, f"{what}; nothing works afterwards"]
        now, described, left = again
        if now != expected:
            wrong.append(f"{what}, but found later: {_difference(expected, now)}")
        if described != whole.after:
            wrong.append(f"{what}; at the end: {_difference(whole.after, described)}")
        if left:
            wrong.append(f"{what}; left over: {left}")
        return wrong


def _difference(expected: Any, found: Any, at: str = "") -> str:
    """Return the first places at which two descriptions differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        parts = [
            _difference(expected.get(key), found.get(key), f"{at}/{key}")
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        ]
        return "; ".join(parts)
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return "; ".join(_difference(e, f, f"{at}[{i}]") for i, (e, f) in pairs if e != f)
    return f"{at}: expected {expected}, found {found}"


def main(folder: Path, share: int = 0, shares: int = 1, every: int = 1, only: str = "") -> None:
    """Print what is wrong with every operation whose position is `share` modulo `shares`."""
    folder = folder / f"faults-{share}"
    folder.mkdir()
    # What is imported here is not imported again by each of the thousands of processes.
    for module in ("ctypes", "filecmp", "PIL.Image", "PIL.JpegImagePlugin", "PIL.ImageFile"):
        importlib.import_module(module)
    image_size(jpeg(1), "warm-up")
    crash_points.open_stores(folder / "warm-up")
    table = Table(folder, every)
    results: dict[str, list[str]] = {}
    for name, operation in list(OPERATIONS.items())[share::shares]:
        if only in name:
            whole = table.whole(operation)
            for error in LASTING:
                case = f"{name}: {errno.errorcode[error]}"
                results[case] = table.complaints(name, whole, error)
                print(case, *results[case][:1], len(results[case]) - 1, file=sys.stderr)
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:])
