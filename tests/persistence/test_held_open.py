"""What is held open under the lock, what is remembered of folders, and one sync for many files."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.helpers.archives import small_dataset, write_zip
from tests.helpers.failing_calls import FailingCalls, failing
from tests.helpers.pictures import jpeg
from workbench.errors import StorageError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, NewImage
from workbench.persistence.storage.local import remembered, syncing
from workbench.persistence.storage.local.remembered import Remembered

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors as POSIX has them")

MOST_OPENED = 20
"""Files and folders that one save opens: each that it needs once, and the way to it."""

MOST_OPENED_WHEN_REMEMBERED = 15

CLOCK_STEP_S = 0.02


def box(x: float) -> Annotation:
    return Annotation(0, x, 0.5, 0.1, 0.1)


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    new = [NewImage(name, "train", jpeg(1)) for name in ("a.jpg", "b.jpg")]
    await stores.dataset.create_from("pets", ["cat"], new, total=len(new))
    await stores.label.save("pets", "train", "a.jpg", [box(0.9)])
    return stores


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    return tmp_path / "data/pets/.workbench"


@pytest.fixture
def always_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a folder that was left alone for a while."""
    monkeypatch.setattr(remembered, "_SETTLED_NS", 0)
    time.sleep(CLOCK_STEP_S)


async def test_a_save_opens_what_it_needs_once(stores: Stores, tmp_path: Path) -> None:
    with failing(FailingCalls(str(tmp_path), errno.EMFILE, 10**9, lasting=True)) as calls:
        await stores.label.save("pets", "train", "a.jpg", [box(0.2)])
    assert 0 < calls.calls <= MOST_OPENED


@pytest.mark.usefixtures("always_remembered")
async def test_a_save_looks_through_no_folder_that_did_not_change(
    stores: Stores, tmp_path: Path
) -> None:
    await stores.label.save("pets", "train", "a.jpg", [box(0.2)])
    time.sleep(CLOCK_STEP_S)
    with failing(FailingCalls(str(tmp_path), errno.EMFILE, 10**9, lasting=True)) as calls:
        await stores.label.save("pets", "train", "a.jpg", [box(0.3)])
    assert 0 < calls.calls <= MOST_OPENED_WHEN_REMEMBERED


@pytest.mark.usefixtures("always_remembered")
async def test_a_change_cut_off_is_taken_back_although_all_was_in_order(
    stores: Stores, tmp_path: Path, hidden: Path
) -> None:
    await stores.label.save("pets", "train", "a.jpg", [box(0.2)])
    time.sleep(CLOCK_STEP_S)
    (hidden / "tx/1-0-dead.tmp").mkdir(parents=True)
    (hidden / "tags.json").mkdir()
    await stores.label.save("pets", "train", "b.jpg", [box(0.3)])
    assert not (hidden / "tx").exists()
    assert (hidden / "refused-1").is_dir()


@pytest.mark.usefixtures("always_remembered")
@pytest.mark.parametrize("name", ["history", "tmp"])
async def test_a_link_put_there_later_is_not_followed(
    stores: Stores, tmp_path: Path, hidden: Path, name: str
) -> None:
    await stores.label.save("pets", "train", "a.jpg", [box(0.2)])
    time.sleep(CLOCK_STEP_S)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").write_text("dear")
    (hidden / name).rename(hidden / "was")
    (hidden / name).symlink_to(tmp_path / "home")
    await stores.label.save("pets", "train", "b.jpg", [box(0.3)])
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter"]
    assert (tmp_path / "data/pets/labels/train/b.txt").is_file()


async def test_the_newest_log_is_found_when_another_machine_has_begun_it(
    stores: Stores, hidden: Path
) -> None:
    (hidden / "history/2999-01.jsonl").write_bytes(b"")
    await stores.label.save("pets", "train", "a.jpg", [box(0.3)])
    assert (hidden / "history/2999-01.jsonl").stat().st_size > 0


async def test_what_was_replaced_does_not_stay(stores: Stores, hidden: Path) -> None:
    for x in (0.2, 0.3, 0.4):
        await stores.label.save("pets", "train", "a.jpg", [box(x)])
    await stores.dataset.save_prompts("pets", {})  # waits for whoever tidies up
    assert list((hidden / "tmp").iterdir()) == []


@pytest.mark.parametrize(("step_ns", "is_remembered"), [(1_234, True), (2_000_000_000, False)])
def test_a_clock_of_long_steps_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_ns: int, is_remembered: bool
) -> None:
    """On FAT, a folder that changes twice within two seconds has the same time as before."""
    now_ns = 1_700_000_000_000_000_000
    changed_ns = (now_ns - 500_000_000) // step_ns * step_ns
    seen = SimpleNamespace(st_dev=1, st_ino=1, st_mtime_ns=changed_ns, st_ctime_ns=changed_ns)
    status = cast("os.stat_result", seen)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    known = Remembered[str]()
    known.keep(str(tmp_path), status, "empty")
    assert (known.get(str(tmp_path), status) is not None) == is_remembered


def test_a_folder_is_remembered_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Remembered[str]()
    before = tmp_path.stat()
    known.keep(str(tmp_path), before, "just changed")
    assert known.get(str(tmp_path), before) is None
    monkeypatch.setattr(remembered, "_SETTLED_NS", 0)
    time.sleep(CLOCK_STEP_S)
    known.keep(str(tmp_path), before, "empty")
    assert known.get(str(tmp_path), tmp_path.stat()) == "empty"
    (tmp_path / "new").touch()
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as one who hides it would
    assert known.get(str(tmp_path), tmp_path.stat()) is None


def _broken(_descriptor: int) -> int:
    ctypes.set_errno(errno.EIO)
    return -1


@pytest.mark.parametrize("early_s", [0.0, 1000.0], ids=["while it is written", "at the end"])
async def test_an_import_that_the_disk_does_not_take_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early_s: float
) -> None:
    archive = write_zip(tmp_path / "pets.zip", small_dataset())
    stores = create_stores(tmp_path / "data", tmp_path / "models")
    monkeypatch.setattr(syncing, "_EARLY_S", early_s)
    monkeypatch.setattr(syncing, "_syncfs", lambda: _broken)
    with pytest.raises(StorageError, match="expected a sound disk"):
        await stores.dataset.import_zip(archive, "pets")
    assert await stores.dataset.list() == []
    monkeypatch.undo()
    await stores.dataset.import_zip(archive, "pets")
    assert [info.name for info in await stores.dataset.list()] == ["pets"]
