"""What is written is read back the same, and what a format cannot hold is said before."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.formats.making import PICTURE, folder, images, labels, picture, voc, voc_object
from tests.helpers.backends import BACKENDS, make_backend
from workbench import export, import_accounts, import_dataset, plan_export, plan_import
from workbench.datasets.formats.exporting import to_dataframe
from workbench.datasets.formats.objects import to_coco
from workbench.datasets.formats.writers import WRITERS
from workbench.errors import AlreadyExistsError, ExportError, NotFoundError, StorageError
from workbench.persistence import Stores

PETS: dict[str, Any] = {
    "data.yaml": "train: images/train\nval: images/val\nnames: [ant, 'b & <c>', unused]\n",
    "images/train/a.jpg": PICTURE,
    "images/train/empty.jpg": picture(64, 48),
    "images/train/unseen.jpg": picture(33, 44),
    "images/val/turned.jpg": picture(200, 100, orientation=6),
    "labels/train/a.txt": (
        "0 0.25000000 0.35000000 0.30000000 0.50000000\n"
        "1 0.33333333 0.41234567 0.12345678 0.23456789\n"
    ),
    "labels/train/empty.txt": "",
    "labels/val/turned.txt": "1 0.40000000 0.75000000 0.60000000 0.30000000\n",
}
READ_BACK = sorted(WRITERS)
NONE = "no picture fits what was chosen: there is none in it"


async def _pets(stores: Stores, tmp_path: Path) -> None:
    folder(tmp_path / "data" / "pets", PETS)


@pytest.mark.parametrize("kind", READ_BACK)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
async def test_there_and_back(
    tmp_path: Path, persistence_stores: Stores, kind: str, packed: bool
) -> None:
    await _pets(persistence_stores, tmp_path)
    target = tmp_path / ("out.zip" if packed else "out")
    done = await export(persistence_stores, "pets", format=kind, to=target)
    assert (done.path, done.num_images, done.num_boxes) == (target, 4, 3)

    again = await import_dataset(persistence_stores, target, "again")

    before = await persistence_stores.dataset.get("pets")
    assert images(again) == images(before)
    for name in images(before):
        assert (again.path / "images" / name).read_bytes() == (
            before.path / "images" / name
        ).read_bytes()
    assert again.ledger.left("annotations") == again.ledger.repaired("annotations") == 0
    assert not [entry for entry in again.ledger.entries if entry.outcome == "left"]
    assert again.classes == before.classes
    assert not any("of the classes" in note for note in done.notes)
    there, back = labels(before), labels(again)
    assert there.keys() == back.keys()
    for name, rows in there.items():
        size = {"train/a": (200, 100), "val/turned": (100, 200)}.get(name, (64, 48))
        for one, other in zip(rows, back[name], strict=True):
            assert one[0] == other[0]
            for number, (x, y) in enumerate(zip(one[1:], other[1:], strict=True)):
                assert abs(x - y) * size[number % 2] < 0.01


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"classes": ["ants"]}, r"'ants'; did you mean 'ant'\? It has 'ant', 'b & <c>', 'unused'"),
        ({"classes": ["ant", "zebra"]}, "'zebra'; it has 'ant', 'b & <c>', 'unused'"),
        ({"splits": ["vale"]}, r"'vale'; did you mean 'val'\? It has 'val', 'train', 'test'"),
        ({"format": "coca"}, "expected one of yolo, coco"),
    ],
)
async def test_what_is_not_there_to_be_exported_is_told_with_what_is(
    tmp_path: Path, persistence_stores: Stores, wrong: dict[str, Any], told: str
) -> None:
    await _pets(persistence_stores, tmp_path)
    asked: dict[str, Any] = {"format": "voc", "to": tmp_path / "out", **wrong}
    with pytest.raises(ExportError, match=told):
        await export(persistence_stores, "pets", **asked)
    assert not (tmp_path / "out").exists()


async def test_a_labelmap_of_cvat_has_the_order_of_the_classes_and_a_background(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    head = "# label:color_rgb:parts:actions\n"
    source = folder(
        tmp_path / "in",
        {
            "JPEGImages/a.jpg": PICTURE,
            "Annotations/a.xml": voc(voc_object("cat")),
            "labelmap.txt": f"{head}zebra:1,2,3::\nbackground:0,0,0::\na: b:9,9,9::x\ncat:4,5,6::",
        },
    )
    info = await import_dataset(persistence_stores, source, "pets")
    assert info.classes == ["zebra", "a: b", "cat"]
    (source / "labelmap.txt").write_text("what else is called so\n")
    plan = await plan_import(persistence_stores, source, "again")
    assert plan.classes == ["cat"]


async def test_yolo_that_ultralytics_reads(tmp_path: Path, persistence_stores: Stores) -> None:
    files = PETS | {
        "labels/train/a.txt": "0 0.25 0.35 0.3 0.5\n1 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\n",
        "labels/val/turned.txt": "1 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\n",
        "labels/train/empty.txt": "0 0.5 0.5 0.1 0.1 0.9\n",
    }
    folder(tmp_path / "data" / "pets", files)
    done = await export(persistence_stores, "pets", format="yolo", to=tmp_path / "out")
    out = tmp_path / "out" / "labels"
    assert (out / "train/a.txt").read_text() == (
        "0 0.25000000 0.35000000 0.30000000 0.50000000\n"
        "1 0.25000000 0.35000000 0.30000000 0.50000000\n"
    )
    assert len((out / "train/empty.txt").read_text().split()) == 5
    assert (out / "val/turned.txt").read_text() == files["labels/val/turned.txt"]
    assert any(note.startswith("2 label files with boxes beside") for note in done.notes)
    described = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    for split in ("train", "val", "test"):
        assert (tmp_path / "out" / described[split]).is_dir()
    await export(persistence_stores, "pets", format="yolo", to=tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / described["test"]).is_dir()


async def test_ndjson_names_pictures_where_ultralytics_looks(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    """Without an address it takes ``images/SPLIT`` below the folder that the first line names."""
    await _pets(persistence_stores, tmp_path)
    await export(persistence_stores, "pets", format="ndjson", to=tmp_path / "out")
    lines = (tmp_path / "out/dataset.ndjson").read_text().splitlines()
    head, *found = map(json.loads, lines)
    assert [item["file"] for item in found] == ["a.jpg", "empty.jpg", "turned.jpg"]
    for item in found:
        assert (tmp_path / "out" / head["path"] / "images" / item["split"] / item["file"]).is_file()


async def test_some_of_a_dataset_to_a_stream_without_pictures(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    await _pets(persistence_stores, tmp_path)
    stream = io.BytesIO()
    done = await export(
        persistence_stores,
        "pets",
        format="coco",
        to=stream,
        where="split:train",
        classes=["b & <c>"],
        images="none",
    )
    assert (done.path, done.num_images, done.num_boxes) == (None, 3, 1)
    with zipfile.ZipFile(stream) as archive:
        [name] = archive.namelist()
        content = json.loads(archive.read(name))
    assert [c["name"] for c in content["categories"]] == ["b & <c>"]
    assert [i["file_name"] for i in content["images"]] == ["a.jpg", "empty.jpg"]
    nothing = await plan_export(persistence_stores, "pets", format="coco", where="split:test")
    assert (nothing.num_images, nothing.notes) == (0, [NONE])


async def test_names_with_signs_come_back_from_label_studio(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    names = ("é#1", "50%", "x&y%20z", "a+b", "q'u; (1)")
    rows = "0 0.25000000 0.35000000 0.30000000 0.50000000\n"
    files = {f"images/train/{name}.jpg": PICTURE for name in names}
    files |= {f"labels/train/{name}.txt": rows for name in names}
    folder(tmp_path / "data" / "pets", {"data.yaml": PETS["data.yaml"], **files})
    await export(persistence_stores, "pets", format="labelstudio", to=tmp_path / "out")
    again = await import_dataset(persistence_stores, tmp_path / "out", "again")
    assert labels(again).keys() == {f"train/{name}" for name in names}


async def test_what_a_format_cannot_hold_is_said_before(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "in" / "pets",
        {
            "a.jpg": PICTURE,
            "a.xml": "<annotation><object><name>cat</name><difficult>1</difficult><bndbox>"
            "<xmin>20</xmin><ymin>10</ymin><xmax>80</xmax><ymax>60</ymax></bndbox></object>"
            "</annotation>",
        },
    )
    await import_dataset(persistence_stores, source)
    plan = await plan_export(persistence_stores, "pets", format="createml")
    assert plan.notes == [
        "CreateML does not hold what boxes carry beyond their class: difficult (1); COCO, "
        "Pascal VOC, CVAT for images, LabelMe and Datumaro hold it"
    ]
    await export(persistence_stores, "pets", format="voc", to=tmp_path / "out")
    text = (tmp_path / "out/Annotations/train/a.xml").read_text()
    assert "<difficult>1</difficult>" in text
    for kind in ("coco", "cvat", "datumaro", "labelme"):
        plan = await plan_export(persistence_stores, "pets", format=kind)
        assert plan.notes == []
        await plan.write(tmp_path / kind)
        await import_dataset(persistence_stores, tmp_path / kind)
        [account] = await import_accounts(persistence_stores, kind)
        assert "difficult" in str(account.extras["a.jpg"][0][1])


async def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    await _pets(persistence_stores, tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(AlreadyExistsError, match="full"):
        await export(persistence_stores, "pets", format="voc", to=tmp_path / "full")
    (tmp_path / "full" / "old.zip").write_bytes(b"older")
    for kind in READ_BACK:
        for change in (False, True):
            with pytest.raises(AlreadyExistsError, match=r"full.*nothing was|overwrite=True"):
                await export(
                    persistence_stores,
                    "pets",
                    format=kind,
                    to=tmp_path / "full" / ("" if change else "old.zip"),
                    overwrite=change,
                )
    assert (tmp_path / "full" / "old.zip").read_bytes() == b"older"
    with pytest.raises(NotFoundError, match="make it first, or choose another"):
        await export(persistence_stores, "pets", format="voc", to=tmp_path / "no" / "out")
    await export(
        persistence_stores, "pets", format="voc", to=tmp_path / "full/old.zip", overwrite=True
    )
    assert zipfile.is_zipfile(tmp_path / "full" / "old.zip")
    for wrong in ({"format": "xyz"}, {"classes": ["no"]}, {"splits": ["valid"]}):
        with pytest.raises(ExportError, match="expected"):
            await plan_export(persistence_stores, "pets", **{"format": "voc", **wrong})

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await export(persistence_stores, "pets", format="voc", to=tmp_path / "out", progress=stop)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "full", "models"]


@pytest.mark.parametrize("kind", BACKENDS)
async def test_every_kind_of_store_and_other_libraries(tmp_path: Path, kind: str) -> None:
    backend = make_backend(kind, tmp_path)
    files = {n: d.encode() if isinstance(d, str) else d for n, d in PETS.items()}
    files["data.yaml"] = PETS["data.yaml"].encode()
    await backend.arrange("pets", files)
    frame = await to_dataframe(backend.stores, "pets")
    assert frame.loc[0, ["filename", "class_name", "x0", "y1"]].tolist() == ["a.jpg", "ant", 20, 60]
    coco = await to_coco(backend.stores, "pets")
    assert len(coco.getAnnIds(catIds=[2])) == 2
    done = await export(
        backend.stores, "pets", format="imagefolder", to=tmp_path / "hf", images="link"
    )
    line = json.loads((tmp_path / "hf/train/metadata.jsonl").read_text().splitlines()[0])
    assert line["objects"]["bbox"][0] == [20, 10, 60, 50]
    assert done.num_images == 4
    assert (tmp_path / "hf/val/turned.jpg").read_bytes() == PETS["images/val/turned.jpg"]


@contextmanager
def no_room() -> Iterator[None]:
    """A system that takes no file of more than 600 bytes: less than any picture here has."""
    resource = pytest.importorskip("resource", reason="limits as POSIX has them")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("target", ["out", "out.zip"])
async def test_what_does_not_fit_is_said_in_our_words_and_leaves_nothing(
    tmp_path: Path, persistence_stores: Stores, target: str
) -> None:
    await _pets(persistence_stores, tmp_path)
    plan = await plan_export(persistence_stores, "pets", format="coco")
    before = sorted(tmp_path.iterdir())
    with no_room(), pytest.raises(StorageError, match=rf"pets, export to .*{target}: expected"):
        await plan.write(tmp_path / target)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
async def test_a_stream_to_a_full_disk_is_said_in_our_words(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    await _pets(persistence_stores, tmp_path)
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(StorageError, match=r"pets, export to a stream: .*make room there"),
    ):
        await export(persistence_stores, "pets", format="voc", to=full)


@pytest.mark.parametrize("name", ["out.tar.gz", "out.7z", "coco.json"])
async def test_a_file_that_is_not_written_becomes_no_folder(
    tmp_path: Path, persistence_stores: Stores, name: str
) -> None:
    await _pets(persistence_stores, tmp_path)
    with pytest.raises(ExportError, match=r"ends in \.zip"):
        await export(persistence_stores, "pets", format="coco", to=tmp_path / name)
    assert not (tmp_path / name).exists()
