"""Text that is not in UTF-8 is told, with what it could be, and read as somebody chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, labels, voc, voc_object
from workbench import import_dataset
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ImportFormatError
from workbench.panels.shared.import_words import plan_page
from workbench.persistence import Stores

PIC = {"images/a.jpg": PICTURE}
ROW = "0 0.25 0.35 0.3 0.5\n"
ONE = {"train/a": [(0.0, *BOX)]}


def _json(name: str, encoding: str) -> bytes:
    text = json.dumps(coco({"bbox": [20, 10, 60, 50]})).replace('"cat"', f'"{name}"')
    return text.encode(encoding)


def _sets(name: str, encoding: str) -> dict[str, dict[str, Any]]:
    table = f"filename,class,xmin,ymin,xmax,ymax\na.jpg,{name},20,10,80,60\n"
    return {
        "a list": {**PIC, "labels/a.txt": ROW, "classes.txt": f"{name}\n".encode(encoding)},
        "rows": {**PIC, "labels/a.txt": ROW.replace("0", name, 1).encode(encoding)},
        "yaml": {
            **PIC,
            "labels/a.txt": ROW,
            "data.yaml": f"names: ['{name}']\n".encode(encoding),
        },
        "VOC": {
            **PIC,
            "xml/a.xml": voc(voc_object("NAME")).replace(b"NAME", name.encode(encoding)),
        },
        "COCO": {**PIC, "x.json": _json(name, encoding)},
        "a table": {**PIC, "boxes.csv": table.encode(encoding)},
    }


SETS = _sets("cat", "ascii")


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize(
    ("name", "encoding"), [("猫咪", "gb18030"), ("ネコ", "shift_jis"), ("кошка", "cp1251")]
)
async def test_it_is_read_as_chosen(
    kind: str, name: str, encoding: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    files = _sets(name, encoding)[kind]
    source = folder(tmp_path / "in" / "set", files)
    plan = await plan_import(persistence_stores, source)
    told = next(note for note in plan.notes if "not in UTF-8" in note)
    assert f"{encoding} ({name})" in told
    plan = await plan.choose(encoding=encoding)
    assert plan.classes == [name]
    assert labels(await plan.apply()) == ONE


@pytest.mark.parametrize("kind", SETS)
async def test_western_letters_need_no_choice(
    kind: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", _sets("Käse", "cp1252")[kind])
    info = await import_dataset(persistence_stores, source)
    assert (info.classes, labels(info)) == (["Käse"], ONE)


@pytest.mark.parametrize("kind", SETS)
async def test_of_utf8_nothing_is_said(
    kind: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", _sets("猫咪", "utf-8")[kind])
    plan = await plan_import(persistence_stores, source)
    assert plan.classes == ["猫咪"]
    assert not any("UTF-8" in note for note in plan.notes)


async def test_the_page_offers_it_where_there_is_such_text(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    for encoding, is_offered in (("gb18030", True), ("utf-8", False)):
        source = folder(tmp_path / encoding / "set", _sets("猫咪", encoding)["a list"])
        plan = await plan_import(persistence_stores, source)
        page = plan_page(plan, origin="set", name="set", datasets=())
        assert any(choice["key"] == "encoding" for choice in page["choices"]) == is_offered


async def test_an_unknown_encoding_is_refused(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "set", SETS["a list"])
    with pytest.raises(ImportFormatError, match="encoding: expected one of cp1252"):
        await plan_import(persistence_stores, source, encoding="klingon")
