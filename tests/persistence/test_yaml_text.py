"""``data.yaml`` of other people: read as it is written, and nothing of theirs lost in a change."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.helpers.pictures import jpeg
from workbench.errors import InvalidDatasetError
from workbench.persistence import Stores, create_stores
from workbench.persistence.yolo.data_yaml import DataYaml, parse
from workbench.persistence.yolo.yaml_text import rewritten

COMMENTED = """\
# pets of our street, by Ann
path: /home/ann/pets
train: images/train  # 80 %
val: ./images/val/
test: # none yet

# what is on them
nc: 2
names:
  0: cat  # also kittens
  1: dog

roboflow: &r
  license: CC BY 4.0
again: *r
# the end
"""


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


def _arrange(tmp_path: Path, text: str) -> Path:
    base = tmp_path / "data" / "pets"
    for folder in ("images/train", "labels/train"):
        (base / folder).mkdir(parents=True)
    (base / "images/train/a.jpg").write_bytes(jpeg(1))
    (base / "labels/train/a.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    path = base / "data.yaml"
    path.write_bytes(text.encode())
    return path


async def test_renamed_and_appended_classes_keep_every_comment(
    tmp_path: Path, stores: Stores
) -> None:
    path = _arrange(tmp_path, COMMENTED)
    await stores.dataset.update_classes("pets", ["cat", "hound: big", "yes"])
    assert path.read_text() == COMMENTED.replace("path: /home/ann/pets\n", "").replace(
        "nc: 2", "nc: 3"
    ).replace("  1: dog\n", "  1: 'hound: big'\n  2: 'yes'\n")
    assert (await stores.dataset.get("pets")).classes == ["cat", "hound: big", "yes"]


async def test_a_rewrite_keeps_comments_and_its_undoing_every_byte(
    tmp_path: Path, stores: Stores
) -> None:
    path = _arrange(tmp_path, COMMENTED)
    done = await stores.dataset.rewrite_classes("pets", ["dog"], {0: None, 1: 0})
    text = path.read_text()
    for kept in ("# pets of our street, by Ann", "# 80 %", "# what is on them", "# the end", "&r"):
        assert kept in text
    assert yaml.safe_load(text)["names"] == {0: "dog"}
    await stores.dataset.undo_rewrite("pets", done.id)
    assert path.read_text() == COMMENTED
    assert (path.parent / "labels/train/a.txt").read_text() == "1 0.5 0.5 0.2 0.2\n"


async def test_undoing_a_rewrite_keeps_what_was_edited_since(
    tmp_path: Path, stores: Stores
) -> None:
    path = _arrange(tmp_path, COMMENTED)
    done = await stores.dataset.rewrite_classes("pets", ["dog", "cat"], {0: 1, 1: 0})
    path.write_text(path.read_text() + "# added later\n")
    await stores.dataset.undo_rewrite("pets", done.id)
    text = path.read_text()
    assert text.endswith("# the end\n# added later\n")
    assert yaml.safe_load(text)["names"] == {0: "cat", 1: "dog"}


async def test_restoring_a_version_keeps_comments(tmp_path: Path, stores: Stores) -> None:
    path = _arrange(tmp_path, COMMENTED)
    await stores.dataset.freeze("pets", "v1")
    await stores.dataset.update_classes("pets", ["cat", "hound"])
    await stores.dataset.restore_version("pets", "v1")
    assert path.read_text() == COMMENTED.replace("path: /home/ann/pets\n", "")


FORMS = {
    "list": ("names:\n- cat\n- dog # d\n", "names:\n- cat\n- hound # d\n- bird\n"),
    "deep list": ("names:\n  - cat\n  - dog\n", "names:\n  - cat\n  - hound\n  - bird\n"),
    "brackets": ("names: ['cat', dog]  # c\n", "names: ['cat', hound, bird]  # c\n"),
    "braces": ("names: {0: cat, 1: dog}\n", "names: {0: cat, 1: hound, 2: bird}\n"),
    "quoted ids": (
        "names:\n  '0': cat\n  '1': dog",
        "names:\n  '0': cat\n  '1': hound\n  2: bird",
    ),
    "another order": ("names: {1: dog, 0: cat}\n", "names: {0: cat, 1: hound, 2: bird}\n"),
    "Windows": ("names: [cat, dog]\r\nx: 1\r\n", "names: [cat, hound, bird]\r\nx: 1\r\n"),
    "byte order mark": ("\ufeffnames: [cat, dog]\n", "names: [cat, hound, bird]\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_names(form: str) -> None:
    before, after = FORMS[form]
    folders = "train: images/train\nval: images/val\ntest: images/test\n"
    old = parse((before).encode(), "data.yaml")
    new = DataYaml(["cat", "hound", "bird"], old.extra)
    assert rewritten(before.encode(), new).decode() == folders + after
    shorter = rewritten(before.encode(), DataYaml(["dog"], old.extra))
    assert parse(shorter, "data.yaml") == DataYaml(["dog"], old.extra)


def test_what_cannot_be_changed_in_place_is_written_anew() -> None:
    new = DataYaml(["dog"], {"x": ["cat"]})
    for odd in (b"{names: [cat], x: [cat]}", b"x: &n [cat]\nnames: *n\n", b"\xff\xfen\0"):
        assert rewritten(odd, new) == new.to_bytes()


def test_names_are_what_is_written() -> None:
    for text in (
        "names: [1, yes, null, 1.50]",
        "names: {0: 1, 1: yes, 2: null, 3: 1.50}",
        "names: {'0': '1', '1': 'yes', '2': 'null', '3': '1.50'}",
    ):
        assert parse(text.encode(), "data.yaml").classes == ["1", "yes", "null", "1.50"]


REFUSED = {
    "no names": ("train: images/train\n", r"'names'.*import_dataset"),
    "names without a value": ("names:\n", r"'names'.*import_dataset"),
    "a gap": ("names: {0: cat, 2: dog}\n", r"ids 0 to 1, found 0, 2.*import_dataset"),
    "nested": ("names: [[cat], [dog]]\n", r"plain text"),
    "one text": ("names: cat\n", r"found 'cat'; write names"),
    "tabs": ("names:\n\t- cat\n", r"not valid YAML.*tabs"),
    "cut off": ("names: [a, b\ntrain: x\n", r"not valid YAML.*: in line 2: "),
    "no text": ("names:\n- \0\n", r"not valid YAML.*: in line 2: bytes that are no text"),
    "another layout": ("train: ../train/images\nnames: [cat]\n", r"images/train.*import_dataset"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_what_to_do(case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(InvalidDatasetError, match=r"^/d/data\.yaml: .*" + message):
        parse(text.encode(), "/d/data.yaml")


def test_another_layout_in_a_bucket_is_to_be_downloaded_first() -> None:
    """An import takes files of this machine only."""
    with pytest.raises(InvalidDatasetError, match=r"another layout: download it and import that"):
        parse(b"train: train/images\nnames: [cat]\n", "s3://lab/data/pets/data.yaml")
