"""The number of the format on disk: read on opening, written with the first change, migrated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.archives import small_dataset, write_zip
from tests.helpers.pictures import jpeg
from workbench.errors import ArchiveError, InvalidDatasetError
from workbench.persistence import Stores, create_memory_stores, create_stores
from workbench.persistence.disk_format import FORMAT, format_of
from workbench.persistence.models import Annotation
from workbench.persistence.storage import Append, Change, Remove, Storage, Write
from workbench.persistence.stores.folders import DatasetRoot
from workbench.persistence.stores.formats import bring_up

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
NEWER = json.dumps({"format": FORMAT + 1, "created_at": "2031-01-01T00:00:00+00:00"}).encode()
MADE = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def stores(tmp_path: Path, data_dir: Path) -> Stores:
    return create_stores(data_dir=data_dir, models_dir=tmp_path / "models")


@pytest.fixture
def pets(data_dir: Path) -> Path:
    """Return a dataset as another tool leaves it: without a folder of ours."""
    folder = data_dir / "pets"
    for name, data in small_dataset().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


async def test_reading_writes_no_number_and_the_first_change_does(
    stores: Stores, pets: Path
) -> None:
    listed = await stores.dataset.get("pets")
    await stores.label.load("pets", "train", "a.jpg")
    assert not (pets / ".workbench").exists()
    await stores.label.save("pets", "train", "a.jpg", [BOX])
    facts = json.loads((pets / ".workbench" / "dataset.json").read_bytes())
    assert facts == {"format": 1, "created_at": listed.created_at.isoformat()}
    assert (await stores.dataset.get("pets")).created_at == listed.created_at


async def test_a_newer_format_is_refused_and_left_as_it_is(stores: Stores, pets: Path) -> None:
    facts = pets / ".workbench" / "dataset.json"
    facts.parent.mkdir()
    facts.write_bytes(NEWER)
    labels = (pets / "labels/train/a.txt").read_bytes()
    said = rf"dataset\.json: expected .* found format {FORMAT + 1}.* update Workbench to open it"
    with pytest.raises(InvalidDatasetError, match=said):
        await stores.dataset.get("pets")
    with pytest.raises(InvalidDatasetError, match=said):
        await stores.label.load("pets", "train", "a.jpg")
    with pytest.raises(InvalidDatasetError, match=said):
        await stores.label.save("pets", "train", "a.jpg", [BOX])
    with pytest.raises(InvalidDatasetError, match=said):
        await stores.image.save_bytes("pets", "train", "new.jpg", jpeg(3))
    assert (pets / "labels/train/a.txt").read_bytes() == labels
    assert facts.read_bytes() == NEWER
    assert [path.name for path in facts.parent.iterdir()] == ["dataset.json"]


async def test_a_dataset_is_read_again_when_its_number_changes(stores: Stores, pets: Path) -> None:
    await stores.label.save("pets", "train", "a.jpg", [BOX])
    (pets / ".workbench" / "dataset.json").write_bytes(NEWER)
    with pytest.raises(InvalidDatasetError):
        await stores.label.load("pets", "train", "a.jpg")


@pytest.mark.parametrize("backend", ["disk", "memory"])
async def test_an_archive_of_a_newer_format_is_refused_whole(
    backend: str, stores: Stores, tmp_path: Path
) -> None:
    store = (stores if backend == "disk" else create_memory_stores()).dataset
    members = {**small_dataset(), ".workbench/dataset.json": NEWER}
    archive = write_zip(tmp_path / "pets.zip", members)
    with pytest.raises(ArchiveError, match="update Workbench to open it"):
        await store.import_zip(archive)
    assert not await store.exists("pets")


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b'{"format": "2"}', b'{"format": true}', b'{"format": -3}']
)
def test_a_damaged_number_counts_as_the_first(content: bytes) -> None:
    assert format_of(content) == 1


def test_a_migration_goes_step_by_step_and_a_failed_step_leaves_the_one_before(
    data_dir: Path, pets: Path
) -> None:
    hidden = pets / ".workbench"
    hidden.mkdir()
    (hidden / "dataset.json").write_text(json.dumps({"format": 1, "created_at": MADE}))
    (hidden / "tags.json").write_text('{"odd": ["a.jpg"]}')
    storage = DatasetRoot(data_dir).open("pets").storage
    tags = ".workbench/tags.json"

    def capitals(storage: Storage) -> list[Change]:
        return [Write(tags, storage.read(tags).upper())]

    def broken(storage: Storage) -> list[Change]:
        return [Remove(tags), Append("nowhere.jsonl", b"x")]

    steps = {1: capitals, 2: broken}
    with storage.lease() as writer, pytest.raises(InvalidDatasetError, match="no log of ours"):
        bring_up(storage, writer, 1, migrations=steps, current=3)
    assert json.loads((hidden / "dataset.json").read_text()) == {"format": 2, "created_at": MADE}
    assert (hidden / "tags.json").read_text() == '{"ODD": ["A.JPG"]}'

    def emptied(storage: Storage) -> list[Change]:
        return [Remove(tags)]

    with storage.lease() as writer:
        bring_up(storage, writer, 2, migrations={2: emptied}, current=3)
    assert json.loads((hidden / "dataset.json").read_text()) == {"format": 3, "created_at": MADE}
    assert not (hidden / "tags.json").exists()
