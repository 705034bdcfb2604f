"""The hosted checks run what people run: they cannot be tried here, but they can be read."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))
}
INSTALL = "python -m pip install"


def commands(workflow: str) -> list[str]:
    """Return the lines that a workflow runs, those in its matrices among them."""
    found = []
    for job in WORKFLOWS[workflow]["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        found += [case["command"] for case in matrix.get("include", ())]
        runs = [step["run"] for step in job.get("steps", ()) if "run" in step]
        found += [line for line in runs if line != "${{ matrix.command }}"]
    return found


@pytest.mark.parametrize("workflow", sorted(WORKFLOWS))
def test_every_command_is_one_that_is_there(workflow: str) -> None:
    for command in commands(workflow):
        python, flag, module = shlex.split(command)[:3]
        assert (python, flag) == ("python", "-m")
        assert importlib.util.find_spec(module) is not None, command


def test_a_change_is_checked_by_what_make_calls() -> None:
    makefile = (ROOT / "Makefile").read_text()
    called = [command for command in commands("tests") if not command.startswith(INSTALL)]
    assert sorted(called) == [f"python -m tools.{name}" for name in ("check", "docs", "run_tests")]
    for command in called:
        assert f"\t@$(PY) {command.removeprefix('python ')}" in makefile


def test_every_system_and_every_python_is_tried() -> None:
    matrix = WORKFLOWS["tests"]["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["system"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]


def test_only_the_weekly_run_takes_the_newest_of_everything() -> None:
    locked = {
        name: job["with"]["locked"]
        for name, workflow in WORKFLOWS.items()
        for job in workflow["jobs"].values()
        if "uses" in job
    }
    assert locked == {"checks": True, "weekly": False}
    for name in WORKFLOWS:
        for command in commands(name):
            assert not command.startswith(INSTALL) or "-c requirements.lock" in command


@pytest.mark.parametrize("workflow", sorted(WORKFLOWS))
def test_a_workflow_may_only_read(workflow: str) -> None:
    assert WORKFLOWS[workflow]["permissions"] == {"contents": "read"}


def test_actions_are_the_hosts_own() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.yml"))
    used = re.findall(r"uses: (\S+)", text)
    assert {name for name in used if not name.startswith(("actions/", "./"))} == set()
