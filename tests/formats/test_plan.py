"""Imports before anything is written: what they say, what can be chosen, and what is kept out."""

from __future__ import annotations

import io
import lzma
import os
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.formats.making import (
    BOX,
    PICTURE,
    coco,
    folder,
    images,
    labels,
    picture,
    voc,
    voc_object,
)
from tests.helpers.archives import write_zip, zip_bytes
from workbench import import_dataset
from workbench.datasets.formats import reasons
from workbench.datasets.formats.ledger import Entry, Ledger
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ArchiveError, ImportFormatError, NotFoundError
from workbench.persistence import Stores

ROW = "0 0.25 0.35 0.3 0.5\n"
YOLO: dict[str, Any] = {
    "data.yaml": "train: images/train\nval: images/val\nnames: [cat, dog]\n",
    "images/train/a.jpg": PICTURE,
    "images/val/b.jpg": PICTURE,
    "labels/train/a.txt": ROW + "1 0.25 0.35 0.3 0.5\n",
    "labels/val/b.txt": "",
}


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _bytes(files: Mapping[str, Any]) -> dict[str, bytes]:
    return {n: d if isinstance(d, bytes) else d.encode() for n, d in files.items()}


async def test_a_plan_writes_nothing_and_says_what_would_come(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "pets", YOLO)
    plan = await plan_import(persistence_stores, source)
    assert await persistence_stores.dataset.list() == []
    assert (plan.name, plan.format, plan.classes) == ("pets", "yolo", ["cat", "dog"])
    assert plan.counts()["train"] == {"images": 1, "labelled": 1, "boxes": 2}
    assert plan.counts()["val"] == {"images": 1, "labelled": 1, "boxes": 0}
    assert plan.boxes_by_class() == {"cat": 1, "dog": 1}
    assert plan.to_frame().loc["train", "boxes"] == 2
    assert "2 annotations found: 2 taken" in str(plan)
    assert "train: 1 image, 1 labelled, 2 boxes\nval: 1 image, 1 labelled, 0 boxes" in str(plan)

    info = await plan.apply()

    assert labels(info) == {"train/a": [(0.0, *BOX), (1.0, *BOX)], "val/b": []}
    assert info.num_images == {"train": 1, "val": 1, "test": 0}


async def test_choices_change_the_plan(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "pets", YOLO)
    plan = await plan_import(persistence_stores, source)
    plan = await plan.choose(classes={"cat": "pet", "dog": "pet"}, splits={"val": "test"})
    assert plan.boxes_by_class() == {"pet": 2}
    info = await plan.apply("merged")
    assert labels(info) == {"train/a": [(0.0, *BOX), (0.0, *BOX)], "test/b": []}

    info = await import_dataset(persistence_stores, source, "dogs", classes=["dog"])
    assert (info.classes, labels(info)["train/a"]) == (["dog"], [(0.0, *BOX)])
    assert info.ledger.some("class left out")[0].place == 1
    for wrong in ({"clases": {}}, {"crowds": "some"}, {"splits": {"val": "valid"}}):
        with pytest.raises(ImportFormatError, match="expected"):
            await plan_import(persistence_stores, source, **wrong)
    with pytest.raises(ImportFormatError, match=r"expected COCO, found YOLO"):
        await plan_import(persistence_stores, source, format="coco")


async def test_what_changed_since_is_planned_anew(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "pets", YOLO)
    plan = await plan_import(persistence_stores, source)
    (source / "labels/train/a.txt").write_text("1 0.25 0.35 0.3 0.5\n" * 2)
    os.utime(source / "labels/train/a.txt", (1, 1))
    (source / "images/train/c.jpg").write_bytes(PICTURE)

    info = await plan.apply()

    assert labels(info)["train/a"] == [(1.0, *BOX)] * 2
    assert info.num_images["train"] == 2


async def test_an_unknown_file_beside_pictures_is_a_question(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "in" / "pets", {"a.jpg": PICTURE, "boxes.json": {"my bbox": {"a": [1, 2]}}}
    )
    plan = await plan_import(persistence_stores, source)
    assert len(plan.questions) == 1
    with pytest.raises(ImportFormatError, match=r"boxes\.json.*unknown='ignore'"):
        await plan.apply()
    assert await persistence_stores.dataset.list() == []
    info = await (await plan.choose(unknown="ignore")).apply()
    assert labels(info) == {}


@pytest.mark.parametrize("packing", ["zip", "tar", "tar.gz", "tar.xz", "tar.zst", "tar.bz2"])
async def test_archives(tmp_path: Path, persistence_stores: Stores, packing: str) -> None:
    import bz2
    import gzip

    files = {f"top/{name}": data for name, data in _bytes(YOLO).items()}
    pack = {
        "gz": gzip.compress,
        "xz": lzma.compress,
        "bz2": bz2.compress,
        "zst": zstandard.ZstdCompressor().compress,
        "tar": bytes,
    }
    source = tmp_path / f"pets.{packing}"
    if packing == "zip":
        write_zip(source, files)
    else:
        source.write_bytes(pack[packing.rpartition(".")[2]](_tar(files)))
    info = await import_dataset(persistence_stores, source)
    assert (info.name, labels(info)["train/a"]) == ("pets", [(0.0, *BOX), (1.0, *BOX)])


async def test_archives_inside_archives(tmp_path: Path, persistence_stores: Stores) -> None:
    pictures = {"train2017/a.jpg": PICTURE}
    files = {
        "train2017.zip": zip_bytes(list(pictures.items())),
        "annotations.tar": _tar(
            {"instances_train2017.json": _json(coco({"bbox": [20, 10, 60, 50]}))}
        ),
    }
    folder(tmp_path / "in", files)
    write_zip(tmp_path / "all.zip", files)
    for source in (tmp_path / "in", tmp_path / "all.zip"):
        info = await import_dataset(persistence_stores, source)
        assert labels(info) == {"train/a": [(0.0, *BOX)]}


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


@pytest.mark.parametrize("kind", ["link", "up", "bomb", "cut", "twice"])
async def test_hostile_tars_are_refused(
    tmp_path: Path, persistence_stores: Stores, kind: str
) -> None:
    import gzip

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("../a.jpg" if kind == "up" else "a.jpg")
        if kind == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        data = b"\0" * 300_000_000 if kind == "bomb" else PICTURE
        info.size = 0 if kind == "link" else len(data)
        archive.addfile(info, io.BytesIO(data))
        if kind == "twice":
            info.name = "A.JPG"
            archive.addfile(info, io.BytesIO(data))
    packed = gzip.compress(buffer.getvalue(), 1)
    (tmp_path / "x.tar.gz").write_bytes(packed[: len(packed) // 2] if kind == "cut" else packed)
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("workbench-import-*"))
    with pytest.raises(ArchiveError, match=r"x\.tar\.gz"):
        await import_dataset(persistence_stores, tmp_path / "x.tar.gz")
    assert await persistence_stores.dataset.list() == []
    after = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("workbench-import-*"))
    assert after <= before


async def test_pointing_at_the_annotation_file(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(
        tmp_path / "in" / "pets",
        {
            "annotations/instances_val.json": coco({"bbox": [20, 10, 60, 50]}),
            "annotations/instances_train.json": coco({"bbox": [0, 0, 60, 50]}),
            "images/a.jpg": PICTURE,
        },
    )
    info = await import_dataset(persistence_stores, source / "annotations/instances_val.json", "ds")
    assert labels(info) == {"val/a": [(0.0, *BOX)]}
    yolo = folder(tmp_path / "in" / "yolo", YOLO)
    info = await import_dataset(persistence_stores, yolo / "data.yaml")
    assert (info.name, len(labels(info))) == ("yolo", 2)
    (yolo / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ImportFormatError, match=r"other\.csv.*none of them"):
        await import_dataset(persistence_stores, yolo / "other.csv", "no")


async def test_an_annotation_file_from_a_browser_finds_no_pictures_of_others(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder(tmp_path, {"others/a.jpg": PICTURE, "sent/boxes.json": coco({"bbox": [1, 2, 3, 4]})})
    with pytest.raises(ArchiveError, match="found none"):
        await plan_import(persistence_stores, tmp_path / "sent" / "boxes.json")
    folder(tmp_path / "mine", {"b/a.jpg": PICTURE, "c/boxes.json": coco({"bbox": [1, 2, 3, 4]})})
    plan = await plan_import(persistence_stores, tmp_path / "mine" / "c" / "boxes.json")
    assert plan.ledger.taken["annotations"] == 1


async def test_pictures_that_are_none_are_told(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(
        tmp_path / "in" / "pets",
        {
            "a.jpg": PICTURE,
            "a.xml": voc(voc_object()),
            "empty.jpg": b"",
            "page.jpg": b"<!DOCTYPE html><html>404</html>",
            "moving.gif": b"GIF89a",
        },
    )
    info = await import_dataset(persistence_stores, source)
    assert images(info) == ["train/a.jpg"]
    left = {e.file: e.reason for e in info.ledger.entries if e.outcome == "left"}
    assert left == {
        "empty.jpg": "damaged",
        "page.jpg": "no picture inside",
        "moving.gif": "unsupported",
    }


async def test_lists_of_addresses_and_tfrecords_are_refused_with_a_way_out(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    urls = folder(tmp_path / "urls", {"list.txt": "https://x.org/a.jpg\nhttps://x.org/b.jpg\n"})
    with pytest.raises(ImportFormatError, match="fetches nothing"):
        await import_dataset(persistence_stores, urls)
    records = folder(tmp_path / "records", {"train.tfrecord": b"\x10\0\0\0"})
    with pytest.raises(ImportFormatError, match=r"TFRecord.*COCO or YOLO"):
        await import_dataset(persistence_stores, records)
    tables = folder(
        tmp_path / "hub", {"data/train-00000-of-00001.parquet": b"PAR1", "README.md": "x"}
    )
    with pytest.raises(ImportFormatError, match=r"Parquet.*COCO or YOLO"):
        await import_dataset(persistence_stores, tables)


async def test_masks_under_the_names_of_pictures_are_no_pictures(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "in" / "pets",
        {
            "JPEGImages/a.jpg": PICTURE,
            "SegmentationClass/a.png": picture(),
            "Annotations/a.xml": voc(voc_object()),
        },
    )
    info = await import_dataset(persistence_stores, source)
    assert images(info) == ["train/a.jpg"]
    assert info.ledger.some("masks of other pictures")[0].file == "SegmentationClass/a.png"


@pytest.mark.parametrize(
    ("folders", "wanted", "shared"),
    [
        (("images", "masks"), ["train/a.jpg"], 0),
        (("photos", "depth"), ["train/a.jpg"], 0),
        (("cats", "cats_mask"), ["train/a.jpg"], 0),
        # One label file for what two cameras saw.
        (("visible", "infrared"), ["train/infrared_a.jpg", "train/visible_a.jpg"], 1),
    ],
)
async def test_a_label_file_is_of_the_photograph_and_not_of_its_mask(
    folders: tuple[str, str],
    wanted: list[str],
    shared: int,
    tmp_path: Path,
    persistence_stores: Stores,
) -> None:
    files = {
        f"{name}/a.jpg": picture(width) for name, width in zip(folders, (200, 201), strict=True)
    }
    source = folder(
        tmp_path / "in" / "pets",
        {**files, "labels/a.txt": "0 0.25 0.35 0.3 0.5\n", "classes.txt": "cat\n"},
    )
    info = await import_dataset(persistence_stores, source)
    assert sorted(images(info)) == sorted(wanted)
    assert sorted(labels(info)) == sorted(name.removesuffix(".jpg") for name in wanted)
    assert len(info.ledger.some("shared labels")) == shared
    assert info.ledger.found["annotations"] == len(wanted)


async def test_masks_beside_pictures_are_no_pictures(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {f"train/{name}": PICTURE for name in ("a.jpg", "a_mask.png", "b_mask.png", "mask.png")}
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "pets", files))
    assert images(info) == ["train/a.jpg", "train/b_mask.png", "train/mask.png"]
    assert [e.file for e in info.ledger.some("masks beside pictures")] == ["train/a_mask.png"]


async def test_our_own_files_come_along(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "pets", YOLO | {".workbench/prompts.json": {"0": ["a cat"]}})
    await import_dataset(persistence_stores, source)
    assert await persistence_stores.dataset.get_prompts("pets") == {0: ["a cat"]}
    newer = folder(
        tmp_path / "in" / "newer",
        YOLO | {".workbench/dataset.json": {"format": 99, "created_at": "2026-01-01T00:00+00:00"}},
    )
    with pytest.raises(ArchiveError, match="format 99"):
        await import_dataset(persistence_stores, newer)
    assert not await persistence_stores.dataset.exists("newer")


def test_an_account_that_does_not_add_up_stops_the_import() -> None:
    ledger = Ledger("x")
    ledger.found["annotations"] = 2
    ledger.taken["annotations"] = 1
    with pytest.raises(AssertionError, match="2 annotations found, 1 taken and 0 left"):
        ledger.check()
    ledger.add(Entry("annotations", "left", "crowds", "x.json", 2))
    ledger.check()
    again = Ledger.from_json(ledger.to_json())
    assert again == ledger
    assert ledger.to_frame()["place"].tolist() == [2]
    assert ledger.summary()["count"].sum() == 3
    with pytest.raises(ValueError, match="account"):
        Ledger.from_json({"format": 1})


async def test_a_file_of_bytes_that_is_called_a_text_stops_nothing(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "pets", YOLO | {"gt.txt": b"\0\x80", "x.csv": b"\0\x80"})
    info = await import_dataset(persistence_stores, source)
    assert labels(info)["train/a"] == [(0.0, *BOX), (1.0, *BOX)]


async def test_the_plan_names_the_classes_splits_and_pairs_of_the_source(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in", YOLO)
    chosen: dict[str, Any] = {"classes": {"cat": "kitten", "dog": None}, "splits": {"val": "test"}}
    plan = await plan_import(persistence_stores, source, **chosen)
    assert plan.source_classes == {"cat": 1, "dog": 1}
    assert plan.classes == ["kitten"]
    assert plan.source_splits()["val"] == {"images": 1, "labelled": 1, "boxes": 0}
    assert plan.counts()["test"] == {"images": 1, "labelled": 1, "boxes": 0}
    assert plan.pairing == {"name and folder": 2}
    assert plan.ledger.by_split["pictures", "test"] == 1
    assert plan.ledger.by_split["annotations", "train"] == 1
    plan.close()


@pytest.mark.parametrize(
    ("clashes", "kept"),
    [
        ("rename", {"train/a.jpg": 60, "train/val_a.jpg": 50, "train/b.jpg": 70}),
        ("skip", {"train/a.jpg": 60, "train/b.jpg": 70}),
        ("replace", {"train/a.jpg": 50, "train/b.jpg": 70}),
    ],
)
async def test_two_pictures_of_one_name(
    tmp_path: Path, persistence_stores: Stores, clashes: str, kept: dict[str, int]
) -> None:
    source = folder(
        tmp_path / "in",
        {
            "images/train/a.jpg": picture(60, 40),
            "labels/train/a.txt": ROW,
            "images/train/b.jpg": picture(70, 40),
            "images/val/a.jpg": picture(50, 40),
            "labels/val/a.txt": ROW * 2,
            "classes.txt": "cat\n",
        },
    )
    info = await import_dataset(
        persistence_stores, source, "pets", clashes=clashes, splits={"val": "train"}
    )
    sizes = {name: (info.path / "images" / name).read_bytes() for name in images(info)}
    assert sizes == {name: picture(width, 40) for name, width in kept.items()}
    left = info.ledger.left("pictures"), info.ledger.left("annotations")
    assert left == {"rename": (0, 0), "skip": (1, 2), "replace": (1, 1)}[clashes]


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        ({"kitty": "cat"}, "no class 'kitty'.*cat, dog"),
        ({"cat": 5}, "expected names, found 5"),
        ({5: "cat"}, "expected names, found 5"),
        (["cat", None, 3], "expected names, found 3"),
        ("cat", "found the text 'cat'"),
    ],
)
async def test_a_slip_in_the_classes_is_told(
    tmp_path: Path, persistence_stores: Stores, classes: Any, found: str
) -> None:
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", YOLO))
    with pytest.raises(ImportFormatError, match=found):
        await plan.choose(classes=classes)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jpg", PICTURE, "found a picture; import the folder that it lies in"),
        ("a.heic", b"....ftypheic", "found a picture"),
        ("a.py", b"print('hello')\n", "found a file that is none of them"),
        ("a.zip", b"hello world, hello world", "found a file that is none"),
        ("b", b"", "found a file that is none of them"),
    ],
)
async def test_a_file_that_is_nothing_to_import_is_told_in_words(
    tmp_path: Path, persistence_stores: Stores, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArchiveError, match=told) as refusal:
        await plan_import(persistence_stores, tmp_path / name)
    assert "b'" not in str(refusal.value)
    assert "\\x" not in str(refusal.value)


async def test_a_path_that_leads_nowhere_is_told_with_what_is_near(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    folder(tmp_path / "exports", {"pets.zip": b"PK", ".pets": b""})
    for wrong, near in (
        ("exports/pest.zip", "did you mean .*exports/pets.zip"),
        ("export/pets.zip", "did you mean .*/exports"),
        ("exports/kangaroo", "exports is there, and has nothing that is called like 'kangaroo'"),
    ):
        with pytest.raises(NotFoundError, match=near):
            await plan_import(persistence_stores, tmp_path / wrong)


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ("<annotation><object>", "its end before its last tag is closed"),
        ("<annotation><object></annotation>", "a closing tag that is not that"),
        ("<annotation><object a></object></annotation>", "a character that may not stand there"),
        ("<annotation/><object/>", "more behind its end"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "encoding 'klingon'"),
        ('<?xml version="1.0" encoding="gb2312"?><annotation>\x80</annotation>', "'gb2312'"),
    ],
)
async def test_damaged_xml_is_told_in_words(
    tmp_path: Path, persistence_stores: Stores, xml: str, told: str
) -> None:
    files = {"a.jpg": PICTURE, "b.jpg": PICTURE, "b.xml": voc(voc_object())}
    source = folder(tmp_path / "in", {**files, "a.xml": xml.encode("latin-1")})
    plan = await plan_import(persistence_stores, source)
    [entry] = plan.ledger.some("damaged file")
    assert re.search(told, entry.detail)
    assert not re.search(r"codec|Error|not well-formed|Exception", entry.detail)


async def test_a_choice_of_splits_that_is_none_is_told_with_one_that_is(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", YOLO))
    with pytest.raises(ImportFormatError, match=r"such as \{'test': 'val'\}.*found 'valid'"):
        await plan.choose(splits={"test": "valid"})


@pytest.mark.parametrize("reason", reasons.SENTENCES)
def test_of_one_thing_no_sentence_speaks_as_of_many(reason: str) -> None:
    one = reasons.sentence_of(reason, 1, "pictures", "'x'")
    head = one.partition(": ")[0].partition(", such as")[0].partition(" because ")[0]
    assert one.startswith("1 ")
    assert not re.search(r"^1 \w*(?:s|es) (?:are|were|have)\b|\bthey\b|<|\|", head), one
    assert not re.search(r"\btheir\b", one.partition(" because ")[0]), one


async def test_classes_that_differ_in_case_are_named_until_they_are_merged(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "pets",
        {"a.jpg": PICTURE, "a.xml": voc(voc_object("cat") + voc_object("Cat"))},
    )
    note = "the classes Cat, cat differ in upper and lower case only"
    plan = await plan_import(persistence_stores, source)
    assert note in str(plan)
    assert note not in str(await plan.choose(classes={"Cat": "cat"}))
