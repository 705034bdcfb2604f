"""The part of the storage contract about several threads and processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from inspect import getfile
from pathlib import Path

import pytest

from workbench.errors import ConflictError
from workbench.persistence.storage import Append, Change, Move, Remove, Storage, Write, Writer
from workbench.testing import killed_writer
from workbench.testing.contract import LIMIT_S, Contract, contents

_KILLS = 6
_MOMENT_S = 0.2
"""What must not happen is given so long to happen; who has to wait, waits longer."""
_COMMITS: dict[str, list[Change]] = {
    "writes": [Write("a", b"1"), Write("b", b"1")],
    "moves": [Move("a", "c"), Move("b", "d")],
    "removals": [Remove("a"), Remove("b")],
}


class Sharing(Contract, is_part=True):
    """The tests; see `StorageContract`."""

    def test_a_lease_keeps_others_out(self, storage: Storage) -> None:
        """Two writers count up at the same time, and no step is lost."""
        storage.commit([Write("count", b"0")])

        def count(times: int) -> None:
            for _ in range(times):
                with storage.lease() as writer:
                    number = int(storage.read("count"))
                    time.sleep(0.0005)
                    writer.commit([Write("count", b"%d" % (number + 1))])

        self._in_threads(*[lambda: count(15)] * 4)
        assert storage.read("count") == b"60"

    def test_a_stamp_keeps_others_out(self, storage: Storage) -> None:
        """Two writers count up without a lease: who meets a conflict tries again."""
        storage.commit([Write("count", b"0")])

        def count(times: int) -> None:
            while times:
                head, number = storage.consistently(
                    lambda: (storage.head("count"), int(storage.read("count")))
                )
                assert head is not None
                try:
                    storage.commit([Write("count", b"%d" % (number + 1), if_stamp=head.stamp)])
                except ConflictError:
                    continue
                times -= 1

        self._in_threads(*[lambda: count(15)] * 3)
        assert storage.read("count") == b"45"

    def test_what_is_decided_on_is_still_so_when_it_is_done(self, storage: Storage) -> None:
        """Several decide on what they read, and count up: none is lost, each is told its own."""
        storage.commit([Write("count", b"0")])
        told: list[int] = []

        def decide() -> tuple[list[Change], int]:
            number = int(storage.read("count")) + 1
            return [Write("count", b"%d" % number), Append("log", b".")], number

        def count(times: int) -> None:
            for _ in range(times):
                number = storage.transact(decide, values=["count"], heads=["log"])
                told.append(number)

        self._in_threads(*[lambda: count(10)] * 3)
        assert storage.read("count") == b"30"
        assert storage.read("log") == b"." * 30
        assert sorted(told) == [*range(1, 31)]

    def test_what_is_not_decided_is_not_done(self, storage: Storage) -> None:
        """What raises while it is decided or checked has changed nothing, and keeps nobody out."""

        def refuse() -> None:
            raise ConflictError("no")

        def decide() -> tuple[list[Change], int]:
            refuse()
            return [Write("a", b"1")], 1

        with pytest.raises(ConflictError):
            storage.transact(decide)
        with pytest.raises(ConflictError):
            storage.transact(lambda: ([Write("a", b"1")], 1), checks=[refuse])
        assert storage.transact(lambda: ([], storage.exists("a"))) is False
        assert storage.transact(lambda: ([Write("a", b"2")], "done"), values=["a", "b"]) == "done"
        assert contents(storage) == {"a": b"2"}

    def test_a_lease_ends_with_its_block(self, storage: Storage) -> None:
        """The lease ends also when the block raises."""
        for _ in range(3):
            with pytest.raises(ZeroDivisionError), storage.lease() as writer:
                self._and_raise(writer)
        storage.commit([Append("log", b".")])
        assert storage.read("log") == b"...."

    @staticmethod
    def _and_raise(writer: Writer) -> None:
        writer.commit([Append("log", b".")])
        raise ZeroDivisionError

    def test_what_is_read_together_belongs_together(self, storage: Storage) -> None:
        """A reader never sees half of a commit that another writer makes meanwhile."""
        killed_writer.begin(storage)
        done = threading.Event()
        start = threading.Barrier(3, timeout=LIMIT_S)

        def write() -> None:
            start.wait()
            try:
                for number in range(1, 61):
                    storage.commit(killed_writer.changes(number))
            finally:
                done.set()

        def look() -> None:
            start.wait()
            while not done.is_set():
                state = storage.consistently(lambda: killed_writer.state(storage))
                assert isinstance(state[0], bytes)
                assert state == killed_writer.expected(int(state[0]))

        self._in_threads(write, look, look)
        assert killed_writer.state(storage) == killed_writer.expected(60)

    @pytest.mark.parametrize("kind", _COMMITS)
    def test_what_is_read_bit_by_bit_belongs_together(self, storage: Storage, kind: str) -> None:
        """Somebody commits between two reads; both show what was before, or both what came."""
        storage.commit([Write("a", b"0"), Write("b", b"0")])
        other = threading.Thread(target=lambda: storage.commit(_COMMITS[kind]), daemon=True)

        def work() -> list[bytes | None]:
            # One within another is part of it.
            (first,) = storage.consistently(lambda: storage.read_many(["a"]))
            if other.ident is None:
                other.start()
                other.join(_MOMENT_S)  # a backend may keep it waiting until this has returned
            (second,) = storage.read_many(["b"])
            return [one if isinstance(one, bytes) else None for one in (first, second)]

        first, second = storage.consistently(work)
        assert first == second
        other.join(LIMIT_S)
        assert not other.is_alive()
        assert storage.read_many(["a", "b"]) == [b"1" if kind == "writes" else None] * 2

    @staticmethod
    def _in_threads(*calls: Callable[[], None]) -> None:
        with ThreadPoolExecutor(len(calls)) as pool:
            for done in [pool.submit(call) for call in calls]:
                done.result(timeout=LIMIT_S)

    # Across processes

    def test_another_one_over_the_same_place(self, storage: Storage, tmp_path: Path) -> None:
        """A second storage sees the same keys where processes share them, and else none of them."""
        storage.commit([Write("a", b"1")])
        other = self.make(tmp_path / "storage")
        if not self.shared_by_processes:
            assert not other.exists("a")
            return
        assert other.read("a") == b"1"
        other.commit([Write("a", b"2"), Write("b", b"3")])
        assert storage.read_many(["a", "b"]) == [b"2", b"3"]

    def test_a_lease_keeps_another_one_out(self, storage: Storage, tmp_path: Path) -> None:
        """A second storage over the same keys waits, in the same process and in another."""
        storage.commit([Append("log", b"")])
        if not self.shared_by_processes:
            return
        other = self.make(tmp_path / "storage")
        for another in (other, self.make(tmp_path / "storage")):
            waiting = threading.Thread(
                target=lambda one=another: one.commit([Append("log", b"2")]), daemon=True
            )
            with storage.lease() as writer:
                waiting.start()
                waiting.join(_MOMENT_S)
                writer.commit([Append("log", b"1")])
                assert storage.read("log").endswith(b"1")
            waiting.join(LIMIT_S)
        assert storage.read("log") == b"1212"

    def test_a_lease_keeps_another_process_out(self, storage: Storage, tmp_path: Path) -> None:
        """As long as that one holds it, nobody else commits."""
        storage.commit([Append("log", b"")])
        if not self.shared_by_processes:
            return
        waiting = threading.Thread(
            target=lambda: storage.commit([Append("log", b"2")]), daemon=True
        )
        with self._started("holds", tmp_path / "storage") as process:
            try:
                assert process.stdout is not None
                assert process.stdin is not None
                assert process.stdout.readline(), "the process with the lease ended by itself"
                waiting.start()
                waiting.join(_MOMENT_S)
                assert storage.read("log") == b""
                process.stdin.close()
                waiting.join(LIMIT_S)
                process.wait(LIMIT_S)
            finally:
                process.kill()
        assert storage.read("log") == b"12"

    def test_a_process_that_is_killed_loses_nothing(self, storage: Storage, tmp_path: Path) -> None:
        """What it reported as done is done; what it was doing is done wholly or not at all."""
        killed_writer.begin(storage)
        if not self.shared_by_processes:
            return
        chance = random.Random(os.urandom(8))
        last = 0
        for _ in range(_KILLS):
            told = max(last, self._killed_after(chance.uniform(0.0, 0.15), tmp_path / "storage"))
            state = killed_writer.state(self.make(tmp_path / "storage"))
            assert isinstance(state[0], bytes)
            last = int(state[0])
            assert last in (told, told + 1)
            assert state == killed_writer.expected(last)
        storage.commit([Write("after", b"x")])
        assert storage.read("after") == b"x"

    def _started(self, what: str, folder: Path) -> subprocess.Popen[bytes]:
        """Start a process over the same keys; see `killed_writer`."""
        command = [sys.executable, "-m", killed_writer.__name__, getfile(type(self))]
        paths = os.pathsep.join(filter(None, sys.path))
        return subprocess.Popen(
            [*command, type(self).__name__, str(folder), what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def _killed_after(self, seconds: float, folder: Path) -> int:
        """Let a process write for some time after its first commit; return the last it told of."""
        with self._started("writes", folder) as process:
            assert process.stdout is not None
            try:
                first = process.stdout.readline()
                assert first, "the process that writes ended by itself"
                time.sleep(seconds)
            finally:
                process.kill()
                rest = process.stdout.read().split(b"\n")
        # The last piece may be half a number.
        return int([first, *rest[:-1]][-1])
