"""The record of runs is kept in any storage, and found from any machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.storages import STORAGES
from workbench.errors import ConflictError, InvalidDatasetError, NotFoundError
from workbench.persistence.run_folder import RunFolder
from workbench.persistence.storage import Storage, Write
from workbench.persistence.stores.runs import RunStore
from workbench.persistence.sweep_folder import SweepFolder
from workbench.persistence.work_folder import WorkFolder
from workbench.testing.contract import contents

JOB = {"some": "job"}


@pytest.fixture(params=sorted(STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    folder = tmp_path / "storage"
    folder.mkdir()
    return STORAGES[request.param](folder)


@pytest.fixture
def here(tmp_path: Path, storage: Storage) -> RunStore:
    return RunStore(tmp_path / "here", storage)


@pytest.fixture
def there(tmp_path: Path, storage: Storage) -> RunStore:
    """The same runs on another machine, which has a folder of its own."""
    return RunStore(tmp_path / "there", storage)


@pytest.fixture
def run(here: RunStore) -> RunFolder:
    """A run with what it needs, and what it has come to."""
    folder = here.create(RunFolder, "cups")
    files = {
        "config.json": json.dumps(JOB),
        "process.json": json.dumps({"pid": 1, "created": 2.0, "host": "far"}),
        "events.jsonl": '{"event": "started"}\n{"event": "half',
        "log.txt": "printed",
        "queued.json": '{"place": 1}',
        "stop": "",
        "reserve": "0" * 100,
        "data/images/train/a.jpg": "a picture",
        "ultralytics/results.csv": "epoch",
        "weights/last.pt": "weights" * 1000,
        "samples/00001/a.jpg": "a sample",
    }
    for name, text in files.items():
        path = folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def record(storage: Storage, run: RunFolder) -> dict[str, bytes]:
    found = contents(storage, run.id)
    del found[f"{run.id}/kept.json"]
    return {key.removeprefix(f"{run.id}/"): data for key, data in found.items()}


def test_what_is_worth_keeping_is_kept(here: RunStore, run: RunFolder, storage: Storage) -> None:
    """Not what is for this machine only; of events, whole lines."""
    here.keep(run)
    assert record(storage, run) == {
        "config.json": (run.path / "config.json").read_bytes(),
        "process.json": (run.path / "process.json").read_bytes(),
        "events.jsonl": b'{"event": "started"}\n',
        "log.txt": b"printed",
        "weights/last.pt": b"weights" * 1000,
        "samples/00001/a.jpg": b"a sample",
    }


def test_what_goes_while_it_is_kept_is_not_kept(
    here: RunStore, run: RunFolder, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends removes its last weights: that is nothing to worry anybody with."""
    listed = here._marks

    def marks(folder: WorkFolder) -> dict[str, list[int]]:
        found = listed(folder)
        (run.path / "weights/last.pt").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(here, "_marks", marks)
    here.keep(run)
    found = record(storage, run)
    assert "log.txt" in found
    assert "weights/last.pt" not in found


def test_what_is_the_same_is_not_written_again(
    here: RunStore, run: RunFolder, storage: Storage
) -> None:
    """What only grows goes along with the rest, or when that is wanted; what is gone, goes."""
    here.keep(run)
    first = storage.head(f"{run.id}/weights/last.pt")
    run.append_event('"more"}')
    here.keep(run, grown=False)
    assert record(storage, run)["events.jsonl"] == b'{"event": "started"}\n'
    (run.path / "weights/best.pt").write_bytes(b"best")
    here.keep(run, grown=False)
    assert record(storage, run)["events.jsonl"].endswith(b'"more"}\n')
    assert record(storage, run)["weights/best.pt"] == b"best"
    assert storage.head(f"{run.id}/weights/last.pt") == first
    (run.path / "weights/last.pt").unlink()
    here.keep(run)
    assert "weights/last.pt" not in record(storage, run)
    whole = contents(storage)
    here.keep(run)
    assert contents(storage) == whole


def test_another_machine_finds_it(here: RunStore, there: RunStore, run: RunFolder) -> None:
    """As far as it was kept; nothing that would let that machine work on it comes along."""
    assert there.find_all(RunFolder) == []
    here.keep(run)
    [copy] = there.find_all(RunFolder)
    assert (copy.id, copy.path.parent) == (run.id, there.folder)
    assert copy.read_job() == JOB
    assert copy.read_events() == (['{"event": "started"}'], 21)
    assert copy.weights.find("last.pt") is not None
    assert copy.read_queued() is None
    assert not copy.stop_requested()
    assert not copy.data_dir.exists()
    assert there.host_of(copy)
    assert not here.host_of(run)
    assert here.find_all(RunFolder) == [run]


def test_a_copy_follows(here: RunStore, there: RunStore, run: RunFolder) -> None:
    """Each time that somebody looks, also when something is gone."""
    here.keep(run)
    copy = there.open(RunFolder, run.id)
    run.append_event('"more"}')
    (run.path / "weights/last.pt").replace(run.path / "weights/best.pt")
    here.keep(run)
    there.fetch(copy)
    assert len(copy.read_events()[0]) == 2
    assert copy.weights.find("last.pt") is None
    assert (copy.path / "weights/best.pt").read_bytes() == b"weights" * 1000


def test_who_has_a_copy_writes_nothing(
    here: RunStore, there: RunStore, run: RunFolder, storage: Storage
) -> None:
    """What it notes by itself stays there."""
    here.keep(run)
    copy = there.open(RunFolder, run.id)
    copy.write_registered("cups", 0)
    there.keep(copy)
    assert "registered.json" not in record(storage, run)
    assert copy.read_registered() == ("cups", 0)


def test_a_run_goes_on_where_it_was_taken_over(
    here: RunStore, there: RunStore, run: RunFolder, storage: Storage
) -> None:
    """Where it was before, it is a copy from then on."""
    here.keep(run)
    copy = there.open(RunFolder, run.id)
    copy.write_registered("cups", 0)
    there.take_over(copy)
    assert not there.host_of(copy)
    copy.append_event('{"event": "resumed"}')
    there.keep(copy)
    assert record(storage, run)["events.jsonl"].endswith(b'"resumed"}\n')
    (run.path / "log.txt").write_text("more of before")
    here.keep(run)
    assert record(storage, run)["log.txt"] == b"printed"
    assert here.find_all(RunFolder) == [run]
    assert here.host_of(run)
    assert run.read_events()[0][-1] == '{"event": "resumed"}'


def test_what_was_not_kept_is_not_lost(here: RunStore, there: RunStore, run: RunFolder) -> None:
    """Where a run was taken over that has come further meanwhile, both are left."""
    here.keep(run)
    run.append_event('"more"}')
    copy = there.open(RunFolder, run.id)
    there.take_over(copy)
    assert here.find_all(RunFolder) == [run]
    here.keep(run)
    assert len(run.read_events()[0]) == 2
    assert len(copy.read_events()[0]) == 1


def test_what_was_not_seen_is_not_taken_over(
    here: RunStore, there: RunStore, run: RunFolder
) -> None:
    """There may be an end of it, or an epoch more."""
    here.keep(run)
    copy = there.open(RunFolder, run.id)
    run.append_event('"more"}')
    here.keep(run)
    with pytest.raises(ConflictError, match="look at it again"):
        there.take_over(copy)
    assert there.host_of(copy)


def test_names_are_taken_on_all_machines(here: RunStore, there: RunStore) -> None:
    """Two that start within one second have two runs; one that never came to be leaves nothing."""
    ids = {store.create(RunFolder, "cups").id for store in (here, there, here, there)}
    assert len(ids) == 4
    for store in (here, there):
        assert store.find_all(RunFolder) == []
    folder = here.create(RunFolder, "plates")
    here.remove(folder)
    there.open(RunFolder, folder.id)
    with pytest.raises(NotFoundError):
        there.open(RunFolder, folder.id).read_job()


def test_sweeps_are_kept_too(here: RunStore, there: RunStore, storage: Storage) -> None:
    """Below a folder of their own; they are no runs."""
    sweep = here.create(SweepFolder, "cups")
    sweep.write_trials({"trials": []})
    sweep.write_plan({"settings": []})
    here.keep(sweep)
    [copy] = there.find_all(SweepFolder)
    assert copy.read_plan() == {"settings": []}
    assert copy.path == there.folder / "sweeps" / sweep.id
    assert copy.runs_dir == there.folder
    assert there.find_all(RunFolder) == []
    assert storage.exists(f"sweeps/{sweep.id}/sweep.json")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "stop", "queued.json", "data/data.yaml"])
def test_a_strangers_record_names_nothing_else(
    there: RunStore, storage: Storage, name: str
) -> None:
    """It could lead anywhere, or let a run begin here."""
    home = {"host": "h", "folder": "f", "number": 1, "files": {name: 1}, "marks": {}}
    storage.commit([Write("planted/kept.json", json.dumps(home).encode())])
    assert there.find_all(RunFolder) == []
    assert not (there.folder / "planted").exists()
    with pytest.raises(InvalidDatasetError, match="what is kept of a run"):
        there.open(RunFolder, "planted")


def test_in_a_folder_there_is_nothing_to_keep(tmp_path: Path) -> None:
    """A run there is all that there is of it, as it always was."""
    store = RunStore.at(tmp_path / "runs")
    run = store.create(RunFolder, "cups")
    run.write_job(JOB)
    before = sorted(run.path.rglob("*"))
    store.keep(run)
    store.fetch(run)
    store.take_over(run)
    assert sorted(run.path.rglob("*")) == before
    assert (store.find_all(RunFolder), store.host_of(run)) == ([run], "")
