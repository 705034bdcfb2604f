"""Export and import of zip archives, the same for every dataset store."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.archive.raw import RawMember, raw_zip
from tests.helpers.archives import (
    BOX,
    YAML,
    damaged,
    encrypted,
    small_dataset,
    with_link,
    write_zip,
)
from tests.helpers.backends import Backend
from tests.helpers.pictures import encoded, jpeg
from workbench.errors import (
    AlreadyExistsError,
    ArchiveError,
    InvalidDatasetError,
    InvalidNameError,
    NotFoundError,
)
from workbench.persistence import DatasetStore, Stores
from workbench.persistence.models import Annotation, ArchiveLimits

A_BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)


class StoppedError(Exception):
    """What a progress callback raises to cancel."""


@pytest.fixture
async def full(stores: Stores) -> str:
    """Labelled, reviewed and unlabelled images, odd names, prompts."""
    await stores.dataset.create("full", classes=["cat", "yes", "a: b"])
    for split, name in (
        ("train", "a.jpg"),
        ("train", "Käfer 虫.png"),
        ("val", "b.jpg"),
        ("val", "c.b.jpg"),
        ("test", "A1.bmp"),
    ):
        await stores.image.save_bytes("full", split, name, encoded(Path(name).suffix, len(name)))
    await stores.label.save("full", "train", "a.jpg", [A_BOX, Annotation(2, 0.1, 0.1, 0.1, 0.1)])
    await stores.label.save("full", "train", "Käfer 虫.png", [A_BOX])
    await stores.label.save("full", "val", "c.b.jpg", [])
    await stores.dataset.save_prompts("full", {0: ["a cat"], 2: ["ä", "b"]})
    return "full"


async def _contents(stores: Stores, name: str) -> dict[str, object]:
    info = await stores.dataset.get(name)
    images = {
        (i.split, i.filename): (
            await stores.image.read_bytes(name, i.split, i.filename),
            i.has_labels,
            (await stores.label.get(name, i.split, i.filename)).annotations,
        )
        for i in await stores.image.list(name)
    }
    return {
        "classes": info.classes,
        "counts": info.num_images,
        "prompts": await stores.dataset.get_prompts(name),
        "images": images,
    }


# --- export -------------------------------------------------------------------------------


async def test_what_was_exported_comes_back_equal(
    stores: Stores, full: str, tmp_path: Path
) -> None:
    archive = await stores.dataset.export_zip(full, tmp_path)
    imported = await stores.dataset.import_zip(archive, name="copy")
    assert (imported.name, imported.notes) == ("copy", [])
    assert await _contents(stores, "copy") == await _contents(stores, full)


async def test_an_archive_goes_from_one_implementation_to_the_other(
    stores: Stores, full: str, tmp_path: Path, other_stores: Stores
) -> None:
    archive = await stores.dataset.export_zip(full, tmp_path)
    imported = await other_stores.dataset.import_zip(archive)
    assert (imported.name, imported.notes) == ("full", [])
    assert await _contents(other_stores, "full") == await _contents(stores, full)


@pytest.fixture
def other_stores(backend: Backend, tmp_path: Path) -> Stores:
    from tests.helpers.backends import BACKENDS, make_backend

    kinds = sorted(BACKENDS)
    kind = kinds[kinds.index(backend.kind) - 1]
    return make_backend(kind, tmp_path / "other").stores


async def test_the_archive_is_a_yolo_dataset(ds: DatasetStore, full: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(await ds.export_zip(full, tmp_path)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        methods = {i.filename: i.compress_type for i in archive.infolist()}
        label = next(n for n in names if n.endswith("labels/train/a.txt"))
        assert archive.read(label) == (
            b"0 0.50000000 0.50000000 0.25000000 0.50000000\n"
            b"2 0.10000000 0.10000000 0.10000000 0.10000000\n"
        )
    prefix = label.removesuffix("labels/train/a.txt")
    assert {
        f"{prefix}{n}"
        for n in (
            "data.yaml",
            "images/train/a.jpg",
            "images/train/Käfer 虫.png",
            "images/test/A1.bmp",
            "labels/val/c.b.txt",
        )
    } <= set(names)
    assert f"{prefix}labels/val/b.txt" not in names
    assert len(names) == len(set(names))
    assert not [n for n in names if n.endswith((".tmp", "lock")) or "trash" in n]
    assert methods[f"{prefix}images/train/a.jpg"] == zipfile.ZIP_STORED


async def test_an_export_may_name_the_archive(ds: DatasetStore, full: str, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "my.zip"
    target.parent.mkdir()
    assert await ds.export_zip(full, str(target)) == target
    assert zipfile.is_zipfile(target)
    (tmp_path / "folder").mkdir()
    assert await ds.export_zip(full, tmp_path / "folder") == tmp_path / "folder" / "full.zip"


async def test_an_export_makes_the_folder_that_it_goes_to(
    ds: DatasetStore, full: str, tmp_path: Path
) -> None:
    path = await ds.export_zip(full, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / f"{full}.zip"
    assert zipfile.is_zipfile(path)


async def test_an_export_replaces_an_older_archive_unless_told_not_to(
    stores: Stores, full: str, tmp_path: Path
) -> None:
    target = tmp_path / "full.zip"
    target.write_bytes(b"an older export")
    with pytest.raises(AlreadyExistsError, match=r"full\.zip is there already.*overwrite=True"):
        await stores.dataset.export_zip(full, tmp_path, overwrite=False)
    assert target.read_bytes() == b"an older export"
    await stores.dataset.export_zip(full, tmp_path)
    assert zipfile.is_zipfile(target)
    assert [p.name for p in tmp_path.glob("*.zip*")] == ["full.zip"]


async def test_an_export_to_the_current_folder_replaces_an_older_one(
    ds: DatasetStore, full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert await ds.export_zip(full, output_path=Path()) == Path("full.zip")
    assert zipfile.is_zipfile(tmp_path / "full.zip")


async def test_export_tells_its_progress(ds: DatasetStore, full: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    await ds.export_zip(full, tmp_path, progress=lambda done, total: seen.append((done, total)))
    _check_progress(seen)


def _check_progress(seen: list[tuple[int, int]]) -> None:
    assert seen
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1] > 0


async def test_a_cancelled_export_leaves_the_older_archive(
    ds: DatasetStore, full: str, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "full.zip").write_bytes(b"an older export")

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        await ds.export_zip(full, folder, progress=stop)
    assert (folder / "full.zip").read_bytes() == b"an older export"
    assert [p.name for p in folder.iterdir()] == ["full.zip"]


# --- import: the shapes of other tools ----------------------------------------------------

IMAGE_A, IMAGE_B = jpeg(1), jpeg(2)
DICT_YAML = b"train: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"

SHAPES: dict[str, dict[str, bytes]] = {
    "plain": small_dataset(),
    "one top folder": {f"My Export/{name}": data for name, data in small_dataset().items()},
    "names as a dict": {**small_dataset(), "data.yaml": DICT_YAML},
    "split first": {
        "data.yaml": b"train: ../train/images\nval: ../valid/images\nnc: 2\n"
        b"names: ['cat', 'dog']\n",
        "train/images/a.jpg": IMAGE_A,
        "valid/images/b.jpg": IMAGE_B,
        "train/labels/a.txt": BOX,
    },
    "split first in a folder": {
        "top/data.yaml": b"train: train/images\nval: valid/images\nnames: [cat, dog]\n",
        "top/train/images/a.jpg": IMAGE_A,
        "top/valid/images/b.jpg": IMAGE_B,
        "top/train/labels/a.txt": BOX,
    },
    "valid under images": {
        "data.yaml": b"train: images/train\nval: images/valid\nnames: [cat, dog]\n",
        "images/train/a.jpg": IMAGE_A,
        "images/valid/b.jpg": IMAGE_B,
        "labels/train/a.txt": BOX,
        "labels/valid/b.txt": b"",
    },
    "an absolute path of another computer": {
        **small_dataset(),
        "data.yaml": b"path: /home/ann/data\ntrain: images/train\nval: images/val\n"
        b"names: [cat, dog]\n",
    },
    "folders and the litter of macOS": {
        "images/": b"",
        "images/train/": b"",
        **small_dataset(),
        "__MACOSX/images/train/._a.jpg": b"\x00\x05\x16\x07",
        "images/train/.DS_Store": b"\x00\x00\x00\x01Bud1",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
async def test_the_shapes_of_other_tools(
    stores: Stores, tmp_path: Path, shape: str, compression: int
) -> None:
    archive = write_zip(tmp_path / "in.zip", SHAPES[shape], compression=compression)
    info = await stores.dataset.import_zip(archive, name="pets")
    assert info.classes == ["cat", "dog"]
    assert info.num_images == {"train": 1, "val": 1, "test": 0}
    assert await stores.image.read_bytes("pets", "train", "a.jpg") == IMAGE_A
    assert await stores.image.read_bytes("pets", "val", "b.jpg") == IMAGE_B
    assert await stores.label.load("pets", "train", "a.jpg") == [A_BOX]
    assert await stores.label.load("pets", "val", "b.jpg") == []


async def test_the_default_name_is_the_archive_s(ds: DatasetStore, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "My Pets.zip", small_dataset())
    assert (await ds.import_zip(str(archive))).name == "My Pets"
    assert await ds.exists("My Pets")


async def test_what_could_run_or_mislead_is_dropped_and_reported(
    backend: Backend, tmp_path: Path
) -> None:
    members = {
        **small_dataset(),
        "data.yaml": YAML + b"download: import os; os.system('touch owned')\n",
        "labels/train.cache": b"\x80\x04pickle",
        "images/train/a.npy": b"\x93NUMPY",
        "images/train/b.pkl": b"\x80\x04pickle",
    }
    archive = write_zip(tmp_path / "in.zip", members)
    info = await backend.stores.dataset.import_zip(archive, name="pets")
    notes = "\n".join(info.notes)
    for word in ("download", "train.cache", "a.npy", "b.pkl"):
        assert word in notes
    assert not [n for n in backend.files() if n.endswith((".cache", ".npy", ".pkl"))]
    out = await backend.stores.dataset.export_zip("pets", tmp_path)
    with zipfile.ZipFile(out) as exported:
        assert not [n for n in exported.namelist() if n.endswith((".cache", ".npy", ".pkl"))]
        data_yaml = next(n for n in exported.namelist() if n.endswith("data.yaml"))
        assert b"download" not in exported.read(data_yaml)


async def test_import_tells_its_progress(ds: DatasetStore, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "pets.zip", small_dataset())
    seen: list[tuple[int, int]] = []
    await ds.import_zip(archive, progress=lambda done, total: seen.append((done, total)))
    _check_progress(seen)


async def test_a_cancelled_import_leaves_no_trace(backend: Backend, tmp_path: Path) -> None:
    await backend.stores.dataset.create("other")
    before = backend.files()
    archive = write_zip(tmp_path / "pets.zip", small_dataset())

    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        await backend.stores.dataset.import_zip(archive, progress=stop)
    assert [d.name for d in await backend.stores.dataset.list()] == ["other"]
    assert backend.files() == before
    assert (await backend.stores.dataset.import_zip(archive)).name == "pets"


# --- import: what is refused --------------------------------------------------------------


def _with(**members: bytes) -> Callable[[Path], Path]:
    return lambda path: write_zip(path, {**small_dataset(), **members})


def _renamed(old: str, new: str) -> Callable[[Path], Path]:
    members = small_dataset()
    members[new] = members.pop(old)
    return lambda path: write_zip(path, members)


def _bomb(path: Path) -> Path:
    members = {**small_dataset(), "labels/val/b.txt": b"\n" * 20_000_000}
    return write_zip(path, members, compression=zipfile.ZIP_DEFLATED)


def _cut(path: Path) -> Path:
    write_zip(path, small_dataset())
    path.write_bytes(path.read_bytes()[:-40])
    return path


def _cut_in_the_middle(path: Path) -> Path:
    """Keep the directory at the end, lose members before it."""
    data = write_zip(path, small_dataset()).read_bytes()
    path.write_bytes(data[300:])
    return path


def _text(path: Path) -> Path:
    path.write_text("<html>404</html>")
    return path


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "path traversal": _with(**{"../escaped.jpg": IMAGE_A}),
    "path traversal inside": _with(**{"images/train/../../../../escaped.jpg": IMAGE_A}),
    "path traversal of Windows": _with(**{"images\\train\\..\\..\\..\\escaped.jpg": IMAGE_A}),
    "absolute path": _with(**{"/tmp/escaped.jpg": IMAGE_A}),
    "absolute path of Windows": _with(**{"C:\\escaped.jpg": IMAGE_A}),
    "link": lambda path: with_link(_with()(path), "images/train/l.jpg", "/etc/passwd"),
    "link to a folder": lambda path: with_link(_with()(path), "images/test", "/etc"),
    "names that collide by case": _with(**{"images/train/A.JPG": IMAGE_B}),
    "labels that collide by case": _with(**{"labels/train/A.txt": BOX}),
    "folders that collide by case": _with(**{"Images/train/a.jpg": IMAGE_B}),
    "bomb": _bomb,
    "encrypted": lambda path: encrypted(_with()(path)),
    "damaged image": lambda path: damaged(_with()(path), IMAGE_A),
    "damaged label": lambda path: damaged(_with()(path), BOX),
    "cut": _cut,
    "cut in the middle": _cut_in_the_middle,
    "no archive": _text,
    "no images": lambda path: write_zip(path, {"data.yaml": YAML, "labels/train/a.txt": BOX}),
    "nothing": lambda path: write_zip(path, {}),
    "control character": _with(**{"images/train/a\x07.jpg": IMAGE_A}),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_archives_that_are_refused_leave_no_trace(
    backend: Backend, tmp_path: Path, case: str
) -> None:
    await backend.stores.dataset.create("other")
    (tmp_path / "in").mkdir()
    archive = HOSTILE[case](tmp_path / "in" / "hostile.zip")
    packed = archive.read_bytes()
    before = backend.files()
    with pytest.raises(ArchiveError, match=r"hostile\.zip"):
        await backend.stores.dataset.import_zip(archive, name="pets")
    assert [d.name for d in await backend.stores.dataset.list()] == ["other"]
    assert backend.files() == before
    assert not [p for p in tmp_path.rglob("*") if "escaped" in p.name]
    assert archive.read_bytes() == packed


async def test_backslashes_of_packers_on_windows_separate_folders(
    stores: Stores, tmp_path: Path
) -> None:
    members = {name.replace("/", "\\"): data for name, data in small_dataset().items()}
    archive = tmp_path / "pets.zip"
    archive.write_bytes(raw_zip(*(RawMember(n.encode(), d) for n, d in members.items())))
    info = await stores.dataset.import_zip(archive)
    assert sum(info.num_images.values()) == sum("images" in name for name in members)
    assert (await stores.label.load("pets", "train", "a.jpg")) == [A_BOX]


async def test_an_archive_without_classes_gets_names_that_it_reports(
    ds: DatasetStore, tmp_path: Path
) -> None:
    members = small_dataset()
    del members["data.yaml"]
    members["labels/val/b.txt"] = b"2 0.5 0.5 0.25 0.5\n"
    info = await ds.import_zip(write_zip(tmp_path / "pets.zip", members))
    assert len(info.classes) == len(set(info.classes)) == 3
    assert [note for note in info.notes if info.classes[0] in note]


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (ArchiveLimits(max_total_bytes=500), "500"),
        (ArchiveLimits(max_members=3), "3"),
    ],
)
async def test_limits_can_be_lowered(
    backend: Backend, tmp_path: Path, limits: ArchiveLimits, word: str
) -> None:
    archive = write_zip(tmp_path / "pets.zip", small_dataset())
    before = backend.files()
    with pytest.raises(ArchiveError, match=word):
        await backend.stores.dataset.import_zip(archive, limits=limits)
    assert await backend.stores.dataset.list() == []
    assert backend.files() == before


async def test_limits_can_be_raised(ds: DatasetStore, tmp_path: Path) -> None:
    archive = _bomb(tmp_path / "big.zip")
    info = await ds.import_zip(archive, limits=ArchiveLimits(max_ratio=1e6))
    assert info.num_images["val"] == 1


async def test_a_lie_about_the_unpacked_size_is_found_out(backend: Backend, tmp_path: Path) -> None:
    """The directory says 10 bytes, the data unpack to 20 MB."""
    archive = _bomb(tmp_path / "lie.zip")
    data = archive.read_bytes()
    true_size, lie = (20_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(true_size) == 2
    archive.write_bytes(data.replace(true_size, lie))
    with pytest.raises(ArchiveError):
        await backend.stores.dataset.import_zip(archive)
    assert await backend.stores.dataset.list() == []


async def test_import_refuses_a_name_that_is_taken(
    stores: Stores, pets: str, tmp_path: Path
) -> None:
    archive = write_zip(tmp_path / "pets.zip", small_dataset())
    with pytest.raises(AlreadyExistsError, match="pets"):
        await stores.dataset.import_zip(archive)
    assert (await stores.dataset.get(pets)).classes == ["cat", "dog", "bird"]


async def test_import_of_an_archive_that_is_not_there(ds: DatasetStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.zip"):
        await ds.import_zip(tmp_path / "gone.zip")


async def test_import_checks_the_name(ds: DatasetStore, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "pets.zip", small_dataset())
    with pytest.raises(InvalidNameError):
        await ds.import_zip(archive, name="../pets")
    assert await ds.list() == []


async def test_names_that_differ_only_in_case_cannot_be_exported(
    stores: Stores, tmp_path: Path
) -> None:
    await stores.dataset.create("mixed", ["cat"])
    for name in ("a.jpg", "A.jpg"):
        await stores.image.save_bytes("mixed", "val", name, jpeg(1))
    with pytest.raises(InvalidDatasetError, match=r"val has A\.jpg and a\.jpg"):
        await stores.dataset.export_zip("mixed", tmp_path)
    assert list(tmp_path.glob("*.zip")) == []


async def test_every_folder_that_data_yaml_names_is_in_the_archive(
    backend: Backend, tmp_path: Path
) -> None:
    ds = backend.stores.dataset
    await ds.create("pets", ["cat"])
    await backend.stores.image.save_bytes("pets", "train", "a.jpg", jpeg(1))
    path = await ds.export_zip("pets", tmp_path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
        described = yaml.safe_load(archive.read("data.yaml"))
    for split in ("train", "val", "test"):
        assert (tmp_path / "out" / described[split]).is_dir()
    assert (await ds.import_zip(path, "again")).num_images == {"train": 1, "val": 0, "test": 0}
