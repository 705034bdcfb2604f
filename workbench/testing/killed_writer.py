"""A process beside that of the tests: ``killed_writer FILE CLASS FOLDER writes``, or ``holds``.

One that ``writes`` changes a storage until somebody kills it. One that ``holds`` the lease says so,
and commits when its input ends.

Every commit changes five things at once; after each it prints its number. Whoever finds them
not in step has found a commit that happened half.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.persistence.storage import Append, Change, Copy, Move, Storage, Write

if TYPE_CHECKING:
    from workbench.testing.storage import StorageContract

PLACES = ("ring/0", "ring/1/x", "ring/2")


def begin(storage: Storage) -> None:
    """Write what the first commit changes."""
    storage.commit(
        [
            *(Write(key, b"0") for key in ("pair/a", "pair/b", "copy")),
            Write(PLACES[0], b"it"),
            Append("log", b""),
        ]
    )


def changes(number: int) -> Sequence[Change]:
    """Return what the commit of this number does."""
    text = str(number).encode()
    return [
        Write("pair/a", text),
        Move(PLACES[(number - 1) % len(PLACES)], PLACES[number % len(PLACES)]),
        Append("log", b"."),
        Write("pair/b", text),
        Copy("pair/a", "copy"),
    ]


def state(storage: Storage) -> list[bytes | Exception | None]:
    """Return all that the commits change, as of one moment."""
    return storage.consistently(
        lambda: storage.read_many(["pair/a", "pair/b", "copy", "log", *PLACES])
    )


def expected(number: int) -> list[bytes | Exception | None]:
    """Return what `state` is after the commit of this number."""
    text = str(number).encode()
    places = [b"it" if place == number % len(PLACES) else None for place in range(len(PLACES))]
    return [text, text, text, b"." * number, *places]


def suite_of(file: str, name: str) -> type[StorageContract]:
    """Return a class of a test file, however that was imported elsewhere."""
    spec = importlib.util.spec_from_file_location("killed_writer_suite", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: type[StorageContract] = getattr(module, name)
    return found


def main(file: str, name: str, folder: str, what: str) -> None:
    """Do what was asked for."""
    storage = suite_of(file, name)().make(Path(folder))
    (hold if what == "holds" else write_on)(storage)


def hold(storage: Storage) -> None:
    """Hold the lease until the input ends."""
    with storage.lease() as writer:
        print("held", flush=True)
        sys.stdin.read()
        writer.commit([Append("log", b"1")])


def write_on(storage: Storage) -> None:
    """Go on from where the last one was killed."""
    number = int(storage.read("pair/a"))
    while True:
        number += 1
        storage.commit(changes(number))
        print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
