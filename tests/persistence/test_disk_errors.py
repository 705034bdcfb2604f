"""A disk that is full, read-only or broken is told of in our words, with what was worked on."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.failing_calls import FailingCalls, failing
from tests.helpers.operations import BOX, KEY, STEPS
from tests.helpers.planted import Planted
from workbench.errors import (
    InvalidNameError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    WorkbenchError,
)
from workbench.persistence.disk_errors import as_ours, in_our_words

FAULTS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE]


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
async def test_every_operation_tells_of_it_in_our_words(planted: Planted, fault: int) -> None:
    """Whatever is called while nothing goes: no error of the system leaves a store as it is."""
    stores = planted.stores()
    await stores.label.save("pets", *KEY, [BOX])
    bare: dict[str, object] = {}
    struck = 0
    for what, step in STEPS:
        calls = FailingCalls(str(planted.folder), fault, first=1, lasting=True)
        with failing(calls):
            try:
                await step(stores, planted.folder, "pets")
            except WorkbenchError:
                pass
            except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
                bare[what] = error
        struck += calls.struck
    assert not bare
    assert struck > 20


async def test_a_full_disk_names_the_dataset_the_file_and_what_to_do(planted: Planted) -> None:
    stores = planted.stores()
    await stores.label.save("pets", *KEY, [])
    calls = FailingCalls(str(planted.folder), errno.ENOSPC, first=1, lasting=True)
    with failing(calls), pytest.raises(StorageError) as caught:
        await stores.label.save("pets", *KEY, [BOX])
    assert str(caught.value).startswith("pets/train/a.jpg: expected room on the disk, found: No ")
    assert str(caught.value).endswith("make room there, then try again")
    assert caught.value.errno == errno.ENOSPC
    assert await stores.label.load("pets", *KEY) == []


_PURGE = """
import asyncio, resource, sys
from workbench.persistence import create_stores

stores = create_stores(sys.argv[1], sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))  # room for a counter, and for no plan
print(asyncio.run({"images": lambda: stores.image.purge("pets"), "datasets": stores.dataset.purge,
                   "models": stores.model.purge}[sys.argv[3]]()))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit for the size of files")
@pytest.mark.parametrize("what", ["images", "datasets", "models"])
async def test_a_purge_makes_room_where_there_is_none(planted: Planted, what: str) -> None:
    stores, data = planted.stores(), planted.pets.parent
    await stores.image.delete("pets", *KEY)
    await stores.dataset.delete("sound")
    await stores.model.delete("good")
    hidden = {
        "images": planted.pets / ".workbench",
        "datasets": data / ".workbench",
        "models": planted.models / ".workbench",
    }[what]
    assert len(list((hidden / "trash").iterdir())) == 1
    command = [sys.executable, "-c", _PURGE, str(data), str(planted.models), what]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"1\n"
    assert list((hidden / "trash").iterdir()) == []
    assert list(hidden.glob("tmp/*")) == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StorageError),
        (errno.EIO, StorageError),
        (errno.EROFS, ReadOnlyError),
        (errno.EPERM, ReadOnlyError),
        (errno.ENOENT, NotFoundError),
        (errno.ELOOP, StorageError),
        (errno.EBADF, StorageError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else errno.errorcode[value],
)
def test_what_kind_of_error_it_becomes(code: int, kind: type[WorkbenchError]) -> None:
    error = as_ours(OSError(code, os.strerror(code), "/data/pets/x", None, b"/y"), "pets")
    assert type(error) is kind
    assert str(error).startswith("pets: expected ")
    assert f"{os.strerror(code)} (/data/pets/x, /y); " in str(error)
    assert isinstance(error, OSError)
    assert error.errno == code
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_is_ours_stays_what_it_is() -> None:
    ours = NotFoundError("no such dataset")
    assert as_ours(ours, "pets") is ours
    with pytest.raises(NotFoundError) as caught, in_our_words("pets"):
        raise ours
    assert caught.value is ours


def test_an_error_that_the_system_did_not_raise_stays_what_it_is() -> None:
    with pytest.raises(InterruptedError, match="no more"), in_our_words("pets"):
        raise InterruptedError("no more")


def test_half_a_character_in_a_name(tmp_path: Path) -> None:
    expected = pytest.raises(InvalidNameError, match=r"pets: expected names .* found '.*\\ud800'")
    with expected, in_our_words("pets"):
        (tmp_path / "\ud800").touch()
