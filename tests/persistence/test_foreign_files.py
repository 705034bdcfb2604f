"""Datasets that others have put into the data folder: odd names, links, no right to write."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.helpers.pictures import encoded, jpeg
from workbench import Dataset
from workbench.errors import InvalidDatasetError, InvalidNameError, NotFoundError
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation, ImageMove, NewImage

ROW = b"1 0.5 0.5 0.2 0.2\n"
BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
DECOMPOSED = unicodedata.normalize("NFD", "Käfer.jpg")
ODD = [
    "10:30:00.jpg",
    "what?.jpg",
    " space.jpg",
    "nul.jpg",
    "back\\slash.jpg",
    "line\nbreak.jpg",
    "y" * 230 + ".jpg",
    DECOMPOSED,
    os.fsdecode(b"caf\xe9.jpg"),
]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows allows no such names")


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A dataset with an image of each odd name, and a plain one, all labelled."""
    base = tmp_path / "data" / "odd"
    for folder in ("images/train", "labels/train", "images/val", "labels/val"):
        (base / folder).mkdir(parents=True)
    (base / "data.yaml").write_text("names: [cat, dog]\n")
    for number, name in enumerate([*ODD, "plain.jpg"]):
        (base / "images/train" / name).write_bytes(jpeg(number))
        (base / "labels/train" / f"{name[:-4]}.txt").write_bytes(ROW)
    return base


async def test_one_odd_name_does_not_keep_a_dataset_from_being_seen(
    stores: Stores, base: Path
) -> None:
    dataset = Dataset(stores, "odd")
    keys = sorted(("train", name) for name in [*ODD, "plain.jpg"])
    assert sorted(await dataset.query("class:dog")) == keys
    assert sorted(await dataset.query("size>0")) == keys
    contents = await stores.image.read_many("odd", keys)
    assert contents == [(base / "images" / split / name).read_bytes() for split, name in keys]
    table = await stores.label.load_many("odd", keys)
    assert table.class_id.tolist() == [1] * len(keys)
    await dataset.health()


@pytest.mark.parametrize("name", ODD)
async def test_everything_can_be_done_with_an_image_of_an_odd_name(
    stores: Stores, base: Path, name: str
) -> None:
    image, label = base / "images/train" / name, base / "labels/train" / f"{name[:-4]}.txt"
    data = image.read_bytes()
    actions = Dataset(stores, "odd").actions
    key = ("train", name)

    assert [a.class_id for a in await stores.label.load("odd", *key)] == [1]
    moved = await actions.move([key], "val")
    assert (base / "labels/val" / label.name).read_bytes() == ROW
    assert not image.exists()
    await moved.undo()
    deleted = await actions.delete([key])
    assert not image.exists()
    assert not label.exists()
    await deleted.undo()
    assert (image.read_bytes(), label.read_bytes()) == (data, ROW)
    await actions.tag([key], "odd")
    assert await stores.dataset.get_tags("odd") == {"odd": [name]}
    await stores.dataset.freeze("odd", "v1")
    await stores.label.save("odd", *key, [BOX])
    assert label.read_bytes().startswith(b"0 0.5")
    await stores.image.delete("odd", *key)
    await stores.dataset.restore_version("odd", "v1")
    assert (image.read_bytes(), label.read_bytes()) == (data, ROW)
    assert (await stores.image.rename("odd", *key, "good.jpg")).filename == "good.jpg"
    assert (base / "labels/train/good.txt").read_bytes() == ROW


async def test_whoever_asks_may_write_a_letter_either_way(stores: Stores, base: Path) -> None:
    composed = unicodedata.normalize("NFC", DECOMPOSED)
    for name in (composed, DECOMPOSED):
        assert (await stores.image.get("odd", "train", name)).filename == DECOMPOSED
        [box] = await stores.label.load("odd", "train", name)
        assert box.class_id == 1
    await stores.image.move_many("odd", [ImageMove(composed, "train", "val")])
    assert (base / "images/val" / DECOMPOSED).exists()
    await stores.image.save_bytes("odd", "train", DECOMPOSED, jpeg(1))
    assert (base / "images/train" / composed).exists()


async def test_new_images_get_no_such_names(stores: Stores, base: Path) -> None:
    for name in (n for n in ODD if n != DECOMPOSED):
        with pytest.raises(InvalidNameError):
            await stores.image.save_bytes("odd", "val", name, jpeg(1))
        with pytest.raises(InvalidNameError):
            await stores.image.add_many("odd", [NewImage(name, "val", jpeg(1))])
        with pytest.raises(InvalidNameError):
            await stores.image.rename("odd", "train", "plain.jpg", name)
        with pytest.raises((InvalidNameError, NotFoundError)):
            await stores.label.load("odd", "val", name)
    assert list((base / "images/val").iterdir()) == []


async def test_a_dangling_link_is_named_and_the_rest_goes_on(stores: Stores, base: Path) -> None:
    link = base / "images/train/gone.jpg"
    link.symlink_to(base / "nowhere.jpg")
    with pytest.raises(InvalidDatasetError, match=r"train/gone\.jpg.*link.*repair or delete"):
        await stores.dataset.freeze("odd", "v1")
    assert len(await Dataset(stores, "odd").query("class:dog")) == len(ODD) + 1


AS_A_GUEST = """
import asyncio, ctypes, os, struct, sys
from pathlib import Path

if os.geteuid() == 0:  # root may write anywhere, unless it gives up that capability
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    low, *rest = struct.unpack("6I", data.raw)
    assert libc.capset(header, struct.pack("6I", low & ~0b1110, *rest)) == 0

from workbench import Dataset, create_stores, import_dataset
from workbench.errors import ReadOnlyError
from workbench.persistence.models import Annotation


async def main(data: Path, own: Path) -> None:
    stores = create_stores(data_dir=data, models_dir=own / "models")
    dataset = Dataset(stores, "odd")
    assert len(await dataset.query("class:dog")) == 1
    await dataset.statistics()
    await dataset.health()
    for change in (
        stores.label.save("odd", "train", "a.jpg", [Annotation(0, 0.5, 0.5, 0.1, 0.1)]),
        dataset.actions.move([("train", "a.jpg")], "val"),
        dataset.actions.delete([("train", "a.jpg")]),
        dataset.versions.freeze("v1"),
        stores.dataset.update_classes("odd", ["x", "y"]),
        stores.dataset.create("new"),
    ):
        try:
            await change
        except ReadOnlyError as error:
            assert str(data) in str(error) and "import" in str(error), error
        else:
            raise AssertionError("changed what nobody may change")
    await stores.dataset.export_zip("odd", own)
    snapshot = await stores.dataset.snapshot("odd", own / "snapshot")
    assert snapshot.num_images["train"] == 1
    copies = create_stores(data_dir=own / "data", models_dir=own / "models")
    assert (await import_dataset(copies, data / "odd")).num_images["train"] == 1


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up capabilities as Linux has them")
def test_a_dataset_that_may_only_be_read(tmp_path: Path) -> None:
    data, own = tmp_path / "shared", tmp_path / "own"
    own.mkdir()
    files = {
        "data.yaml": b"names: [cat, dog]\n",
        "images/train/a.jpg": jpeg(1),
        "labels/train/a.txt": ROW,
    }
    for name, content in files.items():
        path = data / "odd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folders = [data, *(path for path in data.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        command = [sys.executable, "-c", AS_A_GUEST, str(data), str(own)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        for folder in folders:
            folder.chmod(0o755)
    there = {p.relative_to(data / "odd").as_posix() for p in data.rglob("*") if p.is_file()}
    assert there == set(files)
    assert (own / "snapshot/labels/train/a.txt").read_bytes() == ROW


async def test_images_that_share_a_label_file_are_deleted_and_come_back_by_themselves(
    stores: Stores, base: Path
) -> None:
    (base / "images/train/plain.png").write_bytes(encoded(".png", 77))
    jpg, png = ("train", "plain.jpg"), ("train", "plain.png")
    label = base / "labels/train/plain.txt"
    before = tree(base)
    actions = Dataset(stores, "odd").actions
    for chosen in ([png], [jpg], [jpg, png]):
        change = await actions.delete(chosen)
        assert [(base / "images" / split / name).exists() for split, name in chosen] == [
            False
        ] * len(chosen)
        assert label.exists() == (len(chosen) == 1)
        await change.undo()
        assert tree(base) == before
    entries = [(await stores.image.delete("odd", *key)).id for key in (png, jpg)]
    assert not label.exists()
    change = await actions.restore(entries)
    assert tree(base) == before
    await change.undo()
    assert not label.exists()


def tree(base: Path) -> dict[str, bytes]:
    files = (path for kind in ("images", "labels") for path in (base / kind).rglob("*.*"))
    return {os.fsdecode(path.relative_to(base)): path.read_bytes() for path in files}
