"""Label files and lines of ours that are long without end: named, and nothing else is lost."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.helpers.pictures import jpeg
from workbench import Dataset
from workbench.errors import InvalidBoxError, InvalidDatasetError, LabelFormatError, WorkbenchError
from workbench.persistence import Stores, create_stores
from workbench.persistence.history import parse_records
from workbench.persistence.models import Annotation
from workbench.persistence.sources import parse_sources
from workbench.persistence.stored_json import loads, parse_json, unpacked
from workbench.persistence.stores import label_inspection, label_reading
from workbench.persistence.yolo import label_text
from workbench.persistence.yolo.data_yaml import DataYaml
from workbench.persistence.yolo.label_table import parse_many
from workbench.persistence.yolo.label_text import (
    MAX_BYTES,
    MAX_ROW,
    MAX_ROWS,
    clean_annotations,
    parse_labels,
)
from workbench.training.events import parse_event

ROW = b"0 0.5 0.5 0.2 0.2\n"
DEEP = b"[" * 100_000


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "data" / "cups"
    for folder in ("images/train", "labels/train", "images/val", "labels/val"):
        (base / folder).mkdir(parents=True)
    (base / "data.yaml").write_text("names: [cup, mug]\n")
    for number, name in enumerate(["good", "long", "row"]):
        (base / f"images/train/{name}.jpg").write_bytes(jpeg(number))
    (base / "labels/train/good.txt").write_bytes(ROW)
    with (base / "labels/train/long.txt").open("wb") as file:
        file.write(ROW)
        file.truncate(10 * 2**30)  # takes no space on the disk, and all of the memory if read
    (base / "labels/train/row.txt").write_bytes(ROW + b"0 " + b"0.5 " * (MAX_ROW // 4) + b"\n")
    return base


async def test_one_endless_label_file_is_named_and_the_others_are_read(
    stores: Stores, base: Path
) -> None:
    labels = stores.label
    table = await labels.load_all("cups")
    assert len(table.boxes) == 1
    assert {Path(problem.path).name for problem in table.problems} == {"long.txt", "row.txt"}
    with pytest.raises(LabelFormatError, match=r"row\.txt, line 2: .*1,048,576 characters"):
        await labels.load("cups", "train", "row.jpg")
    with pytest.raises(LabelFormatError, match=r"long\.txt: .*8,388,608 bytes"):
        await labels.load("cups", "train", "long.jpg")
    report = await Dataset(stores, "cups").health()
    [finding] = [one for one in report.findings if one.kind == "unreadable-labels"]
    assert sorted(finding.images) == [("train", "long.jpg"), ("train", "row.jpg")]


async def test_nothing_of_it_is_rewritten_by_what_could_not_read_it(
    stores: Stores, base: Path
) -> None:
    with pytest.raises(WorkbenchError):
        await stores.dataset.rewrite_classes("cups", ["mug", "cup"], {0: 1, 1: 0})
    with pytest.raises(WorkbenchError):
        await stores.label.save("cups", "train", "long.jpg", [Annotation(0, 0.5, 0.5, 0.1, 0.1)])
    with pytest.raises(WorkbenchError):
        await stores.dataset.freeze("cups", "v1")
    assert (base / "labels/train/long.txt").stat().st_size == 10 * 2**30
    assert (base / "labels/train/good.txt").read_bytes() == ROW


def test_a_file_at_the_bound_is_read() -> None:
    data = ROW + b" \r\n" * ((MAX_BYTES - 2 * len(ROW)) // 3) + ROW
    assert len(parse_labels(data, "x.txt", 1).annotations) == 2
    with pytest.raises(LabelFormatError, match="bytes"):
        parse_labels(data + ROW * 2, "x.txt", 1)


def test_rows_without_end_are_none() -> None:
    data = ROW * MAX_ROWS
    assert parse_many([data], ["x.txt"], 1).problems == []
    with pytest.raises(LabelFormatError, match=r"x\.txt: .*100,000 rows"):
        parse_labels(data + ROW, "x.txt", 1)
    # Blank lines are no rows, however they end.
    blank = b"\r\n \r\n".join([ROW.strip()] * 10) + b"\r\n" * MAX_ROWS
    assert len(parse_labels(blank, "x.txt", 1).annotations) == 10
    box = Annotation(0, 0.5, 0.5, 0.1, 0.1)
    assert len(clean_annotations([box] * MAX_ROWS, 1, "x.txt")) == MAX_ROWS
    with pytest.raises(InvalidBoxError, match="100,000 boxes"):
        clean_annotations([box] * (MAX_ROWS + 1), 1, "x.txt")
    [problem] = parse_many([data + ROW], ["x.txt"], 1).problems
    assert "100,000 rows" in str(problem)


def test_no_row_of_a_file_with_too_many_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read that many takes seconds, in each of the files of a folder."""
    data = b"0 1 1 1 1\n" * (MAX_ROWS + 1)

    def read(*_: object) -> float:
        raise AssertionError("a row was read")

    monkeypatch.setattr(label_text, "_number", read)
    monkeypatch.setattr(label_inspection, "_values", read)
    with pytest.raises(LabelFormatError, match="100,000 rows"):
        parse_labels(data, "x.txt", 1)
    [report] = label_inspection.report_all([("train", "x.jpg")], [data], DataYaml(["cup"], {}))
    assert (report.rows, "100,000 rows" in report.problem) == ([], True)


def test_what_is_wrong_with_a_file_keeps_none_of_it_in_memory() -> None:
    data = b"0 0.5 0.5 0.2 0.2\nword\n" + ROW * 10_000
    [problem] = parse_many([data], ["x.txt"], 1).problems
    assert "word" in str(problem)
    assert (problem.__traceback__, problem.__context__, problem.__cause__) == (None, None, None)


async def test_large_label_files_are_read_some_at_a_time(
    base: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_reading, "_FIRST", 3)
    monkeypatch.setattr(label_reading, "_MOST_AT_ONCE", 5 * len(ROW))
    for number in range(20):
        (base / f"images/val/{number:02}.jpg").write_bytes(jpeg(number))
        (base / f"labels/val/{number:02}.txt").write_bytes(ROW * (number // 4))
    whole, read_many = [], label_reading.read_many
    monkeypatch.setattr(
        label_reading, "read_many", lambda s, keys: whole.append(read_many(s, keys)) or whole[-1]
    )
    keys = [("val", f"{number:02}.jpg") for number in range(19, -1, -1)]
    table = await stores.label.load_many("cups", keys)
    assert max(len(some) for some in whole) < 20
    assert sum(map(len, whole)) == 20
    assert [int((table.image_index == n).sum()) for n in range(20)] == [n // 4 for n in range(20)][
        ::-1
    ]
    table = await stores.label.load_all("cups")
    place = table.filenames.index("00.jpg")
    assert [int((table.image_index == place + n).sum()) for n in range(20)] == [
        n // 4 for n in range(20)
    ]


def test_a_message_shows_the_beginning_of_an_endless_word() -> None:
    with pytest.raises(LabelFormatError) as caught:
        parse_labels(b"0 " + b"x" * 1_000_000 + b" 1 1 1", "x.txt", 1)
    assert len(str(caught.value)) < 300
    with pytest.raises(LabelFormatError) as caught:
        parse_labels(b"9" * 300 + b" 0.5 0.5 0.1 0.1", "x.txt", 1)
    assert len(str(caught.value)) < 300


def test_brackets_without_end_spoil_one_line_of_ours_and_no_other() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC).isoformat()
    source = {
        "at": at,
        "image": "train/a.jpg",
        "captured_at": at,
        "feed": "camera 0",
        "sequence": 1,
        "burst": "",
        "class_name": "",
        "predictions": [],
        "details": {},
    }
    lines = b"\n".join([DEEP, json.dumps(source).encode(), b'{"at": ' + DEEP])
    assert [record.source.filename for record in parse_sources(lines)] == ["a.jpg"]
    move = {"at": at, "from": "train/a.jpg", "to": "val/a.jpg"}
    lines = b"\n".join([DEEP, json.dumps(move).encode(), b'{"at": ' + b"9" * 5_000 + b"}"])
    assert len(parse_records(lines)) == 1
    with pytest.raises(ValueError, match="one JSON object"):
        parse_event(DEEP.decode())
    with pytest.raises(InvalidDatasetError, match=r"x\.json: expected tags, .*brackets"):
        parse_json(DEEP, "x.json", "tags")


async def test_deep_json_among_the_sources_keeps_no_look_from_working(
    stores: Stores, base: Path
) -> None:
    (base / ".workbench/sources").mkdir(parents=True)
    (base / ".workbench/sources/2026-01.jsonl").write_bytes(b"\n" + DEEP)
    for _ in range(2):
        assert await stores.image.sources("cups") == {}
    assert await Dataset(stores, "cups").query("split:train boxes>0") == [("train", "good.jpg")]


@pytest.mark.parametrize("data", [b"[" + b"[]," * 1_000_000 + b"0]", b"[" + b"1," * 2_000_000])
def test_megabytes_of_empty_lists_are_none_of_ours(data: bytes) -> None:
    with pytest.raises(ValueError, match="brackets and commas"):
        loads(data)
    with pytest.raises(ValueError, match="brackets and commas"):
        loads(data.decode())


def test_what_is_packed_too_well_is_not_unpacked() -> None:
    assert unpacked(zlib.compress(bytes(2**24))) == bytes(2**24)
    with pytest.raises(ValueError, match="40 times"):
        unpacked(zlib.compress(bytes(2**26)))
    with pytest.raises(ValueError, match="too early"):
        unpacked(zlib.compress(b"something")[:-5])


async def test_a_version_that_is_a_bomb_is_named(stores: Stores, base: Path) -> None:
    (base / "labels/train/long.txt").unlink()
    (base / "labels/train/row.txt").unlink()
    await stores.dataset.freeze("cups", "v1")
    [path] = (base / ".workbench/versions").glob("*.version")
    head = path.read_bytes().partition(b"\n")[0]
    path.write_bytes(head + b"\n" + zlib.compress(b'{"extra": "' + b"x" * 2**26 + b'"}'))
    with pytest.raises(InvalidDatasetError, match=r"v1\.version: .*40 times"):
        await stores.dataset.snapshot("cups", base.parent.parent / "run", version="v1")
