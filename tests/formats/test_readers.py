"""Every format that is read gives the same box, and nothing that a file holds stops it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.formats.making import BOX, PICTURE, coco, folder, labels, mask, voc, voc_object
from workbench import import_dataset
from workbench.datasets.formats.plan import plan_import
from workbench.datasets.formats.registry import READERS
from workbench.datasets.formats.rle import rle_box
from workbench.errors import ArchiveError, ImportFormatError, InvalidDatasetError
from workbench.persistence import Stores, create_memory_stores

ONE = [(0.0, *BOX)]
CORNERS = [[20, 10], [80, 60]]
POLYGON = [[20, 10], [80, 20], [60, 60]]


def _cvat(inside: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task>'
        "<labels><label><name>cat</name></label></labels><original_size><width>200</width>"
        f"<height>100</height></original_size></task></meta>{inside}</annotations>"
    )


def _image(inside: str, more: str = "") -> str:
    return _cvat(f'<image id="0" name="a.jpg" width="200" height="100" {more}>{inside}</image>')


_CVAT_BOX = '<box label="cat" occluded="1" xtl="20" ytl="10" xbr="80" ybr="60"></box>'


def _task(value: dict[str, Any], kind: str = "rectanglelabels") -> list[dict[str, Any]]:
    result = {"original_width": 200, "original_height": 100, "type": kind, "value": value}
    task = {
        "data": {"image": "/data/upload/1/ab12cd34-a.jpg"},
        "annotations": [{"result": [result]}],
    }
    return [task]


_PERCENT = {"x": 10, "y": 10, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]}


def _labelme(points: list[list[float]], kind: str, **more: Any) -> dict[str, Any]:
    shape = {"label": "cat", "points": points, "shape_type": kind, **more}
    return {"version": "5", "shapes": [shape], "imagePath": "..\\x\\a.jpg",
            "imageHeight": 100, "imageWidth": 200}  # fmt: skip


def _via(shape: dict[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
    region = {"shape_attributes": shape, "region_attributes": attributes}
    return {"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": [region]}}


_RECT = {"name": "rect", "x": 20, "y": 10, "width": 60, "height": 50}


def _supervisely(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": {"height": 100, "width": 200},
        "objects": [{"classTitle": "cat", "geometryType": "rectangle", **item}],
    }


def _bitmap() -> str:
    buffer = io.BytesIO()
    Image.new("1", (60, 50), 1).save(buffer, "PNG")
    return base64.b64encode(zlib.compress(buffer.getvalue())).decode()


_YOLO_BOX = [0, 0.25, 0.35, 0.3, 0.5]


def _ndjson(annotations: Any) -> str:
    lines = [
        {"type": "dataset", "task": "detect", "class_names": {"0": "cat"}},
        {"type": "image", "file": "a.jpg", "split": "val", "annotations": annotations},
    ]
    return "\n".join(map(json.dumps, lines))


def _datumaro(annotation: dict[str, Any]) -> dict[str, Any]:
    item = {"id": "a", "annotations": [{"label_id": 0, **annotation}],
            "image": {"path": "a.jpg", "size": [100, 200]}}  # fmt: skip
    return {"info": {}, "categories": {"label": {"labels": [{"name": "cat"}]}}, "items": [item]}


PIC = {"a.jpg": PICTURE}
KITTI = "cat 0.00 1 -1.58 20.00 10.00 80.00 60.00 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"
TABLE = "xmin,ymin,xmax,ymax\n"

# format, files; each holds one cat at the same place in a.jpg
READ: dict[str, tuple[str, dict[str, Any]]] = {
    "cvat box": ("cvat", PIC | {"annotations.xml": _image(_CVAT_BOX)}),
    "cvat polygon": (
        "cvat",
        PIC | {"x.xml": _image('<polygon label="cat" points="20,10;80.0,20;60,60"/>')},
    ),
    "cvat turned box": (
        "cvat",
        PIC
        | {"x.xml": _image('<box label="cat" xtl="25" ytl="5" xbr="75" ybr="65" rotation="90"/>')},
    ),
    "cvat mask": (
        "cvat",
        PIC
        | {
            "x.xml": _image('<mask label="cat" left="20" top="10" width="60" height="50" rle="1"/>')
        },
    ),
    "cvat ellipse": (
        "cvat",
        PIC | {"x.xml": _image('<ellipse label="cat" cx="50" cy="35" rx="30" ry="25"/>')},
    ),
    "cvat subset": ("cvat", PIC | {"x.xml": _image(_CVAT_BOX, 'subset="Validation"')}),
    "cvat video": (
        "cvat",
        {
            "images/frame_000003.jpg": PICTURE,
            "annotations.xml": _cvat(
                '<track id="7" label="cat"><box frame="3" outside="0" occluded="0" xtl="20" '
                'ytl="10" xbr="80" ybr="60"/><box frame="4" outside="1" occluded="0" xtl="20" '
                'ytl="10" xbr="80" ybr="60"/></track>'
            ),
        },
    ),
    "label studio": ("labelstudio", {"images/ab12cd34-a.jpg": PICTURE, "e.json": _task(_PERCENT)}),
    "label studio without its prefix": ("labelstudio", PIC | {"e.json": _task(_PERCENT)}),
    "label studio polygon": (
        "labelstudio",
        PIC
        | {"e.json": _task({"points": [[10, 10], [40, 20], [30, 60]], "polygonlabels": ["cat"]})},
    ),
    "label studio ellipse": (
        "labelstudio",
        PIC
        | {
            "e.json": _task(
                {"x": 25, "y": 35, "radiusX": 15, "radiusY": 25, "ellipselabels": ["cat"]}
            )
        },
    ),
    "label studio local files": (
        "labelstudio",
        PIC
        | {
            "e.json": [{**_task(_PERCENT)[0], "data": {"img": "/data/local-files/?d=pics%2Fa.jpg"}}]
        },
    ),
    "label studio minimal": (
        "labelstudio",
        PIC | {"e.json": [{"image": "/data/a.jpg", "annotation_id": 3, "label": [_PERCENT]}]},
    ),
    "label studio storage": (
        "labelstudio",
        PIC
        | {
            "12": {"id": 12, "result": [{"value": _PERCENT}], "task": {"data": {"img": "/d/a.jpg"}}}
        },
    ),
    "labelme rectangle": ("labelme", PIC | {"a.json": _labelme(CORNERS[::-1], "rectangle")}),
    "labelme polygon": ("labelme", PIC | {"a.json": _labelme(POLYGON, "polygon")}),
    "labelme in a folder of its own": (
        "labelme",
        {"pics/a.jpg": PICTURE, "ann/a.json": _labelme(CORNERS, "rectangle", group_id=3)},
    ),
    "x-anylabeling": (
        "labelme",
        PIC
        | {"a.json": _labelme([[20, 10], [80, 10], [80, 60], [20, 60]], "rectangle", score=0.5)},
    ),
    "createml": (
        "createml",
        PIC
        | {
            "_annotations.createml.json": [
                {
                    "image": "a.jpg",
                    "annotations": [
                        {
                            "label": "cat",
                            "coordinates": {"x": 50, "y": 35, "width": 60, "height": 50},
                        }
                    ],
                }
            ]
        },
    ),
    "via": ("via", PIC | {"via.json": _via(_RECT, {"colour": "red", "class": "cat"})}),
    "via project, checkbox": (
        "via",
        PIC | {"p.json": {"_via_img_metadata": _via(_RECT, {"kind": {"cat": True}})}},
    ),
    "via polygon": (
        "via",
        PIC
        | {
            "via.json": _via(
                {"name": "polygon", "all_points_x": [20, 80, 60], "all_points_y": [10, 20, 60]},
                {"label": "cat"},
            )
        },
    ),
    "via 3": (
        "via",
        PIC
        | {
            "via.json": {
                "file": {"1": {"fid": "1", "fname": "a.jpg"}},
                "view": {"1": {"fid_list": ["1"]}},
                "attribute": {"1": {"options": {"0": "cat"}}},
                "metadata": {"x": {"vid": "1", "xy": [2, 20, 10, 60, 50], "av": {"1": "0"}}},
            }
        },
    ),
    "vott": (
        "vott",
        PIC
        | {
            "x-asset.json": {
                "asset": {
                    "name": "a.jpg",
                    "path": "file:/a.jpg",
                    "state": 2,
                    "size": {"width": 200, "height": 100},
                },
                "regions": [
                    {
                        "type": "RECTANGLE",
                        "tags": ["cat"],
                        "boundingBox": {"left": 20, "top": 10, "width": 60, "height": 50},
                    }
                ],
            }
        },
    ),
    "tensorflow csv": (
        "csv",
        PIC | {"l.csv": f"filename,width,height,class,{TABLE}a.jpg,200,100,cat,20,10,80,60\n"},
    ),
    "csv with semicolons": (
        "csv",
        PIC | {"l.csv": "Filename;Label;x_min;y_min;x_max;y_max\r\na.jpg;cat;20;10;80;60\r\n"},
    ),
    "vott csv": (
        "csv",
        PIC
        | {
            "l.csv": '"image","xmin","ymin","xmax","ymax","label"\n'
            '"a.jpg",20.0,10.0,80.0,60.0,"cat"\n'
        },
    ),
    "retinanet csv": ("csv", PIC | {"l.csv": "pics/a.jpg,20,10,80,60,cat\n"}),
    "kaggle csv": (
        "csv",
        PIC | {"l.csv": 'image_id,width,height,bbox,label\na,200,100,"[20, 10, 60, 50]",cat\n'},
    ),
    "csv of left, top, width, height": (
        "csv",
        PIC | {"l.csv": "image,x,y,w,h,label\na.jpg,20,10,60,50,cat\n"},
    ),
    "open images csv": (
        "csv",
        PIC
        | {
            "class-descriptions.csv": "/m/01yrx,cat\n",
            "validation-annotations-bbox.csv": (
                "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded\n"
                "a,x,/m/01yrx,1,0.1,0.4,0.1,0.6,1\n"
            ),
        },
    ),
    "keras-yolo": ("keras-yolo", PIC | {"_classes.txt": "cat\n", "t.txt": "a.jpg 20,10,80,60,0\n"}),
    "oidv4": (
        "oidv4",
        {
            "Dataset/train/cat/a.jpg": PICTURE,
            "Dataset/train/cat/Label/a.txt": "cat 20.0 10.0 80.0 60.0\n",
        },
    ),
    "dota": (
        "dota",
        {
            "images/a.jpg": PICTURE,
            "labelTxt/a.txt": ("imagesource:x\ngsd:1\n20 10 80 10 80 60 20 60 cat 1\n"),
        },
    ),
    "dota turned": ("dota", PIC | {"a.txt": "50 10 80 35 50 60 20 35 cat 0\n"}),
    "kitti tracking": (
        "kitti-tracking",
        {"image_02/0003/000000.jpg": PICTURE, "label_02/0003.txt": f"0 2 {KITTI}"},
    ),
    "visdrone": (
        "visdrone",
        {"train/images/a.jpg": PICTURE, "train/annotations/a.txt": "20,10,60,50,1,1,0,1,\n"},
    ),
    "map ground truth": ("oidv4", PIC | {"gt/a.txt": "cat 20 10 80 60 difficult\n"}),
    "kitti": ("kitti", {"training/image_2/a.jpg": PICTURE, "training/label_2/a.txt": KITTI}),
    "mot": (
        "mot",
        {
            "s1/img1/000001.jpg": PICTURE,
            "s1/img1/000002.jpg": PICTURE,
            "s1/gt/gt.txt": "2,5,21,11,60,50,1,3,0.5\n",
            "s1/seqinfo.ini": "[Sequence]",
        },
    ),
    "mot without a confidence": (
        "mot",
        {"s1/img1/000001.jpg": PICTURE, "s1/gt/gt.txt": "1,5,21,11,60,50\n"},
    ),
    "mot of a detector": (
        "mot",
        {"s1/img1/000001.jpg": PICTURE, "s1/det/det.txt": "1,-1,21,11,60,50,0,-1,-1,-1\n"},
    ),
    "imagefolder": (
        "imagefolder",
        PIC
        | {
            "metadata.jsonl": {
                "file_name": "a.jpg",
                "objects": {"bbox": [[20, 10, 60, 50]], "categories": ["cat"]},
            }
        },
    ),
    "imagefolder of objects": (
        "imagefolder",
        PIC
        | {
            "metadata.jsonl": {
                "file_name": "a.jpg",
                "objects": [{"bbox": [20, 10, 60, 50], "name": "cat"}],
            }
        },
    ),
    "ndjson": ("ndjson", PIC | {"ds.ndjson": _ndjson({"boxes": [_YOLO_BOX]})}),
    "ndjson segments": (
        "ndjson",
        PIC | {"ds.ndjson": _ndjson({"segments": [[0, 0.1, 0.1, 0.4, 0.2, 0.3, 0.6]]})},
    ),
    "fiftyone": (
        "fiftyone",
        {
            "data/a.jpg": PICTURE,
            "labels.json": {
                "classes": ["cat"],
                "labels": {"a": [{"label": 0, "bounding_box": [0.1, 0.1, 0.3, 0.5]}]},
            },
        },
    ),
    "fiftyone samples": (
        "fiftyone",
        {
            "data/a.jpg": PICTURE,
            "samples.json": {
                "samples": [
                    {
                        "filepath": "data/a.jpg",
                        "tags": ["validation"],
                        "ground_truth": {
                            "detections": [{"label": "cat", "bounding_box": [0.1, 0.1, 0.3, 0.5]}]
                        },
                    }
                ]
            },
        },
    ),
    "supervisely": (
        "supervisely",
        {
            "ds0/img/a.jpg": PICTURE,
            "ds0/ann/a.jpg.json": _supervisely({"points": {"exterior": CORNERS}}),
            "meta.json": {"classes": [{"title": "cat"}]},
        },
    ),
    "supervisely bitmap": (
        "supervisely",
        {
            "ds0/img/a.jpg": PICTURE,
            "ds0/ann/a.jpg.json": _supervisely(
                {"geometryType": "bitmap", "bitmap": {"data": _bitmap(), "origin": [20, 10]}}
            ),
        },
    ),
    "bdd100k": (
        "bdd100k",
        PIC
        | {
            "det_val.json": [
                {
                    "name": "a.jpg",
                    "labels": [
                        {"category": "cat", "box2d": {"x1": 20, "y1": 10, "x2": 80, "y2": 60}},
                        {"category": "lane", "poly2d": None},
                    ],
                }
            ]
        },
    ),
    "bdd100k, a file for each": (
        "bdd100k",
        {
            "pics/a.jpg": PICTURE,
            "ann/a.json": {
                "name": "a",
                "frames": [
                    {
                        "objects": [
                            {"category": "cat", "box2d": {"x1": 20, "y1": 10, "x2": 80, "y2": 60}}
                        ]
                    }
                ],
            },
        },
    ),
    "datumaro": (
        "datumaro",
        {
            "images/default/a.jpg": PICTURE,
            "annotations/default.json": _datumaro({"type": "bbox", "bbox": [20, 10, 60, 50]}),
        },
    ),
    "datumaro polygon": (
        "datumaro",
        PIC | {"x.json": _datumaro({"type": "polygon", "points": [20, 10, 80, 20, 60, 60]})},
    ),
    "datumaro mask": ("datumaro", PIC | {"x.json": _datumaro({"type": "mask", "rle": mask()})}),
    "sa1b": (
        "sa1b",
        PIC
        | {
            "a.json": {
                "image": {"file_name": "a.jpg", "width": 200, "height": 100, "image_id": 1},
                "annotations": [{"bbox": [20, 10, 60, 50], "segmentation": {}}],
            }
        },
    ),
    "widerface": (
        "widerface",
        {
            "WIDER_val/images/0--Parade/a.jpg": PICTURE,
            "wider_face_val_bbx_gt.txt": "0--Parade/a.jpg\n1\n20 10 60 50 2 0 0 0 1 0 \n",
        },
    ),
    "widerface with landmarks": (
        "widerface",
        {
            "train/images/0--Parade/a.jpg": PICTURE,
            "train/label.txt": "# 0--Parade/a.jpg\n20 10 60 50 38.5 30 0.0 62 30 0.0 0.82\n",
            "val/images/b.jpg": PICTURE,
            "val/label.txt": "# b.jpg\n# c.jpg\n",
        },
    ),
}
READ |= {
    "coco": ("coco", PIC | {"x.json": coco({"bbox": [20, 10, 60, 50]})}),
    "voc": ("voc", PIC | {"a.xml": voc(voc_object("cat"))}),
    "yolo": ("yolo", PIC | {"classes.txt": "cat\n", "a.txt": "0 0.25 0.35 0.3 0.5\n"}),
}
_NAMES = {"sa1b": "object", "widerface": "face", "mot": "car", "visdrone": "pedestrian"}
_NAMES |= dict.fromkeys(("mot without a confidence", "mot of a detector"), "pedestrian")


@pytest.mark.parametrize("case", READ)
async def test_every_format_gives_the_box(
    tmp_path: Path, persistence_stores: Stores, case: str
) -> None:
    kind, files = READ[case]
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "ds", files))
    assert info.ledger.format == kind
    assert [rows for rows in labels(info).values() if rows] == [ONE]
    named = _NAMES.get(case) or _NAMES.get(kind, "cat")
    assert info.classes[:1] == [named]
    assert len(info.classes) == (11 if kind == "visdrone" else 1)
    assert info.ledger.found["annotations"] == info.ledger.taken["annotations"] == 1
    assert {entry.reason for entry in info.ledger.entries if entry.outcome == "left"} == set()


def test_every_format_is_tried() -> None:
    assert {kind for kind, _ in READ.values()} == READERS.keys()


async def test_what_is_listed_without_boxes_shows_nothing_only_where_that_was_looked_at(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    two = PIC | {"b.jpg": PICTURE}
    box = {"label": 0, "bounding_box": [0.1, 0.1, 0.3, 0.5]}
    via = _via(_RECT, {"class": "cat"})
    via["b.jpg1"] = {"filename": "b.jpg", "regions": []}
    for files, reviewed in (
        ({"l.csv": f"filename,class,{TABLE}a.jpg,cat,20,10,80,60\nb.jpg,,,,,\n"}, True),
        ({"x.json": {"classes": ["cat"], "labels": {"a": [box], "b": []}}}, True),
        ({"x.json": {"classes": ["cat"], "labels": {"a": [box], "b": None}}}, False),
        ({"x.json": via}, False),
        ({"e.json": [*_task(_PERCENT), {"data": {"i": "b.jpg"}, "annotations": []}]}, False),
        (
            {
                "e.json": [
                    *_task(_PERCENT),
                    {"data": {"i": "b.jpg"}, "annotations": [{"result": []}]},
                ]
            },
            True,
        ),
    ):
        name = f"ds{len(await persistence_stores.dataset.list())}"
        info = await import_dataset(
            persistence_stores, folder(tmp_path / "in" / name, two | files), name
        )
        expected = {"train/a": ONE} | ({"train/b": []} if reviewed else {})
        assert labels(info) == expected, files


async def test_what_else_was_known_is_counted(tmp_path: Path, persistence_stores: Stores) -> None:
    tasks = _task(_PERCENT)
    tasks[0]["annotations"] += [{"result": tasks[0]["annotations"][0]["result"]}]
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "versions": ({"e.json": tasks}, "another annotator"),
        "points": ({"a.json": _labelme([[1, 1]], "point")}, "unreadable"),
        "dontcare": ({"a.txt": KITTI + KITTI.replace("cat", "DontCare")}, "ignored region"),
        "rows": ({"l.csv": f"filename,class,{TABLE}a.jpg,cat,20,ten,80,60\n"}, "unreadable"),
    }
    for name, (files, reason) in cases.items():
        source = folder(tmp_path / "in" / name, PIC | files)
        info = await import_dataset(persistence_stores, source, name)
        assert {e.reason for e in info.ledger.entries if e.unit == "annotations"} == {reason}


@pytest.mark.parametrize("seed", range(8))
def test_masks_as_pycocotools_reads_them(seed: int) -> None:
    from pycocotools import mask as masks

    rng = np.random.default_rng(seed)
    pixels = np.zeros((37, 53), np.uint8)
    for _ in range(3):
        y, x = rng.integers(0, 30), rng.integers(0, 45)
        pixels[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = 1
    packed = masks.encode(np.asfortranarray(pixels))
    x, y, width, height = masks.toBbox(packed)
    text = {"size": packed["size"], "counts": packed["counts"].decode()}
    flat = pixels.T.flatten()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    for value in (text, {"size": packed["size"], "counts": runs}):
        assert rle_box(value) == (x, y, x + width, y + height)


_JUNK = st.binary(max_size=12) | st.sampled_from(
    [b"null", b"-1", b"1e999", b"NaN", b'"x"', b"[]", b"{}", b"<a>", b"\xff\xfe", b"9" * 400, b","]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.sampled_from(sorted(READ)), data=st.data())
def test_whatever_a_file_holds_it_is_read_counted_or_named(case: str, data: st.DataObject) -> None:
    _, files = READ[case]
    with tempfile.TemporaryDirectory() as scratch:
        root = folder(Path(scratch) / "in", files)
        notes = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix != ".jpg")
        path = data.draw(st.sampled_from(notes))
        content = path.read_bytes()
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 40)))
        path.write_bytes(content[:start] + data.draw(_JUNK) + content[end:])

        named: list[str] = []

        async def work() -> None:
            stores = create_memory_stores()
            try:
                plan = await plan_import(stores, root, unknown="ignore")
            except (ImportFormatError, ArchiveError, InvalidDatasetError) as error:
                named.append(str(error))
                return
            plan.ledger.check()
            await plan.apply("ds")
            table = await stores.label.load_all("ds")
            assert len(table) == plan.ledger.taken["annotations"]
            assert not table.problems

        asyncio.run(work())
        assert all(str(root) in message for message in named)


@pytest.mark.parametrize("name", ["class-descriptions.csv", "_classes.txt"])
async def test_a_list_of_classes_that_is_no_text_is_named(tmp_path: Path, name: str) -> None:
    """Found by the test above."""
    files = next(found for _, found in READ.values() if name in found)
    root = folder(tmp_path / "in", files | {name: b"\0\x80"})
    with pytest.raises(ImportFormatError, match=rf"in, {re.escape(name)}: expected text"):
        await plan_import(create_memory_stores(), root)


# --- what only somebody who wants to hurt would write ---------------------------------------

_NUMBER = re.compile(rb"(?<![\w.])-?[0-9]+(?:\.[0-9]+)?")
_TEXT = re.compile(rb'"[^"\n]*"')
_HOSTILE_NUMBERS = [b"9" * 5000, b"-" + b"9" * 400, b"1e999", b"NaN", "\u00b2".encode(), b"0x7f"]
_HOSTILE_TEXTS = [rb'"\ud800"', rb'"\udc80"', rb'"\u0000"', b'"' + b"x" * 300 + b'"', b"[[]]"]


def _crafted(content: bytes) -> Iterator[bytes]:
    """A file with one number or text in it replaced, and another one, and another one."""
    for pattern, values in ((_NUMBER, _HOSTILE_NUMBERS), (_TEXT, _HOSTILE_TEXTS)):
        for number, match in enumerate(pattern.finditer(content)):
            value = values[number % len(values)]
            yield content[: match.start()] + value + content[match.end() :]
        for value in values:
            yield pattern.sub(lambda _, new=value: new, content)


@pytest.mark.parametrize("case", READ)
async def test_crafted_numbers_and_texts_are_read_counted_or_named(
    tmp_path: Path, case: str
) -> None:
    """Numbers of 5,000 digits, half characters: nothing else than an error of ours comes out."""
    _, files = READ[case]
    root, unnamed = folder(tmp_path / "in", files), list[str]()
    for path in [p for p in root.rglob("*") if p.is_file() and p.suffix != ".jpg"]:
        content = path.read_bytes()
        for crafted in _crafted(content):
            path.write_bytes(crafted)
            stores = create_memory_stores()
            try:
                plan = await plan_import(stores, root, unknown="ignore")
            except (ImportFormatError, ArchiveError, InvalidDatasetError) as error:
                unnamed += [] if str(root) in str(error) else [str(error)]
                continue
            plan.ledger.check()
            str(plan).encode()
            info = await plan.apply("ds")
            "\n".join([*info.classes, *info.notes]).encode()
            assert not (await stores.label.load_all("ds")).problems
        path.write_bytes(content)
    assert not unnamed
