"""COCO exports, written as the tools write them and looked at as raw files after the import."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.helpers.archives import write_zip
from workbench import import_dataset, plan_import
from workbench.datasets.formats.coco import parse
from workbench.datasets.formats.frames import place
from workbench.datasets.formats.items import Box, Record
from workbench.datasets.formats.json_text import parse_json
from workbench.errors import AlreadyExistsError, ArchiveError, ImportFormatError
from workbench.geometry import to_pixels
from workbench.persistence import Stores
from workbench.persistence.image_header import ImageHeader
from workbench.persistence.models import DatasetInfo, ImportedDataset, Progress

CUPS = [{"id": 3, "name": "cup"}, {"id": 17, "name": "dog"}]


def _image(width: int = 100, height: int = 50, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 140)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


PICTURE = _image()
BOX = [40, 15, 20, 20]
CUP = "0 0.50000000 0.50000000 0.20000000 0.40000000\n"
DOG = "1 0.50000000 0.50000000 0.20000000 0.40000000\n"


def _box(image_id: object, category_id: object = 3, bbox: object = BOX, **more: object) -> Any:
    return {"image_id": image_id, "category_id": category_id, "bbox": bbox, **more}


def _coco(
    names: Sequence[str] | Mapping[object, str],
    annotations: Sequence[object] | None = None,
    categories: Sequence[object] = CUPS,
    size: tuple[object, object] = (100, 50),
) -> bytes:
    """One annotation file; the images are numbered from 1, each with one cup by default."""
    ids = names if isinstance(names, Mapping) else dict(enumerate(names, start=1))
    if annotations is None:
        annotations = [_box(image_id) for image_id in ids]
    images = [
        {"id": i, "file_name": name, "width": size[0], "height": size[1]} for i, name in ids.items()
    ]
    numbered = [
        {"id": number, "segmentation": [], "iscrowd": 0, **item} if isinstance(item, dict) else item
        for number, item in enumerate(annotations)
    ]
    return json.dumps(
        {"images": images, "annotations": numbered, "categories": categories}
    ).encode()


def _folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def _labels(info: DatasetInfo) -> dict[str, str]:
    base = info.path / "labels"
    return {p.relative_to(base).as_posix(): p.read_text() for p in base.rglob("*.txt")}


def _images(info: DatasetInfo) -> list[str]:
    base = info.path / "images"
    return sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())


async def _import(
    stores: Stores, tmp_path: Path, files: Mapping[str, bytes], name: str = "cups"
) -> ImportedDataset:
    return await import_dataset(stores, _folder(tmp_path / "in" / name, files))


async def _one(
    stores: Stores, tmp_path: Path, *annotations: object, **more: Any
) -> tuple[str, list[str]]:
    """Import one picture, and return the text of its label file and the notes."""
    files = {"images/a.jpg": PICTURE, "result.json": _coco(["images/a.jpg"], annotations, **more)}
    info = await _import(stores, tmp_path, files)
    return _labels(info)["train/a.txt"], [n for n in info.notes if "went to train" not in n]


EXPORTS: dict[str, tuple[dict[str, bytes], dict[str, str]]] = {
    "COCO": (
        {
            "annotations/instances_train2017.json": _coco(["1.jpg", "2.jpg"]),
            "annotations/instances_val2017.json": _coco(["1.jpg"], [_box(1, 17)]),
            "train2017/1.jpg": PICTURE,
            "train2017/2.jpg": PICTURE,
            "val2017/1.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "train/2.txt": CUP, "val/1.txt": DOG},
    ),
    "COCO with a folder of images": (
        {
            "annotations/instances_train2017.json": _coco(["1.jpg"]),
            "annotations/instances_val2017.json": _coco(["1.jpg"], [_box(1, 17)]),
            "images/train2017/1.jpg": PICTURE,
            "images/val2017/1.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "val/1.txt": DOG},
    ),
    "Roboflow": (
        {
            "README.roboflow.txt": b"cups",
            **{
                f"{split}/_annotations.coco.json": _coco(
                    ["1.jpg"], [_box(1, 3 if split == "test" else 17)]
                )
                for split in ("train", "valid", "test")
            },
            **{f"{split}/1.jpg": PICTURE for split in ("train", "valid", "test")},
        },
        {"train/1.txt": DOG, "val/1.txt": DOG, "test/1.txt": CUP},
    ),
    "CVAT": (
        {
            "annotations/instances_default.json": _coco(["1.jpg", "left/1.jpg"], [_box(2)]),
            "images/1.jpg": PICTURE,
            "images/left/1.jpg": PICTURE,
        },
        {"train/1.txt": "", "train/left_1.txt": CUP},
    ),
    "CVAT with subsets": (
        {
            "annotations/instances_Train.json": _coco(["1.jpg"]),
            "annotations/instances_Validation.json": _coco(["1.jpg"], []),
            "images/Train/1.jpg": PICTURE,
            "images/Validation/1.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "val/1.txt": ""},
    ),
    "Label Studio": (
        {
            "result.json": _coco(["images\\1.jpg", "../../media/upload/2.jpg", "images/3%20b.jpg"]),
            "images/1.jpg": PICTURE,
            "images/2.jpg": PICTURE,
            "images/3 b.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "train/2.txt": CUP, "train/3 b.txt": CUP},
    ),
    "FiftyOne": (
        {"labels.json": _coco(["1.jpg"]), "data/1.jpg": PICTURE},
        {"train/1.txt": CUP},
    ),
    "FiftyOne, split by split": (
        {
            "train/labels.json": _coco(["1.jpg"]),
            "train/data/1.jpg": PICTURE,
            "validation/labels.json": _coco(["1.jpg"], [_box(1, 17)]),
            "validation/data/1.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "val/1.txt": DOG},
    ),
    "one file beside the pictures": (
        {"mine.json": _coco(["1.jpg", "2.jpg"]), "1.jpg": PICTURE, "2.jpg": PICTURE},
        {"train/1.txt": CUP, "train/2.txt": CUP},
    ),
    "one file for each picture": (
        {
            "a/1.json": _coco(["1.jpg"]),
            "a/2.json": _coco(["2.jpg"], [_box(1, 17)]),
            "a/1.jpg": PICTURE,
            "a/2.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "train/2.txt": DOG},
    ),
    "one file for several folders": (
        {
            "all.json": _coco(["train/1.jpg", "val/1.jpg"], [_box(1), _box(2, 17)]),
            "train/1.jpg": PICTURE,
            "val/1.jpg": PICTURE,
        },
        {"train/1.txt": CUP, "val/1.txt": DOG},
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("tool", EXPORTS)
async def test_exports(tmp_path: Path, persistence_stores: Stores, tool: str, packed: bool) -> None:
    files, labels = EXPORTS[tool]
    if packed:
        source = write_zip(tmp_path / "cups.zip", {f"export/{n}": d for n, d in files.items()})
        before = source.read_bytes()
    else:
        source = _folder(tmp_path / "in" / "cups", files)

    info = await import_dataset(persistence_stores, source)

    assert (info.name, info.classes) == ("cups", ["cup", "dog"])
    assert _labels(info) == labels
    assert len(_images(info)) == sum(name.endswith(".jpg") for name in files)
    assert all((info.path / "images" / n).read_bytes() == PICTURE for n in _images(info))
    if packed:
        assert source.read_bytes() == before
    else:
        now = {p.relative_to(source).as_posix(): p.read_bytes() for p in source.rglob("*.*")}
        assert now == files


async def test_captions_keypoints_and_panoptic_are_not_taken_for_boxes(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    whole = {"images": [{"id": 1, "file_name": "1.jpg"}], "categories": [{"id": 9, "name": "sky"}]}
    captions = [{"id": 1, "image_id": 1, "caption": "a cup"}]
    panoptic = [{"image_id": 1, "file_name": "1.png", "segments_info": [{"bbox": BOX}]}]
    files = {
        "annotations/instances_val2017.json": _coco(["1.jpg"]),
        "annotations/captions_val2017.json": json.dumps(whole | {"annotations": captions}).encode(),
        "annotations/panoptic_val2017.json": json.dumps(whole | {"annotations": panoptic}).encode(),
        "annotations/person_keypoints_val2017.json": _coco(
            ["1.jpg"], [_box(1, 1, [0, 0, 9, 9], keypoints=[1, 1, 2])], [{"id": 1, "name": "man"}]
        ),
        "panoptic_val2017/1.png": PICTURE,
        "val2017/1.jpg": PICTURE,
    }
    info = await _import(persistence_stores, tmp_path, files)

    assert info.classes == ["cup", "dog"]
    assert _images(info) == ["val/1.jpg"]
    assert _labels(info) == {"val/1.txt": CUP}


async def test_captions_alone_leave_pictures_without_labels(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    captions = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "caption": "a cup"}],
    }
    files = {"captions.json": json.dumps(captions).encode(), "1.jpg": PICTURE}
    with pytest.raises(ImportFormatError, match=r"captions\.json.*unknown='ignore'"):
        await _import(persistence_stores, tmp_path, files)
    info = await import_dataset(persistence_stores, tmp_path / "in" / "cups", unknown="ignore")
    assert (_images(info), _labels(info)) == (["train/1.jpg"], {})


async def test_keypoints_alone_give_their_boxes(tmp_path: Path, persistence_stores: Stores) -> None:
    files = {
        "annotations/person_keypoints_train2017.json": _coco(
            ["1.jpg"], [_box(1, keypoints=[1, 1, 2], num_keypoints=1)]
        ),
        "train2017/1.jpg": PICTURE,
    }
    info = await _import(persistence_stores, tmp_path, files)
    assert _labels(info) == {"train/1.txt": CUP}
    assert info.notes == ["1 annotation has keypoints: only its box was taken"]


async def test_unlabelled_background_and_missing_pictures_are_kept_apart(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    info_only = json.loads(_coco(["d.jpg"]))
    del info_only["annotations"]
    files = {
        "annotations/instances_train2017.json": _coco(["a.jpg", "b.jpg", "gone.jpg"], [_box(1)]),
        "annotations/image_info_test2017.json": json.dumps(info_only).encode(),
        **{f"train2017/{name}.jpg": PICTURE for name in "abc"},
        "train2017/torn.jpg": b"no picture",
        "test2017/d.jpg": PICTURE,
    }
    info = await _import(persistence_stores, tmp_path, files)

    assert _images(info) == ["test/d.jpg", "train/a.jpg", "train/b.jpg", "train/c.jpg"]
    assert _labels(info) == {"train/a.txt": CUP, "train/b.txt": ""}
    assert sorted(info.notes) == [
        "1 image is damaged and was left out, such as 'train2017/torn.jpg' "
        "(train2017/torn.jpg: expected an image (JPEG, PNG, BMP, WebP or TIFF), found 10 bytes "
        "that are none or are damaged)",
        "1 image is in no annotation file and came in unlabelled, such as 'train2017/c.jpg'",
        "1 image is listed in files without annotations and came in unlabelled, such as "
        "'test2017/d.jpg'",
        "1 image that is listed is not there and was left out, such as 'gone.jpg'",
    ]


async def test_class_ids_follow_the_category_ids(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    categories = [
        {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
        {"id": 0, "name": "things", "supercategory": "none"},
        {"id": 7, "name": "mouse", "supercategory": "things"},
        {"id": "11", "name": "mouse", "supercategory": "things"},
        {"id": 2, "name": " bike\n", "supercategory": "things"},
    ]
    annotations = [_box(1, 90), _box("1", 7), _box(1, 11.0), _box(1, 2), _box(1, 5)]
    text, notes = await _one(persistence_stores, tmp_path, *annotations, categories=categories)

    info = await persistence_stores.dataset.get("cups")
    assert info.classes == ["bike", "class_5", "mouse", "mouse_2", "toothbrush"]
    assert [row.split()[0] for row in text.splitlines()] == ["4", "2", "3", "0", "1"]
    assert notes == [
        "result.json does not name 1 category, called 'class_5' here; rename what has no name",
        "'things' only stand above other categories and have no boxes: left out of the classes",
        "several categories are called 'mouse'; one is the class 'mouse_2' now",
    ]


async def test_a_category_that_stands_above_others_stays_if_it_has_boxes(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    categories = [
        {"id": 0, "name": "things", "supercategory": "none"},
        {"id": 3, "name": "cup", "supercategory": "things"},
    ]
    text, notes = await _one(
        persistence_stores, tmp_path, _box(1), _box(1, 0), categories=categories
    )
    assert [row[0] for row in text.splitlines()] == ["1", "0"]
    assert notes == []


async def test_classes_of_one_name_in_several_files_are_one(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        "train/_annotations.coco.json": _coco(["1.jpg"], [_box(1, 4)], [{"id": 4, "name": "dog"}]),
        "valid/_annotations.coco.json": _coco(
            ["1.jpg"], [_box(1, 1), _box(1, 4)], [{"id": 1, "name": "dog"}, {"id": 4, "name": "ox"}]
        ),
        "train/1.jpg": PICTURE,
        "valid/1.jpg": PICTURE,
    }
    info = await _import(persistence_stores, tmp_path, files)
    assert sorted(info.classes) == ["dog", "ox"]
    dog, ox = info.classes.index("dog"), info.classes.index("ox")
    place = CUP[1:]
    assert _labels(info) == {
        "train/1.txt": f"{dog}{place}",
        "val/1.txt": f"{dog}{place}{ox}{place}",
    }


async def test_class_ids_follow_the_category_ids_of_all_files(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    cup, dog, ox = ({"id": i, "name": name} for i, name in ((1, "cup"), (20, "dog"), (3, "ox")))
    files = {
        "train/_annotations.coco.json": _coco(["1.jpg"], [_box(1, 20)], [dog, cup]),
        "valid/_annotations.coco.json": _coco(["1.jpg"], [_box(1, 20)], [cup, dog, ox]),
        "train/1.jpg": PICTURE,
        "valid/1.jpg": PICTURE,
    }
    info = await _import(persistence_stores, tmp_path, files)
    assert info.classes == ["cup", "ox", "dog"]
    assert {text[0] for text in _labels(info).values()} == {"2"}


async def test_labels_without_pictures_say_what_is_missing(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"result.json": _coco(["images/1.jpg"])}
    with pytest.raises(ArchiveError, match=r"result\.json.*together with their images"):
        await _import(persistence_stores, tmp_path, files)


async def test_what_is_no_box_is_left_out_and_counted(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    nan = float("nan")
    text, notes = await _one(
        persistence_stores,
        tmp_path,
        _box(1),
        _box(1, iscrowd=1, segmentation={"counts": [1, 2], "size": [50, 100]}),
        *(
            _box(1, bbox=bbox)
            for bbox in ([1, 1, 0, 5], [1, 1, -3, 5], [nan, 1, 2, 3], [1, 2], "x")
        ),
        _box(1, bbox=[1, 1, 10**400, 5]),
        _box(1, bbox=None),
        _box(1, bbox=[200, 10, 20, 20]),
        _box(99),
        _box(1, None),
        "nonsense",
        _box(1, bbox=[80, -10, 40, 35]),
        _box(1, 17, [], segmentation=[[40, 15, 60, 15, 60, 35], [40, 35, 41, 35, 40, 34]]),
    )
    assert text == f"{CUP}0 0.90000000 0.25000000 0.20000000 0.50000000\n{DOG}"
    assert [note.partition(", such as ")[0] for note in notes] == [
        "1 annotation was left out: its image is not listed",
        "8 annotations were left out: they have neither a box with finite numbers and an area nor "
        "a polygon",
        "1 annotation without a category was left out",
        "1 annotation of crowds (iscrowd) was left out: such a box holds many things at once",
        "1 box lies outside of its image or has no area and was left out",
        "1 box reached over the border of its image and was clipped",
        "1 annotation has outlines (segmentation): its box was taken",
    ]


@pytest.mark.parametrize(
    ("size", "told"), [((100, 50), 0), ((None, "x"), 0), ((0, 0), 0), ((999, 9), 1)]
)
async def test_the_size_comes_from_the_picture(
    tmp_path: Path, persistence_stores: Stores, size: tuple[object, object], told: int
) -> None:
    text, notes = await _one(persistence_stores, tmp_path, _box(1), size=size)
    assert text == CUP
    assert ["another size than" in note for note in notes] == [True] * told


async def test_boxes_of_pictures_with_an_exif_rotation(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    corner = [_box(1, bbox=[0, 0, 20, 20])]
    files = {
        **{f"{n}/labels.json": _coco(["1.jpg"], corner) for n in ("train", "val")},
        "test/labels.json": _coco(["1.jpg"], corner, size=(50, 100)),
        "train/1.jpg": _image(orientation=6),
        "val/1.jpg": _image(orientation=3),
        "test/1.jpg": _image(orientation=6),
    }
    info = await _import(persistence_stores, tmp_path, files)

    assert _labels(info) == {
        "train/1.txt": "0 0.80000000 0.10000000 0.40000000 0.20000000\n",
        "val/1.txt": "0 0.10000000 0.20000000 0.20000000 0.40000000\n",
        "test/1.txt": "0 0.20000000 0.10000000 0.40000000 0.20000000\n",
    }
    assert [note.rpartition(", such as ")[2][:20] for note in info.notes] == [
        "'train/labels.json',",
        "'val/1.jpg': they we",
    ]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_turn_with_the_pixels(orientation: int) -> None:
    pixels = np.zeros((50, 100), np.uint8)
    pixels[5:15, 60:90] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    with Image.open(buffer) as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    rows, columns = np.nonzero(shown)

    record = Record("x.json", boxes=[Box("cup", 60, 5, 90, 15, 1)], size=(100, 50))
    boxes = place([record], [ImageHeader(100, 50, orientation)]).boxes
    found = to_pixels(boxes, shown.shape[1], shown.shape[0])

    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found[0], expected)


async def test_a_picture_in_several_splits_goes_to_what_scores_are_measured_on(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        "annotations/instances_train.json": _coco(["1.jpg", "2.jpg"]),
        "annotations/instances_val.json": _coco(["1.jpg"], [_box(1, 17)]),
        "annotations/instances_all.json": _coco(["1.jpg", "2.jpg", "3.jpg"]),
        **{f"images/{n}.jpg": PICTURE for n in (1, 2, 3)},
    }
    info = await _import(persistence_stores, tmp_path, files)
    assert _labels(info) == {"val/1.txt": DOG, "train/2.txt": CUP, "train/3.txt": CUP}
    assert any(note.startswith("2 images are listed in several files") for note in info.notes)


async def test_boxes_of_one_picture_in_two_files_are_put_together(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        "ann.json": _coco(["1.jpg"], [_box(1), _box(1)]),
        "bob.json": _coco({5: "1.jpg", 6: "1.jpg"}, [_box(5), _box(6, 17)]),
        "1.jpg": PICTURE,
    }
    info = await _import(persistence_stores, tmp_path, files)
    assert _labels(info) == {"train/1.txt": CUP + CUP + DOG}


async def test_a_name_that_could_be_another_picture_is_not_guessed(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        "train/_annotations.coco.json": _coco(["1.jpg"]),
        "valid/_annotations.coco.json": _coco(["2.jpg", "x/3.jpg", "y/3.jpg"]),
        "train/1.jpg": PICTURE,
        "train/2.jpg": PICTURE,  # valid lists a picture of that name, which is not there
        "valid/3.jpg": PICTURE,  # one of two
    }
    info = await _import(persistence_stores, tmp_path, files)
    assert _images(info) == ["train/1.jpg", "train/2.jpg", "val/3.jpg"]
    assert _labels(info) == {"train/1.txt": CUP}
    assert any(note.startswith("3 images that are listed are not there") for note in info.notes)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_coco(["1.jpg"])[:-30], "found it damaged"),
        (b'{"annotations": [' + b"[" * 200_000, "found it damaged"),
        (b"", "found it damaged"),
        (b'{"images": [\xff]}', "found it damaged"),
        (b'{"images": [' + b"9" * 5_000 + b"]}", "found it damaged"),
        (b"[1, 2]", "expected COCO's keys"),
        (b'{"images": [], "annotations": {}}', "a list as 'annotations'"),
        (_coco(["elsewhere.jpg"]), "expected the pictures that it is about, found none"),
    ],
    ids=[
        "cut off",
        "nested",
        "empty",
        "no text",
        "a huge number",
        "a list",
        "no list",
        "no images",
    ],
)
async def test_a_file_that_cannot_be_read_is_named_and_nothing_is_left(
    tmp_path: Path, persistence_stores: Stores, data: bytes, problem: str, packed: bool
) -> None:
    files = {"annotations/instances_default.json": data, "images/1.jpg": PICTURE}
    if packed:
        source = write_zip(tmp_path / "cups.zip", files)
    else:
        source = _folder(tmp_path / "in" / "cups", files)
    with pytest.raises(ImportFormatError, match=r"cups.*annotations/instances_default\.json") as e:
        await import_dataset(persistence_stores, source)
    assert problem in str(e.value)
    assert await persistence_stores.dataset.list() == []
    assert not (tmp_path / "data" / "cups").exists()


async def test_a_json_of_another_kind_leaves_pictures_as_they_were(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    boxes = {"my pictures": [{"1.jpg": {"my boxes": {"points": [1, 2, 3, 4]}}}]}
    files = {
        "mine.json": json.dumps(boxes).encode(),
        "results.json": json.dumps([_box(1, score=0.5)]).encode(),
        "notes.json": b'{"images": 3, "by": "Ann"}',
        "1.jpg": PICTURE,
    }
    with pytest.raises(ImportFormatError, match="in no form that is known"):
        await _import(persistence_stores, tmp_path, files)
    info = await import_dataset(persistence_stores, tmp_path / "in" / "cups", unknown="ignore")
    assert (_images(info), _labels(info)) == (["train/1.jpg"], {})
    assert info.ledger.left("files") == len(files) - 1


async def test_progress_is_told_and_cancels_also_while_annotations_are_read(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    many = [_box(1)] * 20_000
    source = _folder(
        tmp_path / "in" / "cups",
        {"labels.json": _coco(["1.jpg", "2.jpg"], many), "1.jpg": PICTURE, "2.jpg": PICTURE},
    )
    told: list[tuple[int, int]] = []

    def stop_at(count: int) -> Progress:
        def progress(done: int, total: int) -> None:
            told.append((done, total))
            if len(told) == count:
                raise InterruptedError

        told.clear()
        return progress

    await import_dataset(persistence_stores, source, "whole", progress=stop_at(10**9))
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    steps = len(told)
    for count in range(1, steps):
        with pytest.raises(InterruptedError):
            await import_dataset(persistence_stores, source, "part", progress=stop_at(count))
        assert not await persistence_stores.dataset.exists("part")
    assert steps > 4


async def test_the_annotation_files_can_be_chosen(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {"ann.json": _coco(["1.jpg"]), "bob.json": _coco(["1.jpg"], []), "1.jpg": PICTURE}
    source = _folder(tmp_path / "in", files)
    info = await import_dataset(persistence_stores, source / "bob.json", "bob")
    assert _labels(info) == {"train/1.txt": ""}
    assert any(note.startswith("no annotation file has a box") for note in info.notes)
    info = await import_dataset(persistence_stores, source / "ann.json")
    assert (info.name, _labels(info)) == ("ann", {"train/1.txt": CUP})


async def test_a_name_that_is_taken_is_refused(tmp_path: Path, persistence_stores: Stores) -> None:
    source = _folder(tmp_path / "in", {"labels.json": _coco(["1.jpg"]), "data/1.jpg": PICTURE})
    await persistence_stores.dataset.create("ds", ["x"])
    with pytest.raises(AlreadyExistsError):
        await import_dataset(persistence_stores, source, "ds")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    width=st.integers(10, 8000),
    height=st.integers(10, 8000),
    corners=st.lists(
        st.tuples(*(st.floats(0, 1) for _ in range(4))).filter(
            lambda c: abs(c[0] - c[2]) > 0.01 and abs(c[1] - c[3]) > 0.01
        ),
        min_size=1,
    ),
)
def test_boxes_there_and_back(
    width: int, height: int, corners: list[tuple[float, float, float, float]]
) -> None:
    sides = np.array([width, height, width, height])
    pixels = np.array(corners) * sides
    left_top = np.minimum(pixels[:, :2], pixels[:, 2:])
    bboxes = np.concatenate([left_top, np.maximum(pixels[:, :2], pixels[:, 2:]) - left_top], axis=1)
    found = [
        Box("cup", x, y, x + wide, y + high, n)
        for n, (x, y, wide, high) in enumerate(bboxes.tolist())
    ]
    # A corner far away, lest boxes of a few pixels are taken for fractions.
    far = Box("cup", 0, 0, width, height, 0)
    record = Record("x.json", boxes=[*found, far], size=(width, height))

    placed = place([record], [ImageHeader(width, height)])

    back = to_pixels(placed.boxes[:-1], width, height)
    back[:, 2:] -= back[:, :2]
    assert not placed.clipped.any()
    np.testing.assert_allclose(back / sides, bboxes / sides, atol=1e-6)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "images",
                        "annotations",
                        "categories",
                        "id",
                        "file_name",
                        "bbox",
                        "image_id",
                        "category_id",
                        "segmentation",
                        "width",
                        "name",
                        "iscrowd",
                    ]
                ),
                inner,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_a_file_holds_it_is_read_or_named(data: bytes) -> None:
    try:
        said = f"{parse(parse_json(data, 'x.json'), 'x.json').where}: expected"
    except ImportFormatError as error:
        said = str(error)
    assert said.startswith("x.json: expected")


async def test_of_several_files_those_that_are_sound_are_read(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    """As of other formats: pictures of the damaged one are not labelled yet, which is said."""
    train, val = _coco(["1.jpg"]), _coco(["2.jpg"])
    files = {f"train/{n}.jpg": PICTURE for n in (1,)} | {"val/2.jpg": PICTURE}
    source = _folder(
        tmp_path / "in",
        {**files, "instances_train.json": train[:-30], "instances_val.json": val},
    )
    plan = await plan_import(persistence_stores, source)
    assert (plan.counts()["train"]["labelled"], plan.counts()["val"]["labelled"]) == (0, 1)
    [told] = plan.ledger.some("damaged file")
    assert told.file == "instances_train.json"
    assert "found it damaged" in told.detail
    assert any("instances_train.json" in note for note in plan.notes)
    (source / "instances_val.json").write_bytes(val[:-30])
    with pytest.raises(ImportFormatError, match="found it damaged"):
        await plan_import(persistence_stores, source)
