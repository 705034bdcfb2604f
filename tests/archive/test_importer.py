"""From an archive to files in our layout, and never to anything else."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.archive.raw import RawMember, raw_zip
from workbench.errors import ArchiveError
from workbench.persistence.archive import ArchiveContents, FolderSink, import_archive, write_zip
from workbench.persistence.archive.format import LARGE_BYTES
from workbench.persistence.archive.notes import of_one
from workbench.persistence.models import ArchiveLimits

YAML = b"train: images/train\nval: images/val\nnames: [cat, dog]\n"
BOX = b"0 0.50000000 0.50000000 0.25000000 0.50000000\n"


class StoppedError(Exception):
    """Raised from progress, as a user who cancels does."""


class Recorder:
    """A sink that remembers what it got, in order."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.in_chunks: list[str] = []

    def write(self, relative_path: str, data: bytes) -> None:
        assert relative_path not in self.files
        self.files[relative_path] = data

    def write_chunks(self, relative_path: str, chunks: Iterable[bytes]) -> None:
        self.write(relative_path, b"".join(chunks))
        self.in_chunks.append(relative_path)


def _members() -> dict[str, bytes]:
    return {
        "data.yaml": YAML,
        "images/train/a.jpg": b"\xff\xd8 picture a",
        "images/val/b.jpg": b"\xff\xd8 picture b",
        "labels/train/a.txt": BOX,
        ".workbench/prompts.json": b'{"0": ["a cat"]}',
    }


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    members = _members()
    archive = write_zip(tmp_path / "x.zip", members.items())
    (tmp_path / "out").mkdir()
    found = import_archive(archive, FolderSink(tmp_path / "out"))
    del members["data.yaml"]
    assert _tree(tmp_path / "out") == members
    assert (found.classes, found.extra, found.notes) == (["cat", "dog"], {}, [])
    assert found.num_images == {"train": 1, "val": 1, "test": 0}
    assert found.num_labels == {"train": 1, "val": 0, "test": 0}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_another_tool_s_archive(tmp_path: Path, method: int) -> None:
    members = {
        "top/data.yaml": b"names: {0: cat, 1: dog}\nlicense: CC0\ndownload: http://x/y.zip\n",
        "top/README.md": b"# Pets",
        "top/train/images/a.jpg": b"picture a",
        "top/train/labels/a.txt": BOX,
        "top/valid/images/b.jpg": b"picture b",
        "top/valid/labels.cache": b"\x80\x04pickle",
        "top/valid/labels/b.txt": b"",
        "__MACOSX/top/._data.yaml": b"x",
    }
    sink = Recorder()
    found = import_archive(_zip(tmp_path / "x.zip", members, method), sink)
    assert sink.files == {
        "images/train/a.jpg": b"picture a",
        "labels/train/a.txt": BOX,
        "images/val/b.jpg": b"picture b",
        "labels/val/b.txt": b"",
    }
    assert (found.classes, found.extra) == (["cat", "dog"], {"license": "CC0"})
    assert len(found.notes) == 3
    for part in ("'download' in top/data.yaml", "'top/valid/labels.cache'", "'top/README.md'"):
        assert any(part in note for note in found.notes)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_members_pass_in_pieces(tmp_path: Path, method: int) -> None:
    members = {
        **_members(),
        "images/train/large.tif": os.urandom(1000) * (LARGE_BYTES // 1000 + 1),
        "labels/train/large.txt": (BOX * (LARGE_BYTES // len(BOX) + 1)) + b"7 0.1 0.1 0.1 0.1\n",
    }
    archive = _zip(tmp_path / "x.zip", members, method)
    (tmp_path / "out").mkdir()
    limits = ArchiveLimits(max_ratio=10_000)
    import_archive(archive, FolderSink(tmp_path / "out"), limits=limits)
    sink = Recorder()
    found = import_archive(archive, sink, limits=limits)
    del members["data.yaml"]
    assert _tree(tmp_path / "out") == sink.files == members
    assert sink.in_chunks == ["images/train/large.tif", "labels/train/large.txt"]
    assert len(found.classes) == 8


FACTS = b'{"format": 1, "created_at": "2024-05-17T10:00:00+00:00"}'
METADATA: list[tuple[str, bytes, bool]] = [
    ("dataset.json", FACTS, True),
    ("dataset.json", b"nonsense", False),
    ("dataset.json", b"[" * 100_000, False),
    ("dataset.json", b"[]", False),
    ("dataset.json", b'{"created_at": 5}', False),
    ("dataset.json", b'{"created_at": "yesterday"}', False),
    ("dataset.json", b'{"created_at": "2024-05-17T10:00:00"}', False),
    ("prompts.json", b'{"0": ["a cat", "felis"], "1": []}', True),
    ("prompts.json", b"\xff", False),
    ("prompts.json", b"[]", False),
    ("prompts.json", b'{"cat": ["a"]}', False),
    ("prompts.json", b'{"0": "a cat"}', False),
    ("prompts.json", b'{"0": [""]}', False),
]


@pytest.mark.parametrize(("name", "data", "kept"), METADATA)
def test_damaged_metadata_is_dropped_and_told(
    tmp_path: Path, name: str, data: bytes, kept: bool
) -> None:
    members = {**_members(), f".workbench/{name}": data}
    sink = Recorder()
    found = import_archive(_zip(tmp_path / "x.zip", members, zipfile.ZIP_STORED), sink)
    assert sink.files.get(f".workbench/{name}") == (data if kept else None)
    assert len(found.notes) == (not kept)
    assert kept or found.notes[0].startswith(f".workbench/{name} was dropped")


# --- classes -------------------------------------------------------------------------------


def _classes(tmp_path: Path, members: dict[str, bytes]) -> tuple[list[str], list[str]]:
    found = import_archive(
        _zip(tmp_path / "x.zip", {"images/train/a.jpg": b"a", **members}), Recorder()
    )
    return found.classes, found.notes


def test_classes_are_made_up_from_the_labels(tmp_path: Path) -> None:
    labels = b"1 0.1 0.1 0.1 0.1\r\n 3.0\t0.1 0.1 0.1 0.1\n2 0.1 0.1 0.1 0.1"
    classes, notes = _classes(tmp_path, {"labels/train/a.txt": labels})
    assert classes == ["class_0", "class_1", "class_2", "class_3"]
    assert any("class_0" in note and "up to 3" in note for note in notes)


@pytest.mark.parametrize(
    "labels",
    [
        b"3.000000000000000000e+00 5.0e-01 5.0e-01 1.0e-01 1.0e-01\n",  # numpy.savetxt
        b"\xef\xbb\xbf3 0.1 0.1 0.1 0.1\n",  # a byte order mark
        b"0 0.1 0.1 0.1 0.1\r3 0.1 0.1 0.1 0.1\r1 0.1 0.1 0.1 0.1",  # old line ends
        b"1e999 0.1 0.1 0.1 0.1\n1.5 0.1 0.1 0.1 0.1\n3 0.1 0.1 0.1 0.1\n",  # and no ids
    ],
)
def test_class_ids_as_other_programs_write_them(tmp_path: Path, labels: bytes) -> None:
    assert len(_classes(tmp_path, {"labels/train/a.txt": labels})[0]) == 4


def test_a_list_that_is_too_short_is_continued(tmp_path: Path) -> None:
    members = {"data.yaml": YAML, "labels/train/a.txt": b"3 0.1 0.1 0.1 0.1\n"}
    classes, notes = _classes(tmp_path, members)
    assert classes == ["cat", "dog", "class_2", "class_3"]
    assert any("class_2" in note for note in notes)


def test_neither_names_nor_labels(tmp_path: Path) -> None:
    classes, notes = _classes(tmp_path, {})
    assert classes == []
    assert any("no classes" in note for note in notes)


def test_a_class_id_that_would_make_a_bomb(tmp_path: Path) -> None:
    archive = _zip(
        tmp_path / "x.zip",
        {"images/train/a.jpg": b"a", "labels/train/a.txt": b"99999999 0.1 0.1 0.1 0.1\n"},
    )
    with pytest.raises(ArchiveError, match=r"x\.zip, member 'labels/train/a\.txt'.*99999999"):
        import_archive(archive, Recorder())


def test_a_list_of_classes_beside_the_images(tmp_path: Path) -> None:
    members = {"labels/classes.txt": b"cat\ndog\n", "labels/train/classes.txt": b"cat\ndog\n"}
    assert _classes(tmp_path, members) == (["cat", "dog"], [])


def test_lists_that_differ(tmp_path: Path) -> None:
    members = {"labels/train/classes.txt": b"cat\ndog\n", "labels/val/classes.txt": b"dog\n"}
    with pytest.raises(ArchiveError, match=r"x\.zip.*'labels/train/classes\.txt'.*'labels/val"):
        _classes(tmp_path, members)


def test_data_yaml_comes_before_lists(tmp_path: Path) -> None:
    classes, notes = _classes(tmp_path, {"data.yaml": YAML, "classes.txt": b"car\n"})
    assert classes == ["cat", "dog"]
    assert notes == ["classes.txt was dropped: it lists other classes than data.yaml"]
    assert _classes(tmp_path, {"data.yaml": YAML, "classes.txt": b"cat\ndog"})[1] == []
    classes, _ = _classes(tmp_path, {"data.yaml": b"nc: 1", "classes.txt": b"car\n"})
    assert classes == ["car"]


def test_a_yaml_of_any_name_that_has_names(tmp_path: Path) -> None:
    members = {"args.yaml": b"epochs: 3\nlr0: .01", "pets.yaml": b"names: [cat]\nlicense: CC0"}
    assert _classes(tmp_path, members)[0] == ["cat"]
    found = import_archive(tmp_path / "x.zip", Recorder())
    assert found.extra == {"license": "CC0"}
    assert found.notes == ["args.yaml has no class names and was dropped"]
    with pytest.raises(ArchiveError, match=r"'pets\.yaml' and 'z\.yaml', which differ"):
        _classes(tmp_path, {**members, "z.yaml": b"names: [dog]"})


# --- refused, and before anything is written -----------------------------------------------

REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "no images": ({"data.yaml": YAML}, r"expected images"),
    "escaping": ({**_members(), "../../evil.jpg": b"x"}, r"'\.\./\.\./evil\.jpg'"),
    "colliding": ({**_members(), "IMAGES/train/A.jpg": b"x"}, r"as well"),
    "two datasets": ({**_members(), "x/images/train/c.jpg": b"x"}, r"one dataset"),
    "bad yaml": ({**_members(), "data.yaml": b"names: [cat"}, r", data\.yaml: .*YAML"),
    "huge yaml": ({**_members(), "data.yaml": os.urandom(2**20 + 1)}, r"'data\.yaml'.*1048576"),
    "bomb": ({**_members(), "images/test/c.bmp": bytes(10**7)}, r"max_ratio"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_come_before_the_first_byte(tmp_path: Path, case: str) -> None:
    members, message = REFUSED[case]
    sink = Recorder()
    with pytest.raises(ArchiveError, match=r"(?s)x\.zip.*" + message):
        import_archive(_zip(tmp_path / "x.zip", members), sink)
    assert sink.files == {}


def test_damage_inside_a_member_is_told(tmp_path: Path) -> None:
    members = _members()
    archive = _zip(tmp_path / "x.zip", members, zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[data.index(b"picture b")] ^= 1
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"member 'images/val/b\.jpg'.*CRC-32.*damaged"):
        import_archive(archive, Recorder())


def test_a_damaged_name_does_not_make_an_image_disappear(tmp_path: Path) -> None:
    data = raw_zip(
        RawMember(b"images/train/a.jpg", b"a"),
        RawMember(b"images/train/b.jqg", b"b", local_name=b"images/train/b.jpg"),
    )
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match=r"b\.jqg.*local header"):
        import_archive(tmp_path / "x.zip", Recorder())


# --- progress ------------------------------------------------------------------------------


def test_progress_counts_members(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    archive = _zip(tmp_path / "x.zip", _members())
    import_archive(archive, Recorder(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]


def test_a_large_member_can_be_cancelled_midway(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", [("images/a.tif", bytes(LARGE_BYTES + 1))])
    (tmp_path / "out").mkdir()

    def stop(done: int, total: int) -> None:
        assert (done, total) == (0, 1)
        raise StoppedError

    with pytest.raises(StoppedError):
        import_archive(archive, FolderSink(tmp_path / "out"), progress=stop)
    assert (tmp_path / "out/images/train/a.tif").stat().st_size < LARGE_BYTES


def test_a_folder_sink_never_writes_through_what_is_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (tmp_path / "out/images/train").mkdir(parents=True)
    (tmp_path / "out/images/train/a.jpg").symlink_to(outside)
    with pytest.raises(FileExistsError):
        FolderSink(tmp_path / "out").write("images/train/a.jpg", b"theirs")
    assert outside.read_bytes() == b"mine"


# --- any damage whatever -------------------------------------------------------------------


@st.composite
def _corruptions(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Places, as fractions of the archive, and what to combine the byte there with."""
    places = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
    return draw(st.lists(places, min_size=1, max_size=4))


def _import_or_error(path: Path, sink: Recorder) -> ArchiveContents | ArchiveError:
    try:
        return import_archive(path, sink)
    except ArchiveError as error:
        return error


@settings(deadline=None, max_examples=400)
@given(
    corruptions=_corruptions(),
    cut=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    ours=st.booleans(),
)
def test_a_corrupt_archive_is_refused_or_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    corruptions: list[tuple[float, int]],
    cut: tuple[float, float] | None,
    ours: bool,
) -> None:
    path = tmp_path_factory.mktemp("corrupt") / "x.zip"
    members = _members()
    if ours:
        write_zip(path, members.items(), zip64_limit=300)
    else:
        _zip(path, members)
    data = bytearray(path.read_bytes())
    for place, change in corruptions:
        data[int(place * len(data))] ^= change
    if cut is not None:
        start, stop = sorted(int(place * len(data)) for place in cut)
        del data[start:stop]
    path.write_bytes(data)
    sink = Recorder()
    found = _import_or_error(path, sink)
    if isinstance(found, ArchiveError):
        assert "x.zip" in str(found)
        return
    del members["data.yaml"]
    assert sink.files == members
    assert (found.classes, found.notes) == (["cat", "dog"], [])


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=300), tail=st.booleans())
def test_any_bytes_whatever(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, tail: bool
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.zip"
    path.write_bytes(data + (raw_zip(RawMember(b"a.jpg"))[-22:] if tail else b""))
    with pytest.raises(ArchiveError, match=r"x\.zip"):
        import_archive(path, Recorder())


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("1 other files were dropped, such as 'x.md'", "1 other file was dropped, such as 'x.md'"),
        ("1 boxes have no area and were left out", "1 box has no area and was left out"),
        (
            "1 images that are listed are not there and were left out",
            "1 image that is listed is not there and was left out",
        ),
        ("1 rows are in pixels, and were read", "1 row is in pixels, and was read"),
        ("1 classes were added", "1 classes were added"),
        ("12 other files were dropped", "12 other files were dropped"),
    ],
)
def test_one_thing_is_not_told_as_many(many: str, one: str) -> None:
    assert of_one(many) == one
