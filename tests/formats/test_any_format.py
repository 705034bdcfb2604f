"""One call for whatever another tool has exported: asserted through the files it leaves."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.archives import write_zip
from workbench import import_dataset
from workbench.errors import AlreadyExistsError, ArchiveError, NotFoundError
from workbench.persistence import Stores

YOLO = b"1 0.5 0.5 0.2 0.4\n"
NAMES = b"cup\ndog\n"


def _image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (100, 50), (40, 90, 140)).save(buffer, "JPEG")
    return buffer.getvalue()


def _xml(name: str) -> bytes:
    return (
        f"<annotation><size><width>100</width><height>50</height></size><object>"
        f"<name>{name}</name><bndbox><xmin>40</xmin><ymin>15</ymin><xmax>60</xmax>"
        f"<ymax>35</ymax></bndbox></object></annotation>"
    ).encode()


PICTURE = _image()
A_BOX = "0 0.50000000 0.50000000 0.20000000 0.40000000\n"
A_LIST = b"data/obj_train_data/a.jpg\n"

EXPORTS: dict[str, tuple[dict[str, bytes], dict[str, str], list[str]]] = {
    "Roboflow, YOLO": (
        {
            "data.yaml": b"train: ../train/images\nval: ../valid/images\nnames: [cup, dog]\n",
            "train/images/a.jpg": PICTURE,
            "train/labels/a.txt": YOLO,
            "valid/images/b.jpg": PICTURE,
            "valid/labels/b.txt": YOLO,
        },
        {"train/a.txt": YOLO.decode(), "val/b.txt": YOLO.decode()},
        ["cup", "dog"],
    ),
    "CVAT, YOLO 1.1": (
        {
            "obj.names": NAMES,
            "obj.data": b"classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n",
            "train.txt": A_LIST,
            "obj_train_data/a.jpg": PICTURE,
            "obj_train_data/a.txt": YOLO,
        },
        {"train/a.txt": YOLO.decode()},
        ["cup", "dog"],
    ),
    "Label Studio": (
        {
            "classes.txt": NAMES,
            "notes.json": b"{}",
            "images/a.jpg": PICTURE,
            "labels/a.txt": YOLO,
        },
        {"train/a.txt": YOLO.decode()},
        ["cup", "dog"],
    ),
    "labelImg, YOLO": (
        {"classes.txt": NAMES, "a b.jpg": PICTURE, "a b.txt": YOLO},
        {"train/a b.txt": YOLO.decode()},
        ["cup", "dog"],
    ),
    "labelImg, VOC, side by side": (
        {"a.jpg": PICTURE, "a.xml": _xml("dog"), "notes.txt": b"by Ann"},
        {"train/a.txt": A_BOX},
        ["dog"],
    ),
    "Roboflow, VOC": (
        {
            "README.dataset.txt": b"cups",
            "train/a.jpg": PICTURE,
            "train/a.xml": _xml("cup"),
            "valid/a.jpg": PICTURE,
            "valid/a.xml": _xml("cup"),
        },
        {"train/a.txt": A_BOX, "val/a.txt": A_BOX},
        ["cup"],
    ),
    "VOC in small letters": (
        {"images/a.jpg": PICTURE, "annotations/a.xml": _xml("cup")},
        {"train/a.txt": A_BOX},
        ["cup"],
    ),
    "pictures": ({"a.jpg": PICTURE}, {}, []),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("tool", EXPORTS)
async def test_exports(tmp_path: Path, persistence_stores: Stores, tool: str, packed: bool) -> None:
    files, labels, classes = EXPORTS[tool]
    if packed:
        source = write_zip(tmp_path / "cups.zip", {f"export/{n}": d for n, d in files.items()})
    else:
        source = tmp_path / "in" / "cups"
        for name, data in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
    info = await import_dataset(persistence_stores, source)
    assert (info.name, info.classes) == ("cups", classes)
    base = info.path / "labels"
    found = {p.relative_to(base).as_posix(): p.read_text() for p in base.rglob("*.txt")}
    assert found == labels
    images = [p for p in (info.path / "images").rglob("*") if p.is_file()]
    assert len(images) == sum(name.endswith(".jpg") for name in files)
    assert all(path.read_bytes() == PICTURE for path in images)


async def test_what_cannot_be_imported_leaves_nothing(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    (tmp_path / "alone" / "in").mkdir(parents=True)
    (tmp_path / "alone" / "in" / "labels.txt").write_text("0 .5 .5 .1 .1")
    (tmp_path / "empty").mkdir()
    for path, error, message in (
        (tmp_path / "gone", NotFoundError, "gone"),
        (
            tmp_path / "alone" / "in" / "labels.txt",
            ArchiveError,
            r"labels\.txt.*put the pictures beside it",
        ),
        (tmp_path / "empty", ArchiveError, r"empty.*expected images"),
    ):
        with pytest.raises(error, match=message):
            await import_dataset(persistence_stores, path)
    assert await persistence_stores.dataset.list() == []
    archive = write_zip(tmp_path / "cups.zip", {"a.jpg": PICTURE, "a.xml": _xml("cup")})
    await import_dataset(persistence_stores, archive)
    with pytest.raises(AlreadyExistsError, match="cups"):
        await import_dataset(persistence_stores, archive)
