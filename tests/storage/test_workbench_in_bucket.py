"""A whole workbench over a bucket: where its parts are, and what it does there."""

from __future__ import annotations

import asyncio
import json
import threading
import zipfile
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.helpers.pictures import jpeg
from tests.helpers.sweeps import run_of
from tests.storage.s3_proxy import S3Proxy
from workbench import Workbench
from workbench.cli import main
from workbench.errors import SetupError
from workbench.panels.home.model import HomeModel
from workbench.panels.train.model import TrainModel
from workbench.persistence import one_look
from workbench.persistence.addresses import Places
from workbench.persistence.models import Annotation, NewImage
from workbench.persistence.storage import Write
from workbench.persistence.storage.bucket import open_bucket

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_what_is_not_named_is_beside_the_data(tmp_path: Path, state_home: Path) -> None:
    places = Places.of(Path("s3://bucket/lab/data/"))  # as an option of the command line is
    assert (places.data, places.models) == ("s3://bucket/lab/data", "s3://bucket/lab/models")
    assert places.runs.parent == state_home / "workbench" / "runs"
    assert places.runs.name.startswith("s3-bucket-lab-data-")
    assert Places.of("s3://bucket/lab/data").runs == places.runs
    assert Places.of("s3://bucket/lab-data").runs != places.runs
    mixed = Places.of("s3://bucket/data", tmp_path / "models", tmp_path / "runs")
    assert (mixed.models, mixed.runs) == (tmp_path / "models", tmp_path / "runs")
    assert Places.of(tmp_path / "data").runs == tmp_path / "runs"


@pytest.mark.parametrize("data", ["s3://bucket", "s3://bucket/"])
def test_nothing_is_beside_a_whole_bucket(data: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"such as s3://bucket/data, so that models can be beside"):
        Places.of(data)
    assert Places.of(data, tmp_path).models == tmp_path


async def test_runs_are_kept_in_the_bucket_and_seen_on_other_machines(
    address: str, tmp_path: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = f"{address}/data", f"{address}/models", f"{address}/runs"
    with Workbench(*places) as wb:
        assert wb.runs_dir == f"{address}/runs"
        assert wb.runner.runs_dir.is_relative_to(state_home)
        await wb.datasets.create("cups", ["cup"])
        folder = run_of(wb.runner.runs_dir, "20260101-000000-cups", 0.25, 0.5)
        folder.weights.folder.mkdir()
        (folder.weights.folder / "best.pt").write_bytes(b"weights")
        (run,) = await wb.runner.list_runs()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state of another machine"))
    with Workbench(*places) as other:
        panel = other.train("cups")
        await panel.refresh()
        assert [row.id for row in panel.model.rows] == [run.id]
        (found,) = await other.runner.list_runs()
        assert found.path != run.path
        assert panel.model.progress.epochs_completed == 2
        panel.close()


async def test_the_loop_of_a_workbench(address: str, tmp_path: Path) -> None:
    open_bucket(f"{address}/data/cups").commit(
        [Write("data.yaml", b"names: [cup]\n"), Write("images/train/a.jpg", jpeg(1))]
    )
    with Workbench(f"{address}/data") as wb:
        assert repr(wb) == f"Workbench(data_dir={address}/data, models_dir={address}/models)"
        [facts] = await wb.datasets.list_facts()
        assert (facts.info.name, facts.num_labelled["train"]) == ("cups", 0)
        await wb.stores.label.save("cups", "train", "a.jpg", [BOX])
        dataset = await wb.datasets.open("cups")
        assert await dataset.query("class:cup") == [("train", "a.jpg")]
        archive = await wb.datasets.export_zip("cups", tmp_path / "cups.zip")
        with zipfile.ZipFile(archive) as opened:
            assert opened.read("images/train/a.jpg") == jpeg(1)
        # What training reads lies in files.
        snapshot = await wb.stores.dataset.snapshot("cups", tmp_path / "frozen")
        assert (snapshot.path / "images" / "train" / "a.jpg").read_bytes() == jpeg(1)
        assert (snapshot.path / "labels" / "train" / "a.txt").read_text().startswith("0 0.5")
        # A panel that was told no folder for runs finds the same one.
        model = TrainModel("cups", wb.stores)
        runner = await model.find_runner("cups")
        assert runner is not None
        assert runner.runs_dir == wb.runs_dir.resolve()


async def test_who_saves_is_not_kept_waiting_while_the_dataset_is_copied_for_training(
    address: str, tmp_path: Path
) -> None:
    images = [NewImage(f"{n}.jpg", "train", jpeg(n)) for n in range(3)]
    with Workbench(f"{address}/data") as wb, Workbench(f"{address}/data") as other:
        await wb.stores.dataset.create_from("cups", ["cup"], images)
        saves: list[threading.Thread] = []
        told: list[int] = []

        def save() -> None:
            asyncio.run(other.stores.label.save("cups", "train", "0.jpg", [BOX]))

        def meanwhile(done: int, _total: int) -> None:
            told.append(done)
            if not saves:
                saves.append(threading.Thread(target=save))
                saves[0].start()
                saves[0].join(20)
                assert not saves[0].is_alive()

        snapshot = await wb.stores.dataset.snapshot("cups", tmp_path / "new", progress=meanwhile)
        assert snapshot.num_labelled["train"] == 1  # what was saved meanwhile is there
        assert (snapshot.path / "labels" / "train" / "0.txt").read_text().startswith("0 0.5")
        # It was copied twice, and the bar did not fall back.
        assert len(told) > len(images)
        assert told == sorted(told)


async def test_a_listing_in_many_pages_is_a_whole_one(address: str, s3: S3Proxy) -> None:
    images = [NewImage(f"{n}.jpg", "train", jpeg(n)) for n in range(8)]
    with Workbench(f"{address}/data") as wb:
        await wb.stores.dataset.create_from("cups", ["cup"], images)
        s3.page = 3
        with s3.counted() as requests:
            found = await wb.stores.image.list("cups", split="train")
        assert [image.filename for image in found] == [f"{n}.jpg" for n in range(8)]
        assert requests["LIST"] >= 3
        await wb.stores.dataset.delete("cups")
        assert await wb.stores.dataset.list() == []


async def test_what_is_seen_of_a_change(address: str, s3: S3Proxy) -> None:
    """Each change is told, by whom it may be; a look at what stays the same costs few requests."""
    images = [NewImage(f"{n}.jpg", "train", jpeg(n)) for n in range(3)]
    with Workbench(f"{address}/data") as wb, Workbench(f"{address}/data") as other:
        await wb.stores.dataset.create_from("cups", ["cup"], images)
        before, of_all = (
            await wb.stores.dataset.stamp("cups"), await wb.stores.dataset.stamp_of_all()
        )  # fmt: skip
        with s3.counted() as requests:
            assert await wb.stores.dataset.stamp("cups") == before
            assert await wb.stores.dataset.stamp_of_all() == of_all
        assert requests.total() <= 10
        assert requests["LIST"] == 1
        await other.stores.label.save("cups", "train", "1.jpg", [BOX])
        with s3.counted() as requests:
            after = await wb.stores.dataset.stamp("cups")
        assert after.changed_since(before) == {"labels"}
        assert requests["LIST"] <= 2  # the look at suggestions is made again, as of the change
        await other.stores.image.move("cups", "2.jpg", "train", "val")
        assert "images" in (await wb.stores.dataset.stamp("cups")).changed_since(after)
        assert await wb.stores.dataset.stamp_of_all() == of_all
        await other.stores.dataset.create("plates")
        assert await wb.stores.dataset.stamp_of_all() != of_all


async def test_home_asks_for_each_thing_once(address: str, s3: S3Proxy) -> None:
    images = [NewImage(f"{n}.jpg", "train", jpeg(n), [BOX] * (n % 2)) for n in range(3)]
    with Workbench(f"{address}/data") as wb, Workbench(f"{address}/data") as other:
        for name in ("cups", "mugs"):
            await wb.stores.dataset.create_from(name, ["cup"], images)
        home = HomeModel(wb.stores)
        with s3.counted() as first:
            await home.refresh()
        with s3.counted() as again:
            await home.refresh()
        assert [card["name"] for card in home.cards] == ["cups", "mugs"]
        # Of each: its head before and after, seven listings, and six small values.
        assert again.total() <= 6 + 2 * 15
        assert first.total() <= again.total() + 2 * (len(images) + 1) + 2
        s3.latency_s = 0.1
        s3.spans.clear()
        await home.refresh()
        s3.latency_s = 0.0
        # Of one after the other it would be as many more for each dataset.
        assert s3.rounds(list(s3.spans)) <= 13
        await other.stores.label.save("mugs", "train", "0.jpg", [BOX, BOX])
        await home.refresh()
        assert [card["boxes"] for card in home.cards] == [1, 3]
        home.close()


async def test_all_labels_are_read_in_few_round_trips(address: str, s3: S3Proxy) -> None:
    images = [NewImage(f"{n}.jpg", "train", jpeg(n), [BOX]) for n in range(5)]
    with Workbench(f"{address}/data") as wb:
        await wb.stores.dataset.create_from("cups", ["cup"], images)
    with Workbench(f"{address}/data") as wb:
        s3.latency_s = 0.1
        s3.spans.clear()
        assert len((await wb.stores.label.load_all("cups")).class_id) == 5
        # Where it lies together with its head in two; all listings at once, all labels, the head.
        assert s3.rounds(list(s3.spans)) <= 5


async def test_one_look_is_as_of_one_moment_of_each_storage(address: str, s3: S3Proxy) -> None:
    """What somebody else has changed is asked for again, and what they have not is not."""
    writers, readers = ([open_bucket(f"{address}/{n}") for n in "ab"] for _ in range(2))
    for writer in writers:
        writer.commit([Write("x/1", b"old"), Write("y", b"old")])
    found: list[list[bytes]] = []
    requests: list[int] = []

    async def work() -> None:
        with s3.counted() as asked:
            seen = [reader.read(key) for reader in readers for key in ("x/1", "y")]
        if not found:
            writers[0].commit([Write("x/1", b"new"), Write("y", b"new")])
        found.append(seen + [reader.read("x/1") for reader in readers])
        requests.append(asked.total())

    await one_look(work)
    assert found == [[b"old"] * 6, [b"new", b"new", b"old", b"old", b"new", b"old"]]
    assert requests == [6, 3]


def test_a_dataset_is_made_and_opened_from_the_command_line(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from workbench.lab import dataset_notebook

    monkeypatch.chdir(tmp_path)
    data = f"{address}/data"
    assert main(["new", "cups", "--classes", "cup", "--data", data]) == 0
    said = capsys.readouterr().out
    assert f"made in {data}/cups" in said
    assert f"workbench lab cups --data {data}" in said
    assert open_bucket(f"{data}/cups").exists("data.yaml")
    assert dataset_notebook("plates", Path(data)) is None
    made = dataset_notebook("cups", Path(data))
    assert made is not None
    assert f"wb = Workbench('{data}')" in json.loads(made.read_text())["cells"][0]["source"]
    assert main(["doctor", "--data", data]) == 1
    assert "asks nothing of the network" in capsys.readouterr().err
    assert not (tmp_path / "s3:").exists()


@pytest.mark.long
def test_a_bucket_is_served(address: str, tmp_path: Path) -> None:
    open_bucket(f"{address}/data/cups").commit(
        [Write("data.yaml", b"names: [cup]\n"), Write("images/train/a.jpg", jpeg(1))]
    )
    with serving(Path(f"{address}/data"), folder=tmp_path) as server, server.client() as client:
        assert f"Workbench serves {address}/data at" in server.printed[0]
        [found] = client.get("/datasets").json()["items"]
        assert found["name"] == "cups"
        assert client.get("/datasets/cups/images/train/a.jpg").content == jpeg(1)
    assert not (tmp_path / "s3:").exists()
