"""Pascal VOC folders, written by hand and looked at as raw files after the import."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from PIL import Image

from workbench import import_dataset
from workbench.datasets.formats import voc
from workbench.datasets.formats.view import FolderView
from workbench.errors import AlreadyExistsError, ImportFormatError
from workbench.persistence import Stores

CAT = ("cat", 10, 10, 30, 20)


def _image(width: int = 100, height: int = 50, orientation: int = 1, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 140)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def _annotate(root: Path, stem: str, *objects: tuple[object, ...], size: str = "100x50") -> Path:
    width, _, height = size.partition("x")
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in objects
    )
    path = root / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>elsewhere.bmp</filename>"
        f"<size><width>{width}</width><height>{height}</height></size>{items}</annotation>",
        encoding="utf-8",
    )
    return path


def _picture(root: Path, name: str, data: bytes | None = None) -> None:
    path = root / "JPEGImages" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_image() if data is None else data)


def _lists(root: Path, **names: list[str]) -> None:
    folder = root / "ImageSets" / "Main"
    folder.mkdir(parents=True)
    for split, lines in names.items():
        (folder / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines))


def _voc(root: Path, *stems: str) -> Path:
    for stem in stems:
        _annotate(root, stem, CAT)
        _picture(root, f"{stem}.jpg")
    return root


def _files(stores_folder: Path, kind: str) -> dict[str, list[str]]:
    base = stores_folder / "data" / "ds" / kind
    return {
        split: sorted(path.name for path in (base / split).iterdir())
        for split in ("train", "val", "test")
    }


def _labels(stores_folder: Path, name: str) -> str:
    [path] = (stores_folder / "data" / "ds" / "labels").glob(f"*/{name}")
    return path.read_text()


async def test_images_byte_for_byte_boxes_as_labels_and_splits_as_listed(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b", "c", "d")
    _annotate(root, "a", ("dog", 0, 0, 100, 50), ("cat", 10, 10, 30, 20))
    _lists(root, train=["a", "b"], val=["c"], test=["d"], trainval=["a", "b", "c"])

    info = await import_dataset(persistence_stores, root, "ds")

    assert info.notes == []
    assert info.classes == ["cat", "dog"]
    assert info.num_images == {"train": 2, "val": 1, "test": 1}
    described = yaml.safe_load((tmp_path / "data" / "ds" / "data.yaml").read_text())
    assert list(
        described["names"].values()
        if isinstance(described["names"], Mapping)
        else described["names"]
    ) == ["cat", "dog"]
    assert _files(tmp_path, "images") == {
        "train": ["a.jpg", "b.jpg"],
        "val": ["c.jpg"],
        "test": ["d.jpg"],
    }
    stored = tmp_path / "data" / "ds" / "images" / "train" / "a.jpg"
    assert stored.read_bytes() == (root / "JPEGImages" / "a.jpg").read_bytes()
    rows = [
        [float(word) for word in row.split()] for row in _labels(tmp_path, "a.txt").splitlines()
    ]
    assert rows == [[1, 0.5, 0.5, 1, 1], [0, 0.2, 0.3, 0.2, 0.2]]


async def test_a_box_without_area_is_left_out_and_reported_by_file_name(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    _annotate(root, "b", ("cat", 50, 30, 50, 30), CAT)

    info = await import_dataset(persistence_stores, root, "ds")

    assert info.notes[0] == (
        "1 box lies outside of its image or has no area and was left out, such as in "
        "'Annotations/b.xml', entry 1 (50, 30, 50, 30)"
    )
    assert len(_labels(tmp_path, "b.txt").splitlines()) == 1


async def test_what_is_wrong_with_one_file_leaves_the_others(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "good", "torn", "lost", "damaged")
    (root / "Annotations" / "torn.xml").write_bytes(b"<annotation><object>")
    (root / "JPEGImages" / "lost.jpg").unlink()
    _picture(root, "damaged.jpg", b"no image at all")
    _picture(root, "bare.jpg")
    _picture(root, "moving.gif", b"GIF89a")
    _annotate(root, "moving", CAT)

    info = await import_dataset(persistence_stores, root, "ds", shares={"train": 1})

    assert _files(tmp_path, "images")["train"] == ["bare.jpg", "good.jpg", "torn.jpg"]
    assert _files(tmp_path, "labels")["train"] == ["good.txt"]
    reasons = {(e.unit, e.reason): e.file for e in info.ledger.entries if e.outcome == "left"}
    assert reasons == {
        ("files", "damaged file"): "Annotations/torn.xml",
        ("annotations", "no picture"): "Annotations/moving.xml",
        ("pictures", "damaged"): "JPEGImages/damaged.jpg",
        ("pictures", "unsupported"): "JPEGImages/moving.gif",
        ("annotations", "damaged picture"): "Annotations/damaged.xml",
    }
    assert info.ledger.found == {"files": 5, "pictures": 5, "annotations": 4}


async def test_an_annotation_without_objects_is_a_reviewed_image(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    _annotate(root, "b")

    await import_dataset(persistence_stores, root, "ds")

    assert _labels(tmp_path, "b.txt") == ""


@pytest.mark.parametrize(("size", "notes"), [("0x0", 0), ("x", 0), ("999x9", 1)])
async def test_the_size_comes_from_the_image(
    tmp_path: Path, persistence_stores: Stores, size: str, notes: int
) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    _annotate(root, "a", CAT, size=size)

    info = await import_dataset(persistence_stores, root, "ds")

    assert [float(word) for word in _labels(tmp_path, "a.txt").split()] == [0, 0.2, 0.3, 0.2, 0.2]
    assert sum("another size than its annotations say" in note for note in info.notes) == notes


async def test_boxes_of_a_picture_before_its_exif_rotation_turn_with_it(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    _picture(root, "a.jpg", _image(100, 50, orientation=6))
    _picture(root, "b.jpg", _image(50, 100, orientation=6))

    info = await import_dataset(persistence_stores, root, "ds", shares={"train": 1})

    assert any("before its EXIF rotation" in note for note in info.notes)
    rows = {name: _labels(tmp_path, f"{name}.txt").split() for name in "ab"}
    assert [float(value) for value in rows["a"]] == [0, 0.7, 0.2, 0.2, 0.2]
    assert [float(value) for value in rows["b"]] == [0, 0.2, 0.3, 0.2, 0.2]


async def test_of_two_images_of_one_name_the_one_is_meant_that_the_annotation_names(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    _picture(root, "a.png", _image(kind="PNG"))
    _picture(root, "b.png", _image(kind="PNG"))
    path = root / "Annotations" / "a.xml"
    path.write_text(path.read_text().replace("elsewhere.bmp", "a.png"))

    info = await import_dataset(persistence_stores, root, "ds", shares={"train": 1})

    images = _files(tmp_path, "images")["train"]
    assert len(images) == 4
    [labelled] = _files(tmp_path, "labels")["train"]
    owner = next(n for n in images if n.rpartition(".")[0] == labelled.rpartition(".")[0])
    stored = (tmp_path / "data" / "ds" / "images" / "train" / owner).read_bytes()
    assert stored == (root / "JPEGImages" / "a.png").read_bytes()
    assert [e.reason for e in info.ledger.entries if e.outcome == "left"] == ["ambiguous"]


async def test_the_classes_asked_for_are_taken_in_their_order(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    _annotate(root, "a", ("fox", 0, 0, 9, 9), CAT, ("fox", 1, 1, 9, 9), ("dog", 0, 0, 50, 50))

    info = await import_dataset(persistence_stores, root, "ds", classes=["dog", "cat"])

    assert info.classes == ["dog", "cat"]
    assert [row.split()[0] for row in _labels(tmp_path, "a.txt").splitlines()] == ["1", "0"]
    assert info.notes[0].startswith("2 annotations were left out: their classes are not wanted")


async def test_without_lists_all_are_for_training_unless_shares_are_chosen(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", *(f"image{number}" for number in range(20)))
    info = await import_dataset(persistence_stores, root, "plain")
    assert info.num_images == {"train": 20, "val": 0, "test": 0}
    assert any("20 images lie in no split and went to train" in note for note in info.notes)

    found = {}
    shares = {"train": 0.7, "val": 0.2, "test": 0.1}
    for name, seed in (("ds", 1), ("again", 1), ("other", 2)):
        info = await import_dataset(persistence_stores, root, name, shares=shares, seed=seed)
        assert info.num_images == {"train": 14, "val": 4, "test": 2}
        assert any("at random: 0.7 to train" in n and f"seed {seed}" in n for n in info.notes)
        base = tmp_path / "data" / name / "images" / "val"
        found[name] = sorted(path.name for path in base.iterdir())

    assert found["ds"] == found["again"] != found["other"]


async def test_lists_that_disagree_keep_what_scores_are_measured_on(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a", "b", "c", "d e")
    _lists(root, train=["a", "b.jpg", "ghost"], val=["JPEGImages/b", "d e  1"], test=["a"])

    info = await import_dataset(persistence_stores, root, "ds")

    assert _files(tmp_path, "images") == {
        "train": ["c.jpg"],
        "val": ["b.jpg", "d e.jpg"],
        "test": ["a.jpg"],
    }
    assert sorted(info.notes) == [
        "1 image lies in no split and went to train, such as 'JPEGImages/c.jpg'",
        "1 name in the list train.txt without an image here: ghost",
        "2 images are in several lists: a went to test, b went to val",
    ]


async def test_a_list_of_train_and_val_together_is_dealt_out(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", *"abcdefghijk")
    _lists(root, trainval=list("abcdefghij"), test=["k"])

    info = await import_dataset(persistence_stores, root, "ds")

    assert info.num_images == {"train": 8, "val": 2, "test": 1}
    assert ["trainval.txt lists 10 images" in note for note in info.notes] == [True]


async def test_a_folder_that_cannot_be_imported_leaves_nothing(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = _voc(tmp_path / "voc", "a")
    _picture(root, "a.jpg", b"damaged")

    with pytest.raises(ImportFormatError, match="none that can be read"):
        await import_dataset(persistence_stores, root, "ds")

    assert not (tmp_path / "data" / "ds").exists()


async def test_a_name_that_is_taken_is_refused(tmp_path: Path, persistence_stores: Stores) -> None:
    root = _voc(tmp_path / "voc", "a", "b")
    await persistence_stores.dataset.create("ds", ["x"])

    with pytest.raises(AlreadyExistsError):
        await import_dataset(persistence_stores, root, "ds")


def test_detects_the_folder_and_folders_around_it(tmp_path: Path) -> None:
    root = _voc(tmp_path / "VOCdevkit" / "VOC2007", "a")
    for folder in (tmp_path, tmp_path / "VOCdevkit", root):
        with FolderView.open(folder) as view:
            assert voc.detect(view).confidence > 0.9
    (root / "Annotations" / "a.xml").write_text("<html/>")
    with FolderView.open(root) as view:
        assert voc.detect(view).confidence == 0


async def test_several_folders_come_in_together(tmp_path: Path, persistence_stores: Stores) -> None:
    _voc(tmp_path / "in" / "VOC2007", "a", "b")
    root = _voc(tmp_path / "in" / "VOC2012", "a")
    _annotate(root, "a", ("fox", 0, 0, 100, 50))

    info = await import_dataset(persistence_stores, tmp_path / "in", "ds")

    assert info.num_images["train"] == 3
    labels = sorted((tmp_path / "data" / "ds" / "labels" / "train").iterdir())
    assert sorted(path.read_text()[0] for path in labels) == ["0", "0", "1"]
