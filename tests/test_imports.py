"""Importing is cheap, and every public name is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import workbench

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "torchvision", "ultralytics", "ray"}
SERVER = {"fastapi", "starlette", "uvicorn", "pydantic", "pyarrow"}
WIDGETS = {"ipywidgets", "anywidget", "ipyannotations", "IPython"}


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh Python holds after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert modules_after("import workbench").isdisjoint(
        HEAVY | SERVER | WIDGETS | {"cv2", "numpy", "yaml"}
    )


def test_importing_the_panels_loads_no_learning_library() -> None:
    assert modules_after("import workbench.panels").isdisjoint(HEAVY | SERVER)


@pytest.mark.parametrize("panel", ["browse", "curate", "evaluate", "home", "models", "train"])
def test_a_panel_loads_the_annotator_when_it_is_opened(panel: str) -> None:
    # It is a second on a slow machine: ipyannotations brings all of matplotlib.
    found = modules_after(f"import workbench.panels.{panel}")
    assert found.isdisjoint({"ipyannotations", "matplotlib"})


def test_boxes_are_drawn_before_ipyannotations_is_loaded(tmp_path: Path) -> None:
    data, models = str(tmp_path / "data"), str(tmp_path / "models")
    opened = f"""
import asyncio
from workbench import AnnotatePanel, create_stores
async def open():
    AnnotatePanel("cups", stores=create_stores({data!r}, {models!r})).close()
asyncio.run(open())
"""
    assert modules_after(opened).isdisjoint({"ipyannotations", "matplotlib"})


def test_the_command_line_answers_without_heavy_imports() -> None:
    statement = "from workbench.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"
    assert modules_after(statement).isdisjoint(HEAVY | WIDGETS | {"cv2", "numpy", "jupyterlab"})


def test_using_every_public_name_loads_no_learning_library() -> None:
    assert modules_after("from workbench import *").isdisjoint(HEAVY | SERVER)


@pytest.mark.parametrize("name", workbench.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(workbench, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wrokbench'"):
        workbench.Wrokbench  # noqa: B018


_ALONE = """
import importlib, pkgutil, sys
import workbench.persistence as package

names = [m.name for m in pkgutil.iter_modules(package.__path__, "workbench.persistence.")]
failed = {}
for name in names:
    for known in [known for known in sys.modules if known.startswith("workbench.")]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
assert len(names) > 30, names
assert not failed, failed
"""


def test_every_module_below_the_stores_can_be_the_first_that_is_imported() -> None:
    subprocess.run([sys.executable, "-c", _ALONE], cwd=ROOT, check=True)
