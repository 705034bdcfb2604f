"""Files to import that would take for ever, fill the memory, or leave what nobody can read."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.formats.making import folder, picture
from workbench import export, import_accounts, plan_import, plan_merge
from workbench.datasets.formats import reading
from workbench.datasets.formats.rle import rle_box
from workbench.errors import ArchiveError, ImportFormatError, NotFoundError
from workbench.persistence import Stores
from workbench.persistence.yolo.label_text import MAX_BYTES, MAX_ROWS

BOX = {"image_id": 1, "category_id": 1, "bbox": [20, 10, 60, 50]}


def test_a_packed_number_without_an_end_is_refused() -> None:
    sound = {"size": [9, 9], "counts": "90"}  # 9 of 0, none of 1
    with pytest.raises(ValueError, match="an empty one"):
        rle_box(sound)
    for length in (10, 20_000_000):  # which would be minutes, or for ever
        with pytest.raises(ValueError, match="fit the mask"):
            rle_box({"size": [2**20, 2**20], "counts": "o" * length + "0"})


def tar(path: Path, *members: tarfile.TarInfo, shared: dict[str, str] | None = None) -> Path:
    """Pack a picture under each of these."""
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers=shared) as archive:
        for member in members:
            member.size = len(picture())
            archive.addfile(member, io.BytesIO(picture()))
    return path


def member(**headers: str) -> tarfile.TarInfo:
    found = tarfile.TarInfo("images/train/a.png")
    found.pax_headers = headers
    return found


@pytest.mark.parametrize("whose", ["one member's", "all members'"])
async def test_a_header_of_a_tar_that_would_fill_the_memory_is_refused(
    persistence_stores: Stores, tmp_path: Path, whose: str
) -> None:
    text = {"comment": "x" * (40 << 20)}
    own, shared = (text, None) if whose == "one member's" else ({}, text)
    path = tar(tmp_path / "in.tar.gz", member(**own), shared=shared)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"in\.tar\.gz.*a header of 41,9"):
            await plan_import(persistence_stores, path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


async def test_headers_upon_headers_are_refused(persistence_stores: Stores, tmp_path: Path) -> None:
    """Each would be read within the one before it."""
    block = tarfile.TarInfo("pax")
    block.type, block.size = tarfile.XHDTYPE, 10
    header = block.tobuf(tarfile.USTAR_FORMAT) + b"10 a=bcde\n".ljust(512, b"\0")
    (tmp_path / "in.tar").write_bytes(header * 5000)
    with pytest.raises(ArchiveError, match="a header of 10 bytes, where at most 8"):
        await plan_import(persistence_stores, tmp_path / "in.tar")


async def test_numbers_that_are_none_in_a_tar_are_damage(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99"}
    path = tar(tmp_path / "in.tar.gz", member(**sparse))
    with pytest.raises(ArchiveError, match=r"in\.tar\.gz.*damaged"):
        await plan_import(persistence_stores, path)


async def test_attributes_that_are_none_are_left_out_of_an_export(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    rows = [{**BOX, "id": 1, "attributes": 5}, {**BOX, "id": 2, "bbox": [90, 10, 60, 50]}]
    rows[1]["attributes"] = {"wet": True}
    source = folder(tmp_path / "in", {"a.png": picture(), "coco.json": _coco(rows)})
    await (await plan_import(persistence_stores, source)).apply("pets")
    for kind in ("cvat", "datumaro"):
        target = tmp_path / kind
        await export(persistence_stores, "pets", format=kind, to=str(target))
        text = b"".join(p.read_bytes() for p in target.rglob("*") if p.suffix in {".json", ".xml"})
        assert b"wet" in text


async def test_more_boxes_than_a_label_file_holds_are_left_out(
    persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others come in; the bound is smaller here, as that many take a while."""
    assert MAX_ROWS * 55 < MAX_BYTES  # the longest row
    monkeypatch.setattr(reading, "MAX_ROWS", 20)
    rows = [{**BOX, "id": n, "bbox": [n, 10, 60, 50]} for n in range(21)]
    rows.append({**BOX, "id": 99, "image_id": 2})
    files = {"a.png": picture(), "b.png": picture(), "coco.json": _coco(rows, "a.png", "b.png")}
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", files))
    assert "21 annotations" in str(plan)
    assert "on one picture" in str(plan)
    await plan.apply("pets")
    table = await persistence_stores.label.load_all("pets")
    assert len(table.class_id) == 1


async def test_a_label_file_with_too_many_rows_is_named_and_the_others_come_in(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    files = {
        "images/a.png": picture(),
        "images/b.png": picture(),
        "labels/a.txt": b"0 1 1 1 1\n" * (MAX_ROWS + 1),
        "labels/b.txt": b"0 0.5 0.5 0.2 0.2\n",
        "data.yaml": b"names: [cup]\n",
    }
    plan = await plan_import(persistence_stores, folder(tmp_path / "in", files))
    assert re.search(r"labels/a\.txt.*at most 100,000 rows", str(plan))
    assert len([*plan.ledger.some("unreadable")]) <= 1
    await plan.apply("pets")
    table = await persistence_stores.label.load_all("pets")
    assert (len(table.class_id), table.labelled.tolist()) == (1, [False, True])


async def test_an_error_shows_the_beginning_of_an_endless_name(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    document = _coco([{**BOX, "id": 1}])
    document["categories"] = [{"id": 1, "name": "x" * 200_000}]
    source = folder(tmp_path / "in", {"a.png": picture(), "coco.json": document})
    with pytest.raises(ImportFormatError, match="xxx") as caught:
        await plan_import(persistence_stores, source)
    assert len(str(caught.value)) < 1000
    deep = member()
    deep.name = "q/" * 20_000 + "a.png"
    with pytest.raises(ArchiveError, match="q/q/") as refused:
        await plan_import(persistence_stores, tar(tmp_path / "in.tar.gz", deep))
    assert len(str(refused.value)) < 1000


async def test_more_classes_than_may_be_are_said_when_it_is_planned(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    document = _coco([{**BOX, "id": 1}])
    document["categories"] = [{"id": n, "name": f"c{n}"} for n in range(10_001)]
    source = folder(tmp_path / "in", {"a.png": picture(), "coco.json": document})
    with pytest.raises(ImportFormatError, match=r"at most 10,000 classes, found 10,001"):
        await plan_import(persistence_stores, source)


@pytest.mark.parametrize("kind", ["folder", "archive"])
async def test_without_a_folder_for_temporary_files_it_is_said(
    persistence_stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = folder(tmp_path / "in", {"a.png": picture(), "coco.json": _coco([{**BOX, "id": 1}])})
    await (await plan_import(persistence_stores, source)).apply("pets")
    if kind == "archive":
        source = tar(tmp_path / "in.tar.gz", member())
    more = folder(tmp_path / "more", {"b.png": picture(300), "coco.json": _coco([], "b.png")})
    merge = await plan_merge(persistence_stores, more, "pets")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    work = plan_import(persistence_stores, source) if kind == "archive" else merge.apply()
    with pytest.raises(NotFoundError, match="unpacked in the folder for temporary files"):
        await work
    assert len(await persistence_stores.image.list("pets")) == 1


async def test_an_account_that_a_stranger_wrote_keeps_nothing_from_being_exported(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    source = folder(tmp_path / "in", {"a.png": picture(), "coco.json": _coco([{**BOX, "id": 1}])})
    info = await (await plan_import(persistence_stores, source)).apply("pets")
    [kept] = (info.path / ".workbench" / "imports").iterdir()
    account = json.loads(kept.read_text())
    [annotation] = await persistence_stores.label.load("pets", "train", "a.png")
    box = [annotation.class_id, *annotation.xywh]
    odd = {"attributes": 5, "flags": 5, "score": []}
    for number, extras in enumerate(([[0, "a", "b", "c", "d", {}]], [[*box, odd]], [[0, {}]])):
        text = json.dumps({**account, "extras": {"a.png": extras}})
        (kept.parent / f"20260101t000000.000000-0000000{number}.json").write_text(text)
    assert len(await import_accounts(persistence_stores, "pets")) == 2
    for kind in ("cvat", "datumaro", "labelme"):
        await export(persistence_stores, "pets", format=kind, to=str(tmp_path / kind))
        assert list((tmp_path / kind).rglob("*.*"))


def _coco(rows: list[dict[str, Any]], *names: str) -> dict[str, Any]:
    return {
        "images": [
            {"id": n, "file_name": name, "width": 200, "height": 100}
            for n, name in enumerate(names or ("a.png",), start=1)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": rows,
    }


async def test_messages_do_not_say_what_python_says(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    """A number that Python refuses to read by default, and a point of one number."""
    text = json.dumps(_coco([{**BOX, "id": 1}])).replace("60", "9" * 5000)
    source = folder(tmp_path / "in", {"a.png": picture(), "coco.json": text})
    with pytest.raises(ImportFormatError, match="a number of thousands of digits; export it again"):
        await plan_import(persistence_stores, source)
    shape = {"label": "cat", "points": [[[1, 2]], [3]], "shape_type": "rectangle"}
    labelme = {"shapes": [shape], "imagePath": "a.png", "imageWidth": 200, "imageHeight": 100}
    source = folder(tmp_path / "one", {"a.png": picture(), "a.json": labelme})
    plan = await plan_import(persistence_stores, source)
    assert "expected points, found [[[1, 2]], [3]]" in str(plan)


@pytest.mark.parametrize("inner", ["more.zip", "more.tar.gz"])
async def test_a_bomb_in_an_archive_is_called_as_it_is_there(
    persistence_stores: Stores, tmp_path: Path, inner: str
) -> None:
    bomb = picture() + b"\0" * (20 << 20)
    if inner.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.jpg", bomb)
    else:
        with tarfile.open(tmp_path / inner, "w:gz") as packed:
            found = tarfile.TarInfo("a.jpg")
            found.size = len(bomb)
            packed.addfile(found, io.BytesIO(bomb))
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as outer:
        outer.write(tmp_path / inner, inner)
    with pytest.raises(ArchiveError, match=rf"in\.zip, {re.escape(inner)}.*at most") as caught:
        await plan_import(persistence_stores, tmp_path / "in.zip")
    assert "workbench-import" not in str(caught.value)
