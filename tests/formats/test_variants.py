"""Variants of the kinds of trouble in test_cases: other encodings, folders, names and shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, labels, voc, voc_object
from workbench import import_dataset
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ImportFormatError
from workbench.persistence import Stores

ROW = "0 0.25 0.35 0.3 0.5\n"
ONE = {"train/a": [(0.0, *BOX)]}
TWO = {**ONE, "val/b": [(0.0, *BOX)]}
CAT = {"classes.txt": "cat\n"}
VOC = voc(voc_object("cat"))
COCO = {"bbox": [20, 10, 60, 50]}


def _rows(data: bytes) -> dict[str, Any]:
    return {**CAT, "images/a.jpg": PICTURE, "labels/a.txt": data}


def _halves(images: str, labels: str) -> dict[str, Any]:
    """A picture called a in train, and another one of that name in val."""
    return {
        "classes.txt": "cat\ndog\n",
        **{images.format(split) + "/a.jpg": PICTURE for split in ("train", "val")},
        **{
            labels.format(split) + "/a.txt": f"{number} 0.25 0.35 0.3 0.5\n"
            for number, split in enumerate(("train", "val"))
        },
    }


def _named(name: str, **more: Any) -> dict[str, Any]:
    return {"images/a.jpg": PICTURE, "x.json": coco(COCO, names=(name,), **more)}


def _task(**more: Any) -> dict[str, Any]:
    """A task of Label Studio whose box is turned by 90 degrees about its upper left corner."""
    value = {"x": 40, "y": 10, "width": 25, "height": 60, "rotation": 90}
    result = {"original_width": 200, "original_height": 100, "type": "rectanglelabels",
              "value": {**value, "rectanglelabels": ["cat"]}}  # fmt: skip
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": [result]}], **more}
    return {"a.jpg": PICTURE, "tasks.json": [task]}


_SPLIT_AS = {"train/a": [(0.0, *BOX)], "val/a": [(1.0, *BOX)]}

# name: files, rows by picture
KINDS: dict[str, tuple[dict[str, Any], dict[str, list[tuple[float, ...]]]]] = {
    "UTF-16 without a mark": (_rows(ROW.encode("utf-16-le")), ONE),
    "UTF-16, the other way round": (_rows(ROW.encode("utf-16-be")), ONE),
    "UTF-32": (_rows(ROW.encode("utf-32")), ONE),
    "COCO in UTF-16 without a mark": (
        {"a.jpg": PICTURE, "x.json": str(coco(COCO)).replace("'", '"').encode("utf-16-le")},
        ONE,
    ),
    "XML in an encoding that it does not declare": (
        {"a.jpg": PICTURE, "a.xml": VOC.replace(b"cat", b"k\xe4fer")},
        ONE,
    ),
    "XML that declares an encoding which it is not in": (
        {"a.jpg": PICTURE, "a.xml": b'<?xml version="1.0" encoding="utf-16"?>' + VOC},
        ONE,
    ),
    "corners without an element of their own": (
        {
            "a.jpg": PICTURE,
            "a.xml": VOC.replace(b"<bndbox>", b"").replace(b"</bndbox>", b""),
        },
        ONE,
    ),
    "train_images beside train_labels": (_halves("{}_images", "{}_labels"), _SPLIT_AS),
    "images-train beside labels-train": (_halves("images-{}", "labels-{}"), _SPLIT_AS),
    "a split called dev": (
        {
            **CAT,
            **{f"images/{s}/{n}.jpg": PICTURE for s, n in (("train", "a"), ("dev", "b"))},
            **{f"labels/{s}/{n}.txt": ROW for s, n in (("train", "a"), ("dev", "b"))},
        },
        TWO,
    ),
    "COCO that has addresses in place of names": (
        {
            "a.jpg": PICTURE,
            "x.json": {
                **coco(COCO),
                "images": [{"id": 1, "coco_url": "http://x/y/a.jpg", "width": 200, "height": 100}],
            },
        },
        ONE,
    ),
    "COCO with the address of a file that Label Studio served": (
        _named("/data/local-files/?d=pictures/a.jpg"),
        ONE,
    ),
    "Label Studio, turned in a picture that is not square": (_task(), ONE),
    "Label Studio, whose picture was uploaded": (
        _task(data={"image": "data:image/jpeg;base64,xx"}, file_upload="1f3c9a2b-a.jpg"),
        ONE,
    ),
}

_RECT = '"{""name"":""rect"",""x"":20,""y"":10,""width"":60,""height"":50}"'
_CLASS = '"{""class"":""cat""}"'
_TABLES = {
    "the class before the box": "a.jpg,cat,20,10,80,60\n",
    "sizes before the class": "a.jpg,200,100,cat,20,10,80,60\n",
    "no class but its id": "a.jpg,20,10,80,60,0\n",
    "what makesense.ai writes": "cat,20,10,60,50,a.jpg,200,100\n",
    "two corners of AutoML": "TRAIN,gs://b/a.jpg,cat,0.1,0.1,,,0.4,0.6,,\n",
    "four corners of AutoML": "TRAIN,gs://b/a.jpg,cat,.1,.1,.4,.1,.4,.6,.1,.6\n",
    "spaces between": 'a.jpg 20 10 80 60 0 "cat"\n',
    "bars between": "a.jpg|20|10|80|60|cat\n",
    "sides in place of a second corner": "a.jpg,120,40,60,50,cat\na.jpg,20,10,60,50,cat\n",
    "what VIA writes": (
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        f"region_attributes\na.jpg,1,{{}},1,0,{_RECT},{_CLASS}\n"
    ),
    "columns called Roi": "Filename;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\na.jpg;20;10;80;60;0\n",
}
KINDS |= {
    f"a table with {kind}": (
        {**CAT, "a.jpg": PICTURE, "boxes.csv": text},
        {"train/a": [(0.0, 0.75, 0.65, 0.3, 0.5), (0.0, *BOX)]} if "sides" in kind else ONE,
    )
    for kind, text in _TABLES.items()
}


def _frames(names: list[str], boxes: str) -> dict[str, Any]:
    return {
        **{f"images/{name}.jpg": PICTURE for name in names},
        "annotations.xml": f'<annotations><track id="3" label="cat">{boxes}</track></annotations>',
    }


def _shape(frame: int, left: int = 20, outside: int = 0) -> str:
    return (
        f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="1" xtl="{left}" ytl="10"'
        f' xbr="{left + 60}" ybr="60"/>'
    )


KINDS |= {
    "a table that is called .txt": (
        {"a.jpg": PICTURE, "boxes.txt": "filename\tclass\txmin\tymin\txmax\tymax\n"
         "a.jpg\tcat\t20\t10\t80\t60\n"},
        ONE,
    ),
    "keras-yolo with names of classes": (
        {"a.jpg": PICTURE, "t.txt": "a.jpg 20,10,80,60,cat\n"},
        ONE,
    ),
    "keras-yolo with a list of classes elsewhere": (
        {"a.jpg": PICTURE, "t.txt": "a.jpg 20,10,80,60,0\n", "data/classes/coco.names": "cat\n"},
        ONE,
    ),
    "CVAT, frames of a video under other names": (
        _frames(["0000", "0001"], _shape(0) + _shape(1)),
        {"train/0000": [(0.0, *BOX)], "train/0001": [(0.0, *BOX)]},
    ),
    "CVAT, frames between those that are written down": (
        _frames(
            ["frame_000000", "frame_000001", "frame_000004", "frame_000006"],
            _shape(0) + _shape(4, 60) + _shape(6, 60, 1),
        ),
        {
            "train/frame_000000": [(0.0, *BOX)],
            "train/frame_000001": [(0.0, 0.3, 0.35, 0.3, 0.5)],
            "train/frame_000004": [(0.0, 0.45, 0.35, 0.3, 0.5)],
        },
    ),
}  # fmt: skip
_LISTED = {
    **{f"images/{name}.jpg": PICTURE for name in "ab"},
    **{f"labels/{name}.txt": ROW for name in "ab"},
    **CAT,
}
KINDS |= {
    f"lists of splits with {kind}": ({**_LISTED, **lists}, TWO)
    for kind, lists in {
        "stems": {"train.txt": "a\n", "val.txt": "b\n"},
        "names without folders": {"train.txt": "a.jpg\n", "val.txt": "b.jpg\n"},
        "labels behind": {
            "train.txt": "images/a.jpg labels/a.txt\n",
            "val.txt": "images/b.jpg labels/b.txt\n",
        },
        "stems, in ImageSets": {"ImageSets/Main/train.txt": "a", "ImageSets/Main/val.txt": "b"},
    }.items()
}
KINDS |= {
    "lists of splits beside VOC": (
        {
            **{f"JPEGImages/{name}.jpg": PICTURE for name in "ab"},
            **{f"Annotations/{name}.xml": VOC for name in "ab"},
            "train.txt": "./JPEGImages/a.jpg ./Annotations/a.xml\n",
            "valid.txt": "./JPEGImages/b.jpg ./Annotations/b.xml\n",
        },
        TWO,
    ),
    "ImageSets of KITTI, whose folders say training": (
        {
            **{f"training/image_2/{name}.jpg": PICTURE for name in "ab"},
            **{
                f"training/label_2/{name}.txt": "cat 0 0 0 20 10 80 60 0 0 0 0 0 0 0\n"
                for name in "ab"
            },
            "ImageSets/train.txt": "a\n",
            "ImageSets/val.txt": "b\n",
        },
        TWO,
    ),
    "polygons in pixels": (_rows(b"0 20 10 80 10 80 60 20 60\n"), ONE),
    "polygons with names of classes": (
        _rows(b"cat 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\n"),
        {"train/a": [(0.0, 0.1, 0.1, 0.4, 0.1, 0.4, 0.6, 0.1, 0.6)]},
    ),
    "names of classes that end with a number": (
        {**_rows(b"Truck 2 0.25 0.35 0.3 0.5\n"), "classes.txt": "truck 1\ntruck 2\n"},
        {"train/a": [(1.0, *BOX)]},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_comes_out_right(kind: str, tmp_path: Path, persistence_stores: Stores) -> None:
    files, rows = KINDS[kind]
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert labels(info) == rows
    assert info.ledger.left("annotations") == 0


async def test_a_coco_file_whose_images_have_no_names_is_told(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "set", {"a.jpg": PICTURE, "x.json": {**coco(COCO), "images": [{"id": 1}]}}
    )
    with pytest.raises(ImportFormatError, match=r"x\.json: expected the pictures"):
        await import_dataset(persistence_stores, source)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "cat\ndog\n"),
        ("data/class_names.txt", "cat\ndog\n"),
        ("labelmap.txt", "cat\ndog\n"),
        ("classes.csv", "cat\ndog\n"),
        ("classes.txt", "1 cat\n2 dog\n"),
        ("classes.json", '{"0": "cat", "1": "dog"}'),
        ("classes.json", '["cat", "dog"]'),
        ("classes.json", '{"dog": 1, "cat": 0}'),
        ("map.pbtxt", "item {\n id: 2\n name: 'dog'\n}\nitem {\n id: 1\n name: \"cat\"\n}\n"),
        ("data.yaml", "names: cat, dog\n"),
        ("data.yaml", "names: |\n  cat\n  dog\n"),
    ],
)
async def test_class_lists_wherever_they_are(
    name: str, text: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"images/a.jpg": PICTURE, "labels/a.txt": "1 0.25 0.35 0.3 0.5\n", name: text}
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert info.classes == ["cat", "dog"]
    assert labels(info) == {"train/a": [(1.0, *BOX)]}


async def test_a_list_of_pictures_is_no_list_of_classes(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {**_LISTED, "names.txt": "a\nb\n"}
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert info.classes == ["cat"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"frames": {"0": [{"x1": 20, "y1": 10, "x2": 80, "y2": 60, "tags": ["cat"]}]}}),
        ("p.json", {"images": [{"fileName": "a.jpg", "regions": [{"tagName": "cat"}]}]}),
        ("out.manifest", '{"source-ref": "s3://b/a.jpg", "left": 20, "top": 10, "w": 60, "h": 5}'),
        ("boxes.txt", "cat; a.jpg; 20; 10; 80; 60; night; left\n"),
        ("a.jpg.txt", "% bbGt version=3\nBicycle 20 10 60 50 0 0 0 0 0 0 0\n"),
        ("labels.xlsx", b"PK\x03\x04"),
        ("annotations.pkl", b"\x80\x04]."),
        ("_annotations.train.jsonl", '{"image": "a.jpg", "suffix": "<loc0102><loc0102> cat"}'),
        ("train.jsonl", '{"image": "a.jpg", "suffix": "cat<loc_100><loc_100><loc_400>"}'),
        ("a.xml", b"<annotations><annotation/></annotations>"),
        ("train.odgt", '{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [20, 10, 60, 50]}]}'),
    ],
)
async def test_what_may_be_annotations_is_asked_about(
    name: str, content: Any, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", {"a.jpg": PICTURE, name: content})
    plan = await plan_import(persistence_stores, source)
    assert name in plan.questions[0]


async def test_annotations_that_are_cut_off_are_named_as_damaged(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"a.jpg": PICTURE, "instances.json": b'{"images": [{"id": 1, "file_name": "a.j'}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert "cannot read them: instances.json: expected JSON, found it damaged" in plan.questions[0]


async def test_no_list_of_labels_is_no_empty_picture(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    box = {"category": "cat", "box2d": {"x1": 20, "y1": 10, "x2": 80, "y2": 60}}
    frames = [{"name": "a.jpg", "labels": [box]}, {"name": "b.jpg", "labels": None}]
    files = {"a.jpg": PICTURE, "b.jpg": PICTURE, "det.json": frames}
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert labels(info) == ONE
