"""Splits that a dataset's own files give to its images, and folders do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.persistence.archive import import_folder
from workbench.persistence.archive.sink import FolderSink

FLAT = ["images/a.jpg", "images/b.jpg", "images/c.jpg"]

CASES: dict[str, tuple[list[str], dict[str, str], dict[str, set[str]]]] = {
    "lists in data.yaml": (
        FLAT,
        {
            "data.yaml": "path: ../datasets/x\ntrain: train.txt\nval: val.txt\nnames: [cat]\n",
            "train.txt": "\ufeff./images/a.jpg\r\n./images/b.jpg\r\n",
            "val.txt": "./images/c.jpg\n\n",
        },
        {"train": {"a.jpg", "b.jpg"}, "val": {"c.jpg"}},
    ),
    "paths of another machine": (
        FLAT,
        {
            "data.yaml": "train: C:\\data\\x\\train.txt\nval: /home/ann/x/val.txt\nnames: [cat]\n",
            "train.txt": "C:\\data\\x\\images\\a.jpg\nC:\\data\\x\\images\\b.jpg\n",
            "val.txt": "/home/ann/x/images/c.jpg\n",
        },
        {"train": {"a.jpg", "b.jpg"}, "val": {"c.jpg"}},
    ),
    "several folders for a split": (
        ["mon/images/a.jpg", "tue/images/b.jpg", "wed/images/c.jpg"],
        {"data.yaml": "train: [mon/images, tue/images]\nval: wed/images\nnames: [cat]\n"},
        {"train": {"a.jpg", "b.jpg"}, "val": {"c.jpg"}},
    ),
    "images of several folders that have one name": (
        ["mon/images/a.jpg", "tue/images/a.jpg"],
        {"data.yaml": "train: [mon/images, tue/images]\nval: tue/images\nnames: [cat]\n"},
        {"train": {"a.jpg"}, "val": {"a.jpg"}},
    ),
    "folders with other names": (
        ["images/good/a.jpg", "images/held_out/b.jpg"],
        {"data.yaml": "train: images/good\nval: images/held_out\nnames: [cat]\n"},
        {"train": {"good_a.jpg"}, "val": {"held_out_b.jpg"}},
    ),
    "one folder for both": (
        FLAT,
        {"data.yaml": "train: images\nval: images\nnames: [cat]\n"},
        {"train": {"a.jpg", "b.jpg", "c.jpg"}},
    ),
    "test is val again": (
        ["images/train/a.jpg", "images/val/b.jpg"],
        {"data.yaml": "train: images/train\nval: images/val\ntest: images/val\nnames: [cat]\n"},
        {"train": {"a.jpg"}, "val": {"b.jpg"}},
    ),
    "the folder of all splits is no split": (
        ["images/train/a.jpg", "images/val/b.jpg"],
        {"data.yaml": "train: ../train/images\nval: ../valid/images\nnames: [cat]\n"},
        {"train": {"a.jpg"}, "val": {"b.jpg"}},
    ),
    "obj.data": (
        ["obj/a.jpg", "obj/b.jpg"],
        {
            "obj.data": "classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\n",
            "obj.names": "cat\n",
            "train.txt": "data/obj/a.jpg\n",
            "valid.txt": "data/obj/b.jpg\n",
        },
        {"train": {"a.jpg"}, "val": {"b.jpg"}},
    ),
    "bare lists": (
        FLAT,
        {"train.txt": "images/a.jpg\nimages/b.jpg\n", "test.txt": "images/c.jpg\n"},
        {"train": {"a.jpg", "b.jpg"}, "test": {"c.jpg"}},
    ),
    "in a folder": (
        [f"cats/{name}" for name in FLAT],
        {
            "cats/data.yaml": "train: train.txt\nval: val.txt\nnames: [cat]\n",
            "cats/train.txt": "cats/images/a.jpg\nimages/b.jpg\n",
            "cats/val.txt": "images/c.jpg\n",
        },
        {"train": {"a.jpg", "b.jpg"}, "val": {"c.jpg"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_splits(tmp_path: Path, case: str) -> None:
    images, texts, expected = CASES[case]
    source = tmp_path / "source"
    for name in images:
        _write(source / name, name.encode())
        _write(
            source / name.replace("images/", "labels/").replace(".jpg", ".txt"), b"0 .5 .5 .1 .1"
        )
    for name, text in texts.items():
        _write(source / name, text.encode())
    (tmp_path / "target").mkdir()
    found = import_folder(source, FolderSink(tmp_path / "target"))
    for kind, extension in (("images", ".jpg"), ("labels", ".txt")):
        base = tmp_path / "target" / kind
        there = {p.name: {f.name for f in p.iterdir()} for p in base.iterdir()}
        assert there == {
            split: {Path(name).stem + extension for name in names}
            for split, names in expected.items()
        }
    assert found.classes == ["cat" if "names" in str(texts) else "class_0"]


def test_images_that_no_list_has_and_lines_without_an_image_are_told(tmp_path: Path) -> None:
    for name in FLAT:
        _write(tmp_path / "source" / name, b"picture")
    _write(tmp_path / "source/train.txt", b"images/a.jpg\nimages/gone.jpg\n")
    _write(tmp_path / "source/val.txt", b"images/b.jpg\n")
    (tmp_path / "target").mkdir()
    found = import_folder(tmp_path / "source", FolderSink(tmp_path / "target"))
    assert found.num_images == {"train": 2, "val": 1, "test": 0}
    notes = "\n".join(found.notes)
    assert "'images/gone.jpg'" in notes
    assert "1 image lies in no split" in notes


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
