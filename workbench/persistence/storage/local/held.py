"""What the holder of a root's lock has open.

All of it lies in the hidden folder, is reached through nothing but folders, and stays open until
the lock is let go: what each step of a change needs is looked up once, and nobody can put
something else in its place meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from workbench.persistence.storage.local import inside
from workbench.persistence.storage.local.atomic import Folder
from workbench.persistence.storage.local.remembered import Remembered
from workbench.persistence.yolo.names import HIDDEN, HIDDEN_FILES, HIDDEN_FOLDERS

COUNTER_BYTES = 8
_NUMBERS = 1 << 8 * COUNTER_BYTES


@dataclass(slots=True)
class Held:
    """The folder for temporary files, and the counter that tells readers of changes.

    Parameters
    ----------
    hidden, tmp : Folder
    counter : int
        Descriptor of ``generation``.
    generation : int
        What stands there: odd while a change is under way.
    left : list of str
        Names in `tmp` that are removed when the lock is let go.
    """

    hidden: Folder
    tmp: Folder
    counter: int
    generation: int
    left: list[str] = field(default_factory=list)

    def begin(self) -> Callable[[int], None]:
        """Let readers know that a change is under way, until the function returned is called.

        What it is called with is added to the counter: 2, or 0 if readers who began before
        the change and end after it need not look again.
        """
        even = self.generation & ~1
        self._write(even + 1)

        def settle(step: int) -> None:
            # If it fails, readers take the lock, and so find that all is well.
            with suppress(OSError):
                self._write(even + step)

        return settle

    def sweep(self) -> None:
        """Remove what is of no use any more."""
        for name in self.left:
            with suppress(OSError):  # in our own folder: the next to hold the lock removes it
                self.tmp.remove(name)

    def _write(self, generation: int) -> None:
        generation %= _NUMBERS  # a stranger may have begun at the last one
        os.lseek(self.counter, 0, os.SEEK_SET)
        os.write(self.counter, generation.to_bytes(COUNTER_BYTES, "little"))
        self.generation = generation


@contextmanager
def held_open(root: str, hidden: int | None) -> Iterator[Held]:
    """Hold open what is needed under the lock; it is made if it is not there.

    Parameters
    ----------
    root : str
    hidden : int or None
        Descriptor of the hidden folder, if there are descriptors of folders.
    """
    path = f"{root}/{HIDDEN}"
    tmp = inside.open_below("tmp", hidden, f"{path}/tmp")
    try:
        counter = inside.open_counter("generation", hidden, f"{path}/generation")
        try:
            generation = int.from_bytes(os.read(counter, COUNTER_BYTES), "little")
            found = Held(Folder(path, hidden), Folder(f"{path}/tmp", tmp), counter, generation)
            try:
                yield found
            finally:
                found.sweep()
        finally:
            os.close(counter)
    finally:
        if tmp is not None:
            os.close(tmp)


_orderly = Remembered[bool]()


def look_through(root: str, hidden: int | None) -> bool:
    """Set aside what lies in the hidden folder and is not of its kind.

    Parameters
    ----------
    root, hidden
        As for `held_open`.

    Returns
    -------
    bool
        Whether there are changes that a process has left half done.
    """
    path = f"{root}/{HIDDEN}"
    status = None if hidden is None else os.fstat(hidden)
    if status is not None and _orderly.get(path, status):
        return False
    there = inside.put_in_order(root, HIDDEN, HIDDEN_FOLDERS, HIDDEN_FILES, descriptor=hidden)
    if status is not None and "tx" not in there:
        _orderly.keep(path, status, True)
    return "tx" in there
