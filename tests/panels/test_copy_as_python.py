"""What *Copy as Python* copies: run as a cell, it does what the button beside it does."""

from __future__ import annotations

import ast
import inspect
import json
import zipfile
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.helpers.pictures import jpeg
from workbench.panels import CuratePanel
from workbench.panels.browse.export_model import ExportModel
from workbench.panels.shared.import_model import ImportModel
from workbench.panels.shared.python_code import Name, call
from workbench.panels.train.model import TrainModel
from workbench.persistence import Stores
from workbench.persistence.models import Annotation
from workbench.training.config import TrainingConfig

BOX = Annotation(0, 0.5, 0.5, 0.25, 0.25)


async def run_as_cell(text: str) -> dict[str, Any]:
    """Run code as a notebook does, with ``await`` at its top."""
    names: dict[str, Any] = {}
    done: CodeType = compile(text, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(done, names)
    if inspect.isawaitable(waiting):
        await waiting
    return names


@pytest.fixture
async def cups(persistence_stores: Stores) -> Stores:
    """Stores with a dataset of ten images, all in train, half of them labelled."""
    await persistence_stores.dataset.create("cups", ["cup"])
    for number in range(10):
        name = f"{number}.jpg"
        await persistence_stores.image.save_bytes("cups", "train", name, jpeg(number))
        if number % 2:
            await persistence_stores.label.save("cups", "train", name, [BOX])
    return persistence_stores


def test_a_long_call_takes_a_line_for_each_argument() -> None:
    assert call("f", 1, Name("a.b"), to=Path("x")) == "f(1, a.b, to='x')"
    long = call("f", "x" * 90, y={"a": None})
    assert long == f"f(\n    '{'x' * 90}',\n    y={{'a': None}},\n)"


async def test_a_split(cups: Stores, tmp_path: Path) -> None:
    panel = CuratePanel("cups", cups)
    await panel.refresh()
    panel.splits.shares["val"].value = 30
    panel.splits.shares["train"].value = 70
    panel.splits.seed.value = 4
    wanted = await panel.model.plan_splits({"train": 70, "val": 30, "test": 0}, seed=4)
    assert "'val': 30.0" in panel.splits.copy_button.text
    names = await run_as_cell(panel.splits.copy_button.text)
    assert names["plan"].moves == wanted.moves
    val = tmp_path / "data" / "cups" / "images" / "val"
    assert len(list(val.iterdir())) == len(wanted.moves) == 3
    panel.close()


@pytest.mark.parametrize("what", ["all", "some", "train"])
async def test_an_export(
    cups: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    some = [("train", "1.jpg"), ("train", "3.jpg")]
    model = ExportModel(cups, lambda: {"all": ("everything", None), "some": ("two", some)})
    await model.look("cups")
    await model.choose("what", what)
    await model.choose("format", "coco")
    await run_as_cell(model.page["code"])
    with zipfile.ZipFile(tmp_path / "cups-coco.zip") as made:
        pictures = [name for name in made.namelist() if name.endswith(".jpg")]
    assert len(pictures) == (2 if what == "some" else 10)


async def _unchanged(_dataset: str) -> None:
    """Nobody looks on."""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A COCO export with two classes."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(77))
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "mug"}, {"id": 2, "name": "junk"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": n, "bbox": [2, 2, 9, 9]} for n in (1, 2)
        ],
    }
    (folder / "coco.json").write_text(json.dumps(coco))
    return folder


@pytest.mark.parametrize("into", ["", "cups"])
async def test_an_import(cups: Stores, export: Path, tmp_path: Path, into: str) -> None:
    model = ImportModel(cups, _unchanged)
    await model.look(export, "cups")
    if into:
        await model.aim(into)
    else:
        model.rename("mugs")
    await model.choose("class", ["mug", "cup"])
    await model.choose("class", ["junk", None])
    assert model.page["code"] == model.as_python()
    await run_as_cell(model.page["code"])
    root = tmp_path / "data" / (into or "mugs")
    [label] = root.rglob("a.txt")
    assert len(label.read_text().splitlines()) == 1
    assert (await cups.dataset.get(into or "mugs")).classes == ["cup"]
    model.close()


async def test_a_training_run(cups: Stores, tmp_path: Path) -> None:
    model = TrainModel("cups", cups, tmp_path / "runs")
    await model.refresh()
    model.epochs, model.arguments = 7, "mosaic=0.5"
    tree = ast.parse(model.as_python())
    calls = {
        node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id: node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    }
    named = {one.arg or "": ast.literal_eval(one.value) for one in calls["start"].keywords}
    [dataset] = map(ast.literal_eval, calls["TrainPanel"].args)
    assert TrainingConfig(dataset=dataset, **named) == model.config()
    assert (named["epochs"], named["extra"]) == (7, {"mosaic": 0.5})
    model.dataset = ""
    assert model.as_python() == ""
