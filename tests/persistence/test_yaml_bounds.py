"""YAML from anybody: small files that would cost minutes or gigabytes, odd ones that are read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yaml

from tests.helpers.pictures import jpeg
from workbench.errors import ArchiveError, InvalidDatasetError, WorkbenchError
from workbench.persistence import Stores, create_stores
from workbench.persistence.archive.data_yaml import parse_class_list, parse_data_yaml
from workbench.persistence.yaml_bounds import MAX_BYTES, problem_of
from workbench.persistence.yolo.data_yaml import DataYaml, parse
from workbench.persistence.yolo.yaml_text import rewritten


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


def _moved_folder(tmp_path: Path, text: bytes) -> Path:
    base = tmp_path / "data" / "pets"
    for folder in ("images/train", "labels/train"):
        (base / folder).mkdir(parents=True)
    (base / "images/train/a.jpg").write_bytes(jpeg(1))
    (base / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (base / "data.yaml").write_bytes(text)
    return base


def test_many_equal_names_are_numbered_one_after_the_other() -> None:
    # The number of each is found where that of the one before was, not by trying from 2:
    # the test would take minutes else.
    names = b", ".join([b"cat"] * 9_000 + [b"cat_3"])
    classes, _, notes = parse_data_yaml(b"names: [" + names + b"]", "data.yaml")
    assert classes[:4] == ["cat", "cat_2", "cat_4", "cat_5"]
    assert classes[-2:] == ["cat_9001", "cat_3"]
    assert len(set(classes)) == 9_001
    [note] = notes
    assert len(note) < 500


def test_many_empty_names_in_a_class_list() -> None:
    classes, _ = parse_class_list(b"class_1\n\n\n" * 3_000 + b"x", "classes.txt")
    assert len(set(classes)) == len(classes) == 9_001
    assert classes[1] == "class_1_2"


LAUGHS = b"names: [cat]\nx0: &x0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + b"".join(
    b"x%d: &x%d [%s]\n" % (i, i, b", ".join([b"*x%d" % (i - 1)] * 9)) for i in range(1, 12)
)
LONG_TEXT = b"a: &a " + b"x" * 100_000 + b"\nb: [" + b", ".join([b"*a"] * 1_000) + b"]\nnames: [c]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "written out"),
        (LONG_TEXT, "written out"),
        (b"names: [cat]\nx: &x [*x]", "inside itself"),
        (b"names: [cat]\nx: " + b"[" * 30 + b"]" * 30, "20 levels"),
        # So deep that the parser itself may refuse it, in words of its own.
        (b"names: [cat]\nx: " + b"[" * 5_000, "20 levels"),
        (b"names: [cat]\n#" + b"x" * MAX_BYTES, "1048576 bytes"),
        (b"names: [" + b"a," * 200_000 + b"]", "100,000 names"),
        (b"names: [cat]\nx: !!bool perhaps", "valid YAML"),
        (b"names: [cat]\nx: !!int ''", "valid YAML"),
        (b"names: [cat]\nx: !!timestamp today", "valid YAML"),
        (b"names: [cat]\nx: " + b"9" * 5_000, "1,000 digits"),
        (b"names: [cat]\nx: 1" + b":1" * 400_000, "1,000 digits"),
        (b"names: [cat]\nx: !!float '1" + b" : 1" * 200_000 + b".5'", "1,000 digits"),
    ],
)
async def test_a_moved_folder_with_a_dangerous_data_yaml_is_refused_in_one_sentence(
    tmp_path: Path, stores: Stores, text: bytes, message: str
) -> None:
    base = _moved_folder(tmp_path, text)
    with pytest.raises(InvalidDatasetError, match=message) as caught:
        await stores.dataset.get("pets")
    assert str(base / "data.yaml") in str(caught.value)
    assert len(str(caught.value)) < 1_000


def test_an_archive_with_a_long_text_that_many_places_name_is_refused() -> None:
    with pytest.raises(ArchiveError, match="written out"):
        parse_data_yaml(LONG_TEXT, "data.yaml")


def test_aliases_of_what_is_small_are_read() -> None:
    text = b"names: &n [cat, dog]\nsame: *n\nlicence: &l CC0\nagain: [*l, *l]\n"
    assert problem_of(text) is None
    assert parse(text, "data.yaml").extra == {
        "same": ["cat", "dog"],
        "licence": "CC0",
        "again": ["CC0", "CC0"],
    }


ODD = {
    "a key that is a list": b"? [a, b]\n: c\nnames: [cat]\n",
    "names through an alias": b"list: &n [cat]\nnames: *n\n",
    "names that name each other": b"names: [&c cat, *c]\n",
    "names through a merge key": b"<<: {names: [cat]}\n",
    "names as a set": b"names: !!set {cat, dog}\n",
    "names as pairs": b"names: !!omap [0: cat]\n",
    "a binary name": b"names: [!!binary aGk=]\n",
    "ids as a list": b"names: {? [0] : cat}\n",
    "a number for names": b"names: 7\n",
    "nothing for names": b"names:\n",
    "the folder of a split as a list": b"names: [cat]\ntrain: [images/train]\n",
    "UTF-16": "names: [cat]\n".encode("utf-16"),
    "two documents": b"names: [cat]\n---\nnames: [dog]\n",
    "tags": b"names: [cat]\nwhen: 2024-02-30\n",
    "in braces": b"{names: [cat], nc: 1}",
    "names twice": b"names: [cat]\nnames: [dog]\n",
    "negative ids": b"names: {-1: cat}\n",
}


@pytest.mark.parametrize("case", ODD)
async def test_an_odd_data_yaml_is_changed_or_refused_and_nothing_else(
    tmp_path: Path, stores: Stores, case: str
) -> None:
    base = _moved_folder(tmp_path, ODD[case])
    try:
        before = (await stores.dataset.get("pets")).classes
    except WorkbenchError:
        with pytest.raises(WorkbenchError):
            await stores.dataset.update_classes("pets", ["cat", "dog", "emu"])
        assert (base / "data.yaml").read_bytes() == ODD[case]
        return
    wanted = ["cat", *before[1:], "emu"]
    if len(set(wanted)) < len(wanted):
        wanted = ["cat", *(f"class {i}" for i in range(len(before)))]
    await stores.dataset.update_classes("pets", wanted)
    assert (await stores.dataset.get("pets")).classes == wanted
    names = yaml.safe_load((base / "data.yaml").read_bytes())["names"]
    assert list(names.values() if isinstance(names, dict) else names) == wanted


@pytest.mark.parametrize("case", ODD)
def test_what_can_be_read_can_be_written_again(case: str) -> None:
    try:
        old = parse(ODD[case], "data.yaml")
    except InvalidDatasetError:
        return
    new = DataYaml([*old.classes, "more"], old.extra)
    assert parse(rewritten(ODD[case], new), "data.yaml") == new


COMMANDS = b"names: [cat]\ndownload: |\n  import os\n  os.system('touch ran')\nlicense: CC0\n"


async def test_a_download_in_a_moved_folder_goes_into_no_snapshot_export_or_copy(
    tmp_path: Path, stores: Stores
) -> None:
    base = _moved_folder(tmp_path, COMMANDS)
    snapshot = await stores.dataset.snapshot("pets", tmp_path / "run")
    archive = await stores.dataset.export_zip("pets", output_path=tmp_path / "pets.zip")
    await stores.dataset.copy_images("pets", "other", [("train", "a.jpg")])
    await stores.dataset.freeze("pets", "v1")
    old = await stores.dataset.snapshot("pets", tmp_path / "old run", version="v1")
    written = [
        snapshot.data_yaml.read_bytes(),
        zipfile.ZipFile(archive).read("data.yaml"),
        (tmp_path / "data" / "other" / "data.yaml").read_bytes(),
        old.data_yaml.read_bytes(),
    ]
    for text in written:
        content = yaml.safe_load(text)
        assert "download" not in content
        assert content["license"] == "CC0"
        assert b"# 'download' was left out" in text
        assert b"os.system" not in text
    # The user's own file is theirs; nothing that we start reads that line.
    assert (base / "data.yaml").read_bytes() == COMMANDS
