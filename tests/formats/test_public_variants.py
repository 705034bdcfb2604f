"""What tools write that nobody thinks of at first: shapes without names, parts, several people."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, images, labels, voc, voc_object
from workbench.datasets.formats.plan import plan_import
from workbench.persistence import Stores

PIC = {"a.jpg": PICTURE}
CAT, DOG = (0.0, *BOX), (1.0, *BOX)
RECT = {"name": "rect", "x": 20, "y": 10, "width": 60, "height": 50}
POLYGON = {"name": "polygon", "all_points_x": [20, 80, 60], "all_points_y": [10, 20, 60]}
PERCENT = {"x": 10, "y": 10, "width": 30, "height": 50}
OUTLINE = [0, 0.1, 0.1, 0.4, 0.1, 0.4, 0.6, 0.1, 0.6]


def _via(*regions: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    rows = [{"shape_attributes": s, "region_attributes": a} for s, a in regions]
    found = {"a.jpg9": {"filename": "a.jpg", "size": 9, "regions": rows}}
    return PIC | {"via.json": {"_via_img_metadata": found, **more} if more else found}


def _via_3(*shapes: list[float], av: Any = None) -> dict[str, Any]:
    chosen = {"1": "1"} if av is None else av
    return PIC | {
        "p.json": {
            "file": {"1": {"fid": "1", "fname": "a.jpg"}},
            "view": {"1": {"fid_list": [1]}},
            "attribute": {"1": {"aname": "kind", "type": 4, "options": {"0": "dog", "1": "cat"}}},
            "metadata": {
                str(n): {"vid": "1", "xy": xy, "av": chosen} for n, xy in enumerate(shapes)
            },
        }
    }


_VIA_3_TABLE = (
    "# Exported using VGG Image Annotator\n# CSV_HEADER = metadata_id,file_list,flags,"
    "temporal_coordinates,spatial_coordinates,metadata\n"
    '"1_x","[""a.jpg""]",0,"[]","[2,20,10,60,50]","{""1"":""cat""}"\n'
)


def _cvat(inside: str, labels_: str = "<label><name>cat</name></label>") -> str:
    meta = f"<meta><task><labels>{labels_}</labels></task></meta>"
    return f"<annotations><version>1.1</version>{meta}{inside}</annotations>"


def _shown(label: str, more: str = "") -> str:
    box = f'<box label="{label}" occluded="0" xtl="20" ytl="10" xbr="80" ybr="60"/>'
    return f'<image id="0" name="a.jpg" width="200" height="100" {more}>{box}</image>'


_SKELETON = (
    '<image id="0" name="a.jpg" width="200" height="100"><skeleton label="cat"><points label="n" '
    'outside="0" points="20,10"/><points label="m" points="80,60"/></skeleton></image>'
)
_BELOW = "<label><name>n</name><type>points</type><parent>cat</parent></label>"
_TRACK = '<track id="0" label="cat">{}</track>'.format(
    "".join(
        f'<box frame="{n}" outside="{int(n > 2)}" xtl="20" ytl="10" xbr="80" ybr="60"/>'
        for n in (0, 2, 3)
    )
)


def _tasks(*results: Any, **more: Any) -> dict[str, Any]:
    """A task of Label Studio, one list of results for each who annotated."""
    versions = [
        {"result": [{"original_width": 200, "original_height": 100, **r} for r in some], **about}
        for some, about in results
    ]
    return PIC | {"t.json": [{"data": {"image": "a.jpg"}, "annotations": versions, **more}]}


def _said(label: str) -> dict[str, Any]:
    return {"type": "rectanglelabels", "value": {**PERCENT, "rectanglelabels": [label]}}


_BARE = {"id": "q", "type": "rectangle", "value": PERCENT}
_LS_CELL = json.dumps([{**PERCENT, "rectanglelabels": ["cat"]}]).replace('"', '""')


def _ndjson(task: str, *items: tuple[str, dict[str, Any]]) -> str:
    lines: list[Any] = [{"type": "dataset", "task": task, "class_names": {"0": "cat", "1": "dog"}}]
    lines += [{"type": "image", "file": "a.jpg", "split": s, "annotations": a} for s, a in items]
    return "\n".join(map(json.dumps, lines))


def _sample(**fields: Any) -> dict[str, Any]:
    return {
        "data/a.jpg": PICTURE,
        "samples.json": {"samples": [{"filepath": "data/a.jpg", **fields}]},
    }


_DETECTION = {"label": "cat", "bounding_box": [0.1, 0.1, 0.3, 0.5]}


def _datumaro(**annotation: Any) -> dict[str, Any]:
    item = {"id": "a", "annotations": [annotation], "image": {"path": "a.jpg", "size": [100, 200]}}
    classes = {"label": {"labels": [{"name": "cat"}]}}
    return PIC | {"annotations/default.json": {"categories": classes, "items": [item]}}


def _vott(state: int, *regions: Any) -> dict[str, Any]:
    asset = {"name": "a.jpg", "state": state, "size": {"width": 200, "height": 100}}
    tags = [{"name": "dog"}, {"name": "cat"}]
    return PIC | {
        "p-export.json": {"tags": tags, "assets": {"1": {"asset": asset, "regions": regions}}}
    }


_REGION = {"type": "RECTANGLE", "tags": ["cat"],
           "boundingBox": {"left": 20, "top": 10, "width": 60, "height": 50}}  # fmt: skip
_PARTS = [
    {"vertices": [[20, 10], [40, 20], [30, 30]]},
    {"vertices": [[70, 50], [80, 60], [70, 60]]},
]
_LABELME = {
    "version": "5.4.1",
    "shapes": [{"label": "cat", "points": [[20, 10], [80, 60]], "shape_type": "rectangle"}],
    "imagePath": "a.jpg",
    "imageData": base64.b64encode(PICTURE).decode(),
    "imageHeight": 100,
    "imageWidth": 200,
}
_TAGGED = {
    "size": {"height": 100, "width": 200},
    "tags": [{"name": "val", "value": None}],
    "objects": [{"classTitle": "cat", "geometryType": "rectangle",
                 "points": {"exterior": [[20, 10], [80, 60]]}}],
}  # fmt: skip

_LANE = {"category": "cat", "poly2d": [{"vertices": [[9, 9], [50, 50]], "closed": False}]}
_AREA = {"category": "drivable area", "poly2d": [{"vertices": [[9, 9], [50, 50], [9, 50]]}]}
_MARKED = {"category": "curb", "poly2d": [[9, 9, "L"], [50, 50, "L"]]}
_ROADS = [
    {
        "name": "a.jpg",
        "labels": [
            _LANE,
            _AREA,
            {"category": "cat", "box2d": {"x1": 20, "y1": 10, "x2": 80, "y2": 60}},
        ],
    },
    {"name": "b.jpg", "labels": [{**_MARKED, "attributes": {"laneStyle": "solid"}}, _AREA]},
]
_FINDINGS = (
    "image_id,class_name,x_min,y_min,x_max,y_max\na,cat,20,10,80,60\na,No finding,,,,\n"
    "b,No finding,nan,NaN,nan,nan\nc,No_finding,0,0,1,1\nd,cat,,,,\n"
)
_NAMED_CATEGORIES = coco(
    *({"bbox": [20, 10, 60, 50], "category_id": c} for c in (1, "cat", " 1.0", "2")),
    categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
)
ONE = {"train/a": [CAT]}
HALVES = {"train/a": [CAT], "val/a": [DOG]}
SPLIT = {"images/train/a.jpg": PICTURE, "images/val/a.jpg": PICTURE}


def _turned(angle: float) -> dict[str, Any]:
    """A file of Supervisely with a box of 50 x 60 pixels about the centre of `BOX`."""
    one = {"classTitle": "cat", "geometryType": "oriented_bbox", "angle": angle,
           "points": {"exterior": [[25, 5], [75, 65]], "interior": []}}  # fmt: skip
    return PIC | {"ann/a.jpg.json": {"size": {"height": 100, "width": 200}, "objects": [one]}}


_CREATEML = [
    {"image": "a.jpg", "annotations": [
        {"label": "cat", "coordinates": {"x": 50, "y": 35, "width": 60, "height": 50}}]},
]  # fmt: skip
_BY_ID = {
    "images": {"7": {"file_name": "a.jpg", "width": 200, "height": 100}},
    "categories": {"1": "cat"},
}
_COCO_ROW = {"category_id": 1, "bbox": [20, 10, 60, 50]}
_JOINED = coco({"bbox": [20, 10, 60, 50]}, names=("a.jpg", "b.jpg"))
for _image in _JOINED["images"]:
    _image["id"] = 1


def _row(box: tuple[float, ...]) -> str:
    """A row of YOLO."""
    return " ".join(map(str, (int(box[0]), *box[1:]))) + "\n"


_BNDBOX = "<bndbox><xmin>120</xmin><ymin>10</ymin><xmax>180</xmax><ymax>60</ymax></bndbox>"
_IN_ATTRIBUTES = voc(
    '<object name="cat"><bndbox xmin="20" ymin="10" xmax="80" ymax="60"/></object>'
)
_SCORED = "0 0.9 0.25 0.35 0.3 0.5\n1 0.8 0.25 0.35 0.3 0.5\n"

# name: files, rows by picture, classes, annotations that are left
KINDS: dict[str, tuple[dict[str, Any], dict[str, list[tuple[float, ...]]], list[str], int]] = {
    "Supervisely, a box turned by radians": (_turned(1.5707963), ONE, ["cat"], 0),
    "Supervisely, a box turned by degrees": (_turned(90), ONE, ["cat"], 0),
    "CreateML, the list inside an object": (
        PIC | {"_annotations.json": {"version": 1, "images": _CREATEML}},
        ONE,
        ["cat"],
        0,
    ),
    "COCO, everything under its id": (
        PIC | {"c.json": _BY_ID | {"annotations": {"3": {"image_id": 7, **_COCO_ROW}}}},
        ONE,
        ["cat"],
        0,
    ),
    "COCO, annotations under the ids of pictures": (
        PIC | {"c.json": _BY_ID | {"annotations": {"7": [_COCO_ROW, {"category_id": 1}]}}},
        ONE,
        ["cat"],
        1,
    ),
    "YOLO, the score before the box": (
        PIC | {"a.txt": _SCORED, "classes.txt": "cat\ndog\n"},
        {"train/a": [CAT, DOG]},
        ["cat", "dog"],
        0,
    ),
    "YOLO, the score behind the box": (
        PIC | {"a.txt": "0 0.25 0.35 0.3 0.5 0.9\n", "classes.txt": "cat\n"},
        {"train/a": [(*CAT, 0.9)]},
        ["cat"],
        0,
    ),
    "VIA whose regions have no attributes": (_via((POLYGON, {})), ONE, ["object"], 0),
    "VIA, choices by their ids": (
        _via((RECT, {"k": "2"}), _via_attributes={"region": {"k": {"options": {"2": "cat"}}}}),
        ONE,
        ["cat"],
        0,
    ),
    "VIA, a class that one region lacks": (
        _via((RECT, {"quality": "bad", "class": ""}), (RECT, {"quality": "good", "class": "cat"})),
        ONE,
        ["cat"],
        1,
    ),
    "VIA 3 without attributes": (_via_3([2, 20, 10, 60, 50], av={}), ONE, ["object"], 0),
    "VIA 3, an ellipse": (_via_3([4, 50, 35, 30, 25]), ONE, ["cat"], 0),
    "VIA 3, a circle and a point": (
        _via_3([3, 50, 35, 25], [1, 5, 5]),
        {"train/a": [(0.0, 0.25, 0.35, 0.25, 0.5)]},
        ["cat"],
        1,
    ),
    "the table of VIA 3": (PIC | {"via.csv": _VIA_3_TABLE}, ONE, ["cat"], 0),
    "CVAT, one name in two subsets": (
        SPLIT | {"a.xml": _cvat(_shown("cat", 'subset="train"') + _shown("dog", 'subset="val"'))},
        HALVES,
        ["cat", "dog"],
        0,
    ),
    "CVAT, the points of a skeleton": (
        PIC | {"a.xml": _cvat(_SKELETON, "<label><name>cat</name></label>" + _BELOW)},
        ONE,
        ["cat"],
        0,
    ),
    "CVAT, pictures that were only sorted": (
        PIC | {"x.xml": _cvat('<image id="0" name="a.jpg"><tag label="cat"/></image>')},
        {},
        ["cat"],
        0,
    ),
    "CVAT, two videos whose frames are called alike": (
        {
            f"t{n}/{name}": content
            for n in (0, 1)
            for name, content in {
                **{f"images/frame_00000{f}.jpg": PICTURE for f in range(4)},
                "annotations.xml": _cvat(_TRACK),
            }.items()
        },
        {f"train/{home}frame_00000{n}": [CAT] for home in ("", "t1_") for n in range(3)},
        ["cat"],
        0,
    ),
    "Label Studio, of two versions the true one": (
        _tasks(([_said("dog")], {}), ([_said("cat")], {"ground_truth": True})),
        ONE,
        ["cat"],
        1,
    ),
    "Label Studio, shapes without a label": (_tasks(([_BARE], {})), {}, [], 1),
    "Label Studio, what was chosen for a shape": (
        _tasks(
            ([_BARE, {**_BARE, "type": "choices", "value": {**PERCENT, "choices": ["cat"]}}], {})
        ),
        ONE,
        ["cat"],
        0,
    ),
    "Label Studio, a picture that was only sorted": (
        _tasks(([{"type": "choices", "value": {"choices": ["blurred"]}}], {})),
        {},
        [],
        0,
    ),
    "Label Studio, a picture that was sorted as empty": (
        _tasks(([{"type": "choices", "value": {"choices": ["Empty"]}}], {})),
        {"train/a": []},
        [],
        0,
    ),
    "Label Studio, reduced, of pictures that were only sorted": (
        PIC | {"min.json": [{"id": 7, "image": "a.jpg", "choice": "blurred", "annotation_id": 1}]},
        {},
        [],
        0,
    ),
    "Label Studio, points": (
        _tasks(([{"value": {"x": 3, "y": 3, "width": 1, "keypointlabels": ["nose"]}}], {})),
        {},
        [],
        1,
    ),
    "the table of Label Studio": (
        PIC | {"p.csv": f'image,id,label,annotator\n/data/upload/a.jpg,1,"{_LS_CELL}",1\n'},
        ONE,
        ["cat"],
        0,
    ),
    "Label Studio, reduced, as an old version wrote it": (
        PIC | {"min.json": [{"id": 7, "image": "a.jpg", "label": [_said("cat")["value"]]}]},
        ONE,
        ["cat"],
        0,
    ),
    "COCO, boxes as text": (
        PIC | {"t.json": coco({"bbox": "[20, 10, 60, 50]"})},
        ONE,
        ["cat"],
        0,
    ),
    "COCO, a box drawn from its last corner": (
        PIC | {"t.json": coco({"bbox": [80, 60, -60, -50]}, {"bbox": [5, 5, -1, -1]})},
        ONE,
        ["cat"],
        1,
    ),
    "YOLO, names that differ in their case": (
        {"images/A.jpg": PICTURE, "images/a.jpg": PICTURE, "classes.txt": "cat\ndog\n"}
        | {"labels/A.txt": _row(CAT), "labels/a.txt": _row(DOG)},
        {"train/A": [CAT], "train/a_jpg": [DOG]},
        ["cat", "dog"],
        0,
    ),
    "YOLO, a name with two extensions beside the same with one": (
        {"images/a.jpg": PICTURE, "images/a.jpg.jpg": PICTURE, "classes.txt": "# ours\ncat\ndog\n"}
        | {"labels/a.txt": _row(CAT), "labels/a.jpg.txt": _row(DOG)},
        {"train/a": [CAT], "train/a.jpg": [DOG]},
        ["cat", "dog"],
        0,
    ),
    "COCO, names that differ in their case": (
        PIC
        | {"A.jpg": PICTURE, "t.json": coco({"bbox": [20, 10, 60, 50]}, names=("A.jpg", "a.jpg"))},
        {"train/A": [CAT], "train/a_jpg": []},
        ["cat"],
        0,
    ),
    "COCO, a picture called by its name": (
        PIC | {"t.json": coco({"bbox": [20, 10, 60, 50], "image_id": "a"})},
        ONE,
        ["cat"],
        0,
    ),
    "COCO, annotations of none of its pictures": (
        PIC | {"t.json": coco({"bbox": [20, 10, 60, 50], "image_id": 7})},
        {},
        ["cat"],
        1,
    ),
    "COCO, two files that list the same pictures, each with boxes of one": (
        PIC
        | {"b.jpg": PICTURE}
        | {"train.json": coco({"bbox": [20, 10, 60, 50]}, names=("a.jpg", "b.jpg"))}
        | {"val.json": coco({"bbox": [20, 10, 60, 50]}, names=("b.jpg", "a.jpg"))},
        {"train/a": [CAT], "val/b": [CAT]},
        ["cat"],
        0,
    ),
    "LabelMe, a picture that was only sorted": (
        PIC
        | {"a.json": {"version": "5", "shapes": [], "imagePath": "a.jpg", "flags": {"cat": True}}},
        {},
        [],
        0,
    ),
    "LabelMe, a picture that was checked": (
        PIC
        | {
            "a.json": {
                "version": "5",
                "shapes": [],
                "imagePath": "a.jpg",
                "flags": {"checked": True},
            }
        },
        {"train/a": []},
        [],
        0,
    ),
    "Supervisely, a picture that was only sorted": (
        PIC
        | {
            "ann/a.jpg.json": {
                "size": {"height": 100, "width": 200},
                "tags": [{"name": "cat"}],
                "objects": [],
            }
        },
        {},
        [],
        0,
    ),
    "VOC, two boxes in one object": (
        PIC | {"a.xml": voc(voc_object("cat").replace("</object>", f"{_BNDBOX}</object>"))},
        {"train/a": [CAT, (0.0, 0.75, 0.35, 0.3, 0.5)]},
        ["cat"],
        0,
    ),
    "classes in JSON, by their ids": (
        PIC
        | {"a.txt": _row(DOG)}
        | {"classes.json": [{"id": 1, "name": "dog"}, {"id": 0, "name": "cat"}]},
        {"train/a": [DOG]},
        ["cat", "dog"],
        0,
    ),
    "COCO, two files joined without new ids": (
        PIC | {"b.jpg": PICTURE, "t.json": _JOINED},
        {},
        ["cat"],
        1,
    ),
    "VOC, all in attributes": (PIC | {"a.xml": _IN_ATTRIBUTES}, ONE, ["cat"], 0),
    "Label Studio, reduced, a task for each who annotated": (
        PIC
        | {
            "min.json": [
                {"image": "a.jpg", "id": 7, "annotation_id": n, "label": [_said(label)["value"]]}
                for n, label in enumerate(("cat", "dog"))
            ]
        },
        ONE,
        ["cat"],
        1,
    ),
    "NDJSON, one name in two splits": (
        SPLIT
        | {"d.ndjson": _ndjson("detect", ("train", {"boxes": [CAT]}), ("val", {"boxes": [DOG]}))},
        HALVES,
        ["cat", "dog"],
        0,
    ),
    "NDJSON, boxes and their outlines": (
        PIC | {"d.ndjson": _ndjson("segment", ("train", {"boxes": [CAT], "segments": [OUTLINE]}))},
        ONE,
        ["cat", "dog"],
        1,
    ),
    "NDJSON, pictures that were only sorted": (
        PIC | {"d.ndjson": _ndjson("classify", ("train", {"classification": [0]}))},
        {},
        ["cat", "dog"],
        0,
    ),
    "FiftyOne, predictions before the truth": (
        _sample(
            model={"detections": [{**_DETECTION, "label": "dog", "confidence": 0.5}]},
            ground_truth={"detections": [_DETECTION]},
        ),
        ONE,
        ["cat"],
        1,
    ),
    "FiftyOne, outlines": (
        _sample(
            gt={"polylines": [{"label": "cat", "points": [[[0.1, 0.1], [0.4, 0.2], [0.3, 0.6]]]}]}
        ),
        ONE,
        ["cat"],
        0,
    ),
    "FiftyOne, one box": (_sample(gt=_DETECTION), ONE, ["cat"], 0),
    "Datumaro, an ellipse": (
        _datumaro(type="ellipse", label_id=0, points=[20, 10, 80, 60]),
        ONE,
        ["cat"],
        0,
    ),
    "Datumaro, a rotated box": (
        _datumaro(type="rotated_bbox", label_id=0, bbox=[50, 35, 50, 60, 90]),
        ONE,
        ["cat"],
        0,
    ),
    "Datumaro, pictures that were only sorted": (
        _datumaro(type="label", label_id=0),
        {},
        ["cat"],
        0,
    ),
    "Supervisely, a split as a tag": (
        {"ds/img/a.jpg": PICTURE, "ds/ann/a.jpg.json": _TAGGED},
        {"val/a": [CAT]},
        ["cat"],
        0,
    ),
    "BDD100K, a thing in two parts": (
        PIC | {"b.json": [{"name": "a.jpg", "labels": [{"category": "cat", "poly2d": _PARTS}]}]},
        ONE,
        ["cat"],
        0,
    ),
    "BDD100K, lanes and areas of the road": (
        PIC | {"b.jpg": PICTURE, "b.json": _ROADS},
        ONE,
        ["cat"],
        4,
    ),
    "CSV, pictures without a finding": (
        PIC | {"b.jpg": PICTURE, "c.jpg": PICTURE, "d.jpg": PICTURE, "train.csv": _FINDINGS},
        {**ONE, "train/b": [], "train/c": []},
        ["cat"],
        1,
    ),
    "VOC of pictures that were only sorted": (
        PIC
        | {"a.xml": voc(voc_object("cat")), "b.jpg": PICTURE}
        | {"b.xml": voc("<classification><name>dog</name></classification>", name="b.jpg")},
        ONE,
        ["cat"],
        0,
    ),
    "COCO, categories by name and as text": (
        PIC | {"c.json": _NAMED_CATEGORIES},
        {"train/a": [CAT] * 3 + [DOG]},
        ["cat", "dog"],
        0,
    ),
    "YOLO, labels of before beside those of now": (
        {"s/images/a.jpg": PICTURE, "s/images/b.jpg": PICTURE, "s/labels/a.txt": "0 .25 .35 .3 .5"}
        | {f"s/labels_old/{n}.txt": "1 .5 .5 .2 .2" for n in "ab"}
        | {"classes.txt": "cat\ndog\n"},
        ONE,
        ["cat", "dog"],
        0,
    ),
    "VoTT, the order of its tags": (_vott(2, _REGION), {"train/a": [DOG]}, ["dog", "cat"], 0),
    "VoTT, a picture that nobody visited": (_vott(0), {}, ["dog", "cat"], 0),
    "MOT whose first frame is called 0": (
        {
            **{f"img1/frame_00000{n}.jpg": PICTURE for n in range(2)},
            "gt/gt.txt": "1,1,21,11,60,50,1,1,1\n",
            "gt/labels.txt": "cat\n",
        },
        {"train/frame_000000": [CAT]},
        ["cat"],
        0,
    ),
    "LabelMe with the picture inside": ({"x/b.json": _LABELME}, {"train/b": [CAT]}, ["cat"], 0),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_comes_out_right(kind: str, tmp_path: Path, persistence_stores: Stores) -> None:
    files, rows, classes, left = KINDS[kind]
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert not plan.questions
    assert plan.classes == classes
    assert plan.ledger.left("annotations") == left
    assert sum(n["labelled"] for n in plan.counts().values()) == len(rows)
    assert not any(" as well (" in note for note in plan.notes)
    if rows:
        info = await plan.apply()
        assert labels(info) == rows
        assert len(images(info)) == sum(n["images"] for n in plan.counts().values())
