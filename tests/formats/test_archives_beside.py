"""Archives of annotations beside pictures, as many sets are handed out."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import BOX, PICTURE, coco, folder, labels, voc, voc_object
from workbench import import_dataset
from workbench.datasets.formats.plan import plan_import
from workbench.persistence import Stores

ROW = b"0 0.25 0.35 0.3 0.5\n"
XML = voc(voc_object("cat"))
COCO = json.dumps(coco({"bbox": [20, 10, 60, 50]})).encode()
PICTURES = {"images/a.jpg": PICTURE}


def _zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


SETS: dict[str, dict[str, Any]] = {
    "zip of VOC": {**PICTURES, "annotations.zip": _zip({"a.xml": XML})},
    "zip of a folder of VOC": {**PICTURES, "Annotations.zip": _zip({"Annotations/a.xml": XML})},
    "tar of rows": {**PICTURES, "classes.txt": "cat\n", "labels.tar.gz": _tar({"a.txt": ROW})},
    "zip of rows and names": {
        **PICTURES,
        "labels.zip": _zip({"labels/a.txt": ROW, "labels/classes.txt": b"cat\n"}),
    },
    "zip of COCO": {**PICTURES, "annotations.zip": _zip({"instances.json": COCO})},
}


@pytest.mark.parametrize("kind", SETS)
async def test_its_annotations_are_those_of_the_pictures(
    kind: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "set", SETS[kind]))
    assert labels(info) == {"train/a": [(0.0, *BOX)]}
    assert info.classes == ["cat"]


async def test_one_beside_annotations_is_left_alone(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    old = _zip({"a.txt": b"0 0.5 0.5 0.1 0.1\n"})
    files = {**PICTURES, "labels/a.txt": ROW, "classes.txt": "cat\n", "labels_old.zip": old}
    info = await import_dataset(persistence_stores, folder(tmp_path / "in" / "set", files))
    assert labels(info) == {"train/a": [(0.0, *BOX)]}


@pytest.mark.parametrize("data", [_zip({"images/b.jpg": PICTURE, "b.txt": ROW}), b"PK\3\4 cut off"])
async def test_one_with_pictures_or_damage_is_named_and_the_rest_is_taken(
    data: bytes, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "set", {**PICTURES, "more.zip": data})
    plan = await plan_import(persistence_stores, source, unknown="ignore")
    assert plan.counts()["train"]["images"] == 1
    assert "more.zip" in str([*plan.notes, *plan.ledger.entries])
