"""Acknowledgements: few messages, none lost, none twice."""

from __future__ import annotations

import threading

from tests.capture.scripted import wait_until
from workbench.panels.capture.display import Acknowledgements

NEVER_S = 3600.0


def test_several_go_together_and_each_page_gets_its_own() -> None:
    told: list[tuple[str, list[int]]] = []
    acks = Acknowledgements(lambda page, seqs: told.append((page, [*seqs])), 3, NEVER_S)
    for number in range(7):
        acks.add("laptop", number)
    acks.add("phone", 0)
    assert told == [("laptop", [0, 1, 2]), ("laptop", [3, 4, 5])]
    acks.close()


def test_the_last_ones_do_not_wait_for_more() -> None:
    told: list[tuple[str, list[int]]] = []
    both = threading.Semaphore(0)

    def tell(page: str, seqs: list[int]) -> None:
        told.append((page, [*seqs]))
        both.release()

    acks = Acknowledgements(tell, 100, 0.001)
    acks.add("laptop", 5)
    assert both.acquire(timeout=20)
    acks.add("laptop", 6)
    assert both.acquire(timeout=20)
    assert told == [("laptop", [5]), ("laptop", [6])]


def test_from_many_threads_each_is_told_once() -> None:
    told: list[int] = []
    acks = Acknowledgements(lambda page, seqs: told.extend(seqs), 4, 0.001)

    def work(first: int) -> None:
        for number in range(first, first + 200):
            acks.add("laptop", number)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 200, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acks.flush()
    wait_until(lambda: len(told) >= 600)  # a timer may be in the middle of telling
    assert sorted(told) == list(range(600))
