"""The data of a run on a node's own disk. No cluster needed: a node is a folder for its cache."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workbench.persistence.run_folder import RunFolder
from workbench.training import node_data
from workbench.training.node_data import NodeData, bring, data_of, let_go, note_contents

SOUND, CUT_OFF = b"\xff\xd8 a picture \xff\xd9", b"\xff\xd8 a picture without its end"
FILES = {
    "data.yaml": b"names: [cup]\n",
    "images/train/a.jpg": SOUND,
    "images/train/b.jpg": CUT_OFF,
    "labels/train/a.txt": b"0 0.5 0.5 0.1 0.1\n",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node that has nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "workbench" / "cluster-data"


def make_run(tmp_path: Path, files: dict[str, bytes]) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", "cups")
    for name, content in files.items():
        path = folder.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    note_contents(folder)
    return folder


def contents(data: Path) -> dict[str, bytes]:
    found = [path for path in data.rglob("*") if path.is_file()]
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in found}


def test_another_run_on_the_same_data_fetches_nothing(tmp_path: Path) -> None:
    first = bring(make_run(tmp_path, FILES))
    assert (first.files, first.bytes) == (len(FILES), sum(map(len, FILES.values())))
    second = bring(make_run(tmp_path, FILES))
    assert (second.files, second.bytes) == (0, 0)
    assert contents(first.path) == contents(second.path) == FILES


def test_of_another_version_only_what_is_new_is_fetched(tmp_path: Path) -> None:
    bring(make_run(tmp_path, FILES))
    changed = FILES | {"labels/train/a.txt": b"", "labels/train/b.txt": b"0 0.5 0.5 0.2 0.2\n"}
    data = bring(make_run(tmp_path, {**changed, "images/val/same.jpg": SOUND}))
    assert data.bytes == len(changed["labels/train/b.txt"])
    assert contents(data.path) == {**changed, "images/val/same.jpg": SOUND}


def test_what_training_writes_into_a_picture_reaches_no_other_run(tmp_path: Path) -> None:
    first = bring(make_run(tmp_path, FILES))
    (first.path / "images/train/b.jpg").write_bytes(b"written again")
    assert contents(bring(make_run(tmp_path, FILES)).path) == FILES


def test_what_is_no_data_is_not_brought(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = make_run(tmp_path, FILES | {"labels/train.cache": b"!", "images/train/a.npy": b"!"})
    (folder.data_dir / "images/train/c.jpg").symlink_to(tmp_path / "secret")
    note_contents(folder)
    assert contents(bring(folder).path) == FILES


@pytest.mark.parametrize("noted", ["nothing", "wrong", "malicious"])
def test_a_note_that_is_not_true_harms_no_other_run(
    tmp_path: Path, cache: Path, noted: str
) -> None:
    folder = make_run(tmp_path, FILES)
    digest = {"nothing": None, "wrong": "0" * 64, "malicious": "../../secret"}[noted]
    note = {} if digest is None else dict.fromkeys(FILES, digest)
    (folder.path / "contents.json").write_text(json.dumps(note))
    data = bring(folder)
    assert (contents(data.path), data.files) == (FILES, len(FILES))
    assert [*cache.glob("[0-9a-f][0-9a-f]/*")] == []


def test_without_room_the_data_are_read_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(tmp_path, FILES)
    monkeypatch.setattr(node_data, "free_space", lambda _: 0)
    assert bring(folder) == NodeData(folder.data_dir)


def test_where_nothing_can_be_kept_the_data_are_read_where_they_lie(
    tmp_path: Path, cache: Path
) -> None:
    folder = make_run(tmp_path, FILES)
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    assert bring(folder) == NodeData(folder.data_dir)


def test_what_was_not_used_for_longest_goes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(make_run(tmp_path, FILES))
    for path in cache.glob("[0-9a-f][0-9a-f]/*"):
        os.utime(path, (1.0, 1.0))
    monkeypatch.setattr(node_data, "MOST_BYTES", 10)
    data = bring(make_run(tmp_path, {"data.yaml": FILES["data.yaml"], "images/train/n.jpg": b"12"}))
    [left] = cache.glob("[0-9a-f][0-9a-f]/*")
    assert left.read_bytes() == b"12"
    assert (data.path / "data.yaml").read_bytes() == FILES["data.yaml"]


def test_the_view_goes_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path, FILES)
    data = bring(folder)
    monkeypatch.setenv(node_data.VARIABLE, str(data.path))
    assert data_of(folder) == data.path
    let_go(folder)
    assert not data.path.exists()
    monkeypatch.delenv(node_data.VARIABLE)
    let_go(folder)
    assert contents(data_of(folder)) == FILES
