"""What the default implementation puts on disk, and what it makes of files by other hands."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.helpers.archives import small_dataset
from tests.helpers.pictures import jpeg
from workbench.errors import (
    AlreadyExistsError,
    InvalidDatasetError,
    LabelFormatError,
    NotFoundError,
)
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, ImageMove

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir(persistence_stores: Stores, tmp_path: Path) -> Path:
    return tmp_path / "data"


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _visible(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] != ".workbench"}


# --- what we write ------------------------------------------------------------------------


async def test_a_new_dataset_is_these_files(persistence_stores: Stores, data_dir: Path) -> None:
    info = await persistence_stores.dataset.create("pets", ["cat", "Käfer"])
    assert info.path == data_dir / "pets"
    assert (info.path / "data.yaml").read_text(encoding="utf-8") == (
        "train: images/train\nval: images/val\ntest: images/test\nnames:\n  0: cat\n  1: Käfer\n"
    )
    folders = {str(p.relative_to(info.path)) for p in info.path.rglob("*") if p.is_dir()}
    for kind in ("images", "labels"):
        for split in ("train", "val", "test"):
            assert f"{kind}/{split}" in folders
    assert _visible(info.path) == {"data.yaml"}


async def test_images_and_labels_are_these_bytes(
    persistence_stores: Stores, data_dir: Path
) -> None:
    await persistence_stores.dataset.create("pets", ["cat", "dog"])
    await persistence_stores.image.save_bytes("pets", "train", "a.b.JPG", jpeg(1))
    boxes = [BOX, Annotation(1, 0.125, 0.9, 0.25, 0.4)]
    await persistence_stores.label.save("pets", "train", "a.b.JPG", boxes)
    pets = data_dir / "pets"
    assert _visible(pets) == {"data.yaml", "images/train/a.b.JPG", "labels/train/a.b.txt"}
    assert (pets / "images/train/a.b.JPG").read_bytes() == jpeg(1)
    assert (pets / "labels/train/a.b.txt").read_bytes() == (
        b"0 0.50000000 0.50000000 0.25000000 0.50000000\n"
        b"1 0.12500000 0.85000000 0.25000000 0.30000000\n"
    )
    await persistence_stores.label.save("pets", "train", "a.b.JPG", [])
    assert (pets / "labels/train/a.b.txt").read_bytes() == b""
    await persistence_stores.image.move("pets", "a.b.JPG", "train", "test")
    assert _visible(pets) == {"data.yaml", "images/test/a.b.JPG", "labels/test/a.b.txt"}
    await persistence_stores.image.rename("pets", "test", "a.b.JPG", "c.JPG")
    assert _visible(pets) == {"data.yaml", "images/test/c.JPG", "labels/test/c.txt"}
    await persistence_stores.image.delete("pets", "test", "c.JPG")
    assert _visible(pets) == {"data.yaml"}


async def test_files_have_the_permissions_that_the_umask_gives(
    persistence_stores: Stores, data_dir: Path
) -> None:
    await persistence_stores.dataset.create("pets", ["cat"])
    await persistence_stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    await persistence_stores.label.save("pets", "train", "a.jpg", [BOX])
    plain = data_dir / "plain"
    plain.write_bytes(b"")
    for name in ("data.yaml", "images/train/a.jpg", "labels/train/a.txt"):
        assert (data_dir / "pets" / name).stat().st_mode == plain.stat().st_mode


async def test_models_are_these_files(persistence_stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"weights")
    await persistence_stores.model.save("cats", tmp_path / "best.pt", "yolo11n", "pets", 3)
    await persistence_stores.model.set_active("cats")
    models = tmp_path / "models"
    facts = json.loads((models / "cats" / "model.json").read_text())
    assert (facts["base_model"], facts["epochs_completed"]) == ("yolo11n", 3)
    weights = await persistence_stores.model.load("cats")
    assert weights.parent == models / "cats"
    assert weights.read_bytes() == b"weights"
    assert (models / ".workbench" / "active.json").is_file()


CHECK = """
import sys
from ultralytics.data.utils import check_det_dataset
found = check_det_dataset(sys.argv[1], autodownload=False)
print(found["names"], found["train"], found["val"])
"""


async def test_ultralytics_accepts_the_dataset_at_every_moment(
    persistence_stores: Stores, data_dir: Path, tmp_path: Path
) -> None:
    """Also when it was just made, after a move of its folder, and of what we imported."""
    await persistence_stores.dataset.create("pets", ["cat", "yes"])
    moved = tmp_path / "elsewhere" / "pets"
    moved.parent.mkdir()
    (data_dir / "pets").rename(moved)
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(moved / "data.yaml")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "YOLO_CONFIG_DIR": str(tmp_path),
            "YOLO_OFFLINE": "1",
            "YOLO_AUTOINSTALL": "false",
        },
    )
    assert done.stdout.splitlines()[-1] == (
        f"{{0: 'cat', 1: 'yes'}} {moved}/images/train {moved}/images/val"
    )


# --- what others wrote --------------------------------------------------------------------


async def test_a_dataset_made_by_hand_works(persistence_stores: Stores, data_dir: Path) -> None:
    _write(data_dir / "hand", small_dataset())
    ds, img, lbl = persistence_stores.dataset, persistence_stores.image, persistence_stores.label
    info = await ds.get("hand")
    assert (info.classes, info.num_images) == (["cat", "dog"], {"train": 1, "val": 1, "test": 0})
    assert info.created_at is not None
    assert [d.name for d in await ds.list()] == ["hand"]
    assert await lbl.load("hand", "train", "a.jpg") == [BOX]
    assert await ds.get_prompts("hand") == {}
    assert await img.list_trash("hand") == []
    assert not (data_dir / "hand" / ".workbench").exists()  # reading leaves nothing behind

    await lbl.save("hand", "val", "b.jpg", [BOX])
    await img.move_many("hand", [ImageMove("a.jpg", "train", "test")])
    await img.restore("hand", (await img.delete("hand", "val", "b.jpg")).id)
    await ds.save_prompts("hand", {0: ["a cat"]})
    assert _visible(data_dir / "hand") == {
        "data.yaml",
        "images/test/a.jpg",
        "images/val/b.jpg",
        "labels/test/a.txt",
        "labels/val/b.txt",
    }


async def test_keys_of_other_tools_survive_a_change_of_classes(
    persistence_stores: Stores, data_dir: Path
) -> None:
    document = {
        "path": "/home/ann/pets",
        "train": "images/train",
        "val": "images/val",
        "nc": 2,
        "names": {0: "cat", 1: "dog"},
        "kpt_shape": [17, 3],
        "license": "CC BY 4.0",
        "roboflow": {"version": 3, "project": "Käfer"},
    }
    _write(data_dir / "pets", {**small_dataset(), "data.yaml": yaml.safe_dump(document).encode()})
    await persistence_stores.dataset.update_classes("pets", ["cat", "dog", "cow"])
    written = yaml.safe_load((data_dir / "pets" / "data.yaml").read_bytes())
    assert written["names"] == {0: "cat", 1: "dog", 2: "cow"}
    for key in ("kpt_shape", "license", "roboflow"):
        assert written[key] == document[key]
    assert "path" not in written
    assert written.get("nc", 3) == 3


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"names: [cat\n",
        b"- a list\n",
        b"train: images/train\n",
        b"names: {0: cat, 2: dog}\n",
        b"names: 7\n",
        b"names: !!python/object/apply:os.system ['touch owned']\n",
        b"\xff\xfe\x00n",
    ],
    ids=["empty", "no yaml", "list", "no names", "gap", "number", "code", "binary"],
)
async def test_one_broken_data_yaml_does_not_hide_the_others(
    persistence_stores: Stores, data_dir: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await persistence_stores.dataset.create("good", ["cat"])
    _write(data_dir / "broken", {**small_dataset(), "data.yaml": text})
    with caplog.at_level(logging.WARNING):
        broken, good = await persistence_stores.dataset.list()
    assert not caplog.text  # it stands in the list, and would be repeated at each look
    assert (good.name, good.problem) == ("good", "")
    assert (broken.name, broken.path, broken.classes) == ("broken", data_dir / "broken", [])
    assert str(data_dir / "broken" / "data.yaml") in broken.problem
    with pytest.raises(InvalidDatasetError, match=r"broken/data\.yaml"):
        await persistence_stores.dataset.get("broken")
    with pytest.raises(InvalidDatasetError, match=r"broken/data\.yaml"):
        await persistence_stores.label.save("broken", "train", "a.jpg", [])
    assert (data_dir / "broken" / "data.yaml").read_bytes() == text


async def test_other_things_in_the_data_folder_are_no_datasets(
    persistence_stores: Stores, data_dir: Path
) -> None:
    (data_dir / "notes.txt").write_text("mine")
    (data_dir / "exports").mkdir()
    (data_dir / ".ipynb_checkpoints").mkdir()
    assert await persistence_stores.dataset.list() == []
    with pytest.raises(NotFoundError, match="exports"):
        await persistence_stores.dataset.get("exports")
    with pytest.raises(AlreadyExistsError):
        await persistence_stores.dataset.create("exports", ["cat"])
    assert (data_dir / "exports").is_dir()


async def test_changes_by_another_program_are_seen(
    persistence_stores: Stores, data_dir: Path
) -> None:
    await persistence_stores.dataset.create("pets", ["cat"])
    first = await persistence_stores.dataset.get("pets")
    _write(
        data_dir / "pets",
        {
            "data.yaml": b"train: images/train\nval: images/val\nnames: [cat, dog]\n",
            "images/train/x.jpg": jpeg(3),
            "labels/train/x.txt": b"1 0.5 0.5 0.25 0.5\n",
            "images/train/.hidden.jpg": jpeg(4),
            "images/train/readme.txt": b"not an image",
        },
    )
    second = await persistence_stores.dataset.get("pets")
    assert (first.classes, second.classes) == (["cat"], ["cat", "dog"])
    assert second.num_images["train"] == 1
    assert [i.filename for i in await persistence_stores.image.list("pets")] == ["x.jpg"]
    (box,) = await persistence_stores.label.load("pets", "train", "x.jpg")
    assert box.class_id == 1
    (data_dir / "pets/labels/train/x.txt").write_text("2 0.5 0.5 0.2 0.2")
    with pytest.raises(LabelFormatError, match=r"x\.txt, line 1"):
        await persistence_stores.label.load("pets", "train", "x.jpg")


async def test_labels_without_an_image_are_never_overwritten(
    persistence_stores: Stores, data_dir: Path
) -> None:
    """A move or rename must not destroy a label file that waits for its image."""
    _write(data_dir / "pets", {**small_dataset(), "labels/val/a.txt": b"1 0.5 0.5 0.1 0.1\n"})
    with pytest.raises(AlreadyExistsError, match=r"labels/val/a\.txt"):
        await persistence_stores.image.move("pets", "a.jpg", "train", "val")
    assert (data_dir / "pets/labels/val/a.txt").read_bytes() == b"1 0.5 0.5 0.1 0.1\n"
    assert (data_dir / "pets/images/train/a.jpg").is_file()


READ_ONLY = """
import asyncio, os, stat, sys, tempfile
from pathlib import Path
from tests.helpers.pictures import jpeg
from workbench.persistence import create_stores
from workbench.persistence.models import Annotation

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)

async def arrange(stores):
    await stores.dataset.create("pets", ["cat"])
    await stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    await stores.label.save("pets", "train", "a.jpg", [BOX])

async def attempt(stores, folder):
    boxes = await stores.label.load("pets", "train", "a.jpg")
    images = await stores.image.list("pets")
    lines = [f"read {boxes == [BOX]} {len(images)} {(await stores.dataset.list())[0].classes}"]
    for name, call in {
        "labels": lambda: stores.label.save("pets", "train", "a.jpg", []),
        "image": lambda: stores.image.save_bytes("pets", "train", "b.jpg", jpeg(2)),
        "move": lambda: stores.image.move("pets", "a.jpg", "train", "val"),
        "create": lambda: stores.dataset.create("new", ["cat"]),
    }.items():
        try:
            await call()
        except PermissionError as error:
            lines.append(f"{name} refused: {folder in str(error)}")
    return lines

def arranged():
    folder = tempfile.mkdtemp()
    stores = create_stores(folder + "/data", folder + "/models")
    asyncio.run(arrange(stores))
    return stores, folder

# Once where all is allowed, so that nothing is left to import when we are nobody.
asyncio.run(attempt(*arranged()))
stores, folder = arranged()
for path in [folder, *map(str, Path(folder).rglob("*"))]:
    os.chmod(path, 0o555 if os.path.isdir(path) else 0o444)
if os.geteuid() == 0:
    os.setuid(65534)  # nobody: permissions do not bind root
print(*asyncio.run(attempt(create_stores(folder + "/data", folder + "/models"), folder)), sep="\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no write permission there")
def test_a_read_only_folder_can_be_read_and_says_that_it_cannot_be_written() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to nobody
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": folder},
        )
    assert done.stdout.splitlines() == [
        "read True 1 ['cat']",
        "labels refused: True",
        "image refused: True",
        "move refused: True",
        "create refused: True",
    ], done.stderr
