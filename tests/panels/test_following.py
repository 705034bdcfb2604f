"""Panels follow each other: what is changed anywhere is shown everywhere, without Refresh."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.pictures import jpeg
from workbench import Workbench
from workbench.datasets.dataset import Dataset
from workbench.errors import UnreachableError
from workbench.panels import AnnotatePanel
from workbench.panels.annotate.messages import CanvasBox, Edit
from workbench.persistence import DatasetStore, ImageStore, ModelStore
from workbench.persistence.models import Annotation

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.5)
LIMIT_S = 20


@pytest.fixture
async def wb(tmp_path: Path) -> AsyncIterator[Workbench]:
    bench = Workbench(tmp_path / "data")
    await bench.stores.dataset.create("pets", ["cat"])
    for number, name in enumerate(("a", "b", "c")):
        await bench.stores.image.save_bytes("pets", "train", f"{name}.jpg", jpeg(number))
    yield bench
    bench.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.02)


async def opened(wb: Workbench, **choices: str) -> AnnotatePanel:
    panel = wb.annotate("pets", **choices)
    await panel.show(0)
    return panel


async def test_a_class_that_is_added_in_curate_is_there_in_annotate_and_browse(
    wb: Workbench,
) -> None:
    annotate, browse, curate = await opened(wb), wb.browse("pets"), wb.curate("pets")
    await browse.search("")
    await curate.open("pets")
    await curate.model.add_class("dog")
    await curate.model.apply_classes()
    await until(lambda: annotate.canvas.classes == ["cat", "dog"])
    await until(lambda: browse.gallery.classes == ["cat", "dog"])


async def test_images_that_are_moved_in_browse_are_moved_in_every_panel(wb: Workbench) -> None:
    train, val = await opened(wb), wb.annotate("pets", split="val")
    curate, browse = wb.curate("pets"), wb.browse("pets")
    await curate.open("pets")
    await browse.search("a.jpg")
    await browse.select_all()
    await browse.model.move("val")
    await until(lambda: train.model.filenames == ["b.jpg", "c.jpg"])
    await until(lambda: val.model.filenames == ["a.jpg"])
    await until(lambda: curate.model.statistics.index.keys()[-1] == ("val", "a.jpg"))
    # The one that was shown is gone, so the next is.
    await until(lambda: train.current is not None and train.current.filename == "b.jpg")
    assert "a.jpg is not here any more" in train.canvas.notice
    await until(lambda: val.current is not None and val.current.filename == "a.jpg")


async def test_panels_whose_data_do_not_answer_say_so_and_go_on_once_they_do(
    wb: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a bucket whose server is gone when the panels are made, and later is again."""
    is_away = True

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        async def ask(self: object, *args: Any, **kwargs: Any) -> Any:
            if is_away:
                raise UnreachableError(
                    "s3://lab/data: expected an answer, found none; look, then try again"
                )
            return await method(self, *args, **kwargs)

        return ask

    for store, names in (
        (
            DatasetStore,
            ("list", "names", "get", "stamp", "stamp_of_all", "load_cache", "list_trash"),
        ),
        (ImageStore, ("scan", "list")),
        (ModelStore, ("list", "stamp")),
    ):
        for name in names:
            monkeypatch.setattr(store, name, guarded(getattr(store, name)))
    annotate, browse, curate = wb.annotate("pets"), wb.browse("pets"), wb.curate("pets")
    home, train = wb.home(), wb.train("pets")
    evaluate, models = wb.evaluate(), wb.models()

    def words() -> list[str]:
        told = [panel.model.status.text for panel in (browse, curate, home, evaluate, models)]
        return [*told, annotate.canvas.notice, train.model.error]

    def is_known() -> list[object]:
        return [
            browse.model.listing, curate.model.dataset, home.view.ready, home.model.cards,
            annotate.model.walk, train.model.datasets, evaluate.model.datasets,
        ]  # fmt: skip

    await until(lambda: all("found none; look. It is tried again" in text for text in words()))
    assert not any(is_known())
    is_away = False
    await until(lambda: all(is_known()))
    await until(lambda: not any(words()))
    is_away = True
    await until(lambda: all("It is tried again" in text for text in words()))
    is_away = False
    await until(lambda: not any(words()))
    for panel in (annotate, browse, curate, home, train, evaluate, models):
        panel.close()


async def test_pictures_that_come_show_up_where_there_were_none(wb: Workbench) -> None:
    panel = wb.annotate("pets", split="test")
    browse = wb.browse("pets", query="split:test")
    await until(lambda: browse.model.listing is not None and panel.model.walk == 1)
    assert panel.current is None
    await wb.stores.image.save_bytes("pets", "test", "new.jpg", jpeg(9))
    await until(lambda: panel.current is not None)
    await until(lambda: len(browse.model.listing) == 1)
    assert panel.canvas.frame.name == "new.jpg"


async def test_what_another_process_labels_shows_on_the_open_image(
    wb: Workbench, tmp_path: Path
) -> None:
    panel = await opened(wb)
    browse = wb.browse("pets")
    await browse.search("labelled")
    code = f"""
import asyncio
from workbench import create_stores
from workbench.persistence import DatasetStore, ImageStore, ModelStore
from workbench.persistence.models import Annotation
stores = create_stores({str(wb.data_dir)!r}, {str(wb.models_dir)!r})
asyncio.run(stores.label.save("pets", "train", "a.jpg", [Annotation(0, .5, .5, .25, .5)]))
"""
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], check=True)
    await until(lambda: panel.annotations == [BOX])
    await until(lambda: panel.model.labelled == 1)
    await until(lambda: len(browse.model.listing) == 1)


async def test_boxes_that_are_drawn_here_do_not_show_the_image_again(wb: Workbench) -> None:
    panel = await opened(wb)
    before = panel.current
    for step in range(1, 4):
        await panel.save([Annotation(0, 0.5, 0.5, step / 8, 0.25)])
        await asyncio.sleep(0.3)
    await wb.stores.dataset.update_classes("pets", ["cat", "dog"])  # news that come after those
    await until(lambda: panel.canvas.classes == ["cat", "dog"])
    assert panel.current is before


async def test_a_walk_of_unlabelled_images_keeps_those_that_are_labelled_meanwhile(
    wb: Workbench,
) -> None:
    panel = await opened(wb, only="unlabelled")
    await panel.save([BOX])
    await wb.stores.label.save("pets", "train", "b.jpg", [BOX])
    await wb.stores.image.save_bytes("pets", "train", "aa.jpg", jpeg(8))
    await wb.stores.image.delete("pets", "train", "c.jpg")
    await until(lambda: panel.model.filenames == ["a.jpg", "b.jpg", "aa.jpg"])
    assert panel.model.labelled == 2


async def test_an_edit_on_the_way_is_kept_when_the_walk_changes(wb: Workbench) -> None:
    panel = await opened(wb)
    picture = panel.current
    await wb.stores.image.save_bytes("pets", "train", "0.jpg", jpeg(7))
    await until(lambda: panel.model.total == 4)
    edit = Edit(picture.key, "", (CanvasBox(0, (4.0, 4.0, 20.0, 20.0)),), session="page", seq=1)
    panel.edited(edit)
    stored = wb.data_dir / "pets" / "labels" / "train" / "a.txt"
    await until(stored.exists)
    assert not (wb.data_dir / "pets" / "labels" / "train" / "0.txt").exists()


async def test_models_and_versions_that_are_made_show_in_the_panels_that_list_them(
    wb: Workbench, tmp_path: Path
) -> None:
    models, evaluate, train = wb.models(), wb.evaluate("pets"), wb.train("pets")
    await models.refresh()
    await evaluate.refresh()
    await train.refresh()
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"weights")
    await wb.stores.model.save("one", weights, "yolo11n", "pets")
    await Dataset(wb.stores, "pets").versions.freeze("first")
    await until(lambda: [m.name for m in models.model.models] == ["one"])
    await until(lambda: [m.name for m in evaluate.model.models] == ["one"])
    await until(lambda: "first" in [name for _, name in train.model.versions])


async def test_a_plan_that_is_outdated_is_dropped_with_a_word(wb: Workbench) -> None:
    curate = wb.curate("pets")
    await curate.open("pets")
    await curate.model.plan_splits({"train": 1, "val": 1, "test": 0})
    await wb.stores.image.save_bytes("pets", "train", "d.jpg", jpeg(6))
    await until(lambda: curate.model.split_plan is None)
    assert "press Preview again" in curate.model.status.text


@pytest.mark.parametrize("name", ["browse", "capture", "curate"])
async def test_a_dataset_that_goes_is_said(wb: Workbench, name: str) -> None:
    panel = getattr(wb, name)("pets")
    await panel.open("pets")
    await wb.stores.dataset.rename("pets", "beasts")

    def said() -> str:
        model = panel.model
        return model.notice.text if name == "capture" else model.status.text

    await until(lambda: "'pets' is not there any more" in said())


@pytest.mark.parametrize("name", ["browse", "capture", "curate"])
async def test_the_first_dataset_opens_in_a_panel_that_had_none(tmp_path: Path, name: str) -> None:
    bench = Workbench(tmp_path / "empty")
    panel = getattr(bench, name)()
    await panel.refresh()
    await bench.stores.dataset.create("cups", ["cup"])
    await until(lambda: panel.model.dataset == "cups")
    bench.close()
