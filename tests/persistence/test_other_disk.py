"""Splits that the user has linked to another disk, where a rename cannot lead.

A real second file system is used: the one in memory that Linux mounts at ``/dev/shm``.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.helpers.archives import YAML
from tests.helpers.failing_calls import FailingCalls, failing
from tests.helpers.pictures import jpeg
from workbench.persistence import Stores, create_stores
from workbench.persistence.storage.local.atomic import rename

OTHER = Path("/dev/shm")
PICTURE = jpeg(1)
LABELS = b"0 0.5 0.5 0.25 0.5\n"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder on another disk than the tests' own."""
    if not OTHER.is_dir() or OTHER.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=OTHER, prefix="workbench-test-") as folder:
        yield Path(folder)


@pytest.fixture
def pets(tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a dataset whose validation split lies on another disk, as its user has said."""
    monkeypatch.setenv("WORKBENCH_FOLLOW_LINKS", "1")
    root = tmp_path / "data" / "pets"
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
        (elsewhere / kind).mkdir()
        (root / kind / "val").symlink_to(elsewhere / kind)
    (root / "data.yaml").write_bytes(YAML)
    (root / "images/train/a.jpg").write_bytes(PICTURE)
    (root / "labels/train/a.txt").write_bytes(LABELS)
    return root


def stores_of(pets: Path) -> Stores:
    return create_stores(pets.parent, pets.parents[1] / "models")


def found(*folders: Path) -> dict[str, bytes]:
    """Return what is in folders, hidden files too, by the end of the path."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {"/".join(path.parts[-2:]): path.read_bytes() for path in files}


async def test_an_image_and_its_labels_move_to_another_disk_and_back(
    pets: Path, elsewhere: Path
) -> None:
    stores = stores_of(pets)
    own = pets / "images/train", pets / "labels/train"
    await stores.image.move("pets", "a.jpg", "train", "val")
    assert found(elsewhere) == {"images/a.jpg": PICTURE, "labels/a.txt": LABELS}
    assert found(*own) == {}
    await stores.image.move("pets", "a.jpg", "val", "train")
    assert found(*own) == {"train/a.jpg": PICTURE, "train/a.txt": LABELS}
    assert found(elsewhere) == {}  # no copy under a hidden name either


@pytest.mark.parametrize(
    ("error", "lasting"), [(errno.ENOSPC, False), (errno.EIO, False), (errno.EACCES, True)]
)
async def test_a_move_to_another_disk_happens_or_does_not_whichever_call_fails(
    pets: Path, elsewhere: Path, error: int, lasting: bool
) -> None:
    own = pets / "images/train", pets / "labels/train"
    there = {"images/a.jpg": PICTURE, "labels/a.txt": LABELS}
    here = {"train/a.jpg": PICTURE, "train/a.txt": LABELS}
    raised = 0
    for number in count(1):
        stores = stores_of(pets)
        calls = FailingCalls(str(pets.parents[1]), error, number, lasting)
        with failing(calls):
            try:
                await stores.image.move("pets", "a.jpg", "train", "val")
            except OSError:
                raised += 1
        # Whoever looks next sees all of it or nothing, and puts right what was left.
        again = stores_of(pets)
        assert len(await again.image.list("pets")) == 1
        await again.dataset.save_prompts("pets", {})
        is_there = bool(found(elsewhere))
        assert (found(*own), found(elsewhere)) == (({}, there) if is_there else (here, {}))
        if not calls.struck:
            assert is_there
            break
        if is_there:
            await again.image.move("pets", "a.jpg", "val", "train")
    assert raised > 3


def test_a_copy_that_was_cut_off_leaves_both_sides_as_they_were(
    tmp_path: Path, elsewhere: Path
) -> None:
    source, target = tmp_path / "a", elsewhere / "a"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with (
        failing(FailingCalls(str(elsewhere), errno.EIO, 1, lasting=True)),
        pytest.raises(OSError, match=os.strerror(errno.EIO)),
    ):
        rename(str(source), str(target))
    assert (source.read_bytes(), found(elsewhere)) == (b"new", {f"{elsewhere.name}/a": b"old"})
    rename(str(source), str(target))
    assert not source.exists()
    assert found(elsewhere) == {f"{elsewhere.name}/a": b"new"}
