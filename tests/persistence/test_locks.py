"""Writers exclude each other, whatever happens to the folder that they wait for."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest

from workbench.errors import BusyError, NotFoundError
from workbench.persistence import create_stores
from workbench.persistence.storage.local import lock
from workbench.persistence.storage.local.lock import exclusive
from workbench.persistence.stores.folders import DatasetRoot

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows does not let a folder go while a file in it is open"
)


def _waiting_writer(data_dir: Path) -> tuple[threading.Thread, list[str]]:
    """A thread that waits for the lock of ``pets`` and says what it holds once it has it."""
    outcome: list[str] = []

    def write() -> None:
        try:
            with DatasetRoot(data_dir).open("pets").leased():
                try:
                    with exclusive(f"{data_dir}/pets/.workbench/lock", wait=False):
                        outcome.append("somebody else can take the lock as well")
                except BlockingIOError:
                    outcome.append("alone")
        except NotFoundError:
            outcome.append("not found")

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.3)  # long enough to come to wait; a longer start-up would only pass the test
    return thread, outcome


@pytest.mark.parametrize(("again", "expected"), [(False, "not found"), (True, "alone")])
def test_a_writer_that_waited_while_the_dataset_was_replaced(
    tmp_path: Path, again: bool, expected: str
) -> None:
    stores = create_stores(tmp_path, tmp_path / "models")
    asyncio.run(stores.dataset.create("pets", ["cat"]))
    with exclusive(f"{tmp_path}/pets/.workbench/lock"):
        thread, outcome = _waiting_writer(tmp_path)
        assert outcome == []
        (tmp_path / "pets").rename(tmp_path / "renamed")
        if again:
            asyncio.run(stores.dataset.create("pets", ["dog"]))
    thread.join()
    assert outcome == [expected]


def test_a_lock_that_never_comes_free_is_said_instead_of_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LONGEST_WAIT_S", 0.1)
    stores = create_stores(tmp_path, tmp_path / "models")
    asyncio.run(stores.dataset.create("pets", ["cat"]))
    with exclusive(f"{tmp_path}/pets/.workbench/lock"):
        with pytest.raises(BusyError, match=r"pets.*another process still holds"):
            asyncio.run(stores.dataset.update_classes("pets", ["dog"]))
        assert asyncio.run(stores.dataset.get("pets")).classes == ["cat"]
    asyncio.run(stores.dataset.update_classes("pets", ["dog"]))
