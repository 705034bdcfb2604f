"""What people get who install the built package, and not a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Runs in a process of its own, from the unpacked wheel and from an empty folder.
ASK_FOR_THE_TOUR = """
import workbench, workbench.lab
print(workbench.__file__)
print(workbench.lab.default_target())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel, built from a copy so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for folder in ("workbench", "notebooks"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    built = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "-w", str(built), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def contents(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that stands for site-packages, with the wheel in it."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files_below(folder: Path) -> set[str]:
    """Return the files below a folder by their path in it, without what Python leaves there."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_the_notebooks_and_no_more(contents: Path) -> None:
    notebooks = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert "notebooks/00_tour.ipynb" in notebooks
    # The types of the front end are for whoever works on it.
    package = {path for path in files_below(ROOT / "workbench") if not path.endswith(".d.ts")}
    assert any(path.endswith(".mjs") for path in package)
    assert files_below(contents / "workbench") == package | notebooks


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "workbench").rglob("*.py")}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_the_licence_and_the_command_come_along(contents: Path) -> None:
    (information,) = contents.glob("*.dist-info")
    licence = (information / "licenses" / "LICENSE").read_text()
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in licence
    assert "workbench = workbench.cli:main" in (information / "entry_points.txt").read_text()


def test_an_installed_package_opens_a_copy_of_the_tour(contents: Path, tmp_path: Path) -> None:
    before = files_below(contents)
    environment = {**os.environ, "PYTHONPATH": str(contents), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK_FOR_THE_TOUR],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, tour = done.stdout.splitlines()
    assert Path(loaded) == contents / "workbench" / "__init__.py"
    assert Path(tour) == tmp_path / "workbench-notebooks" / "00_tour.ipynb"
    assert Path(tour).read_bytes() == (ROOT / "notebooks" / "00_tour.ipynb").read_bytes()
    assert files_below(contents) == before
