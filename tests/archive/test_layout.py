"""Where the members of other tools' archives go."""

from __future__ import annotations

import pytest

from workbench.errors import ArchiveError
from workbench.persistence.archive import plan_layout

TO_OURS = {
    "ours": {
        "data.yaml": None,
        "images/train/a.jpg": "images/train/a.jpg",
        "images/val/b.png": "images/val/b.png",
        "images/test/c.webp": "images/test/c.webp",
        "labels/train/a.txt": "labels/train/a.txt",
        "labels/val/b.txt": "labels/val/b.txt",
        ".workbench/dataset.json": ".workbench/dataset.json",
        ".workbench/prompts.json": ".workbench/prompts.json",
        ".workbench/history/v1/labels.json": ".workbench/history/v1/labels.json",
    },
    "ours in a folder": {
        "pets/data.yaml": None,
        "pets/images/train/a.jpg": "images/train/a.jpg",
        "pets/.workbench/prompts.json": ".workbench/prompts.json",
    },
    "Roboflow": {
        "data.yaml": None,
        "train/images/a.jpg": "images/train/a.jpg",
        "train/labels/a.txt": "labels/train/a.txt",
        "valid/images/b.jpg": "images/val/b.jpg",
        "valid/labels/b.txt": "labels/val/b.txt",
        "test/images/c.jpg": "images/test/c.jpg",
    },
    "Roboflow, one split": {
        "train/images/a.jpg": "images/train/a.jpg",
        "train/labels/a.txt": "labels/train/a.txt",
    },
    "Ultralytics, deep": {
        "datasets/coco8/images/train2017/1.jpg": "images/train/1.jpg",
        "datasets/coco8/labels/train2017/1.txt": "labels/train/1.txt",
        "datasets/coco8/images/val2017/2.jpg": "images/val/2.jpg",
        "datasets/coco8.yaml": None,
    },
    "long names of splits": {
        "images/training/a.jpg": "images/train/a.jpg",
        "images/validation/b.jpg": "images/val/b.jpg",
        "images/testing/c.jpg": "images/test/c.jpg",
        "labels/validation/b.txt": "labels/val/b.txt",
    },
    "another case": {
        "Data/Images/Train/a.JPG": "images/train/a.JPG",
        "Data/Labels/Train/A.TXT": "labels/train/a.txt",
    },
    "a top folder called test": {
        "test/images/train/a.jpg": "images/train/a.jpg",
        "test/images/val/b.jpg": "images/val/b.jpg",
        "test/labels/val/b.txt": "labels/val/b.txt",
    },
    "no splits": {
        "images/a.jpg": "images/train/a.jpg",
        "labels/a.txt": "labels/train/a.txt",
        "classes.txt": None,
    },
    "side by side": {
        "a.jpg": "images/train/a.jpg",
        "a.txt": "labels/train/a.txt",
        "classes.txt": None,
    },
    "side by side in a folder": {
        "shots/a.b.jpg": "images/train/a.b.jpg",
        "shots/a.b.txt": "labels/train/a.b.txt",
    },
    "side by side with splits": {
        "x/train/a.jpg": "images/train/a.jpg",
        "x/train/a.txt": "labels/train/a.txt",
        "x/val/b.jpg": "images/val/b.jpg",
        "x/val/b.txt": "labels/val/b.txt",
    },
    "side by side, one split": {
        "train/a.jpg": "images/train/a.jpg",
        "train/a.txt": "labels/train/a.txt",
    },
    "labels beside images in images/": {
        "images/train/a.jpg": "images/train/a.jpg",
        "images/train/a.txt": "labels/train/a.txt",
    },
    "Darknet": {
        "obj.names": None,
        "obj_train_data/a.jpg": "images/train/a.jpg",
        "obj_train_data/a.txt": "labels/train/a.txt",
        "obj_valid_data/b.jpg": "images/val/b.jpg",
    },
    "subfolders": {
        "images/train/run1/0.jpg": "images/train/run1_0.jpg",
        "images/train/run2/0.jpg": "images/train/run2_0.jpg",
        "labels/train/run2/0.txt": "labels/train/run2_0.txt",
    },
    "decomposed Unicode": {
        "images/train/u\u0308.jpg": "images/train/ü.jpg",
        "labels/train/ü.txt": "labels/train/ü.txt",
    },
}


@pytest.mark.parametrize("shape", TO_OURS)
def test_shapes(shape: str) -> None:
    expected = {name: target for name, target in TO_OURS[shape].items() if target is not None}
    layout = plan_layout(list(TO_OURS[shape]))
    assert layout.targets == expected
    found = {layout.data_yaml, *layout.other_yamls, *layout.class_lists} - {None}
    assert found == set(TO_OURS[shape]) - set(expected)
    for kind, counts in (("images", layout.num_images), ("labels", layout.num_labels)):
        assert counts == {
            split: sum(t.startswith(f"{kind}/{split}/") for t in expected.values())
            for split in ("train", "val", "test")
        }
    for note in layout.notes:
        assert "dropped" not in note


def test_the_nearest_description_counts() -> None:
    images = ["a/b/images/train/x.jpg"]
    layout = plan_layout([*images, "data.yaml", "a/data.yaml", "a/b/dataset.yml", "a/b/hyp.yaml"])
    assert layout.data_yaml == "a/data.yaml"
    layout = plan_layout([*images, "a/b/dataset.yml", "a/b/hyp.yaml"])
    assert (layout.data_yaml, layout.other_yamls) == ("a/b/dataset.yml", [])
    layout = plan_layout([*images, "x.yaml", "a/y.yml"])
    assert (layout.data_yaml, layout.other_yamls) == (None, ["x.yaml", "a/y.yml"])


def test_class_lists_may_lie_beside_the_labels() -> None:
    names = ["images/train/a.jpg", "labels/train/classes.txt", "labels/val/classes.txt"]
    assert plan_layout(names).class_lists == names[1:]
    assert plan_layout([*names, "classes.txt"]).class_lists == ["classes.txt"]


def test_a_label_file_is_no_class_list() -> None:
    layout = plan_layout(["images/train/classes.jpg", "labels/train/classes.txt"])
    assert layout.targets["labels/train/classes.txt"] == "labels/train/classes.txt"
    assert layout.class_lists == []


def test_what_is_dropped_is_told_by_kind_with_one_example() -> None:
    names = [
        "images/train/a.jpg",
        *(f"labels/train/{i}.cache" for i in range(3)),
        "images/train/a.npy",
        "x.pkl",
        "y.pickle",
        "labels/train/orphan.txt",
        "preview.jpg",
        "images/train/b.heic",
        "annotations.json",
        "notes.md",
        ".git/config",
        "images/train/._a.jpg",
        ".workbench/trash/1/a.jpg",
        ".workbench/history/con/a.json",
    ]
    layout = plan_layout(names)
    assert layout.targets == {"images/train/a.jpg": "images/train/a.jpg"}
    notes = "\n".join(layout.notes)
    for count, example in (
        (3, "labels/train/0.cache"),
        (1, "images/train/a.npy"),
        (2, "x.pkl"),
        (1, "labels/train/orphan.txt"),
        (1, "preview.jpg"),
        (1, "images/train/b.heic"),
        (1, "annotations.json"),
        (1, "notes.md"),
        (4, ".git/config"),
    ):
        assert any(n.startswith(f"{count} ") and repr(example) in n for n in layout.notes), notes
    assert len(layout.notes) == 9


def test_ten_thousand_orphans_are_one_sentence() -> None:
    names = ["images/train/a.jpg", *(f"labels/train/x{i}.txt" for i in range(10_000))]
    (note,) = plan_layout(names).notes
    assert note.startswith("10000 label")


def test_no_split_and_subfolders_are_told() -> None:
    notes = plan_layout(["images/a.jpg", "images/run/b.jpg"]).notes
    assert any("no split" in note and note.startswith("2 ") for note in notes)
    assert any("'images/run/b.jpg'" in note and "subfolders" in note for note in notes)


REFUSED = {
    "no images": (
        ["data.yaml", "labels/train/a.txt"],
        r"images \(\.bmp.*1 text file, .* 1 other; .*images/train",
    ),
    "nothing": ([], r"no files at all"),
    "an archive inside": (["export/dataset.zip"], r"unpack that"),
    "only formats that nobody reads": (["a.heic"], r"convert"),
    "two datasets": (
        ["cats/images/train/a.jpg", "dogs/images/train/b.jpg"],
        r"one dataset.*'cats'.*'dogs'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    names, message = REFUSED[case]
    with pytest.raises(ArchiveError, match=r"(?s)" + message):
        plan_layout(names)


RENAMED = {
    "one label for two": (
        ["images/train/a.jpg", "images/train/a.png", "labels/train/a.txt"],
        {"images/train/a.png": "images/train/a_png.png"},
    ),
    "one label for two, by case": (
        ["images/train/a.jpg", "images/train/A.png"],
        {"images/train/A.png": "images/train/A_png.png"},
    ),
    "the new name is taken": (
        ["images/train/a.jpg", "images/train/a_png.jpg", "images/train/a.png"],
        {"images/train/a.png": "images/train/2_a.png"},
    ),
    "two folders of one split": (
        ["valid/images/a.jpg", "val/images/a.jpg", "val/labels/a.txt"],
        {
            "val/images/a.jpg": "images/val/val_a.jpg",
            "val/labels/a.txt": "labels/val/val_a.txt",
        },
    ),
    "names that meet when flattened": (
        ["images/train/x_y.jpg", "images/train/x/y.jpg"],
        {"images/train/x/y.jpg": "images/train/x_y_jpg.jpg"},
    ),
    "a name that Windows keeps": (
        ["images/train/nul.jpg"],
        {"images/train/nul.jpg": "images/train/_nul.jpg"},
    ),
    "a name that Windows refuses": (
        ["images/train/12:30.jpg", "labels/train/12:30.txt"],
        {
            "images/train/12:30.jpg": "images/train/12_30.jpg",
            "labels/train/12:30.txt": "labels/train/12_30.txt",
        },
    ),
    "spaces and dots": (
        ["images/train/ a. .jpg"],
        {"images/train/ a. .jpg": "images/train/a.jpg"},
    ),
    "a name too long": (
        ["images/train/" + "ü" * 110 + ".jpg"],
        {"images/train/" + "ü" * 110 + ".jpg": "images/train/" + "ü" * 98 + ".jpg"},
    ),
}


@pytest.mark.parametrize("case", RENAMED)
def test_what_cannot_keep_its_name_gets_another_and_keeps_its_labels(case: str) -> None:
    names, renamed = RENAMED[case]
    layout = plan_layout(names)
    assert {name: layout.targets[name] for name in renamed} == renamed
    assert len(set(map(str.lower, layout.targets.values()))) == len(names)
    image = next(name for name in renamed if name.startswith(("images", "val")))
    assert any(repr(image) in note and "renamed" in note for note in layout.notes)


def test_images_that_share_a_label_file_get_a_copy_each() -> None:
    names = ["images/train/a.jpg", "images/train/a.png", "labels/train/a.txt"]
    layout = plan_layout(names)
    assert layout.targets["labels/train/a.txt"] == "labels/train/a.txt"
    assert layout.copies == {"labels/train/a.txt": ["labels/train/a_png.txt"]}
    assert layout.num_labels["train"] == 2
    assert any("'labels/train/a.txt'" in note and "copy" in note for note in layout.notes)


def test_the_same_name_in_two_splits_is_fine() -> None:
    layout = plan_layout(["images/train/a.jpg", "images/val/a.jpg", "labels/val/a.txt"])
    assert layout.targets["labels/val/a.txt"] == "labels/val/a.txt"
    assert layout.num_labels == {"train": 0, "val": 1, "test": 0}
