"""Public kinds of trouble, made small: what other importers lose, Workbench reads or names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import (
    BOX,
    PICTURE,
    coco,
    folder,
    images,
    labels,
    mask,
    picture,
    voc,
    voc_object,
)
from workbench import import_dataset
from workbench.persistence import Stores

ONE = [(0.0, *BOX)]
YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\n"
ROW = "0 0.25 0.35 0.3 0.5\n"


def _yolo(text: bytes | str, yaml: str = YAML) -> dict[str, Any]:
    return {
        "data.yaml": yaml,
        "images/train/a.jpg": PICTURE,
        "images/train/b.jpg": PICTURE,
        "labels/train/a.txt": text,
        "labels/train/b.txt": ROW,
    }


_RESULT = {"info": {"contributor": "Label Studio"}}

# name of the case: files, label rows by image, classes, reasons in the account
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], set[str]]] = {
    "VOC in a folder called annots": (
        {"images/a.jpg": PICTURE, "annots/a.xml": voc(voc_object())},
        {"train/a": ONE},
        ["roo"],
        {"no split"},
    ),
    "VOC with the splits below": (
        {
            f"{kind}/{split}/a{split}.{end}": data
            for split in ("train", "val")
            for kind, end, data in (
                ("images", "jpg", PICTURE),
                ("annotations", "xml", voc(voc_object())),
            )
        },
        {"train/atrain": ONE, "val/aval": ONE},
        ["roo"],
        set(),
    ),
    "VOC in labels": (
        {"images/a.jpg": PICTURE, "labels/a.xml": voc(voc_object())},
        {"train/a": ONE},
        ["roo"],
        {"no split"},
    ),
    "VOC, deep, under one stem in two folders": (
        {
            "x/cam1/pics/a.jpg": PICTURE,
            "x/cam2/pics/a.jpg": PICTURE,
            "y/cam1/boxes/a.xml": voc(voc_object("one")),
            "y/cam2/boxes/a.xml": voc(voc_object("two")),
        },
        {"train/cam1_pics_a": ONE, "train/cam2_pics_a": [(1.0, *BOX)]},
        ["one", "two"],
        {"no split"},
    ),
    "roLabelImg": (
        {
            "a.jpg": PICTURE,
            "a.xml": voc(
                "<object><type>robndbox</type><name>ship</name><robndbox><cx>50</cx><cy>40</cy>"
                "<w>40</w><h>20</h><angle>0.5</angle></robndbox></object>"
            ),
        },
        {"train/a": [(0.0, 0.25, 0.4, 0.22346, 0.36729)]},
        ["ship"],
        {"no split", "rotated"},
    ),
    "VOC polygon": (
        {
            "a.jpg": PICTURE,
            "a.xml": voc(
                "<object><name>tree</name><polygon><x1>20</x1><y1>10</y1><x2>80</x2><y2>20</y2>"
                "<x3>60</x3><y3>60</y3></polygon></object>"
            ),
        },
        {"train/a": ONE},
        ["tree"],
        {"no split", "outlines"},
    ),
    "VOC whose only object cannot be read": (
        {"a.jpg": PICTURE, "a.xml": voc("<object><name>tree</name></object>")},
        {},
        [],
        {"no split", "unreadable", "all annotations left"},
    ),
    "VOC of the picture before its EXIF rotation": (
        {"a.jpg": picture(orientation=6), "a.xml": voc(voc_object())},
        {"train/a": [(0.0, 0.65, 0.25, 0.5, 0.3)]},
        ["roo"],
        {"no split", "turned"},
    ),
    "VOC without lists": (
        {
            **{f"JPEGImages/{n}.jpg": PICTURE for n in "ab"},
            **{f"Annotations/{n}.xml": voc(voc_object(), (0, 0)) for n in "ab"},
        },
        {"train/a": ONE, "train/b": ONE},
        ["roo"],
        {"no split"},
    ),
    "COCO of crowds only": (
        {
            "a.jpg": PICTURE,
            "instances_default.json": coco(
                {"bbox": [20, 10, 60, 50], "iscrowd": 1, "segmentation": mask()}
            ),
        },
        {"train/a": ONE},
        ["cat"],
        {"no split", "crowds taken"},
    ),
    "COCO with a crowd beside boxes of another picture": (
        {
            "a.jpg": PICTURE,
            "b.jpg": PICTURE,
            "instances_default.json": coco(
                {"bbox": [20, 10, 60, 50], "iscrowd": 1},
                {"bbox": [20, 10, 60, 50], "image_id": 2},
                names=("a.jpg", "b.jpg"),
            ),
        },
        {"train/b": ONE},
        ["cat"],
        {"no split", "crowds", "all annotations left"},
    ),
    "COCO masks without boxes": (
        {"a.jpg": PICTURE, "instances_default.json": coco({"segmentation": mask()})},
        {"train/a": ONE},
        ["cat"],
        {"no split", "masks"},
    ),
    "Label Studio, a turned picture with its stored size and boxes as shown": (
        {
            "images/a.jpg": picture(orientation=6),
            "result.json": coco({"bbox": [10, 120, 60, 60]}, names=("images/a.jpg",)),
        },
        {"train/a": [(0.0, 0.4, 0.75, 0.6, 0.3)]},
        ["cat"],
        {"no split", "as shown"},
    ),
    "Label Studio, where the box fits both": (
        {
            "images/a.jpg": picture(orientation=6),
            "result.json": coco({"bbox": [10, 20, 40, 30]}, names=("images/a.jpg",), **_RESULT),
        },
        {"train/a": [(0.0, 0.3, 0.175, 0.4, 0.15)]},
        ["cat"],
        {"no split", "as shown"},
    ),
    "one turned picture tells for the others of its file": (
        {
            **{f"images/{n}.jpg": picture(orientation=6) for n in "ab"},
            "any.json": coco(
                {"bbox": [10, 120, 60, 60]},
                {"bbox": [10, 20, 40, 30], "image_id": 2},
                names=("images/a.jpg", "images/b.jpg"),
            ),
        },
        {
            "train/a": [(0.0, 0.4, 0.75, 0.6, 0.3)],
            "train/b": [(0.0, 0.3, 0.175, 0.4, 0.15)],
        },
        ["cat"],
        {"no split", "as shown"},
    ),
    "COCO in fractions": (
        {"a.jpg": PICTURE, "instances_default.json": coco({"bbox": [0.1, 0.1, 0.3, 0.5]})},
        {"train/a": ONE},
        ["cat"],
        {"no split", "fractions for pixels"},
    ),
    "COCO of a picture of another size": (
        {"a.jpg": picture(100, 50), "instances_default.json": coco({"bbox": [20, 10, 60, 50]})},
        {"train/a": ONE},
        ["cat"],
        {"no split", "rescaled"},
    ),
    "COCO beside a few YOLO files": (
        {
            "annotations/instances_default.json": coco(
                {"bbox": [20, 10, 60, 50]},
                {"bbox": [20, 10, 60, 50], "image_id": 2},
                names=("a.jpg", "b.jpg"),
            ),
            "annotations.xml": "<annotations/>",
            "images/a.jpg": PICTURE,
            "images/b.jpg": PICTURE,
            "labels/a.txt": ROW,
            "train.txt": "images/a.jpg\n",
        },
        {"train/a": ONE, "train/b": ONE},
        ["cat"],
        {"no split", "another format", "other file"},
    ),
    "Darknet's JPEGImages": (
        {"JPEGImages/a.jpg": PICTURE, "labels/a.txt": ROW, "voc.names": "cat\n"},
        {"train/a": ONE},
        ["cat"],
        {"no split"},
    ),
    "Roboflow's _darknet.labels": (
        {
            f"{split}/{name}": data
            for split in ("train", "valid")
            for name, data in (
                (f"a{split}.jpg", PICTURE),
                (f"a{split}.txt", ROW),
                ("_darknet.labels", "cat\ndog"),
            )
        },
        {"train/atrain": ONE, "val/avalid": ONE},
        ["cat", "dog"],
        set(),
    ),
    "Label Studio's notes.json": (
        {
            "images/a.jpg": PICTURE,
            "labels/a.txt": "1 0.25 0.35 0.3 0.5\n",
            "notes.json": {"categories": [{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]},
        },
        {"train/a": [(1.0, *BOX)]},
        ["cat", "dog"],
        {"no split"},
    ),
    "class names in UTF-16": (
        {"a.jpg": PICTURE, "a.txt": ROW, "classes.txt": "Käfer\r\n".encode("utf-16")},
        {"train/a": ONE},
        ["Käfer"],
        {"no split"},
    ),
    "YOLO with class names in rows": (
        _yolo("cat 0.25 0.35 0.3 0.5\n"),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"class names in rows"},
    ),
    "YOLO with commas": (
        _yolo("0,0.25,0.35,0.3,0.5\n"),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"commas"},
    ),
    "YOLO with decimal commas": (
        _yolo("0 0,25 0,35 0,3 0,5\n"),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"commas"},
    ),
    "YOLO in UTF-16": (
        _yolo(ROW.replace("\n", "\r\n").encode("utf-16")),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"other encoding"},
    ),
    "YOLO in pixels": (
        _yolo("0 50 35 60 50\n"),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"pixels for fractions"},
    ),
    "YOLO with one bad row": (
        _yolo("0 0.25 0.35 0 0.5\n" + ROW + "0 0.1 0.1\n0 0.1 0.1 nan 0.1\n"),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"unreadable", "outside"},
    ),
    "YOLO with bad rows only": (
        _yolo("0 0.25 0.35 0 0.5\n"),
        {"train/b": ONE},
        ["cat", "dog"],
        {"outside", "all annotations left"},
    ),
    "YOLO with keypoints that nobody announced": (
        _yolo("0 0.25 0.35 0.3 0.5 0.2 0.2 2 0.3 0.3 2\n"),
        {"train/a": ONE, "train/b": ONE},
        ["cat", "dog"],
        {"keypoints without a shape"},
    ),
    "YOLO with an empty file, which says that there is nothing": (
        _yolo(""),
        {"train/a": [], "train/b": ONE},
        ["cat", "dog"],
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_cases(tmp_path: Path, persistence_stores: Stores, case: str) -> None:
    files, rows, classes, reasons = CASES[case]
    source = folder(tmp_path / "in" / "ds", files)

    info = await import_dataset(persistence_stores, source)

    assert labels(info) == rows
    assert info.classes == classes
    pictures = [name for name in files if name.endswith(".jpg")]
    assert len(images(info)) == len(pictures)
    assert {entry.reason for entry in info.ledger.entries} == reasons
    for unit in ("files", "pictures", "annotations"):
        assert info.ledger.found[unit] == info.ledger.taken[unit] + info.ledger.left(unit)
    assert info.ledger.taken["annotations"] == sum(map(len, rows.values()))


async def test_rows_that_are_more_than_a_box_stay_byte_for_byte(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    text = "0 0.25 0.35 0.3 0.5\r\n1 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\r\n0 .5 .5 .1 .1 0.9\r\n"
    source = folder(tmp_path / "in" / "ds", _yolo(text))
    info = await import_dataset(persistence_stores, source)
    assert (info.path / "labels/train/a.txt").read_bytes() == text.encode()
    assert {entry.reason for entry in info.ledger.entries} == {"rows kept"}


async def test_a_file_of_two_formats_beside_each_other_can_be_chosen(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = CASES["COCO beside a few YOLO files"][0]
    source = folder(tmp_path / "in" / "ds", files)
    info = await import_dataset(persistence_stores, source, format="yolo")
    assert labels(info) == {"train/a": ONE}
    assert info.classes == ["class_0"]
