"""A run's folder from elsewhere: its data are looked at before Ultralytics reads them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from workbench.errors import InvalidDatasetError, TrainingError
from workbench.persistence.run_folder import RunFolder
from workbench.training.run_data import make_ready

PLAIN = "train: images/train\nval: images/val\nnames: {0: cup}\n"
JOB = "data/data.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "shapes")
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (made.data_dir / kind / split).mkdir(parents=True)
    (made.path / JOB).write_text(PLAIN)
    return made


class _Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_what_would_be_unpickled_is_removed(folder: RunFolder, tmp_path: Path) -> None:
    labels = folder.data_dir / "labels"
    (labels / "train" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    hostile = pickle.dumps(_Touches(tmp_path / "ran"))
    kept = tmp_path / "outside.cache"
    kept.write_bytes(hostile)
    (labels / "train.cache").write_bytes(hostile)
    (labels / "train" / "deep.cache").write_bytes(hostile)
    (labels / "val.cache").symlink_to(kept)
    make_ready(folder, JOB)
    assert [path.name for path in labels.rglob("*") if path.is_file()] == ["a.txt"]
    assert kept.read_bytes() == hostile
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "more", ["download: touch ran", "download: https://203.0.113.7/x.zip", "path: /elsewhere"]
)
def test_what_would_run_fetch_or_lead_away_is_refused(folder: RunFolder, more: str) -> None:
    (folder.path / JOB).write_text(f"{PLAIN}{more}\n")
    with pytest.raises(TrainingError, match=f"found '{more.partition(':')[0]}'"):
        make_ready(folder, JOB)


@pytest.mark.parametrize("split", ["/etc", "../../elsewhere", "https://203.0.113.7/x", "images"])
def test_splits_elsewhere_are_refused(folder: RunFolder, split: str) -> None:
    (folder.path / JOB).write_text(PLAIN.replace("images/val", split))
    with pytest.raises(InvalidDatasetError, match="val: expected images/val"):
        make_ready(folder, JOB)


@pytest.mark.parametrize(
    "job", ["../data.yaml", "/data.yaml", "data/../../data.yaml", "coco8.yaml"]
)
def test_a_job_cannot_name_other_data(folder: RunFolder, job: str) -> None:
    (folder.path.parent / "data.yaml").write_text(PLAIN)
    (folder.path / "coco8.yaml").write_text(PLAIN)
    with pytest.raises(TrainingError, match="expected data in"):
        make_ready(folder, job)


def test_folders_that_lead_away_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder.data_dir / "labels" / "val").rmdir()
    (folder.data_dir / "labels" / "val").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrainingError, match="found a link"):
        make_ready(folder, JOB)
    (folder.data_dir / "labels" / "val").unlink()
    (folder.path / JOB).unlink()
    os.mkfifo(folder.path / JOB)
    with pytest.raises(TrainingError, match="cannot be read"):
        make_ready(folder, JOB)
