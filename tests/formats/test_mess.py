"""Kinds of trouble that people report about exports, each made here, and what has to come of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, labels, voc, voc_object
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ArchiveError
from workbench.persistence import Stores

ROW = "0 0.25 0.35 0.3 0.5\n"
NAMES = {"data.yaml": "names: [cat, dog]\n"}
ONE = {"train/a": [(0.0, *BOX)]}
CORNERS = {"train/a": [(0.0, *BOX)], "train/b": [(0.0, 0.7, 0.6, 0.4, 0.6)]}
BOXES = {"bbox": [20, 10, 60, 50]}


def _corners(*boxes: list[int]) -> dict[str, Any]:
    return coco(*({"bbox": box} for box in boxes))


def _table(text: str) -> dict[str, Any]:
    return {"images/a.jpg": PICTURE, "boxes.csv": text}


KINDS: dict[str, tuple[dict[str, Any], dict[str, list[tuple[float, ...]]]]] = {
    # pylabel-project/pylabel#49: the label's name is cut at the first dot.
    "name cut at a dot": (
        {**NAMES, "images/a.webp.jpg": PICTURE, "labels/a.txt": ROW},
        {"train/a.webp": [(0.0, *BOX)]},
    ),
    # HumanSignal/label-studio#1266: é is written as %C3%A9 in the label's name.
    "name as an address": (
        {**NAMES, "images/é a.jpg": PICTURE, "labels/%C3%A9%20a.txt": ROW},
        {"train/é a": [(0.0, *BOX)]},
    ),
    # HumanSignal/label-studio#6771: eight digits in front of what was uploaded.
    "digits before the label": (
        {**NAMES, "images/a.jpg": PICTURE, "labels/1f3c9a2b-a.txt": ROW},
        ONE,
    ),
    "digits before the picture": (
        {**NAMES, "images/1f3c9a2b-a.jpg": PICTURE, "labels/a.txt": ROW},
        {"train/1f3c9a2b-a": [(0.0, *BOX)]},
    ),
    # opendatalab/labelU#233: # became _ in the label's name.
    "signs in the name": (
        {**NAMES, "images/a#1.jpg": PICTURE, "labels/a_1.txt": ROW},
        {"train/a#1": [(0.0, *BOX)]},
    ),
    "extension before a conversion": (
        {**NAMES, "images/a.jpeg": PICTURE, "labels/a.jpg.txt": ROW},
        ONE,
    ),
    # Labels of JDE and FairMOT: class, track, box.
    "track before the box": (
        {"images/train/a.jpg": PICTURE, "labels_with_ids/train/a.txt": "0 17 .25 .35 .3 .5\n"},
        ONE,
    ),
    # What trackers save: a track behind the box.
    "track behind the box": (
        {**NAMES, "images/a.jpg": PICTURE, "labels/a.txt": "0 .25 .35 .3 .5 12\n"},
        ONE,
    ),
    "score and track behind the box": (
        {**NAMES, "images/a.jpg": PICTURE, "labels/a.txt": "0 .25 .35 .3 .5 .87 12\n"},
        ONE,
    ),
    "corners as bbox": (
        {
            "a.jpg": PICTURE,
            "coco.json": _corners(
                *([20, 10, 80, 60], [100, 50, 199, 99], [120, 40, 190, 90]),
                *([100, 50, 150, 90], [10, 20, 30, 40]),
            ),
        },
        {
            "train/a": [
                *((0.0, *BOX), (0.0, 0.7475, 0.745, 0.495, 0.49), (0.0, 0.775, 0.65, 0.35, 0.5)),
                *((0.0, 0.625, 0.7, 0.25, 0.4), (0.0, 0.1, 0.3, 0.1, 0.2)),
            ]
        },
    ),
    "bbox with keys": (
        {
            "a.jpg": PICTURE,
            "coco.json": coco({"bbox": {"x": 20, "y": 10, "width": 60, "height": 50}}),
        },
        ONE,
    ),
    # Koldim2001/COCO_to_YOLOv8#2: pictures lie deeper than their names say.
    "pictures below": (
        {"images/Train/Data/a.jpg": PICTURE, "annotations/instances_Train.json": coco(BOXES)},
        {"train/Data_a": [(0.0, *BOX)]},
    ),
    "capital tags": (
        {
            "a.jpg": PICTURE,
            "a.xml": voc(voc_object("cat")).replace(b"object>", b"Object>"),
        },
        ONE,
    ),
    "decimal comma in XML": (
        {"a.jpg": PICTURE, "a.xml": voc(voc_object("cat").replace(">20<", ">20,0<"))},
        ONE,
    ),
    "XML with a namespace": (
        {
            "a.jpg": PICTURE,
            "a.xml": voc(voc_object("cat")).replace(b"<annotation>", b'<annotation xmlns="urn:x">'),
        },
        ONE,
    ),
    "blank lines before XML": (
        {"a.jpg": PICTURE, "a.xml": b"\n\n<?xml version='1.0'?>" + voc(voc_object("cat"))},
        ONE,
    ),
    "a bare ampersand": (
        {"a.jpg": PICTURE, "a.xml": voc(voc_object("nuts & bolts"))},
        ONE,
    ),
    "table with semicolons and decimal commas": (
        _table("filename;class;xmin;ymin;xmax;ymax\na.jpg;cat;20,0;10,0;80,0;60,0\n"),
        ONE,
    ),
    "table with centres": (
        _table("image,x_center,y_center,width,height,class\na.jpg,50,35,60,50,cat\n"),
        ONE,
    ),
    "table with centres as fractions": (
        _table("image,x_center,y_center,width,height,class\na.jpg,.25,.35,.3,.5,cat\n"),
        ONE,
    ),
}
ROWS = {
    "a comment behind": "0 0.25 0.35 0.3 0.5 # cat\n",
    "a comment above": "# made by hand\n" + ROW,
    "brackets": "[0, 0.25, 0.35, 0.3, 0.5]\n",
    "a colon": "0: 0.25 0.35 0.3 0.5\n",
    "the name behind": "0 0.25 0.35 0.3 0.5 traffic light\n",
    "a tensor": "tensor(0.) 0.25 0.35 0.3 0.5\n",
    "quotes": '"0 0.25 0.35 0.3 0.5"\n',
    "bars": "0|0.25|0.35|0.3|0.5\n",
    "a byte order mark": "\ufeff" + ROW,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_comes_out_right(kind: str, tmp_path: Path, persistence_stores: Stores) -> None:
    files, wanted = KINDS[kind]
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert not plan.questions
    info = await plan.apply()
    assert labels(info) == wanted


@pytest.mark.parametrize("kind", ROWS)
async def test_a_row_with_signs_is_read(
    kind: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {**NAMES, "images/a.jpg": PICTURE, "labels/a.txt": ROWS[kind]}
    files |= {"images/b.jpg": PICTURE, "labels/b.txt": ROW}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    info = await plan.apply()
    assert labels(info) == {"train/a": [(0.0, *BOX)], "train/b": [(0.0, *BOX)]}


async def test_a_name_that_could_mean_two_pictures_means_none(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {**NAMES, "images/a.x.jpg": PICTURE, "images/a.y.jpg": PICTURE, "labels/a.txt": ROW}
    files |= {"images/b.jpg": PICTURE, "labels/b.txt": ROW}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.counts()["train"] == {"images": 3, "labelled": 1, "boxes": 1}
    assert [e.file for e in plan.ledger.some("no picture")] == ["labels/a.txt"]


async def test_boxes_outside_of_any_object_are_no_empty_picture(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    thing = b"<item><name>cat</name><bndbox><xmin>1</xmin></bndbox></item>"
    xml = voc("").replace(b"</annotation>", thing + b"</annotation>")
    files = {"a.jpg": PICTURE, "a.xml": xml, "b.jpg": PICTURE, "b.xml": voc(voc_object())}
    info = await (
        await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    ).apply()
    assert list(labels(info)) == ["train/b"]


async def test_predictions_are_no_annotations(tmp_path: Path, persistence_stores: Stores) -> None:
    value = {"x": 10, "y": 10, "width": 30, "height": 50, "rectanglelabels": ["cat"]}
    result = [{"type": "rectanglelabels", "value": value}]
    tasks = [{"data": {"image": "a.jpg"}, "annotations": [], "predictions": [{"result": result}]}]
    files = {"a.jpg": PICTURE, "tasks.json": tasks}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.counts()["train"] == {"images": 1, "labelled": 0, "boxes": 0}
    assert "1 prediction that nobody has accepted" in "\n".join(plan.notes)


@pytest.mark.parametrize("text", ["0: cat\n1: dog\n", "0 cat\n1 dog", "cat, dog", "['cat', 'dog']"])
async def test_class_lists_of_other_shapes(
    text: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"classes.txt": text, "images/a.jpg": PICTURE, "labels/a.txt": ROW}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.classes == ["cat", "dog"]


async def test_a_table_of_a_competition_is_asked_about(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = _table("image_id,PredictionString\na,cat 20 10 60 50\n")
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert "boxes.csv" in plan.questions[0]


async def test_ids_that_count_from_1_are_told(tmp_path: Path, persistence_stores: Stores) -> None:
    files = {"classes.txt": "cat\ndog\n", "images/a.jpg": PICTURE, "labels/a.txt": "2 .5 .5 1 1\n"}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert "no row has the id 0" in "\n".join(plan.notes)


async def test_a_class_that_cannot_be_is_told_with_its_file(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    root = folder(
        tmp_path / "in",
        {"a.jpg": PICTURE, "t.txt": "a.jpg 20,10,80,60,0\n", "_classes.txt": "cat\n\x00\n"},
    )
    with pytest.raises(ArchiveError, match=f"{re.escape(str(root))}, _classes.txt: class 1"):
        await plan_import(persistence_stores, root)


@pytest.mark.parametrize(
    ("table", "said", "wanted"),
    [
        # As a corner and sides the second would leave its picture.
        ('a.jpg,cat,"(20, 10, 80, 60)"\nb.jpg,cat,"(100, 30, 180, 90)"', "two corners", CORNERS),
        ("a.jpg,cat,[0.1 0.1 0.4 0.6]\nb.jpg,cat,[0.5 0.3 0.9 0.9]", "two corners", CORNERS),
        ('a.jpg,cat,"[20, 10, 60, 50]"\nb.jpg,cat,"[100, 30, 80, 60]"', "", CORNERS),
        (
            "a.jpg,cat,\"{'x': 20, 'y': 10, 'width': 60, 'height': 50}\"\n"
            'b.jpg,cat,"{""xmin"": 100, ""ymin"": 30, ""xmax"": 180, ""ymax"": 90}"',
            "",
            CORNERS,
        ),
        (
            "a.jpg,cat,[5 5 30 30]\nb.jpg,cat,[10 9 20 20]\nb.jpg,cat,[3 3 9 9]",
            "choose rows='corners'",
            {"train/a": [(0.0, 0.1, 0.2, 0.15, 0.3)],
             "train/b": [(0.0, 0.1, 0.19, 0.1, 0.2), (0.0, 0.0375, 0.075, 0.045, 0.09)]},
        ),
    ],
)  # fmt: skip
async def test_a_list_of_four_numbers_is_what_keeps_all_boxes_inside(
    table: str, said: str, wanted: Any, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"a.jpg": PICTURE, "b.jpg": PICTURE, "t.csv": f"image,class,bbox\n{table}\n"}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert said in "\n".join(plan.notes)
    assert labels(await plan.apply()) == wanted


async def test_what_a_list_of_four_numbers_is_can_be_chosen(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    lines = [{"file_name": "a.jpg", "objects": {"bbox": [[20, 10, 80, 60]], "categories": ["cat"]}}]
    files = {"a.jpg": PICTURE, "metadata.jsonl": "\n".join(map(json.dumps, lines))}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert not any("corners" in note for note in plan.notes)  # one box, inside as either
    plan = await plan.choose(rows="corners")
    assert labels(await plan.apply()) == ONE


POLYGONS = "0 .1 .1 .4 .1 .4 .6 .1 .6\n"


@pytest.mark.parametrize(
    ("more", "left"),
    [
        # What else some tools write for each picture.
        ({"captions/a.txt": "a cat, asleep\n", "captions/b.txt": "a photo of nothing\n"}, 0),
        ({"calib/a.txt": "P0: 7.070493000000e+02 0.0 6.04e+02 0.0\n"}, 0),
        ({"landmarks/a.txt": "10 20\n30 40\n"}, 0),
        # The same objects once more, and what a model found.
        ({"labels_seg/a.txt": POLYGONS}, 1),
        ({"runs/detect/exp/labels/a.txt": "0 .26 .35 .3 .5 .9\n1 .7 .6 .4 .6 .8\n"}, 2),
    ],
)
async def test_further_folders_of_text_do_not_double_boxes(
    more: dict[str, str], left: int, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {**NAMES, "images/a.jpg": PICTURE, "images/b.jpg": PICTURE, "labels/a.txt": ROW}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files | more))
    assert plan.format == "yolo"
    assert plan.ledger.found["annotations"] == 1 + left
    places = plan.ledger.some("another folder of labels")
    assert {entry.file for entry in places} == (set(more) if left else set())
    assert labels(await plan.apply()) == ONE


async def test_label_files_of_a_class_each_are_put_together(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {**NAMES, "images/a.jpg": PICTURE}
    files |= {"boxes/cats/a.txt": ROW, "boxes/dogs/a.txt": "1 0.7 0.6 0.4 0.6\n"}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.boxes_by_class() == {"cat": 1, "dog": 1}


async def test_kitti_comes_with_a_file_of_calibration_for_each_picture(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    row = "Car 0.00 0 1.85 20.00 10.00 80.00 60.00 1.67 1.87 3.69 -16.53 2.39 58.49 1.57\n"
    files: dict[str, Any] = {}
    for name in ("000000", "000001"):
        files[f"training/image_2/{name}.jpg"] = PICTURE
        files[f"training/label_2/{name}.txt"] = row
        files[f"training/calib/{name}.txt"] = (
            "P0: 7.07e+02 0.0 6.04e+02 0.0\nR0_rect: 9.9e-01 0.0\n"
        )
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.format == "kitti"
    assert [e.file for e in plan.ledger.some("other file")] == [n for n in files if "calib" in n]
    assert labels(await plan.apply()) == {
        "train/000000": [(0.0, *BOX)],
        "train/000001": [(0.0, *BOX)],
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label.txt", "@ a.jpg\n20 10 60 50\n"),
        ("boxes.txt", "a.jpg\n20, 10, 60, 50\n"),
        # ICDAR's, of text in pictures.
        ("gt_a.txt", "20,10,80,10,80,60,20,60,HELLO\n"),
        # JSON without an extension.
        ("result", '{"pictures": ["a.jpg"], "bbox": [20, 10, 60, 50]}'),
    ],
)
async def test_what_may_be_boxes_is_asked_about_whatever_it_is_called(
    name: str, text: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"a.jpg": PICTURE, name: text}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert name in plan.questions[0]


@pytest.mark.parametrize("text", ["a.jpg\nb.jpg\n", "cat\ndog\n", "4 pictures, 2.5 MB\n"])
async def test_lists_are_not_asked_about(
    text: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"a.jpg": PICTURE, "notes.txt": text, "LICENSE": "[MIT] annotation of points"}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert not plan.questions


async def test_a_damaged_file_beside_good_ones_is_told_with_what_is_wrong(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    shape = {"label": "cat", "points": [[20, 10], [80, 60]], "shape_type": "rectangle"}
    good = {"imagePath": "a.jpg", "shapes": [shape], "imageData": None}
    files = {"a.jpg": PICTURE, "b.jpg": PICTURE, "a.json": good, "b.json": json.dumps(good)[:50]}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    [told] = plan.ledger.some("damaged file")
    assert told.file == "b.json"
    assert "damaged" in told.detail
    assert labels(await plan.apply()) == ONE


@pytest.mark.parametrize("kind", ["json", "xml"])
async def test_an_empty_annotation_file_is_damaged(
    kind: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    shape = {"label": "cat", "points": [[20, 10], [80, 60]], "shape_type": "rectangle"}
    content = {"json": {"imagePath": "a.jpg", "shapes": [shape]}, "xml": voc(voc_object("cat"))}
    files = {"a.jpg": PICTURE, "b.jpg": PICTURE, f"a.{kind}": content[kind], f"b.{kind}": ""}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert [(e.file, e.detail) for e in plan.ledger.some("damaged file")] == [
        (f"b.{kind}", "the file is empty")
    ]
    assert labels(await plan.apply()) == ONE


_XML = {
    "a.jpg": PICTURE,
    "a.xml": voc(voc_object("cat")),
    "b.jpg": PICTURE,
    "b.xml": voc(voc_object("dog"), name="b.jpg"),
}
_PBTXT = "item {\n id: 1\n name: 'dog'\n}\nitem {\n id: 2\n name: 'cat'\n}\n"


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("classes.txt", "dog\nowl\ncat\n", ["dog", "owl", "cat"]),
        ("labels.txt", "__ignore__\n_background_\ndog\ncat\n", ["dog", "cat"]),
        # labelImg's own list, with two names of ours.
        ("data/predefined_classes.txt", "car\ndog\ncat\nboat\n", ["dog", "cat"]),
        ("label_map.pbtxt", _PBTXT, ["dog", "cat"]),
        ("data.yaml", "nc: 2\nnames: ['dog', 'cat']\n", ["dog", "cat"]),
        ("classes.csv", "dog,0\ncat,1\n", ["dog", "cat"]),
        ("classes.txt", "dog\nowl\n", ["cat", "dog"]),  # is about something else
        ("classes.txt", "dog\n\x00\n", ["cat", "dog"]),  # damaged
    ],
)
async def test_the_order_of_named_classes_is_that_of_a_list_beside_them(
    name: str, text: str, wanted: list[str], tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", {**_XML, name: text})
    plan = await plan_import(persistence_stores, source)
    assert plan.classes == wanted
    assert (name in {e.file for e in plan.ledger.some("other file")}) == (wanted[0] == "cat")
    assert (await plan.apply()).classes == wanted


async def test_a_class_that_is_renamed_keeps_its_place(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", _XML))
    plan = await plan.choose(classes={"cat": "tomcat"})
    assert plan.classes == ["tomcat", "dog"]
    plan = await plan.choose(classes={"cat": None})
    assert plan.classes == ["dog"]


async def test_classes_named_in_rows_are_not_told_to_have_no_name(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "cat 0.25 0.35 0.3 0.5\ndog 0.7 0.6 0.4 0.6\n"
    files = {"images/a.jpg": PICTURE, "labels/a.txt": rows}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.classes == ["cat", "dog"]
    assert not any("class_" in note for note in plan.notes)


async def test_a_table_that_lost_the_zeros_of_its_names_finds_its_pictures(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = "image_id,class,xmin,ymin,xmax,ymax\n1,cat,20,10,80,60\n2,cat,1,1,9,9\n"
    # Two pictures are number 2.
    files = {"000001.jpg": PICTURE, "000002.jpg": PICTURE, "02.png": PICTURE, "t.csv": rows}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.ledger.left("annotations") == 1
    assert labels(await plan.apply()) == {"train/000001": [(0.0, *BOX)]}


@pytest.mark.parametrize("above", ["sep=;\n", "# by hand, 2024\n\n", "\r\n"])
async def test_lines_above_a_table_are_no_part_of_it(
    above: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    text = f"{above}filename;class;xmin;ymin;xmax;ymax\na.jpg;cat;20;10;80;60\na.jpg;cat;1;1;x;9\n"
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", _table(text)))
    assert [e.place for e in plan.ledger.some("unreadable")] == [above.count("\n") + 3]
    assert labels(await plan.apply()) == ONE


async def test_a_table_with_numbers_and_names_of_classes_gives_the_names(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    text = "filename,label,label_name,xmin,ymin,xmax,ymax\na.jpg,3,cat,20,10,80,60\n"
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", _table(text)))
    assert plan.classes == ["cat"]


async def test_annotations_that_are_compressed_are_asked_about(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"a.jpg": PICTURE, "boxes.json.gz": b"\x1f\x8b"}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert "boxes.json.gz" in plan.questions[0]


@pytest.mark.parametrize(
    ("rows", "boxes"),
    [
        ("0 .1 .1 .4 .1 .4 .6 .1 .6 .9\n", 1),
        # Of seven numbers the last may be the flag of a keypoint, but not in a file of outlines.
        ("0 .1 .1 .4 .1 .4 .6 .1 .6 .9\n0 .2 .2 .4 .2 .4 .6 .8\n", 2),
        ("0 .2 .2 .4 .2 .4 .6 .8\n", 0),
        ("0 .1 .1 .4 .1 .4 .6 .1 .6 7\n", 0),
    ],
)
async def test_outlines_with_a_confidence_behind_them(
    rows: str, boxes: int, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {**NAMES, "images/a.jpg": PICTURE, "labels/a.txt": rows}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.counts()["train"] == {"images": 1, "labelled": min(boxes, 1), "boxes": boxes}
    info = await plan.apply()
    if boxes:  # what is left is a row that training reads
        kept = (info.path / "labels/train/a.txt").read_text()
        assert kept.startswith("0 .1 .1 .4 .1 .4 .6 .1 .6\n")


async def test_objects_that_were_deleted_in_their_tool_are_left_out(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    thing = voc_object("cat").replace("</object>", "<deleted>0</deleted></object>")
    files = {"a.jpg": PICTURE, "a.xml": voc(thing + thing.replace("0</del", "1</del"))}
    files |= {"b.jpg": PICTURE, "b.xml": voc(thing.replace("0</del", "1</del"), name="b.jpg")}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert [(e.file, e.place) for e in plan.ledger.some("deleted")] == [("a.xml", 2), ("b.xml", 1)]
    assert labels(await plan.apply()) == ONE


async def test_one_odd_row_does_not_change_what_all_lists_of_four_numbers_are(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    rows = ['a.jpg,cat,"(100, 30, 180, 90)"\n'] * 20 + ['a.jpg,cat,"(100, 30, 900, 90)"\n']
    files = {"a.jpg": PICTURE, "t.csv": f"image,class,bbox\n{''.join(rows)}"}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert plan.ledger.repaired("annotations") == 1  # clipped
    assert labels(await plan.apply())["train/a"][0] == (0.0, 0.7, 0.6, 0.4, 0.6)
